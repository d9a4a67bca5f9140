// SPDX-License-Identifier: GPL-2.0

//! Who a page belongs to: the state machine of one slot.
//!
//! ```text
//!            map                hand_out
//!   Free ----------> Pool --------------------> Out
//!    ^                | ^ \                     /|
//!    |    unmapped    | |  `---- take_back ----' | claim (dying pool, escaped page)
//!    +--- Unmapping <-+ +                        |
//!             ^--------------------------------- +
//! ```
//!
//! A slot in state `Pool` has one owner at a time: the NAPI cache, a ring, the lock-less list, or a
//! buffer in the driver's hands. Only that owner moves it on, so plain stores do. A slot in state
//! `Out` belongs to whoever drops the page's last reference; while the pool lives that is one CPU,
//! so [`take_back`](SlotState::take_back) is a load and a store too. Only when the pool is being
//! destroyed do two sides want the same slot: then both use [`claim`](SlotState::claim), one wins,
//! and the winner removes the mapping. (An audit claims too, but only what cannot come back.)
//!
//! A page may be two buffers, each with a reference to it. Between `Pool` and `Out` it is `Lent`: NAPI, or the device,
//! has one of them, and the other one is out. As long as that is so only NAPI moves it on.
//!
//! Compiles in the kernel and on the host.

use crate::platform::{
    read_quiet,
    AtomicU8,
    Ordering, //
};

const FREE: u8 = 0;
const UNMAPPING: u8 = 1;
// In this order: each buffer of two that goes is one more.
const POOL: u8 = 2;
const LENT: u8 = 3;
const OUT: u8 = 4;

/// The state of one slot.
///
/// # Examples
///
/// ```
/// use page_pool::state::SlotState;
///
/// let state = SlotState::new();
/// state.fill();
/// state.hand_out();
/// // The last reference is dropped, and then one that nobody had.
/// assert!(state.take_back());
/// assert!(!state.take_back());
///
/// // The pool ends while the page is out: one of two sides removes the mapping.
/// state.hand_out();
/// assert!(state.claim());
/// assert!(!state.claim());
/// state.unmapped();
/// assert!(state.is_free());
///
/// // Of two buffers one goes, then the other one.
/// state.fill();
/// state.lend();
/// assert!(state.is_lent());
/// state.lend();
/// assert!(state.is_out());
/// ```
pub struct SlotState(AtomicU8);

impl SlotState {
    /// Makes the state of a slot without a page.
    pub fn new() -> Self {
        Self(AtomicU8::new(FREE))
    }

    /// `Free -> Pool`: a page was mapped and put into the slot.
    ///
    /// Only the pool's NAPI does this.
    #[inline]
    pub fn fill(&self) {
        self.0.store(POOL, Ordering::Release);
    }

    /// `Pool -> Out`: the owner gives the page away.
    ///
    /// The last `put_page()` brings it back.
    #[inline]
    pub fn hand_out(&self) {
        // What the owner did to the page happens before the last put: whoever drops a reference
        // before the last one does so with release semantics, and the hook runs after the last.
        self.0.store(OUT, Ordering::Relaxed);
    }

    /// `Pool -> Lent -> Out`: NAPI gives one of two buffers away.
    ///
    /// Nobody else moves the state until it is `Out`. As for [`hand_out`](Self::hand_out).
    #[inline(always)]
    pub fn lend(&self) {
        let state = self.0.load(Ordering::Relaxed);
        self.0.store(state.wrapping_add(1), Ordering::Relaxed);
    }

    /// `Out -> Lent -> Pool`: NAPI got one of two buffers back, with its reference.
    ///
    /// `false`: none was out.
    ///
    /// # Safety
    ///
    /// The caller is the pool's NAPI side, and has that reference: so nobody drops the last one meanwhile.
    #[inline(always)]
    pub unsafe fn take_one_back(&self) -> bool {
        // SAFETY: By the safety requirement only the caller moves the state.
        if unsafe { read_quiet(&self.0) } < LENT {
            return false;
        }
        let state = self.0.load(Ordering::Relaxed);
        self.0.store(state.wrapping_sub(1), Ordering::Relaxed);
        true
    }

    /// `Lent -> Pool`: the buffer that was out is nobody's any more, and NAPI's again.
    #[inline]
    pub fn rejoin(&self) {
        self.0.store(POOL, Ordering::Relaxed);
    }

