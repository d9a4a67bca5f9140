// SPDX-License-Identifier: GPL-2.0

//! Long random histories of a whole pool, one thread: ring, cache, list, limit and slot states against
//! a model that knows of each page only who has it.

#![cfg(not(loom))]

mod history;
mod random;

use history::{count, History};
use page_pool::{
    limit::Pressure,
    pool::{Mistake, Pool, INTERRUPT},
};
use proptest::{
    prelude::*,
    sample::select,
    test_runner::{TestError, TestRunner},
};
use std::cell::Cell;

/// More than the cache holds, so that it overflows; and more pages in the system.
const SLOTS: u32 = 160;
const PAGES: usize = 200;
const CPUS: usize = 2;
/// What `shared.rs` gives a ring on the host: little, so that rings overflow.
const RING: usize = 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    System,
    Pool,
    Driver,
    /// References.
    Stack(u32),
    /// As `Stack`; its pool is gone.
    Orphan(u32),
    Escaped,
}
use Owner::{Driver, Escaped, Orphan, Stack, System};

/// Numbers choose one of the pages that there are of a kind.
#[derive(Clone, Debug)]
enum Event {
    Alloc {
        cpu: usize,
        times: usize,
    },
    Recycle {
        cpu: usize,
        times: usize,
    },
    Send {
        times: usize,
    },
    Get(usize),
    Put {
        from: usize,
        cpu: usize,
        times: usize,
    },
    /// Somebody's bug.
    PutOfThePools(usize, usize),
    Escape(usize),
    Audit,
    Limit(u32),
    /// About the pressure.
    Ask,
    /// And a new one in its place.
    Destroy,
}

fn event() -> impl Strategy<Value = Event> {
    let cpu = 0..CPUS;
    let returning = select(vec![0, 1, INTERRUPT]);
    // Runs, so that everything is now and then full or empty.
    let times = prop_oneof![4 => 1..4usize, 1 => 1..100usize];
    prop_oneof![
        8 => (cpu.clone(), times.clone()).prop_map(|(cpu, times)| Event::Alloc { cpu, times }),
        4 => (cpu, times.clone()).prop_map(|(cpu, times)| Event::Recycle { cpu, times }),
        6 => times.clone().prop_map(|times| Event::Send { times }),
        1 => any::<usize>().prop_map(Event::Get),
        6 => (any::<usize>(), returning.clone(), times)
            .prop_map(|(from, cpu, times)| Event::Put { from, cpu, times }),
        1 => (any::<usize>(), returning).prop_map(|(page, cpu)| Event::PutOfThePools(page, cpu)),
        1 => any::<usize>().prop_map(Event::Escape),
        1 => Just(Event::Audit),
        1 => prop_oneof![0..=SLOTS, Just(SLOTS)].prop_map(Event::Limit),
        2 => Just(Event::Ask),
        1 => prop_oneof![20 => Just(Event::Audit), 1 => Just(Event::Destroy)],
    ]
}

/// What the histories got to; none of it may be a rarity.
#[derive(Default)]
struct Reached {
    came_back: Cell<u64>,
    limit: Cell<u64>,
    discarded: Cell<u64>,
    ring_full: Cell<u64>,
    cache_full: Cell<u64>,
    orphans: Cell<u64>,
    escaped: Cell<u64>,
    unbalanced: Cell<u64>,
    idle: Cell<u64>,
}

struct Model<'a> {
    pool: Pool,
    owners: [Owner; PAGES],
    /// The limit in force.
    max: usize,
    reached: &'a Reached,
}

