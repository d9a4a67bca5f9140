// SPDX-License-Identifier: GPL-2.0

//! Long random histories of a pool whose pages are two buffers, one thread: against a model that knows of each
//! half only who has it.

#![cfg(not(loom))]

mod history;
mod random;

use history::{count, History};
use page_pool::pool::{Buffer, Mistake, Pool, INTERRUPT};
use proptest::{
    prelude::*,
    sample::select,
    test_runner::{TestError, TestRunner},
};
use std::cell::Cell;

const SLOTS: u32 = 160;
const PAGES: usize = 200;
const CPUS: usize = 2;

/// Who has a half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    /// The pool, or with the whole page the system.
    Pool,
    /// NAPI, or the device.
    Driver(Buffer),
    /// The stack. What was sent comes back to NAPI.
    Stack(Buffer),
    /// Nobody: it was put, and the page is not home.
    Put,
    /// As `Stack`; its pool is gone.
    Orphan,
}
use Owner::{Driver, Orphan, Put, Stack};

/// Numbers choose one of the halves that there are of a kind.
#[derive(Clone, Debug)]
enum Event {
    Alloc {
        times: usize,
    },
    Recycle {
        from: usize,
        times: usize,
    },
    Send {
        from: usize,
        times: usize,
    },
    /// By NAPI, which had sent it.
    Back {
        from: usize,
        times: usize,
    },
    Put {
        from: usize,
        cpu: usize,
        times: usize,
    },
    /// Somebody's bug.
    PutOfThePools(usize),
    Limit(u32),
    Audit,
    /// And a new one in its place.
    Destroy,
}

fn event() -> impl Strategy<Value = Event> {
    let returning = select(vec![0, 1, INTERRUPT]);
    let times = prop_oneof![4 => 1..4usize, 1 => 1..100usize];
    let from = any::<usize>;
    prop_oneof![
        8 => times.clone().prop_map(|times| Event::Alloc { times }),
        4 => (from(), times.clone()).prop_map(|(from, times)| Event::Recycle { from, times }),
        6 => (from(), times.clone()).prop_map(|(from, times)| Event::Send { from, times }),
        3 => (from(), times.clone()).prop_map(|(from, times)| Event::Back { from, times }),
        6 => (from(), returning, times)
            .prop_map(|(from, cpu, times)| Event::Put { from, cpu, times }),
        1 => from().prop_map(Event::PutOfThePools),
        1 => prop_oneof![0..=SLOTS, Just(SLOTS)].prop_map(Event::Limit),
        1 => prop_oneof![20 => Just(Event::Audit), 1 => Just(Event::Destroy)],
    ]
}

/// What the histories got to; none of it may be a rarity.
#[derive(Default)]
struct Reached {
    by_the_hook: Cell<u64>,
    seen_by_napi: Cell<u64>,
    sent: Cell<u64>,
    cache_full: Cell<u64>,
    ring_full: Cell<u64>,
    orphans: Cell<u64>,
    ended_in_two: Cell<u64>,
}

struct Model<'a> {
    pool: Pool,
    halves: [[Owner; 2]; PAGES],
    max: usize,
    reached: &'a Reached,
}

impl Model<'_> {
    fn owner(&mut self, half: Buffer) -> &mut Owner {
        &mut self.halves[half.page][usize::from(half.second)]
    }

    fn other(&self, half: Buffer) -> Owner {
        self.halves[half.page][usize::from(!half.second)]
    }

    /// One of those that the driver has, or the stack.
    fn any(&self, n: usize, of: fn(&Owner) -> Option<Buffer>) -> Option<Buffer> {
        let those: Vec<_> = self.halves.iter().flatten().filter_map(of).collect();
        those.get(n % those.len().max(1)).copied()
    }

    fn drivers(owner: &Owner) -> Option<Buffer> {
        match owner {
            Driver(half) => Some(*half),
            _ => None,
        }
    }

    fn stacks(owner: &Owner) -> Option<Buffer> {
        match owner {
            Stack(half) => Some(*half),
            _ => None,
        }
    }

    /// NAPI has neither half.
    fn is_out(&self, page: usize) -> bool {
        self.halves[page]
            .iter()
            .all(|half| matches!(half, Stack(_) | Put))
    }

    /// The last reference is gone, and the hook has the page.
    fn home(&mut self, page: usize) {
        count(&self.reached.by_the_hook, 1);
        count(
            &self.reached.ring_full,
            usize::from(self.pool.is_free(page)),
        );
        self.halves[page] = [Owner::Pool; 2];
    }

    /// The reference to a half is dropped.
    fn dropped(&mut self, half: Buffer) {
        *self.owner(half) = Put;
        if self.halves[half.page] == [Put; 2] {
            self.home(half.page);
        }
    }

    /// NAPI puts a half into the cache, which had so many entries; or gives it up, if there is no room.
    fn into_cache(&mut self, half: Buffer, cached: usize) {
        if cached < page_pool::cache::SIZE {
            *self.owner(half) = Owner::Pool;
        } else {
            count(&self.reached.cache_full, 1);
            self.dropped(half);
        }
    }
}

