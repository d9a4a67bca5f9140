// SPDX-License-Identifier: GPL-2.0

//! Stands for `rust/page_pool/pages.rs`: pages from the system, and their mapping, which notices when
//! it is removed twice or outlived by its page's life in the pool.

use crate::{bindings::page, exclusive::pause, params::Wait, pool::Pool, slots::Slot};
use std::{mem::MaybeUninit, ptr::null_mut};

/// Pages on their way. What is freed goes to the system when the whole batch does, as there.
pub(crate) struct Batch(Vec<*mut page>);

// SAFETY: As there.
unsafe impl Send for Batch {}

impl Batch {
    /// As there.
    pub(crate) fn new() -> Self {
        Self(Vec::new())
    }

    /// As there.
    pub(crate) fn is_full(&self) -> bool {
        self.0.len() >= crate::cache::REFILL
    }

    /// As there, but for the number: the system has one page at most.
    pub(crate) fn alloc(&mut self, _: &DmaDevice, _: usize, _: Wait, _: bool) {
        self.0.extend(Pool::current().offered().map(page::as_ptr));
    }

    /// As there.
    pub(crate) fn take_each<T, E>(
        &mut self,
        made: &mut [MaybeUninit<T>],
        mut make: impl FnMut(*mut page, *mut u8) -> Result<T, E>,
    ) -> (usize, Option<E>) {
        let mut taken = 0;
        while let Some(&page) = self.0.first() {
            match make(page, null_mut()) {
                Ok(value) => made[taken].write(value),
                Err(e) => return (taken, Some(e)),
            };
            self.0.remove(0);
            taken += 1;
        }
        (taken, None)
    }

    /// As there.
    ///
    /// # Safety
    ///
    /// As there.
    pub(crate) unsafe fn push(&mut self, page: *mut page) {
        self.0.push(page);
    }

    /// As there.
    pub(crate) fn free(&mut self) -> usize {
        let pages = std::mem::take(&mut self.0);
        for &page in &pages {
            // SAFETY: The reference was the batch's.
            unsafe { put(page) };
        }
        pages.len()
    }
}

/// As there.
///
/// # Safety
///
/// The caller has a reference to `page`, and gives it up.
pub(crate) unsafe fn put(page: *mut page) {
    // SAFETY: By the safety requirement.
    Pool::current().put(unsafe { &*page }, 0);
    Slot::hand_out_late();
}

/// A device. The DMA address of a page is its address.
pub(crate) struct DmaDevice;

impl DmaDevice {
    /// As there.
    ///
    /// # Safety
    ///
    /// The caller owns `page`.
    pub(crate) unsafe fn map(&self, page: *mut page) -> Option<u64> {
        // SAFETY: By the safety requirement.
        let was = unsafe { &*page }
            .mapped
            .with(|mapped| std::mem::replace(mapped, true));
        assert!(!was, "mapped twice");
        Some(page as u64)
    }

    /// As there.
    ///
    /// # Safety
    ///
    /// `dma` is what [`map`](Self::map) returned.
    pub(crate) unsafe fn unmap(&self, dma: u64) {
        // SAFETY: By the safety requirement.
        let page = unsafe { &*(dma as *const page) };
        pause();
        let was = page.mapped.with(|mapped| std::mem::replace(mapped, false));
        assert!(was, "unmapped twice");
        if page.escaped.with(std::mem::take) {
            page.free.with(|free| *free = true);
        }
        pause();
    }

    /// As there.
    pub(crate) fn need_sync(&self, _: impl Iterator<Item = u64>) -> bool {
        false
    }

    /// As there.
    pub(crate) fn bounce_pages(&self) -> u32 {
        u32::MAX
    }

    /// As there.
    pub(crate) fn sync_for_device(&self, _: u64, _: usize) {}
}
