// SPDX-License-Identifier: GPL-2.0

//! Pages from the system, and their mapping: the pool's constructor and destructor.
//!
//! Follows `__page_pool_alloc_netmems_slow()` and `page_pool_dma_map()` in `net/core/page_pool.c`.

use core::ptr::null_mut;
use kernel::{
    device::{Bound, Device},
    sync::aref::ARef,
};
use pp_bindings as bindings;

/// Pages are mapped for both directions, so that `XDP_TX` can send what was received.
const DIRECTION: bindings::dma_data_direction = bindings::dma_data_direction_DMA_BIDIRECTIONAL;
const PAGE_SIZE: usize = kernel::page::PAGE_SIZE;

/// Takes up to `pages.len()` pages from the system, and returns how many there were. They are the
/// first ones in the array, whose entries are null before. Any context but NMI.
pub(crate) fn alloc(dev: &DmaDevice, pages: &mut [*mut bindings::page]) -> usize {
    // SAFETY: The array has room for as many pointers as are asked for.
    unsafe {
        bindings::rpp_alloc_pages_bulk(
            dev.raw().unwrap_or(null_mut()),
            pages.len(),
            pages.as_mut_ptr(),
        )
    }
}

/// Drops our reference to a page.
///
/// # Safety
///
/// The caller has a reference to `page`, and gives it up.
pub(crate) unsafe fn put(page: *mut bindings::page) {
    // SAFETY: By the safety requirement.
    unsafe { bindings::rpp_put_page(page) };
}

/// The device that pages are mapped for, if there is one.
pub(crate) struct DmaDevice(Option<ARef<Device>>);

impl DmaDevice {
    /// The pool's lifetime makes sure that the device stays bound.
    pub(crate) fn new(dev: &Device<Bound>) -> Self {
        let dev: &Device = dev;
        Self(Some(dev.into()))
    }

    /// Maps nothing.
    pub(crate) fn none() -> Self {
        Self(None)
    }

    fn raw(&self) -> Option<*mut bindings::device> {
        let dev: &Device = self.0.as_ref()?;
        // CAST: `Device` is a transparent wrapper of `struct device`.
        Some(core::ptr::from_ref(dev).cast_mut().cast())
    }

    /// Maps a page for the device, and returns its DMA address, if it worked. Any context.
    ///
    /// The CPU's caches are not flushed: that is done for each use, and only for the bytes of it.
    ///
    /// # Safety
    ///
    /// The caller owns `page`.
    pub(crate) unsafe fn map(&self, page: *mut bindings::page) -> Option<u64> {
        let Some(dev) = self.raw() else {
            return Some(0);
        };
        // SAFETY: The device is valid, the page is the caller's.
        let dma = unsafe {
            bindings::dma_map_page_attrs(
                dev,
                page,
                0,
                PAGE_SIZE,
                DIRECTION,
                bindings::RPP_DMA_ATTRS,
            )
        };
        // SAFETY: The device is valid, and `dma` comes from the call above.
        (!unsafe { bindings::rpp_dma_mapping_error(dev, dma) }).then_some(dma)
    }

    /// Removes a mapping. Any context.
    ///
    /// # Safety
    ///
    /// `dma` is what [`map`](Self::map) returned, and was not unmapped yet.
    pub(crate) unsafe fn unmap(&self, dma: u64) {
        let Some(dev) = self.raw() else {
            return;
        };
        // SAFETY: By the safety requirement; same size, direction and attributes.
        unsafe {
            bindings::dma_unmap_page_attrs(dev, dma, PAGE_SIZE, DIRECTION, bindings::RPP_DMA_ATTRS)
        };
    }

    /// Whether the device needs the syncs below. May turn from `false` to `true` when a page is
    /// mapped through a bounce buffer, never back.
    pub(crate) fn need_sync(&self) -> bool {
        self.raw().is_some_and(|dev| {
            // SAFETY: The device is valid.
            unsafe { bindings::rpp_dma_dev_need_sync(dev) }
        })
    }

    /// Gives `len` bytes at `dma` to the device. Any context.
    #[cold]
    #[inline(never)]
    pub(crate) fn sync_for_device(&self, dma: u64, len: usize) {
        let Some(dev) = self.raw() else {
            return;
        };
        // SAFETY: The device is valid. For an address that is not mapped this does no harm but to
        // the device's data.
        unsafe { bindings::rpp_dma_sync_for_device(dev, dma, len, DIRECTION) };
    }

    /// Gives `len` bytes at `dma` to the CPU. Any context.
    #[cold]
    #[inline(never)]
    pub(crate) fn sync_for_cpu(&self, dma: u64, len: usize) {
        let Some(dev) = self.raw() else {
            return;
        };
        // SAFETY: The device is valid. For an address that is not mapped this does no harm but to
        // the device's data.
        unsafe { bindings::rpp_dma_sync_for_cpu(dev, dma, len, DIRECTION) };
    }
}
