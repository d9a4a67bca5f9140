// SPDX-License-Identifier: GPL-2.0

//! Buffers from elsewhere than our pool: what all [`Source`]s have in common.

use super::{
    Buffers,
    Open,
    Packet,
    Params,
    Ring,
    Sent,
    Stack,
    Stats, //
};
use crate::queue::Queue;
use ::kernel::{
    device::{
        Bound,
        Device, //
    },
    prelude::*, //
};
use core::{
    marker::PhantomData,
    mem::forget,
    ptr::NonNull, //
};
use page_pool::{
    context::BhDisabled,
    layout::Layout,
    AllocError,
    Pressure, //
};
use pp_bindings as bindings;

/// How pages find their way back from elsewhere than the poll.
///
/// # Safety
///
/// - The methods give back pages of a [`Source`] of this kind, as those have to be.
/// - [`PAGE_POOL`](Self::PAGE_POOL) says of such a page what the stack has to know to do so.
pub(crate) unsafe trait PageKind {
    /// See [`Stack::PAGE_POOL`].
    const PAGE_POOL: bool;

    /// Drops the stack's reference to a page.
    ///
    /// Not in a hard interrupt, nor with interrupts off.
    ///
    /// # Safety
    ///
    /// The caller has that reference, and gives it up.
    unsafe fn drop_reference(page: NonNull<bindings::page>);

    /// Takes back a page that is mapped at `dma` for `dev`.
    ///
    /// Not in a hard interrupt, nor with interrupts off.
    ///
    /// # Safety
    ///
    /// - The caller has the page, and gives it up.
    /// - The device is what [`Source::device`] said, and bound.
    unsafe fn give_back(page: NonNull<bindings::page>, dma: u64, dev: *mut bindings::device);
}

/// Where pages come from and go to.
///
/// # Safety
///
/// Of what [`alloc`](Self::alloc) returns:
///
/// - It is a buffer of layout [`Layout`](Self::Layout) in a page of order 0 in the direct map, with its address and
///   its mapping, and with a reference of its own to the page.
/// - Nobody else uses the buffer.
pub(crate) unsafe trait Source: Sized {
    /// How the buffers lie in a page.
    type Layout: Layout;

    /// What it needs of the device.
    type Device;

    /// How its pages find their way back.
    type Kind: PageKind;

    /// As for [`Buffers::new`].
    ///
    /// # Safety
    ///
    /// As for [`Buffers::new`].
    unsafe fn new(dev: Self::Device, params: &Params<'_>) -> Result<Self>;

    /// Takes a buffer, mapped.
    ///
    /// In the poll.
    fn alloc(&mut self) -> Result<Page, AllocError>;

    /// Lets the CPU see `len` bytes behind the headroom.
    fn sync_for_cpu(&mut self, page: &Page, len: usize);

    /// Takes a page back that is mapped at `dma`, in the poll.
    ///
    /// # Safety
    ///
    /// - The page is of this source, mapped at `dma`.
    /// - The caller has it, and gives it up.
    unsafe fn put(&mut self, page: NonNull<bindings::page>, dma: u64);

    /// Returns what a page is mapped for, if that has to be known to take it back.
    fn device(&self) -> *mut bindings::device;

    /// Prepares a page for the stack.
    fn release(&mut self, page: &Page);

    /// Prepares `len` bytes at `offset` of a page to be sent.
    fn send(&mut self, page: &Page, offset: u32, len: u32);

    /// Wraps what is sent.
    fn wrap(sent: SentPage<Self::Kind>) -> Sent;

    /// Undoes [`wrap`](Self::wrap), if it is of this kind.
    fn unwrap(sent: Sent) -> Option<SentPage<Self::Kind>>;

    /// As for [`Buffers::attach`].
    fn attach(&self, queue: &Queue);

    /// As for [`Buffers::detach`].
    fn detach(&self);

    /// As for [`Buffers::mem_model`].
    fn mem_model(&self) -> (bindings::xdp_mem_type, *mut c_void);

    /// As for [`Buffers::stats`].
    fn stats(&self) -> Stats;
}

/// A buffer with its page, and its own address and mapping. Whoever has this owns it, and gives it back.
pub(crate) struct Page {
    pub(crate) page: NonNull<bindings::page>,
    pub(crate) start: *mut u8,
    pub(crate) dma: u64,
}

// SAFETY: The value owns a page and its mapping, which belong to no CPU, and only its owner follows the address.
unsafe impl Send for Page {}

/// A pool, or none.
pub(crate) struct Pages<S>(S);

/// See [`PagePool::enter`](page_pool::PagePool::enter).
type Brand<'id> = PhantomData<fn(&'id ()) -> &'id ()>;

/// As above, open in a poll.
pub(crate) struct OpenPages<'id, 'a, S> {
    source: &'a mut S,
    _brand: Brand<'id>,
}

/// A page for the device.
#[must_use = "it is leaked unless it is given back"]
pub(crate) struct DevicePage<'id, L>(Page, Brand<'id>, PhantomData<fn() -> L>);

