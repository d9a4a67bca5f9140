// SPDX-License-Identifier: GPL-2.0

//! The limit: how many pages a pool may take from the system.
//!
//! A page counts from the moment it is taken until it goes back to the system, wherever it is: in a
//! cache, in a ring, posted to the device, or in a socket that nobody reads. The NAPI side is the
//! only one that takes, so checking and counting need not be one step there; pages may leave on any
//! CPU. The limit may change at any time; when it is lowered below what the pool has, nothing is
//! taken until enough has gone back. Nothing here is on the fast path.
//!
//! Long before it is reached the [`Pressure`] tells the driver to hand out fewer pages. That is the
//! feedback of J. Brouer's talk: a device is protected from those who keep its pages by what it still
//! gives them.
//!
//! Compiles in the kernel and on the host.

use crate::platform::{
    AtomicU32,
    Ordering, //
};

/// How close a pool is to its limit.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Pressure {
    /// There are pages enough.
    None,
    /// Three quarters of the pages that the pool may have are with the device, the stack or user space.
    /// What can be copied should be, for whoever gets a page may keep it.
    Some,
    /// Nine tenths are. No page should be given away any more.
    High,
}

/// With fewer pages than this there is [`Pressure::Some`] however few a pool may have: the device would
/// be left without. More than a driver lets its ring lack before it refills it.
const LOW: u32 = crate::cache::REFILL as u32;

/// With fewer pages in use than this, of at most `max`, more than a quarter of them is spare, and at least [`LOW`].
fn calm(max: u32) -> u32 {
    let spare = (max / 4).wrapping_add(1).max(LOW);
    max.saturating_add(1).saturating_sub(spare)
}

/// Pages taken, against the limit.
///
/// # Invariants
///
/// `owned` never exceeds the largest limit that was in force when pages were taken.
///
/// # Examples
///
/// ```
/// use page_pool::limit::{Limit, Pressure};
///
/// let limit = Limit::new(1000);
/// assert_eq!(limit.take(800), 800);
/// // All of them are with the stack.
/// assert_eq!(limit.pressure(|| 0), Pressure::Some);
/// // A hundred are home.
/// assert_eq!(limit.pressure(|| 100), Pressure::None);
/// assert_eq!(limit.take(800), 200);
///
/// limit.set(900);
/// assert_eq!(limit.excess(), 100);
/// limit.give_back(101);
/// assert_eq!(limit.take(800), 1);
/// ```
// A cache line of its own: others write here when pages leave the pool.
#[repr(align(64))]
pub struct Limit {
    max: AtomicU32,
    /// As long as fewer pages than this are used there is no pressure. Set with `max`, and follows from it.
    calm: AtomicU32,
    owned: AtomicU32,
}

impl Limit {
    /// Returns a limit of `max` pages, none of them taken.
    pub fn new(max: u32) -> Self {
        Self {
            max: AtomicU32::new(max),
            calm: AtomicU32::new(calm(max)),
            owned: AtomicU32::new(0),
        }
    }

    /// Returns how many of `want` pages may be taken now; they are counted.
    ///
    /// Called by one side only.
    pub fn take(&self, want: u32) -> u32 {
        let room = self.room();
        let granted = if want < room { want } else { room };
        // INVARIANT: Others only subtract, so there is at least as much room as was seen.
        self.owned.fetch_add(granted, Ordering::Acquire);
        granted
    }

    /// Notes that `count` pages went back to the system, and that their slots are free.
    ///
    /// Who may take pages after this sees that.
    ///
    /// Any context.
    pub fn give_back(&self, count: u32) {
        self.owned.fetch_sub(count, Ordering::Release);
    }

    /// Returns how many more may be taken.
    pub fn room(&self) -> u32 {
        self.max().saturating_sub(self.owned())
    }

    /// Returns how close the limit is, when `idle()` of the pages taken are used by nobody.
    #[inline]
    pub fn pressure(&self, idle: impl FnOnce() -> u32) -> Pressure {
        let (owned, calm) = (self.owned(), self.calm.load(Ordering::Relaxed));
        // Mostly they are so few that it does not matter how many are idle.
        if owned < calm {
            return Pressure::None;
        }
        let used = owned.saturating_sub(idle());
        if used < calm {
            return Pressure::None;
        }
        let max = self.max();
        if max.saturating_sub(used) > max / 10 {
            Pressure::Some
        } else {
            Pressure::High
        }
    }

