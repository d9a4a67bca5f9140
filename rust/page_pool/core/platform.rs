// SPDX-License-Identifier: GPL-2.0

//! What [`ptr_ring`](super::ptr_ring) takes from its surroundings: atomics and memory.
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

pub use core::sync::atomic::{
    AtomicBool,
    AtomicPtr,
    AtomicU32,
    AtomicU64,
    AtomicU8,
    AtomicUsize,
    Ordering, //
};

/// Reads a byte that nobody writes meanwhile, so that the compiler may compare it where it lies: one instruction less
/// for each packet.
///
/// # Safety
///
/// Nobody does.
#[inline(always)]
pub unsafe fn read_quiet(byte: &AtomicU8) -> u8 {
    // SAFETY: By the safety requirement.
    unsafe { *byte.as_ptr() }
}

#[cfg(CONFIG_RUST)]
mod memory {
    use core::ptr::NonNull;
    use kernel::alloc::{
        flags::{
            GFP_ATOMIC,
            GFP_KERNEL,
            __GFP_NOWARN, //
        },
        KBox,
        KVVec,
        KVec, //
    };

    pub use kernel::alloc::AllocError;

    /// An array on the heap.
    pub type Array<E> = KVVec<E>;

    /// An array in one piece of physical memory.
    pub type Block<E> = KVec<E>;

    /// Allocates an array of `len` elements, each made by `element` for its index.
    ///
    /// May sleep. How long it is was the user's choice, who gets the error: the log is spared a stack trace.
    pub fn array_from_fn<E>(
        len: usize,
        element: impl Fn(usize) -> E,
    ) -> Result<Array<E>, AllocError> {
        let mut array = KVVec::with_capacity(len, GFP_KERNEL | __GFP_NOWARN)?;
        for index in 0..len {
            // Nothing is allocated: there is room.
            array.push(element(index), GFP_KERNEL)?;
        }
        Ok(array)
    }

    /// As [`array_from_fn`], in any context but NMI: never by `vmalloc()`, whose locks process context
    /// takes with bottom halves on.
    pub fn block_from_fn<E>(
        len: usize,
        element: impl Fn(usize) -> E,
    ) -> Result<Block<E>, AllocError> {
        let mut block = KVec::with_capacity(len, GFP_ATOMIC | __GFP_NOWARN)?;
        for index in 0..len {
            block.push(element(index), GFP_ATOMIC)?;
        }
        Ok(block)
    }

    /// Allocates an empty array with room for `len` elements.
    ///
    /// May sleep.
    pub fn array_with_capacity<E>(len: usize) -> Result<Array<E>, AllocError> {
        KVVec::with_capacity(len, GFP_KERNEL | __GFP_NOWARN)
    }

    /// Appends an element, or hands it back if there is no room left.
    pub fn append<E>(array: &mut Array<E>, element: E) -> Result<(), E> {
        array.push_within_capacity(element).map_err(|full| full.0)
    }

    /// Puts a value on the heap, for [`unleak`] to drop.
    ///
    /// Any context but NMI.
    pub fn leak<T>(value: T) -> Result<NonNull<T>, AllocError> {
        let value = KBox::into_raw(KBox::new(value, GFP_ATOMIC | __GFP_NOWARN)?);
        NonNull::new(value).ok_or(AllocError)
    }

    /// Drops what [`leak`] made.
    ///
    /// # Safety
    ///
    /// - `value` is from [`leak`].
    /// - It is dropped once, and not used any more.
    pub unsafe fn unleak<T>(value: NonNull<T>) {
        // SAFETY: By the safety requirement it is from `leak()`, so from `KBox::into_raw()`, and dropped once: the
        // box is ours.
        drop(unsafe { KBox::from_raw(value.as_ptr()) });
    }
}

#[cfg(not(CONFIG_RUST))]
mod memory {
    use core::ptr::NonNull;

    /// Stands for the kernel's error of the same name.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct AllocError;

    /// An array on the heap.
    pub type Array<E> = Vec<E>;

    /// Allocates an array of `len` elements, each made by `element` for its index.
    pub fn array_from_fn<E>(
        len: usize,
        element: impl Fn(usize) -> E,
    ) -> Result<Array<E>, AllocError> {
        Ok((0..len).map(element).collect())
    }

    pub use {
        array_from_fn as block_from_fn,
        Array as Block, //
    };

    /// Allocates an empty array with room for `len` elements.
    pub fn array_with_capacity<E>(len: usize) -> Result<Array<E>, AllocError> {
        Ok(Vec::with_capacity(len))
    }

    /// Appends an element, or hands it back if there is no room left.
    pub fn append<E>(array: &mut Array<E>, element: E) -> Result<(), E> {
        if array.len() == array.capacity() {
            return Err(element);
        }
        array.push(element);
        Ok(())
    }

    /// Puts a value on the heap, for [`unleak`] to drop.
    pub fn leak<T>(value: T) -> Result<NonNull<T>, AllocError> {
        Ok(NonNull::from(Box::leak(Box::new(value))))
    }

    /// Drops what [`leak`] made.
    ///
    /// # Safety
    ///
    /// `value` is from [`leak`], is dropped once, and not used any more.
    pub unsafe fn unleak<T>(value: NonNull<T>) {
        // SAFETY: By the safety requirement it is from a box, and ours.
        drop(unsafe { Box::from_raw(value.as_ptr()) });
    }
}

pub use memory::{
    append,
    array_from_fn,
    array_with_capacity,
    block_from_fn,
    leak,
    unleak,
    AllocError,
    Array,
    Block, //
};
