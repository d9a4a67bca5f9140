// SPDX-License-Identifier: GPL-2.0

//! What it costs to return pages from several CPUs at once into one pool.
//!
//! *ours* is the shipping `rings.rs` with `ptr_ring.rs`, one ring for each CPU: what a return looks up
//! is looked up each time, where it is in memory in a pool. *page_pool* is the kernel's
//! `ptr_ring.h`, one ring for all CPUs with a spinlock (`peer.c`). Threads bound to CPUs stand for
//! softirqs. Nothing happens between two returns, which is as hard as it gets for a lock.
//!
//! - `return_cpus`: all CPUs return pages at once; when all are done the pages are taken out, which
//!   is not timed. That is done by another CPU than the one that fills the ring, as in a pool, so the
//!   entries have to come from that one's cache. (page_pool's ring is filled by all.)
//! - `return_concurrent`: one more CPU takes pages out all the while. Who finds no room waits for it.
//! - `return_interrupts`: one more CPU returns pages as interrupts do, to the list. (The kernel's
//!   page_pool takes none there.)
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
    ffi::{
        c_int,
        c_uint, //
    },
    hint,
    process,
    ptr::without_provenance_mut,
    sync::atomic::{
        compiler_fence,
        AtomicUsize,
        Ordering::*, //
    },
    thread,
    time::Instant, //
};

#[path = "../../../rust/page_pool/core/list.rs"]
#[allow(dead_code)]
mod list;
#[path = "../../../rust/page_pool/core/platform.rs"]
#[allow(dead_code, unused_imports)]
mod platform;
#[path = "../../../rust/page_pool/core/ptr_ring.rs"]
#[allow(dead_code)]
mod ptr_ring;
#[path = "../../../rust/page_pool/core/rings.rs"]
#[allow(dead_code)]
mod rings;
#[path = "../../../rust/page_pool/core/stats.rs"]
#[allow(dead_code)]
mod stats;

use list::END;
use platform::{
    array_from_fn,
    AtomicU32, //
};
use ptr_ring::MAX_BATCH;
use rings::{
    Returns,
    Sources, //
    ENTRIES,
};

/// What each CPU returns in one go: as many as fit into our ring, which may be full with a batch less in
/// it than it has entries.
const PAGES: usize = 1024 - MAX_BATCH;
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

/// What stands for a page: a slot, as large as a pool's.
#[repr(C)]
struct Slot {
    _page: [u64; 3],
    _state: AtomicU32,
    next: AtomicU32,
}

/// Where a pool's pages come back.
enum Side {
    Ours(Box<Returns<Slot>>),
    PagePool(*mut CRing),
}

// SAFETY: The C ring has a lock for producers, and `take()` has one caller at a time.
unsafe impl Sync for Side {}

impl Side {
    /// A pool with room for `PAGES` of each of `cpus`.
    fn ours(cpus: usize) -> Self {
        let slot = |_| Slot {
            _page: [0; 3],
            _state: AtomicU32::new(0),
            next: AtomicU32::new(0),
        };
        let slots = array_from_fn(1024 * cpus, slot).expect("no memory");
        let returns = Box::new(Returns::new(slots, cpus, true, 0, 1, ENTRIES).expect("no memory"));
        let mut sources = Sources::new(cpus).expect("no memory");
        for cpu in 0..cpus {
            returns.ask(cpu);
            // SAFETY: There is no other.
            unsafe { sources.make_wanted(&returns) };
        }
        Side::Ours(returns)
    }

    /// Page number `page` of those that CPU `cpu` returns.
    fn page(cpu: usize, page: usize) -> usize {
        cpu * PAGES + page
    }

    /// Returns `count` pages of CPU `cpu`, from its number `first` on, as many as there is room for, and
    /// says how many.
    ///
    /// # Safety
    ///
    /// No other thread may use that `cpu`, and the caller has entered it.
    unsafe fn give(&self, cpu: usize, first: usize, count: usize) -> usize {
        let page = Self::page(cpu, first);
        let returns = match self {
            Side::Ours(returns) => returns,
            // SAFETY: The ring is valid, and `peer_enter()` was called.
            Side::PagePool(ring) => unsafe {
                return peer_give(
                    *ring,
                    without_provenance_mut((page + 1) * STEP),
                    STEP,
                    count,
                );
            },
        };
        for i in 0..count {
            let Some((slot, local)) = returns.find(page + i, cpu) else {
                return i;
            };
            // SAFETY: By this function's requirement there is no other producer.
            let Some(room) = (unsafe { local.ring.reserve() }) else {
                return i;
            };
            room.fill(slot.into());
            local.stats.recycle_ring.inc();
            // Pages come back one at a time: nothing of the pool stays in registers.
            compiler_fence(SeqCst);
        }
        count
    }

