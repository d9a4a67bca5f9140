// SPDX-License-Identifier: GPL-2.0

//! Pages from the system, and their mapping: the pool's constructor and destructor.
//!
//! Follows `__page_pool_alloc_netmems_slow()` and `page_pool_dma_map()` in `net/core/page_pool.c`.

use crate::{
    cache::REFILL,
    params::Wait, //
};
use core::{
    mem::MaybeUninit,
    ptr::null_mut, //
};
use kernel::{
    device::{
        Bound,
        Device, //
    },
    ffi::c_uint,
    sync::aref::ARef, //
};
use pp_bindings as bindings;

/// Pages are mapped for both directions, so that `XDP_TX` can send what was received.
const DIRECTION: bindings::dma_data_direction = bindings::dma_data_direction_DMA_BIDIRECTIONAL;
const PAGE_SIZE: usize = kernel::page::PAGE_SIZE;

/// Pages that come from the page allocator together, or go back there.
///
/// # Invariants
///
/// The first `count` entries are pages, of which the batch has the only reference; the others are null.
pub(crate) struct Batch {
    pages: [*mut bindings::page; REFILL],
    count: usize,
}

// SAFETY: A batch owns references to pages, which belong to no CPU and may be dropped on any.
unsafe impl Send for Batch {}

impl Batch {
    /// Makes an empty one.
    pub(crate) fn new() -> Self {
        // INVARIANT: No entry is a page.
        Self {
            pages: [null_mut(); REFILL],
            count: 0,
        }
    }

    /// Returns whether there is room for no more.
    pub(crate) fn is_full(&self) -> bool {
        self.count >= REFILL
    }

    /// Takes up to `want` pages from the page allocator; the batch is empty before.
    ///
    /// Any context but NMI, or process context if it may `wait`.
    ///
    /// `bounce`: rather than none at all, pages that `dev` does not reach.
    pub(crate) fn alloc(&mut self, dev: &DmaDevice, want: usize, wait: Wait, bounce: bool) {
        let gfp = match wait {
            Wait::ForMemory => bindings::RPP_GFP_KERNEL,
            Wait::Never => bindings::RPP_GFP_ATOMIC,
        };
        let mut alloc = |zone| {
            // INVARIANT: By the callee's contract; what was null before is a page, or still null.
            // SAFETY: The array has room for as many pointers as are asked for. The batch is empty, so all of it
            // is null. The device is valid or there is none, and the flags fit the context, by the contract of
            // this function.
            self.count = unsafe {
                bindings::rpp_alloc_pages_bulk(
                    dev.raw().unwrap_or(null_mut()),
                    gfp | zone,
                    want.min(REFILL),
                    self.pages.as_mut_ptr(),
                )
            };
            self.count
        };
        if alloc(dev.zone) == 0 && bounce && dev.zone != 0 {
            alloc(0);
        }
    }

    /// Makes something of each page and its address, into `made`, which has room for all, until that fails; and
    /// returns how many there are.
    ///
    /// The pages of those are not the batch's any more. (All are the kernel's own memory, since no other was asked
    /// for, and that has addresses.)
    #[inline(always)]
    pub(crate) fn take_each<T, E>(
        &mut self,
        made: &mut [MaybeUninit<T>],
        mut make: impl FnMut(*mut bindings::page, *mut u8) -> Result<T, E>,
    ) -> (usize, Option<E>) {
        let count = self.count.min(REFILL);
        let mut addresses = [const { MaybeUninit::<*mut u8>::uninit() }; REFILL];
        // SAFETY: By the type invariant the first `count` entries are pages, which are only read. There is room
        // for as many addresses, and a pointer may be written where none was.
        unsafe {
            bindings::rpp_page_addresses(self.pages.as_ptr(), count, addresses.as_mut_ptr().cast());
        }
        let (mut taken, mut error) = (0usize, None);
        let pages = self.pages.iter_mut().zip(&addresses);
        let room = made.get_mut(..count).unwrap_or_default();
        for ((entry, address), made) in pages.zip(room) {
            // SAFETY: `rpp_page_addresses()` has written an address for each of the `count` pages, and there are
            // no more in `room`.
            match make(*entry, unsafe { address.assume_init() }) {
                Ok(value) => made.write(value),
                Err(e) => {
                    error = Some(e);
                    break;
                }
            };
            *entry = null_mut();
            taken = taken.wrapping_add(1);
        }
        // INVARIANT: Those taken are null now, and the others move to the front.
        self.count = count.wrapping_sub(taken);
        if self.count != 0 {
            self.pages.rotate_left(taken);
        }
        (taken, error)
    }

    /// Adds a page.
    ///
    /// # Safety
    ///
    /// - The caller has the only reference to `page`, and gives it up.
    /// - The batch [is not full](Self::is_full).
    pub(crate) unsafe fn push(&mut self, page: *mut bindings::page) {
        if let Some(entry) = self.pages.get_mut(self.count) {
            *entry = page;
            // INVARIANT: By the safety requirement.
            self.count = self.count.wrapping_add(1);
        }
    }

