// SPDX-License-Identifier: GPL-2.0

//! The hook of a kernel with `patches/`: it asks about tagged pages by itself.

use super::Site;
use kernel::{
    error::to_result,
    prelude::*, //
};
use pp_bindings as bindings;

/// The way in which the hook is attached, for the user.
pub(crate) const MODE: &str = "patched kernel";

static SITE: Site = Site {
    id: bindings::rpp_hook_site_RPP_SITE_PAGE_FREE_HOOK,
    name: c"page_free_hook",
    asks: true,
};

pub(super) fn sites() -> impl Iterator<Item = &'static Site> {
    core::iter::once(&SITE)
}

/// The kernel asks us.
///
/// # Invariants
///
/// Our function is registered, and dropping this unregisters it.
pub(super) struct Attached(());

impl Attached {
    pub(super) fn new() -> Result<Self> {
        // SAFETY: Process context. The function has the prototype that is wanted, may be called in any context,
        // and stays until it is unregistered.
        to_result(unsafe { bindings::page_free_hook_register(Some(bindings::rpp_hook_page_free)) })
            .inspect_err(|e| {
                pr_err!("the kernel's hook cannot be registered, another module has it: {e:?}\n");
            })?;
        // INVARIANT: Just registered.
        Ok(Self(()))
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        // When it returns, nobody executes our code.
        // SAFETY: By the type invariant our function is registered, and this unregisters it once. Process context,
        // where it may sleep.
        unsafe { bindings::page_free_hook_unregister() };
    }
}

/// Frees a page that is in no pool.
///
/// Nobody calls it here, where the kernel is about to free the page anyway.
///
/// # Safety
///
/// - The page's reference count is 0, and it is the caller's to free.
/// - It is of order 0.
pub(super) unsafe fn free(page: *mut bindings::page) {
    // SAFETY: By the safety requirement the page's count is 0, and it is ours to free. It is of order 0, so it is
    // a folio.
    unsafe { bindings::__folio_put(page.cast()) };
}
