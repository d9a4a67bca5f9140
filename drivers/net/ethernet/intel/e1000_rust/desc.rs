// SPDX-License-Identifier: GPL-2.0

//! What the device says that it received, and what of it is believed.
//!
//! A device may be broken or hostile; one that is gone may leave all ones. Whatever it writes, each
//! write-back ends up as exactly one of the three kinds of [`Part`], and a packet is never longer than
//! the buffer that the device was given.
//!
//! Compiles in the kernel and on the host.

/// Bytes that the device writes into one buffer: RCTL.BSIZE = 0. A pool's buffer has room for more,
/// but the next size, 4096, is more than a page with headroom has.
pub(crate) const BUFFER_SIZE: usize = 2048;
/// Shorter packets cannot have an Ethernet header.
pub(crate) const ETH_HLEN: usize = 14;

/// The second word of a receive descriptor, as the device writes it back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Received(pub(crate) u64);

impl Received {
    /// The word's place in the descriptor.
    pub(crate) const WORD: usize = 1;

    /// How many bytes the device claims to have written. Any number.
    #[inline]
    pub(crate) fn len(self) -> usize {
        // CAST: 16 bits.
        (self.0 & 0xffff) as usize
    }

    fn status(self, bit: u32) -> bool {
        self.0 & (1 << (32 + bit)) != 0
    }

    /// The device is done with the descriptor.
    #[inline]
    pub(crate) fn done(self) -> bool {
        self.status(0)
    }

    /// The frame ends in this buffer.
    fn ends(self) -> bool {
        self.status(1)
    }

    /// CRC, symbol, sequence, carrier extension or data error.
    fn broken(self) -> bool {
        self.0 & (0x97 << 40) != 0
    }

    /// The device has checked the TCP or UDP checksum, and it is right.
    #[inline]
    pub(crate) fn checksum_is_right(self) -> bool {
        let ignore = self.status(2);
        let checked = self.status(5);
        let wrong = self.0 & (0x60 << 40) != 0;
        checked && !ignore && !wrong
    }
}

/// What a write-back is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// A packet of so many bytes, all in this buffer.
    Packet(usize),
    /// The end of a frame that is no packet: one error.
    Error,
    /// Of a frame that ends in a later buffer, so it will be an error.
    Fragment,
}

/// Where frames begin and end.
#[derive(Default)]
pub(crate) struct Frames {
    /// We are inside of a frame that is too long for one buffer.
    skipping: bool,
}

impl Frames {
    /// Sorts out what is no packet: broken frames, those in more than one buffer, and those of a length
    /// that cannot be. A length beyond the buffer would show bytes that an earlier packet left there.
    #[inline]
    pub(crate) fn sort(&mut self, desc: Received) -> Part {
        let len = desc.len();
        let fits = (ETH_HLEN..=BUFFER_SIZE).contains(&len);
        if desc.ends() && !self.skipping && !desc.broken() && fits {
            return Part::Packet(len);
        }
        self.skipping = !desc.ends();
        if self.skipping {
            Part::Fragment
        } else {
            Part::Error
        }
    }
}
