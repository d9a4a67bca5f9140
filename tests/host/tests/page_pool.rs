// SPDX-License-Identifier: GPL-2.0

//! The parts of the pool that know no page: cache, limit, list, slot state, counters.

#![cfg(not(loom))]

use page_pool::{
    cache::{Cache, SIZE},
    limit::{Limit, Pressure},
    list::{List, END},
    platform::AtomicU32,
    state::SlotState,
    stats::Counter,
};
use std::{collections::BTreeSet, sync::atomic::Ordering, thread};

#[test]
fn cache_is_a_bounded_stack() {
    let mut cache = Cache::new();
    let mut model = Vec::new();
    // Longer and longer runs of pushes and pops, far past both ends.
    for run in 0..2 * SIZE {
        for i in 0..run {
            match cache.push(i) {
                Ok(()) => model.push(i),
                Err(back) => {
                    assert_eq!(back, i, "another value came back");
                    assert_eq!(model.len(), SIZE, "full with room left");
                }
            }
            assert_eq!(cache.count(), model.len());
        }
        for _ in 0..run / 2 + 1 {
            assert_eq!(cache.pop(), model.pop());
        }
    }
}

#[test]
fn cache_closed_is_empty_and_full_for_the_fast_path_only() {
    let mut cache = Cache::new();
    for i in 0..5 {
        cache.push(i).unwrap();
    }
    cache.close();
    assert_eq!(cache.push(5), Err(5));
    assert_eq!(cache.pop(), None);
    assert_eq!(cache.count(), 5);

    for i in 5..SIZE {
        cache.put(i).unwrap();
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
        cache.put(0).unwrap();
        for (i, entry) in cache.spare().iter_mut().take(3).enumerate() {
            entry.write(i + 1);
        }
        // SAFETY: Three entries were written.
        unsafe { cache.added(3) };
        assert_eq!(cache.spare().len(), SIZE - 4);
        assert_eq!(cache.count(), 4);
        assert_eq!(cache.pop(), (!closed).then_some(3));
        assert!(std::iter::from_fn(|| cache.take()).eq((0..4 - usize::from(!closed)).rev()));
    }
}

#[test]
fn limit_grants_what_is_left() {
    let limit = Limit::new(100);
    assert_eq!(limit.take(64), 64);
    assert_eq!(limit.take(64), 36);
    assert_eq!(limit.take(64), 0);
    assert_eq!(limit.owned(), 100);
    limit.give_back(1);
    assert_eq!(limit.take(64), 1);
    assert_eq!(limit.max(), 100);
}

#[test]
fn limit_may_change() {
    let limit = Limit::new(10);
    assert_eq!(limit.take(8), 8);
    limit.set(5);
    assert_eq!(limit.excess(), 3);
    assert_eq!(limit.take(1), 0);
    limit.give_back(4);
    assert_eq!(limit.excess(), 0);
    assert_eq!(limit.take(8), 1);
    limit.set(7);
    assert_eq!(limit.take(8), 2);
    assert_eq!(limit.owned(), 7);
}

#[test]
fn pressure_begins_at_three_quarters_and_nine_tenths() {
    let limit = Limit::new(1000);
    let used = |n, idle| {
        limit.give_back(limit.owned());
        assert_eq!(limit.take(n), n);
        limit.pressure(idle)
    };
    assert_eq!(used(0, 0), Pressure::None);
    assert_eq!(used(749, 0), Pressure::None);
    assert_eq!(used(750, 0), Pressure::Some);
    assert_eq!(used(899, 0), Pressure::Some);
    assert_eq!(used(900, 0), Pressure::High);
    assert_eq!(used(1000, 0), Pressure::High);
    // What nobody uses does not count.
    assert_eq!(used(1000, 251), Pressure::None);
    assert_eq!(used(1000, 250), Pressure::Some);
    assert_eq!(used(1000, 101), Pressure::Some);
    assert_eq!(used(1000, 100), Pressure::High);
    // Another limit, at once; below what there is as well.
    assert_eq!(used(600, 0), Pressure::None);
    limit.set(700);
    assert_eq!(limit.pressure(0), Pressure::Some);
    limit.set(500);
    assert_eq!(limit.pressure(0), Pressure::High);
    // Of a small pool three quarters are soon used: fewer than a batch left is pressure, too.
    limit.set(100);
    assert_eq!(used(36, 0), Pressure::None);
    assert_eq!(used(37, 0), Pressure::Some);
}

