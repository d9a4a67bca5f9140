// SPDX-License-Identifier: GPL-2.0

//! Where pages come back: what the hook calls.
//!
//! The hook (`rust/helpers/hook.c`) sits on the kernel functions that every page passes when its
//! last reference is dropped. It calls [`rpp_page_release`] for pages that carry our prefix, with bottom
//! halves or interrupts off, which makes it an RCU reader.

use crate::{
    registry::pool_of,
    slots::Tag, //
};
use kernel::prelude::*;
use pp_bindings as bindings;

/// The hook, as long as it is on.
///
/// # Invariants
///
/// The hook was registered, and is unregistered once, by dropping this.
pub(crate) struct Hook(());

impl Hook {
    /// Turns the hook on. Process context; called once.
    pub(crate) fn register() -> Result<Self> {
        // SAFETY: Process context, and only the module's initialisation calls this, once.
        kernel::error::to_result(unsafe { bindings::rpp_hook_register() })?;
        // INVARIANT: It is registered.
        Ok(Self(()))
    }
}

/// Whether the hook is on, and stays so for as long as there may be a driver.
pub(crate) fn is_active() -> bool {
    // SAFETY: No requirements.
    unsafe { bindings::rpp_hook_active() }
}

impl Drop for Hook {
    fn drop(&mut self) {
        // SAFETY: It is registered, by the type invariant. Process context.
        unsafe { bindings::rpp_hook_unregister() };
    }
}

/// Takes back a page that carries the prefix of our tags, or has the kernel free it.
///
/// Called by the hook only, with the page's count at 0, and either with bottom halves off on CPU
/// `cpu`, or with a negative `cpu` in hard interrupt context or with interrupts off.
#[no_mangle]
extern "C" fn rpp_page_put(page: *mut bindings::page, cpu: c_int) {
    // SAFETY: By the contract with the hook.
    if unsafe { take_back(page, cpu) }.is_none() {
        put_unusual(page, cpu);
    }
}

#[cold]
#[inline(never)]
fn put_unusual(page: *mut bindings::page, cpu: c_int) {
    // SAFETY: By the contract with the hook.
    if !unsafe { take_back_unusual(page, cpu) } {
        // SAFETY: The count is 0, and it is for us to free the page.
        unsafe { bindings::rpp_page_free(page) };
    }
}

/// As [`rpp_page_put`], but leaves it to the caller to free the page. `false`: it has to.
#[no_mangle]
extern "C" fn rpp_page_release(page: *mut bindings::page, cpu: c_int) -> bool {
    // SAFETY: By the contract with the hook.
    unsafe { take_back(page, cpu).is_some() || take_back_unusual(page, cpu) }
}

/// See [`Shared::take_back`].
///
/// # Safety
///
/// The contract of [`rpp_page_put`].
#[inline(always)]
unsafe fn take_back(page: *mut bindings::page, cpu: c_int) -> Option<()> {
    // SAFETY: The hook passes a valid page.
    let tag = unsafe { Tag::seen(page) };
    // SAFETY: We are an RCU reader. A negative number has no CPU.
    // CAST: It becomes a large one.
    unsafe { pool_of(tag)?.take_back(page, tag.slot(), cpu as u32 as usize) }
}

/// See [`Shared::take_back_unusual`]. `false`: the page has no tag and no mapping any more.
///
/// # Safety
///
/// The contract of [`rpp_page_put`].
#[cold]
unsafe fn take_back_unusual(page: *mut bindings::page, cpu: c_int) -> bool {
    // SAFETY: The hook passes a valid page.
    let tag = unsafe { Tag::seen(page) };
    // SAFETY: As in `take_back()`.
    // CAST: As in `take_back()`.
    let taken = unsafe { pool_of(tag) }.is_some_and(|pool| unsafe {
        pool.take_back_unusual(page, tag.slot(), cpu as u32 as usize)
    });
    if !taken {
        // SAFETY: The last reference was dropped, and the caller is the one that dropped it.
        unsafe { Tag::clear(page) };
    }
    taken
}