/// A page with a packet.
///
/// # Invariants
///
/// `offset + len` does not exceed `L::HEADROOM + L::ROOM`.
#[must_use = "it is leaked unless it is given back"]
pub(crate) struct CpuPage<'id, L> {
    page: Page,
    offset: u32,
    len: u32,
    _brand: Brand<'id>,
    _layout: PhantomData<fn() -> L>,
}

/// A page on its way to the stack.
///
/// # Invariants
///
/// This value owns a reference to the page, which is of kind `K`.
pub(crate) struct StackPage<K: PageKind>(NonNull<bindings::page>, PhantomData<fn() -> K>);

/// A page that is sent.
///
/// # Invariants
///
/// - The page is the value's, and of kind `K`.
/// - It is mapped at `dma` for `dev`, or for the device of its pool.
pub(crate) struct SentPage<K: PageKind> {
    page: NonNull<bindings::page>,
    dma: u64,
    dev: *mut bindings::device,
    offset: u32,
    len: u32,
    _kind: PhantomData<fn() -> K>,
}

// SAFETY: The value owns a page and its mapping, which belong to no CPU, and only its owner uses the device.
unsafe impl<K: PageKind> Send for SentPage<K> {}

impl<K: PageKind> SentPage<K> {
    #[inline]
    pub(crate) fn dma_addr(&self) -> u64 {
        self.dma.wrapping_add(u64::from(self.offset))
    }

    #[inline]
    pub(crate) fn len(&self) -> u32 {
        self.len
    }
}

impl<K: PageKind> Drop for SentPage<K> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the page is the value's, of kind `K`, and mapped as the callee wants it;
        // `self`, which goes away, gives it up once. The device is bound: transmit rings go before it is unbound.
        // Not in a hard interrupt, since netpoll leaves such pages in the ring.
        unsafe { K::give_back(self.page, self.dma, self.dev) };
    }
}

impl<'bound, S: Source<Device = &'bound Device<Bound>>> Buffers<'bound> for Pages<S> {
    type Layout = S::Layout;
    type Posted = KVVec<Option<Page>>;
    type Open<'id, 'a>
        = OpenPages<'id, 'a, S>
    where
        Self: 'a;

    unsafe fn new(dev: &'bound Device<Bound>, params: &Params<'_>) -> Result<Self> {
        // SAFETY: The source is all of the result, for which our caller promises what the source wants: it is
        // dropped in process context before `dev` is unbound, not forgotten, with NAPI disabled, and when the
        // device does not access its pages any more.
        Ok(Self(unsafe { S::new(dev, params) }?))
    }

    fn posted(&self, entries: usize) -> Result<Self::Posted> {
        let mut posted = KVVec::with_capacity(entries, GFP_KERNEL)?;
        for _ in 0..entries {
            posted.push(None, GFP_KERNEL)?;
        }
        Ok(posted)
    }

    fn prepare(&mut self) -> Result<(), AllocError> {
        Ok(())
    }

    #[inline(always)]
    fn enter<'a, R>(
        &'a mut self,
        _bh: &BhDisabled<'a>,
        f: impl for<'id> FnOnce(OpenPages<'id, 'a, S>) -> R,
    ) -> R {
        f(OpenPages {
            source: &mut self.0,
            _brand: PhantomData,
        })
    }

    fn attach(&self, queue: &Queue) {
        self.0.attach(queue);
    }

    fn detach(&self) {
        self.0.detach();
    }

    fn mem_model(&self) -> (bindings::xdp_mem_type, *mut c_void) {
        self.0.mem_model()
    }

    fn stats(&self) -> Stats {
        self.0.stats()
    }
}

impl<'id, S: Source> Open<'id> for OpenPages<'id, '_, S> {
    type Posted = KVVec<Option<Page>>;
    type Ring<'r> = PageRing<'r, S::Layout>;
    type Device = DevicePage<'id, S::Layout>;
    type Cpu = CpuPage<'id, S::Layout>;
    type Stack = StackPage<S::Kind>;

