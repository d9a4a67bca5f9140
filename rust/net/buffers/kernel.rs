// SPDX-License-Identifier: GPL-2.0

//! The kernel's own page pool, as the C drivers use it: it maps the pages, syncs them for the device, and gets
//! them back from skbs that are marked and from XDP frames of its memory model.
//!
//! C header: [`include/net/page_pool/helpers.h`](srctree/include/net/page_pool/helpers.h)

use super::{
    pages::{
        self,
        Page,
        PageKind,
        SentPage, //
    },
    Params,
    Sent, //
};
use crate::queue::Queue;
use ::kernel::{
    device::{
        Bound,
        Device, //
    },
    error::from_err_ptr,
    page::PAGE_SIZE,
    prelude::*, //
};
use core::{
    marker::PhantomData,
    ptr::NonNull, //
};
use page_pool::{
    layout::Layout,
    stats::Snapshot,
    AllocError, //
};
use pp_bindings as bindings;

/// A `struct page_pool` that is ours.
///
/// # Invariants
///
/// - The pool is valid, and one reference to it is this value's.
/// - Its NAPI side is this value's.
pub(crate) struct Source<'bound, L> {
    pool: NonNull<bindings::page_pool>,
    _dev: PhantomData<&'bound Device<Bound>>,
    _layout: PhantomData<fn() -> L>,
}

// SAFETY: A pool belongs to no CPU. By the type invariant whoever has the value mutably is its NAPI side, on
// whatever CPU that runs.
unsafe impl<L> Send for Source<'_, L> {}

// SAFETY: `page_pool_dev_alloc_pages()` returns a page of order 0 that nobody else has, and
// `page_pool_dev_alloc_frag()` a part of one, as large as the layout says. It has an address, since none was asked
// for that is not in the direct map, and is mapped, by PP_FLAG_DMA_MAP. Each part counts by itself.
unsafe impl<'bound, L: Layout> pages::Source for Source<'bound, L> {
    type Layout = L;
    type Device = &'bound Device<Bound>;
    type Kind = Kind;

    unsafe fn new(dev: &'bound Device<Bound>, params: &Params<'_>) -> Result<Self> {
        let queue = params.queue;
        let dev_ptr = crate::dma::raw(dev);
        // SAFETY: The structure has numbers and pointers, for which zeroes are values; and they are what
        // upstream's drivers have where they set nothing.
        let mut c_params: bindings::page_pool_params = unsafe { core::mem::zeroed() };
        // SAFETY: The fields have two names each: this struct has the same ones as its anonymous twin in the
        // union, and all are initialised.
        let fast = unsafe { &mut c_params.__bindgen_anon_1.fast };
        fast.pool_size = params.entries;
        fast.dev = dev_ptr;
        fast.nid = bindings::NUMA_NO_NODE;
        #[cfg(CONFIG_NUMA)]
        {
            // SAFETY: The device is valid, since we have a reference to it. Only a number in it is read.
            fast.nid = unsafe { (*dev_ptr).numa_node };
        }
        fast.dma_dir = bindings::dma_data_direction_DMA_BIDIRECTIONAL;
        // What the device may have written to: for parts of pages that is all of the page.
        let (offset, max_len) = if L::BUFFERS == 1 {
            (L::HEADROOM, L::ROOM)
        } else {
            (0, PAGE_SIZE)
        };
        // CAST: Less than a page.
        fast.offset = offset as u32;
        // CAST: At most a page.
        fast.max_len = max_len as u32;
        // SAFETY: The fields have two names each: this struct has the same ones as its anonymous twin in the
        // union, and all are initialised.
        let slow = unsafe { &mut c_params.__bindgen_anon_2.slow };
        slow.netdev = queue.device();
        slow.queue_idx = queue.index;
        slow.flags = bindings::RNET_PP_FLAGS;
        // SAFETY: The parameters are initialised and only read. Process context. By the safety requirement the
        // device is bound as long as the pool exists; the queue's device, which the pool notes, lives longer than
        // the queue's ring.
        let pool = from_err_ptr(unsafe { bindings::page_pool_create(&c_params) })?;
        // INVARIANT: It is new.
        Ok(Self {
            pool: NonNull::new(pool).ok_or(ENOMEM)?,
            _dev: PhantomData,
            _layout: PhantomData,
        })
    }

    #[inline]
    fn alloc(&mut self) -> Result<Page, AllocError> {
        let (mut dma, mut start) = (0, core::ptr::null_mut());
        // SAFETY: By the type invariant the pool is valid, and its NAPI side is ours, as we are borrowed mutably.
        // Bottom halves are off while a pool is open. The places for mapping and address are ours.
        // CAST: At most a page.
        let page = unsafe {
            bindings::rnet_pp_alloc(self.pool.as_ptr(), L::STRIDE as u32, &mut dma, &mut start)
        };
        Ok(Page {
            page: NonNull::new(page).ok_or(AllocError::NoMemory)?,
            start: start.cast(),
            dma,
        })
    }

