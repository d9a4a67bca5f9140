// SPDX-License-Identifier: GPL-2.0

//! What a PHY is told, and what it says, by the registers of IEEE 802.3, clause 22.
//!
//! (The kernel's `drivers/net/mii.c` is a module of its own, which nothing else here would need; of its header the
//! inline functions are used.)
//!
//! C header: [`include/linux/mii.h`](srctree/include/linux/mii.h)

use crate::{
    ethtool::LinkMode,
    netdev::{
        Link,
        Operations,
        Pause, //
    }, //
};
use kernel::prelude::*;
use pp_bindings as bindings;

// CAST: Numbers of registers, and their bits, of which there are 16.
const CONTROL: u8 = bindings::MII_BMCR as u8;
const STATUS: u8 = bindings::MII_BMSR as u8;
const ADVERTISE: u8 = bindings::MII_ADVERTISE as u8;
const PARTNER: u8 = bindings::MII_LPA as u8;
const CONTROL_1000: u8 = bindings::MII_CTRL1000 as u8;
const STATUS_1000: u8 = bindings::MII_STAT1000 as u8;

const NEGOTIATE: u16 = bindings::BMCR_ANENABLE as u16;
const RESTART: u16 = bindings::BMCR_ANRESTART as u16;
/// What keeps a PHY from its work.
const IDLE: u16 = (bindings::BMCR_PDOWN | bindings::BMCR_ISOLATE | bindings::BMCR_LOOPBACK) as u16;
const FULL_DUPLEX: u16 = bindings::BMCR_FULLDPLX as u16;
const SPEED_100: u16 = bindings::BMCR_SPEED100 as u16;
const SPEED_1000: u16 = bindings::BMCR_SPEED1000 as u16;
const NEGOTIATED: u16 = bindings::BMSR_ANEGCOMPLETE as u16;
const ETHERNET: u16 = bindings::ADVERTISE_CSMA as u16;
/// What of "1000BASE-T control" is advertised; in "1000BASE-T status" the partner's is two bits higher.
const MODES_1000: u16 = (bindings::ADVERTISE_1000FULL | bindings::ADVERTISE_1000HALF) as u16;

/// The modes that are advertised in a register, with their bits: each row is a mode, its bit in "advertisement", and its bit
/// in "1000BASE-T control".
const MODES: [(LinkMode, u32, u32); 5] = [
    (LinkMode::BASE_T_10_HALF, bindings::ADVERTISE_10HALF, 0),
    (LinkMode::BASE_T_10_FULL, bindings::ADVERTISE_10FULL, 0),
    (LinkMode::BASE_T_100_HALF, bindings::ADVERTISE_100HALF, 0),
    (LinkMode::BASE_T_100_FULL, bindings::ADVERTISE_100FULL, 0),
    (LinkMode::BASE_T_1000_FULL, 0, bindings::ADVERTISE_1000FULL),
];

/// What a link is to be.
#[derive(Clone, Copy, PartialEq)]
pub(crate) struct Settings {
    /// The modes that are advertised: bits of the first word of `ethtool`'s masks.
    pub(crate) modes: usize,
    /// Not negotiated.
    pub(crate) forced: Option<Link>,
    /// What is advertised of pauses, or in force without negotiation.
    pub(crate) pause: Pause,
    /// Pauses are as they are negotiated.
    pub(crate) negotiate_pause: bool,
}

impl Settings {
    /// Returns the settings that a port begins with which can be all of that.
    pub(crate) fn new(modes: &[LinkMode]) -> Self {
        let all = LinkMode::mask(modes);
        Self {
            modes: all & Self::speeds(),
            forced: None,
            pause: Pause { rx: true, tx: true },
            negotiate_pause: true,
        }
    }

    /// Returns all modes that are speeds.
    pub(crate) fn speeds() -> usize {
        LinkMode::mask(&MODES.map(|(mode, ..)| mode))
    }

    /// Returns the bits of two registers, "advertisement" and "1000BASE-T control".
    fn advertised(&self) -> (u16, u16) {
        let chosen = MODES
            .iter()
            .filter(|(mode, ..)| self.modes & LinkMode::mask(&[*mode]) != 0);
        let (base, gigabit) =
            chosen.fold((0, 0), |(base, gigabit), (_, b, g)| (base | b, gigabit | g));
        // CAST: They have 16 bits.
        (
            ETHERNET | base as u16 | advertise_pause(self.pause),
            gigabit as u16,
        )
    }
}

