// SPDX-License-Identifier: GPL-2.0

//! The parts of the hardware that are not on the path of packets, and the 82540EM's own: reset, rings, EEPROM.
//!
//! A device that was removed reads as all ones. So each wait has an end, and no loop depends on what
//! a register says.

use crate::{
    desc::Rx,
    mac::{
        self,
        row, //
    },
    regs::{
        self,
        Bar, //
    },
};
use kernel::{
    io::{
        poll::read_poll_timeout,
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
        Config,
        Link,
        Pause,
        Ring, //
    },
};

/// Microseconds between two interrupts at most, as in the C driver. (There are 16 bits, in units of 256 ns.)
pub(crate) const INTERVAL_MAX: u32 = 10_000;

/// The PHY's control register, and its bits.
const MII_BMCR: u8 = 0;
const BMCR_ANENABLE: u16 = 1 << 12;
const BMCR_RESET: u16 = 1 << 15;
/// The PHY's own registers, of Marvell's 88E1011: what C `e1000` does with them when a speed is forced.
const PHY_SPECIFIC: u8 = 16;
const AUTO_CROSSOVER: u16 = 3 << 5;
const PHY_EXTENDED: u8 = 20;
const TX_CLOCK_25: u16 = 7 << 4;

/// What `ethtool -d` shows. (Reading ICR would acknowledge interrupts.)
pub(crate) const REGISTERS: &[mac::Row] = &[
    row(0x0, 1, 4),
    row(0x8, 1, 4),
    row(0x10, 1, 4),
    row(0x18, 1, 4),
    row(0x28, 3, 4),
    row(0xc4, 1, 4),
    row(0xd0, 1, 4),
    row(0x100, 1, 4),
    row(0x170, 1, 4),
    row(0x400, 1, 4),
    row(0x410, 1, 4),
    row(0xe00, 1, 4),
    row(0x1000, 1, 4),
    row(0x2160, 2, 8),
    // The receive ring, and that for sending.
    row(0x2800, 5, 8),
    row(0x2804, 1, 4),
    row(0x282c, 1, 4),
    row(0x3800, 5, 8),
    row(0x3804, 1, 4),
    row(0x3828, 2, 4),
    row(0x5000, 1, 4),
    // Receive addresses.
    row(0x5400, 32, 4),
];

/// Registers that keep what is written to them.
pub(crate) const TESTS: &[(mac::Row, u32)] = &[
    (row(0x2800, 1, 4), 0xffff_fff0),
    (row(0x2804, 1, 4), u32::MAX),
    (row(0x2808, 1, 4), 0x000f_ff80),
    (row(0x3800, 1, 4), 0xffff_fff0),
    (row(0x3804, 1, 4), u32::MAX),
    (row(0x3808, 1, 4), 0x000f_ff80),
    // The multicast table, and receive addresses.
    (row(0x5200, 128, 4), u32::MAX),
    (row(0x5400, 16, 8), u32::MAX),
    (row(0x5404, 16, 8), 0x8003_ffff),
];

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
pub(crate) fn start(bar: &Bar<'_>, config: &Config) -> Result {
    // Long frames want more room to be sent, as the C driver has it. It counts from a reset on.
    let rx = if config.mtu + 18 > 8192 { 40 } else { 48 };
    if bar.read(regs::PBA).rxa().get() != rx {
        bar.write_reg(regs::PBA::from(rx));
        reset(bar);
    }
    bar.update(regs::CTRL, |r| r.with_slu(true).with_asde(true));
    mac::set_address(bar, &config.mac, 0);
    // A frame more has room, or a tenth of all.
    let bytes = rx * 1024;
    mac::set_flow_control(
        bar,
        (bytes * 9 / 10).min(bytes.saturating_sub(config.mtu + 18)),
    );
    Ok(())
}

/// Reads a register of the PHY, or writes it.
pub(crate) fn phy(bar: &Bar<'_>, register: u8, write: Option<u16>) -> Result<u16> {
    match write {
        // A speed that is forced is in force after a reset of the PHY, which keeps what was written.
        Some(control) if register == MII_BMCR && control & BMCR_ANENABLE == 0 => {
            mac::phy(bar, register, Some(control | BMCR_RESET))?;
            // As long as 802.3 lets it take.
            read_poll_timeout(
                || mac::phy(bar, register, None),
                |control| control & BMCR_RESET == 0,
                Delta::from_millis(1),
                Delta::from_millis(500),
            )?;
            mac::update_phy(bar, PHY_EXTENDED, |r| r | TX_CLOCK_25)?;
            Ok(control)
        }
        _ => mac::phy(bar, register, write),
    }
}

/// Sends and receives as the PHY will, or does.
pub(crate) fn set_link(bar: &Bar<'_>, forced: Option<Link>, pause: Pause) -> Result {
    bar.update(regs::CTRL, |r| r.with_asde(forced.is_none()));
    mac::set_link(bar, forced, pause);
    // Which pair is which has to be known for a speed that is forced.
    mac::update_phy(bar, PHY_SPECIFIC, |r| match forced {
        Some(_) => r & !AUTO_CROSSOVER,
        None => r | AUTO_CROSSOVER,
    })
}

/// Lets so many microseconds pass between two interrupts.
pub(crate) fn set_interval(bar: &Bar<'_>, us: u32) {
    bar.write_reg(regs::ITR::from(us.min(INTERVAL_MAX) * 1000 / 256));
}

/// Has no packet wait longer for its interrupt because others come, in units of 1.024 us.
pub(crate) fn limit_delays(bar: &Bar<'_>) {
    bar.write_reg(regs::TADV::from(32));
    bar.write_reg(regs::RADV::from(8));
}

/// Starts the transmitter on an empty ring.
pub(crate) fn start_tx(bar: &Bar<'_>, ring: &Ring) {
    bar.write_reg(regs::TDBAL::from(ring.addr_low()));
    bar.write_reg(regs::TDBAH::from(ring.addr_high()));
    bar.write_reg(regs::TDLEN::from(ring.size()));
    bar.write_reg(regs::TDH::zeroed());
    bar.write_reg(regs::TDT::zeroed());
    bar.write_reg(regs::TIDV::from(8));
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
    bar.write_reg(regs::RXCSUM::zeroed().with_tuofl(true).with_ipofl(true));
    // Without long packets no frame is longer than half a page has room for. (A frame of full size with two VLAN
    // tags is a long one.)
    mac::update_rctl(bar, |r| {
        r.with_bam(true)
            .with_secrc(true)
            .with_lpe(ring.buffer == Rx::BUFFER)
            .with_en(true)
    });
}

/// Stops the receiver.
pub(crate) fn stop_rx(bar: &Bar<'_>) {
    mac::update_rctl(bar, |r| r.with_en(false));
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

/// Returns how many words the EEPROM has.
pub(crate) fn eeprom_words(bar: &Bar<'_>) -> u32 {
    if bar.read(regs::EECD).large() {
        256
    } else {
        64
    }
}

/// Reads a word of the EEPROM.
pub(crate) fn eeprom(bar: &Bar<'_>, address: u8) -> Result<u16> {
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
