// SPDX-License-Identifier: GPL-2.0

//! What it costs to return pages from several CPUs at once into one pool.
//!
//! *ours* is the shipping `ptr_ring.rs`, one ring for each CPU; *page_pool* is the kernel's
//! `ptr_ring.h`, one ring for all CPUs with a spinlock (`peer.c`). Threads bound to CPUs stand for
//! softirqs. Nothing happens between two returns, which is as hard as it gets for a lock.
//!
//! - `return_cpus`: all CPUs return pages at once; when all are done the pages are taken out, which
//!   is not timed. That is done by another CPU than the one that fills the ring, as in a pool, so the
//!   entries have to come from that one's cache. (page_pool's ring is filled by all.)
//! - `return_concurrent`: one more CPU takes pages out all the while. Who finds no room waits for it.
//!
//! `ns` is the time that the returning CPUs took, added up, so `ns / ops` is what a page costs the
//! CPU that returns it: if CPUs do not disturb each other, it does not depend on their number. The
//! clock is read twice in [`PAGES`].
//!
//! Rounds are short, and the sides alternate: what else the machine does hits some of the rounds.
//! That is not fair to the lock, for a softirq that holds it is not preempted, and a thread is. On a
//! busy machine compare the minima, too: in the lock's best round the CPUs may even not have met.
//! Each has new rings, so that none owes its result to an address.
//!
//! usage: `ring ROUNDS`

use std::{
    ffi::{c_int, c_uint},
    hint, process,
    ptr::{without_provenance_mut, NonNull},
    sync::atomic::{compiler_fence, AtomicUsize, Ordering::*},
    thread,
    time::Instant,
};

#[path = "../../../rust/ptr_ring/platform.rs"]
#[allow(dead_code, unused_imports)]
mod platform;
#[path = "../../../rust/ptr_ring/ptr_ring.rs"]
#[allow(dead_code)]
mod ptr_ring;

use ptr_ring::{PtrRing, MAX_BATCH};

/// What each CPU returns in one go: as many as our ring is for, and page_pool's by default.
const PAGES: usize = 1024;
/// How often in a round, and how often before it, until caches and branch predictors are warm.
const TURNS: usize = 8;
const WARM_UP: usize = 4;
/// A page is the address of a `struct page` of this size, and is not looked into.
const STEP: usize = 64;

/// `struct ptr_ring`
#[repr(C)]
struct CRing([u8; 0]);

extern "C" {
    fn peer_new(size: c_int) -> *mut CRing;
    fn peer_free(ring: *mut CRing);
    fn peer_enter(cpu: c_uint);
    fn peer_give(ring: *mut CRing, page: *mut (), step: usize, count: usize) -> usize;
    fn peer_take(ring: *mut CRing, sum: *mut usize) -> usize;
    fn sched_getaffinity(pid: c_int, size: usize, mask: *mut u64) -> c_int;
    fn sched_setaffinity(pid: c_int, size: usize, mask: *const u64) -> c_int;
}

/// Where a pool's pages come back.
enum Side {
    Ours(Vec<PtrRing<()>>),
    PagePool(*mut CRing),
}

// SAFETY: The C ring has a lock for producers, and `take()` has one caller at a time.
unsafe impl Sync for Side {}

impl Side {
    /// Returns `count` pages from `page` on, as many as there is room for, and says how many.
    ///
    /// # Safety
    ///
    /// No other thread may use that `cpu`, and the caller has entered it.
    unsafe fn give(&self, cpu: usize, page: usize, count: usize) -> usize {
        let rings = match self {
            Side::Ours(rings) => rings,
            // SAFETY: The ring is valid, and `peer_enter()` was called.
            Side::PagePool(ring) => unsafe {
                return peer_give(*ring, without_provenance_mut(page), STEP, count);
            },
        };
        let ring = &rings[cpu];
        for i in 0..count {
            let page = without_provenance_mut(page.wrapping_add(i.wrapping_mul(STEP)));
            // SAFETY: By this function's requirement there is no other producer.
            if unsafe { ring.produce(NonNull::new(page).expect("null is no page")) }.is_err() {
                return i;
            }
            // Pages come back one at a time: nothing of the ring stays in registers.
            compiler_fence(SeqCst);
        }
        count
    }

    /// Takes all pages out of a ring, if there is one of that number, and counts and adds them up.
    ///
    /// # Safety
    ///
    /// No other thread may do that at the same time.
    unsafe fn take(&self, ring: usize, count: &mut usize, sum: &mut usize) {
        match self {
            Side::Ours(rings) => {
                // SAFETY: By this function's requirement there is no other consumer.
                while let Some(page) = rings.get(ring).and_then(|ring| unsafe { ring.consume() }) {
                    *sum += page.as_ptr().addr();
                    *count += 1;
                }
            }
            // SAFETY: The ring is valid, and there is no other consumer.
            Side::PagePool(one) if ring == 0 => *count += unsafe { peer_take(*one, sum) },
            Side::PagePool(_) => (),
        }
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        if let Side::PagePool(ring) = *self {
            // SAFETY: It is from `peer_new()`, and nobody uses it any more.
            unsafe { peer_free(ring) };
        }
    }
}

