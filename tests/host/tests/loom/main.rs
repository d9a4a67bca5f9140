// SPDX-License-Identifier: GPL-2.0

//! `PtrRing` under all interleavings with up to three preemptions, the rest of the pool with any number
//! where that comes to an end, and all values that the memory model lets a load return. (More
//! preemptions: `LOOM_MAX_PREEMPTIONS=6`; each takes several times as long as the one before.)
//!
//! The same source also runs on atomics that ignore the orderings asked for, of pointers or of nulls.
//! Then models have to fail: that shows that they see what the orderings are for.
//!
//! Under loom a batch has two entries, if the ring has four or more.

#![cfg(loom)]

// Before the modules, which use them.
/// Models that hold.
macro_rules! models {
    ($($name:ident: $model:expr;)*) => {$(
        #[test]
        fn $name() {
            $model;
        }
    )*};
}

/// A model that fails, and why.
macro_rules! controls {
    ($($name:ident, $message:literal: $model:expr;)*) => {$(
        #[test]
        #[should_panic(expected = $message)]
        fn $name() {
            $model;
        }
    )*};
}

mod halves;
mod pool;
mod weak_nulls;
mod weak_pointers;

use loom::{cell::UnsafeCell, sync::Arc, thread};
use page_pool::ptr_ring::PtrRing;
use std::{
    collections::BTreeSet,
    mem::MaybeUninit,
    ptr::NonNull,
    sync::atomic::{AtomicU64, Ordering},
};

/// What the threads hand over. Loom objects to accesses that are not ordered.
type Payload = UnsafeCell<usize>;

type Strong = PtrRing<Payload>;
type WeakPointers = weak_pointers::ptr_ring::PtrRing<Payload>;
type WeakNulls = weak_nulls::ptr_ring::PtrRing<Payload>;

/// Stands for any of the three.
trait Ring: Send + Sync + 'static {
    fn new(capacity: usize) -> Self;
    fn try_produce(&self, payload: &Payload) -> bool;
    fn try_consume(&self) -> Option<&Payload>;
    fn try_consume_batched<const N: usize>(&self) -> Vec<&Payload>;
}

macro_rules! impl_ring {
    ($ring:ty) => {
        impl Ring for $ring {
            fn new(capacity: usize) -> Self {
                Self::new(capacity).unwrap()
            }

            fn try_produce(&self, payload: &Payload) -> bool {
                // SAFETY: Only one thread of a model calls this at a time.
                unsafe { self.produce(NonNull::from(payload)) }.is_ok()
            }

            fn try_consume(&self) -> Option<&Payload> {
                // SAFETY: Only one thread of a model calls this at a time, and all payloads outlive
                // the ring.
                unsafe { self.consume().map(|ptr| ptr.as_ref()) }
            }

            fn try_consume_batched<const N: usize>(&self) -> Vec<&Payload> {
                let mut array = [MaybeUninit::uninit(); N];
                // SAFETY: Only one thread of a model calls this at a time.
                let taken = unsafe { self.consume_batched(&mut array) };
                array[..taken]
                    .iter()
                    // SAFETY: The first `taken` elements are initialized, and all payloads outlive
                    // the ring.
                    .map(|ptr| unsafe { ptr.assume_init().as_ref() })
                    .collect()
            }
        }
    };
}

impl_ring!(Strong);
impl_ring!(WeakPointers);
impl_ring!(WeakNulls);

fn write(payload: &Payload, value: usize) {
    // SAFETY: The models mean to have exclusive access here, and loom checks it.
    payload.with_mut(|ptr| unsafe { *ptr = value });
}

fn read(payload: &Payload) -> usize {
    // SAFETY: The models mean that nobody writes here, and loom checks it.
    payload.with(|ptr| unsafe { *ptr })
}

fn produce(ring: &impl Ring, payload: &Payload) {
    while !ring.try_produce(payload) {
        thread::yield_now();
    }
}

fn consume<R: Ring>(ring: &R) -> &Payload {
    loop {
        if let Some(payload) = ring.try_consume() {
            return payload;
        }
        thread::yield_now();
    }
}

fn check(model: impl Fn() + Send + Sync + 'static) {
    check_bounded(Some(3), model);
}

/// `LOOM_MAX_PREEMPTIONS` overrides the bound.
fn check_bounded(preemptions: Option<usize>, model: impl Fn() + Send + Sync + 'static) {
    let executions = std::sync::Arc::new(AtomicU64::new(0));
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(preemptions);
    builder.check({
        let executions = executions.clone();
        move || {
            executions.fetch_add(1, Ordering::Relaxed);
            model();
        }
    });
    println!("{} executions", executions.load(Ordering::Relaxed));
}

