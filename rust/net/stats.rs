// SPDX-License-Identifier: GPL-2.0

//! What a queue counts, for as long as its device exists.

use page_pool::stats::Counter;

/// Counters of the receive path. The poll writes them; readers see numbers that are a moment old, which
/// harms nobody.
#[derive(Default)]
#[repr(align(64))]
pub(crate) struct RxStats {
    /// Packets that arrived.
    pub(crate) packets: Counter,
    /// Bytes that arrived.
    pub(crate) bytes: Counter,
    /// Frames that the device found broken, or that are too long.
    pub(crate) errors: Counter,
    /// Polls.
    pub(crate) polls: Counter,
    /// Allocations that failed: of a buffer for the ring, or of an skb.
    pub(crate) alloc_fail: Counter,
    /// Why good packets went no further: see [`DROPS`].
    pub(crate) dropped: [Counter; DROPS.len()],
    /// What XDP programs decided: see [`VERDICTS`].
    pub(crate) xdp: [Counter; VERDICTS.len()],
}

/// Counters of the transmit path. The holder of the queue's lock writes them.
#[derive(Default)]
#[repr(align(64))]
pub(crate) struct TxStats {
    /// Packets that the device has sent.
    pub(crate) packets: Counter,
    /// Bytes that the device has sent.
    pub(crate) bytes: Counter,
    /// Packets that were not sent.
    pub(crate) dropped: Counter,
    /// Times that the core was kept from sending for want of room.
    pub(crate) stop: Counter,
    /// Times that it could go on.
    pub(crate) wake: Counter,
}

/// Names of [`RxStats::dropped`], by [`Dropped`].
pub(crate) const DROPS: [&str; 3] = ["rx_drop_limit", "rx_drop_no_page", "rx_drop_no_skb"];

/// Why a good packet went no further.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Dropped {
    /// The pool has as many pages as it may have, or nearly.
    Limit,
    /// The page allocator has none for it.
    NoPage,
    /// There was no memory for an skb.
    NoSkb,
}

/// Names of [`RxStats::xdp`], by [`Verdict`].
pub(crate) const VERDICTS: [&str; 5] = [
    "rx_xdp_pass",
    "rx_xdp_drop",
    "rx_xdp_tx",
    "rx_xdp_redirect",
    "rx_xdp_aborted",
];

/// What an XDP program decided about a packet, and what came of it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Verdict {
    /// Handed to the stack.
    Pass,
    /// Dropped.
    Drop,
    /// Sent back.
    Tx,
    /// Given to another device, CPU or socket.
    Redirect,
    /// The program failed, or what it wanted did.
    Aborted,
}

/// What happened in one poll; counted once at its end.
#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
    pub(crate) errors: u64,
    dropped: [u64; DROPS.len()],
    xdp: [u64; VERDICTS.len()],
}

impl Counts {
    #[inline]
    pub(crate) fn drop(&mut self, why: Dropped) {
        // CAST: The number of a variant, less than there are.
        let n = &mut self.dropped[why as usize];
        *n = n.wrapping_add(1);
    }

    #[inline]
    pub(crate) fn verdict(&mut self, verdict: Verdict) {
        self.verdicts(verdict, 1);
    }

    /// Counts a verdict for so many packets.
    #[inline]
    pub(crate) fn verdicts(&mut self, verdict: Verdict, packets: u64) {
        // CAST: As above.
        let n = &mut self.xdp[verdict as usize];
        *n = n.wrapping_add(packets);
    }

    /// Returns whether something was sent back.
    #[inline]
    pub(crate) fn sent(&self) -> bool {
        // CAST: As above.
        self.xdp[Verdict::Tx as usize] != 0
    }
}

impl RxStats {
    /// Adds what happened in a poll.
    ///
    /// Only the poll calls this.
    #[inline]
    pub(crate) fn add(&self, counts: &Counts) {
        self.polls.inc();
        self.packets.add(counts.packets);
        self.bytes.add(counts.bytes);
        if counts.errors != 0 {
            self.errors.add(counts.errors);
        }
        add(&self.dropped, &counts.dropped);
        add(&self.xdp, &counts.xdp);
    }

    /// Returns how many good packets went no further.
    pub(crate) fn all_dropped(&self) -> u64 {
        let dropped = self.dropped.iter().map(Counter::get);
        dropped.fold(0, u64::wrapping_add)
    }
}

#[inline]
fn add<const N: usize>(counters: &[Counter; N], counts: &[u64; N]) {
    for (counter, &n) in counters.iter().zip(counts) {
        if n != 0 {
            counter.add(n);
        }
    }
}
