// SPDX-License-Identifier: GPL-2.0

//! The last return against the end of the pool, millions of times on two real threads which dawdle
//! wherever the race may be won or lost.

#![cfg(not(loom))]

use page_pool::{
    exclusive::{dawdle, no_wait_if},
    pool::{Mistake, Pool, INTERRUPT},
};
use std::{
    hint::spin_loop,
    sync::{
        atomic::{AtomicBool, AtomicUsize, Ordering},
        Arc,
    },
    thread,
};

/// Pages in one round: so many races for each time that the threads have to meet.
const PAGES: usize = 32;

/// Where two threads wait for each other. Spins, so that both leave at the same time.
#[derive(Default)]
struct Meeting {
    arrivals: AtomicUsize,
    failed: Arc<AtomicBool>,
}

impl Meeting {
    /// Panics if the other thread did: it would not come.
    fn wait(&self) {
        let both = self.arrivals.fetch_add(1, Ordering::AcqRel) / 2 * 2 + 2;
        let mut tries = 0_u32;
        while self.arrivals.load(Ordering::Acquire) < both {
            assert!(
                !self.failed.load(Ordering::Relaxed),
                "the other thread failed"
            );
            tries += 1;
            if tries % 256 == 0 {
                // There may be one CPU only.
                thread::yield_now();
            } else {
                spin_loop();
            }
        }
    }
}

/// Says so when its thread panics.
struct Guard<'a>(&'a Meeting);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.failed.store(true, Ordering::Relaxed);
        }
    }
}

/// Returns how many pages came back in time and how many too late, and in how many rounds there were
/// both; or nothing if it went wrong.
fn race(rounds: usize, mistake: Option<Mistake>) -> Option<[usize; 3]> {
    let pool = Pool::new(PAGES, PAGES as u32, 2).with(mistake);
    let meeting = Meeting::default();

    thread::scope(|scope| {
        let napi = scope.spawn(|| {
            let _guard = Guard(&meeting);
            no_wait_if(meeting.failed.clone());
            for round in 0..rounds {
                dawdle(0);
                pool.reopen();
                assert!((0..PAGES).all(|page| pool.grow(page)));
                while let Some(page) = pool.alloc(0) {
                    pool.touch(page);
                    pool.into_stack(page);
                }
                dawdle(2 * round as u64 + 1);
                meeting.wait();
                (0..round % 64).for_each(|_| spin_loop());
                pool.destroy();
                meeting.wait();
                assert!((0..PAGES).all(|page| pool.is_free(page)), "a page was lost");
            }
        });
        let stack = scope.spawn(|| {
            let _guard = Guard(&meeting);
            no_wait_if(meeting.failed.clone());
            let mut counts = [0; 3];
            for round in 0..rounds {
                dawdle(2 * round as u64 + 2);
                meeting.wait();
                let late = (0..PAGES)
                    .filter(|n| {
                        // Another page first each time, for the other side begins with the same.
                        let page = (n + round) % PAGES;
                        let cpu = if n % 8 == 0 { INTERRUPT } else { 1 };
                        pool.touch(page);
                        pool.put_page(page, cpu)
                    })
                    .count();
                meeting.wait();
                counts[0] += PAGES - late;
                counts[1] += late;
                counts[2] += usize::from(late % PAGES != 0);
            }
            counts
        });
        let (napi, stack) = (napi.join(), stack.join());
        napi.ok().and(stack.ok())
    })
}

#[test]
fn last_return_against_destroy() {
    let rounds = 100_000;
    let [back, late, both] = race(rounds, None).expect("see above");
    println!("{back} came back, {late} were late; both in {both} of {rounds} rounds");
    assert!(back > PAGES && late > PAGES && both > 100, "no race");
}

/// What the race finds when something is wrong, and how soon. (Not a missing grace period: the window is a
/// few instructions, and whether two threads meet in it is luck on a busy machine. Loom finds that.)
fn finds(mistake: Mistake) {
    let found = (0..200).find(|_| race(1000, Some(mistake)).is_none());
    println!("after {found:?} thousand rounds");
    assert!(found.is_some());
}

#[test]
fn finds_a_return_without_claim() {
    finds(Mistake::NoClaim);
}

#[test]
fn finds_a_loser_that_does_not_wait() {
    finds(Mistake::NoWait);
}
