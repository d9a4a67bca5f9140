// SPDX-License-Identifier: GPL-2.0

//! How long interrupts are apart, by the length of frames.

#![cfg(not(loom))]

#[path = "../../../rust/net/moderation.rs"]
mod moderation;

use moderation::{Moderation, Traffic};

#[test]
fn moderation_goes_by_the_longer_frames() {
    let mut moderation = Moderation::default();
    let mut now = [Traffic::default(); 2];
    assert_eq!(moderation.interval(now), None);
    let mut after = |received: u64, sent: u64| {
        for (traffic, length) in now.iter_mut().zip([received, sent]) {
            traffic.packets += u64::from(length != 0) * 3;
            traffic.bytes += length * 3;
        }
        moderation.interval(now)
    };
    assert_eq!(after(60, 0), Some(10));
    assert_eq!(after(0, 0), None);
    // Acknowledgements, of what is sent.
    assert_eq!(after(66, 1514), Some(192));
    assert_eq!(after(1514, 66), Some(192));
    assert_eq!(after(600, 0), Some(52));
    assert_eq!(after(276, 0), Some(37));
    assert_eq!(after(277, 0), Some(25));
    assert_eq!(after(9014, 9014), Some(375));
    assert_eq!(after(u64::from(u32::MAX), 0), Some(375));
}

#[test]
fn moderation_of_counters_that_wrap() {
    let mut moderation = Moderation::default();
    let before = Traffic {
        packets: u64::MAX,
        bytes: u64::MAX - 99,
    };
    moderation.interval([before, Traffic::default()]);
    let after = Traffic {
        packets: 0,
        bytes: 1414,
    };
    assert_eq!(moderation.interval([after, Traffic::default()]), Some(192));
}
