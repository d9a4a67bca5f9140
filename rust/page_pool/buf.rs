// SPDX-License-Identifier: GPL-2.0

//! Buffers: a page each, or [half of one](crate::layout), and in the type who may touch it.
//!
//! ```text
//! NapiPool::alloc -> DeviceBuf --sync_for_cpu--> CpuBuf --+-- recycle    -> the cache
//!                      ^   |                              +-- into_stack -> skb, redirect
//!                      |   post, take (the RX ring)       +-- detach     -> Detached, XDP_TX
//!                      +---'
//! ```
//!
//! `'id` is the brand of the pool: see [`PagePool::enter`](crate::PagePool::enter). It makes a buffer
//! of one pool a different type from a buffer of another, and it ends where the pool's closure ends.
//!
//! A buffer that is dropped instead of given back is not lost: its page takes the long way, by
//! `put_page()` and the hook.

use crate::{
    frags::Frag,
    layout::{
        Layout,
        Whole, //
    },
    slots::Slot, //
};
use core::{
    marker::PhantomData,
    mem::forget,
    ptr::NonNull, //
};
use pp_bindings as bindings;

/// The brand of a pool: invariant in `'id`, so that no two are ever the same.
pub(crate) type Brand<'id> = PhantomData<fn(&'id ()) -> &'id ()>;

/// A buffer for the device. There is nothing to read, and its address is told by
/// [`OpenRing::post`](crate::OpenRing::post).
///
/// # Invariants
///
/// - The buffer is a [`Frag`], of the pool that the brand stands for, which has the layout `L`.
/// - This value is its only owner.
pub struct DeviceBuf<'id, L: Layout = Whole> {
    frag: NonNull<Slot>,
    _brand: Brand<'id>,
    _layout: PhantomData<L>,
}

impl<L: Layout> DeviceBuf<'_, L> {
    /// # Safety
    ///
    /// `frag` is of the pool that the brand stands for, and that has the layout `L`.
    #[inline(always)]
    pub(crate) unsafe fn new(frag: Frag) -> Self {
        // INVARIANT: By the safety requirement, and the type invariant of `Frag`.
        Self {
            frag: frag.into_raw(),
            _brand: PhantomData,
            _layout: PhantomData,
        }
    }

    #[inline(always)]
    pub(crate) fn into_frag(self) -> Frag {
        let frag = self.frag;
        forget(self);
        // SAFETY: By the type invariant it is a `Frag`, and only ours; and `self` is gone: its destructor does not
        // run.
        unsafe { Frag::new(frag) }
    }

    /// Returns where the device writes: [`Layout::ROOM`] bytes at this address.
    #[inline(always)]
    pub(crate) fn dma_addr(&self) -> u64 {
        // SAFETY: By the type invariant the slot is valid, as long as the brand. (The sum is an address in the
        // page, it cannot wrap.) CAST: usize is u64 here.
        unsafe { self.frag.as_ref() }
            .dma()
            .wrapping_add(L::HEADROOM as u64)
    }
}

impl<L: Layout> Drop for DeviceBuf<'_, L> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant it is a `Frag` of a pool of that layout, and only ours. `self`, which goes
        // away, gives it up once, on the NAPI side, which the brand does not leave.
        unsafe { long_way::<L>(self.frag) };
    }
}

/// A buffer that the CPU owns: a range of bytes in a page.
///
/// # Examples
///
/// ```
/// use page_pool::CpuBuf;
///
/// /// Swaps the addresses of an Ethernet frame, and fills it up to the smallest size.
/// fn turn(buf: &mut CpuBuf<'_>) {
///     if let Some((to, from)) = buf.data_mut().split_at_mut_checked(6) {
///         if let Some(from) = from.get_mut(..6) {
///             to.swap_with_slice(from);
///         }
///     }
///     buf.pad(60);
/// }
/// ```
///
/// # Invariants
///
/// - The buffer is a [`Frag`], of the pool that the brand stands for, which has the layout `L`.
/// - This value is its only owner.
/// - `offset + len` does not exceed `L::HEADROOM + L::ROOM`.
pub struct CpuBuf<'id, L: Layout = Whole> {
    frag: NonNull<Slot>,
    offset: u32,
    len: u32,
    _brand: Brand<'id>,
    _layout: PhantomData<L>,
}

