// SPDX-License-Identifier: GPL-2.0

//! What is believed of what a card says that it received. Compiles in the kernel and on the host.

#![expect(unreachable_pub, reason = "the tests on the host use it")]

use crate::desc::Completed;

/// Shorter packets cannot have an Ethernet header.
pub const ETH_HLEN: usize = 14;

/// What a frame has in a buffer beside the packet: Ethernet header, VLAN tag, and the CRC, which not all cards
/// strip.
pub const OVERHEAD: usize = ETH_HLEN + 4 + 4;

/// What a buffer that the card has finished is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// A packet of so many bytes, all in this buffer.
    Packet(usize),
    /// The end of a frame that is no packet: one error.
    Error,
    /// Of a frame that ends in a later buffer, so it will be an error.
    Fragment,
}

/// Where frames begin and end.
#[derive(Default)]
pub struct Frames {
    /// We are inside of a frame that is too long for one buffer.
    skipping: bool,
}

impl Frames {
    /// Sorts out what is no packet: broken frames, those in more than one buffer, and those of a length that
    /// cannot be.
    ///
    /// A length beyond the buffer, of `buffer` bytes, would show what an earlier packet left there.
    ///
    /// A card may be broken or hostile; one that is gone may leave all ones. Each write-back ends up as exactly
    /// one of the three kinds of [`Part`], and a packet is never longer than the buffer.
    #[inline]
    pub fn sort(&mut self, done: &Completed, buffer: usize) -> Part {
        let fits = (ETH_HLEN..=buffer).contains(&done.len);
        if done.last && !self.skipping && !done.error && fits {
            return Part::Packet(done.len);
        }
        self.sort_bad(done.last)
    }

    /// As [`sort`](Self::sort), of what is no packet.
    #[cold]
    #[inline(never)]
    fn sort_bad(&mut self, last: bool) -> Part {
        self.skipping = !last;
        if last {
            Part::Error
        } else {
            Part::Fragment
        }
    }
}
