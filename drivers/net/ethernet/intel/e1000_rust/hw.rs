// SPDX-License-Identifier: GPL-2.0

//! The parts of the hardware that are not on the path of packets: reset, EEPROM, PHY, filters.
//!
//! A device that was removed reads as all ones. So each wait has an end, and no loop depends on what
//! a register says.

use crate::{
    desc::Rx,
    regs::{
        self,
        Bar, //
    },
};
use kernel::{
    io::{
        poll::read_poll_timeout,
        register::Array,
        Io, //
    },
    prelude::*,
    time::{
        delay::fsleep,
        Delta, //
    },
};
use net::{
    desc::RxDescriptor,
    netdev::{
        Link,
        Ring,
        RxMode, //
    },
};

/// At most one interrupt in this many units of 256 ns: 20,000 in a second.
const ITR: u32 = 195;

/// The PHY of the 82540EM is always at this address.
const PHY_ADDRESS: u32 = 1;
/// PHY control register, and its bits.
const MII_BMCR: u32 = 0;
const BMCR_ANRESTART: u32 = 1 << 9;
const BMCR_PDOWN: u32 = 1 << 11;
const BMCR_ANENABLE: u32 = 1 << 12;

/// Resets the device: no DMA and no interrupt afterwards.
pub(crate) fn reset(bar: &Bar<'_>) {
    mask_interrupts(bar);
    bar.write_reg(regs::RCTL::zeroed());
    bar.write_reg(regs::TCTL::zeroed());
    // What is on its way over the bus arrives before the reset.
    fsleep(Delta::from_millis(10));
    bar.update(regs::CTRL, |r| r.with_rst(true));
    // The device reads its EEPROM now, and answers nothing else.
    fsleep(Delta::from_millis(20));
    mask_interrupts(bar);
    bar.read(regs::ICR);
}

/// Starts the device, but no ring. It was reset before.
pub(crate) fn start(bar: &Bar<'_>, mac: &[u8; 6]) -> Result {
    bar.update(regs::CTRL, |r| r.with_slu(true).with_asde(true));
    wake_phy(bar)?;
    set_mac(bar, mac);
    bar.write_reg(regs::ITR::from(ITR));
    Ok(())
}

/// Starts the transmitter on an empty ring.
pub(crate) fn start_tx(bar: &Bar<'_>, ring: &Ring) {
    bar.write_reg(regs::TDBAL::from(ring.addr_low()));
    bar.write_reg(regs::TDBAH::from(ring.addr_high()));
    bar.write_reg(regs::TDLEN::from(ring.size()));
    bar.write_reg(regs::TDH::zeroed());
    bar.write_reg(regs::TDT::zeroed());
    bar.write_reg(regs::TIDV::from(8));
    bar.write_reg(regs::TADV::from(32));
    // The values that the manual recommends, in 14.5.
    bar.write_reg(
        regs::TIPG::zeroed()
            .with_const_ipgt::<10>()
            .with_const_ipgr1::<8>()
            .with_const_ipgr2::<6>(),
    );
    bar.write_reg(
        regs::TCTL::zeroed()
            .with_const_ct::<0x10>()
            .with_const_cold::<0x40>()
            .with_psp(true)
            .with_en(true),
    );
}

/// Starts the receiver on an empty ring, which it may confuse with its last one otherwise; it gets its buffers
/// afterwards.
pub(crate) fn start_rx(bar: &Bar<'_>, ring: &Ring) {
    bar.write_reg(regs::RDBAL::from(ring.addr_low()));
    bar.write_reg(regs::RDBAH::from(ring.addr_high()));
    bar.write_reg(regs::RDLEN::from(ring.size()));
    bar.write_reg(regs::RDH::zeroed());
    bar.write_reg(regs::RDT::zeroed());
    bar.write_reg(regs::RDTR::zeroed());
    bar.write_reg(regs::RADV::from(8));
    bar.write_reg(regs::RXCSUM::zeroed().with_tuofl(true).with_ipofl(true));
    // Without long packets no frame is longer than half a page has room for. (A frame of full size with two VLAN
    // tags is a long one.)
    update_rctl(bar, |r| {
        r.with_bam(true)
            .with_secrc(true)
            .with_lpe(ring.buffer == Rx::BUFFER)
            .with_en(true)
    });
}

