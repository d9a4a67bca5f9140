// SPDX-License-Identifier: GPL-2.0

//! A bounded FIFO of pointers between one producer and one consumer.
//!
//! This is the algorithm of `include/linux/ptr_ring.h`, without its locks:
//!
//! - An entry that is null is empty. The producer looks at the one entry that it would fill next, the
//!   consumer at the one that it would take next. Neither ever reads the other's index, so the cache
//!   lines of the indices stay where they are, and only those of the entries travel.
//! - The consumer does not null an entry when it takes it, but a batch of them together. When the
//!   ring is nearly full, the producer would otherwise fight for the very cache line in which the
//!   consumer nulls entry after entry.
//! - A batch is nulled from its last entry to its first. The producer waits for the first, so it
//!   reads that line once it can fill the whole batch, and not while the consumer still writes it.
//!
//! # Memory ordering
//!
//! *Producer to consumer.* The `Release` store of a pointer in [`Room::fill`] pairs with the
//! `Acquire` load that takes it in [`PtrRing::consume`]: what was written before the pointer went in
//! is visible after it came out.
//!
//! *Consumer to producer.* Why may the producer fill an entry that it finds null? The values of one
//! entry follow each other in one order that all CPUs agree on: null, pointer, null, pointer. The
//! producer wrote the last pointer itself, so it cannot see a null older than that, and the null that
//! follows it is stored only after the consumer has loaded the pointer. So no pointer is overwritten
//! before it was taken, and none is taken twice; for this the order of a single location is enough,
//! and `ptr_ring.h` uses plain accesses here.
//!
//! The `Release` store of the null and the `Acquire` load in the producer add two things, at no cost
//! on x86 and little elsewhere. They forbid compiler and CPU to undo the reverse order of a batch.
//! And room in the ring tells the producer something: all that the consumer did before it nulled the
//! entry, with this pointer's predecessors for one, has happened.
//!
//! *Indices* are private to their side. They are atomics, accessed `Relaxed`, for two reasons:
//! [`PtrRing::is_empty`] reads the consumer's from anywhere, and each side is handed from one
//! context to the next (from one softirq to the next on the same CPU, say), which is ordered by
//! whatever makes sure that there is only one of them at a time.

use super::platform::{
    block_from_fn,
    AllocError,
    AtomicPtr,
    AtomicUsize,
    Block,
    Ordering, //
};
use core::{
    mem::{
        size_of,
        MaybeUninit, //
    },
    ptr::{
        null_mut,
        NonNull, //
    },
};

/// What the alignments below stand for.
const CACHE_LINE: usize = 64;

/// How many entries a large ring nulls at once: two cache lines of them. (Too many for loom.)
pub const MAX_BATCH: usize = if cfg!(loom) {
    2
} else {
    2 * CACHE_LINE / size_of::<*mut ()>()
};

/// Written by the producer only.
#[repr(align(64))]
struct Producer {
    /// The entry to fill next.
    index: AtomicUsize,
}

/// Written by the consumer only.
#[repr(align(64))]
struct Consumer {
    /// The entry to take next.
    head: AtomicUsize,
    /// The oldest entry that was taken but not nulled yet; `head` if there is none.
    tail: AtomicUsize,
    /// When `head` gets here, all entries from `tail` on are nulled. Spares the fast path the
    /// comparisons with both the batch and the end of the ring.
    limit: AtomicUsize,
}

/// Only read, by both sides.
#[repr(align(64))]
struct Shared<T> {
    entries: Block<AtomicPtr<T>>,
    /// The number of entries to null at once.
    batch: usize,
}

/// A bounded FIFO of pointers between one producer and one consumer.
///
/// The ring does not own what its pointers point to: who drops a ring that is not empty has to
/// [`drain`](Self::drain) it, or forgets those pointers.
///
/// # Invariants
///
/// - `shared.entries` is not empty and keeps its length.
/// - `producer.index` and `consumer.head` are always smaller than that length.
/// - Unless a consumer is at work, `consumer.tail <= consumer.head < consumer.limit <= shared.entries.len()`.
///
/// # Examples
///
/// ```
/// use core::ptr::NonNull;
/// use page_pool::{platform::AllocError, ptr_ring::PtrRing};
///
/// let (first, second) = (1, 2);
/// let ring = PtrRing::new(2)?;
/// // SAFETY: Nobody else has the ring.
/// unsafe {
///     assert!(ring.produce(NonNull::from(&first)).is_ok());
///     // Whoever makes sure of room first need not take the pointer back.
///     ring.reserve().ok_or(AllocError)?.fill(NonNull::from(&second));
///     assert!(ring.reserve().is_none());
///     assert_eq!(ring.consume(), Some(NonNull::from(&first)));
/// }
/// # Ok::<(), AllocError>(())
/// ```
#[repr(C)]
pub struct PtrRing<T> {
    producer: Producer,
    consumer: Consumer,
    shared: Shared<T>,
}