impl<L: Layout> CpuBuf<'_, L> {
    /// Makes a buffer of what the device wrote: `len` bytes, cut to [`Layout::ROOM`], for a device may lie.
    ///
    /// # Safety
    ///
    /// - As for [`DeviceBuf::new`].
    /// - The first `len` bytes were synced for the CPU, or nobody looks at them.
    #[inline(always)]
    pub(crate) unsafe fn new(frag: Frag, len: usize) -> Self {
        // CAST: At most a page.
        let len = len.min(L::ROOM) as u32;
        // INVARIANT: By the safety requirement, and as just cut.
        Self {
            frag: frag.into_raw(),
            offset: L::HEADROOM as u32,
            len,
            _brand: PhantomData,
            _layout: PhantomData,
        }
    }

    #[inline(always)]
    pub(crate) fn into_frag(self) -> Frag {
        let frag = self.frag;
        forget(self);
        // SAFETY: By the type invariant it is a `Frag`, and only ours; and `self` is gone: its destructor does not
        // run.
        unsafe { Frag::new(frag) }
    }

    #[inline(always)]
    pub(crate) fn slot(&self) -> &Slot {
        // SAFETY: By the type invariant the slot is valid, as long as the brand. It is only shared: its fields are
        // atomics.
        unsafe { self.frag.as_ref() }
    }

    /// Returns the bytes of the packet.
    #[inline]
    pub fn data(&self) -> &[u8] {
        // SAFETY: By the type invariants the range is inside of the buffer, whose address is not null. That is
        // ours, so nobody writes to it as long as `self` is borrowed. The bytes are initialised, by the device, or
        // by whoever had the page before.
        unsafe { core::slice::from_raw_parts(self.as_ptr(), self.len()) }
    }

    /// Returns the bytes of the packet, to write.
    ///
    /// Pages of the pool stay mapped, so writing is fine.
    #[inline]
    pub fn data_mut(&mut self) -> &mut [u8] {
        // SAFETY: By the type invariants the range is inside of the buffer, whose address is not null. That is
        // ours and `self` is borrowed mutably, so nobody else accesses it. The bytes are initialised, as in
        // `data()`.
        unsafe { core::slice::from_raw_parts_mut(self.as_ptr().cast_mut(), self.len()) }
    }

    /// Returns the length of the packet, in bytes.
    #[inline(always)]
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// Returns whether the packet has no byte.
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns where the packet begins, in bytes from the start of the buffer.
    #[inline(always)]
    pub fn offset(&self) -> usize {
        self.offset as usize
    }

    /// Returns the address of the first byte of the packet.
    #[inline(always)]
    pub fn as_ptr(&self) -> *const u8 {
        self.start().wrapping_add(self.offset())
    }

    /// Returns the address of the first byte of the buffer.
    #[inline(always)]
    pub fn start(&self) -> *mut u8 {
        self.slot().va()
    }

    /// Appends zeroes up to `len` bytes, as far as there is room.
    #[inline]
    pub fn pad(&mut self, len: usize) {
        let old = self.len();
        if old >= len {
            return;
        }
        let room = (L::HEADROOM + L::ROOM).wrapping_sub(self.offset());
        let len = len.min(room);
        if old < len {
            // SAFETY: By the type invariant, and as just cut, all of that is before the end of the buffer, in the
            // page. The buffer is ours, and `self` is borrowed mutably.
            unsafe {
                self.as_ptr()
                    .cast_mut()
                    .add(old)
                    .write_bytes(0, len.wrapping_sub(old))
            };
            // SAFETY: The bytes that are new in the range were just written, and the others were in it before.
            unsafe { self.set_range(self.offset(), len) };
        }
    }

    /// Moves the range, after an XDP program did.
    ///
    /// A range that leaves the buffer is cut.
    ///
    /// # Safety
    ///
    /// The bytes of the range have been written, by the device or since.
    #[inline]
    pub unsafe fn set_range(&mut self, offset: usize, len: usize) {
        let end = L::HEADROOM + L::ROOM;
        let offset = offset.min(end);
        // INVARIANT: The sum does not exceed `end`.
        // CAST: Both are at most a page.
        self.offset = offset as u32;
        self.len = len.min(end.wrapping_sub(offset)) as u32;
    }
}

