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
//! A page may be two buffers, each with a reference to it. It is in state `Pool` as long as NAPI, or the device, has
//! one of them, and goes `Out` with the second one.
//!
//! Compiles in the kernel and on the host.

use crate::platform::{
    AtomicU8,
    Ordering, //
};

const FREE: u8 = 0;
const POOL: u8 = 1;
const OUT: u8 = 2;
const UNMAPPING: u8 = 3;

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

    /// `Out -> Pool`, by the one that dropped the last reference; or by NAPI, which got one of two buffers back,
    /// with its reference, so that nobody drops the last one meanwhile.
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

    /// Returns whether the pool or the driver has the page.
    #[inline]
    pub fn is_pool(&self) -> bool {
        self.0.load(Ordering::Acquire) == POOL
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
}
