// SPDX-License-Identifier: GPL-2.0

//! Pages between NAPI, the stack and the end of their pool: `page_pool::pool`, which has the shipping
//! ring, cache, list, limit and slot state in it.
//!
//! Each model runs once as it is, and has to hold; and again with each mistake, and without each kind
//! of ordering, that it depends on, and then has to fail.

use super::check_bounded;
use loom::{sync::atomic::Ordering, thread};
use page_pool::{
    exclusive::Exclusive,
    list::{List, END},
    platform::{without, AtomicU32, Kind},
    pool::{Mistake, Pool, INTERRUPT},
    ptr_ring::PtrRing,
    state::SlotState,
};
// Not loom's `Arc`: when a model fails before its threads have begun, loom cannot drop that one.
use std::{
    collections::BTreeSet,
    ptr::NonNull,
    sync::{Arc, Mutex},
};

/// The slot state alone: the last reference is dropped while the pool is destroyed. One side removes
/// the mapping, and neither goes on before it is gone.
fn return_against_destroy() {
    check_bounded(None, || {
        let slot = Arc::new((SlotState::new(), Exclusive::new(true)));
        slot.0.fill();
        slot.0.hand_out();

        let unmap = |slot: &(SlotState, Exclusive<bool>)| {
            slot.1
                .with(|mapped| assert!(std::mem::replace(mapped, false), "unmapped twice"));
            slot.0.unmapped();
        };
        let destroy = {
            let slot = slot.clone();
            thread::spawn(move || {
                if slot.0.claim() {
                    unmap(&slot);
                }
            })
        };
        // The return path of a dying pool.
        if slot.0.claim() {
            unmap(&slot);
        }
        while slot.0.is_unmapping() {
            thread::yield_now();
        }
        slot.1
            .with(|mapped| assert!(!*mapped, "freed while it is mapped"));
        destroy.join().unwrap();
    });
}

/// The list alone: two interrupts return pages while NAPI collects. Each arrives once, with what was
/// written to it before.
fn list_of_two_returners() {
    check_bounded(None, || {
        let slots = Arc::new([0, 1].map(|i| (AtomicU32::new(END), Exclusive::new(i))));
        let list = Arc::new(List::new());
        let returners: Vec<_> = (0..2u32)
            .map(|i| {
                let (list, slots) = (list.clone(), slots.clone());
                thread::spawn(move || {
                    let slot = &slots[i as usize];
                    slot.1.with(|value| *value = i + 10);
                    list.push(i, &slot.0);
                })
            })
            .collect();

        let mut seen = BTreeSet::new();
        let mut collect = || {
            let mut at = list.take_all();
            while at != END {
                assert!(seen.insert(at), "{at} came twice");
                let slot = &slots[at as usize];
                slot.1.with(|value| assert_eq!(*value, at + 10));
                at = slot.0.load(Ordering::Relaxed);
            }
        };
        collect();
        for returner in returners {
            returner.join().unwrap();
        }
        collect();
        assert_eq!(seen.len(), 2, "a page was lost");
    });
}

/// Pages in the cache of a new pool; there is one more in the system than there are slots.
fn pool(slots: usize, cpus: u32, mistake: Option<Mistake>) -> Arc<Pool> {
    let pool = Pool::new(slots + 1, slots as u32, cpus)
        .with(mistake)
        .with_rings();
    assert!((0..slots).all(|page| pool.grow(page)));
    // The first refusal has an audit, which is too much for models that are about something else.
    assert!(!pool.grow(slots));
    Arc::new(pool)
}

/// A page that NAPI uses, and gives to the stack.
fn send(pool: &Pool) -> Option<usize> {
    let page = pool.alloc(0)?;
    pool.touch(page);
    pool.into_stack(page);
    Some(page)
}

