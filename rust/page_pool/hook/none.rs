// SPDX-License-Identifier: GPL-2.0

//! No hook: the kernel has none, and ftrace cannot make one.

use super::Site;
use core::convert::Infallible;
use kernel::prelude::*;
use pp_bindings as bindings;

/// The way in which the hook is attached, for the user.
pub(crate) const MODE: &str = "none";

/// It never is.
pub(super) struct Attached {
    _never: Infallible,
}

impl Attached {
    pub(super) fn new() -> Result<Self> {
        pr_err!("this kernel has no DYNAMIC_FTRACE_WITH_JMP (x86-64), which the put_page() hook needs\n");
        Err(EOPNOTSUPP)
    }
}

pub(super) fn sites() -> impl Iterator<Item = &'static Site> {
    core::iter::empty()
}

/// Nobody calls it, without a hook.
///
/// # Safety
///
/// None.
pub(super) unsafe fn free(_page: *mut bindings::page) {}
