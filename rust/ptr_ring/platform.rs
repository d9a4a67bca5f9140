// SPDX-License-Identifier: GPL-2.0

//! What [`ptr_ring`](super::ptr_ring) takes from its surroundings: atomics and an array.
//!
//! The ring is compiled unchanged into the kernel, into ordinary host tests, and into loom models
//! that try every interleaving. This file is all that differs between the three.
//!
//! # Why not `kernel::sync::atomic`
//!
//! In a module each of its operations is a call into a C helper, even a plain load
//! (`CONFIG_RUST_INLINE_HELPERS` serves the kernel's own objects only). One pass through the ring
//! would make six such calls, more than all the rest of its work.
//!
//! What the kernel's documentation warns of are atomics shared between code that follows the LKMM
//! and code that follows Rust's model. Nothing here is shared in that way: only the ring's own Rust
//! code touches its entries and indices, and all that it asks of them is message passing, for which
//! both models give the same guarantee to the same instructions: an `Acquire` load is
//! `smp_load_acquire()`, a `Release` store is `smp_store_release()`, and `Relaxed` is `READ_ONCE()`
//! or `WRITE_ONCE()`. There is no read-modify-write operation and no fence.

pub use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};

#[cfg(CONFIG_RUST)]
mod array {
    use kernel::alloc::{flags::GFP_KERNEL, KVVec};

    pub use kernel::alloc::AllocError;

    /// An array on the heap.
    pub type Array<E> = KVVec<E>;

    /// Allocates an array of `len` elements made by `element`. May sleep.
    pub fn array_from_fn<E>(len: usize, element: impl Fn() -> E) -> Result<Array<E>, AllocError> {
        let mut array = KVVec::with_capacity(len, GFP_KERNEL)?;
        for _ in 0..len {
            array.push(element(), GFP_KERNEL)?;
        }
        Ok(array)
    }
}

#[cfg(not(CONFIG_RUST))]
mod array {
    /// Stands for the kernel's error of the same name.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct AllocError;

    /// An array on the heap.
    pub type Array<E> = Vec<E>;

    /// Allocates an array of `len` elements made by `element`.
    pub fn array_from_fn<E>(len: usize, element: impl Fn() -> E) -> Result<Array<E>, AllocError> {
        Ok((0..len).map(|_| element()).collect())
    }
}

pub use array::{array_from_fn, AllocError, Array};