impl Model<'_> {
    fn those(&self, is: fn(&Owner) -> bool) -> Vec<usize> {
        (0..PAGES).filter(|&p| is(&self.owners[p])).collect()
    }

    /// One of them.
    fn any(&self, n: usize, is: fn(&Owner) -> bool) -> Option<usize> {
        let those = self.those(is);
        those.get(n % those.len().max(1)).copied()
    }

    fn number(&self, is: fn(&Owner) -> bool) -> usize {
        self.owners.iter().filter(|owner| is(owner)).count()
    }

    /// How many pages count.
    fn owned(&self) -> usize {
        self.number(|owner| matches!(owner, Owner::Pool | Driver | Stack(_) | Escaped))
    }

    /// Pages of the pool that are the system's now.
    fn released(&mut self) -> usize {
        self.gone(|owner| *owner == Owner::Pool)
    }

    /// Of those, the ones that are the system's now.
    fn gone(&mut self, those: fn(&Owner) -> bool) -> usize {
        let mut gone = self.those(those);
        gone.retain(|&page| self.pool.is_free(page));
        gone.iter().for_each(|&page| self.owners[page] = System);
        gone.len()
    }

    /// Escaped pages that were found.
    fn found(&mut self) {
        let found = self.gone(|owner| *owner == Escaped);
        count(&self.reached.escaped, found);
    }
}

