// SPDX-License-Identifier: GPL-2.0

//! Formats of the descriptors: the advanced ones, 7.1.5 and 7.2.2 of the data sheet (see [`regs`](crate::regs)).
//!
//! Compiles in the kernel and on the host.

use net::desc::{
    Checksum,
    Completed,
    RxDescriptor,
    Segment,
    TxDescriptor,
    Words, //
};

/// The advanced receive descriptor, for one buffer.
pub(crate) struct Rx;

impl Rx {
    /// Descriptor done, in the extended status.
    const DD: u64 = 1;
    /// End of packet.
    const EOP: u64 = 1 << 1;
    /// The UDP, or the TCP, checksum was computed.
    const L4_CHECKED: u64 = 3 << 4;
    /// CRC, symbol, sequence, carrier extension or data error, in the extended error.
    const BROKEN: u64 = 0x97 << 24;
    /// The TCP, UDP or IP checksum is wrong.
    const BAD_CHECKSUM: u64 = 0x60 << 24;
}

// SAFETY: By the data sheet, 7.1.5:
// - Word 0 is the packet buffer's address; word 1 that of a header buffer, which SRRCTL.DESCTYPE = 1 has not. The device
//   writes SRRCTL.BSIZEPACKET to a packet buffer at most, which the driver sets to no more than there is room for, or
//   it discards frames of more than RLPML, which the driver sets to the room (and the CRC, which it strips).
// - DD "indicates hardware is done with the descriptor", after it has written the packet to memory, of which "length"
//   bytes are in this buffer; `post()` clears it.
// - As `hw.rs` sets it up: RDBAL, RDBAH, RDLEN of a queue are what `start_ring()` says, the doorbell is its RDT,
//   `stop_rx()` waits until RXDCTL.ENABLE is clear or says that it is not, and `stop()` resets the device, after which it does no DMA (CTRL.RST).
unsafe impl RxDescriptor for Rx {
    // SRRCTL.BSIZEPACKET counts in KiB.
    const BUFFER: usize = 3072;
    // A frame of 1,500 bytes with two VLAN tags.
    const HALF: Option<usize> = Some(1522);

    #[inline]
    fn post(addr: u64) -> Words {
        [addr, 0]
    }

    #[inline]
    fn completed(word: impl Fn(usize) -> u64) -> Option<Completed> {
        let word = word(1);
        if word & Self::DD == 0 {
            return None;
        }
        let verified = word & Self::L4_CHECKED != 0 && word & Self::BAD_CHECKSUM == 0;
        Some(Completed {
            // CAST: 16 bits.
            len: (word >> 32 & 0xffff) as usize,
            last: word & Self::EOP != 0,
            error: word & Self::BROKEN != 0,
            checksum: Checksum::verified_if(verified),
        })
    }
}

/// The advanced transmit data descriptor.
pub(crate) struct Tx;

impl Tx {
    /// It is a data descriptor.
    const DTYP_DATA: u64 = 3 << 20;
    /// End of packet.
    const EOP: u64 = 1 << 24;
    /// Append a CRC.
    const IFCS: u64 = 1 << 25;
    /// Report when done.
    const RS: u64 = 1 << 27;
    /// It is an advanced descriptor.
    const DEXT: u64 = 1 << 29;
    /// Descriptor done.
    const DD: u64 = 1 << 32;
    /// Where the bytes of the whole packet are.
    const PAYLEN: u32 = 46;
}

// SAFETY: By the data sheet, 7.2.2:
// - Word 0 is the segment's address, and the low 16 bits of word 1 its length. The device reads that memory only.
// - With RS set, the device sets DD, "done" with the descriptor, after it has read the segment; `fill()` clears it.
// - The rest as for `Rx`, with TDBAL, TDBAH, TDLEN and TDT; the head is not written to memory, TDWBAL is 0.
unsafe impl TxDescriptor for Tx {
    #[inline]
    fn fill(segment: &Segment) -> Words {
        let end = if segment.last { Self::EOP } else { 0 };
        let kind = Self::DTYP_DATA | Self::DEXT | Self::IFCS | Self::RS | end;
        let len = u64::from(segment.len) & 0xffff;
        // Of what is longer than 18 bits say the card would send a part.
        let frame = u64::from(segment.frame_len) << Self::PAYLEN;
        [segment.addr, kind | len | frame]
    }

    #[inline]
    fn sent(word: impl Fn(usize) -> u64) -> bool {
        word(1) & Self::DD != 0
    }
}

#[cfg(any(test, CONFIG_KUNIT))]
#[cfg_attr(CONFIG_KUNIT, kernel::prelude::kunit_tests(igb_rust_desc))]
mod tests {
    use super::*;

    // The data sheet's names and places, in word 1.
    const DD: u64 = 1;
    const EOP: u64 = 1 << 1;
    const UDPCS: u64 = 1 << 4;
    const L4I: u64 = 1 << 5;
    const L4E: u64 = 1 << 29;
    const IPE: u64 = 1 << 30;

    /// What the device says with the second word of a descriptor, done or not.
    fn completed(word: u64) -> Option<Completed> {
        Rx::completed(|n| [0, word][n])
    }

    #[test]
    fn checksum_is_right_only_if_the_device_says_so_throughout() {
        for low in 0..=0xff {
            for high in 0..=0xff {
                let word = high << 24 | low | DD;
                let right = word & (UDPCS | L4I) != 0 && word & (L4E | IPE) == 0;
                let verified = completed(word).map(|done| done.checksum == Checksum::Verified);
                assert_eq!(verified, Some(right));
            }
        }
    }

    #[test]
    fn length_and_end_are_taken_as_they_are() {
        for len in [0, 1, 60, 1514, 2048, 0xffff] {
            for last in [0, EOP] {
                let word = len << 32 | last;
                let said = completed(word | DD).map(|done| (done.len as u64, done.last));
                assert_eq!(said, Some((len, last != 0)));
                assert!(completed(word).is_none());
            }
        }
    }

    /// What is given to the device is not done, and holds the address and the lengths as they are.
    #[test]
    fn what_is_posted_is_what_the_specification_says() {
        for addr in [0, 0x1000, 0xffff_f100, u64::MAX] {
            let words = Rx::post(addr);
            assert_eq!(words[0], addr);
            assert!(Rx::completed(|n| words[n]).is_none());
            for (len, last) in [(14, true), (0x3f00, false), (1, true)] {
                let words = Tx::fill(&Segment {
                    addr,
                    len,
                    first: true,
                    last,
                    frame_len: 0x3f00,
                });
                assert_eq!((words[0], words[1] & 0xffff), (addr, u64::from(len)));
                assert_eq!(words[1] >> 46, 0x3f00);
                assert_eq!(words[1] >> 20 & 15, 3);
                assert!(last == (words[1] & 1 << 24 != 0));
                // DEXT, RS, IFCS; neither VLE nor TSE.
                assert_eq!(words[1] >> 25 & 0x7f, 0x15);
                assert!(!Tx::sent(|n| words[n]));
                assert!(Tx::sent(|n| words[n] | [0, 1 << 32][n]));
            }
        }
    }
}