/// Pages go from the cache through a queue to another CPU, which drops them, and through its ring
/// back into the cache, again and again while NAPI collects. Each owner writes to them.
fn hand_over(pages: usize, trips: usize, cpu: usize, mistake: Option<Mistake>) {
    // A third trip is too much for any number of preemptions.
    let bound = (trips > 2).then_some(5);
    check_bounded(bound, move || {
        let state = Arc::new((
            PtrRing::<usize>::new(trips).unwrap(),
            (0..pages).collect::<Vec<_>>(),
            pool(pages, 2, mistake),
        ));
        let stack = {
            let state = state.clone();
            thread::spawn(move || {
                let (queue, _, pool) = &*state;
                for _ in 0..trips {
                    let page = loop {
                        // SAFETY: This is the only consumer, and what is queued outlives it.
                        match unsafe { queue.consume().map(|page| *page.as_ref()) } {
                            Some(page) => break page,
                            None => thread::yield_now(),
                        }
                    };
                    pool.touch(page);
                    pool.put_page(page, cpu);
                }
            })
        };

        let (queue, numbers, pool) = &*state;
        for _ in 0..trips {
            let page = loop {
                match send(pool) {
                    Some(page) => break page,
                    None => thread::yield_now(),
                }
            };
            // SAFETY: This is the only producer.
            unsafe { queue.produce(NonNull::from(&numbers[page])) }.unwrap();
        }
        stack.join().unwrap();
        let back: BTreeSet<_> = std::iter::from_fn(|| pool.alloc(0)).collect();
        assert_eq!(back.len(), pages, "a page was lost");
    });
}

/// Two CPUs return pages while NAPI collects from both: to their own rings, or one from an interrupt.
fn two_returners(second: usize, mistake: Option<Mistake>) {
    check_bounded(None, move || {
        let pool = pool(2, 3, mistake);
        let returners = [1, second].map(|cpu| {
            let (pool, page) = (pool.clone(), send(&pool).unwrap());
            thread::spawn(move || {
                pool.touch(page);
                pool.put_page(page, cpu);
            })
        });

        let mut back: BTreeSet<_> = pool.alloc(0).into_iter().collect();
        back.iter().for_each(|&page| pool.touch(page));
        for returner in returners {
            returner.join().unwrap();
        }
        while let Some(page) = pool.alloc(0) {
            assert!(back.insert(page), "{page} came twice");
            pool.touch(page);
        }
        assert_eq!(back.len(), 2, "a page was lost");
    });
}

/// A CPU returns pages before it has a ring, and after, while NAPI makes it.
fn ring_is_made() {
    check_bounded(Some(3), || {
        let pool = Pool::new(3, 2, 2);
        assert!((0..2).all(|page| pool.grow(page)) && !pool.grow(2));
        let pool = Arc::new(pool);
        let pages = [(); 2].map(|()| send(&pool).unwrap());
        let stack = {
            let pool = pool.clone();
            thread::spawn(move || {
                for page in pages {
                    pool.touch(page);
                    pool.put_page(page, 1);
                }
            })
        };
        let mut back: BTreeSet<_> = pool.alloc(0).into_iter().collect();
        back.iter().for_each(|&page| pool.touch(page));
        stack.join().unwrap();
        while let Some(page) = pool.alloc(0) {
            assert!(back.insert(page), "{page} came twice");
            pool.touch(page);
        }
        assert_eq!(back.len(), 2, "a page was lost");
    });
}

/// NAPI asks how many pages are idle while two CPUs return some. Those that it hears of are there, and in
/// the end it hears of all.
fn idle_while_returning(second: usize, mistake: Option<Mistake>) {
    check_bounded(Some(3), move || {
        let pool = pool(2, 3, mistake);
        let returners = [1, second].map(|cpu| {
            let (pool, page) = (pool.clone(), send(&pool).unwrap());
            thread::spawn(move || {
                pool.put_page(page, cpu);
            })
        });
        pool.pressure(0);
        pool.pressure(0);
        let idle = pool.idle();
        let early: BTreeSet<_> = (0..idle).map_while(|_| pool.alloc(0)).collect();
        assert_eq!(early.len(), idle, "idle pages are not there");
        for returner in returners {
            returner.join().unwrap();
        }
        pool.look_at_all();
        assert_eq!(idle + pool.idle(), 2, "a page at home is not idle");
    });
}

