// SPDX-License-Identifier: GPL-2.0

//! The slot table: the truth about each page of a pool, and about each buffer in it.
//!
//! `struct page` has a few spare words, but they are not ours to trust: once a page is with the
//! stack anybody may write them, and the page allocator does when a page gets there. So a page
//! carries only a [tag](Tag), a hint that says where to look. What is believed is the slot, and only
//! when it names that very page. Unmapping uses the DMA address of the slot, never one found in
//! `struct page`.
//!
//! A stale tag is harmless: it leads to no pool, to no slot, or to a slot of another page.

use crate::{
    list::END,
    platform::{
        array_from_fn,
        read_quiet,
        AllocError,
        Array,
        AtomicPtr,
        AtomicU32,
        AtomicU64,
        AtomicU8,
        Ordering, //
    },
    state::SlotState, //
};
use core::{
    mem::{
        offset_of,
        size_of,
        MaybeUninit, //
    },
    ptr::{
        null_mut,
        NonNull, //
    },
};
use kernel::{
    ffi::c_ulong,
    prelude::*,
    sync::barrier::{
        smp_mb,
        Read, //
    },
    transmute::FromBytes, //
};
use pp_bindings as bindings;

/// One buffer of a pool, and the page that it is in.
///
/// A page of two buffers has two slots, one behind the other. The first one is the page's: its state and its link
/// are those of the page, and those of the second one are not used.
///
/// Page and addresses are atomics because some read them who do not own the slot: the hook compares the
/// page, and the report on what is outstanding reads both. What they get is old or new, and they believe
/// neither.
///
/// # Invariants
///
/// - Unless the state of the page's first slot is `Free`, `page` is a page that this pool took from the page
///   allocator and mapped for its device; the buffer is there at `dma`, and for the CPU at `va`. These fields are
///   written only in state `Free`, by the pool's NAPI side.
/// - `to_other` and `to_first` bytes from here are the slots of the other buffer of a page, if it has two, and of its
///   first one. They do not change.
#[repr(C)]
pub(crate) struct Slot {
    page: AtomicPtr<bindings::page>,
    dma: AtomicU64,
    va: AtomicPtr<u8>,
    /// Who the page belongs to.
    pub(crate) state: SlotState,
    pub(crate) other: Other,
    to_other: i8,
    to_first: i8,
    /// The next slot, by index: of those that are free, or of those returned from interrupt context.
    /// While the page is out: since when.
    pub(crate) next: AtomicU32,
}

// Two slots share a cache line, none lies across two.
const _: () = assert!(size_of::<Slot>() == 32);

/// Whoever has a page for longer than 20 ms keeps it.
// CAST: It is 1000 at most.
const KEPT: u32 = bindings::RPP_HZ as u32 / 50;

impl Slot {
    /// Puts a mapped page into the slot.
    ///
    /// # Safety
    ///
    /// - The slot is free, and the caller is the pool's NAPI side.
    /// - The arguments are what the type invariant says of the fields.
    pub(crate) unsafe fn fill(&self, page: *mut bindings::page, dma: u64, va: *mut u8) {
        // SAFETY: The requirements are those of the caller's.
        unsafe { self.place(page, dma, va) };
        // INVARIANT: By the safety requirement.
        self.state.fill();
    }

    /// Returns the page.
    ///
    /// May be asked at any time: for a free slot the answer is a page that it once had.
    #[inline(always)]
    pub(crate) fn page(&self) -> *mut bindings::page {
        self.page.load(Ordering::Relaxed)
    }

    /// Returns the DMA address of the buffer's first byte, for who owns the buffer or won the slot.
    #[inline(always)]
    pub(crate) fn dma(&self) -> u64 {
        self.dma.load(Ordering::Relaxed)
    }

    /// Returns the address of the buffer's first byte, for who owns the buffer.
    ///
    /// Others may not go there.
    #[inline(always)]
    pub(crate) fn va(&self) -> *mut u8 {
        self.va.load(Ordering::Relaxed)
    }
}