    /// Returns how many pages the pool has.
    #[inline]
    pub fn owned(&self) -> u32 {
        self.owned.load(Ordering::Relaxed)
    }

    /// Puts another limit in force.
    ///
    /// Any context.
    pub fn set(&self, max: u32) {
        // INVARIANT: The next `take()` sees it; what was taken before was within the old one.
        self.max.store(max, Ordering::Relaxed);
        self.calm.store(calm(max), Ordering::Relaxed);
    }

    /// Returns how many pages the pool has above the limit, since that was lowered.
    pub fn excess(&self) -> u32 {
        self.owned().saturating_sub(self.max())
    }

    /// Returns the limit in force.
    #[inline]
    pub fn max(&self) -> u32 {
        self.max.load(Ordering::Relaxed)
    }
}

#[cfg(any(test, CONFIG_KUNIT))]
#[cfg_attr(CONFIG_KUNIT, kernel::prelude::kunit_tests(rust_page_pool_limit))]
mod tests {
    use super::*;

    #[test]
    fn limit_grants_what_is_left() {
        let limit = Limit::new(100);
        assert_eq!(limit.take(64), 64);
        assert_eq!(limit.take(64), 36);
        assert_eq!(limit.take(64), 0);
        assert_eq!(limit.owned(), 100);
        limit.give_back(1);
        assert_eq!(limit.take(64), 1);
        assert_eq!(limit.max(), 100);
    }

    #[test]
    fn limit_may_change() {
        let limit = Limit::new(10);
        assert_eq!(limit.take(8), 8);
        limit.set(5);
        assert_eq!(limit.excess(), 3);
        assert_eq!(limit.take(1), 0);
        limit.give_back(4);
        assert_eq!(limit.excess(), 0);
        assert_eq!(limit.take(8), 1);
        limit.set(7);
        assert_eq!(limit.take(8), 2);
        assert_eq!(limit.owned(), 7);
    }

    #[test]
    fn pressure_begins_at_three_quarters_and_nine_tenths() {
        let limit = Limit::new(1000);
        let used = |n, idle| {
            limit.give_back(limit.owned());
            assert_eq!(limit.take(n), n);
            limit.pressure(|| idle)
        };
        assert_eq!(used(0, 0), Pressure::None);
        assert_eq!(used(749, 0), Pressure::None);
        assert_eq!(used(750, 0), Pressure::Some);
        assert_eq!(used(899, 0), Pressure::Some);
        assert_eq!(used(900, 0), Pressure::High);
        assert_eq!(used(1000, 0), Pressure::High);
        // What nobody uses does not count.
        assert_eq!(used(1000, 251), Pressure::None);
        assert_eq!(used(1000, 250), Pressure::Some);
        assert_eq!(used(1000, 101), Pressure::Some);
        assert_eq!(used(1000, 100), Pressure::High);
        // Another limit, at once; below what there is as well.
        assert_eq!(used(600, 0), Pressure::None);
        limit.set(700);
        assert_eq!(limit.pressure(|| 0), Pressure::Some);
        limit.set(500);
        assert_eq!(limit.pressure(|| 0), Pressure::High);
        // Of a small pool three quarters are soon used: fewer than a batch left is pressure, too.
        limit.set(100);
        assert_eq!(used(36, 0), Pressure::None);
        assert_eq!(used(37, 0), Pressure::Some);
    }

    /// From the number of pages below which there is none, which is stored, follows what the documentation says.
    #[test]
    fn pressure_is_what_it_says() {
        const MOST: u32 = 700;
        for max in (0..=600).step_by(7).chain([u32::MAX]) {
            let limit = Limit::new(MOST);
            assert_eq!(limit.take(MOST), MOST);
            limit.set(max);
            for used in 0..=MOST {
                let spare = max.saturating_sub(used);
                let expected = if spare > max / 4 && spare >= 64 {
                    Pressure::None
                } else if spare > max / 10 {
                    Pressure::Some
                } else {
                    Pressure::High
                };
                assert_eq!(limit.pressure(|| MOST - used), expected);
            }
        }
    }
}
