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
    Stats, //
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
use page_pool::{
    layout::{
        Layout,
        Whole, //
    },
    AllocError, //
};
use pp_bindings as bindings;

/// The same mapping serves what is received, and what is sent back.
const DIRECTION: bindings::dma_data_direction = bindings::dma_data_direction_DMA_BIDIRECTIONAL;

/// Removes the mapping of a page.
///
/// # Safety
///
/// - The page is mapped for `dev` at `dma`, by [`alloc`](pages::Source::alloc), and this is done once.
/// - The device is bound.
#[inline]
unsafe fn unmap(dev: *mut bindings::device, dma: u64) {
    // The packet was synced, and an XDP program may have changed it since: the CPU's caches are not touched.
    // SAFETY: By the safety requirement the page is mapped there for the device, which is bound. Size and
    // direction are those of `rnet_page_alloc()`, and the attribute only leaves out a sync.
    unsafe {
        bindings::dma_unmap_page_attrs(dev, dma, PAGE_SIZE, DIRECTION, bindings::RPP_DMA_ATTRS)
    };
}

/// The page allocator, and the device that pages are mapped for.
pub(crate) struct Source<'bound>(&'bound Device<Bound>);

// SAFETY: The helper returns a new page of order 0, which nobody else has, mapped for the device; and its address,
// which it has since none was asked for that is not in the direct map.
unsafe impl<'bound> pages::Source for Source<'bound> {
    type Layout = Whole;
    type Device = &'bound Device<Bound>;
    type Kind = Kind;

    unsafe fn new(dev: &'bound Device<Bound>, _params: &Params<'_>) -> Result<Self> {
        Ok(Self(dev))
    }

    #[inline]
    fn alloc(&mut self) -> Result<Page, AllocError> {
        let (mut dma, mut start) = (0, core::ptr::null_mut());
        // SAFETY: The device is bound for `'bound`, and the places for mapping and address are ours. Any context
        // but NMI will do.
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
        let start = page.dma.wrapping_add(Whole::HEADROOM as u64);
        // SAFETY: The device is bound for `'bound`, and the page, which is this source's, mapped for it in this
        // direction. The engine asks for no more bytes than there is room, which are inside of it.
        unsafe { bindings::rpp_dma_sync_for_cpu(self.device(), start, len, DIRECTION) };
    }

    #[inline]
    unsafe fn put(&mut self, page: NonNull<bindings::page>, dma: u64) {
        // SAFETY: By the safety requirement the page is this source's, mapped at `dma` for its device, which is
        // bound, and given up. In the poll, or in process context.
        unsafe { Kind::give_back(page, dma, self.device()) };
    }

    #[inline]
    fn device(&self) -> *mut bindings::device {
        crate::dma::raw(self.0)
    }

    #[inline]
    fn release(&mut self, page: &Page) {
        // SAFETY: The device is bound for `'bound`, and the page, which is this source's, mapped for it. This is
        // done once: the stack, which gets the page, knows of no mapping.
        unsafe { unmap(self.device(), page.dma) };
    }

    #[inline]
    fn send(&mut self, page: &Page, offset: u32, len: u32) {
        let start = page.dma.wrapping_add(u64::from(offset));
        // SAFETY: The device is bound for `'bound`, and the page, which is this source's, mapped for it in this
        // direction; the packet is inside of it. CAST: u32 fits.
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

// SAFETY: Pages of the page allocator go back there when `put_page()` drops the last reference. One that is mapped
// is unmapped before, so the device reaches no page that is free.
unsafe impl PageKind for Kind {
    const PAGE_POOL: bool = false;

    unsafe fn drop_reference(page: NonNull<bindings::page>) {
        // SAFETY: By the safety requirement the caller has the stack's reference to the page, and gives it up.
        unsafe { bindings::rpp_put_page(page.as_ptr()) };
    }

    #[inline]
    unsafe fn give_back(page: NonNull<bindings::page>, dma: u64, dev: *mut bindings::device) {
        // SAFETY: By the safety requirement the page is the caller's and mapped at `dma` for `dev`, which is
        // bound. It is given up: the mapping first, which is removed once, and then the reference.
        unsafe {
            unmap(dev, dma);
            bindings::rpp_put_page(page.as_ptr());
        }
    }
}