impl Slot {
    /// Gives the page away, which its owner does.
    ///
    /// The last `put_page()` brings it back.
    #[inline]
    pub(crate) fn hand_out(&self) {
        self.next.store(now(), Ordering::Relaxed);
        self.state.hand_out();
    }

    /// Gives one of the page's two buffers away.
    ///
    /// For the page's first slot.
    #[inline(always)]
    pub(crate) fn lend(&self) {
        self.next.store(now(), Ordering::Relaxed);
        self.state.lend();
    }

    /// Says where the buffer is: of the second one of a page, whose state is that of the first.
    ///
    /// # Safety
    ///
    /// As for [`fill`](Self::fill), of the page's first slot.
    pub(crate) unsafe fn place(&self, page: *mut bindings::page, dma: u64, va: *mut u8) {
        // INVARIANT: By the safety requirement.
        self.page.store(page, Ordering::Relaxed);
        self.dma.store(dma, Ordering::Relaxed);
        self.va.store(va, Ordering::Relaxed);
    }

    /// Returns the slot of the other buffer of a page.
    ///
    /// # Safety
    ///
    /// `slot` is in a table that is there, of a pool whose pages have two buffers, and the pointer is good for all of
    /// that table.
    #[inline(always)]
    pub(crate) unsafe fn other(slot: NonNull<Self>) -> NonNull<Self> {
        // SAFETY: By the safety requirement the slot is there, and by its type invariant the other one of its page so
        // many bytes from it.
        unsafe { slot.byte_offset(slot.as_ref().to_other.into()) }
    }

    /// Returns the first slot of the page that a buffer is in.
    ///
    /// # Safety
    ///
    /// As for [`other`](Self::other).
    #[inline(always)]
    pub(crate) unsafe fn first(slot: NonNull<Self>) -> NonNull<Self> {
        // SAFETY: By the safety requirement the slot is there, and by its type invariant the first one of its page so
        // many bytes from it.
        unsafe { slot.byte_offset(slot.as_ref().to_first.into()) }
    }

    /// Returns when the page was given away, by the clock of [`now`].
    ///
    /// For a page that is out.
    pub(crate) fn left(&self) -> u32 {
        self.next.load(Ordering::Relaxed)
    }

    /// Returns whether the page is out, and was given away longer ago than any reader takes.
    pub(crate) fn is_kept(&self) -> bool {
        self.state.is_out() && now().wrapping_sub(self.left()) > KEPT
    }
}

/// Whether the other buffer of a page, of two, may be out. The page's state says whether it is.
///
/// So that a buffer that is recycled is asked only for what lies beside its address. NAPI's.
pub(crate) struct Other(AtomicU8);

impl Other {
    /// Returns what was noted last.
    ///
    /// # Safety
    ///
    /// The caller is the pool's NAPI side.
    #[inline(always)]
    pub(crate) unsafe fn may_be_out(&self) -> bool {
        // SAFETY: By the safety requirement we are the only one that writes to it, so nobody does meanwhile.
        unsafe { read_quiet(&self.0) != 0 }
    }

    /// Notes it.
    #[inline(always)]
    pub(crate) fn set(&self, may_be_out: bool) {
        self.0.store(may_be_out.into(), Ordering::Relaxed);
    }
}

/// Returns the lower half of the kernel's clock, which counts [`RPP_HZ`](bindings::RPP_HZ) a second.
#[inline]
pub(crate) fn now() -> u32 {
    // SAFETY: `jiffies` is there at any time. It changes at any time as well, hence the single access.
    // CAST: Ages are what is wanted, and those are short.
    unsafe { (&raw const bindings::jiffies).read_volatile() as u32 }
}

