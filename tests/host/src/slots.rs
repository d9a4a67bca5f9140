// SPDX-License-Identifier: GPL-2.0

//! Stands for `rust/page_pool/slots.rs`, which goes at `struct page` by its offsets.

use crate::{
    bindings::page,
    exclusive::pause,
    list::END,
    platform::{array_from_fn, AllocError, Array, AtomicBool, AtomicPtr, AtomicU32, Ordering},
    pool::{Mistake, Pool},
    state::SlotState,
};
use std::{
    cell::Cell,
    ops::Deref,
    ptr::{null_mut, NonNull},
};

/// One page of a pool.
pub(crate) struct Slot {
    page: AtomicPtr<page>,
    /// The addresses, which are as long there.
    _dma: u64,
    _va: u64,
    pub(crate) state: State,
    pub(crate) other: Other,
    pub(crate) second: bool,
    pub(crate) next: AtomicU32,
}

// As there.
#[cfg(not(loom))]
const _: () = assert!(std::mem::size_of::<Slot>() == 32);

impl Slot {
    /// As there.
    ///
    /// # Safety
    ///
    /// As there.
    pub(crate) unsafe fn fill(&self, page: *mut page, _dma: u64, _va: *mut u8) {
        self.page.store(page, Ordering::Relaxed);
        self.state.fill();
    }

    /// The page.
    pub(crate) fn page(&self) -> *mut page {
        pause();
        match Pool::hooked() {
            Some(page) if Pool::makes(Mistake::NoPageCompare) => page,
            _ => self.page.load(Ordering::Relaxed),
        }
    }

    /// See [`DmaDevice`](crate::pages::DmaDevice).
    pub(crate) fn dma(&self) -> u64 {
        self.page.load(Ordering::Relaxed) as u64
    }

    /// As there, but for the time.
    pub(crate) fn is_kept(&self) -> bool {
        self.state.is_out()
    }

    /// As there, but for the time.
    pub(crate) fn hand_out(&self) {
        self.next.store(0, Ordering::Relaxed);
        if Pool::makes(Mistake::OutTooLate) {
            LATE.set(self);
        } else {
            self.state.hand_out();
        }
    }

    /// As there.
    ///
    /// # Safety
    ///
    /// As there.
    pub(crate) unsafe fn place(&self, page: *mut page, _dma: u64, _va: *mut u8) {
        self.page.store(page, Ordering::Relaxed);
    }

    /// As there.
    ///
    /// # Safety
    ///
    /// As there.
    pub(crate) unsafe fn other(slot: NonNull<Self>) -> NonNull<Self> {
        // SAFETY: By the safety requirement.
        unsafe {
            if slot.as_ref().second {
                slot.sub(1)
            } else {
                slot.add(1)
            }
        }
    }

    /// As there.
    ///
    /// # Safety
    ///
    /// As there.
    pub(crate) unsafe fn first(slot: NonNull<Self>) -> NonNull<Self> {
        // SAFETY: By the safety requirement.
        unsafe {
            if slot.as_ref().second {
                slot.sub(1)
            } else {
                slot
            }
        }
    }

    /// As there, but for the time.
    pub(crate) fn lend(&self) {
        self.next.store(0, Ordering::Relaxed);
        if self.state.0.is_lent() && Pool::makes(Mistake::OutTooLate) {
            LATE.set(self);
        } else {
            self.state.lend();
        }
    }

    /// Does what a mistake has left out.
    pub(crate) fn hand_out_late() {
        // SAFETY: The pool's table is there as long as somebody uses the pool.
        if let Some(slot) = unsafe { LATE.replace(null_mut()).as_ref() } {
            if slot.state.0.is_lent() {
                slot.state.lend();
            } else {
                slot.state.hand_out();
            }
        }
    }
}

/// As there.
pub(crate) fn table(pages: usize, buffers: usize) -> Result<Array<Slot>, AllocError> {
    let count = pages * buffers;
    array_from_fn(count, |index| Slot {
        page: AtomicPtr::new(null_mut()),
        _dma: 0,
        _va: 0,
        state: State(SlotState::new()),
        other: Other(AtomicBool::new(false)),
        second: index % buffers != 0,
        next: AtomicU32::new(if index + buffers < count {
            (index + buffers) as u32
        } else {
            END
        }),
    })
}

std::thread_local! {
    /// A slot whose page is to go out when the reference has gone.
    static LATE: Cell<*const Slot> = const { Cell::new(null_mut()) };
}

/// As there.
pub(crate) struct Other(AtomicBool);

impl Other {
    /// As there. (Loom would see a load that races as well.)
    ///
    /// # Safety
    ///
    /// As there.
    pub(crate) unsafe fn may_be_out(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn set(&self, may_be_out: bool) {
        self.0.store(may_be_out, Ordering::Relaxed);
    }
}

/// The shipping state, and mistakes.
pub(crate) struct State(SlotState);

impl Deref for State {
    type Target = SlotState;