/// Returns the bits of "advertisement" for pauses.
pub(crate) fn advertise_pause(pause: Pause) -> u16 {
    // SAFETY: A function of numbers.
    unsafe { bindings::rnet_mii_advertise_pause(pause.rx, pause.tx) }
}

/// Has the PHY look for such a link, if it does not, or there is none; and returns whether it has to look for one.
///
/// Process context, one at a time.
pub(crate) fn start<D: Operations>(ops: &D, settings: &Settings, gigabit: bool) -> Result<bool> {
    let control = ops.phy(CONTROL, None)?;
    let mut same = !D::HAS_LINK || ops.link().is_some();
    let wanted = match settings.forced {
        Some(link) => {
            let speed = match link.speed {
                1000 => SPEED_1000,
                100 => SPEED_100,
                _ => 0,
            };
            speed | if link.full_duplex { FULL_DUPLEX } else { 0 }
        }
        None => {
            let (base, modes) = settings.advertised();
            same &= update(ops, ADVERTISE, u16::MAX, base)?;
            if gigabit {
                same &= update(ops, CONTROL_1000, MODES_1000, modes)?;
            }
            // The speed is what it was.
            NEGOTIATE | control & (SPEED_100 | SPEED_1000 | FULL_DUPLEX)
        }
    };
    let mask = NEGOTIATE | IDLE | SPEED_100 | SPEED_1000 | FULL_DUPLEX;
    same &= control & mask == wanted;
    if !same {
        restart_with(ops, control & !mask | wanted)?;
    }
    Ok(!same)
}

/// Has the PHY negotiate once more.
///
/// Process context, one at a time.
pub(crate) fn restart<D: Operations>(ops: &D) -> Result {
    restart_with(ops, ops.phy(CONTROL, None)?)
}

fn restart_with<D: Operations>(ops: &D, control: u16) -> Result {
    let restart = if control & NEGOTIATE != 0 { RESTART } else { 0 };
    ops.phy(CONTROL, Some(control | restart)).map(|_| ())
}

/// Sets the bits of a register that a mask has, and returns whether they were so.
fn update<D: Operations>(ops: &D, register: u8, mask: u16, value: u16) -> Result<bool> {
    let old = ops.phy(register, None)?;
    let new = old & !mask | value;
    if old != new {
        ops.phy(register, Some(new))?;
    }
    Ok(old == new)
}

/// Returns what the two ends of a link have agreed upon.
///
/// Process context, one at a time.
pub(crate) fn negotiated_pause<D: Operations>(ops: &D) -> Result<Pause> {
    let (ours, theirs) = (ops.phy(ADVERTISE, None)?, ops.phy(PARTNER, None)?);
    let mut pause = Pause::default();
    // SAFETY: A function of numbers, and the two pointers are to what is ours.
    unsafe { bindings::rnet_mii_resolve_pause(ours, theirs, &mut pause.rx, &mut pause.tx) };
    Ok(pause)
}

/// Returns what the other end can be, if both have negotiated; bits as in [`Settings::modes`], with those for pauses.
///
/// Process context, one at a time.
pub(crate) fn partner<D: Operations>(ops: &D, gigabit: bool) -> Result<usize> {
    // What it says of the link is that of the last time.
    ops.phy(STATUS, None)?;
    if ops.phy(STATUS, None)? & NEGOTIATED == 0 {
        return Ok(0);
    }
    let base = u32::from(ops.phy(PARTNER, None)?);
    let modes = if gigabit {
        u32::from(ops.phy(STATUS_1000, None)? >> 2)
    } else {
        0
    };
    let pause = [
        (LinkMode::PAUSE, bindings::ADVERTISE_PAUSE_CAP, 0),
        (LinkMode::ASYM_PAUSE, bindings::ADVERTISE_PAUSE_ASYM, 0),
    ];
    let both = [&MODES[..], &pause];
    let can = both
        .iter()
        .copied()
        .flatten()
        .filter(|(_, b, g)| base & b != 0 || modes & g != 0);
    Ok(
        can.fold(LinkMode::mask(&[LinkMode::AUTONEG]), |all, (mode, ..)| {
            all | LinkMode::mask(&[*mode])
        }),
    )
}