/// Makes a table of slots for so many pages of so many `buffers`, which are free and lead from one to the next.
pub(crate) fn table(pages: usize, buffers: usize) -> Result<Array<Slot>, AllocError> {
    // CAST: 32.
    const SIZE: i8 = size_of::<Slot>() as i8;
    let count = pages.checked_mul(buffers).ok_or(AllocError)?;
    let second = |index: usize| buffers > 1 && index % 2 != 0;
    array_from_fn(count, |index| Slot {
        page: AtomicPtr::new(null_mut()),
        dma: AtomicU64::new(0),
        va: AtomicPtr::new(null_mut()),
        state: SlotState::new(),
        // INVARIANT: A first slot is before the other one, and a second one behind it.
        to_other: if second(index) { -SIZE } else { SIZE },
        to_first: if second(index) { -SIZE } else { 0 },
        other: Other(AtomicU8::new(0)),
        // CAST: There are at most `MAX_SLOTS`.
        next: AtomicU32::new(if index + buffers < count {
            (index + buffers) as u32
        } else {
            END
        }),
    })
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
        Self(PREFIX << 48 | u64::from(pool) << 32).of_slot(slot)
    }

    /// Returns the tag of slot `slot`, from that of slot 0.
    #[inline(always)]
    pub(crate) fn of_slot(self, slot: u32) -> Self {
        Self(self.0 | u64::from(slot) << 2)
    }

    #[inline]
    pub(crate) fn pool(self) -> usize {
        (self.0 >> 32) as u16 as usize
    }

    #[inline]
    pub(crate) fn slot(self) -> usize {
        (self.0 as u32 >> 2) as usize
    }

    /// Reads the tag of a page that was seen to have one.
    ///
    /// If it has not, the result leads to no page, or to another one.
    ///
    /// # Safety
    ///
    /// `page` is a valid page.
    #[inline]
    pub(crate) unsafe fn seen(page: *mut bindings::page) -> Self {
        // SAFETY: By the safety requirement the page is valid, and the word is a part of it, aligned. Others may
        // write it at any time, hence the single access: any number will do.
        Self(unsafe { word0(page).read_volatile() })
    }

    /// Reads the tag of a page that may be anybody's, or be gone with its memory.
    ///
    /// `None`: it has none, and if [`clear`](Self::clear) is the reason, its slot is seen to have left `Out`.
    pub(crate) fn of(page: *mut bindings::page) -> Option<Self> {
        let word = peek(word0(page));
        smp_mb(Read);
        word.filter(|word| word >> 48 == PREFIX).map(Self)
    }

    /// Writes the tag.
    ///
    /// # Safety
    ///
    /// The caller has the only reference to `page`.
    pub(crate) unsafe fn write(self, page: *mut bindings::page) {
        // SAFETY: The word is a part of the page, which is valid, as the caller has a reference. That is the only
        // one, so nobody else uses the word, or reads it by a single access.
        unsafe { word0(page).write_volatile(self.0) };
    }

    /// Removes the tag, after what was done before.
    ///
    /// # Safety
    ///
    /// The caller has a reference to `page`, so that nobody drops the last one meanwhile; or dropped that.
    #[inline]
    pub(crate) unsafe fn clear(page: *mut bindings::page) {
        // SAFETY: The word is a part of the page, aligned, and there until we return: the caller has the only
        // reference, or dropped the last one, and nobody frees the page before. So nobody else writes the word,
        // and who reads it does so by a single access.
        unsafe { AtomicU64::from_ptr(word0(page)) }.store(0, Ordering::Release);
    }
}

#[inline]
fn word0(page: *mut bindings::page) -> *mut u64 {
    page.wrapping_byte_add(offset_of!(bindings::page, __bindgen_anon_1))
        .cast()
}