/// A ring and its payloads. `PtrRing` does not keep the payloads alive, so they share an `Arc`.
struct State<R> {
    ring: R,
    payloads: Vec<Payload>,
}

impl<R: Ring> State<R> {
    fn new(capacity: usize, payloads: usize) -> Arc<Self> {
        Arc::new(Self {
            ring: R::new(capacity),
            payloads: (0..payloads).map(|_| UnsafeCell::new(usize::MAX)).collect(),
        })
    }
}

/// All messages arrive, in order, with what was written to them. Both sides wait for each other, and
/// the ring wraps around.
fn deliver<R: Ring>(capacity: usize, messages: usize) {
    check(move || {
        let state = State::<R>::new(capacity, messages);
        let producer = {
            let state = state.clone();
            thread::spawn(move || {
                for (value, payload) in state.payloads.iter().enumerate() {
                    write(payload, value);
                    produce(&state.ring, payload);
                }
            })
        };

        for value in 0..messages {
            assert_eq!(read(consume(&state.ring)), value);
        }
        producer.join().unwrap();
        assert!(state.ring.try_consume().is_none());
    });
}

/// Neither side waits: what does not fit stays out, and the rest arrives in order and once.
fn full_and_empty<R: Ring>(capacity: usize, tries: usize) {
    check(move || {
        let state = State::<R>::new(capacity, tries);
        let producer = {
            let state = state.clone();
            thread::spawn(move || {
                let mut sent = Vec::new();
                for (value, payload) in state.payloads.iter().enumerate() {
                    write(payload, value);
                    if state.ring.try_produce(payload) {
                        sent.push(value);
                    }
                }
                sent
            })
        };

        let mut received: Vec<_> = (0..tries)
            .filter_map(|_| state.ring.try_consume().map(read))
            .collect();
        let sent = producer.join().unwrap();
        // The ring takes its capacity without anyone's help.
        assert!(sent.len() >= capacity.min(tries));
        while let Some(payload) = state.ring.try_consume() {
            received.push(read(payload));
        }
        assert_eq!(received, sent);
    });
}

/// As [`full_and_empty`], with a consumer that takes two at a time.
fn batched<R: Ring>(capacity: usize, tries: usize) {
    check(move || {
        let state = State::<R>::new(capacity, tries);
        let producer = {
            let state = state.clone();
            thread::spawn(move || {
                let mut sent = Vec::new();
                for (value, payload) in state.payloads.iter().enumerate() {
                    write(payload, value);
                    if state.ring.try_produce(payload) {
                        sent.push(value);
                    }
                }
                sent
            })
        };

        let mut received = Vec::new();
        for _ in 0..tries {
            let taken = state.ring.try_consume_batched::<2>();
            received.extend(taken.into_iter().map(read));
        }
        let sent = producer.join().unwrap();
        while let Some(payload) = state.ring.try_consume() {
            received.push(read(payload));
        }
        assert_eq!(received, sent);
    });
}

/// Room in the ring tells that the consumer is done with earlier payloads: with `capacity + 2` of
/// them, the producer may write to one again without having heard of it in another way.
fn reuse<R: Ring>(capacity: usize) {
    check(move || {
        let messages = capacity + 3;
        let state = State::<R>::new(capacity, capacity + 2);
        let producer = {
            let state = state.clone();
            thread::spawn(move || {
                for (value, payload) in (0..messages).zip(state.payloads.iter().cycle()) {
                    write(payload, value);
                    produce(&state.ring, payload);
                }
            })
        };

        for value in 0..messages {
            assert_eq!(read(consume(&state.ring)), value);
        }
        producer.join().unwrap();
    });
}

/// As the hook does, which needs room before it knows whether it has something to put there: of the
/// room that is reserved, that for every second payload is given up.
fn given_up(capacity: usize) {
    check(move || {
        let state = State::<Strong>::new(capacity, 2 * capacity + 2);
        let producer = {
            let state = state.clone();
            thread::spawn(move || {
                for (value, payload) in state.payloads.iter().enumerate() {
                    let room = loop {
                        // SAFETY: This is the only producer, and no other room is left.
                        match unsafe { state.ring.reserve() } {
                            Some(room) => break room,
                            None => thread::yield_now(),
                        }
                    };
                    write(payload, value);
                    if value % 2 == 0 {
                        room.fill(NonNull::from(payload));
                    }
                }
            })
        };

        for value in 0..=capacity {
            assert_eq!(read(consume(&state.ring)), 2 * value);
        }
        producer.join().unwrap();
        assert!(state.ring.is_empty());
    });
}