    /// Returns the pages of CPU `cpu` as its interrupts do.
    fn interrupt(&self, cpu: usize) {
        if let Side::Ours(returns) = self {
            for page in Self::page(cpu, 0)..Self::page(cpu, PAGES) {
                returns.list.push(page as u32, &returns.slots()[page].next);
                compiler_fence(SeqCst);
            }
        }
    }

    /// Takes all pages out of a ring, if there is one of that number, and counts and adds them up.
    ///
    /// # Safety
    ///
    /// No other thread may do that at the same time.
    unsafe fn take(&self, ring: usize, count: &mut usize, sum: &mut usize) {
        match self {
            Side::Ours(returns) => {
                let Some(local) = returns.rings().get(ring) else {
                    return;
                };
                // SAFETY: By this function's requirement there is no other consumer.
                while let Some(slot) = unsafe { local.ring.consume() } {
                    let offset = slot.as_ptr().addr() - returns.slots().as_ptr().addr();
                    *sum += (offset / size_of::<Slot>() + 1) * STEP;
                    *count += 1;
                }
            }
            // SAFETY: The ring is valid, and there is no other consumer.
            Side::PagePool(one) if ring == 0 => *count += unsafe { peer_take(*one, sum) },
            Side::PagePool(_) => (),
        }
    }

    /// Takes all pages off the list, and counts and adds them up.
    fn take_listed(&self, count: &mut usize, sum: &mut usize) {
        if let Side::Ours(returns) = self {
            let mut at = returns.list.take_all();
            while at != END {
                *sum += (at as usize + 1) * STEP;
                *count += 1;
                at = returns.slots()[at as usize].next.load(Relaxed);
            }
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

/// What one more CPU does.
#[derive(Clone, Copy, PartialEq)]
enum Beside {
    Nothing,
    /// Takes pages out.
    Takes,
    /// Returns pages from interrupts.
    Interrupts,
}

/// One round of one side. Returns the time in nanoseconds.
fn round(side: &Side, cpus: &[usize], producers: usize, beside: Beside) -> usize {
    // With one producer and nothing beside it, a second thread only takes.
    let threads = match beside {
        Beside::Nothing => producers.max(2),
        _ => producers + 1,
    };
    let barrier = Barrier {
        threads,
        arrived: AtomicUsize::new(0),
    };
    let pages = match beside {
        Beside::Interrupts => threads,
        _ => producers,
    } * PAGES;
    let all = pages * (WARM_UP + TURNS);

    // Returns the time that was counted, and what was taken.
    let thread = |cpu: usize| {
        let (mut ns, mut count, mut sum) = (0, 0, 0);
        enter(cpus, cpu);
        barrier.wait();
        if beside == Beside::Takes && cpu == producers {
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
                // SAFETY: This thread has entered `cpu`, and no other has.
                given += unsafe { side.give(cpu, given, PAGES - given) };
                assert!(
                    given == PAGES || beside == Beside::Takes,
                    "there was no room"
                );
            }
            if turn >= WARM_UP && cpu < producers {
                ns += start.elapsed().as_nanos() as usize;
            }
            if beside == Beside::Interrupts && cpu == producers {
                side.interrupt(cpu);
            }
            if beside != Beside::Takes {
                barrier.wait();
                // SAFETY: Each thread takes from another ring.
                unsafe { side.take((cpu + threads - 1) % threads, &mut count, &mut sum) };
                if cpu == 0 {
                    side.take_listed(&mut count, &mut sum);
                }
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

/// The cases: their names, what happens beside, and whether the kernel's page_pool has such a case.
const CASES: [(&str, Beside, bool); 3] = [
    ("return_cpus", Beside::Nothing, true),
    ("return_concurrent", Beside::Takes, true),
    ("return_interrupts", Beside::Interrupts, false),
];

fn main() {
    let rounds = std::env::args().nth(1).and_then(|arg| arg.parse().ok());
    let cpus = allowed_cpus();
    let (Some(rounds @ 1..), 2..) = (rounds, cpus.len()) else {
        eprintln!("usage: ring ROUNDS, on two CPUs or more");
        process::exit(2);
    };
    for number in 1..=rounds {
        for producers in (0..).map(|n| 1 << n).take_while(|&n| n <= cpus.len()) {
            for (case, beside, both) in CASES {
                if beside != Beside::Nothing && producers == cpus.len() {
                    continue;
                }
                // Neither side is always the first.
                for ours in [number % 2 == 0, number % 2 != 0] {
                    let (name, side) = if ours {
                        ("ours", Side::ours(producers + 1))
                    } else if both {
                        let size = (producers * PAGES) as c_int;
                        // SAFETY: No requirements. It does not return without a ring.
                        ("page_pool", Side::PagePool(unsafe { peer_new(size) }))
                    } else {
                        continue;
                    };
                    let ns = round(&side, &cpus, producers, beside);
                    let ops = producers * PAGES * TURNS;
                    println!(
                        "bench: case={case} cpus={producers} side={name} round={number} ops={ops} ns={ns}"
                    );
                }
            }
        }
    }
}
