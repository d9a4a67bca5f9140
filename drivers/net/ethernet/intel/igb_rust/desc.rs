// SPDX-License-Identifier: GPL-2.0

//! Formats of the descriptors: the advanced ones, 7.1.5 and 7.2.2 of the data sheet (see [`regs`](crate::regs)).
//!
//! Compiles in the kernel and on the host.

use net::desc::{
    Completed,
    Details,
    Hash,
    Offload,
    Offloads,
    RxDescriptor,
    Segment,
    Segments,
    Transport,
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
    /// A tag was taken out.
    const VP: u64 = 1 << 3;
    /// The kind of the hash, in word 0; 0 for none.
    const RSS_TYPE: u64 = 0xf;
    /// Those that are of the ports of TCP as well: over IPv4, IPv6, and that with extensions.
    const RSS_TCP: u64 = 1 << 1 | 1 << 3 | 1 << 6;
    /// And of UDP.
    const RSS_UDP: u64 = 1 << 7 | 1 << 8 | 1 << 9;
    /// Those of IPv4: with the ports of TCP, without, with those of UDP.
    const RSS_IPV4: u64 = 1 << 1 | 1 << 2 | 1 << 7;
    /// The UDP, or the TCP, checksum was computed.
    const L4_CHECKED: u64 = 3 << 4;
    /// CRC, symbol, sequence, carrier extension or data error, in the extended error.
    const BROKEN: u64 = 0x97 << 24;
    /// The header buffer has the headers, in word 0.
    const SPH: u64 = 1 << 31;
    /// The TCP, UDP or IP checksum is wrong.
    const BAD_CHECKSUM: u64 = 0x60 << 24;
}

// SAFETY: By the data sheet, 7.1.5:
// - Word 0 is the packet buffer's address; word 1 that of a header buffer, which SRRCTL.DESCTYPE = 1 has not. With 2 the
//   device writes as many bytes there as SRRCTL.BSIZEHEADER says at most, which the driver sets to `Ring::header`: the
//   headers of a packet, of so many bytes as HDR_LEN says when it says SPH. They begin at an even address, so DD is clear,
//   which is bit 0 there. The device
//   writes SRRCTL.BSIZEPACKET to a packet buffer at most, which the driver sets to no more than there is room for, and
//   goes on in the next one. Halves have less room than SRRCTL can say: then it discards frames of more than RLPML,
//   which the driver sets to the room (and the CRC, which it strips), for `Ring::frame` is that.
// - DD "indicates hardware is done with the descriptor", after it has written the packet to memory, of which "length"
//   bytes are in this buffer; `post()` clears it.
// - As `hw.rs` sets it up: RDBAL, RDBAH, RDLEN of a queue are what `start_ring()` says, the doorbell is its RDT,
//   `stop_rx()` waits until RXDCTL.ENABLE is clear or says that it is not, and `stop()` resets the device, after which
//   it does no DMA (CTRL.RST).
unsafe impl RxDescriptor for Rx {
    // SRRCTL.BSIZEPACKET counts in KiB.
    const BUFFER: usize = 3072;
    // A frame of 1,500 bytes with two VLAN tags.
    const HALF: Option<usize> = Some(1522);

    #[inline]
    fn post(addr: u64) -> Words {
        [addr, 0]
    }

    const HEADER: Option<usize> = Some(256);

    #[inline]
    fn post_split(addr: u64, header: u64) -> Words {
        [addr, header]
    }

    #[inline]
    fn header([info, _]: Words) -> Option<usize> {
        // Of a frame that is not divided a length may be said as well. CAST: 10 bits.
        (info & Self::SPH != 0).then_some((info >> 21 & 0x3ff) as usize)
    }

    const HASH: bool = true;

    #[inline(always)]
    fn details([info, status]: Words) -> Details {
        let kind = info & Self::RSS_TYPE;
        let is = |kinds: u64| kinds >> kind & 1 != 0;
        let verified = status & Self::L4_CHECKED != 0 && status & Self::BAD_CHECKSUM == 0;
        Details {
            verified,
            hash: (kind != 0).then_some(Hash {
                // CAST: 32 bits are left.
                value: (info >> 32) as u32,
                ipv6: !is(Self::RSS_IPV4),
                ports: is(Self::RSS_TCP | Self::RSS_UDP),
                udp: is(Self::RSS_UDP),
            }),
            // CAST: 16 bits are left.
            vlan: (status & Self::VP != 0).then_some((status >> 48) as u16),
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
            len: (word >> 32 & 0xffff) as usize,
            last: word & Self::EOP != 0,
            error: word & Self::BROKEN != 0,
        })
    }
}