impl History for Model<'_> {
    type Event = Event;

    fn times(event: &Event) -> usize {
        match *event {
            Event::Alloc { times }
            | Event::Recycle { times, .. }
            | Event::Send { times, .. }
            | Event::Back { times, .. }
            | Event::Put { times, .. } => times,
            _ => 1,
        }
    }

    fn can_go_on(&self) -> bool {
        (0..PAGES).any(|page| self.pool.is_free(page))
    }

    fn step(&mut self, event: Event) {
        let cached = self.pool.cached();
        match event {
            Event::Alloc { .. } => {
                let half = self.pool.alloc_half(0).or_else(|| {
                    let new = (0..PAGES).find(|&page| self.pool.is_free(page)).unwrap();
                    let room = (self.pool.limit().owned() as usize) < self.max;
                    assert_eq!(self.pool.grow(new), room, "the limit");
                    room.then(|| self.pool.alloc_half(0).expect("it was just put there"))
                });
                if let Some(half) = half {
                    self.pool.touch_half(half);
                    assert_eq!(*self.owner(half), Owner::Pool, "two owners");
                    *self.owner(half) = Driver(half);
                }
            }
            Event::Recycle { from, .. } => {
                if let Some(half) = self.any(from, Self::drivers) {
                    self.pool.touch_half(half);
                    self.pool.recycle_half(half, 0);
                    if self.other(half) == Put {
                        // That one comes first.
                        count(&self.reached.seen_by_napi, 1);
                        self.into_cache(half.other(), cached);
                        self.into_cache(half, cached + 1);
                    } else {
                        self.into_cache(half, cached);
                    }
                }
            }
            Event::Send { from, .. } => {
                if let Some(half) = self.any(from, Self::drivers) {
                    self.pool.half_into_stack(half);
                    *self.owner(half) = Stack(half);
                }
            }
            Event::Back { from, .. } => {
                if let Some(half) = self.any(from, Self::stacks) {
                    assert!(self.pool.half_sent(half, 0), "not taken back");
                    count(&self.reached.sent, 1);
                    self.into_cache(half, cached);
                }
            }
            Event::Put { from, cpu, .. } => {
                let orphan = self.halves.iter().position(|page| page.contains(&Orphan));
                if let Some(page) = orphan.filter(|_| from % 4 == 0) {
                    let at = self.halves[page].iter().position(|h| *h == Orphan).unwrap();
                    self.halves[page][at] = Owner::Pool;
                    let last = !self.halves[page].contains(&Orphan);
                    assert_eq!(self.pool.put_page(page, cpu), last, "an orphan");
                    count(&self.reached.orphans, 1);
                } else if let Some(half) = self.any(from, Self::stacks) {
                    self.pool.touch_half(half);
                    let freed = self.pool.put_page(half.page, cpu);
                    // Only where there was no room.
                    assert!(
                        !freed || (self.other(half) == Put && cpu != INTERRUPT),
                        "freed"
                    );
                    self.dropped(half);
                }
            }
            Event::PutOfThePools(n) => {
                let home: Vec<_> = (0..PAGES)
                    .filter(|&page| self.halves[page] == [Owner::Pool; 2])
                    .filter(|&page| !self.pool.is_free(page))
                    .collect();
                if let Some(&page) = home.get(n % home.len().max(1)) {
                    // Two references are the pool's.
                    assert!(!self.pool.put_page(page, 0), "the pool lost its page");
                    assert!(!self.pool.put_page(page, 0), "the pool lost its page");
                }
            }
            // Not below what there is: which halves go then is not for this model to know.
            Event::Limit(max) => {
                let max = max.max(self.pool.limit().owned());
                self.pool.limit().set(max);
                self.max = max as usize;
            }
            Event::Audit => assert_eq!(self.pool.audit(), 0, "lost pages"),
            Event::Destroy => {
                self.pool.destroy();
                self.pool.limit().set(SLOTS);
                self.max = SLOTS as usize;
                for page in &mut self.halves {
                    let two = page.iter().all(|half| matches!(half, Stack(_)));
                    count(&self.reached.ended_in_two, usize::from(two));
                    for half in page {
                        *half = match *half {
                            Stack(_) | Orphan => Orphan,
                            _ => Owner::Pool,
                        };
                    }
                }
                self.pool.reopen();
            }
        }
    }

    /// Every page is where the model has it, and is counted once, with a reference for each half that was not put.
    fn check(&self) {
        let (mut pools, mut out) = (0, 0);
        for (page, halves) in self.halves.iter().enumerate() {
            let free = self.pool.is_free(page);
            let mut references = halves.iter().filter(|half| **half != Put).count();
            if halves.contains(&Orphan) {
                references = halves.iter().filter(|half| **half == Orphan).count();
            } else if self.is_out(page) {
                out += 1;
            } else if free {
                assert_eq!(*halves, [Owner::Pool; 2], "{page}: freed too early");
                continue;
            } else {
                pools += 1;
            }
            assert!(!free, "{page}: freed while somebody has it");
            assert_eq!(
                self.pool.references(page) as usize,
                references,
                "{page}: references"
            );
        }
        let free = SLOTS as usize - pools - out;
        assert_eq!(self.pool.states(), [free, pools, out]);
        assert_eq!(self.pool.limit().owned() as usize, pools + out);
    }
}

