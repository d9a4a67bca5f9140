// SPDX-License-Identifier: GPL-2.0

//! What one thread at a time may use, and what makes sure that it does: loom, which also wants one use
//! to be ordered after the other, or a flag. And, without loom, what makes races likely.

#[cfg(loom)]
mod watched {
    /// A value that has one user at a time.
    pub struct Exclusive<T>(loom::cell::UnsafeCell<T>);

    impl<T> Exclusive<T> {
        /// Makes one.
        pub fn new(value: T) -> Self {
            Self(loom::cell::UnsafeCell::new(value))
        }

        /// Uses the value. Loom panics when another use is not ordered before or after this one.
        pub fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
            // SAFETY: Loom checks that there is no other user.
            self.0.with_mut(|value| f(unsafe { &mut *value }))
        }
    }

    /// Loom tries everything anyway.
    pub(crate) fn pause() {}
}

#[cfg(not(loom))]
mod watched {
    use std::{
        cell::{Cell, RefCell, UnsafeCell},
        sync::{
            atomic::{AtomicBool, Ordering},
            Arc,
        },
    };

    /// A value that has one user at a time.
    pub struct Exclusive<T> {
        value: UnsafeCell<T>,
        used: AtomicBool,
    }

    impl<T> Exclusive<T> {
        /// Makes one.
        pub fn new(value: T) -> Self {
            Self {
                value: UnsafeCell::new(value),
                used: AtomicBool::new(false),
            }
        }

        /// Uses the value. Panics when there is another user.
        pub fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
            assert!(!self.used.swap(true, Ordering::Acquire), "two owners");
            // SAFETY: There is no other user, as was just seen.
            let result = f(unsafe { &mut *self.value.get() });
            self.used.store(false, Ordering::Release);
            result
        }
    }

    thread_local! {
        static RANDOM: Cell<u64> = const { Cell::new(0) };
        static OTHER_FAILED: RefCell<Arc<AtomicBool>> = RefCell::default();
    }

    /// From here on this thread panics instead of waiting for another one of which `failed` says that it has.
    pub fn no_wait_if(failed: Arc<AtomicBool>) {
        OTHER_FAILED.set(failed);
    }

    /// Waits a moment for another thread.
    pub fn relax() {
        let failed = OTHER_FAILED.with_borrow(|failed| failed.load(Ordering::Relaxed));
        assert!(!failed, "the other thread failed");
        std::thread::yield_now();
    }

    /// From here on this thread dawdles at random, with another `seed` at other times.
    pub fn dawdle(seed: u64) {
        RANDOM.set(seed);
    }

    /// Takes a while if this thread [dawdles](dawdle): mostly no time, sometimes about as long as what it
    /// races with, and now and then until the other threads of this CPU have run.
    pub fn pause() {
        let random = xorshift(RANDOM.get());
        RANDOM.set(random);
        match random % 1024 {
            1 => std::thread::yield_now(),
            2..256 => (0..random >> 32 & 0x3f).for_each(|_| std::hint::spin_loop()),
            _ => {}
        }
    }

    /// The next number; 0 stays 0.
    fn xorshift(mut n: u64) -> u64 {
        n ^= n << 13;
        n ^= n >> 7;
        n ^ n << 17
    }
}

pub use watched::*;

// SAFETY: `with()` lets one thread at a time use the value, or panics.
unsafe impl<T: Send> Sync for Exclusive<T> {}
