// SPDX-License-Identifier: GPL-2.0

//! The array cache that NAPI owns: a stack, so that the page used last, which is still warm in the
//! CPU's caches, is used next.
//!
//! Follows `struct pp_alloc_cache` in `include/net/page_pool/types.h`, also in its size: one NAPI
//! poll handles 64 packets, so 64 pages are fetched at once, and room for as many more lets a poll
//! that returns all of its pages meet a refill without a spill.
//!
//! Compiles in the kernel and on the host.

use core::mem::MaybeUninit;

/// How many pages a refill brings: one NAPI budget.
pub const REFILL: usize = 64;
/// How many pages the cache holds.
pub const SIZE: usize = 2 * REFILL;

/// A bounded stack of `T`.
///
/// # Invariants
///
/// `count <= capacity <= SIZE`, and `entries[..count]` are initialised.
pub struct Cache<T: Copy> {
    count: usize,
    capacity: usize,
    entries: [MaybeUninit<T>; SIZE],
}

impl<T: Copy> Cache<T> {
    /// Makes an empty cache for at most `capacity` entries, and never more than [`SIZE`]. A cache of
    /// capacity 0 is always empty and always full: each operation takes the slow path.
    pub fn new(capacity: usize) -> Self {
        // INVARIANT: Nothing is initialised and `count` is 0.
        Self {
            count: 0,
            capacity: if capacity < SIZE { capacity } else { SIZE },
            entries: [MaybeUninit::uninit(); SIZE],
        }
    }

    /// Takes the entry that came last.
    #[inline(always)]
    pub fn pop(&mut self) -> Option<T> {
        if self.count == 0 {
            return None;
        }
        // Cannot wrap, `count` is not 0; a checked subtraction would cost the fast path a branch.
        // INVARIANT: One entry less is in use.
        self.count = self.count.wrapping_sub(1);
        // SAFETY: By the type invariant the new `count` is in bounds, and the entry there, which was
        // the last one in use, is initialised.
        Some(unsafe { self.entries.get_unchecked(self.count).assume_init() })
    }

    /// Puts `value` on top, or hands it back if the cache is full.
    #[inline(always)]
    pub fn push(&mut self, value: T) -> Result<(), T> {
        if self.count >= self.capacity {
            return Err(value);
        }
        // SAFETY: `count < capacity <= SIZE` by the check above and the type invariant.
        unsafe { self.entries.get_unchecked_mut(self.count) }.write(value);
        // INVARIANT: The entry was just written, and `count < capacity` held.
        self.count = self.count.wrapping_add(1);
        Ok(())
    }

    /// How many entries are in the cache.
    #[inline]
    pub fn count(&self) -> usize {
        self.count
    }
}
