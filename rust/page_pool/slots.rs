// SPDX-License-Identifier: GPL-2.0

//! The slot table: the truth about each page of a pool.
//!
//! `struct page` has a few spare words, but they are not ours to trust: once a page is with the
//! stack anybody may write them, and the page allocator does when a page gets there. So a page
//! carries only a [tag](Tag), a hint that says where to look. What is believed is the slot, and only
//! when it names that very page. Unmapping uses the DMA address of the slot, never one found in
//! `struct page`.
//!
//! A stale tag is harmless: it leads to no pool, to no slot, or to a slot of another page.

use crate::{
    platform::{array_from_fn, AllocError, Array, AtomicU32, AtomicU64, Ordering},
    state::SlotState,
};
use core::{cell::UnsafeCell, ptr::null_mut};
use kernel::ffi::c_ulong;
use pp_bindings as bindings;

/// One page of a pool.
///
/// # Invariants
///
/// Unless the state is `Free`, `page` is a page that this pool took from the page allocator and
/// mapped for its device at `dma`, and `va` is its address. These fields are written only in state
/// `Free`, by the pool's NAPI side.
#[repr(C)]
pub(crate) struct Slot {
    page: UnsafeCell<*mut bindings::page>,
    dma: UnsafeCell<u64>,
    va: UnsafeCell<*mut u8>,
    /// Who the page belongs to.
    pub(crate) state: SlotState,
    /// The next slot in the list of pages returned from interrupt context, by index. While the page is
    /// out: since when.
    pub(crate) next: AtomicU32,
}

// Two slots share a cache line, none lies across two.
const _: () = assert!(core::mem::size_of::<Slot>() == 32);

impl Slot {
    fn new() -> Self {
        Self {
            page: UnsafeCell::new(null_mut()),
            dma: UnsafeCell::new(0),
            va: UnsafeCell::new(null_mut()),
            state: SlotState::new(),
            next: AtomicU32::new(0),
        }
    }

    /// Puts a mapped page into the slot.
    ///
    /// # Safety
    ///
    /// The slot is free, the caller is the pool's NAPI side, and the arguments fulfil the type
    /// invariant.
    pub(crate) unsafe fn fill(&self, page: *mut bindings::page, dma: u64, va: *mut u8) {
        // SAFETY: In state `Free` nobody but the NAPI side uses these fields for anything but a
        // comparison with a page that is not in this slot; see `page()`.
        unsafe {
            (&raw mut *self.page.get()).write_volatile(page);
            *self.dma.get() = dma;
            *self.va.get() = va;
        }
        // INVARIANT: By the safety requirement.
        self.state.fill();
    }

    /// The page. May be asked at any time: for a free slot the answer is a page that it once had.
    #[inline]
    pub(crate) fn page(&self) -> *mut bindings::page {
        // The hook asks for a page with a stale tag while NAPI fills the slot with another one; a
        // torn or old value would be a wrong page in either case, and an aligned pointer does not
        // tear.
        // SAFETY: The field is always initialised.
        unsafe { self.page.get().read_volatile() }
    }

    /// The DMA address of the page's first byte. The caller owns the page or won the slot.
    #[inline(always)]
    pub(crate) fn dma(&self) -> u64 {
        // SAFETY: Written only in state `Free`, when the slot has no owner.
        unsafe { *self.dma.get() }
    }

    /// The address of the page's first byte. The caller owns the page or won the slot.
    #[inline(always)]
    pub(crate) fn va(&self) -> *mut u8 {
        // SAFETY: As in `dma()`.
        unsafe { *self.va.get() }
    }
}

impl Slot {
    /// The owner gives the page away. The last `put_page()` brings it back.
    #[inline]
    pub(crate) fn hand_out(&self) {
        self.next.store(now(), Ordering::Relaxed);
        self.state.hand_out();
    }

    /// When the page was given away, by the clock of [`now`]. For a page that is out.
    pub(crate) fn left(&self) -> u32 {
        self.next.load(Ordering::Relaxed)
    }
}

/// The lower half of the kernel's clock, which counts [`RPP_HZ`](bindings::RPP_HZ) a second.
#[inline]
pub(crate) fn now() -> u32 {
    // SAFETY: Always there to be read, by a single access.
    // CAST: Ages are what is wanted, and those are short.
    unsafe { (&raw const bindings::jiffies).read_volatile() as u32 }
}

// SAFETY: The cells are written in state `Free` by one side and published by the state; what is read
// at other times is a single aligned word. The pages may be used from any thread.
unsafe impl Send for Slot {}
// SAFETY: As above.
unsafe impl Sync for Slot {}

/// Makes a table of `count` free slots.
pub(crate) fn table(count: usize) -> Result<Array<Slot>, AllocError> {
    array_from_fn(count, |_| Slot::new())
}

/// What a page of a pool carries in the first word of its union (`lru.next`).
///
/// ```text
/// 63      48 47      32 31            2 1  0
/// [ prefix ] [ pool   ] [ slot        ] 0  0
/// ```
///
/// The prefix makes the word a non-canonical address, so that it is no pointer that anybody else
/// stores there. Bit 0 would make the page a tail page, bit 1 would mark it as taken from the
/// emergency reserves.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tag(u64);

