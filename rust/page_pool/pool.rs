// SPDX-License-Identifier: GPL-2.0

//! The pool as a driver sees it. What is on the path of each packet is here, and is compiled into
//! the driver.

use crate::{
    buf::{
        Brand,
        CpuBuf,
        Detached,
        DeviceBuf,
        StackPage, //
    },
    context::BhDisabled,
    frags::Frag,
    hook,
    layout::{
        Geometry,
        Layout,
        Whole, //
    },
    limit::Pressure,
    owned::Owned,
    pages::DmaDevice,
    params::{
        Mode,
        Params, //
    },
    platform::{
        array_from_fn,
        Array, //
    },
    registry::Registered,
    shared::Shared,
    slots::MAX_SLOTS,
    stats::{
        self,
        Snapshot, //
    },
    supply::Side,
    AllocError, //
};
use core::{
    marker::PhantomData,
    mem::forget,
    ptr::NonNull, //
};
use kernel::{
    device::{
        Bound,
        Device, //
    },
    page::PAGE_SIZE,
    prelude::*,
    sync::Arc, //
};

/// A pool of pages that stay mapped for one device, for one RX queue.
///
/// The queue's NAPI owns it; owning it mutably is what proves that the cache has one user. Dropping
/// it (process context; it waits for RCU) removes all mappings. Pages that are still with the stack
/// stay there and are freed when they are put.
///
/// A driver has none: the engine that fills its ring from the pool does (`rust/net`). What the types
/// cannot see is what [`new`](Self::new) asks for.
///
/// Follows `struct page_pool` in `include/net/page_pool/types.h`, and the talk that asked for more
/// (J. Brouer, "XDP and page_pool", NetDevConf 2.1, 2017).
///
/// # Examples
///
/// ```
/// use kernel::{
///     device::{Bound, Device},
///     prelude::*,
/// };
/// use page_pool::{Mode, PagePool, Params, Posted};
///
/// struct Queue<'bound> {
///     pool: PagePool<'bound>,
///     ring: Posted,
/// }
///
/// impl<'bound> Queue<'bound> {
///     /// # Safety
///     ///
///     /// The result is dropped in process context, before the device is unbound and after it was stopped.
///     unsafe fn new(dev: &'bound Device<Bound>) -> Result<Self> {
///         let params = Params {
///             pages: 2048,
///             ring: 256,
///             mode: Mode::Recycle,
///         };
///         // SAFETY: By this function's requirement the pool, which becomes a part of the result, is dropped in
///         // process context, before the device is unbound and when it was stopped.
///         let mut pool = unsafe { PagePool::new(dev, c"queue 0", params) }?;
///         pool.prepare()?;
///         let ring = pool.posted(256)?;
///         Ok(Self { pool, ring })
///     }
/// }
/// ```
pub struct PagePool<'dev, L: Layout = Whole> {
    pool: Registered,
    _dev: PhantomData<&'dev Device<Bound>>,
    _layout: PhantomData<L>,
}

// Says that the device has to be bound when a pool is dropped: `Registered` removes the mappings.
impl<L: Layout> Drop for PagePool<'_, L> {
    fn drop(&mut self) {}
}

impl PagePool<'static> {
    /// Returns whether there can be pools: not where the hook that pages come back by cannot be had.
    ///
    /// Any context.
    pub fn available() -> bool {
        hook::is_active()
    }
}

impl<L: Layout> PagePool<'static, L> {
    /// Makes a pool whose pages are not mapped, for what does no DMA.
    ///
    /// Process context; errors as for [`new`](Self::new).
    ///
    /// # Safety
    ///
    /// - The pool is dropped in process context, and not forgotten.
    /// - No device is given an address of this pool's buffers. An address names no mapping here, so the
    ///   device would write to whatever has that address.
    pub unsafe fn unmapped(name: &CStr, params: Params) -> Result<Self> {
        if !hook::is_active() {
            return Err(EOPNOTSUPP);
        }
        Self::of_no_device(name, params)
    }

    /// As [`unmapped`](Self::unmapped), with or without a hook: for the self-test.
    pub(crate) fn of_no_device(name: &CStr, params: Params) -> Result<Self> {
        Self::with(DmaDevice::none(), name, params)
    }
}