/// The last reference is dropped on one CPU while the pool is destroyed on another.
fn put_against_destroy(cpu: usize, mistake: Option<Mistake>) {
    let seen = Arc::new(Mutex::new(BTreeSet::new()));
    let outcomes = seen.clone();
    check_bounded(None, move || {
        let pool = pool(1, 2, mistake);
        let page = send(&pool).unwrap();
        let stack = {
            let pool = pool.clone();
            thread::spawn(move || {
                pool.touch(page);
                pool.put_page(page, cpu)
            })
        };
        pool.destroy();
        outcomes.lock().unwrap().insert(stack.join().unwrap());
        assert!(pool.is_free(page), "neither side freed it");
        assert_eq!((pool.states(), pool.limit().owned()), ([1, 0, 0], 0));
    });
    // It came back in time, or not.
    assert_eq!(*seen.lock().unwrap(), BTreeSet::from([false, true]));
}

/// Two references are dropped but one was there: somebody's bug. As long as the page is not given
/// away again the pool gets it once, and keeps it.
fn unbalanced_put(mistake: Option<Mistake>) {
    check_bounded(None, move || {
        let pool = pool(1, 3, mistake);
        let page = send(&pool).unwrap();
        let droppers = [1, 2].map(|cpu| {
            let pool = pool.clone();
            thread::spawn(move || pool.put_page(page, cpu))
        });
        let early = pool.alloc(0);
        for dropper in droppers {
            dropper.join().unwrap();
        }
        let late = pool.alloc(0);
        assert_eq!(early.or(late), Some(page), "a page was lost");
        assert!(
            early.and(late).is_none() && pool.alloc(0).is_none(),
            "{page} came twice"
        );
        assert_eq!(pool.states(), [0, 1, 0]);
        pool.touch(page);
    });
}

/// NAPI looks for lost pages while one comes back, and uses the slot of the one that is lost for
/// another page.
fn audit_against_return(mistake: Option<Mistake>) {
    check_bounded(None, move || {
        let pool = pool(2, 2, mistake);
        let [lost, page] = [(); 2].map(|()| send(&pool).unwrap());
        pool.escape(lost);
        let stack = {
            let pool = pool.clone();
            thread::spawn(move || {
                pool.touch(page);
                pool.put_page(page, 1);
            })
        };
        assert_eq!(pool.audit(), 1, "a page that is not lost was claimed");
        assert!(pool.grow(2), "the slot is not free");
        assert_eq!(send(&pool), Some(2));
        stack.join().unwrap();
        assert_eq!(pool.alloc(0), Some(page));
        assert_eq!(pool.states(), [0, 1, 1]);
    });
}

/// A page comes back with a tag of a slot into which NAPI just puts another page, which goes to the
/// stack. `before` has left page 0 without a slot, with one reference and the tag of slot 0.
fn late_return(mistake: Option<Mistake>, before: fn(&Pool)) {
    check_bounded(None, move || {
        let pool = Arc::new(Pool::new(2, 1, 2).with(mistake).with_rings());
        assert!(pool.grow(0));
        assert_eq!(send(&pool), Some(0));
        before(&pool);

        let stack = {
            let pool = pool.clone();
            thread::spawn(move || {
                pool.touch(0);
                pool.put_page(0, 1)
            })
        };
        assert!(pool.grow(1));
        assert_eq!(send(&pool), Some(1));
        assert!(stack.join().unwrap(), "another page came back");
        assert_eq!(pool.alloc(0), None, "a page that is out");
        assert_eq!(pool.states(), [0, 0, 1]);
    });
}

/// The pool is gone, and there is another one of the same id.
fn after_another_pool(pool: &Pool) {
    pool.destroy();
    pool.reopen();
}

/// The pool has given the page up for lost, and then it gets its tag back. Nobody does this, and a pool
/// relies on it: between the look at a slot's page and the look at its state, the slot may change hands.
fn after_an_audit(pool: &Pool) {
    pool.escape(0);
    assert_eq!(pool.audit(), 1);
    pool.leave_escape(0);
}

/// Somebody has another reference to a page when it leaves the pool (who walks all pages takes them
/// for a moment), and drops it while the slot gets another page, which goes to the stack.
fn retire_against_reference(mistake: Option<Mistake>) {
    check_bounded(None, move || {
        let pool = pool(1, 2, mistake);
        pool.get_page(0);
        let walker = {
            let pool = pool.clone();
            thread::spawn(move || pool.put_page(0, 1))
        };
        pool.shrink();
        assert!(pool.grow(1));
        assert_eq!(send(&pool), Some(1));
        walker.join().unwrap();
        assert!(pool.is_free(0), "nobody freed it");
        assert_eq!(pool.alloc(0), None, "a page that is out");
        assert_eq!(pool.states(), [0, 0, 1]);
    });
}