/// Also in `rust/helpers/hook.h`: the hook compares it before it calls.
const PREFIX: u64 = bindings::RPP_TAG as u64;
/// The largest number of slots that fits.
pub(crate) const MAX_SLOTS: usize = 1 << 30;

impl Tag {
    pub(crate) fn new(pool: u16, slot: u32) -> Self {
        Self(PREFIX << 48 | u64::from(pool) << 32 | u64::from(slot) << 2)
    }

    #[inline]
    pub(crate) fn pool(self) -> usize {
        (self.0 >> 32) as u16 as usize
    }

    #[inline]
    pub(crate) fn slot(self) -> usize {
        (self.0 as u32 >> 2) as usize
    }

    /// Reads the tag of a page that was seen to have one. If it has not, the result leads to no page, or
    /// to another one.
    ///
    /// # Safety
    ///
    /// `page` is a valid page.
    #[inline]
    pub(crate) unsafe fn seen(page: *mut bindings::page) -> Self {
        // SAFETY: The word is part of the page. Others may write it at any time.
        Self(unsafe { word0(page).read_volatile() })
    }

    /// Reads the tag of a page, if it has one. If it has not, the slot's state is seen to have left
    /// `Out`, should [`clear`](Self::clear) be the reason.
    ///
    /// # Safety
    ///
    /// `page` is a valid page.
    #[inline]
    pub(crate) unsafe fn of(page: *mut bindings::page) -> Option<Self> {
        // SAFETY: The word is part of the page. Others may write it at any time.
        let word = unsafe { AtomicU64::from_ptr(word0(page)) }.load(Ordering::Acquire);
        (word >> 48 == PREFIX).then_some(Self(word))
    }

    /// Writes the tag.
    ///
    /// # Safety
    ///
    /// The caller has the only reference to `page`.
    pub(crate) unsafe fn write(self, page: *mut bindings::page) {
        // SAFETY: By the safety requirement nobody else uses the word.
        unsafe { word0(page).write_volatile(self.0) };
    }

    /// Removes the tag, after what was done before.
    ///
    /// # Safety
    ///
    /// The caller has the only reference to `page`, or dropped the last one.
    #[inline]
    pub(crate) unsafe fn clear(page: *mut bindings::page) {
        // SAFETY: By the safety requirement nobody else writes the word.
        unsafe { AtomicU64::from_ptr(word0(page)) }.store(0, Ordering::Release);
    }
}

#[inline]
fn word0(page: *mut bindings::page) -> *mut u64 {
    const OFFSET: usize = core::mem::offset_of!(bindings::page, __bindgen_anon_1);
    page.wrapping_byte_add(OFFSET).cast()
}

/// Whether a page has none of `flags`, and nobody is charged for it.
///
/// # Safety
///
/// `page` is a valid page.
#[inline]
pub(crate) unsafe fn is_clean(page: *mut bindings::page, flags: c_ulong) -> bool {
    const FLAGS: usize = core::mem::offset_of!(bindings::page, flags);
    // SAFETY: The word is part of the page. Others may write it at any time.
    let has = unsafe { page.byte_add(FLAGS).cast::<c_ulong>().read_volatile() };
    #[cfg(CONFIG_MEMCG)]
    // SAFETY: As above.
    let memcg = unsafe { (&raw const (*page).memcg_data).read_volatile() };
    #[cfg(not(CONFIG_MEMCG))]
    let memcg = 0;
    has & flags == 0 && memcg == 0
}

/// Sets the reference count of a page.
///
/// # Safety
///
/// The count is 0 and the caller is the one that dropped it to 0, so that nobody else can take a
/// reference.
#[inline]
pub(crate) unsafe fn revive(page: *mut bindings::page) {
    // SAFETY: The field is part of the page, and always used as an atomic.
    unsafe { &*refcount(page) }.store(1, Ordering::Release);
}

/// The reference count of a page, as it was a moment ago.
///
/// # Safety
///
/// `page` is a valid page.
pub(crate) unsafe fn count(page: *mut bindings::page) -> u32 {
    // SAFETY: The field is part of the page, and always used as an atomic.
    unsafe { &*refcount(page) }.load(Ordering::Relaxed)
}

/// Drops the reference that [`revive`] made, and returns whether it was the last. It is not when
/// somebody took a speculative reference in between; that one's last put frees the page.
///
/// # Safety
///
/// The caller owns the reference, and gives it up.
pub(crate) unsafe fn unrevive(page: *mut bindings::page) -> bool {
    // SAFETY: As in `revive()`.
    unsafe { &*refcount(page) }.fetch_sub(1, Ordering::AcqRel) == 1
}

#[inline]
fn refcount(page: *mut bindings::page) -> *const AtomicU32 {
    page.wrapping_byte_add(core::mem::offset_of!(bindings::page, _refcount))
        .cast()
}