impl<'dev, L: Layout> PagePool<'dev, L> {
    /// Makes a pool for `dev`.
    ///
    /// Process context.
    ///
    /// Fails with `EOPNOTSUPP` where there are [none](PagePool::available), with `EINVAL` for a pool without pages
    /// or with too many, or one of halves that does not recycle, with `ENOMEM`, and with `ENOSPC` when there are too
    /// many pools.
    ///
    /// # Safety
    ///
    /// - The pool is dropped before `dev` is unbound, in process context. Forgotten (`mem::forget()`), it
    ///   would leave mappings to a device that is not there any more; dropping it waits for RCU.
    /// - When it is dropped the device does not write to its buffers any more, nor read them.
    pub unsafe fn new(dev: &'dev Device<Bound>, name: &CStr, params: Params) -> Result<Self> {
        if !hook::is_active() {
            return Err(EOPNOTSUPP);
        }
        Self::with(DmaDevice::new(dev), name, params)
    }

    fn with(dev: DmaDevice, name: &CStr, params: Params) -> Result<Self> {
        // CAST: u32 fits.
        if params.pages == 0 || params.pages as usize > MAX_SLOTS / L::BUFFERS as usize {
            return Err(EINVAL);
        }
        // Without recycling a page is mapped for one packet.
        if params.mode != Mode::Recycle && L::BUFFERS > 1 {
            return Err(EINVAL);
        }
        let geometry = const { Geometry::of::<L>() };
        let pool = Registered::new(|id| Shared::new(dev, name, params, geometry, id))?;
        Ok(Self {
            pool,
            _dev: PhantomData,
            _layout: PhantomData,
        })
    }

    /// Brings some pages into the cache, if it has none, or returns why that is not possible.
    ///
    /// Process context: unlike [`alloc`](NapiPool::alloc) it waits for memory.
    pub fn prepare(&mut self) -> Result<(), AllocError> {
        self.pool.side().prepare()
    }

    /// Returns a handle to the statistics, which may be read anywhere and outlives the pool.
    pub fn stats(&self) -> Stats {
        Stats(self.pool.arc())
    }

    /// Makes the storage for `entries` buffers that are with the device.
    ///
    /// Process context.
    pub fn posted(&self, entries: usize) -> Result<Posted<L>> {
        Ok(Posted {
            frags: array_from_fn(entries, |_| None)?,
            pool: self.pool.arc(),
            _layout: PhantomData,
        })
    }

    /// Returns whether `page` is in the pool, and not with the stack.
    ///
    /// For the self-test.
    pub(crate) fn has(&self, page: NonNull<pp_bindings::page>) -> bool {
        self.pool.has(page.as_ptr())
    }

    /// Opens the pool's NAPI side for the time of `f`.
    ///
    /// `f` has to work for every lifetime `'id`, so it cannot know which one it gets: a buffer of this
    /// pool fits no other pool, and cannot leave `f`.
    #[inline(always)]
    pub fn enter<'a, R>(
        &'a mut self,
        bh: &BhDisabled<'a>,
        f: impl for<'id> FnOnce(NapiPool<'id, 'a, L>) -> R,
    ) -> R {
        f(NapiPool {
            side: self.pool.side(),
            bh: *bh,
            _brand: PhantomData,
            _layout: PhantomData,
        })
    }
}

/// Statistics of a pool, for `ethtool -S` and the like. Any context.
///
/// # Examples
///
/// ```
/// use kernel::prelude::*;
/// use page_pool::Stats;
///
/// fn print(stats: &Stats) {
///     for (name, value) in Stats::NAMES.iter().zip(stats.snapshot()) {
///         pr_info!("{name}: {value}\n");
///     }
/// }
/// ```
#[derive(Clone)]
pub struct Stats(Arc<Shared>);

impl Stats {
    /// The counters' names: upstream's, then ours.
    pub const NAMES: &'static [&'static str] = &stats::NAMES;

    /// Returns the counters' values, in the order of the names.
    pub fn snapshot(&self) -> Snapshot {
        self.0.snapshot()
    }
}

/// The NAPI side of a pool, open. While this exists it is the only one for its pool, and bottom halves are
/// off.
///
/// # Examples
///
/// A packet of the device's, up to where the stack gets it.
///
/// ```
/// use page_pool::{DeviceBuf, NapiPool, Pressure, StackPage};
///
/// /// # Safety
/// ///
/// /// The device has written `len` bytes to the buffer, and does not write any more.
/// unsafe fn receive<'id>(
///     pool: &mut NapiPool<'id, '_>,
///     buf: DeviceBuf<'id>,
///     len: usize,
/// ) -> Option<StackPage> {
///     // SAFETY: By this function's requirement the device has written `len` bytes, and does not write any more.
///     let buf = unsafe { pool.sync_for_cpu(buf, len) };
///     // Broken, or few pages are left: this one is not given away.
///     if buf.len() < 14 || pool.pressure() != Pressure::None {
///         pool.recycle(buf);
///         return None;
///     }
///     Some(pool.into_stack(buf))
/// }
/// ```
pub struct NapiPool<'id, 'a, L: Layout = Whole> {
    side: Side<'a>,
    bh: BhDisabled<'a>,
    _brand: Brand<'id>,
    _layout: PhantomData<L>,
}

