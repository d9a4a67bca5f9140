// SPDX-License-Identifier: GPL-2.0

//! How long a queue's interrupts are apart, by the length of its frames.
//!
//! Long frames fill their time on the wire, and what they cost is the interrupts between them; of short ones many come in
//! any case. A rule without a memory, so what a flow costs does not depend on what came before it: that of
//! `igb_update_ring_itr()` in `drivers/net/ethernet/intel/igb/igb_main.c`, with the bound that it has by default.
//!
//! Compiles in the kernel and on the host.

/// Between two frames on the wire: CRC, preamble, and the gap.
const AROUND: u64 = 24;
/// As if frames were no longer, in bytes: with jumbo frames the next interrupt would be late.
const LONGEST: u64 = 3000;
/// Frames of these lengths are those of a conversation as often as of a bulk of data.
const MIDDLE: core::ops::Range<u64> = 301..1200;

/// How many packets, and how many bytes, came or went on a queue since it exists.
#[derive(Clone, Copy, Default)]
pub(crate) struct Traffic {
    /// Packets.
    pub(crate) packets: u64,
    /// Bytes.
    pub(crate) bytes: u64,
}

impl Traffic {
    /// Returns the mean length of the frames since `before`, if there were any.
    fn length_since(self, before: Self) -> Option<u64> {
        let packets = self.packets.wrapping_sub(before.packets);
        self.bytes.wrapping_sub(before.bytes).checked_div(packets)
    }
}

/// What is known of a queue's frames.
#[derive(Default)]
pub(crate) struct Moderation {
    seen: [Traffic; 2],
}

impl Moderation {
    /// Returns how many microseconds are to pass between two interrupts, by what was received and sent, `now`; `None` if
    /// there was nothing since the last time.
    #[inline]
    pub(crate) fn interval(&mut self, now: [Traffic; 2]) -> Option<u32> {
        let [received, sent] = now;
        let before = core::mem::replace(&mut self.seen, now);
        let longer = received
            .length_since(before[0])
            .max(sent.length_since(before[1]));
        let length = longer?.saturating_add(AROUND).min(LONGEST);
        let us = length / if MIDDLE.contains(&length) { 12 } else { 8 };
        // CAST: 375 at most.
        Some(us as u32)
    }
}
