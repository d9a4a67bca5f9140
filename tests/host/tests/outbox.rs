// SPDX-License-Identifier: GPL-2.0

//! What a program sends back leaves in its order, and each packet once.

#![cfg(not(loom))]

#[path = "../../../rust/net/outbox.rs"]
mod outbox;

use outbox::Outbox;
use std::rc::Rc;

/// Fills it with numbers, and returns how many there are.
fn fill(outbox: &mut Outbox<usize>) -> usize {
    let mut n = 0;
    while !outbox.is_full() {
        assert_eq!(outbox.push(n), None);
        assert!(!outbox.is_empty());
        n += 1;
    }
    n
}

#[test]
fn in_their_order() {
    let mut outbox = Outbox::new();
    assert!(outbox.is_empty());
    for _ in 0..2 {
        let n = fill(&mut outbox);
        assert_eq!(n, 16);
        assert_eq!(outbox.push(n), Some(n));
        assert!(outbox.drain().eq(0..n));
        assert!(outbox.is_empty());
    }
    assert_eq!(outbox.push(7), None);
    assert!(outbox.drain().eq([7]));
    assert_eq!(outbox.drain().next(), None);
}

#[test]
fn each_is_dropped_once() {
    let packet = Rc::new(());
    let mut outbox = Outbox::new();
    for _ in 0..3 {
        assert!(outbox.push(packet.clone()).is_none());
    }
    outbox.drain().for_each(drop);
    assert_eq!(Rc::strong_count(&packet), 1);
    for _ in 0..2 {
        assert!(outbox.push(packet.clone()).is_none());
    }
    drop(outbox);
    assert_eq!(Rc::strong_count(&packet), 1);
}
