// SPDX-License-Identifier: GPL-2.0

//! What is believed of what a card says that it received. Compiles in the kernel and on the host.

#![cfg_attr(
    CONFIG_RUST,
    expect(unreachable_pub, reason = "the tests on the host use it")
)]

use crate::desc::Completed;

/// Shorter packets cannot have an Ethernet header.
pub const ETH_HLEN: usize = 14;

/// What a frame has in a buffer beside the packet: Ethernet header, VLAN tag, and the CRC, which not all cards
/// strip.
pub const OVERHEAD: usize = ETH_HLEN + 4 + 4;

/// The most buffers that a packet may be in: one, and what `struct skb_shared_info` has room for behind it.
pub const MAX_BUFFERS: usize = 18;

/// How long frames are, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// What a card writes into the first buffer of a frame at least: [`ETH_HLEN`], but where headers are elsewhere.
    pub first: usize,
    /// What a card writes into one buffer at most.
    pub buffer: usize,
    /// What it is to receive at most: in one buffer, unless this is more.
    pub frame: usize,
}

impl Bounds {
    /// Returns in how many buffers a frame may be. (The last one may have nothing but the CRC, which does not count.)
    pub fn buffers(&self) -> usize {
        if self.frame <= self.buffer {
            return 1;
        }
        let full = self.frame.div_ceil(self.buffer.max(1));
        full.saturating_add(1).min(MAX_BUFFERS)
    }
}

/// What a card has received next, if it is no packet in a single buffer.
#[derive(Clone, Copy, Debug)]
pub enum Next {
    /// A packet.
    Packet(Parts),
    /// The next so many buffers are of a frame that is no packet; and it ends with them: one error.
    Bad(usize, bool),
    /// A part of a frame, of which there is more to come.
    Unfinished,
}

/// A packet in several buffers.
#[derive(Clone, Copy, Debug)]
pub struct Parts {
    lens: [usize; MAX_BUFFERS],
    buffers: usize,
}

impl Parts {
    /// Returns how many bytes are in each buffer.
    pub fn lens(&self) -> &[usize] {
        self.lens.get(..self.buffers).unwrap_or_default()
    }
}

/// Where frames begin and end.
///
/// A card may be broken or hostile; one that is gone may leave all ones. Whatever it says, each buffer is one of a
/// packet or of an error, and a packet is never longer than its buffers: a length beyond one would show what an earlier
/// packet left there.
#[derive(Default)]
pub struct Frames {
    /// We are inside of a frame that is in too many buffers.
    skipping: bool,
}

impl Frames {
    /// Returns the length of the packet, if it is one that has this buffer for itself, and as long as it may be.
    #[inline(always)]
    pub fn packet(&self, done: &Completed, shortest: usize, longest: usize) -> Option<usize> {
        let fits = (shortest..=longest).contains(&done.len);
        (done.last && !self.skipping && !done.error && fits).then_some(done.len)
    }

    /// Returns what there is, of what is no [`packet`](Self::packet).
    ///
    /// `done` tells what the card says of a buffer, counted from the next one, if that is finished. It is asked once for
    /// each: what it says may be another thing the next time.
    #[cold]
    #[inline(never)]
    pub fn next(&mut self, bounds: Bounds, done: impl Fn(usize) -> Option<Completed>) -> Next {
        let most = if self.skipping { 1 } else { bounds.buffers() };
        let mut parts = Parts {
            lens: [0; MAX_BUFFERS],
            buffers: 0,
        };
        let (mut total, mut good) = (0usize, !self.skipping);
        for (n, part) in parts.lens.iter_mut().enumerate().take(most) {
            let Some(done) = done(n) else {
                return Next::Unfinished;
            };
            let shortest = if n == 0 { bounds.first } else { 0 };
            good &= (shortest..=bounds.buffer).contains(&done.len);
            total = total.saturating_add(done.len);
            *part = done.len;
            parts.buffers = n.wrapping_add(1);
            if done.last {
                self.skipping = false;
                let longest = bounds.frame.max(bounds.buffer);
                return if good && !done.error && total <= longest {
                    Next::Packet(parts)
                } else {
                    Next::Bad(parts.buffers, true)
                };
            }
        }
        self.skipping = true;
        Next::Bad(most, false)
    }
}