    /// Gives all pages back to the page allocator, and returns how many there were.
    ///
    /// Any context but NMI.
    pub(crate) fn free(&mut self) -> usize {
        let count = core::mem::take(&mut self.count);
        if count != 0 {
            // SAFETY: By the type invariant the first `count` entries are pages, and our references to them end
            // here, since the batch counts none any more. The callee may write to the array, which is ours.
            unsafe { bindings::rpp_put_pages(self.pages.as_mut_ptr(), count) };
        }
        for entry in self.pages.iter_mut().take(count) {
            // INVARIANT: None is a page any more. (Volatile, as memset() would take longer for so few.)
            // SAFETY: The entry is a part of our array, which is borrowed mutably, so it is valid, aligned and
            // nobody else's.
            unsafe { (&raw mut *entry).write_volatile(null_mut()) };
        }
        count
    }
}

/// Drops our reference to a page.
///
/// # Safety
///
/// The caller has a reference to `page`, and gives it up.
pub(crate) unsafe fn put(page: *mut bindings::page) {
    // SAFETY: By the safety requirement the caller has a reference to the page, which is valid as long, and gives
    // it up.
    unsafe { bindings::rpp_put_page(page) };
}

/// The device that pages are mapped for, if there is one.
///
/// # Invariants
///
/// The device is bound as long as pages are mapped for it: see [`PagePool::new`](crate::PagePool::new).
pub(crate) struct DmaDevice {
    dev: Option<ARef<Device>>,
    /// Where the page allocator finds pages that it reaches, as flags; 0 for anywhere.
    zone: c_uint,
}

impl DmaDevice {
    /// Makes the device that pages are mapped for.
    ///
    /// The pool's lifetime makes sure that it stays bound.
    pub(crate) fn new(dev: &Device<Bound>) -> Self {
        let dev: &Device = dev;
        // SAFETY: The device is valid, and bound, as long as it is borrowed. What it can reach is only read.
        let zone = unsafe { bindings::rpp_dma_zone(raw(dev)) };
        Self {
            dev: Some(dev.into()),
            zone,
        }
    }

    /// Maps nothing.
    pub(crate) fn none() -> Self {
        Self { dev: None, zone: 0 }
    }

    #[inline]
    fn raw(&self) -> Option<*mut bindings::device> {
        self.dev.as_deref().map(raw)
    }

    /// Maps a page for the device, and returns its DMA address, if it worked.
    ///
    /// Any context.
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
        // SAFETY: The device is bound, by the type invariant. By the safety requirement the page is the caller's,
        // so it is valid; it is of order 0, as all that a batch asks for, so it has so many bytes.
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
        // SAFETY: The device is bound, by the type invariant, and `dma` is what the call above has returned for
        // it. It is asked once, before the address is used.
        (!unsafe { bindings::rpp_dma_mapping_error(dev, dma) }).then_some(dma)
    }

    /// Removes a mapping.
    ///
    /// Any context.
    ///
    /// # Safety
    ///
    /// `dma` is what [`map`](Self::map) returned, and was not unmapped yet.
    pub(crate) unsafe fn unmap(&self, dma: u64) {
        let Some(dev) = self.raw() else {
            return;
        };
        // SAFETY: The device is bound, by the type invariant. By the safety requirement this is a mapping of it,
        // by `map()`, with the same size, direction and attributes, and it is removed once.
        unsafe {
            bindings::dma_unmap_page_attrs(dev, dma, PAGE_SIZE, DIRECTION, bindings::RPP_DMA_ATTRS)
        };
    }

    /// Returns whether one of the pages that are mapped at these addresses needs the syncs below: because it is
    /// bounced, or the device is not coherent.
    pub(crate) fn need_sync(&self, mut mapped: impl Iterator<Item = u64>) -> bool {
        self.raw().is_some_and(|dev| {
            // SAFETY: The device is bound, by the type invariant, and the addresses are those of mappings of it,
            // which exist: their slots were filled just now.
            unsafe {
                bindings::rpp_dma_dev_need_sync(dev)
                    && mapped.any(|dma| bindings::rpp_dma_need_sync(dev, dma))
            }
        })
    }

    /// Returns how many pages the bounce buffers hold that the device's mappings go through.
    ///
    /// For a device that needs syncs for another reason, and for none, it is as many as one likes.
    pub(crate) fn bounce_pages(&self) -> u32 {
        self.raw().map_or(u32::MAX, |dev| {
            // SAFETY: The device is valid as long as we have a reference to it, and what is read of it does not
            // change while it is bound.
            unsafe { bindings::rpp_bounce_pages(dev) }
        })
    }

    /// Gives `len` bytes at `dma` to the device.
    ///
    /// Any context.
    #[cold]
    #[inline(never)]
    pub(crate) fn sync_for_device(&self, dma: u64, len: usize) {
        let Some(dev) = self.raw() else {
            return;
        };
        // SAFETY: The device is bound, by the type invariant. For an address that is not mapped this does no harm
        // but to the device's data.
        unsafe { bindings::rpp_dma_sync_for_device(dev, dma, len, DIRECTION) };
    }

    /// Gives `len` bytes at `dma` to the CPU.
    ///
    /// Any context.
    #[cold]
    #[inline(never)]
    pub(crate) fn sync_for_cpu(&self, dma: u64, len: usize) {
        let Some(dev) = self.raw() else {
            return;
        };
        // SAFETY: The device is bound, by the type invariant. For an address that is not mapped this does no harm
        // but to the device's data.
        unsafe { bindings::rpp_dma_sync_for_cpu(dev, dma, len, DIRECTION) };
    }
}

fn raw(dev: &Device) -> *mut bindings::device {
    // CAST: `Device` is a transparent wrapper of `struct device`.
    core::ptr::from_ref(dev).cast_mut().cast()
}
