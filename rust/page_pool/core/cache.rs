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

/// A bounded stack of `T`, which can be closed.
///
/// A closed cache looks always empty and always full, so that each operation of the fast path takes the
/// slow one, which then uses [`take`](Self::take) and [`put`](Self::put). So what only the slow path
/// knows how to do (a device that needs syncs, a pool that does not recycle) costs the fast path not
/// even a test.
///
/// # Invariants
///
/// - `entries[..count + hidden]` are initialised, and `count + hidden <= SIZE`.
/// - `capacity` is `SIZE` and `hidden` is 0, or the cache is closed and `capacity` and `count` are 0.
///
/// # Examples
///
/// ```
/// use page_pool::cache::{Cache, SIZE};
///
/// let mut cache = Cache::new();
/// assert!((0..SIZE).all(|page| cache.push(page).is_ok()));
/// // It is full, and the page goes elsewhere.
/// assert_eq!(cache.push(SIZE), Err(SIZE));
/// // The last one in is the first one out.
/// assert_eq!(cache.pop(), Some(SIZE - 1));
///
/// cache.close();
/// assert_eq!(cache.pop(), None);
/// assert_eq!(cache.take(), Some(SIZE - 2));
/// ```
pub struct Cache<T> {
    /// What the fast path sees.
    count: usize,
    capacity: usize,
    /// What is in a closed cache.
    hidden: usize,
    entries: [MaybeUninit<T>; SIZE],
}

impl<T> Cache<T> {
    /// Makes an empty cache.
    pub fn new() -> Self {
        // INVARIANT: Nothing is initialised and nothing is counted.
        Self {
            count: 0,
            capacity: SIZE,
            hidden: 0,
            entries: [const { MaybeUninit::uninit() }; SIZE],
        }
    }

    /// Closes the cache.
    ///
    /// What is in it stays.
    pub fn close(&mut self) {
        // INVARIANT: The sum stays the same.
        self.hidden = self.count();
        self.count = 0;
        self.capacity = 0;
    }

    /// Takes the entry that came last.
    #[inline(always)]
    pub fn pop(&mut self) -> Option<T> {
        let last = self.count.checked_sub(1)?;
        // INVARIANT: One entry less is in use.
        self.count = last;
        // SAFETY: By the type invariant the entry, which was the last one in use, is in bounds and initialised. It
        // is not in use any more, so its value is read once.
        Some(unsafe { self.entries.get_unchecked(last).assume_init_read() })
    }

    /// Puts `value` on top, or hands it back if the cache is full.
    #[inline(always)]
    pub fn push(&mut self, value: T) -> Result<(), T> {
        if self.count >= self.capacity {
            return Err(value);
        }
        // SAFETY: `count` is less than `capacity`, as was just checked, and that is at most `SIZE`, by the type
        // invariant: so the entry is in bounds.
        unsafe { self.entries.get_unchecked_mut(self.count) }.write(value);
        // INVARIANT: The entry was just written, and `count < capacity` held.
        self.count = self.count.wrapping_add(1);
        Ok(())
    }

    /// As [`pop`](Self::pop), also from a closed cache.
    pub fn take(&mut self) -> Option<T> {
        if let Some(last) = self.hidden.checked_sub(1) {
            // INVARIANT: One entry less is in use.
            self.hidden = last;
            // SAFETY: By the type invariant the entry, which was the last one in use since `count` is 0, is in
            // bounds and initialised. It is not in use any more, so its value is read once.
            return Some(unsafe { self.entries.get_unchecked(last).assume_init_read() });
        }
        self.pop()
    }

    /// As [`push`](Self::push), also into a closed cache.
    pub fn put(&mut self, value: T) -> Result<(), T> {
        let Some(entry) = self.spare().first_mut() else {
            return Err(value);
        };
        entry.write(value);
        // SAFETY: The first of the free entries was just written, so it is initialised.
        unsafe { self.added(1) };
        Ok(())
    }

