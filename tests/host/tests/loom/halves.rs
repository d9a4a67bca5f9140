// SPDX-License-Identifier: GPL-2.0

//! Pages of two buffers, which go their own ways, between NAPI, the stack and the end of their pool. As
//! [`pool`](super::pool).

use super::check_bounded;
use loom::thread;
use page_pool::{
    platform::{without, Kind},
    pool::{Buffer, Mistake, Pool, INTERRUPT},
};
use std::{collections::BTreeSet, sync::Arc};

/// Pages in the cache of a new pool, and one more in the system.
fn pool(slots: usize, mistake: Option<Mistake>) -> Arc<Pool> {
    let pool = Pool::of_halves(slots + 1, slots as u32, 3)
        .with(mistake)
        .with_rings();
    assert!((0..slots).all(|page| pool.grow(page)));
    // The first refusal has an audit, which is too much for models that are about something else.
    assert!(!pool.grow(slots));
    Arc::new(pool)
}

/// Both halves of the page that comes next.
fn both(pool: &Pool) -> [Buffer; 2] {
    let halves = [(); 2].map(|()| pool.alloc_half(0).expect("a page was lost"));
    assert_eq!(halves[0].page, halves[1].page);
    assert_ne!(halves[0].second, halves[1].second);
    assert_eq!(pool.references(halves[0].page), 2, "references");
    halves.map(|half| {
        pool.touch_half(half);
        half
    })
}

/// Another CPU uses a half, and drops its reference.
fn drop_on(cpu: usize, pool: &Arc<Pool>, half: Buffer) -> thread::JoinHandle<bool> {
    let pool = pool.clone();
    thread::spawn(move || {
        pool.touch_half(half);
        pool.put_page(half.page, cpu)
    })
}

/// A CPU drops the first half of a page; NAPI has the second one.
fn one_out(cpu: usize, mistake: Option<Mistake>) -> (Arc<Pool>, Buffer, thread::JoinHandle<bool>) {
    let pool = pool(1, mistake);
    let [a, b] = both(&pool);
    pool.half_into_stack(a);
    let dropper = drop_on(cpu, &pool, a);
    (pool, b, dropper)
}

/// What the pool has, taken once and given back.
fn around(pool: &Pool) -> BTreeSet<(usize, bool)> {
    let halves: Vec<_> = std::iter::from_fn(|| pool.alloc_half(0)).collect();
    halves
        .into_iter()
        .map(|half| {
            pool.touch_half(half);
            pool.recycle_half(half, 0);
            (half.page, half.second)
        })
        .collect()
}

/// Nothing is out any more: all of the pages are the pool's, each half once, as soon as NAPI has looked.
fn all_home(pool: &Pool, pages: usize) {
    around(pool);
    let halves: Vec<_> = std::iter::from_fn(|| pool.alloc_half(0)).collect();
    let different: BTreeSet<_> = halves.iter().map(|h| (h.page, h.second)).collect();
    assert_eq!(different.len(), 2 * pages, "a page was lost");
    assert_eq!(halves.len(), 2 * pages, "a half came twice");
    for half in halves {
        assert_eq!(pool.references(half.page), 2, "references");
    }
    assert_eq!(pool.states(), [0, pages, 0]);
}

/// Two CPUs drop the halves of a page while NAPI looks for it.
fn two_cpus(second: usize, mistake: Option<Mistake>) {
    check_bounded(None, move || {
        let pool = pool(1, mistake);
        let halves = both(&pool);
        halves.map(|half| pool.half_into_stack(half));
        let droppers = [(1, halves[0]), (second, halves[1])];
        let droppers = droppers.map(|(cpu, half)| drop_on(cpu, &pool, half));
        around(&pool);
        for dropper in droppers {
            assert!(!dropper.join().unwrap(), "freed");
        }
        all_home(&pool, 1);
    });
}

/// A CPU drops one half while NAPI uses the other one again and again, and looks for the first.
fn napi_and_a_cpu(cpu: usize, mistake: Option<Mistake>) {
    check_bounded(None, move || {
        let (pool, b, dropper) = one_out(cpu, mistake);
        pool.recycle_half(b, 0);
        assert!(around(&pool).contains(&(b.page, b.second)));
        assert!(!dropper.join().unwrap(), "freed");
        all_home(&pool, 1);
    });
}