impl History for Model<'_> {
    type Event = Event;

    fn times(event: &Event) -> usize {
        match *event {
            Event::Alloc { times, .. }
            | Event::Recycle { times, .. }
            | Event::Send { times }
            | Event::Put { times, .. } => times,
            _ => 1,
        }
    }

    fn can_go_on(&self) -> bool {
        self.number(|owner| *owner == System) != 0
    }

    fn step(&mut self, event: Event) {
        let pool = &self.pool;
        match event {
            Event::Alloc { cpu, .. } => {
                let had = self.number(|owner| *owner == Owner::Pool);
                let (excess, cached) = (pool.limit().excess() as usize, pool.cached());
                let page = pool.alloc(cpu);
                let discarded = self.released();
                // Pages are looked for when there is none at the limit.
                self.found();
                count(&self.reached.discarded, discarded);
                assert!(discarded <= excess, "discarded without need");
                assert!(discarded == 0 || cached == 0, "discarded for no refill");
                let page = page.or_else(|| {
                    assert!(had == 0 || discarded > 0, "the pool has pages");
                    let new = self.any(0, |owner| *owner == System).unwrap();
                    let room = self.owned() < self.max;
                    assert_eq!(self.pool.grow(new), room, "the limit");
                    self.found();
                    // What is above the limit goes by batches.
                    let discarded = self.released();
                    assert!(!room || discarded == 0, "discarded below the limit");
                    count(&self.reached.limit, usize::from(!room));
                    room.then(|| {
                        self.owners[new] = Owner::Pool;
                        self.pool.alloc(cpu).expect("it was just put there")
                    })
                });
                if let Some(page) = page {
                    assert_eq!(self.owners[page], Owner::Pool, "{page} has two owners");
                    self.owners[page] = Driver;
                }
            }
            Event::Recycle { cpu, .. } => {
                if let Some(page) = self.any(0, |owner| *owner == Driver) {
                    let full = pool.cached() == page_pool::cache::SIZE;
                    pool.recycle(page, cpu);
                    self.owners[page] = Owner::Pool;
                    let released = self.released();
                    count(&self.reached.cache_full, usize::from(full));
                    assert!(released == 0 || full, "released with room in the cache");
                }
            }
            Event::Send { .. } => {
                if let Some(page) = self.any(0, |owner| *owner == Driver) {
                    pool.into_stack(page);
                    self.owners[page] = Stack(1);
                }
            }
            Event::Get(n) => {
                if let Some(page) = self.any(n, |owner| matches!(owner, Stack(_) | Orphan(_))) {
                    pool.get_page(page);
                    let (Stack(refs) | Orphan(refs)) = &mut self.owners[page] else {
                        unreachable!();
                    };
                    *refs += 1;
                }
            }
            Event::Put { from, cpu, .. } => {
                let Some(page) = self.any(from, |owner| matches!(owner, Stack(_) | Orphan(_)))
                else {
                    return;
                };
                pool.touch(page);
                let freed = pool.put_page(page, cpu);
                self.owners[page] = match self.owners[page] {
                    Orphan(1) => {
                        assert!(freed, "an orphan was kept");
                        count(&self.reached.orphans, 1);
                        System
                    }
                    Stack(1) if freed => {
                        // Only where there was no room; see `released()` for the others.
                        assert!(cpu != INTERRUPT, "the list is never full");
                        let pages = self.number(|owner| *owner == Owner::Pool);
                        assert!(pages >= RING, "the ring cannot be full");
                        count(&self.reached.ring_full, 1);
                        System
                    }
                    Stack(1) => {
                        count(&self.reached.came_back, 1);
                        Owner::Pool
                    }
                    Stack(refs) => Stack(refs - 1),
                    Orphan(refs) => Orphan(refs - 1),
                    owner => unreachable!("{owner:?}"),
                };
            }
            Event::PutOfThePools(n, cpu) => {
                if let Some(page) = self.any(n, |owner| matches!(owner, Owner::Pool | Driver)) {
                    assert!(!pool.put_page(page, cpu), "the pool lost its page");
                    count(&self.reached.unbalanced, 1);
                }
            }
            Event::Escape(n) => {
                if let Some(page) = self.any(n, |owner| *owner == Stack(1)) {
                    pool.escape(page);
                    self.owners[page] = Escaped;
                }
            }
            Event::Audit => {
                let escaped = self.number(|owner| *owner == Escaped);
                assert_eq!(pool.audit(), escaped, "lost pages");
                self.found();
            }
            Event::Limit(max) => {
                pool.limit().set(max);
                self.max = max as usize;
            }
            Event::Ask => {
                let home = self.number(|owner| *owner == Owner::Pool);
                assert!(pool.idle() <= home, "idle, but not home");
                let pressure = pool.look_at_all();
                // What is above the limit went, and lost pages are looked for.
                self.released();
                self.found();
                let home = self.number(|owner| *owner == Owner::Pool);
                if pressure != Pressure::None {
                    assert_eq!(self.pool.idle(), home, "home, but not idle");
                    count(&self.reached.idle, home);
                }
            }
            Event::Destroy => {
                pool.destroy();
                pool.limit().set(SLOTS);
                self.max = SLOTS as usize;
                for owner in &mut self.owners {
                    *owner = match *owner {
                        Stack(refs) | Orphan(refs) => Orphan(refs),
                        _ => System,
                    };
                }
                pool.reopen();
            }
        }
    }

    /// Every page is where the model has it, and is counted once.
    fn check(&self) {
        for (page, &owner) in self.owners.iter().enumerate() {
            assert_eq!(
                self.pool.is_free(page),
                owner == System,
                "{page}: {owner:?}"
            );
        }
        let pools = self.number(|owner| matches!(owner, Owner::Pool | Driver));
        let out = self.number(|owner| matches!(owner, Stack(_) | Escaped));
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
    history::run(runner, event(), 1000..3000, || Model {
        pool: Pool::new(PAGES, SLOTS, CPUS as u32).with(mistake),
        owners: [System; PAGES],
        max: SLOTS as usize,
        reached,
    })
}

#[test]
fn histories_match_the_model() {
    let reached = Reached::default();
    let steps = run(&mut random::runner(70), None, &reached).unwrap();
    history::show([
        ("steps", steps),
        ("came back", reached.came_back.get()),
        ("limit reached", reached.limit.get()),
        ("discarded for the limit", reached.discarded.get()),
        ("ring full", reached.ring_full.get()),
        ("cache full", reached.cache_full.get()),
        ("came back to another pool", reached.orphans.get()),
        ("escaped", reached.escaped.get()),
        ("unbalanced", reached.unbalanced.get()),
        ("home and idle", reached.idle.get()),
    ]);
    if std::env::var_os("PROPTEST_CASES").is_none() {
        assert!(steps > 1_000_000, "{steps} steps");
    }
}

/// What goes wrong in one thread as well.
#[test]
fn mistakes_are_found() {
    use Mistake::{AuditClaimsAll, ListIsNotIdle, NoPageCompare, TakeBackAlways};
    let mistakes = [AuditClaimsAll, ListIsNotIdle, NoPageCompare, TakeBackAlways];
    history::all_found(&mistakes, |mistake| {
        run(&mut random::finder(10), mistake, &Reached::default())
    });
}