/// From the number of pages below which there is none, which is stored, follows what the documentation says.
#[test]
fn pressure_is_what_it_says() {
    const MOST: u32 = 700;
    for max in (0..=600).chain([u32::MAX]) {
        let limit = Limit::new(MOST);
        assert_eq!(limit.take(MOST), MOST);
        limit.set(max);
        for used in 0..=MOST {
            let spare = max.saturating_sub(used);
            let expected = if spare > max / 4 && spare >= 64 {
                Pressure::None
            } else if spare > max / 10 {
                Pressure::Some
            } else {
                Pressure::High
            };
            assert_eq!(limit.pressure(MOST - used), expected, "{used} of {max}");
        }
    }
}

#[test]
fn limit_holds_while_others_give_back() {
    const MAX: u32 = 50;
    let limit = Limit::new(MAX);
    let out = AtomicU32::new(0);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..100_000 {
                    let took =
                        out.fetch_update(Ordering::AcqRel, Ordering::Acquire, |n| n.checked_sub(1));
                    if took.is_ok() {
                        limit.give_back(1);
                    }
                }
            });
        }
        for _ in 0..100_000 {
            let granted = limit.take(7);
            assert!(limit.owned() <= MAX, "over the limit");
            out.fetch_add(granted, Ordering::AcqRel);
        }
    });
    assert_eq!(limit.owned(), out.load(Ordering::Acquire));
}

/// Walks a chain, as the pool does.
fn chain(mut first: u32, next: &[AtomicU32]) -> Vec<u32> {
    let mut indices = Vec::new();
    while first != END {
        indices.push(first);
        first = next[first as usize].load(Ordering::Relaxed);
    }
    indices
}

#[test]
fn list_gives_back_all_once() {
    let next: Vec<_> = (0..10).map(|_| AtomicU32::new(0)).collect();
    let list = List::new();
    assert_eq!(list.take_all(), END);
    for i in [3, 1, 7] {
        list.push(i, &next[i as usize]);
    }
    assert_eq!(chain(list.take_all(), &next), [7, 1, 3]);
    assert_eq!(list.take_all(), END);
}

#[test]
fn list_loses_nothing_between_threads() {
    const EACH: u32 = 20_000;
    let next: Vec<_> = (0..2 * EACH).map(|_| AtomicU32::new(0)).collect();
    let list = List::new();
    let mut seen = BTreeSet::new();
    thread::scope(|scope| {
        for from in [0, EACH] {
            let (list, next) = (&list, &next);
            scope.spawn(move || {
                for i in from..from + EACH {
                    list.push(i, &next[i as usize]);
                }
            });
        }
        while seen.len() < 2 * EACH as usize {
            for i in chain(list.take_all(), &next) {
                assert!(seen.insert(i), "{i} came twice");
            }
            thread::yield_now();
        }
    });
    assert_eq!(list.take_all(), END);
}

#[test]
fn state_goes_round() {
    let state = SlotState::new();
    assert!(state.is_free());
    assert!(!state.take_back(), "a free slot came back");
    assert!(!state.claim(), "a free slot was claimed");
    for _ in 0..3 {
        state.fill();
        assert!(state.is_pool());
        assert!(!state.take_back(), "a page that is in the pool came back");
        assert!(!state.claim(), "a page that is in the pool was claimed");
        state.hand_out();
        assert!(state.is_out());
        assert!(state.take_back());
        assert!(!state.take_back(), "it came back twice");
        state.retire();
        assert!(state.is_unmapping());
        state.unmapped();
        assert!(state.is_free());
    }
    state.fill();
    state.hand_out();
    assert!(state.claim());
    assert!(!state.claim(), "both sides won");
    assert!(!state.take_back(), "it came back although it was claimed");
    state.unmapped();
    assert!(state.is_free());
}

#[test]
fn counter_counts() {
    let counter = Counter::new();
    counter.inc();
    counter.add(41);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| (0..1000).for_each(|_| counter.inc_shared()));
        }
    });
    assert_eq!(counter.get(), 2042);
}
