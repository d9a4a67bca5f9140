// SPDX-License-Identifier: GPL-2.0

//! The pressure of a pool as a driver meets it: what is home is idle, wherever it lies.

#![cfg(not(loom))]

use page_pool::{
    limit::Pressure,
    pool::{Pool, INTERRUPT},
};

/// Pages in a pool, and those of them that the device has.
const PAGES: usize = 2560;
const RING: usize = 255;

/// So many pages: those of the device's ring, and the others, which the stack has.
fn given_away(pool: &Pool, pages: usize) -> (Vec<usize>, Vec<usize>) {
    let (mut ring, mut out) = (Vec::new(), Vec::new());
    for page in 0..pages {
        assert!(pool.grow(page));
        let page = pool.alloc(0).unwrap();
        if ring.len() < RING {
            ring.push(page);
        } else {
            pool.into_stack(page);
            out.push(page);
        }
    }
    (ring, out)
}

/// A packet: copied under pressure, else it goes to the stack and comes back on CPU 0.
fn packet(pool: &Pool, page: usize) -> Pressure {
    let pressure = pool.pressure(0);
    if pressure == Pressure::None {
        pool.into_stack(page);
        pool.put_page(page, 0);
    } else {
        pool.recycle(page, 0);
    }
    pressure
}

/// All pages were given away, and have come back, as many of a hundred as that from interrupts and the
/// others on CPU 1, whether or not the CPUs have `rings` yet. Then packets come, which are copied under
/// pressure, as `ToStack::receive()` does, and else go to the stack and come back on CPU 0. Returns how
/// many met None, Some and High.
fn after_a_flood(percent: usize, rings: bool) -> [usize; 3] {
    let mut pool = Pool::new(PAGES, PAGES as u32, 2);
    if rings {
        pool = pool.with_rings();
    }
    let (mut ring, out) = given_away(&pool, PAGES);
    assert_eq!(pool.pressure(0), Pressure::High);
    for (i, &page) in out.iter().enumerate() {
        let cpu = if i * 100 < out.len() * percent {
            INTERRUPT
        } else {
            1
        };
        // What the ring of CPU 1 has no room for is the system's.
        pool.put_page(page, cpu);
    }
    let mut met = [0; 3];
    for _ in 0..2000 {
        for page in ring.drain(..64).collect::<Vec<_>>() {
            met[packet(&pool, page) as usize] += 1;
        }
        while ring.len() < RING {
            ring.push(pool.alloc(0).unwrap());
        }
    }
    met
}

#[test]
fn ends_when_pages_are_home() {
    for (percent, rings) in [0, 10, 50, 80, 95, 100]
        .map(|n| [(n, false), (n, true)])
        .concat()
    {
        let [none, some, high] = after_a_flood(percent, rings);
        println!(
            "{percent} % from interrupts, rings {rings}: {none} packets without pressure, {some} with, {high} high"
        );
        // There are no more sources than that.
        assert!(some + high <= 3, "{percent} %: {some} {high}");
    }
}

/// The limit is lowered below what a socket has. Every packet is copied then, and the ring, which is what all
/// others live of, keeps its pages: it lacks no more than what is on its way in one poll.
#[test]
fn the_ring_keeps_its_pages_at_a_lowered_limit() {
    const POLL: usize = 32;

    let pool = Pool::new(PAGES, PAGES as u32, 2).with_rings();
    let (mut ring, out) = given_away(&pool, 2000);
    pool.limit().set(600);
    for _ in 0..5000 {
        for page in ring.drain(..POLL).collect::<Vec<_>>() {
            assert_eq!(pool.pressure(0), Pressure::High);
            pool.recycle(page, 0);
        }
        while ring.len() < RING {
            let Some(page) = pool.alloc(0) else { break };
            ring.push(page);
        }
        assert!(ring.len() >= RING - POLL, "{} of {RING}", ring.len());
    }
    // The others go when they come back, as soon as NAPI meets them.
    for page in out {
        pool.put_page(page, 0);
    }
    for _ in 0..100 {
        for page in ring.drain(..POLL).collect::<Vec<_>>() {
            packet(&pool, page);
        }
        while ring.len() < RING {
            let Some(page) = pool.alloc(0) else { break };
            ring.push(page);
        }
    }
    let owned = pool.limit().owned();
    assert!(owned <= 600, "{owned}");
}
