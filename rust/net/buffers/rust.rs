// SPDX-License-Identifier: GPL-2.0

//! The recycling pool of this project.

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
use page_pool::{
    context::BhDisabled,
    layout::Layout,
    AllocError,
    CpuBuf,
    DeviceBuf,
    Mode,
    NapiPool,
    OpenRing,
    PagePool,
    Posted,
    Pressure,
    StackPage, //
};
use pp_bindings as bindings;

/// The recycling pool of this project.
pub(crate) struct RustPool<'bound, L: Layout>(PagePool<'bound, L>);

impl<'bound, L: Layout> Buffers<'bound> for RustPool<'bound, L> {
    type Layout = L;
    type Posted = Posted<L>;
    type Open<'id, 'a>
        = NapiPool<'id, 'a, L>
    where
        Self: 'a;

    unsafe fn new(dev: &'bound Device<Bound>, params: &Params<'_>) -> Result<Self> {
        let pool = page_pool::Params {
            // A ring's worth may be with the device, another one in flight, and NAPI's cache has to have
            // something to recycle. (Of halves half as many would do; it is a limit, and the same for both.)
            pages: params.entries.saturating_mul(2).saturating_add(2048),
            ring: params.entries.div_ceil(L::BUFFERS),
            mode: Mode::Recycle,
        };
        // SAFETY: The pool is all of the result, for which our caller promises what the pool wants: it is dropped
        // in process context before `dev` is unbound, not forgotten, and when the device does not access its
        // buffers any more.
        Ok(Self(unsafe { PagePool::new(dev, params.name, pool) }?))
    }

    fn posted(&self, entries: usize) -> Result<Posted<L>> {
        self.0.posted(entries)
    }

    fn prepare(&mut self) -> Result<(), AllocError> {
        self.0.prepare()
    }

    #[inline(always)]
    fn enter<'a, R>(
        &'a mut self,
        bh: &BhDisabled<'a>,
        f: impl for<'id> FnOnce(NapiPool<'id, 'a, L>) -> R,
    ) -> R {
        self.0.enter(bh, f)
    }

    fn attach(&self, _queue: &Queue) {}

    fn detach(&self) {}

    fn mem_model(&self) -> (bindings::xdp_mem_type, *mut c_void) {
        // Pages come back at put_page(); to XDP they are plain.
        let model = bindings::xdp_mem_type_MEM_TYPE_PAGE_ORDER0;
        (model, core::ptr::null_mut())
    }

    fn stats(&self) -> Stats {
        Stats::Rust(self.0.stats())
    }
}

impl<'id, L: Layout> Open<'id> for NapiPool<'id, '_, L> {
    type Posted = Posted<L>;
    type Ring<'r> = OpenRing<'id, 'r, L>;
    type Device = DeviceBuf<'id, L>;
    type Cpu = CpuBuf<'id, L>;
    type Stack = StackPage;

    #[inline(always)]
    fn alloc(&mut self) -> Result<DeviceBuf<'id, L>, AllocError> {
        NapiPool::alloc(self)
    }

    #[inline(always)]
    fn open<'r>(&self, posted: &'r mut Posted<L>) -> Option<OpenRing<'id, 'r, L>> {
        NapiPool::open(self, posted)
    }

    #[inline(always)]
    unsafe fn sync_for_cpu(&mut self, buf: DeviceBuf<'id, L>, len: usize) -> CpuBuf<'id, L> {
        // SAFETY: By the safety requirement the device has written `len` bytes. It does not write any more: a
        // buffer that it has is in the ring, and is taken out when it is done.
        unsafe { NapiPool::sync_for_cpu(self, buf, len) }
    }

    #[inline(always)]
    fn recycle(&mut self, buf: CpuBuf<'id, L>) {
        NapiPool::recycle(self, buf);
    }

    #[inline(always)]
    fn recycle_unused(&mut self, buf: DeviceBuf<'id, L>) {
        NapiPool::recycle_unused(self, buf);
    }

    #[inline]
    fn pressure(&mut self) -> Pressure {
        NapiPool::pressure(self)
    }

    #[inline]
    fn surcharge(&mut self) -> usize {
        NapiPool::surcharge(self)
    }

    #[inline]
    fn to_stack(&mut self, buf: CpuBuf<'id, L>) -> StackPage {
        NapiPool::into_stack(self, buf)
    }

    #[inline]
    fn send(&mut self, buf: CpuBuf<'id, L>) -> Result<Sent, CpuBuf<'id, L>> {
        Ok(Sent::Rust(self.detach(buf)))
    }

    #[inline(always)]
    unsafe fn sent(&mut self, page: Sent) {
        if let Sent::Rust(page) = page {
            // SAFETY: By the safety requirement the device has sent the page, so it does not read it any more.
            unsafe { self.attach(page) };
        }
    }
}

impl<'id, L: Layout> Ring<DeviceBuf<'id, L>> for OpenRing<'id, '_, L> {
    #[inline(always)]
    fn post(&mut self, index: usize, buf: DeviceBuf<'id, L>) -> Result<u64, DeviceBuf<'id, L>> {
        OpenRing::post(self, index, buf)
    }

    #[inline(always)]
    unsafe fn take(&mut self, index: usize) -> Option<DeviceBuf<'id, L>> {
        // SAFETY: By the safety requirement the device is done with the descriptor at that index, and does not
        // write to the buffer any more.
        unsafe { OpenRing::take(self, index) }
    }
}

impl<L: Layout> Packet for CpuBuf<'_, L> {
    const SIZE: usize = L::STRIDE;

    #[inline(always)]
    fn start(&self) -> *mut u8 {
        CpuBuf::start(self)
    }

    #[inline(always)]
    fn offset(&self) -> usize {
        CpuBuf::offset(self)
    }

    #[inline(always)]
    fn len(&self) -> usize {
        CpuBuf::len(self)
    }

    #[inline(always)]
    unsafe fn set_range(&mut self, offset: usize, len: usize) {
        // SAFETY: By the safety requirement all bytes of the range have been written, by the device or since.
        unsafe { CpuBuf::set_range(self, offset, len) };
    }

    #[inline]
    fn pad(&mut self, len: usize) {
        CpuBuf::pad(self, len);
    }
}

impl Stack for StackPage {
    const PAGE_POOL: bool = false;

    #[inline(always)]
    fn given(self) {
        self.into_page();
    }
}
