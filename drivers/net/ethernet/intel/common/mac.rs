// SPDX-License-Identifier: GPL-2.0

//! What the 8254x and the 82576 do alike, beside the path of packets: link, PHY, filters, EEPROM, LEDs.
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
    time::Delta,
};
use net::{
    ethtool::LinkMode,
    netdev::{
        Link,
        Pause,
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

/// Reads a register of the PHY, or writes it.
pub(crate) fn phy(bar: &Bar<'_>, register: u8, write: Option<u16>) -> Result<u16> {
    let command = regs::MDIC::zeroed()
        .with_const_phy::<PHY_ADDRESS>()
        .try_with_register(u32::from(register))?;
    bar.write_reg(match write {
        Some(value) => command
            .with_const_op::<1>()
            .try_with_data(u32::from(value))?,
        None => command.with_const_op::<2>(),
    });
    let value = read_poll_timeout(
        || Ok(bar.read(regs::MDIC)),
        |value| value.ready(),
        Delta::from_micros(50),
        Delta::from_millis(10),
    )?;
    if value.error() {
        return Err(EIO);
    }
    // CAST: The field has 16 bits.
    Ok(value.data().get() as u16)
}

/// Changes bits of a register of the PHY, if there is a change.
pub(crate) fn update_phy(bar: &Bar<'_>, register: u8, f: impl FnOnce(u16) -> u16) -> Result {
    let old = phy(bar, register, None)?;
    let new = f(old);
    if new != old {
        phy(bar, register, Some(new))?;
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

/// Sends and receives with a speed that is forced, or with the PHY's; and heeds pauses, or asks for them.
pub(crate) fn set_link(bar: &Bar<'_>, forced: Option<Link>, pause: Pause) {
    bar.update(regs::CTRL, |r| {
        let r = r.with_rfce(pause.rx).with_tfce(pause.tx);
        let r = r
            .with_frcspd(forced.is_some())
            .with_frcdplx(forced.is_some());
        match forced {
            Some(link) if link.speed == 100 => r.with_const_speed::<1>().with_fd(link.full_duplex),
            Some(link) => r.with_const_speed::<0>().with_fd(link.full_duplex),
            None => r,
        }
    });
}

/// What is 802.3's: the address and the type of frames that ask for a pause, for the longest time. `room` bytes of what is
/// received wait in the card when it sends them.
pub(crate) fn set_flow_control(bar: &Bar<'_>, room: u32) {
    bar.write_reg(regs::FCAL::from(0x00c2_8001));
    bar.write_reg(regs::FCAH::zeroed().with_const_address::<0x0100>());
    bar.write_reg(regs::FCT::zeroed().with_const_ethertype::<0x8808>());
    bar.write_reg(regs::FCTTV::zeroed().with_const_time::<0xffff>());
    // The card wants a multiple of 16.
    let room = room & 0xfff0;
    bar.write_reg(regs::FCRTL::from(room.saturating_sub(16)).with_xone(true));
    bar.write_reg(regs::FCRTH::from(room));
}

/// Turns all LEDs on, or off; or has them do what they did.
pub(crate) fn set_led(bar: &Bar<'_>, default: regs::LEDCTL, on: Option<bool>) {
    // In each byte bits 3:0 say what for, and 7 that it blinks; 6, that it is inverted, stays.
    let mode = match on {
        Some(true) => 0x0e0e_0e0e,
        Some(false) => 0x0f0f_0f0f,
        None => return bar.write_reg(default),
    };
    bar.write_reg(regs::LEDCTL::from(default.into_raw() & 0x4040_4040 | mode));
}

/// Returns whether the first 64 words of the EEPROM have the sum that they have to have.
pub(crate) fn test_eeprom(eeprom: impl Fn(u32) -> Result<u16>) -> Result {
    let mut sum = 0u16;
    for word in 0..0x40 {
        sum = sum.wrapping_add(eeprom(word)?);
    }
    if sum == 0xbaba {
        Ok(())
    } else {
        Err(EBADMSG)
    }
}

/// Registers that lie in a row, each so many bytes from the one before.
pub(crate) struct Row {
    /// The first one.
    pub(crate) at: usize,
    /// How many there are.
    pub(crate) n: usize,
    /// How far apart.
    pub(crate) stride: usize,
}

/// Returns a row.
pub(crate) const fn row(at: usize, n: usize, stride: usize) -> Row {
    Row { at, n, stride }
}

impl Row {
    fn offsets(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.n).map(|i| self.at + i * self.stride)
    }
}

/// Calls `register` with the offset and the value of each register.
pub(crate) fn registers(bar: &Bar<'_>, rows: &[Row], register: &mut dyn FnMut(u32, u32)) {
    for at in rows.iter().flat_map(Row::offsets) {
        // CAST: Less than 128 KiB.
        register(at as u32, bar.try_read32(at).unwrap_or(u32::MAX));
    }
}

/// Returns whether registers keep what is written to their bits of a mask. The device is stopped.
pub(crate) fn test_registers(bar: &Bar<'_>, rows: &[(Row, u32)]) -> Result {
    for (row, mask) in rows {
        for at in row.offsets() {
            for pattern in [0x5a5a_5a5a, 0xa5a5_a5a5, 0, u32::MAX] {
                bar.try_write32(pattern & mask, at)?;
                let found = bar.try_read32(at)? & mask;
                if found != pattern & mask {
                    pr_err!(
                        "register {at:#x} has {found:#x}, not {:#x}\n",
                        pattern & mask
                    );
                    return Err(EIO);
                }
            }
        }
    }
    Ok(())
}

/// Returns the address that the card has read from its EEPROM.
pub(crate) fn address(bar: &Bar<'_>) -> [u8; 6] {
    let low = regs::RAL::try_at(0).map_or(0, |at| bar.read(at).into_raw());
    let high = regs::RAH::try_at(0).map_or(0, |at| bar.read(at).into_raw());
    let [a, b, c, d] = low.to_le_bytes();
    let [e, f, ..] = high.to_le_bytes();
    [a, b, c, d, e, f]
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
