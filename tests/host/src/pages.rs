// SPDX-License-Identifier: GPL-2.0

//! Stands for `rust/page_pool/pages.rs`: pages from the system, and their mapping, which notices when
//! it is removed twice or outlived by its page's life in the pool.

use crate::{bindings::page, exclusive::pause, pool::Pool};

/// As there.
pub(crate) fn alloc(_: &DmaDevice, pages: &mut [*mut page]) -> usize {
    match (Pool::current().offered(), pages.first_mut()) {
        (Some(page), Some(first)) => {
            *first = page.as_ptr();
            1
        }
        _ => 0,
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
    pub(crate) fn need_sync(&self) -> bool {
        false
    }

    /// As there.
    pub(crate) fn sync_for_device(&self, _: u64, _: usize) {}
}
