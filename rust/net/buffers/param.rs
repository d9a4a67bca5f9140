// SPDX-License-Identifier: GPL-2.0

//! The module parameter `buffers`: where the buffers of devices come from that are probed from now on.
//!
//! `module!` has parameters for numbers only, and none that can be written in sysfs.

use super::Kind;
use ::kernel::{
    bindings::{
        self,
        kernel_param, //
    },
    error::from_result,
    module_param::KernelParam,
    prelude::*,
    str::as_char_ptr_in_const_context,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
};

const KINDS: [(&CStr, Kind); 3] = [
    (c"rust", Kind::Rust),
    (c"kernel", Kind::Kernel),
    (c"none", Kind::None),
];

/// Which of them, by index.
static CHOSEN: Atomic<u32> = Atomic::new(0);

fn current() -> (&'static CStr, Kind) {
    // CAST: u32 fits.
    let index = CHOSEN.load(Relaxed) as usize;
    KINDS.get(index).copied().unwrap_or(KINDS[0])
}

/// Returns the kind that the parameter says.
pub(super) fn kind() -> Kind {
    current().1
}

/// # Safety
///
/// `value` is a string.
unsafe extern "C" fn set(value: *const c_char, _param: *const kernel_param) -> c_int {
    // SAFETY: By the safety requirement `value` is a string, which ends with a zero. It is the core's, which does
    // not change it until we return.
    let value = unsafe { CStr::from_char_ptr(value) }.to_bytes();
    // What is written in sysfs may end so.
    let value = value.strip_suffix(b"\n").unwrap_or(value);
    from_result(|| {
        let index = KINDS.iter().position(|(name, _)| name.to_bytes() == value);
        // CAST: One of three.
        CHOSEN.store(index.ok_or(EINVAL)? as u32, Relaxed);
        Ok(0)
    })
}

/// # Safety
///
/// `buffer` is that of a read in sysfs.
unsafe extern "C" fn get(buffer: *mut c_char, _param: *const kernel_param) -> c_int {
    // SAFETY: By the safety requirement `buffer` is a page that sysfs has for this read. The format wants one
    // string, and the name is one.
    unsafe { bindings::sysfs_emit(buffer, c"%s\n".as_char_ptr(), current().0.as_char_ptr()) }
}

static OPS: bindings::kernel_param_ops = bindings::kernel_param_ops {
    // It takes a value.
    flags: 0,
    set: Some(set),
    get: Some(get),
    free: None,
};

#[link_section = "__param"]
#[used(compiler)]
static PARAM: KernelParam = KernelParam::new(kernel_param {
    name: as_char_ptr_in_const_context(c"buffers"),
    mod_: (&raw const bindings::__this_module).cast_mut(),
    ops: &OPS,
    perm: 0o644,
    level: -1,
    flags: 0,
    __bindgen_anon_1: bindings::kernel_param__bindgen_ty_1 {
        arg: core::ptr::null_mut(),
    },
});

// What modinfo shows of it.
#[link_section = ".modinfo"]
#[used(compiler)]
static INFO: [u8; 157] = *b"parm=buffers:Where drivers' receive buffers come from: \
rust (default), the recycling page pool; kernel, the kernel's page pool; none, a page for each packet\0";

#[link_section = ".modinfo"]
#[used(compiler)]
static TYPE: [u8; 23] = *b"parmtype=buffers:charp\0";
