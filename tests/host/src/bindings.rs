// SPDX-License-Identifier: GPL-2.0

//! `struct page`, and the C helpers that `rust/page_pool/shared.rs` calls.

#![allow(clippy::missing_safety_doc)]

use crate::{
    exclusive::Exclusive,
    platform::{AtomicU32, AtomicUsize},
    pool::Pool,
};

/// `struct page`, and what a test wants to know about the page.
#[allow(non_camel_case_types)]
pub struct page {
    pub(crate) number: usize,
    /// The word with the tag; 0 for none.
    pub(crate) word: AtomicUsize,
    pub(crate) count: AtomicU32,
    pub(crate) mapped: Exclusive<bool>,
    /// What each of its buffers holds.
    pub(crate) content: [Exclusive<u64>; 2],
    /// The page is the system's.
    pub(crate) free: Exclusive<bool>,
    /// It would be, but its mapping is still there.
    pub(crate) escaped: Exclusive<bool>,
}

impl page {
    pub(crate) fn new(number: usize) -> Self {
        Self {
            number,
            word: AtomicUsize::new(0),
            count: AtomicU32::new(0),
            mapped: Exclusive::new(false),
            content: [Exclusive::new(0), Exclusive::new(0)],
            free: Exclusive::new(true),
            escaped: Exclusive::new(false),
        }
    }

    pub(crate) fn as_ptr(&self) -> *mut page {
        std::ptr::from_ref(self).cast_mut()
    }
}

/// As on x86-64, with the usual 17 fragments.
pub const RPP_SKB_TAIL: usize = 320;

pub(crate) unsafe fn synchronize_net() {
    Pool::current().synchronize_net();
}

pub(crate) unsafe fn rpp_cpu_relax() {
    #[cfg(loom)]
    loom::thread::yield_now();
    #[cfg(not(loom))]
    crate::exclusive::relax();
}

// A thread is a CPU, or an interrupt on it: none is interrupted.
pub(crate) unsafe fn rpp_local_irq_save() {}
pub(crate) unsafe fn rpp_local_irq_restore(_: ()) {}

pub(crate) unsafe fn rpp_page_flags_mask() -> usize {
    0
}

pub(crate) unsafe fn rpp_page_clean(_: *mut page) -> bool {
    true
}