impl<'id, L: Layout> NapiPool<'id, '_, L> {
    /// Takes a buffer, ready for the device.
    ///
    /// From the cache it costs no call, no atomic operation, no lock, and does not touch `struct page`.
    /// (For a device that needs syncs the cache is closed, so the refill does them.)
    #[inline(always)]
    pub fn alloc(&mut self) -> Result<DeviceBuf<'id, L>, AllocError> {
        let frag = self.side.alloc(self.bh)?;
        // SAFETY: It comes out of this pool, which is the one that the brand stands for, and has the layout `L`.
        Ok(unsafe { DeviceBuf::new(frag) })
    }

    /// Takes over a buffer from the device; a length that is larger than the buffer is cut.
    ///
    /// # Safety
    ///
    /// The device has written `len` bytes and does not write any more, or it never had the buffer and its
    /// bytes are not looked at.
    #[inline(always)]
    pub unsafe fn sync_for_cpu(&mut self, buf: DeviceBuf<'id, L>, len: usize) -> CpuBuf<'id, L> {
        if self.side.napi().need_sync {
            let dev = &self.side.shared.dev;
            dev.sync_for_cpu(buf.dma_addr(), len.min(L::ROOM));
        }
        // SAFETY: By its brand the buffer is of this pool, so its slot is. The first `len` bytes were synced for
        // the CPU, if the device needs that.
        unsafe { CpuBuf::new(buf.into_frag(), len) }
    }

    /// Gives a buffer back, directly into the cache.
    #[inline(always)]
    pub fn recycle(&mut self, buf: CpuBuf<'id, L>) {
        self.side.recycle::<L>(buf.into_frag(), self.bh);
    }

    /// Gives back a buffer without a look at what the device has written, if it has.
    #[inline(always)]
    pub fn recycle_unused(&mut self, buf: DeviceBuf<'id, L>) {
        self.side.recycle::<L>(buf.into_frag(), self.bh);
    }

    /// Returns how close the pool is to its limit.
    ///
    /// To be asked before a page is given away: see [`Pressure`].
    #[inline]
    pub fn pressure(&mut self) -> Pressure {
        self.side.pressure(L::BUFFERS, self.bh)
    }

    /// Returns how many bytes more than its buffer a packet is to be charged for.
    ///
    /// The other buffer of its page, when many pages are [kept](crate::kept): it may keep that as well.
    #[inline]
    pub fn surcharge(&mut self) -> usize {
        if L::BUFFERS > 1 && self.side.napi().kept.many() {
            PAGE_SIZE - L::STRIDE
        } else {
            0
        }
    }

    /// Lets a buffer go to the stack, with its reference to the page.
    ///
    /// The page comes back when its last reference is dropped.
    #[inline]
    pub fn into_stack(&mut self, buf: CpuBuf<'id, L>) -> StackPage {
        let page = buf.slot().page();
        let frag = buf.into_frag();
        if L::BUFFERS > 1 || self.side.shared.mode == Mode::Recycle {
            frag.let_go(L::BUFFERS);
        } else {
            // SAFETY: The buffer, which is ours, is all of its page: so that is in state `Pool`, and nobody else has
            // it.
            let slot = unsafe { Owned::new(frag.into_raw()) };
            self.side.again().release_to_stack(slot);
        }
        // SAFETY: The buffer's slot was in state `Pool`, in which it has a page, by the type invariant of `Slot`:
        // so the pointer is not null.
        // INVARIANT: The buffer's reference was the buffer's.
        StackPage(unsafe { NonNull::new_unchecked(page) })
    }

    /// Lets a buffer go, mapped, to be sent by this device.
    ///
    /// Its bytes are the device's from here on. The pool is one that recycles.
    #[inline]
    pub fn detach(&mut self, buf: CpuBuf<'id, L>) -> Detached {
        let (offset, len) = (buf.offset(), buf.len());
        // SAFETY: The buffer's slot is in state `Pool`, in which it has a page, by the type invariant of `Slot`:
        // so the pointer is not null.
        let page = unsafe { NonNull::new_unchecked(buf.slot().page()) };
        // An address inside the page, it cannot wrap.
        let dma = buf.slot().dma().wrapping_add(offset as u64);
        if self.side.napi().need_sync {
            self.side.shared.dev.sync_for_device(dma, len);
        }
        let frag = buf.into_frag().into_raw();
        // SAFETY: It was just taken apart.
        unsafe { Frag::new(frag) }.let_go(L::BUFFERS);
        // INVARIANT: The reference to the page is that of the buffer.
        Detached {
            frag,
            page,
            dma,
            // CAST: Less than a page.
            len: len as u32,
        }
    }

    /// Takes a sent buffer back without the detour, if it is of this pool; else its page takes the long way.
    ///
    /// # Safety
    ///
    /// The device has sent it, or never had its address.
    #[inline]
    pub unsafe fn attach(&mut self, detached: Detached) {
        let (frag, page) = (detached.frag, detached.page.as_ptr());
        // SAFETY: By the type invariant the reference is that of the buffer, and it is given up: the destructor,
        // which would drop it, does not run. By the safety requirement no device accesses it.
        if unsafe { self.side.take_back::<L>(frag, page, self.bh) } {
            forget(detached);
        }
    }

    /// Opens a ring of the buffers that are with the device; `None` if it is of another pool.
    #[inline(always)]
    pub fn open<'r>(&self, ring: &'r mut Posted<L>) -> Option<OpenRing<'id, 'r, L>> {
        if !core::ptr::eq(&*ring.pool, self.side.shared) {
            return None;
        }
        // INVARIANT: It is of the pool that the brand stands for.
        Some(OpenRing {
            frags: &mut ring.frags,
            _brand: PhantomData,
            _layout: PhantomData,
        })
    }
}

