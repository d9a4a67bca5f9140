// SPDX-License-Identifier: GPL-2.0

//! A device that lies: whatever it writes into its receive descriptors, the driver does with it what
//! is said here about whole frames. What is said about a single descriptor is in the driver.

#![cfg(not(loom))]

#[path = "../../../drivers/net/ethernet/intel/e1000_rust/desc.rs"]
mod desc;
mod random;
mod specification;

use desc::Rx;
use net::{
    desc::{Completed, RxDescriptor},
    frames::{Frames, Part, ETH_HLEN},
};
use proptest::{collection::vec, prelude::*, sample::select};
use specification::{specified, Said};
use std::cell::Cell;

// The data sheet's names and places.
const DD: u64 = 1 << 32;
const EOP: u64 = 1 << 33;
const CE: u64 = 1 << 40;
const SE: u64 = 1 << 41;
const SEQ: u64 = 1 << 42;
const CXE: u64 = 1 << 44;
const RXE: u64 = 1 << 47;

/// Nothing may be read behind it.
static BUFFER: [u8; 2048] = [0; 2048];

/// What the device says with the second word of a descriptor.
fn completed(word: u64) -> Option<Completed> {
    Rx::completed(|n| if n == 1 { word } else { panic!("word {n}") })
}

/// The same of one that is done.
fn done(word: u64) -> Completed {
    completed(word | DD).expect("done")
}

fn sort_all(words: &[u64]) -> Vec<Part> {
    let mut frames = Frames::default();
    words
        .iter()
        .map(|&word| frames.sort(&done(word), Rx::BUFFER))
        .collect()
}

/// What a word says, by the data sheet.
fn said(word: u64) -> Said {
    Said {
        len: usize::from(word as u16),
        last: word & EOP != 0,
        error: word & (CE | SE | SEQ | CXE | RXE) != 0,
    }
}

/// Whatever a device may write: what real ones do, with everything that may be wrong about it, often
/// enough that frames go on over several buffers and come to their end; and noise.
fn word() -> impl Strategy<Value = u64> {
    let len = prop_oneof![
        select(vec![
            0u16,
            1,
            13,
            14,
            15,
            60,
            1514,
            2047,
            2048,
            2049,
            3520,
            4096,
            u16::MAX
        ]),
        14..=2048u16,
        any::<u16>(),
    ];
    let errors = prop_oneof![4 => Just(0u8), 1 => any::<u8>()];
    let real = (len, any::<u8>(), errors).prop_map(|(len, status, errors)| {
        u64::from(len) | u64::from(status) << 32 | u64::from(errors) << 40
    });
    prop_oneof![
        6 => real.clone().prop_map(|word| word | DD | EOP),
        3 => real.clone().prop_map(|word| word & !EOP | DD),
        2 => real,
        2 => any::<u64>(),
        1 => select(vec![0, u64::MAX, DD, DD | EOP]),
    ]
}

#[test]
fn any_sequence_is_sorted_as_specified() {
    let [total, packets, errors, fragments] = [const { Cell::new(0) }; 4];
    let count = |counter: &Cell<u64>| counter.set(counter.get() + 1);

    random::runner(5000)
        .run(&vec(word(), 1..=511), |mut words| {
            // Whatever was before, it is over with the next end of a frame.
            words.extend([DD | EOP, 60 | DD | EOP]);
            let parts = sort_all(&words);
            prop_assert_eq!(&parts, &specified(&words, 14..=2048, said));
            prop_assert_eq!(parts.last(), Some(&Part::Packet(60)));
            for part in parts {
                count(&total);
                count(match part {
                    Part::Packet(len) => {
                        prop_assert!(BUFFER.get(..len).is_some_and(|data| data.len() >= 14));
                        &packets
                    }
                    Part::Error => &errors,
                    Part::Fragment => &fragments,
                });
            }
            Ok(())
        })
        .unwrap();

    let counts = [packets, errors, fragments].map(Cell::into_inner);
    println!(
        "write-backs: {}, packets, errors, fragments: {counts:?}",
        total.get()
    );
    // Each was one of the three, and none of the three is a rarity.
    assert_eq!(counts.iter().sum::<u64>(), total.get());
    assert!(counts.iter().all(|&n| n > total.get() / 10), "one-sided");
    if std::env::var_os("PROPTEST_CASES").is_none() {
        assert!(total.get() > 1_000_000, "too few");
    }
}

/// All that a decision may depend on: each length with each error byte, at the end of a frame and
/// not, in one buffer and in more.
#[test]
fn every_word_is_sorted_as_specified() {
    for low in 0..=0xff_ffff_u64 {
        let word = low & 0xffff | low >> 16 << 40 | DD;
        for before in [&[][..], &[DD]] {
            for word in [word, word | EOP] {
                let words = [before, &[word]].concat();
                assert_eq!(
                    sort_all(&words),
                    specified(&words, 14..=2048, said),
                    "{words:x?}"
                );
            }
        }
    }
}

#[derive(Clone, Debug)]
enum Event {
    /// The device writes somewhere, wherever it should have.
    Write(usize, u64),
    Poll(usize),
}

/// A ring that the device writes to in any order: the driver takes one descriptor after the other,
/// stops at one that is not done, and takes none twice.
#[test]
fn a_device_that_jumps_gains_nothing() {
    const ENTRIES: usize = 8;
    let event = prop_oneof![
        3 => (0..ENTRIES, word()).prop_map(|(index, word)| Event::Write(index, word)),
        1 => (0..=2 * ENTRIES).prop_map(Event::Poll),
    ];
    let most = Cell::new(0);

    random::runner(500)
        .run(&vec(event, 1..=1000), |events| {
            let (mut ring, mut next) = ([0; ENTRIES], 0);
            let mut frames = Frames::default();
            let (mut taken, mut parts) = (Vec::new(), Vec::new());
            for event in events {
                match event {
                    Event::Write(index, word) => ring[index] = word,
                    // `RxRing::poll()`, with a new buffer for each that was taken.
                    Event::Poll(budget) => {
                        for _ in 0..budget {
                            let Some(written) = completed(ring[next]) else {
                                break;
                            };
                            taken.push(ring[next]);
                            parts.push(frames.sort(&written, Rx::BUFFER));
                            ring[next] = 0;
                            next = (next + 1) % ENTRIES;
                        }
                    }
                }
            }
            prop_assert!(taken.iter().all(|word| word & DD != 0));
            prop_assert_eq!(parts, specified(&taken, 14..=2048, said));
            most.set(most.get().max(taken.len()));
            Ok(())
        })
        .unwrap();
    assert!(most.get() > 10 * ENTRIES, "never went round");
}

#[test]
fn sizes_are_those_of_the_specification() {
    assert_eq!((ETH_HLEN, Rx::BUFFER), (14, BUFFER.len()));
    assert_eq!(done(u64::MAX).len, 0xffff);
}