    /// `Out -> Pool`, by the one that dropped the last reference.
    ///
    /// `false`: the slot was not out, so somebody dropped a reference that was not theirs.
    ///
    /// Only while the pool cannot be dying; see [`claim`](Self::claim) for then.
    #[inline]
    pub fn take_back(&self) -> bool {
        if self.0.load(Ordering::Relaxed) != OUT {
            return false;
        }
        // The ring that takes the slot next publishes it.
        self.0.store(POOL, Ordering::Relaxed);
        true
    }

    /// `Out -> Unmapping`, by one of the sides that race for it.
    ///
    /// The winner gets `true`, removes the mapping and calls [`unmapped`](Self::unmapped).
    #[inline]
    pub fn claim(&self) -> bool {
        self.0
            .compare_exchange(OUT, UNMAPPING, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
    }

    /// `Pool -> Unmapping`, by the owner: the page leaves the pool for good.
    #[inline]
    pub fn retire(&self) {
        self.0.store(UNMAPPING, Ordering::Relaxed);
    }

    /// `Unmapping -> Free`: the mapping is gone, the slot may be filled again.
    #[inline]
    pub fn unmapped(&self) {
        self.0.store(FREE, Ordering::Release);
    }

    /// Returns whether somebody is just removing the mapping.
    ///
    /// The loser of a [`claim`](Self::claim) waits for that, so that no page is free while its device can still
    /// write to it.
    #[inline]
    pub fn is_unmapping(&self) -> bool {
        self.0.load(Ordering::Acquire) == UNMAPPING
    }

    /// Returns whether the slot has no page.
    #[inline]
    pub fn is_free(&self) -> bool {
        self.0.load(Ordering::Acquire) == FREE
    }

    /// Returns whether the pool or the driver has the page, or a buffer of it.
    #[inline]
    pub fn is_pool(&self) -> bool {
        matches!(self.0.load(Ordering::Acquire), POOL | LENT)
    }

    /// Returns whether one of two buffers is out, and the other one is not.
    ///
    /// Others than NAPI get what was the answer a moment ago.
    pub fn is_lent(&self) -> bool {
        self.0.load(Ordering::Relaxed) == LENT
    }

    /// Returns whether the page is with the stack.
    #[inline]
    pub fn is_out(&self) -> bool {
        self.0.load(Ordering::Acquire) == OUT
    }
}

impl Default for SlotState {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(any(test, CONFIG_KUNIT))]
#[cfg_attr(CONFIG_KUNIT, kernel::prelude::kunit_tests(rust_page_pool_state))]
mod tests {
    use super::*;

    #[test]
    fn state_goes_round() {
        let state = SlotState::new();
        assert!(state.is_free());
        // Nothing is there to come back.
        assert!(!state.take_back());
        assert!(!state.claim());
        for _ in 0..3 {
            state.fill();
            assert!(state.is_pool());
            // The page is in the pool.
            assert!(!state.take_back());
            assert!(!state.claim());
            state.hand_out();
            assert!(state.is_out());
            // It comes back, once.
            assert!(state.take_back());
            assert!(!state.take_back());
            state.retire();
            assert!(state.is_unmapping());
            state.unmapped();
            assert!(state.is_free());
        }
        state.fill();
        state.hand_out();
        // One side wins, and the page does not come back.
        assert!(state.claim());
        assert!(!state.claim());
        assert!(!state.take_back());
        state.unmapped();
        assert!(state.is_free());
    }

    #[test]
    fn state_of_two_buffers() {
        let state = SlotState::new();
        // SAFETY: Nobody else knows of it.
        let take_one_back = || unsafe { state.take_one_back() };
        assert!(!take_one_back());
        state.fill();
        assert!(!take_one_back());
        for _ in 0..3 {
            state.lend();
            assert!(state.is_lent());
            // Not for who drops references: one is NAPI's.
            assert!(state.is_pool());
            assert!(!state.take_back());
            assert!(!state.claim());
            state.lend();
            assert!(state.is_out());
            assert!(!state.is_lent());
            // One comes back, and the other one was put meanwhile.
            assert!(take_one_back());
            assert!(state.is_lent());
            state.rejoin();
            assert!(state.is_pool());
            assert!(!state.is_lent());
            // Or both come.
            state.lend();
            state.lend();
            assert!(take_one_back());
            assert!(take_one_back());
            assert!(!take_one_back());
            // Or both were put.
            state.lend();
            state.lend();
            assert!(state.take_back());
        }
        state.lend();
        state.retire();
        assert!(!take_one_back());
        state.unmapped();
        assert!(state.is_free());
    }
}
