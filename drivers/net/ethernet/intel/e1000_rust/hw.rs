// SPDX-License-Identifier: GPL-2.0

//! The parts of the hardware that are not on the path of packets, and the 82540EM's own: reset, rings, EEPROM.
//!
//! A device that was removed reads as all ones. So each wait has an end, and no loop depends on what
//! a register says.

use crate::{
    desc::Rx,
    mac,
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
        Ring, //
    },
};

/// At most one interrupt in this many units of 256 ns: 20,000 in a second.
const ITR: u32 = 195;

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
    mac::wake_phy(bar)?;
    mac::set_address(bar, &config.mac, 0);
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