    #[inline(always)]
    fn alloc(&mut self) -> Result<DevicePage<'id, S::Layout>, AllocError> {
        Ok(DevicePage(self.source.alloc()?, PhantomData, PhantomData))
    }

    #[inline(always)]
    fn open<'r>(&self, posted: &'r mut Self::Posted) -> Option<Self::Ring<'r>> {
        Some(PageRing(posted, PhantomData))
    }

    #[inline(always)]
    unsafe fn sync_for_cpu(
        &mut self,
        buf: DevicePage<'id, S::Layout>,
        len: usize,
    ) -> CpuPage<'id, S::Layout> {
        let len = len.min(S::Layout::ROOM);
        self.source.sync_for_cpu(&buf.0, len);
        // INVARIANT: As just cut.
        CpuPage {
            page: buf.0,
            offset: S::Layout::HEADROOM as u32,
            // CAST: Less than a page.
            len: len as u32,
            _brand: PhantomData,
            _layout: PhantomData,
        }
    }

    #[inline(always)]
    fn recycle(&mut self, buf: CpuPage<'id, S::Layout>) {
        // SAFETY: `buf` is given up. It is of this source: from `alloc()`, by its brand, or from the ring of
        // posted buffers, which `RxRing` has together with the source.
        unsafe { self.source.put(buf.page.page, buf.page.dma) };
    }

    #[inline(always)]
    fn recycle_unused(&mut self, buf: DevicePage<'id, S::Layout>) {
        // SAFETY: `buf` is given up. It is of this source: from `alloc()`, by its brand, or from the ring of
        // posted buffers, which `RxRing` has together with the source.
        unsafe { self.source.put(buf.0.page, buf.0.dma) };
    }

    #[inline(always)]
    fn pressure(&mut self) -> Pressure {
        Pressure::None
    }

    #[inline]
    fn to_stack(&mut self, buf: CpuPage<'id, S::Layout>) -> StackPage<S::Kind> {
        self.source.release(&buf.page);
        // INVARIANT: The reference was the buffer's.
        StackPage(buf.page.page, PhantomData)
    }

    #[inline]
    fn send(&mut self, buf: CpuPage<'id, S::Layout>) -> Result<Sent, CpuPage<'id, S::Layout>> {
        self.source.send(&buf.page, buf.offset, buf.len);
        // INVARIANT: The page was the buffer's.
        Ok(S::wrap(SentPage {
            page: buf.page.page,
            dma: buf.page.dma,
            dev: self.source.device(),
            offset: buf.offset,
            len: buf.len,
            _kind: PhantomData,
        }))
    }

    #[inline]
    unsafe fn sent(&mut self, page: Sent) {
        if let Some(sent) = S::unwrap(page) {
            // SAFETY: By the safety requirement the page is of this source, as it is of its kind, and the device
            // has sent it. It is given up here: its own destructor, which would do so as well, does not run.
            unsafe { self.source.put(sent.page, sent.dma) };
            forget(sent);
        }
    }
}

/// Buffers that are with the device.
pub(crate) struct PageRing<'a, L>(&'a mut [Option<Page>], PhantomData<fn() -> L>);

impl<'id, L: Layout> Ring<DevicePage<'id, L>> for PageRing<'_, L> {
    #[inline(always)]
    fn post(&mut self, index: usize, buf: DevicePage<'id, L>) -> Result<u64, DevicePage<'id, L>> {
        match self.0.get_mut(index) {
            Some(entry @ None) => {
                // CAST: usize is u64 here.
                let addr = buf.0.dma.wrapping_add(L::HEADROOM as u64);
                *entry = Some(buf.0);
                Ok(addr)
            }
            _ => Err(buf),
        }
    }

    #[inline(always)]
    unsafe fn take(&mut self, index: usize) -> Option<DevicePage<'id, L>> {
        Some(DevicePage(
            self.0.get_mut(index)?.take()?,
            PhantomData,
            PhantomData,
        ))
    }
}

impl<L: Layout> Packet for CpuPage<'_, L> {
    const SIZE: usize = L::STRIDE;

    #[inline(always)]
    fn start(&self) -> *mut u8 {
        self.page.start
    }

    #[inline(always)]
    fn offset(&self) -> usize {
        // CAST: u32 fits.
        self.offset as usize
    }

    #[inline(always)]
    fn len(&self) -> usize {
        // CAST: u32 fits.
        self.len as usize
    }

    #[inline]
    unsafe fn set_range(&mut self, offset: usize, len: usize) {
        let end = L::HEADROOM + L::ROOM;
        let offset = offset.min(end);
        // INVARIANT: The sum does not exceed `end`.
        // CAST: Both are at most a page.
        self.offset = offset as u32;
        self.len = len.min(end.wrapping_sub(offset)) as u32;
    }

    #[inline]
    fn pad(&mut self, len: usize) {
        let old = self.len();
        let len = len.min((L::HEADROOM + L::ROOM).wrapping_sub(self.offset()));
        if old < len {
            let end = self
                .page
                .start
                .wrapping_add(self.offset())
                .wrapping_add(old);
            // SAFETY: By the type invariant, and as just cut, all of that is before the end of the buffer, in the
            // page at `start`. The buffer is ours, and `self` is borrowed mutably.
            unsafe { end.write_bytes(0, len.wrapping_sub(old)) };
            // CAST: Less than a page.
            self.len = len as u32;
        }
    }
}

impl<K: PageKind> Stack for StackPage<K> {
    const PAGE_POOL: bool = K::PAGE_POOL;

    #[inline(always)]
    fn given(self) {
        forget(self);
    }
}

impl<K: PageKind> Drop for StackPage<K> {
    #[cold]
    fn drop(&mut self) {
        // SAFETY: By the type invariant a reference to a page of kind `K` is the value's; `self`, which goes away,
        // gives it up once.
        unsafe { K::drop_reference(self.0) };
    }
}