    fn deref(&self) -> &SlotState {
        pause();
        &self.0
    }
}

impl State {
    pub(crate) fn take_back(&self) -> bool {
        (**self).take_back() || Pool::makes(Mistake::TakeBackAlways)
    }

    pub(crate) fn claim(&self) -> bool {
        if !Pool::makes(Mistake::NoClaim) {
            return (**self).claim();
        }
        let out = (**self).is_out();
        if out {
            (**self).retire();
        }
        out
    }

    pub(crate) fn is_lent(&self) -> bool {
        (**self).is_lent() && !Pool::makes(Mistake::NeverLent)
    }

    pub(crate) fn is_unmapping(&self) -> bool {
        (**self).is_unmapping() && !Pool::makes(Mistake::NoWait)
    }
}

/// The slot's number, + 1. There is one pool at a time.
#[derive(Clone, Copy, PartialEq)]
pub(crate) struct Tag(usize);

impl Tag {
    pub(crate) fn new(_pool: u16, slot: u32) -> Self {
        Self(slot as usize + 1)
    }

    /// As there.
    pub(crate) fn of_slot(&self, slot: u32) -> Self {
        Self(self.0 + slot as usize)
    }

    /// As there.
    ///
    /// # Safety
    ///
    /// `page` is a valid page, and has a tag.
    pub(crate) unsafe fn seen(page: *mut page) -> Self {
        // SAFETY: By the safety requirement.
        Self(unsafe { &*page }.word.load(Ordering::Relaxed))
    }

    pub(crate) fn slot(&self) -> usize {
        self.0 - 1
    }

    /// As there.
    pub(crate) fn of(page: *mut page) -> Option<Self> {
        // SAFETY: A pool's slots have pages of its system.
        let word = unsafe { &*page }.word.load(Ordering::Acquire);
        (word != 0 && !Pool::makes(Mistake::AuditClaimsAll)).then_some(Self(word))
    }

    /// As there.
    ///
    /// # Safety
    ///
    /// As there.
    pub(crate) unsafe fn write(self, page: *mut page) {
        // SAFETY: By the safety requirement.
        unsafe { &*page }.word.store(self.0, Ordering::Relaxed);
    }

    /// As there.
    ///
    /// # Safety
    ///
    /// As there.
    pub(crate) unsafe fn clear(page: *mut page) {
        if !Pool::makes(Mistake::KeepTag) {
            // SAFETY: By the safety requirement.
            unsafe { &*page }.word.store(0, Ordering::Release);
        }
    }
}

/// No page is unusual.
///
/// # Safety
///
/// As there.
pub(crate) unsafe fn is_clean(_: *mut page, _: usize) -> bool {
    true
}

/// As there.
///
/// # Safety
///
/// As there.
pub(crate) unsafe fn revive(page: *mut page, buffers: u32) {
    let buffers = if Pool::makes(Mistake::ReviveOne) {
        1
    } else {
        buffers
    };
    let order = if Pool::makes(Mistake::ReviveRelaxed) {
        Ordering::Relaxed
    } else {
        Ordering::Release
    };
    if !Pool::makes(Mistake::FillBeforeRevive) {
        // SAFETY: By the safety requirement.
        unsafe { &*page }.count.store(buffers, order);
    }
}

/// As there.
///
/// # Safety
///
/// As there.
pub(crate) unsafe fn get(page: *mut page, more: u32) {
    // SAFETY: By the safety requirement.
    unsafe { &*page }.count.fetch_add(more, Ordering::Relaxed);
}

/// As there.
///
/// # Safety
///
/// As there.
pub(crate) unsafe fn is_only_reference(page: *mut page) -> bool {
    // SAFETY: By the safety requirement.
    let count = unsafe { &*page }.count.load(Ordering::Acquire);
    count == 1 || Pool::makes(Mistake::HalfIsHome)
}

/// As there.
pub(crate) fn has_others(page: *mut page) -> bool {
    // SAFETY: A pool's slots have pages of its system.
    unsafe { &*page }.count.load(Ordering::Relaxed) > 1
}

/// As there.
///
/// # Safety
///
/// As there.
pub(crate) unsafe fn put_spare(page: *mut page, spare: u32) {
    // SAFETY: By the safety requirement.
    let before = unsafe { &*page }.count.fetch_sub(spare, Ordering::Release);
    assert!(before > spare, "a reference that nobody had");
}

/// As there.
///
/// # Safety
///
/// As there.
pub(crate) unsafe fn unrevive(page: *mut page) -> bool {
    // SAFETY: By the safety requirement.
    unsafe { &*page }.count.fetch_sub(1, Ordering::AcqRel) == 1
}

/// No page is from the reserves.
///
/// # Safety
///
/// As there.
pub(crate) unsafe fn is_pfmemalloc(_: *mut page) -> bool {
    false
}