/// Lets the threads go on when all of them are there. It spins, so they do at the same time.
struct Barrier {
    threads: usize,
    arrived: AtomicUsize,
}

impl Barrier {
    fn wait(&self) {
        let all = (self.arrived.fetch_add(1, AcqRel) / self.threads + 1) * self.threads;
        while self.arrived.load(Acquire) < all {
            hint::spin_loop();
        }
    }
}

type Mask = [u64; 16];

/// The CPUs that this process may use.
fn allowed_cpus() -> Vec<usize> {
    let mut mask = Mask::default();
    // SAFETY: The mask has that size.
    let status = unsafe { sched_getaffinity(0, size_of::<Mask>(), mask.as_mut_ptr()) };
    assert!(status >= 0, "sched_getaffinity() failed");
    let allowed = |cpu: &usize| mask[cpu / 64] & (1 << (cpu % 64)) != 0;
    (0..64 * mask.len()).filter(allowed).collect()
}

/// Makes the calling thread that one of `cpus`.
fn enter(cpus: &[usize], number: usize) {
    let mut mask = Mask::default();
    mask[cpus[number] / 64] = 1 << (cpus[number] % 64);
    // SAFETY: The mask has that size.
    let status = unsafe { sched_setaffinity(0, size_of::<Mask>(), mask.as_ptr()) };
    assert!(status == 0, "cannot run on CPU {}", cpus[number]);
    // SAFETY: No requirements.
    unsafe { peer_enter(number as c_uint) };
}

/// One round of one side. Returns the time in nanoseconds.
fn round(side: &Side, cpus: &[usize], producers: usize, concurrent: bool) -> usize {
    // With one producer that is not `concurrent`, a second thread only takes.
    let threads = if concurrent {
        producers + 1
    } else {
        producers.max(2)
    };
    let barrier = Barrier {
        threads,
        arrived: AtomicUsize::new(0),
    };
    let pages = producers * PAGES;
    let all = pages * (WARM_UP + TURNS);

    // Returns the time that was counted, and what was taken.
    let thread = |cpu: usize| {
        let (mut ns, mut count, mut sum) = (0, 0, 0);
        enter(cpus, cpu);
        barrier.wait();
        if concurrent && cpu == producers {
            while count < all {
                // SAFETY: No other thread takes.
                (0..producers).for_each(|ring| unsafe { side.take(ring, &mut count, &mut sum) });
                hint::spin_loop();
            }
            return (ns, count, sum);
        }
        for turn in 0..WARM_UP + TURNS {
            let start = Instant::now();
            let mut given = if cpu < producers { 0 } else { PAGES };
            while given < PAGES {
                let page = (cpu * PAGES + given + 1) * STEP;
                // SAFETY: This thread has entered `cpu`, and no other has.
                given += unsafe { side.give(cpu, page, PAGES - given) };
                assert!(given == PAGES || concurrent, "there was no room");
            }
            if turn >= WARM_UP && cpu < producers {
                ns += start.elapsed().as_nanos() as usize;
            }
            if !concurrent {
                barrier.wait();
                // SAFETY: Each thread takes from another ring.
                unsafe { side.take((cpu + threads - 1) % threads, &mut count, &mut sum) };
                barrier.wait();
            }
        }
        (ns, count, sum)
    };
    let (ns, count, sum) = thread::scope(|scope| {
        let threads: Vec<_> = (0..threads)
            .map(|cpu| scope.spawn(move || thread(cpu)))
            .collect();
        let results = threads
            .into_iter()
            .map(|thread| thread.join().expect("panics abort"));
        results.fold((0, 0, 0), |a, b| (a.0 + b.0, a.1 + b.1, a.2 + b.2))
    });

    // Each page came out as often as it was put in.
    assert_eq!(count, all, "pages were lost or doubled");
    assert_eq!(sum, all * (pages + 1) / 2 * STEP, "other pages came out");
    ns
}

fn main() {
    let rounds = std::env::args().nth(1).and_then(|arg| arg.parse().ok());
    let cpus = allowed_cpus();
    let (Some(rounds @ 1..), 2..) = (rounds, cpus.len()) else {
        eprintln!("usage: ring ROUNDS, on two CPUs or more");
        process::exit(2);
    };
    for number in 1..=rounds {
        for producers in (0..).map(|n| 1 << n).take_while(|&n| n <= cpus.len()) {
            for (case, concurrent) in [("return_cpus", false), ("return_concurrent", true)] {
                if concurrent && producers == cpus.len() {
                    continue;
                }
                // Neither side is always the first.
                for ours in [number % 2 == 0, number % 2 != 0] {
                    let (name, side) = if ours {
                        let ring = |_| PtrRing::new(PAGES + MAX_BATCH).expect("no memory");
                        ("ours", Side::Ours((0..producers).map(ring).collect()))
                    } else {
                        let size = (producers * PAGES) as c_int;
                        // SAFETY: No requirements. It does not return without a ring.
                        ("page_pool", Side::PagePool(unsafe { peer_new(size) }))
                    };
                    let ns = round(&side, &cpus, producers, concurrent);
                    let ops = producers * PAGES * TURNS;
                    println!(
                        "bench: case={case} cpus={producers} side={name} round={number} ops={ops} ns={ns}"
                    );
                }
            }
        }
    }
}