fn run(
    runner: &mut TestRunner,
    mistake: Option<Mistake>,
    reached: &Reached,
) -> Result<u64, TestError<Vec<Event>>> {
    history::run(runner, event(), 1000..2000, || Model {
        pool: Pool::of_halves(PAGES, SLOTS, CPUS as u32).with(mistake),
        halves: [[Owner::Pool; 2]; PAGES],
        max: SLOTS as usize,
        reached,
    })
}

#[test]
fn histories_of_halves_match_the_model() {
    let reached = Reached::default();
    let steps = run(&mut random::runner(50), None, &reached).unwrap();
    history::show([
        ("steps", steps),
        ("home by the hook", reached.by_the_hook.get()),
        ("put, and seen by NAPI", reached.seen_by_napi.get()),
        ("sent and back", reached.sent.get()),
        ("cache full", reached.cache_full.get()),
        ("ring full", reached.ring_full.get()),
        ("came back to another pool", reached.orphans.get()),
        ("two out at the end", reached.ended_in_two.get()),
    ]);
}

/// What goes wrong in one thread as well.
#[test]
fn mistakes_with_halves_are_found() {
    use Mistake::{HalfIsHome, NeverLent, ReviveOne};
    history::all_found(&[NeverLent, HalfIsHome, ReviveOne], |mistake| {
        run(&mut random::finder(10), mistake, &Reached::default())
    });
}

/// Whole pages go when the limit was lowered, however few, also while NAPI has a half of one.
#[test]
fn pages_above_the_limit_go() {
    for excess in 1..5 {
        let pool = Pool::of_halves(PAGES, SLOTS, CPUS as u32).with_rings();
        assert!((0..10).all(|page| pool.grow(page)));
        let halves: Vec<_> = std::iter::from_fn(|| pool.alloc_half(0)).collect();
        for half in halves {
            pool.half_into_stack(half);
            assert!(!pool.put_page(half.page, 1));
        }
        pool.limit().set(10 - excess);
        // The refill that takes one half of a page.
        let half = pool.alloc_half(0).unwrap();
        assert_eq!(pool.limit().owned(), 10 - excess);
        pool.recycle_half(half, 0);
    }
}