// Producer, consumer and shared state must not meet in a cache line. Loom's atomics are large.
#[cfg(not(loom))]
const _: () = {
    use core::mem::{
        align_of,
        offset_of, //
    };

    assert!(align_of::<PtrRing<()>>() == CACHE_LINE);
    assert!(offset_of!(PtrRing<()>, producer) == 0);
    assert!(offset_of!(PtrRing<()>, consumer) == CACHE_LINE);
    assert!(offset_of!(PtrRing<()>, shared) == 2 * CACHE_LINE);
    assert!(size_of::<PtrRing<()>>() == 3 * CACHE_LINE);
};

impl<T> PtrRing<T> {
    /// Makes an empty ring for `capacity` pointers.
    ///
    /// Fails if there is no memory for it, or if `capacity` is 0. Any context but NMI.
    pub fn new(capacity: usize) -> Result<Self, AllocError> {
        if capacity == 0 {
            return Err(AllocError);
        }
        let entries = block_from_fn(capacity, |_| AtomicPtr::new(null_mut()))?;

        // As in `__ptr_ring_set_size()`: in a small ring a batch would keep the producer waiting.
        let batch = if MAX_BATCH > capacity / 2 {
            1
        } else {
            MAX_BATCH
        };

        // INVARIANT: `capacity` and `batch` are not 0, and `batch` is not larger than `capacity`.
        Ok(Self {
            producer: Producer {
                index: AtomicUsize::new(0),
            },
            consumer: Consumer {
                head: AtomicUsize::new(0),
                tail: AtomicUsize::new(0),
                limit: AtomicUsize::new(batch),
            },
            shared: Shared { entries, batch },
        })
    }

    /// Returns how many pointers fit.
    #[inline]
    pub fn capacity(&self) -> usize {
        self.shared.entries.len()
    }

    /// Looks whether there is room for a pointer, and keeps it for the caller to [fill](Room::fill).
    ///
    /// A ring may be full with fewer pointers in it than its capacity: entries that were taken become
    /// free in batches.
    ///
    /// # Safety
    ///
    /// There must be only one producer at a time:
    ///
    /// - The result of a call must have been filled or dropped before the next call.
    /// - Its caller must have synchronized with the next caller.
    #[inline]
    pub unsafe fn reserve(&self) -> Option<Room<'_, T>> {
        let entries = self.shared.entries.as_slice();
        let index = self.producer.index.load(Ordering::Relaxed);
        // SAFETY: By the type invariants `index` is smaller than the number of entries, which does not change.
        let entry = unsafe { entries.get_unchecked(index) };