impl<L: Layout> Drop for CpuBuf<'_, L> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant it is a `Frag` of a pool of that layout, and only ours. `self`, which goes
        // away, gives it up once, on the NAPI side, which the brand does not leave.
        unsafe { long_way::<L>(self.frag) };
    }
}

/// Gives a buffer back by `put_page()`.
///
/// # Safety
///
/// - It is a [`Frag`] of a pool of layout `L`, which exists; the caller owns it, and gives it up.
/// - The caller is the NAPI side of that pool.
#[cold]
#[inline(never)]
unsafe fn long_way<L: Layout>(frag: NonNull<Slot>) {
    // SAFETY: By the safety requirement the buffer's slot is in the table of a pool that exists. It is only shared.
    let page = unsafe { frag.as_ref() }.page();
    // SAFETY: By the safety requirement it is a `Frag`, which the caller gives up, and with it the reference to the
    // page.
    unsafe {
        Frag::new(frag).let_go(L::BUFFERS);
        crate::pages::put(page);
    }
}

/// A buffer that left NAPI's hands with its mapping, to be sent (`XDP_TX`). Dropped, its page finds its way
/// back by `put_page()`, even when the pool is gone by then.
///
/// # Examples
///
/// ```
/// use page_pool::{CpuBuf, Detached, NapiPool};
///
/// /// Sends a packet back: its page is in `sent` as long as the device reads.
/// fn send<'id>(
///     pool: &mut NapiPool<'id, '_>,
///     buf: CpuBuf<'id>,
///     sent: &mut Option<Detached>,
/// ) -> (u64, usize) {
///     let page = sent.insert(pool.detach(buf));
///     (page.dma_addr(), page.len())
/// }
///
/// /// # Safety
/// ///
/// /// The device has sent it.
/// unsafe fn sent(pool: &mut NapiPool<'_, '_>, page: Detached) {
///     // SAFETY: By this function's requirement the device has sent the page, so it does not read it any more.
///     unsafe { pool.attach(page) };
/// }
/// ```
///
/// # Invariants
///
/// This value owns a reference to `page`: that of the buffer `frag`, which was let go of when it was made.
pub struct Detached {
    pub(crate) frag: NonNull<Slot>,
    pub(crate) page: NonNull<bindings::page>,
    pub(crate) dma: u64,
    pub(crate) len: u32,
}

// SAFETY: It owns a reference to a page, which may be dropped on any CPU and in any context. The slot is looked at
// only by a pool that finds it to be one of its own, with that page in it.
unsafe impl Send for Detached {}
// SAFETY: There is nothing to do with a shared reference but to read numbers, which do not change.
unsafe impl Sync for Detached {}

impl Detached {
    /// Returns the address from which the device reads.
    #[inline]
    pub fn dma_addr(&self) -> u64 {
        self.dma
    }

    /// Returns how many bytes it reads.
    #[inline]
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// Returns whether there is no byte.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl Drop for Detached {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the value owns a reference to the page, which is valid as long. `self`,
        // which goes away, gives it up once.
        unsafe { crate::pages::put(self.page.as_ptr()) };
    }
}

/// A page on its way to the stack, with the packet in it. Dropped, it finds its way back by `put_page()`.
///
/// # Invariants
///
/// This value owns a reference to the page.
pub struct StackPage(pub(crate) NonNull<bindings::page>);

impl StackPage {
    /// Returns the page, whose reference is the caller's from here on.
    #[inline]
    pub fn into_page(self) -> NonNull<bindings::page> {
        let page = self.0;
        forget(self);
        page
    }
}

impl Drop for StackPage {
    #[cold]
    fn drop(&mut self) {
        // SAFETY: By the type invariant the value owns a reference to the page, which is valid as long. `self`,
        // which goes away, gives it up once.
        unsafe { crate::pages::put(self.0.as_ptr()) };
    }
}