/// Reads kernel memory that may not be there: who takes memory out of a running system takes the `struct page`s of
/// what is free as well, and a page that went past the hook is free.
///
/// Process or softirq context.
pub(crate) fn peek<T: FromBytes>(from: *const T) -> Option<T> {
    let mut value = MaybeUninit::<T>::uninit();
    // SAFETY: `value` has room for so many bytes, and is ours. `from` may be any address: what is not there to be
    // read is an error, and no fault.
    let error = unsafe {
        bindings::copy_from_kernel_nofault(value.as_mut_ptr().cast(), from.cast(), size_of::<T>())
    };
    // SAFETY: Without an error all bytes of `value` were written, and by the contract of `FromBytes` any bytes are
    // a value.
    (error == 0).then(|| unsafe { value.assume_init() })
}

/// Returns whether the page is from the emergency reserves: the kernel's `page_is_pfmemalloc()`, which is an
/// inline function.
///
/// Asked of a page that has no tag yet.
///
/// # Safety
///
/// The caller owns `page`.
#[inline]
pub(crate) unsafe fn is_pfmemalloc(page: *mut bindings::page) -> bool {
    // SAFETY: By the safety requirement the page is the caller's, so it is valid, and nobody else writes the word,
    // which is a part of it.
    unsafe { word0(page).read() & 2 != 0 }
}

/// Returns whether a page has none of `flags`, and nobody is charged for it.
///
/// # Safety
///
/// `page` is a valid page.
#[inline]
pub(crate) unsafe fn is_clean(page: *mut bindings::page, flags: usize) -> bool {
    const FLAGS: usize = offset_of!(bindings::page, flags);
    // SAFETY: By the safety requirement the page is valid, and the word is a part of it. Others may write it at
    // any time, hence the single access: any number will do.
    let has = unsafe { page.byte_add(FLAGS).cast::<c_ulong>().read_volatile() };
    #[cfg(CONFIG_MEMCG)]
    // SAFETY: By the safety requirement the page is valid, and the word is a part of it. Others may write it at
    // any time, hence the single access.
    let memcg = unsafe { (&raw const (*page).memcg_data).read_volatile() };
    #[cfg(not(CONFIG_MEMCG))]
    let memcg = 0;
    has & flags == 0 && memcg == 0
}

/// Sets the reference count of a page, to one for each of its `buffers`.
///
/// # Safety
///
/// - `page` is valid and its count is 0.
/// - The caller is the one that dropped it to 0, so that nobody else can take a reference.
#[inline]
pub(crate) unsafe fn revive(page: *mut bindings::page, buffers: u32) {
    // SAFETY: The field is a part of the page, which is valid, of the size and alignment of an `AtomicU32`, and
    // always used as an atomic, in C as well.
    unsafe { &*refcount(page) }.store(buffers, Ordering::Release);
}

/// Takes `more` references to a page, from one that there is.
///
/// Others may have some for a moment (who walks all pages), so they are added.
///
/// # Safety
///
/// The caller has a reference to `page`.
#[inline]
pub(crate) unsafe fn get(page: *mut bindings::page, more: u32) {
    if more != 0 {
        // SAFETY: The field is a part of the page, which is valid as long as the caller's reference, of the size
        // and alignment of an `AtomicU32`, and always used as an atomic, in C as well.
        unsafe { &*refcount(page) }.fetch_add(more, Ordering::Relaxed);
    }
}

/// Returns whether there is one reference to a page, the caller's.
///
/// What others did to the page before they dropped theirs has happened.
///
/// # Safety
///
/// The caller has a reference to `page`.
#[inline]
pub(crate) unsafe fn is_only_reference(page: *mut bindings::page) -> bool {
    // SAFETY: The field is a part of the page, which is valid as long as the caller's reference, of the size and
    // alignment of an `AtomicU32`, and always used as an atomic, in C as well.
    unsafe { &*refcount(page) }.load(Ordering::Acquire) == 1
}

/// Returns whether there is more than one reference to a page, or was a moment ago.
///
/// The page may be anybody's, or be gone with its memory.
pub(crate) fn has_others(page: *mut bindings::page) -> bool {
    users(page).is_some_and(|(count, _)| count > 1)
}

