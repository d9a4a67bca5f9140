// SPDX-License-Identifier: GPL-2.0

//! Formats of the descriptors: 3.2.3 and 3.3.3 of the manual (see [`regs`](crate::regs)).
//!
//! Compiles in the kernel and on the host.

use net::desc::{
    Completed,
    Details,
    RxDescriptor,
    Segment,
    TxDescriptor,
    Words, //
};

/// The legacy receive descriptor.
pub(crate) struct Rx;

impl Rx {
    /// Descriptor done, in the status byte.
    const DD: u64 = 1 << 32;
    /// End of packet.
    const EOP: u64 = 1 << 33;
    /// Ignore the checksum indication.
    const IXSM: u64 = 1 << 34;
    /// The TCP or UDP checksum was computed.
    const TCPCS: u64 = 1 << 37;
    /// CRC, symbol, sequence, carrier extension or data error, in the error byte.
    const BROKEN: u64 = 0x97 << 40;
    /// The TCP, UDP or IP checksum is wrong.
    const BAD_CHECKSUM: u64 = 0x60 << 40;
}

// SAFETY: By the manual, 3.2.3:
// - Word 0 is the buffer's address and nothing else. The device writes RCTL.BSIZE bytes to it at most, which the
//   driver leaves at 2,048, and goes on in the next one; and no more than 1,522 with RCTL.LPE = 0, as for halves, for
//   then it discards longer frames (13.4.22).
// - "Hardware ... sets the DD bit" when it "is done with the descriptor", after the buffer's contents, of which
//   it has written "Length" bytes (3.2.3.1), were written (3.2.6); `post()` clears it.
// - As `hw.rs` sets it up: RDBAL, RDBAH, RDLEN are what `start_ring()` says, the doorbell is RDT, and `stop()` resets
//   the device, after which it does no DMA (13.4.1, CTRL.RST).
unsafe impl RxDescriptor for Rx {
    // RCTL.BSIZE = 0. There is room for more, but not for the next size, 4,096.
    const BUFFER: usize = 2048;
    // Without long packets, RCTL.LPE = 0.
    const HALF: Option<usize> = Some(1522);

    #[inline]
    fn post(addr: u64) -> Words {
        [addr, 0]
    }

    #[inline(always)]
    fn details([_, word]: Words) -> Details {
        let verified =
            word & (Self::TCPCS | Self::IXSM) == Self::TCPCS && word & Self::BAD_CHECKSUM == 0;
        Details {
            verified,
            ..Details::default()
        }
    }

    #[inline]
    fn completed(word: impl Fn(usize) -> u64) -> Option<Completed> {
        let word = word(1);
        if word & Self::DD == 0 {
            return None;
        }
        Some(Completed {
            // CAST: 16 bits.
            len: (word & 0xffff) as usize,
            last: word & Self::EOP != 0,
            error: word & Self::BROKEN != 0,
        })
    }
}

/// The legacy transmit descriptor.
pub(crate) struct Tx;

impl Tx {
    /// End of packet.
    const EOP: u64 = 1 << 24;
    /// Append a CRC.
    const IFCS: u64 = 1 << 25;
    /// Report when done.
    const RS: u64 = 1 << 27;
    /// Take your time with the interrupt.
    const IDE: u64 = 1 << 31;
    /// Descriptor done.
    const DD: u64 = 1 << 32;
}

// SAFETY: By the manual, 3.3.3:
// - Word 0 is the segment's address, and the low 16 bits of word 1 its length; the driver states that frames have
//   no more than 0x3f00 bytes as `tx_frame`. The device reads that memory only.
// - With RS set, the device sets DD "when the descriptor has been processed", which is after it has read the
//   segment; `fill()` clears it.
// - The rest as for `Rx`, with TDBAL, TDBAH, TDLEN and TDT.
unsafe impl TxDescriptor for Tx {
    #[inline]
    fn fill(segment: &Segment) -> Words {
        let end = if segment.last {
            Self::EOP | Self::IFCS
        } else {
            0
        };
        let len = u64::from(segment.len) & 0xffff;
        [segment.addr, Self::RS | Self::IDE | end | len]
    }

    #[inline]
    fn sent(word: impl Fn(usize) -> u64) -> bool {
        word(1) & Self::DD != 0
    }
}

#[cfg(any(test, CONFIG_KUNIT))]
#[cfg_attr(CONFIG_KUNIT, kernel::prelude::kunit_tests(e1000_rust_desc))]
mod tests {
    use super::*;

    // The data sheet's names and places.
    const DD: u64 = 1 << 32;
    const EOP: u64 = 1 << 33;
    const IXSM: u64 = 1 << 34;
    const TCPCS: u64 = 1 << 37;
    const TCPE: u64 = 1 << 45;
    const IPE: u64 = 1 << 46;

    /// What the device says with the second word of a descriptor, done or not.
    fn completed(word: u64) -> Option<Completed> {
        Rx::completed(|n| [0, word][n])
    }

    #[test]
    fn checksum_is_right_only_if_the_device_says_so_throughout() {
        for bits in 0..=0xffff {
            let word = bits << 32 | DD;
            let right = word & TCPCS != 0 && word & (IXSM | TCPE | IPE) == 0;
            let verified = Rx::details([0, word]).verified;
            assert_eq!(verified, right);
        }
    }

    #[test]
    fn length_and_end_are_taken_as_they_are() {
        for len in [0, 1, 60, 1514, 2048, 0xffff] {
            for last in [0, EOP] {
                let said = completed(len | DD | last).map(|done| (done.len as u64, done.last));
                assert_eq!(said, Some((len, last != 0)));
                assert!(completed(len | last).is_none());
            }
        }
    }

    /// What is given to the device is not done, and holds the address and the length as they are.
    #[test]
    fn what_is_posted_is_what_the_specification_says() {
        const RS: u64 = 1 << 27;
        for addr in [0, 0x1000, 0xffff_f100, u64::MAX] {
            let words = Rx::post(addr);
            assert_eq!(words[0], addr);
            assert!(Rx::completed(|n| words[n]).is_none());
            for (len, first, last) in [(14, true, true), (0x3f00, true, false), (1, false, true)] {
                let words = Tx::fill(&Segment {
                    addr,
                    len,
                    first,
                    last,
                    frame_len: len,
                    offload: net::desc::Offload::default(),
                });
                assert_eq!((words[0], words[1] & 0xffff), (addr, u64::from(len)));
                assert!(last == (words[1] & 1 << 24 != 0));
                assert!(words[1] & RS != 0);
                assert!(!Tx::sent(|n| words[n]));
                assert!(Tx::sent(|n| words[n] | [0, DD][n]));
            }
        }
    }
}
