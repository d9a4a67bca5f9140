// SPDX-License-Identifier: GPL-2.0

//! Where a receive ring's buffers come from: one trait for all kinds of pools, and the kinds.
//!
//! The receive engine compiles for each kind, so the fast path is that of the pool. Which one a device uses is
//! chosen when it is probed: see [`Kind`].

mod kernel;
mod none;
mod pages;
mod param;
mod rust;

pub(crate) use rust::RustPool;

/// The kernel's own page pool.
pub(crate) type KernelPool<'bound, L> = pages::Pages<kernel::Source<'bound, L>>;
/// No pool.
pub(crate) type NoPool<'bound> = pages::Pages<none::Source<'bound>>;

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
    stats::Snapshot,
    AllocError,
    Pressure, //
};
use pp_bindings as bindings;

/// The kinds of pools. The module parameter `buffers` chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The recycling pool of this project: pages come back at `put_page()`.
    Rust,
    /// The kernel's own `struct page_pool`.
    Kernel,
    /// None: a page is taken from the page allocator and mapped for each packet.
    None,
}

impl Kind {
    /// Returns the kind that was chosen, or the kernel's where ours cannot be had.
    pub(crate) fn chosen(dev: &Device<Bound>) -> Self {
        match param::kind() {
            Self::Rust if !page_pool::PagePool::available() => {
                ::kernel::dev_warn!(dev, "no put_page() hook: using the kernel's page pool\n");
                Self::Kernel
            }
            kind => kind,
        }
    }
}

/// What a page of a pool is divided into: see [`page_pool::layout`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Division {
    /// Nothing: it is one buffer.
    Whole,
    /// Two buffers.
    Half,
    /// Nothing, and it has payload alone: headers are elsewhere.
    Payload,
}

/// What a pool is made for.
pub(crate) struct Params<'a> {
    /// The queue that it belongs to.
    pub(crate) queue: &'a Queue,
    /// What it is called in debugfs.
    pub(crate) name: &'a CStr,
    /// Descriptors of the ring.
    pub(crate) entries: u32,
    /// What a page is divided into, if this kind of pool can.
    pub(crate) division: Division,
    /// The longest frame that is to be received, in bytes.
    pub(crate) frame: usize,
}

/// A pool, closed.
pub(crate) trait Buffers<'bound>: Sized {
    /// How the buffers lie in a page. An skb can be built over each.
    type Layout: Layout;
    /// The buffers that are with the device, by descriptor.
    type Posted: Send;
    /// The pool, open.
    type Open<'id, 'a>: Open<'id, Posted = Self::Posted>
    where
        Self: 'a;

    /// Makes a pool.
    ///
    /// Process context.
    ///
    /// # Safety
    ///
    /// - The result is dropped before `dev` is unbound, in process context, and not forgotten; with NAPI disabled,
    ///   if it is [attached](Self::attach).
    /// - When it is dropped the device does not write to its buffers any more, nor read them.
    unsafe fn new(dev: &'bound Device<Bound>, params: &Params<'_>) -> Result<Self>;

    /// Makes room for the buffers of so many descriptors.
    ///
    /// Process context.
    fn posted(&self, entries: usize) -> Result<Self::Posted>;

    /// Has some buffers ready, so that [`Open::alloc`] need not wait for memory.
    ///
    /// Process context.
    fn prepare(&mut self) -> Result<(), AllocError>;

    /// Opens the pool for the time of `f`.
    ///
    /// A buffer of this pool fits no other pool, and cannot leave `f`.
    fn enter<'a, R>(
        &'a mut self,
        bh: &BhDisabled<'a>,
        f: impl for<'id> FnOnce(Self::Open<'id, 'a>) -> R,
    ) -> R;

    /// Lets the queue's NAPI instance use the pool from here on.
    ///
    /// It is disabled, and enabled after this.
    fn attach(&self, queue: &Queue);

    /// Undoes [`attach`](Self::attach).
    ///
    /// The instance is disabled.
    fn detach(&self);

    /// Returns the memory model by which XDP frames find their way back.
    fn mem_model(&self) -> (bindings::xdp_mem_type, *mut c_void);

    /// Returns a handle to the counters.
    fn stats(&self) -> Stats;
}

