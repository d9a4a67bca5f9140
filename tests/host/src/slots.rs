// SPDX-License-Identifier: GPL-2.0

//! Stands for `rust/page_pool/slots.rs`, which goes at `struct page` by its offsets.

use crate::{
    bindings::page,
    exclusive::pause,
    list::END,
    platform::{array_from_fn, AllocError, Array, AtomicPtr, AtomicU32, Ordering},
    pool::{Mistake, Pool},
    state::SlotState,
};
use std::{ops::Deref, ptr::null_mut};

/// One page of a pool.
pub(crate) struct Slot {
    page: AtomicPtr<page>,
    /// The addresses, which are as long there.
    _dma: u64,
    _va: u64,
    pub(crate) state: State,
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
    pub(crate) fn hand_out(&self) {
        self.next.store(0, Ordering::Relaxed);
        self.state.hand_out();
    }
}

/// As there.
pub(crate) fn table(count: usize) -> Result<Array<Slot>, AllocError> {
    array_from_fn(count, |index| Slot {
        page: AtomicPtr::new(null_mut()),
        _dma: 0,
        _va: 0,
        state: State(SlotState::new()),
        next: AtomicU32::new(if index + 1 < count {
            index as u32 + 1
        } else {
            END
        }),
    })
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
pub(crate) unsafe fn revive(page: *mut page) {
    let order = if Pool::makes(Mistake::ReviveRelaxed) {
        Ordering::Relaxed
    } else {
        Ordering::Release
    };
    if !Pool::makes(Mistake::FillBeforeRevive) {
        // SAFETY: By the safety requirement.
        unsafe { &*page }.count.store(1, order);
    }
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