    #[inline]
    fn sync_for_cpu(&mut self, page: &Page, len: usize) {
        // SAFETY: By the type invariant the pool is valid. The page is one of its pages, which it has mapped, and
        // the engine asks for no more bytes than there is room. CAST: Less than a page, both.
        unsafe {
            bindings::rnet_pp_sync_for_cpu(
                self.pool.as_ptr(),
                page.page.as_ptr(),
                page.start.wrapping_add(L::HEADROOM).cast(),
                len as u32,
            )
        };
    }

    #[inline]
    unsafe fn put(&mut self, page: NonNull<bindings::page>, _dma: u64) {
        // SAFETY: By the type invariant the pool is valid, and its NAPI side is ours, as we are borrowed mutably.
        // Bottom halves are off while a pool is open. By the safety requirement the page is one of its pages, and
        // given up.
        unsafe { bindings::rnet_pp_recycle(self.pool.as_ptr(), page.as_ptr()) };
    }

    #[inline]
    fn device(&self) -> *mut bindings::device {
        core::ptr::null_mut()
    }

    #[inline]
    fn release(&mut self, _page: &Page) {}

    #[inline]
    fn send(&mut self, page: &Page, offset: u32, len: u32) {
        // SAFETY: By the type invariant the pool is valid. The page is one of its pages, which it has mapped, and
        // the packet is inside of it.
        unsafe {
            bindings::rnet_pp_sync_for_device(
                self.pool.as_ptr(),
                page.page.as_ptr(),
                // CAST: u32 fits.
                page.start.wrapping_add(offset as usize).cast(),
                len,
            )
        };
    }

    fn wrap(sent: SentPage<Kind>) -> Sent {
        Sent::Kernel(sent)
    }

    fn unwrap(sent: Sent) -> Option<SentPage<Kind>> {
        match sent {
            Sent::Kernel(page) => Some(page),
            _ => None,
        }
    }

    fn attach(&self, queue: &Queue) {
        // SAFETY: By the type invariant the pool is valid. The instance is that of the queue that the pool is for,
        // and disabled, by the contract of the trait. It is forgotten, by `detach()` or with the pool, before it
        // goes.
        unsafe { bindings::page_pool_enable_direct_recycling(self.pool.as_ptr(), queue.napi()) };
    }

    fn detach(&self) {
        // SAFETY: By the type invariant the pool is valid. Its instance is disabled, by the contract of the trait,
        // so nobody looks at it meanwhile.
        unsafe { bindings::page_pool_disable_direct_recycling(self.pool.as_ptr()) };
    }

    fn mem_model(&self) -> (bindings::xdp_mem_type, *mut c_void) {
        let model = bindings::xdp_mem_type_MEM_TYPE_PAGE_POOL;
        (model, self.pool.as_ptr().cast())
    }

    fn stats(&self) -> super::Stats {
        super::Stats::Kernel(Stats(self.pool))
    }
}

impl<L> Drop for Source<'_, L> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the pool is valid, and the reference that `new()` made ends here, once.
        // Process context, and NAPI is disabled if the pool is attached, by the contract of `new()`.
        unsafe { bindings::page_pool_destroy(self.pool.as_ptr()) };
    }
}

/// Pages of a `struct page_pool`, which know their pool.
pub(crate) enum Kind {}

// SAFETY: A page of a `struct page_pool` says which one that is, and the pool exists as long as one of its pages
// is out. It takes them back in any context but a hard interrupt, and unmaps those that it does not keep.
unsafe impl PageKind for Kind {
    const PAGE_POOL: bool = true;

    unsafe fn drop_reference(page: NonNull<bindings::page>) {
        // SAFETY: By the safety requirement the caller has the stack's reference to a page of a `struct
        // page_pool`, and gives it up. Not in a hard interrupt.
        unsafe { bindings::rnet_pp_put(page.as_ptr()) };
    }

    unsafe fn give_back(page: NonNull<bindings::page>, _dma: u64, _dev: *mut bindings::device) {
        // SAFETY: By the safety requirement the caller has a page of a `struct page_pool`, with its only
        // reference, and gives it up. Not in a hard interrupt.
        unsafe { bindings::rnet_pp_put(page.as_ptr()) };
    }
}

/// A handle to a pool's counters. The pool may be gone.
pub(crate) struct Stats(NonNull<bindings::page_pool>);

// SAFETY: It is a pointer, which only `snapshot()` follows, whose caller makes sure that there is a pool; its
// counters may be read on any CPU.
unsafe impl Send for Stats {}

impl Stats {
    /// Returns upstream's counters, which come first; of ours there are none.
    ///
    /// # Safety
    ///
    /// The pool exists.
    pub(crate) unsafe fn snapshot(&self) -> Snapshot {
        let mut values = Snapshot::default();
        // SAFETY: By the safety requirement the pool exists. Its counters are the first in a `Snapshot`, so there
        // is room.
        unsafe { bindings::rnet_pp_stats(self.0.as_ptr(), values.as_mut_ptr()) };
        values
    }
}