/// A CPU drops one half while NAPI gives the other one away, and another CPU drops that.
fn one_after_the_other(mistake: Option<Mistake>) {
    check_bounded(None, move || {
        let (pool, b, dropper) = one_out(1, mistake);
        pool.half_into_stack(b);
        let other = drop_on(2, &pool, b);
        assert!(!dropper.join().unwrap() && !other.join().unwrap(), "freed");
        all_home(&pool, 1);
    });
}

/// A CPU drops one half while NAPI gives up the other one, to the system if that is all of the page.
fn discard_against_put(cpu: usize, mistake: Option<Mistake>) {
    check_bounded(None, move || {
        let (pool, b, dropper) = one_out(cpu, mistake);
        pool.recycle_half(b, 0);
        pool.shrink();
        assert!(!dropper.join().unwrap(), "freed");
        if pool.is_free(0) {
            assert_eq!((pool.states(), pool.limit().owned()), ([1, 0, 0], 0));
        } else {
            all_home(&pool, 1);
        }
    });
}

/// Both halves were sent. One comes back to NAPI, the other one is dropped elsewhere.
fn sent_back(cpu: usize, mistake: Option<Mistake>) {
    check_bounded(None, move || {
        let pool = pool(1, mistake);
        let [a, b] = both(&pool);
        pool.half_into_stack(a);
        pool.half_into_stack(b);
        let dropper = drop_on(cpu, &pool, a);
        assert!(pool.half_sent(b, 0));
        assert!(around(&pool).contains(&(b.page, b.second)));
        assert!(!dropper.join().unwrap(), "freed");
        all_home(&pool, 1);
    });
}

/// A CPU drops one half while the pool ends: the other one is with the device, was recycled, or is with the stack
/// as well and dropped later.
fn put_against_destroy(cpu: usize, other: Other, mistake: Option<Mistake>) {
    check_bounded(None, move || {
        let (pool, b, dropper) = one_out(cpu, mistake);
        match other {
            Other::Device => {}
            Other::Recycled => pool.recycle_half(b, 0),
            Other::Stack => pool.half_into_stack(b),
        }
        pool.destroy();
        let freed = dropper.join().unwrap();
        if other == Other::Stack {
            pool.touch_half(b);
            assert!(
                !freed && pool.put_page(b.page, 2),
                "the stack has half of it"
            );
        }
        assert!(pool.is_free(b.page), "neither side freed it");
        assert_eq!((pool.states(), pool.limit().owned()), ([1, 0, 0], 0));
    });
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Other {
    Device,
    Recycled,
    Stack,
}

models! {
    loom_halves_two_cpus: two_cpus(2, None);
    loom_halves_two_cpus_one_in_an_interrupt: two_cpus(INTERRUPT, None);
    loom_halves_napi_and_a_cpu: napi_and_a_cpu(1, None);
    loom_halves_napi_and_an_interrupt: napi_and_a_cpu(INTERRUPT, None);
    loom_halves_one_after_the_other: one_after_the_other(None);
    loom_halves_discard_against_put: discard_against_put(1, None);
    loom_halves_discard_against_put_in_an_interrupt: discard_against_put(INTERRUPT, None);
    loom_halves_sent_back: sent_back(1, None);
    loom_halves_sent_back_and_dropped_in_an_interrupt: sent_back(INTERRUPT, None);
    loom_halves_put_against_destroy_one_with_the_device:
        put_against_destroy(1, Other::Device, None);
    loom_halves_put_against_destroy_one_recycled:
        put_against_destroy(INTERRUPT, Other::Recycled, None);
    loom_halves_put_against_destroy_one_with_the_stack:
        put_against_destroy(1, Other::Stack, None);
}

controls! {
    loom_without_stores_halves_two_cpus, "not the pool's":
        without(Kind::Stores, || two_cpus(2, None));
    loom_without_loads_halves_napi_and_a_cpu, "Causality violation":
        without(Kind::Loads, || napi_and_a_cpu(1, None));
    loom_half_is_home, "Causality violation":
        napi_and_a_cpu(1, Some(Mistake::HalfIsHome));
    loom_half_goes_out_too_late, "a page was lost":
        discard_against_put(1, Some(Mistake::OutTooLate));
    loom_page_of_halves_has_one_reference, "references":
        two_cpus(2, Some(Mistake::ReviveOne));
    loom_destroy_drops_the_stacks_reference, "a reference that nobody had":
        put_against_destroy(1, Other::Device, Some(Mistake::NeverLent));
}