/// The buffers that are with the device, while their pool is open.
///
/// # Examples
///
/// ```
/// use kernel::prelude::*;
/// use page_pool::{NapiPool, Posted};
///
/// /// Another buffer for each that the device has finished. Returns the addresses for `descriptors`.
/// ///
/// /// # Safety
/// ///
/// /// The device is done with the first `done` descriptors.
/// unsafe fn refill(
///     pool: &mut NapiPool<'_, '_>,
///     ring: &mut Posted,
///     done: usize,
///     mut descriptor: impl FnMut(usize, u64),
/// ) -> Result {
///     let mut ring = pool.open(ring).ok_or(EINVAL)?;
///     for index in 0..done {
///         // SAFETY: By this function's requirement the device is done with the descriptor, as `index` is less
///         // than `done`.
///         if let Some(buf) = unsafe { ring.take(index) } {
///             pool.recycle_unused(buf);
///         }
///         let addr = ring.post(index, pool.alloc()?).map_err(|_| EINVAL)?;
///         descriptor(index, addr);
///     }
///     Ok(())
/// }
/// ```
///
/// # Invariants
///
/// A buffer in here is of the pool that the brand stands for, which has the layout `L`.
pub struct OpenRing<'id, 'a, L: Layout = Whole> {
    frags: &'a mut [Option<Frag>],
    _brand: Brand<'id>,
    _layout: PhantomData<L>,
}

impl<'id, L: Layout> OpenRing<'id, '_, L> {
    /// Notes that `buf` is with the device, at `index`, and returns the address for the descriptor:
    /// [`Layout::ROOM`] bytes are there.
    ///
    /// So no device has a buffer that is not noted.
    ///
    /// `buf` comes back if there is no such index, or a buffer already.
    #[inline(always)]
    pub fn post(&mut self, index: usize, buf: DeviceBuf<'id, L>) -> Result<u64, DeviceBuf<'id, L>> {
        match self.frags.get_mut(index) {
            Some(entry @ None) => {
                let addr = buf.dma_addr();
                // INVARIANT: By its brand.
                *entry = Some(buf.into_frag());
                Ok(addr)
            }
            _ => Err(buf),
        }
    }

    /// Takes the buffer at `index`, if there is one.
    ///
    /// # Safety
    ///
    /// The device is done with the descriptor at that index: it does not write to the buffer any more.
    #[inline(always)]
    pub unsafe fn take(&mut self, index: usize) -> Option<DeviceBuf<'id, L>> {
        let frag = self.frags.get_mut(index)?.take()?;
        // SAFETY: By the type invariant it is of the pool that the brand stands for, which has that layout.
        Some(unsafe { DeviceBuf::new(frag) })
    }
}

/// The buffers that are with the device between two polls.
///
/// Dropping it is for when the device is stopped: its pages go back to the system when the pool does.
///
/// # Invariants
///
/// A buffer in here is of `pool`, which has the layout `L`.
pub struct Posted<L: Layout = Whole> {
    frags: Array<Option<Frag>>,
    pool: Arc<Shared>,
    _layout: PhantomData<L>,
}