/// Stops the receiver.
pub(crate) fn stop_rx(bar: &Bar<'_>) {
    update_rctl(bar, |r| r.with_en(false));
    // What is on its way over the bus arrives before the next ring is told: reads do not overtake it.
    bar.read(regs::STATUS);
    fsleep(Delta::from_millis(10));
}

/// Lets the device raise no interrupt.
#[inline]
pub(crate) fn mask_interrupts(bar: &Bar<'_>) {
    bar.write_reg(regs::IMC::from(u32::MAX));
}

/// Lets the device raise the interrupts that we handle.
#[inline]
pub(crate) fn unmask_interrupts(bar: &Bar<'_>) {
    bar.write_reg(
        regs::IMS::zeroed()
            .with_txdw(true)
            .with_lsc(true)
            .with_rxseq(true)
            .with_rxdmt0(true)
            .with_rxo(true)
            .with_rxt0(true),
    );
}

/// Reads a word of the EEPROM.
fn eeprom(bar: &Bar<'_>, address: u8) -> Result<u16> {
    bar.write_reg(regs::EERD::zeroed().with_address(address).with_start(true));
    let value = read_poll_timeout(
        || Ok(bar.read(regs::EERD)),
        |value| value.done(),
        Delta::from_micros(50),
        Delta::from_millis(100),
    )?;
    // CAST: The field has 16 bits.
    Ok(value.data().get() as u16)
}

/// The permanent MAC address.
pub(crate) fn eeprom_mac(bar: &Bar<'_>) -> Result<[u8; 6]> {
    let mut mac = [0; 6];
    for (address, bytes) in mac.chunks_exact_mut(2).enumerate() {
        // CAST: At most 2.
        bytes.copy_from_slice(&eeprom(bar, address as u8)?.to_le_bytes());
    }
    Ok(mac)
}

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

/// Wakes the PHY, if who had the device before us has put it to sleep.
fn wake_phy(bar: &Bar<'_>) -> Result {
    let command = regs::MDIC::zeroed()
        .with_const_phy::<PHY_ADDRESS>()
        .with_const_register::<MII_BMCR>();
    let bmcr = phy_access(bar, command.with_const_op::<2>())?;
    if bmcr & BMCR_PDOWN != 0 {
        let bmcr = (bmcr & !BMCR_PDOWN) | BMCR_ANENABLE | BMCR_ANRESTART;
        phy_access(bar, command.with_const_op::<1>().try_with_data(bmcr)?)?;
    }
    Ok(())
}

/// State of the link.
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

/// Sets the address whose packets we receive.
pub(crate) fn set_mac(bar: &Bar<'_>, mac: &[u8; 6]) {
    let [a, b, c, d, e, f] = *mac;
    bar.write_reg(regs::RAL::from(u32::from_le_bytes([a, b, c, d])));
    bar.write_reg(regs::RAH::from(u32::from_le_bytes([e, f, 0, 0])).with_av(true));
}

/// Sets which other packets we receive.
pub(crate) fn set_rx_mode(bar: &Bar<'_>, mode: &RxMode<'_>) {
    let mut table = [0u32; 128];
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
    update_rctl(bar, |r| {
        r.with_upe(mode.promiscuous())
            .with_mpe(mode.promiscuous() || mode.all_multicast())
    });
}

/// Changes the receive control register, if there is a change: QEMU's device is deaf for a second
/// after each write to it.
fn update_rctl(bar: &Bar<'_>, f: impl FnOnce(regs::RCTL) -> regs::RCTL) {
    let old = bar.read(regs::RCTL);
    let new = f(old);
    if new.into_raw() != old.into_raw() {
        bar.write_reg(new);
    }
}
