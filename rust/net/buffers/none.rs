// SPDX-License-Identifier: GPL-2.0

//! No pool: a page is taken from the page allocator and mapped for each packet, and unmapped when it has come. For
//! comparison.

use super::{
    pages::{
        self,
        Page,
        PageKind,
        SentPage, //
    },
    Params,
    Sent,
    Stats,
    HEADROOM, //
};
use crate::queue::Queue;
use ::kernel::{
    device::{
        Bound,
        Device, //
    },
    page::PAGE_SIZE,
    prelude::*, //
};
use core::ptr::NonNull;
use page_pool::AllocError;
use pp_bindings as bindings;

/// The same mapping serves what is received, and what is sent back.
const DIRECTION: bindings::dma_data_direction = bindings::dma_data_direction_DMA_BIDIRECTIONAL;

/// Removes the mapping of a page.
///
/// # Safety
///
/// The page is mapped for the device at `dma`, and this is done once.
#[inline]
unsafe fn unmap(dev: *mut bindings::device, dma: u64) {
    // The packet was synced, and an XDP program may have changed it since: the CPU's caches are not touched.
    // SAFETY: By the safety requirement; mapped with the same size and direction.
    unsafe {
        bindings::dma_unmap_page_attrs(dev, dma, PAGE_SIZE, DIRECTION, bindings::RPP_DMA_ATTRS)
    };
}

/// The page allocator, and the device that pages are mapped for.
pub(crate) struct Source<'bound>(&'bound Device<Bound>);

// SAFETY: That is what the helper returns.
unsafe impl<'bound> pages::Source for Source<'bound> {
    type Device = &'bound Device<Bound>;
    type Kind = Kind;

    unsafe fn new(dev: &'bound Device<Bound>, _params: &Params<'_>) -> Result<Self> {
        Ok(Self(dev))
    }

    #[inline]
    fn alloc(&mut self) -> Result<Page, AllocError> {
        let (mut dma, mut start) = (0, core::ptr::null_mut());
        // SAFETY: The device is bound.
        let page = unsafe { bindings::rnet_page_alloc(self.device(), &mut dma, &mut start) };
        Ok(Page {
            page: NonNull::new(page).ok_or(AllocError::NoMemory)?,
            start: start.cast(),
            dma,
        })
    }

    #[inline]
    fn sync_for_cpu(&mut self, page: &Page, len: usize) {
        // CAST: Less than a page.
        let start = page.dma.wrapping_add(HEADROOM as u64);
        // SAFETY: The device is bound, and the page mapped for it.
        unsafe { bindings::rpp_dma_sync_for_cpu(self.device(), start, len, DIRECTION) };
    }

    #[inline]
    unsafe fn put(&mut self, page: NonNull<bindings::page>, dma: u64) {
        // SAFETY: By the safety requirement.
        unsafe { Kind::give_back(page, dma, self.device()) };
    }

    #[inline]
    fn device(&self) -> *mut bindings::device {
        crate::dma::raw(self.0)
    }

    #[inline]
    fn release(&mut self, page: &Page) {
        // SAFETY: The device is bound, and the page mapped for it.
        unsafe { unmap(self.device(), page.dma) };
    }

    #[inline]
    fn send(&mut self, page: &Page, offset: u32, len: u32) {
        let start = page.dma.wrapping_add(u64::from(offset));
        // SAFETY: The device is bound, and the page mapped for it. CAST: u32 fits.
        unsafe { bindings::rpp_dma_sync_for_device(self.device(), start, len as usize, DIRECTION) };
    }

    fn wrap(sent: SentPage<Kind>) -> Sent {
        Sent::None(sent)
    }

    fn unwrap(sent: Sent) -> Option<SentPage<Kind>> {
        match sent {
            Sent::None(page) => Some(page),
            _ => None,
        }
    }

    fn attach(&self, _queue: &Queue) {}

    fn detach(&self) {}

    fn mem_model(&self) -> (bindings::xdp_mem_type, *mut c_void) {
        let model = bindings::xdp_mem_type_MEM_TYPE_PAGE_ORDER0;
        (model, core::ptr::null_mut())
    }

    fn stats(&self) -> Stats {
        Stats::None
    }
}

/// Pages of the page allocator.
pub(crate) enum Kind {}

// SAFETY: They are freed by `put_page()`; one that is mapped is unmapped before.
unsafe impl PageKind for Kind {
    const FLAGS: u32 = 0;

    unsafe fn drop_reference(page: NonNull<bindings::page>) {
        // SAFETY: By the safety requirement.
        unsafe { bindings::rpp_put_page(page.as_ptr()) };
    }

    #[inline]
    unsafe fn give_back(page: NonNull<bindings::page>, dma: u64, dev: *mut bindings::device) {
        // SAFETY: By the safety requirement.
        unsafe {
            unmap(dev, dma);
            bindings::rpp_put_page(page.as_ptr());
        }
    }
}
