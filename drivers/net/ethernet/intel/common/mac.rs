// SPDX-License-Identifier: GPL-2.0

//! What the 8254x and the 82576 do alike, beside the path of packets: link, PHY, filters, statistics.
//!
//! A device that was removed reads as all ones. So each wait has an end, and no loop depends on what
//! a register says.

use crate::regs::{
    self,
    Bar, //
};
use kernel::{
    io::{
        poll::read_poll_timeout,
        register::Array,
        Io, //
    },
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
    time::Delta,
};
use net::{
    ethtool::LinkMode,
    netdev::{
        CardStats,
        Link,
        RxMode, //
    },
};

/// What the port of such a card can be.
pub(crate) const LINK_MODES: &[LinkMode] = &[
    LinkMode::TP,
    LinkMode::AUTONEG,
    LinkMode::BASE_T_10_HALF,
    LinkMode::BASE_T_10_FULL,
    LinkMode::BASE_T_100_HALF,
    LinkMode::BASE_T_100_FULL,
    LinkMode::BASE_T_1000_FULL,
];

/// The PHY is always at this address.
const PHY_ADDRESS: u32 = 1;
/// PHY control register, and its bits.
const MII_BMCR: u32 = 0;
const BMCR_ANRESTART: u32 = 1 << 9;
const BMCR_PDOWN: u32 = 1 << 11;
const BMCR_ANENABLE: u32 = 1 << 12;

fn phy_access(bar: &Bar<'_>, command: regs::MDIC) -> Result<u32> {
    bar.write_reg(command);
    let value = read_poll_timeout(
        || Ok(bar.read(regs::MDIC)),
        |value| value.ready(),
        Delta::from_micros(50),
        Delta::from_millis(10),
    )?;
    if value.error() {
        return Err(EIO);
    }
    Ok(value.data().get())
}

/// Has the PHY look for a link, unless there is one: who had the device before us may have put it to sleep, and
/// an 82576 lets it rest after a reset.
pub(crate) fn wake_phy(bar: &Bar<'_>) -> Result {
    let command = regs::MDIC::zeroed()
        .with_const_phy::<PHY_ADDRESS>()
        .with_const_register::<MII_BMCR>();
    let bmcr = phy_access(bar, command.with_const_op::<2>())?;
    if bmcr & BMCR_PDOWN != 0 || link(bar).is_none() {
        let bmcr = (bmcr & !BMCR_PDOWN) | BMCR_ANENABLE | BMCR_ANRESTART;
        phy_access(bar, command.with_const_op::<1>().try_with_data(bmcr)?)?;
    }
    Ok(())
}

/// Returns the state of the link.
pub(crate) fn link(bar: &Bar<'_>) -> Option<Link> {
    let status = bar.read(regs::STATUS);
    if status.into_raw() == u32::MAX || !status.lu() {
        return None;
    }
    let speed = match status.speed().get() {
        0 => 10,
        1 => 100,
        _ => 1000,
    };
    Some(Link {
        speed,
        full_duplex: status.fd(),
    })
}

/// How many addresses beside its own a card listens to: of 16 filters C e1000 uses 15.
pub(crate) const ADDRESSES: usize = 14;

/// Sets the address whose packets we receive, in those pools (82576).
pub(crate) fn set_address(bar: &Bar<'_>, mac: &[u8; 6], pools: u32) {
    set_filter(bar, 0, Some(*mac), pools);
}

/// Returns what the two registers of a filter hold that lets an address pass, or none.
pub(crate) fn filter(mac: Option<[u8; 6]>, pools: u32) -> (u32, u32) {
    let [a, b, c, d, e, f] = mac.unwrap_or_default();
    let high = u32::from_le_bytes([e, f, 0, 0]) | (pools & 0xff) << 18;
    let high = regs::RAH::from(high).with_av(mac.is_some());
    (u32::from_le_bytes([a, b, c, d]), high.into_raw())
}

/// Sets which address the filter of that number lets pass.
fn set_filter(bar: &Bar<'_>, n: usize, mac: Option<[u8; 6]>, pools: u32) {
    let values = filter(mac, pools);
    if let (Some(low), Some(high)) = (regs::RAL::try_at(n), regs::RAH::try_at(n)) {
        // One after the other: a bridge may make one write of the two.
        bar.write(low, regs::RAL::from(values.0));
        bar.read(regs::STATUS);
        bar.write(high, regs::RAH::from(values.1));
        bar.read(regs::STATUS);
    }
}

/// Sets which other packets we receive, in those pools (82576).
pub(crate) fn set_rx_mode(bar: &Bar<'_>, mode: &RxMode<'_>, pools: u32) {
    // The flag alone does not do for pools.
    let all = mode.promiscuous() || mode.all_multicast();
    let mut table = [if all { u32::MAX } else { 0 }; 128];
    for mac in mode.multicast() {
        // Twelve bits of the address choose a bit: 7 the register, 5 the bit in it.
        let hash = u32::from(u16::from_le_bytes([mac[4], mac[5]]) >> 4);
        // CAST: Less than 128.
        if let Some(bits) = table.get_mut((hash >> 5) as usize) {
            *bits |= 1 << (hash & 0x1f);
        }
    }
    for (i, bits) in table.into_iter().enumerate() {
        if let Some(register) = regs::MTA::try_at(i) {
            bar.write(register, regs::MTA::from(bits));
        }
    }
    let mut unicast = mode.unicast();
    for n in 1..=ADDRESSES {
        set_filter(bar, n, unicast.next(), pools);
    }
    update_rctl(bar, |r| r.with_upe(mode.promiscuous()).with_mpe(all));
}

/// Changes the receive control register, if there is a change: QEMU's 82540EM is deaf for a second
/// after each write to it.
pub(crate) fn update_rctl(bar: &Bar<'_>, f: impl FnOnce(regs::RCTL) -> regs::RCTL) {
    let old = bar.read(regs::RCTL);
    let new = f(old);
    if new.into_raw() != old.into_raw() {
        bar.write_reg(new);
    }
}

/// The card's counters, which reading clears; these are the sums.
pub(crate) struct Counters {
    missed: Atomic<u64>,
    multicast: Atomic<u64>,
    crc_errors: Atomic<u64>,
    length_errors: Atomic<u64>,
}

impl Counters {
    /// Returns counters that begin at 0.
    pub(crate) fn new() -> Self {
        Self {
            missed: Atomic::new(0),
            multicast: Atomic::new(0),
            crc_errors: Atomic::new(0),
            length_errors: Atomic::new(0),
        }
    }

    /// Returns what the card has counted.
    pub(crate) fn read(&self, bar: &Bar<'_>) -> CardStats {
        let add = |sum: &Atomic<u64>, new: u32| {
            // All ones: the device is gone.
            let new = if new == u32::MAX { 0 } else { u64::from(new) };
            sum.fetch_add(new, Relaxed).wrapping_add(new)
        };
        CardStats {
            missed: add(&self.missed, bar.read(regs::MPC).into_raw()),
            multicast: add(&self.multicast, bar.read(regs::MPRC).into_raw()),
            crc_errors: add(&self.crc_errors, bar.read(regs::CRCERRS).into_raw()),
            length_errors: add(&self.length_errors, bar.read(regs::RLEC).into_raw()),
        }
    }
}
