// SPDX-License-Identifier: GPL-2.0

//! Who has a slot has its page.

use crate::slots::Slot;
use core::{
    ops::Deref,
    ptr::NonNull, //
};

/// A slot whose page is the pool's, and with it the page: what is on its way into a ring, to the list, or out of
/// the pool. (What NAPI works with are [buffers](crate::frags::Frag).)
///
/// In a ring or on the list it is a plain pointer or number. Dropping one loses the page, until the pool ends.
///
/// # Invariants
///
/// The slot is in the table of a pool that exists, in state `Pool`, and nobody else has it.
#[must_use]
#[repr(transparent)]
pub(crate) struct Owned(NonNull<Slot>);

impl Owned {
    /// Takes over a slot.
    ///
    /// # Safety
    ///
    /// - The slot is in the table of a pool that exists, in state `Pool`.
    /// - The caller has it alone, and does not use it any more.
    #[inline(always)]
    pub(crate) unsafe fn new(slot: NonNull<Slot>) -> Self {
        // INVARIANT: By the safety requirement.
        Self(slot)
    }

    /// Gives up the ownership, to whom the pointer goes.
    #[inline(always)]
    pub(crate) fn into_raw(self) -> NonNull<Slot> {
        self.0
    }
}

impl Deref for Owned {
    type Target = Slot;

    #[inline(always)]
    fn deref(&self) -> &Slot {
        // SAFETY: By the type invariant the slot is in a table that is there. It is only shared, also with those
        // who do not own it: its fields are atomics.
        unsafe { self.0.as_ref() }
    }
}

// SAFETY: A slot may be had by any thread: its fields are atomics, and the page, which belongs to no CPU, to
// whoever has the slot.
unsafe impl Send for Owned {}
