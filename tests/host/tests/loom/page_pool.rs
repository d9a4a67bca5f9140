// SPDX-License-Identifier: GPL-2.0

//! The pool's slot state and list under every interleaving.

use host_tests::{
    list::{List, END},
    platform::AtomicU32,
    state::SlotState,
};
use loom::{
    cell::UnsafeCell,
    sync::{atomic::Ordering, Arc},
    thread,
};
use std::collections::BTreeSet;

/// A page whose last reference is dropped while its pool is destroyed: exactly one side removes the
/// mapping, and neither goes on before it is gone.
#[test]
fn loom_return_against_destroy() {
    loom::model(|| {
        // The cell is the mapping. Loom objects if the two sides access it without being ordered.
        let slot = Arc::new((SlotState::new(), UnsafeCell::new(true)));
        slot.0.fill();
        slot.0.hand_out();

        let unmap = |slot: &(SlotState, UnsafeCell<bool>)| {
            slot.1.with_mut(|mapped| {
                // SAFETY: Loom checks that nobody else accesses it.
                assert!(unsafe { mapped.replace(false) }, "unmapped twice");
            });
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
        slot.1.with(|mapped| {
            // SAFETY: As above.
            assert!(!unsafe { *mapped }, "the page is freed while it is mapped");
        });
        destroy.join().unwrap();
    });
}

/// Two interrupts return pages while NAPI collects: each page arrives once, with what was written
/// to it before.
#[test]
fn loom_list_of_two_returners() {
    loom::model(|| {
        type Slot = (AtomicU32, UnsafeCell<u32>);
        let slots: Arc<[Slot; 2]> =
            Arc::new([0, 1].map(|i| (AtomicU32::new(END), UnsafeCell::new(i))));
        let list = Arc::new(List::new());
        let returners: Vec<_> = (0..2u32)
            .map(|i| {
                let (list, slots) = (list.clone(), slots.clone());
                thread::spawn(move || {
                    let slot = &slots[i as usize];
                    // SAFETY: The slot is this thread's until it is pushed; loom checks that.
                    slot.1.with_mut(|value| unsafe { *value = i + 10 });
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
                // SAFETY: The slot is ours since it was on the list; loom checks that.
                slot.1.with(|value| assert_eq!(unsafe { *value }, at + 10));
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