models! {
    loom_return_against_destroy: return_against_destroy();
    loom_list_of_two_returners: list_of_two_returners();
    loom_hand_over: hand_over(1, 2, 1, None);
    loom_hand_over_again: hand_over(1, 3, 1, None);
    loom_hand_over_two_pages: hand_over(2, 3, 1, None);
    loom_hand_over_in_interrupts: hand_over(1, 2, INTERRUPT, None);
    loom_two_returners: two_returners(2, None);
    loom_two_returners_one_in_an_interrupt: two_returners(INTERRUPT, None);
    loom_ring_is_made: ring_is_made();
    loom_idle_while_returning: idle_while_returning(2, None);
    loom_idle_while_returning_one_in_an_interrupt: idle_while_returning(INTERRUPT, None);
    loom_put_against_destroy: put_against_destroy(1, None);
    loom_put_in_an_interrupt_against_destroy: put_against_destroy(INTERRUPT, None);
    loom_unbalanced_put: unbalanced_put(None);
    loom_audit_against_return: audit_against_return(None);
    loom_late_return: late_return(None, after_another_pool);
    loom_retire_against_reference: retire_against_reference(None);
}

controls! {
    loom_without_stores_return_against_destroy, "Causality violation":
        without(Kind::Stores, return_against_destroy);
    loom_without_loads_return_against_destroy, "Causality violation":
        without(Kind::Loads, return_against_destroy);
    loom_without_exchanges_list_of_two_returners, "Causality violation":
        without(Kind::Exchanges, list_of_two_returners);
    loom_without_stores_hand_over, "Causality violation":
        without(Kind::Stores, || hand_over(1, 2, 1, None));
    loom_without_loads_hand_over, "Causality violation":
        without(Kind::Loads, || hand_over(1, 2, 1, None));
    loom_without_exchanges_hand_over_in_interrupts, "Causality violation":
        without(Kind::Exchanges, || hand_over(1, 2, INTERRUPT, None));
    loom_hand_over_two_pages_without_reference, "references":
        hand_over(2, 3, 1, Some(Mistake::FillBeforeRevive));
    loom_without_stores_two_returners, "not the pool's":
        without(Kind::Stores, || two_returners(2, None));
    loom_without_exchanges_two_returners_one_in_an_interrupt, "not the pool's":
        without(Kind::Exchanges, || two_returners(INTERRUPT, None));
    loom_page_in_the_ring_without_reference, "references":
        hand_over(1, 2, 1, Some(Mistake::FillBeforeRevive));
    loom_destroy_does_not_wait_for_a_grace_period, "neither side freed it":
        put_against_destroy(1, Some(Mistake::NoGracePeriod));
    loom_loser_does_not_wait, "Causality violation":
        put_against_destroy(1, Some(Mistake::NoWait));
    loom_return_does_not_claim, "Causality violation":
        put_against_destroy(1, Some(Mistake::NoClaim));
    loom_return_in_an_interrupt_does_not_claim, "Causality violation":
        put_against_destroy(INTERRUPT, Some(Mistake::NoClaim));
    loom_list_is_not_idle, "a page at home is not idle":
        idle_while_returning(INTERRUPT, Some(Mistake::ListIsNotIdle));
    loom_reference_is_not_released, "came twice":
        unbalanced_put(Some(Mistake::ReviveRelaxed));
    loom_page_of_the_pool_is_taken_back, "came twice":
        unbalanced_put(Some(Mistake::TakeBackAlways));
    loom_audit_does_not_look_at_tags, "a page that is not lost was claimed":
        audit_against_return(Some(Mistake::AuditClaimsAll));
    loom_return_does_not_compare_pages, "another page came back":
        late_return(Some(Mistake::NoPageCompare), after_another_pool);
    loom_tag_comes_back_after_an_audit, "another page came back":
        late_return(None, after_an_audit);
    loom_retired_page_keeps_its_tag, "nobody freed it":
        retire_against_reference(Some(Mistake::KeepTag));
}