/// A pool, open in a poll. What is taken from it is given back by one of these methods: of some kinds a buffer
/// that is merely dropped is leaked.
pub(crate) trait Open<'id> {
    /// The buffers that are with the device.
    type Posted;
    /// As above, open.
    type Ring<'r>: Ring<Self::Device>;
    /// A buffer for the device.
    type Device;
    /// A buffer that the CPU has.
    type Cpu: Packet;
    /// A page on its way to the stack.
    type Stack: Stack;

    /// Takes a buffer.
    fn alloc(&mut self) -> Result<Self::Device, AllocError>;

    /// Opens the buffers that are with the device; `None` if they are another pool's.
    fn open<'r>(&self, posted: &'r mut Self::Posted) -> Option<Self::Ring<'r>>;

    /// Takes over a buffer from the device.
    ///
    /// # Safety
    ///
    /// - The device has written `len` bytes, and does not write any more.
    /// - They fit into the buffer.
    unsafe fn sync_for_cpu(&mut self, buf: Self::Device, len: usize) -> Self::Cpu;

    /// Gives a buffer back.
    fn recycle(&mut self, buf: Self::Cpu);

    /// Gives back a buffer without a look at what the device has written.
    fn recycle_unused(&mut self, buf: Self::Device);

    /// Returns how close the pool is to its limit.
    ///
    /// To be asked before a page is given away.
    fn pressure(&mut self) -> Pressure;

    /// Returns how many bytes more than its buffer a packet is to be charged for.
    fn surcharge(&mut self) -> usize {
        0
    }

    /// Lets a page go to the stack.
    fn to_stack(&mut self, buf: Self::Cpu) -> Self::Stack;

    /// Lets a page go, mapped, to be sent by this device; or it comes back.
    fn send(&mut self, buf: Self::Cpu) -> Result<Sent, Self::Cpu>;

    /// Takes a buffer back that was sent.
    ///
    /// # Safety
    ///
    /// - The device has sent it.
    /// - It is of this pool, or of one of another kind.
    unsafe fn sent(&mut self, page: Sent);
}

/// The buffers that are with the device, open.
pub(crate) trait Ring<D> {
    /// Notes that `buf` is with the device, at `index`, and returns its address for the descriptor.
    ///
    /// It comes back if there is no such index, or a buffer already.
    fn post(&mut self, index: usize, buf: D) -> Result<u64, D>;

    /// Takes the buffer at `index`, if there is one.
    ///
    /// # Safety
    ///
    /// The device is done with the descriptor at that index: it does not write to the buffer any more.
    unsafe fn take(&mut self, index: usize) -> Option<D>;
}

/// A buffer with a packet in it.
pub(crate) trait Packet {
    /// Bytes of the buffer, with the headroom and with what an skb needs at its end: a power of two, of which its
    /// address is a multiple.
    const SIZE: usize;
    /// Returns the address of the first byte of the buffer.
    fn start(&self) -> *mut u8;
    /// Returns where the packet begins, in bytes from there.
    fn offset(&self) -> usize;
    /// Returns the length of the packet, in bytes.
    fn len(&self) -> usize;
    /// Moves the range.
    ///
    /// One that leaves the buffer is cut.
    ///
    /// # Safety
    ///
    /// The bytes of the range have been written, by the device or since.
    unsafe fn set_range(&mut self, offset: usize, len: usize);
    /// Appends zeroes up to `len` bytes, as far as there is room.
    fn pad(&mut self, len: usize);

    /// Returns the address of the first byte of the packet.
    #[inline(always)]
    fn as_ptr(&self) -> *const u8 {
        self.start().wrapping_add(self.offset())
    }
}

/// A buffer on its way to the stack, with a packet in it. Dropped, it goes back.
pub(crate) trait Stack {
    /// Whether its page is of a `struct page_pool`, which the stack has to know to give it back.
    const PAGE_POOL: bool;
    /// Makes the buffer an skb's head, or an XDP frame's, from here on.
    fn given(self);
}

/// A page that is sent, with its mapping. Dropped, it goes back: ours in any context, others not in a hard
/// interrupt nor with interrupts off.
pub(crate) enum Sent {
    /// Of our pool.
    Rust(page_pool::Detached),
    /// Of the kernel's.
    Kernel(pages::SentPage<kernel::Kind>),
    /// Of none.
    None(pages::SentPage<none::Kind>),
}

impl Sent {
    /// Returns the address from which the device reads.
    #[inline]
    pub(crate) fn dma_addr(&self) -> u64 {
        match self {
            Self::Rust(page) => page.dma_addr(),
            Self::Kernel(page) => page.dma_addr(),
            Self::None(page) => page.dma_addr(),
        }
    }

    /// Returns how many bytes it reads.
    #[inline]
    pub(crate) fn len(&self) -> u32 {
        match self {
            // CAST: Less than a page.
            Self::Rust(page) => page.len() as u32,
            Self::Kernel(page) => page.len(),
            Self::None(page) => page.len(),
        }
    }
}

/// A handle to a pool's counters, by the names of [`page_pool::Stats::NAMES`].
pub(crate) enum Stats {
    /// Of our pool; outlives it.
    Rust(page_pool::Stats),
    /// Of the kernel's.
    Kernel(kernel::Stats),
    /// Nothing is counted.
    None,
}

impl Stats {
    /// Returns the counters now.
    ///
    /// # Safety
    ///
    /// The pool exists, unless it is ours.
    pub(crate) unsafe fn snapshot(&self) -> Snapshot {
        match self {
            Self::Rust(stats) => stats.snapshot(),
            // SAFETY: By the safety requirement the pool that the handle belongs to exists, as it is not ours.
            Self::Kernel(stats) => unsafe { stats.snapshot() },
            Self::None => Snapshot::default(),
        }
    }
}
