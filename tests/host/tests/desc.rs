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
    frames::{Bounds, Frames, ETH_HLEN},
};
use proptest::{collection::vec, prelude::*, sample::select};
use specification::{sorted, specified, take, Part, Said};
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

/// Frames of the usual MTU, and of the largest one; and one whose frames are a little longer than a buffer.
const BOUNDS: [Bounds; 3] = [bounds(Rx::BUFFER), bounds(0x3f00), bounds(Rx::BUFFER + 10)];

const fn bounds(frame: usize) -> Bounds {
    Bounds {
        first: ETH_HLEN,
        buffer: Rx::BUFFER,
        frame,
    }
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
    let [total, packets, errors, fragments, longer] = [const { Cell::new(0) }; 5];
    let count = |counter: &Cell<u64>, n| counter.set(counter.get() + n);

    random::runner(5000)
        .run(&vec(word(), 1..=511), |mut words| {
            // Whatever was before, it is over with the next end of a frame.
            words.extend([DD | EOP, 60 | DD | EOP]);
            for bounds in BOUNDS {
                let parts = sorted(&words, bounds, done);
                prop_assert_eq!(&parts, &specified(&words, bounds, said));
                prop_assert!(parts.ends_with(&[Part::Packet(vec![60])]));
                for part in parts {
                    let (which, buffers) = match part {
                        Part::Packet(lens) => {
                            prop_assert!(lens.iter().all(|&len| BUFFER.get(..len).is_some()));
                            prop_assert!(lens[0] >= 14);
                            count(&longer, (lens.len() > 1).into());
                            (&packets, lens.len() as u64)
                        }
                        Part::Error => (&errors, 1),
                        Part::Fragment => (&fragments, 1),
                    };
                    count(which, buffers);
                }
                count(&total, words.len() as u64);
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
    assert!(longer.get() > total.get() / 100, "one-sided");
    if std::env::var_os("PROPTEST_CASES").is_none() {
        assert!(total.get() > 1_000_000, "too few");
    }
}

/// All that a decision may depend on: each length with each error byte, at the end of a frame and
/// not, in one buffer and in more.
#[test]
fn every_word_is_sorted_as_specified() {
    let [one, many, _] = BOUNDS;
    for low in 0..=0xff_ffff_u64 {
        let word = low & 0xffff | low >> 16 << 40 | DD;
        for (bounds, before) in [(one, &[][..]), (one, &[DD]), (many, &[60 | DD])] {
            for word in [word, word | EOP] {
                let words = [before, &[word]].concat();
                assert_eq!(
                    sorted(&words, bounds, done),
                    specified(&words, bounds, said),
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
    const ENTRIES: usize = 16;
    let event = prop_oneof![
        3 => (0..ENTRIES, word()).prop_map(|(index, word)| Event::Write(index, word)),
        1 => (0..=2 * ENTRIES).prop_map(Event::Poll),
    ];
    let most = Cell::new(0);

    random::runner(500)
        .run(&vec(event, 1..=1000), |events| {
            for bounds in BOUNDS {
                let (mut ring, mut next) = ([0; ENTRIES], 0);
                let mut frames = Frames::default();
                let (mut taken, mut parts) = (Vec::new(), Vec::new());
                for event in &events {
                    match *event {
                        Event::Write(index, word) => ring[index] = word,
                        // With a new buffer for each that was taken; one descriptor is always without.
                        Event::Poll(budget) => {
                            for _ in 0..budget {
                                let at = |n| (next + n) % ENTRIES;
                                let done = |n| completed(ring[at(n)]).filter(|_| n + 1 < ENTRIES);
                                let Some(n) = take(&mut frames, bounds, &mut parts, done) else {
                                    break;
                                };
                                for index in (0..n).map(at) {
                                    taken.push(core::mem::take(&mut ring[index]));
                                }
                                next = (next + n) % ENTRIES;
                            }
                        }
                    }
                }
                prop_assert!(taken.iter().all(|word| word & DD != 0));
                prop_assert_eq!(parts, specified(&taken, bounds, said));
                most.set(most.get().max(taken.len()));
            }
            Ok(())
        })
        .unwrap();
    assert!(most.get() > 10 * ENTRIES, "never went round");
}

#[test]
fn sizes_are_those_of_the_specification() {
    assert_eq!((net::frames::ETH_HLEN, Rx::BUFFER), (14, BUFFER.len()));
    assert_eq!(done(u64::MAX).len, 0xffff);
}