/// Drops so many references to a page, of which none is the last.
///
/// # Safety
///
/// The caller has one more than those, and gives them up.
#[inline]
pub(crate) unsafe fn put_spare(page: *mut bindings::page, spare: u32) {
    if spare != 0 {
        // SAFETY: The field is a part of the page, which is valid as long as the caller's reference, of the size
        // and alignment of an `AtomicU32`, and always used as an atomic, in C as well.
        unsafe { &*refcount(page) }.fetch_sub(spare, Ordering::Release);
    }
}

/// Returns the reference count of a page, and whether user space has it mapped, as they were a moment ago.
///
/// The page may be anybody's, or be gone with its memory.
pub(crate) fn users(page: *mut bindings::page) -> Option<(u32, bool)> {
    const MAPCOUNT: usize = offset_of!(bindings::page, __bindgen_anon_2);
    let count = peek(refcount(page).cast::<u32>())?;
    // As `page_mapped()`: the count begins at -1.
    let mapped = peek(page.wrapping_byte_add(MAPCOUNT).cast::<i32>())?;
    Some((count, mapped >= 0))
}

/// Drops a reference that [`revive`] made, and returns whether it was the last.
///
/// It is not when somebody took a speculative reference in between; that one's last put frees the page.
///
/// # Safety
///
/// The caller owns the reference, and gives it up.
pub(crate) unsafe fn unrevive(page: *mut bindings::page) -> bool {
    // SAFETY: The field is a part of the page, which is valid as long as the caller's reference, of the size and
    // alignment of an `AtomicU32`, and always used as an atomic, in C as well.
    unsafe { &*refcount(page) }.fetch_sub(1, Ordering::AcqRel) == 1
}

#[inline]
fn refcount(page: *mut bindings::page) -> *const AtomicU32 {
    page.wrapping_byte_add(offset_of!(bindings::page, _refcount))
        .cast()
}

// The host has another tag, and no pages.
#[kunit_tests(rust_page_pool_tag)]
mod tests {
    use super::*;
    use kernel::page::Page;

    #[test]
    fn tag_names_pool_and_slot() {
        for pool in [0, 1, 0x8000, u16::MAX] {
            // CAST: 30 bits.
            for slot in [0, 1, 0x1234, MAX_SLOTS as u32 - 1] {
                let tag = Tag::new(pool, slot);
                assert_eq!(tag.pool(), usize::from(pool));
                assert_eq!(tag.slot(), slot as usize);
                assert!(tag == Tag::new(pool, 0).of_slot(slot));
                // No tail page, none of the reserves', and nobody's pointer.
                assert_eq!(tag.0 & 3, 0);
                assert!((1..0x1_ffff).contains(&(tag.0 >> 47)));
            }
        }
    }

    #[test]
    fn tag_is_on_the_page_until_it_is_cleared() -> Result {
        // With the hook in place: a tag of no pool does no harm either.
        let tag = Tag::new(u16::MAX, 7);
        let owner = Page::alloc_page(GFP_KERNEL)?;
        let page = owner.as_ptr().cast();
        assert!(Tag::of(page).is_none());
        // SAFETY: `owner` has the only reference to the page, and does not look at its words.
        unsafe { tag.write(page) };
        assert!(Tag::of(page) == Some(tag));
        // SAFETY: `owner` keeps the page, so it is valid.
        assert!(unsafe { Tag::seen(page) } == tag);
        // SAFETY: `owner` has the only reference to the page, and does not look at its words.
        assert!(!unsafe { is_pfmemalloc(page) });
        // SAFETY: `owner` has the only reference to the page, and does not look at its words.
        unsafe { Tag::clear(page) };
        assert!(Tag::of(page).is_none());
        Ok(())
    }

    #[test]
    fn tag_of_memory_that_is_not_there() {
        assert!(Tag::of(null_mut()).is_none());
    }
}
