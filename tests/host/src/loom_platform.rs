// SPDX-License-Identifier: GPL-2.0

//! `rust/ptr_ring/platform.rs` for loom.
//!
//! Loom's atomics cannot be used as they are. Loom remembers only the last access to an atomic, so
//! when a thread loads one and then writes to it, its load hides an earlier load by another thread,
//! and loom never tries the write before that (<https://github.com/tokio-rs/loom/issues/166>). Looking
//! at an entry before filling it is just what the ring does: without this file loom finds a single
//! interleaving in most models.
//!
//! So here each load is preceded by a store to a companion that nobody reads. Two such stores conflict,
//! which makes loom try both orders. They order nothing else, since they are `Relaxed`.

pub use loom::sync::atomic::Ordering;

use loom::sync::atomic;
use std::ops::Deref;

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

/// All operations but loads are loom's own.
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
                self.atomic.load(ordering)
            }
        }
    )*};
}

visible! {
    AtomicBool: bool,
    AtomicPtr<T>: *mut T,
    AtomicU32: u32,
    AtomicU64: u64,
    AtomicUsize: usize,
}

/// Stands for the kernel's error of the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AllocError;

/// An array on the heap.
pub type Array<E> = Vec<E>;

/// Allocates an array of `len` elements made by `element`.
pub fn array_from_fn<E>(len: usize, element: impl Fn() -> E) -> Result<Array<E>, AllocError> {
    Ok((0..len).map(|_| element()).collect())
}
