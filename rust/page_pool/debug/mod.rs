// SPDX-License-Identifier: GPL-2.0

//! What shows that the pools work: the self-test at load, and the files in debugfs.

mod debugfs;
mod report;
mod routes;
mod selftest;

pub(crate) use debugfs::Files;

use crate::{
    context::BhGuard,
    hook::{
        self,
        Hook, //
    },
    Mode,
    PagePool,
    Params, //
};
use core::ptr::NonNull;
use kernel::prelude::*;
use pp_bindings as bindings;
use selftest::{
    Report,
    TestPool, //
};

/// Turns the hook on, and proves that it works on this kernel: first that a page is lost without it
/// (or the rest would prove nothing), then that none is with it.
///
/// Without a hook where it cannot be had: another user of ftrace has one of its sites, or the kernel has no
/// direct calls. There are no pools then, and drivers have to do with the kernel's.
pub(crate) fn load() -> Result<(Option<Hook>, Report)> {
    let mut report = Report::new();
    let mut pool = PrivatePool::new()?;

    selftest::run_unhooked(&mut pool, &mut report)?;
    let hook = match Hook::register() {
        Ok(hook) => hook,
        Err(ENOMEM) => return Err(ENOMEM),
        Err(e) => {
            pr_warn!("no hook ({e:?}), so no pools: drivers use the kernel's page pool\n");
            return Ok((None, report));
        }
    };
    selftest::run(&mut pool, &mut report).inspect_err(|_| {
        pr_err!("pages would get lost on this kernel, so the module is not loaded\n");
    })?;
    pr_info!("hook: {}, self-test passed\n", hook::MODE);
    Ok((Some(hook), report))
}

/// The pool of the self-test.
struct PrivatePool(PagePool<'static>);

impl PrivatePool {
    fn new() -> Result<Self> {
        let params = Params {
            // One is lost in the negative control.
            pages: selftest::PAGES as u32 + 1,
            ring: 0,
            mode: Mode::Recycle,
        };
        Ok(Self(PagePool::of_no_device(c"selftest", params)?))
    }
}

// SAFETY: A page comes from the pool as it goes to the stack: valid, of order 0 and in the direct map, tagged, and
// with the one reference that was the pool's. It is a page of no device, and nobody uses what is in it.
unsafe impl TestPool for PrivatePool {
    fn take(&mut self) -> Result<NonNull<bindings::page>> {
        let bh = BhGuard::new()?;
        self.0.enter(&bh.token(), |mut pool| {
            let buf = pool.alloc()?;
            // SAFETY: There is no device, so none has had the buffer, and nobody looks at its bytes: the packet
            // has none.
            let buf = unsafe { pool.sync_for_cpu(buf, 0) };
            Ok(pool.into_stack(buf).into_page())
        })
    }

    fn is_back(&self, page: NonNull<bindings::page>) -> bool {
        self.0.has(page)
    }
}
