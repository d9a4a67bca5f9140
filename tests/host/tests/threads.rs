// SPDX-License-Identifier: GPL-2.0

//! The parts of the pool that know no page, with more than one thread. What takes only one is in the files
//! of `rust/page_pool/core`, where the kernel runs it as well.

#![cfg(not(loom))]

use page_pool::{
    limit::Limit,
    list::{List, END},
    platform::AtomicU32,
    stats::Counter,
};
use std::{collections::BTreeSet, sync::atomic::Ordering, thread};

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