/// Entries become free a batch at a time: a producer that finds room for one pointer has room for a
/// whole batch.
fn batch_is_freed_as_a_whole<R: Ring>() {
    check(|| {
        let state = State::<R>::new(4, 6);
        for payload in &state.payloads[..4] {
            assert!(state.ring.try_produce(payload));
        }
        let producer = {
            let state = state.clone();
            thread::spawn(move || {
                if state.ring.try_produce(&state.payloads[4]) {
                    assert!(state.ring.try_produce(&state.payloads[5]), "half a batch");
                }
            })
        };

        for _ in 0..2 {
            assert!(state.ring.try_consume().is_some());
        }
        producer.join().unwrap();
    });
}

/// All that can happen does: the foundation of the others, see `loom_platform.rs`.
#[test]
fn loom_tries_all_interleavings() {
    let seen = std::sync::Arc::new(std::sync::Mutex::new(BTreeSet::new()));
    let outcomes = seen.clone();

    check(move || {
        let state = State::<Strong>::new(1, 2);
        let producer = {
            let state = state.clone();
            thread::spawn(move || [0, 1].map(|n| state.ring.try_produce(&state.payloads[n])))
        };
        let taken = [0, 1].map(|_| state.ring.try_consume().is_some());
        outcomes
            .lock()
            .unwrap()
            .insert((producer.join().unwrap(), taken));
    });

    // The first always goes in, and the second only after the first came out.
    let expected = [
        ([true, false], [false, false]),
        ([true, false], [false, true]),
        ([true, false], [true, false]),
        ([true, true], [false, true]),
        ([true, true], [true, false]),
        ([true, true], [true, true]),
    ];
    assert_eq!(*seen.lock().unwrap(), BTreeSet::from(expected));
}

/// Anyone may ask whether the ring is empty; the consumer gets an answer that it can rely on.
#[test]
fn loom_is_empty() {
    check(|| {
        let state = State::<Strong>::new(2, 3);
        let producer = {
            let state = state.clone();
            thread::spawn(move || {
                for payload in &state.payloads {
                    write(payload, 0);
                    produce(&state.ring, payload);
                    // The consumer moves its index meanwhile. Any answer will do.
                    let _ = state.ring.is_empty();
                }
            })
        };

        for _ in 0..3 {
            while state.ring.is_empty() {
                thread::yield_now();
            }
            read(state.ring.try_consume().expect("it was not empty"));
        }
        producer.join().unwrap();
        assert!(state.ring.is_empty());
    });
}

#[test]
fn loom_deliver() {
    for capacity in 1..=5 {
        deliver::<Strong>(capacity, capacity + 2);
    }
}

#[test]
fn loom_full_and_empty() {
    for capacity in 1..=5 {
        full_and_empty::<Strong>(capacity, capacity + 2);
    }
}

#[test]
fn loom_batched() {
    for capacity in 1..=5 {
        batched::<Strong>(capacity, capacity + 2);
    }
}

#[test]
fn loom_reuse() {
    for capacity in 1..=5 {
        reuse::<Strong>(capacity);
    }
}

#[test]
fn loom_given_up() {
    for capacity in 1..=5 {
        given_up(capacity);
    }
}

#[test]
fn loom_batch_is_freed_as_a_whole() {
    batch_is_freed_as_a_whole::<Strong>();
}

#[test]
#[should_panic(expected = "half a batch")]
fn loom_weak_nulls_may_free_half_a_batch() {
    batch_is_freed_as_a_whole::<WeakNulls>();
}

#[test]
#[should_panic(expected = "Causality violation")]
fn loom_weak_pointers_do_not_deliver() {
    deliver::<WeakPointers>(2, 2);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn loom_weak_pointers_do_not_deliver_what_fits() {
    full_and_empty::<WeakPointers>(2, 3);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn loom_weak_pointers_do_not_deliver_batches() {
    batched::<WeakPointers>(2, 3);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn loom_weak_nulls_do_not_allow_reuse() {
    reuse::<WeakNulls>(1);
}

/// As the ring's documentation says: the order of nulls is not needed for its own integrity.
#[test]
fn loom_weak_nulls_deliver() {
    for capacity in 1..=5 {
        deliver::<WeakNulls>(capacity, capacity + 2);
        full_and_empty::<WeakNulls>(capacity, capacity + 2);
    }
}
