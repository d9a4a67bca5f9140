// SPDX-License-Identifier: GPL-2.0

//! What a packet pays for the question how close its pool is to the limit, on machines with few CPUs and
//! with many: the shipping `supply.rs`, compiled for the host as in `tests/host`.
//!
//! A pool of 2,560 pages had given all away but those that the device has.
//!
//! - `pressure`: they have come home, on all CPUs in turn.
//! - `pressure_held`: they have not, but for one a CPU, so the pool looks for more each time.
//!
//! usage: `pressure ROUNDS`

use page_pool::pool::Pool;
use std::{
    process,
    time::Instant, //
};

const PAGES: usize = 2560;
const DEVICE: usize = 256;
const QUESTIONS: usize = 100_000;

/// The time of all questions in nanoseconds.
fn round(cpus: usize, home: bool) -> usize {
    let pool = Pool::new(PAGES, PAGES as u32, cpus as u32).with_rings();
    for page in 0..PAGES {
        assert!(pool.grow(page));
        let page = pool.alloc(0).expect("there is one");
        if page >= DEVICE {
            pool.into_stack(page);
        }
    }
    let back = DEVICE..if home { PAGES } else { DEVICE + cpus };
    for page in back {
        pool.put_page(page, page % cpus);
    }
    // Until it knows.
    pool.ask(2 * cpus);
    let start = Instant::now();
    pool.ask(QUESTIONS);
    start.elapsed().as_nanos() as usize
}

fn main() {
    let rounds = std::env::args().nth(1).and_then(|arg| arg.parse().ok());
    let Some(rounds @ 1..) = rounds else {
        eprintln!("usage: pressure ROUNDS");
        process::exit(2);
    };
    for number in 1..=rounds {
        for (case, home) in [("pressure", true), ("pressure_held", false)] {
            for cpus in [2, 64, 256] {
                let ns = round(cpus, home);
                println!("bench: case={case} cpus={cpus} side=ours round={number} ops={QUESTIONS} ns={ns}");
            }
        }
    }
}
