// SPDX-License-Identifier: GPL-2.0

//! What the 8254x and the 82576 count, in the same registers.

use crate::regs::Bar;
use kernel::{
    io::Io,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
};
use net::netdev::CardStats;

/// The registers that are read, one after the other, from here on; by the names of the manuals.
const FIRST: usize = 0x4000;
const CRCERRS: usize = 0x4000;
const ALGNERRC: usize = 0x4004;
const RXERRC: usize = 0x400c;
const MPC: usize = 0x4010;
const SCC: usize = 0x4014;
const ECOL: usize = 0x4018;
const MCC: usize = 0x401c;
const LATECOL: usize = 0x4020;
const COLC: usize = 0x4028;
const DC: usize = 0x4030;
const TNCRS: usize = 0x4034;
const XONRXC: usize = 0x4048;
const XONTXC: usize = 0x404c;
const XOFFRXC: usize = 0x4050;
const XOFFTXC: usize = 0x4054;
const PRC64: usize = 0x405c;
const GPRC: usize = 0x4074;
const BPRC: usize = 0x4078;
const MPRC: usize = 0x407c;
const GPTC: usize = 0x4080;
const RUC: usize = 0x40a4;
const RFC: usize = 0x40a8;
const ROC: usize = 0x40ac;
const RJC: usize = 0x40b0;
const PTC64: usize = 0x40d8;
const MPTC: usize = 0x40f0;
const BPTC: usize = 0x40f4;
const COUNT: usize = (BPTC - FIRST) / 4 + 1;

/// The card's counters, which reading clears; these are the sums.
pub(crate) struct Counters([Atomic<u64>; COUNT]);

impl Counters {
    /// Returns counters that begin at 0.
    pub(crate) fn new() -> Self {
        Self([const { Atomic::new(0) }; COUNT])
    }

    /// Returns what the card has counted.
    pub(crate) fn read(&self, bar: &Bar<'_>) -> CardStats {
        let count = |at: usize| {
            // All ones: the device is gone.
            let new = bar.try_read32(at).unwrap_or(0);
            let new = if new == u32::MAX { 0 } else { u64::from(new) };
            let sum = self.0.get(at.wrapping_sub(FIRST) / 4);
            sum.map_or(0, |sum| sum.fetch_add(new, Relaxed).wrapping_add(new))
        };
        let sizes = |at: usize| core::array::from_fn(|i| count(at + 4 * i));
        CardStats {
            missed: count(MPC),
            crc_errors: count(CRCERRS),
            alignment_errors: count(ALGNERRC),
            phy_errors: count(RXERRC),
            undersize: count(RUC),
            oversize: count(ROC),
            fragments: count(RFC),
            jabbers: count(RJC),
            rx_frames: count(GPRC),
            multicast: count(MPRC),
            rx_broadcast: count(BPRC),
            rx_pause: count(XONRXC).wrapping_add(count(XOFFRXC)),
            rx_sizes: sizes(PRC64),
            tx_frames: count(GPTC),
            tx_multicast: count(MPTC),
            tx_broadcast: count(BPTC),
            tx_pause: count(XONTXC).wrapping_add(count(XOFFTXC)),
            tx_sizes: sizes(PTC64),
            collisions: count(COLC),
            single_collisions: count(SCC),
            multiple_collisions: count(MCC),
            excessive_collisions: count(ECOL),
            late_collisions: count(LATECOL),
            deferred: count(DC),
            carrier_errors: count(TNCRS),
            ..CardStats::default()
        }
    }
}
