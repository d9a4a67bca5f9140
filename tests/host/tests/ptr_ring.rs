// SPDX-License-Identifier: GPL-2.0

//! What `PtrRing` does in one thread, and that it holds with two real ones.

#![cfg(not(loom))]

use page_pool::{platform::AllocError, ptr_ring::PtrRing};
use std::{
    cell::UnsafeCell,
    collections::VecDeque,
    mem::MaybeUninit,
    ptr::NonNull,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

/// Makes the pointer that stands for `value`. Nobody dereferences it.
fn ptr(value: usize) -> NonNull<u8> {
    NonNull::new(std::ptr::without_provenance_mut(value + 1)).unwrap()
}

/// A ring that is used by the test's own thread only.
struct Single(PtrRing<u8>);

impl Single {
    fn new(capacity: usize) -> Self {
        Self(PtrRing::new(capacity).unwrap())
    }

    fn produce(&self, value: usize) -> bool {
        // SAFETY: There is only this thread.
        match unsafe { self.0.produce(ptr(value)) } {
            Ok(()) => true,
            Err(back) => {
                assert_eq!(back, ptr(value), "another pointer came back");
                false
            }
        }
    }

    fn consume(&self) -> Option<usize> {
        // SAFETY: There is only this thread.
        unsafe { self.0.consume() }.map(|ptr| ptr.as_ptr().addr() - 1)
    }

    fn consume_batched(&self, max: usize) -> Vec<usize> {
        let mut array = vec![MaybeUninit::new(ptr(usize::MAX - 1)); max];
        // SAFETY: There is only this thread.
        let taken = unsafe { self.0.consume_batched(&mut array) };

        array[..taken]
            .iter()
            // SAFETY: All elements were initialized.
            .map(|ptr| unsafe { ptr.assume_init() }.as_ptr().addr() - 1)
            .collect()
    }
}

/// How many entries a ring of this capacity nulls at once.
fn batch(capacity: usize) -> usize {
    if capacity < 32 {
        1
    } else {
        16
    }
}

/// A queue that does what the ring has to do, and nothing else.
struct Model {
    capacity: usize,
    queue: VecDeque<usize>,
    /// Entries taken since the last batch was nulled.
    taken: usize,
    /// Entries taken since the ring last began anew.
    head: usize,
}

impl Model {
    fn new(capacity: usize) -> Self {
        Self {
            capacity,
            queue: VecDeque::new(),
            taken: 0,
            head: 0,
        }
    }

    fn produce(&mut self, value: usize) -> bool {
        let fits = self.queue.len() + self.taken < self.capacity;
        if fits {
            self.queue.push_back(value);
        }
        fits
    }

    fn consume(&mut self) -> Option<usize> {
        let value = self.queue.pop_front()?;
        self.head += 1;
        self.taken += 1;
        if self.taken == batch(self.capacity) || self.head == self.capacity {
            self.taken = 0;
        }
        self.head %= self.capacity;
        Some(value)
    }
}

/// xorshift64: the histories are different, but the same in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }
}

#[test]
fn no_ring_without_entries() {
    assert_eq!(PtrRing::<u8>::new(0).err(), Some(AllocError));
}

#[test]
fn empty_ring() {
    let ring = Single::new(4);

    assert_eq!(ring.0.capacity(), 4);
    assert!(ring.0.is_empty());
    assert_eq!(ring.consume(), None);
    assert_eq!(ring.consume_batched(4), []);
}

#[test]
fn first_in_first_out() {
    let ring = Single::new(4);

    assert!(ring.produce(1));
    assert!(ring.produce(2));
    assert!(!ring.0.is_empty());
    assert_eq!(ring.consume(), Some(1));
    assert!(ring.produce(3));
    assert_eq!(ring.consume(), Some(2));
    assert!(!ring.0.is_empty());
    assert_eq!(ring.consume(), Some(3));
    assert!(ring.0.is_empty());
    assert_eq!(ring.consume(), None);
}

#[test]
fn full_ring_hands_back() {
    let ring = Single::new(3);

    assert!((0..3).all(|value| ring.produce(value)));
    assert!(!ring.produce(3));
    assert!(!ring.produce(4));
    assert_eq!(ring.consume(), Some(0));
    assert!(ring.produce(5));
    assert!(!ring.produce(6));
    assert_eq!(ring.consume_batched(9), [1, 2, 5]);
}

#[test]
fn wraps_around() {
    let ring = Single::new(3);

    for value in 0..100 {
        assert!(ring.produce(value));
        assert!(ring.produce(value + 1000));
        assert_eq!(ring.consume(), Some(value));
        assert_eq!(ring.consume(), Some(value + 1000));
    }
}

#[test]
fn takes_at_most_what_fits() {
    let ring = Single::new(8);

    assert!((0..8).all(|value| ring.produce(value)));
    assert_eq!(ring.consume_batched(0), []);
    assert_eq!(ring.consume_batched(5), [0, 1, 2, 3, 4]);
    assert_eq!(ring.consume_batched(5), [5, 6, 7]);
}

#[test]
fn entries_become_free_in_batches() {
    let ring = Single::new(64);

    assert!((0..64).all(|value| ring.produce(value)));
    for value in 0..15 {
        assert_eq!(ring.consume(), Some(value));
        assert!(!ring.produce(64), "free after {} of 16", value + 1);
    }
    assert_eq!(ring.consume(), Some(15));
    assert!((64..80).all(|value| ring.produce(value)));
    assert!(!ring.produce(80));
}