        // INVARIANT: The entry at the producer's index is empty, and there is no other producer.
        entry.load(Ordering::Acquire).is_null().then_some(Room {
            ring: self,
            entry,
            index,
        })
    }

    /// Puts `ptr` in, or hands it back if the ring is full.
    ///
    /// # Safety
    ///
    /// As for [`reserve`](Self::reserve).
    #[inline]
    pub unsafe fn produce(&self, ptr: NonNull<T>) -> Result<(), NonNull<T>> {
        // SAFETY: By the safety requirement there is no other producer, and the room is filled before we return.
        let room = unsafe { self.reserve() }.ok_or(ptr)?;
        room.fill(ptr);
        Ok(())
    }

    /// Takes the oldest pointer, if there is one.
    ///
    /// # Safety
    ///
    /// There must be only one consumer at a time, over all of the methods that take pointers out:
    ///
    /// - A call must have returned before the next call.
    /// - Its caller must have synchronized with the next caller.
    #[inline]
    pub unsafe fn consume(&self) -> Option<NonNull<T>> {
        let entries = self.shared.entries.as_slice();
        let head = self.consumer.head.load(Ordering::Relaxed);
        // SAFETY: By the type invariants `head` is smaller than the number of entries, which does not change.
        let ptr = unsafe { entries.get_unchecked(head) }.load(Ordering::Acquire);
        let ptr = NonNull::new(ptr)?;

        let mut next = head.wrapping_add(1);
        if next >= self.consumer.limit.load(Ordering::Relaxed) {
            // SAFETY: By the type invariants `next` is the limit now, all entries before it were
            // taken, and by this function's safety requirement no other consumer interferes.
            next = unsafe { self.null_batch() };
        }
        // INVARIANT: `next` is below the limit, or what `null_batch()` returned.
        self.consumer.head.store(next, Ordering::Relaxed);
        Some(ptr)
    }

    /// Takes the oldest pointers, as many as there are and `array` has room for, and returns how many
    /// of its elements were written, from the first.
    ///
    /// # Safety
    ///
    /// As for [`consume`](Self::consume).
    #[inline]
    pub unsafe fn consume_batched(&self, array: &mut [MaybeUninit<NonNull<T>>]) -> usize {
        let entries = self.shared.entries.as_slice();
        let mut head = self.consumer.head.load(Ordering::Relaxed);
        let mut taken = 0usize;

        // Up to the end of a batch at a time, so that the inner loop has little to do but to copy.
        loop {
            let limit = self.consumer.limit.load(Ordering::Relaxed);
            let room = array.len().wrapping_sub(taken);
            let want = limit.wrapping_sub(head).min(room);
            let mut got = 0usize;
            while got < want {
                // SAFETY: By the type invariants the first `head` is below the limit, which is at most the length;
                // the others are what `null_batch()` returned, of which the same is true. This is below the limit.
                let entry = unsafe { entries.get_unchecked(head.wrapping_add(got)) };
                let Some(ptr) = NonNull::new(entry.load(Ordering::Acquire)) else {
                    break;
                };
                // SAFETY: `taken` is at most the length of the array, and `got` less than `room`, which is what is
                // left behind it.
                unsafe { array.get_unchecked_mut(taken.wrapping_add(got)) }.write(ptr);
                got = got.wrapping_add(1);
            }
            taken = taken.wrapping_add(got);
            head = head.wrapping_add(got);
            if head < limit {
                break;
            }
            // SAFETY: `head` is the limit now, so all entries before that were taken, and it becomes what is
            // returned. By the safety requirement there is no other consumer.
            head = unsafe { self.null_batch() };
        }

        // Storing it only now misleads nobody but `is_empty()` on another CPU, for which see there.
        // INVARIANT: `head` is below the limit, see above.
        self.consumer.head.store(head, Ordering::Relaxed);
        taken
    }

    /// Nulls the entries from the tail to before the limit, the last first, and returns the next head,
    /// which is in bounds and below the new limit.
    ///
    /// Not inlined: it runs once a batch, and without it the rest is small enough to be compiled into
    /// each caller.
    ///
    /// # Safety
    ///
    /// - All entries from the tail to before the limit must have been taken.
    /// - The caller must make the returned index the head.
    /// - There must be only one consumer at a time.
    #[inline(never)]
    unsafe fn null_batch(&self) -> usize {
        let entries = self.shared.entries.as_slice();
        let tail = self.consumer.tail.load(Ordering::Relaxed);
        let limit = self.consumer.limit.load(Ordering::Relaxed);

        // SAFETY: By the type invariants `tail` is below `limit`, and `limit` at most the number of entries.
        let batch = unsafe { entries.get_unchecked(tail..limit) };
        let null = |entry: &AtomicPtr<T>| entry.store(null_mut(), Ordering::Release);
        match <&[_; MAX_BATCH]>::try_from(batch) {
            // Nearly always, and without a loop.
            Ok(batch) => batch.iter().rev().for_each(null),
            Err(_) => batch.iter().rev().for_each(null),
        }

        let head = if limit >= entries.len() { 0 } else { limit };
        // A batch also ends with the ring, so that it never consists of two pieces.
        // Cannot wrap: `head` is an index into memory, and the batch is small.
        let limit = entries.len().min(head.wrapping_add(self.shared.batch));

        // INVARIANT: `head` is smaller than the length, so it is below the new `limit`.
        self.consumer.tail.store(head, Ordering::Relaxed);
        self.consumer.limit.store(limit, Ordering::Relaxed);
        head
    }

    /// Returns whether there is nothing to take.
    ///
    /// The consumer may rely on `false`. For anyone else, and for `true`, the answer may be out of
    /// date when it arrives, and while a `consume` runs on another CPU it may be `true` although
    /// pointers are left.
    #[inline]
    pub fn is_empty(&self) -> bool {
        let head = self.consumer.head.load(Ordering::Relaxed);
        // SAFETY: By the type invariants `head`, at whatever moment it was read, is smaller than the number of
        // entries, which does not change.
        let entry = unsafe { self.shared.entries.as_slice().get_unchecked(head) };

        entry.load(Ordering::Relaxed).is_null()
    }

    /// Takes all pointers and hands each to `f`.
    pub fn drain(&mut self, mut f: impl FnMut(NonNull<T>)) {
        // SAFETY: `&mut self` excludes any other consumer for as long as this takes, and says that the last one
        // has synchronized with us.
        while let Some(ptr) = unsafe { self.consume() } {
            f(ptr);
        }
    }
}

/// Room for one pointer.
///
/// # Invariants
///
/// - `entry` is the entry at `index` of `ring`, and it is null.
/// - `index` is the producer's, and there is no other producer while this exists.
pub struct Room<'a, T> {
    ring: &'a PtrRing<T>,
    entry: &'a AtomicPtr<T>,
    index: usize,
}

impl<T> Room<'_, T> {
    /// Puts `ptr` there.
    #[inline]
    pub fn fill(self, ptr: NonNull<T>) {
        self.entry.store(ptr.as_ptr(), Ordering::Release);

        let mut next = self.index.wrapping_add(1);
        if next >= self.ring.shared.entries.len() {
            next = 0;
        }
        // INVARIANT: `next` is smaller than the length.
        self.ring.producer.index.store(next, Ordering::Relaxed);
    }
}