    /// Returns the free entries.
    pub fn spare(&mut self) -> &mut [MaybeUninit<T>] {
        let count = self.count();
        // SAFETY: By the type invariant the number of entries in use is at most `SIZE`, so the range is in bounds.
        unsafe { self.entries.get_unchecked_mut(count..) }
    }

    /// Notes that the first `n` of the entries that [`spare`](Self::spare) returned are in use now.
    ///
    /// # Safety
    ///
    /// - There are so many.
    /// - They are initialised.
    ///
    /// # Examples
    ///
    /// ```
    /// use page_pool::cache::Cache;
    ///
    /// let mut cache = Cache::new();
    /// cache.spare()[0].write(7);
    /// // SAFETY: There is one, and it was just written.
    /// unsafe { cache.added(1) };
    /// assert_eq!(cache.entries(), [7]);
    /// ```
    pub unsafe fn added(&mut self, n: usize) {
        // INVARIANT: By the safety requirement.
        if self.capacity == 0 {
            self.hidden = self.hidden.wrapping_add(n);
        } else {
            self.count = self.count.wrapping_add(n);
        }
    }

    /// Returns what is in the cache.
    pub fn entries(&self) -> &[T] {
        // SAFETY: By the type invariant so many entries are in bounds, and initialised. `MaybeUninit<T>` has the
        // layout of `T`.
        unsafe {
            let entries = self.entries.get_unchecked(..self.count());
            &*(core::ptr::from_ref(entries) as *const [T])
        }
    }

    /// Returns how many entries are in the cache.
    #[inline]
    pub fn count(&self) -> usize {
        // One of them is 0.
        self.count | self.hidden
    }
}

impl<T> Default for Cache<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(any(test, CONFIG_KUNIT))]
#[cfg_attr(CONFIG_KUNIT, kernel::prelude::kunit_tests(rust_page_pool_cache))]
mod tests {
    use super::*;

    #[test]
    fn cache_is_a_bounded_stack() {
        let mut cache = Cache::new();
        let (mut model, mut len) = ([0; SIZE], 0);
        // Longer and longer runs of pushes and pops, far past both ends.
        for run in 0..2 * SIZE {
            for i in 0..run {
                if len < SIZE {
                    assert_eq!(cache.push(i), Ok(()));
                    model[len] = i;
                    len += 1;
                } else {
                    assert_eq!(cache.push(i), Err(i));
                }
                assert_eq!(cache.count(), len);
            }
            for _ in 0..run / 2 + 1 {
                assert_eq!(cache.pop(), model[..len].last().copied());
                len = len.saturating_sub(1);
            }
        }
    }

    #[test]
    fn cache_closed_is_empty_and_full_for_the_fast_path_only() {
        let mut cache = Cache::new();
        for i in 0..5 {
            assert_eq!(cache.push(i), Ok(()));
        }
        cache.close();
        assert_eq!(cache.push(5), Err(5));
        assert_eq!(cache.pop(), None);
        assert_eq!(cache.count(), 5);

        for i in 5..SIZE {
            assert_eq!(cache.put(i), Ok(()));
        }
        assert_eq!(cache.put(SIZE), Err(SIZE));
        for i in (0..SIZE).rev() {
            assert_eq!(cache.take(), Some(i));
        }
        assert_eq!(cache.take(), None);
        assert_eq!(cache.count(), 0);
    }

    #[test]
    fn cache_is_filled_from_outside() {
        for closed in [false, true] {
            let mut cache = Cache::new();
            if closed {
                cache.close();
            }
            assert_eq!(cache.put(0), Ok(()));
            for (i, entry) in cache.spare().iter_mut().take(3).enumerate() {
                entry.write(i + 1);
            }
            // SAFETY: There is room for them, and three entries were written.
            unsafe { cache.added(3) };
            assert_eq!(cache.spare().len(), SIZE - 4);
            assert_eq!(cache.entries(), [0, 1, 2, 3]);
            assert_eq!(cache.pop(), (!closed).then_some(3));
            assert!(core::iter::from_fn(|| cache.take()).eq((0..4 - usize::from(!closed)).rev()));
        }
    }
}