/// Returns bits of a word if they are to be set.
#[inline]
fn flag(set: bool, bits: u64) -> u64 {
    if set {
        bits
    } else {
        0
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
    /// Insert the VLAN tag of the context.
    const VLE: u64 = 1 << 30;
    /// Divide the packet.
    const TSE: u64 = 1 << 31;
    /// Insert the checksum of the IPv4 header.
    const IXSM: u64 = 1 << 40;
    /// Insert the checksum of the transport header.
    const TXSM: u64 = 1 << 41;

    /// It is a context descriptor. (The number of the context, of two in each queue, is always 0.)
    const DTYP_CONTEXT: u64 = 2 << 20;
    /// The packet is one of IPv4.
    const IPV4: u64 = 1 << 10;
    /// Its transport protocol is TCP, and not UDP.
    const TCP: u64 = 1 << 11;
}

// SAFETY: By the data sheet, 7.2.2:
// - Word 0 is the segment's address, and the low 16 bits of word 1 its length. The device reads that memory only.
//   A context descriptor has no address.
// - With RS set, which a packet's last descriptor has, the device sets DD, "done" with the descriptor, after it has read
//   the segment, and those before it, since it reads them in their order; `fill()` clears it.
// - The rest as for `Rx`, with TDBAL, TDBAH, TDLEN and TDT; the head is not written to memory, TDWBAL is 0.
unsafe impl TxDescriptor for Tx {
    const OFFLOADS: Option<Offloads> = Some(Offloads {
        // As the C driver has it; there is room for one less than twice that.
        segment: 1 << 15,
        // With TCTL.PSP.
        shortest: 17,
        link: 127,
        network: 511,
    });

    #[inline]
    fn fill(segment: &Segment) -> Words {
        let kind =
            Self::DTYP_DATA | Self::DEXT | Self::IFCS | flag(segment.last, Self::EOP | Self::RS);
        let len = u64::from(segment.len) & 0xffff;
        // Of what is longer than 18 bits say the card would send a part.
        let frame = u64::from(segment.frame_len) << Self::PAYLEN;
        let Offload {
            checksum,
            segments,
            vlan,
            ..
        } = segment.offload;
        let wanted = flag(checksum.is_some(), Self::TXSM)
            | flag(segments.is_some(), Self::TSE)
            | flag(segments.is_some_and(|segments| !segments.ipv6), Self::IXSM)
            | flag(vlan.is_some(), Self::VLE);
        [segment.addr, kind | wanted | len | frame]
    }

    fn context(offload: &Offload) -> Words {
        let headers = u64::from(offload.vlan.unwrap_or(0)) << 16
            | u64::from(offload.link & 0x7f) << 9
            | u64::from(offload.network & 0x1ff);
        let mut kind = Self::DTYP_CONTEXT
            | Self::DEXT
            | flag(offload.checksum == Some(Transport::Tcp), Self::TCP);
        if let Some(Segments {
            transport,
            payload,
            ipv6,
        }) = offload.segments
        {
            kind |= flag(!ipv6, Self::IPV4)
                | u64::from(payload) << 48
                | u64::from(transport & 0xff) << 40;
        }
        [headers, kind]
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
                let verified = Rx::details([0, word]).verified;
                assert_eq!(verified, right);
            }
        }
    }

    /// RSS type, 7.1.5: TCP or UDP over IPv4, IPv6, or IPv6 with extensions is a hash of the ports.
    #[test]
    fn hash_and_tag_are_what_the_specification_says() {
        const VP: u64 = 1 << 3;
        for kind in 0..16 {
            let hash = Rx::details([0x89ab_cdef << 32 | kind, DD]).hash;
            assert_eq!(
                hash.map(|hash| hash.value),
                (kind != 0).then_some(0x89ab_cdef)
            );
            let ports = matches!(kind, 1 | 3 | 6..=9);
            assert_eq!(hash.is_some_and(|hash| hash.ports), ports);
            let udp = matches!(kind, 7..=9);
            assert_eq!(hash.is_some_and(|hash| hash.udp), udp);
            let ipv6 = matches!(kind, 3..=6 | 8..);
            assert_eq!(hash.is_some_and(|hash| hash.ipv6), ipv6);
        }
        for tag in [0, 1, 0xa4d2, 0xffff] {
            assert_eq!(Rx::details([0, DD | u64::from(tag) << 48]).vlan, None);
            assert_eq!(
                Rx::details([0, DD | VP | u64::from(tag) << 48]).vlan,
                Some(tag)
            );
        }
    }

    /// HDR_LEN, 10 bits from 21 on, and SPH, bit 31, without which the length is of nothing, 7.1.5.
    #[test]
    fn headers_are_what_the_specification_says() {
        for len in [0, 14, 66, 256, 0x3ff] {
            for noise in [0, 0x1f_ffff, !0 << 32] {
                let info = len << 21 | noise;
                assert_eq!(Rx::header([info, DD]), None);
                assert_eq!(Rx::header([info | 1 << 31, DD]), Some(len as usize));
            }
        }
        // What is given to the device is not done, and holds both addresses as they are.
        let words = Rx::post_split(0xffff_f000, 0x1_0000_0100);
        assert_eq!(words, [0xffff_f000, 0x1_0000_0100]);
        assert!(Rx::completed(|n| words[n]).is_none());
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

    /// What the stack leaves to the device is asked for in each descriptor, and said in the context.
    #[test]
    fn what_is_asked_for_is_what_the_specification_says() {
        let segment = |offload| Segment {
            addr: 0x1000,
            len: 100,
            first: true,
            last: true,
            frame_len: 100,
            offload,
        };
        // Without the lengths: VLE, TSE, IXSM, TXSM.
        let asked = |offload| {
            let word = Tx::fill(&segment(offload))[1];
            [30, 31, 40, 41].map(|bit| word >> bit & 1)
        };
        assert_eq!(asked(Offload::default()), [0; 4]);
        let tagged = Offload {
            vlan: Some(0xa123),
            link: 14,
            ..Offload::default()
        };
        assert_eq!(asked(tagged), [1, 0, 0, 0]);
        assert_eq!(Tx::context(&tagged)[0], 0xa123 << 16 | 14 << 9);
        let datagram = Offload {
            checksum: Some(Transport::Udp),
            link: 14,
            network: 40,
            ..Offload::default()
        };
        assert_eq!(asked(datagram), [0, 0, 0, 1]);
        // A context, DEXT, for UDP.
        assert_eq!(Tx::context(&datagram), [14 << 9 | 40, 2 << 20 | 1 << 29]);
        for ipv6 in [false, true] {
            let divided = Offload {
                checksum: Some(Transport::Tcp),
                segments: Some(Segments {
                    transport: 32,
                    payload: 1448,
                    ipv6,
                }),
                link: 14,
                network: 20,
                vlan: None,
            };
            assert_eq!(asked(divided), [0, 1, (!ipv6).into(), 1]);
            let word = Tx::context(&divided)[1];
            assert_eq!((word >> 48, word >> 40 & 0xff), (1448, 32));
            // TUCMD: TCP, and IPv4.
            assert_eq!(word >> 10 & 7, 2 | u64::from(!ipv6));
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
                    offload: Offload::default(),
                });
                assert_eq!((words[0], words[1] & 0xffff), (addr, u64::from(len)));
                assert_eq!(words[1] >> 46, 0x3f00);
                assert_eq!(words[1] >> 20 & 15, 3);
                assert!(last == (words[1] & 1 << 24 != 0));
                // DEXT, IFCS, RS of the last one; neither VLE nor TSE.
                assert_eq!(words[1] >> 25 & 0x7f, if last { 0x15 } else { 0x11 });
                assert!(!Tx::sent(|n| words[n]));
                assert!(Tx::sent(|n| words[n] | [0, 1 << 32][n]));
            }
        }
    }
}
