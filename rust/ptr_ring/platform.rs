// SPDX-License-Identifier: GPL-2.0

//! What [`ptr_ring`](super::ptr_ring) takes from its surroundings: atomics and an array.
//!
//! The ring is compiled unchanged into the kernel, into ordinary host tests, and into loom models
//! that try its interleavings. This file is all that differs between the first two; loom has its own,
//! `tests/host/src/loom_platform.rs`.
//!
//! # Why not `kernel::sync::atomic`
//!
//! In a module each of its operations is a call into a C helper, even a plain load
//! (`CONFIG_RUST_INLINE_HELPERS` serves the kernel's own objects only). To bring one pointer through
//! the ring would take eight such calls, more than all the rest of the work.
//!
//! What the kernel's documentation warns of are atomics shared between code that follows the LKMM
//! and code that follows Rust's model. The ring shares none: only its own Rust code touches its
//! entries and indices, and all that it asks of them is message passing, for which both models give
//! the same guarantee to the same instructions: an `Acquire` load is `smp_load_acquire()`, a `Release`
//! store is `smp_store_release()`, and `Relaxed` is `READ_ONCE()` or `WRITE_ONCE()`. It uses no
//! read-modify-write operation and no fence. Code that takes more than this from here has to say why
//! it may.

pub use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};

#[cfg(CONFIG_RUST)]
mod array {
    use kernel::alloc::{
        flags::{GFP_KERNEL, __GFP_NOWARN},
        KVVec,
    };

    pub use kernel::alloc::AllocError;

    /// An array on the heap.
    pub type Array<E> = KVVec<E>;

    /// Allocates an array of `len` elements, each made by `element` for its index. May sleep. How long
    /// it is was the user's choice, who gets the error: the log is spared a stack trace.
    pub fn array_try_from_fn<E>(
        len: usize,
        element: impl Fn(usize) -> Result<E, AllocError>,
    ) -> Result<Array<E>, AllocError> {
        let mut array = KVVec::with_capacity(len, GFP_KERNEL | __GFP_NOWARN)?;
        for index in 0..len {
            array.push(element(index)?, GFP_KERNEL)?;
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

    /// Allocates an array of `len` elements, each made by `element` for its index.
    pub fn array_try_from_fn<E>(
        len: usize,
        element: impl Fn(usize) -> Result<E, AllocError>,
    ) -> Result<Array<E>, AllocError> {
        (0..len).map(element).collect()
    }
}

pub use array::{array_try_from_fn, AllocError, Array};

/// As [`array_try_from_fn`], of elements that can always be made.
pub fn array_from_fn<E>(len: usize, element: impl Fn(usize) -> E) -> Result<Array<E>, AllocError> {
    array_try_from_fn(len, |index| Ok(element(index)))
}
