// SPDX-License-Identifier: GPL-2.0

//! As `desc.rs`, for the 82576: whatever it writes into a receive descriptor, it is a packet that fits, an error, or
//! a part of a longer frame.

#![cfg(not(loom))]

#[path = "../../../drivers/net/ethernet/intel/igb_rust/desc.rs"]
mod desc;
mod random;
mod specification;

use desc::Rx;
use net::{
    desc::{Completed, RxDescriptor},
    frames::{Bounds, ETH_HLEN},
};
use proptest::{collection::vec, prelude::*};
use specification::{sorted, specified, Said};

// The data sheet's names and places.
const DD: u64 = 1;
const EOP: u64 = 1 << 1;
/// CRC, symbol, sequence, carrier extension, data.
const ERRORS: u64 = (1 << 24) | (1 << 25) | (1 << 26) | (1 << 28) | (1 << 31);

/// What the device says with the second word of a descriptor; the first one is not asked for.
fn completed(word: u64) -> Option<Completed> {
    Rx::completed(|n| if n == 1 { word } else { panic!("word {n}") })
}

/// What a word says, by the data sheet.
fn said(word: u64) -> Said {
    Said {
        len: usize::from((word >> 32) as u16),
        last: word & EOP != 0,
        error: word & ERRORS != 0,
    }
}

#[test]
fn any_sequence_is_sorted_as_specified() {
    // Lengths around the limits, and any.
    let len = prop_oneof![0..70u64, 1500..1560u64, 3050..3100u64, 0..=0xffffu64];
    let word = (any::<u32>(), len, any::<u16>())
        .prop_map(|(status, len, vlan)| u64::from(vlan) << 48 | len << 32 | u64::from(status) | DD);
    // Of a status that is any number hardly one is without an error.
    let good = (1500..3100u64, any::<bool>())
        .prop_map(|(len, last)| len << 32 | DD | if last { EOP } else { 0 });
    let words = vec(prop_oneof![word, good], 1..40);
    random::runner(2000)
        .run(&words, |words| {
            let half = Rx::HALF.unwrap();
            for (buffer, frame) in [(half, half), (Rx::BUFFER, Rx::BUFFER), (Rx::BUFFER, 9238)] {
                let bounds = Bounds {
                    first: ETH_HLEN,
                    buffer,
                    frame,
                };
                let parts = sorted(&words, bounds, |word| completed(word).expect("done"));
                prop_assert_eq!(parts, specified(&words, bounds, said));
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn what_is_not_done_is_not_looked_at() {
    for word in [0, EOP, u64::MAX & !DD, 0x0040 << 32] {
        assert!(completed(word).is_none());
    }
}
