// SPDX-License-Identifier: GPL-2.0

//! Buffers of pages that have one or [two](crate::layout), and who has them.
//!
//! Each buffer has a reference to its page. Those are there as long as the page is the pool's, so nothing is
//! counted when a buffer goes from the cache to the device's ring and back. One that goes to the stack takes its
//! reference along; the other one of the page is used on. A page comes home by the hook when both have gone and
//! were put. When only one has, NAPI sees that it was put when it is done with the other one, and has both again.

use crate::{
    cache::Cache,
    slots::Slot, //
};
use core::{
    ops::Deref,
    ptr::NonNull, //
};

/// A buffer, with its reference to the page.
///
/// # Invariants
///
/// - The slot is in the table of a pool that exists, and the pointer good for all of that table.
/// - The page is in state `Pool`. The buffer is not out, and nobody else has it.
/// - Whoever has this is the pool's NAPI side, or it is stored for that.
#[must_use]
#[repr(transparent)]
pub(crate) struct Frag(NonNull<Slot>);

// SAFETY: As for `Owned`: a slot's fields are atomics, and the buffer belongs to whoever has this.
unsafe impl Send for Frag {}

impl Frag {
    /// Takes over a buffer.
    ///
    /// # Safety
    ///
    /// It is as the type invariants say.
    #[inline(always)]
    pub(crate) unsafe fn new(slot: NonNull<Slot>) -> Self {
        // INVARIANT: By the safety requirement.
        Self(slot)
    }

    /// Returns a pointer that is good for all of the table.
    #[inline(always)]
    pub(crate) fn raw(&self) -> NonNull<Slot> {
        self.0
    }

    /// Gives up the ownership, to whom the pointer goes.
    #[inline(always)]
    pub(crate) fn into_raw(self) -> NonNull<Slot> {
        self.0
    }

    /// Returns the first slot of the page, which has two buffers.
    #[inline(always)]
    pub(crate) fn first(&self) -> &Slot {
        // SAFETY: By the type invariants the slot is in a table that is there, and the pointer good for that. It is
        // only shared: its fields are atomics.
        unsafe { Slot::first(self.0).as_ref() }
    }

    /// Gives the buffer away, and the page with it unless NAPI has another one of its `buffers`: its reference to the
    /// page is the caller's from here on.
    ///
    /// The pool is one that recycles.
    #[inline(always)]
    pub(crate) fn let_go(self, buffers: u32) {
        if buffers == 1 {
            self.hand_out();
        } else {
            // SAFETY: By the type invariants the slot is in a table that is there, and the pointer good for that. It
            // is one of a page that has two.
            unsafe { Slot::other(self.0).as_ref() }.other.set(true);
            self.first().lend();
        }
    }
}

impl Deref for Frag {
    type Target = Slot;

    #[inline(always)]
    fn deref(&self) -> &Slot {
        // SAFETY: By the type invariant the slot is in a table that is there. It is only shared: its fields are
        // atomics.
        unsafe { self.0.as_ref() }
    }
}

/// Makes buffers of pages that are just written into the first `pages` free entries of a cache, and counts them.
///
/// # Safety
///
/// - The entries are the slots of pages that are all ours, with so many `buffers`.
/// - There is room in the cache for all of those.
pub(crate) unsafe fn divide(cache: &mut Cache<Frag>, pages: usize, buffers: u32) {
    let mut count = pages;
    if buffers > 1 {
        let entries = cache.spare();
        // From the last one, for each goes where another one was.
        for n in (0..pages).rev() {
            let at = n.wrapping_mul(2);
            // SAFETY: By the safety requirement entry `n` is a buffer that is ours, and so is the other one of its
            // page; and there is room for two for each page.
            unsafe {
                let first = entries.get_unchecked(n).assume_init_read();
                let second = Frag::new(Slot::other(first.0));
                entries.get_unchecked_mut(at).write(second);
                entries.get_unchecked_mut(at.wrapping_add(1)).write(first);
            }
        }
        count = pages.wrapping_mul(2);
    }
    // SAFETY: By the safety requirement there is room, and so many entries are written.
    unsafe { cache.added(count) };
}
