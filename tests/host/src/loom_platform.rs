// SPDX-License-Identifier: GPL-2.0

//! `rust/page_pool/core/platform.rs` for loom.
//!
//! Loom's atomics cannot be used as they are. Loom remembers only the last access to an atomic, so
//! when a thread loads one and then writes to it, its load hides an earlier load by another thread,
//! and loom never tries the write before that (<https://github.com/tokio-rs/loom/issues/166>). Looking
//! at an entry before filling it is just what the ring does: without this file loom finds a single
//! interleaving in most models.
//!
//! So here each load is preceded by a store to a companion that nobody reads. Two such stores conflict,
//! which makes loom try both orders. They order nothing else, since they are `Relaxed`.
//!
//! And a model can be run without the orderings that the sources ask for: see [`without`].

pub use loom::sync::atomic::Ordering;

use loom::sync::atomic;
use std::{cell::Cell, ops::Deref};

/// A kind of operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `load`
    Loads,
    /// `store`
    Stores,
    /// `swap` and `compare_exchange`
    Exchanges,
}

thread_local! {
    static WITHOUT: Cell<Option<Kind>> = const { Cell::new(None) };
}

/// Runs `model` with all operations of a kind `Relaxed`, whatever is asked for. (All threads of a model
/// run on the thread that checks it.)
pub fn without(kind: Kind, model: impl FnOnce()) {
    struct Reset;
    impl Drop for Reset {
        fn drop(&mut self) {
            WITHOUT.set(None);
        }
    }
    let _reset = Reset;
    WITHOUT.set(Some(kind));
    model();
}

fn order(kind: Kind, asked: Ordering) -> Ordering {
    if WITHOUT.get() == Some(kind) {
        Ordering::Relaxed
    } else {
        asked
    }
}

/// An atomic of type `A` the loads of which are seen by loom.
pub struct Visible<A> {
    atomic: A,
    loads: atomic::AtomicBool,
}

impl<A> Visible<A> {
    fn wrap(atomic: A) -> Self {
        Self {
            atomic,
            loads: atomic::AtomicBool::new(false),
        }
    }
}

/// All other operations are loom's own.
impl<A> Deref for Visible<A> {
    type Target = A;

    fn deref(&self) -> &A {
        &self.atomic
    }
}

macro_rules! visible {
    ($($name:ident $(<$param:ident>)? : $value:ty),* $(,)?) => {$(
        /// Loom's atomic of the same name, with visible loads.
        pub type $name $(<$param>)? = Visible<atomic::$name $(<$param>)?>;

        impl $(<$param>)? $name $(<$param>)? {
            /// Creates a new atomic.
            pub fn new(value: $value) -> Self {
                Self::wrap(atomic::$name::new(value))
            }

            /// Loads the value.
            pub fn load(&self, ordering: Ordering) -> $value {
                self.loads.store(true, Ordering::Relaxed);
                self.atomic.load(order(Kind::Loads, ordering))
            }

            /// Stores a value.
            pub fn store(&self, value: $value, ordering: Ordering) {
                self.atomic.store(value, order(Kind::Stores, ordering));
            }

            /// Stores a value, and returns the one before.
            pub fn swap(&self, value: $value, ordering: Ordering) -> $value {
                self.atomic.swap(value, order(Kind::Exchanges, ordering))
            }

            /// Stores a value if there is the expected one, and returns the one before.
            pub fn compare_exchange(
                &self,
                current: $value,
                new: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                let success = order(Kind::Exchanges, success);
                self.atomic.compare_exchange(current, new, success, failure)
            }

            /// As [`compare_exchange`](Self::compare_exchange); may fail for no reason.
            pub fn compare_exchange_weak(
                &self,
                current: $value,
                new: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                let success = order(Kind::Exchanges, success);
                self.atomic.compare_exchange_weak(current, new, success, failure)
            }
        }
    )*};
}

visible! {
    AtomicBool: bool,
    AtomicPtr<T>: *mut T,
    AtomicU32: u32,
    AtomicU8: u8,
    AtomicUsize: usize,
}

/// As there; loom sees it if somebody does.
///
/// # Safety
///
/// As there.
pub unsafe fn read_quiet(byte: &AtomicU8) -> u8 {
    // SAFETY: By the safety requirement.
    unsafe { byte.atomic.unsync_load() }
}

// Of counters only, by which nothing is decided: loom need not try what else they may be.
pub use std::sync::atomic::AtomicU64;

// Memory is as in the other tests.
#[allow(unused_imports, unreachable_pub)]
#[path = "../../../rust/page_pool/core/platform.rs"]
mod plain;

pub use plain::{
    append, array_from_fn, array_with_capacity, block_from_fn, leak, unleak, AllocError, Array,
    Block,
};
