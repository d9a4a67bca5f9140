// SPDX-License-Identifier: GPL-2.0

//! The `put_page()` hook, and where pages come back: what it calls.
//!
//! The hook sits on the kernel functions that every page passes when its last reference is dropped. What
//! runs there is C (`rust/helpers/hook.c`, or `hook_patched.c`); how it gets there is here. It calls
//! [`rpp_page_release`] for pages that carry our prefix, with bottom halves or interrupts off, which makes
//! it an RCU reader.

// The kernel has a hook of its own, or ftrace makes one, or there is none. The conditions of the latter
// two are also in `rust/helpers/hook.c`.
#[cfg(all(
    not(CONFIG_PAGE_FREE_HOOK),
    CONFIG_X86_64,
    CONFIG_DYNAMIC_FTRACE_WITH_JMP,
    CONFIG_DYNAMIC_FTRACE_WITH_ARGS,
    CONFIG_HAVE_STATIC_CALL
))]
#[path = "hook/ftrace.rs"]
mod kind;
#[cfg(CONFIG_PAGE_FREE_HOOK)]
#[path = "hook/patched.rs"]
mod kind;
#[cfg(not(any(
    CONFIG_PAGE_FREE_HOOK,
    all(
        CONFIG_X86_64,
        CONFIG_DYNAMIC_FTRACE_WITH_JMP,
        CONFIG_DYNAMIC_FTRACE_WITH_ARGS,
        CONFIG_HAVE_STATIC_CALL
    )
)))]
#[path = "hook/none.rs"]
mod kind;

mod last_ref;

pub(crate) use kind::MODE;
pub(crate) use last_ref::LastRef;

use crate::{
    platform::{
        AtomicBool,
        Ordering, //
    },
    registry::pool_of,
    slots::Tag, //
};
use kernel::prelude::*;
use pp_bindings as bindings;

/// Whether the hook is on.
static ACTIVE: AtomicBool = AtomicBool::new(false);

/// The hook, as long as it is on.
pub(crate) struct Hook {
    _attached: kind::Attached,
}

impl Hook {
    /// Turns the hook on.
    ///
    /// Process context. One module in the system can have it.
    pub(crate) fn register() -> Result<Self> {
        let attached = kind::Attached::new()?;
        ACTIVE.store(true, Ordering::Relaxed);
        Ok(Self {
            _attached: attached,
        })
    }
}

impl Drop for Hook {
    // What it is attached to goes after this.
    fn drop(&mut self) {
        ACTIVE.store(false, Ordering::Relaxed);
    }
}

/// Returns whether the hook is on, and stays so for as long as there may be a driver.
pub(crate) fn is_active() -> bool {
    ACTIVE.load(Ordering::Relaxed)
}

/// A place in the kernel where pages of a pool are caught.
pub(crate) struct Site {
    id: bindings::rpp_hook_site,
    pub(crate) name: &'static CStr,
    /// Whether the pool is asked there; or else it is where the page goes next.
    asks: bool,
}

impl Site {
    /// Returns how often a tagged page came by.
    pub(crate) fn hits(&self) -> u64 {
        // SAFETY: The site is one of this kernel's hook, so there is a counter of it on each CPU; those are only
        // read.
        unsafe { bindings::rpp_hook_site_hits(self.id) }
    }
}

/// Returns all of them.
pub(crate) fn sites() -> impl Iterator<Item = &'static Site> {
    kind::sites()
}

/// Returns how many pages the pool was asked about.
pub(crate) fn hits() -> u64 {
    sites().filter(|site| site.asks).map(Site::hits).sum()
}

/// Takes back a page that carries the prefix of our tags, or has the kernel free it.
///
/// Called by the hook only, with the page's count at 0, and either with bottom halves off on CPU
/// `cpu`, or with a negative `cpu` in hard interrupt context or with interrupts off.
#[no_mangle]
extern "C" fn rpp_page_put(page: *mut bindings::page, cpu: c_int) {
    // SAFETY: By the contract with the hook the page's count is 0, by the caller, and bottom halves are off on
    // that CPU, or the number is negative.
    if unsafe { take_back(page, cpu) }.is_none() {
        put_unusual(page, cpu);
    }
}

#[cold]
#[inline(never)]
fn put_unusual(page: *mut bindings::page, cpu: c_int) {
    // SAFETY: By the contract with the hook the page's count is 0, by the caller, and bottom halves are off on
    // that CPU, or the number is negative. Nothing was done with it yet, since `take_back()` has returned `None`.
    if !unsafe { take_back_unusual(page, cpu) } {
        // SAFETY: The page's count is 0, and by the contract with the hook it is for us to free it: no pool has
        // it, and there is no tag. It is of order 0, and the hook, which has called, is on.
        unsafe { kind::free(page) };
    }
}

/// As [`rpp_page_put`], but leaves it to the caller to free the page.
///
/// `false`: it has to.
#[no_mangle]
extern "C" fn rpp_page_release(page: *mut bindings::page, cpu: c_int) -> bool {
    // SAFETY: By the contract with the hook the page's count is 0, by the caller, and bottom halves are off on
    // that CPU, or the number is negative. The second call comes if the first one has done nothing.
    unsafe { take_back(page, cpu).is_some() || take_back_unusual(page, cpu) }
}

/// See [`Shared::take_back`].
///
/// # Safety
///
/// The contract of [`rpp_page_put`].
#[inline(always)]
unsafe fn take_back(page: *mut bindings::page, cpu: c_int) -> Option<()> {
    // SAFETY: The hook passes a page whose count it has dropped to 0 and that nobody has freed yet, so it is
    // valid.
    let tag = unsafe { Tag::seen(page) };
    // SAFETY: Bottom halves or interrupts are off until we return, so we are an RCU reader. By the safety
    // requirement the caller dropped the count to 0, and `cpu` is the CPU that bottom halves are off on; a
    // negative number has no CPU.
    // CAST: It becomes a large one.
    unsafe { pool_of(tag)?.take_back(page, tag.slot(), cpu as u32 as usize) }
}

/// See [`Shared::take_back_unusual`].
///
/// `false`: the page has no tag and no mapping any more.
///
/// # Safety
///
/// The contract of [`rpp_page_put`].
#[cold]
unsafe fn take_back_unusual(page: *mut bindings::page, cpu: c_int) -> bool {
    // SAFETY: The hook passes a page whose count it has dropped to 0 and that nobody has freed yet, so it is
    // valid.
    let tag = unsafe { Tag::seen(page) };
    // SAFETY: Bottom halves or interrupts are off until we return, so we are an RCU reader. By the safety
    // requirement the caller dropped the count to 0, and `cpu` is the CPU that bottom halves are off on; a
    // negative number has no CPU.
    // CAST: As in `take_back()`.
    let taken = unsafe { pool_of(tag) }.is_some_and(|pool| unsafe {
        pool.take_back_unusual(page, tag.slot(), cpu as u32 as usize)
    });
    if !taken {
        // SAFETY: By the safety requirement the caller is the one that dropped the last reference, and no pool has
        // taken the page back.
        unsafe { Tag::clear(page) };
    }
    taken
}
