// SPDX-License-Identifier: GPL-2.0

//! The lock-less list for pages that come back where no ring can be used: in hard interrupt context
//! or with interrupts off, between any two instructions of a ring's producer.
//!
//! A Treiber stack of slot indices: anybody pushes, the pool's NAPI takes all at once. Because
//! nobody pops a single entry, an entry cannot come back under the feet of one who does (no ABA).
//! Follows `lib/llist.c`.
//!
//! Compiles in the kernel and on the host.

use crate::platform::{
    AtomicU32,
    Ordering, //
};

/// The end of a chain.
pub const END: u32 = u32::MAX;

/// A list of slots, by index.
///
/// # Examples
///
/// ```
/// use page_pool::{
///     list::{List, END},
///     platform::{AtomicU32, Ordering},
/// };
///
/// // Where each of three slots keeps its link.
/// let next = [0; 3].map(AtomicU32::new);
/// let list = List::new();
/// list.push(2, &next[2]);
/// list.push(0, &next[0]);
///
/// assert_eq!(list.take_all(), 0);
/// assert_eq!(next[0].load(Ordering::Relaxed), 2);
/// assert_eq!(next[2].load(Ordering::Relaxed), END);
/// assert_eq!(list.take_all(), END);
/// ```
pub struct List {
    head: AtomicU32,
}

impl List {
    /// Makes an empty list.
    pub fn new() -> Self {
        Self {
            head: AtomicU32::new(END),
        }
    }

    /// Puts `index` on the list; `next` is where that slot keeps its link.
    ///
    /// Any context.
    pub fn push(&self, index: u32, next: &AtomicU32) {
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            next.store(head, Ordering::Relaxed);
            match self
                .head
                .compare_exchange_weak(head, index, Ordering::Release, Ordering::Relaxed)
            {
                Ok(_) => return,
                Err(now) => head = now,
            }
        }
    }

    /// Takes all slots; the result is the first of a chain that ends with [`END`].
    pub fn take_all(&self) -> u32 {
        // Looking first keeps the cache line shared while there is nothing, which is nearly always.
        if self.head.load(Ordering::Relaxed) == END {
            return END;
        }
        self.head.swap(END, Ordering::Acquire)
    }
}

impl Default for List {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(any(test, CONFIG_KUNIT))]
#[cfg_attr(CONFIG_KUNIT, kernel::prelude::kunit_tests(rust_page_pool_list))]
mod tests {
    use super::*;

    #[test]
    fn list_gives_back_all_once() {
        let next = [0; 10].map(AtomicU32::new);
        let list = List::new();
        assert_eq!(list.take_all(), END);
        for i in [3, 1, 7] {
            list.push(i, &next[i as usize]);
        }
        let mut at = list.take_all();
        for i in [7, 1, 3] {
            assert_eq!(at, i);
            at = next[i as usize].load(Ordering::Relaxed);
        }
        assert_eq!(at, END);
        assert_eq!(list.take_all(), END);
    }
}