#[test]
fn batch_ends_with_the_ring() {
    let ring = Single::new(35);

    assert!((0..35).all(|value| ring.produce(value)));
    assert_eq!(ring.consume_batched(34).len(), 34);
    // Two batches of 16 are free, and not yet the two entries after them.
    assert!((0..32).all(|value| ring.produce(value)));
    assert!(!ring.produce(32));
    // The last entry completes a batch of three.
    assert_eq!(ring.consume(), Some(34));
    assert!((32..35).all(|value| ring.produce(value)));
    assert!(!ring.produce(35));
}

#[test]
fn drain_takes_everything() {
    let mut ring = Single::new(5);
    let mut seen = Vec::new();

    assert!((0..5).all(|value| ring.produce(value)));
    assert_eq!(ring.consume(), Some(0));
    ring.0.drain(|ptr| seen.push(ptr.as_ptr().addr() - 1));
    assert_eq!(seen, [1, 2, 3, 4]);
    assert!(ring.0.is_empty());
}

#[test]
fn random_histories_match_the_model() {
    let steps = if cfg!(miri) { 300 } else { 20_000 };

    for capacity in 1..=70 {
        let ring = Single::new(capacity);
        let mut model = Model::new(capacity);
        let mut random = Random(0x9e37_79b9_7f4a_7c15 ^ capacity as u64);
        let mut value = 0;

        for step in 0..steps {
            // The odds change now and then, so that the ring also is full, or empty, for a while.
            let producing = [1, 3, 5][random.0 as usize / 97 % 3];
            let burst = random.below(capacity + 3);

            match random.below(6) {
                n if n < producing => {
                    for _ in 0..burst {
                        assert_eq!(
                            ring.produce(value),
                            model.produce(value),
                            "capacity {capacity}, step {step}"
                        );
                        value += 1;
                    }
                }
                5 => {
                    let expected: Vec<_> = (0..burst).map_while(|_| model.consume()).collect();
                    assert_eq!(
                        ring.consume_batched(burst),
                        expected,
                        "capacity {capacity}, step {step}"
                    );
                }
                _ => {
                    for _ in 0..burst {
                        assert_eq!(
                            ring.consume(),
                            model.consume(),
                            "capacity {capacity}, step {step}"
                        );
                    }
                }
            }
            assert_eq!(ring.0.is_empty(), model.queue.is_empty());
        }
    }
}

/// What the two threads below hand over: plain memory, so that losing the order shows.
struct Payload(UnsafeCell<usize>);

// SAFETY: The tests access a payload only while its pointer is theirs.
unsafe impl Sync for Payload {}

/// How many pointers the consumer takes at once.
const BATCH: usize = 7;

/// One thread sends numbers to another in payloads which it uses again as soon as room in the ring
/// tells it that the other has finished with them.
fn two_threads(capacity: usize, batched: bool) {
    let messages = if cfg!(miri) { 500 } else { 50_000 };
    let ring = PtrRing::<Payload>::new(capacity).unwrap();
    // Message `n` has room because an entry was nulled when message `n - capacity` had been taken, so
    // the consumer was done with all that it took in earlier calls. One call takes up to `BATCH`.
    let payloads: Vec<_> = (0..capacity + BATCH + 1)
        .map(|_| Payload(UnsafeCell::new(0)))
        .collect();
    // There may be one CPU only.
    let wrong = AtomicUsize::new(0);
    let wait = |tries: &mut usize| {
        *tries += 1;
        if *tries % 64 == 0 {
            thread::yield_now();
        } else {
            std::hint::spin_loop();
        }
    };

    thread::scope(|scope| {
        scope.spawn(|| {
            let mut tries = 0;
            for message in 0..messages {
                let payload = &payloads[message % payloads.len()];
                // SAFETY: The consumer is done with it, see above.
                unsafe { *payload.0.get() = message };
                // SAFETY: This thread is the only producer.
                while unsafe { ring.produce(NonNull::from(payload)) }.is_err() {
                    wait(&mut tries);
                }
            }
        });
        scope.spawn(|| {
            let mut array = [MaybeUninit::uninit(); BATCH];
            let mut expected = 0;
            let mut tries = 0;
            while expected < messages {
                let taken = if batched {
                    // SAFETY: This thread is the only consumer.
                    unsafe { ring.consume_batched(&mut array) }
                } else {
                    // SAFETY: This thread is the only consumer.
                    match unsafe { ring.consume() } {
                        Some(ptr) => {
                            array[0].write(ptr);
                            1
                        }
                        None => 0,
                    }
                };
                for ptr in &array[..taken] {
                    // SAFETY: The first `taken` elements are initialized, and point into `payloads`,
                    // which the producer does not touch until this has been read.
                    let message = unsafe { *ptr.assume_init().as_ref().0.get() };
                    // No assertion: the producer would wait for ever.
                    wrong.fetch_add(usize::from(message != expected), Ordering::Relaxed);
                    expected += 1;
                }
                if taken == 0 {
                    wait(&mut tries);
                }
            }
        });
    });
    assert_eq!(wrong.into_inner(), 0, "messages lost or torn");
    assert!(ring.is_empty());
}

#[test]
fn two_threads_one_by_one() {
    for capacity in [1, 2, 3, 31, 32, 35, 256] {
        two_threads(capacity, false);
    }
}

#[test]
fn two_threads_batched() {
    for capacity in [1, 3, 31, 32, 35, 256] {
        two_threads(capacity, true);
    }
}
