// SPDX-License-Identifier: GPL-2.0

//! The parts of the hardware that are not on the path of packets: reset, rings, vectors, the spreading of flows.

use crate::{
    desc::Rx,
    mac,
    regs::{
        self,
        Bar, //
    },
    vmdq, //
};
use kernel::{
    io::{
        poll::read_poll_timeout,
        register::Array,
        Io, //
    },
    page::PAGE_SIZE,
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
        Ring,
        Side, //
    },
};

/// Microseconds between two interrupts at most: there are 13 bits.
pub(crate) const INTERVAL_MAX: u32 = 0x1fff;
/// Bytes of a CRC.
const FCS: usize = 4;
/// Bytes of a buffer for headers.
const HEADER: usize = match Rx::HEADER {
    Some(header) => header,
    None => 0,
};

/// Resets the device: no DMA and no interrupt afterwards.
pub(crate) fn reset(bar: &Bar<'_>) {
    mask_interrupts(bar);
    // What is on its way over the bus arrives before the reset.
    bar.update(regs::CTRL, |r| r.with_gio_master_disable(true));
    // Of a device that does not answer the reset is all that is left.
    let _ = read_poll_timeout(
        || Ok(bar.read(regs::STATUS)),
        |status| !status.gio_master_enable(),
        Delta::from_micros(100),
        Delta::from_millis(80),
    );
    bar.write_reg(regs::RCTL::zeroed());
    bar.write_reg(regs::TCTL::zeroed().with_psp(true));
    bar.read(regs::STATUS);
    fsleep(Delta::from_millis(10));
    bar.update(regs::CTRL, |r| r.with_rst(true));
    fsleep(Delta::from_millis(1));
    // Without an EEPROM it never says so.
    let _ = read_poll_timeout(
        || Ok(bar.read(regs::EECD)),
        |eecd| eecd.auto_rd(),
        Delta::from_millis(1),
        Delta::from_millis(10),
    );
    mask_interrupts(bar);
    bar.read(regs::ICR);
}

/// Returns the address that the card has read from its EEPROM.
pub(crate) fn address(bar: &Bar<'_>) -> [u8; 6] {
    let low = regs::RAL::try_at(0).map_or(0, |at| bar.read(at).into_raw());
    let high = regs::RAH::try_at(0).map_or(0, |at| bar.read(at).into_raw());
    let [a, b, c, d] = low.to_le_bytes();
    let [e, f, ..] = high.to_le_bytes();
    [a, b, c, d, e, f]
}

/// Starts the device, but no ring. It was reset before.
pub(crate) fn start(bar: &Bar<'_>, config: &Config, other: u32) -> Result {
    bar.update(regs::CTRL_EXT, |r| r.with_drv_load(true));
    bar.update(regs::CTRL, |r| r.with_slu(true));
    mac::wake_phy(bar)?;
    mac::set_address(bar, &config.mac, 1);
    assign_vectors(bar, config.queues, other & 0x1f);
    look_at_packets(bar);
    // Queue 0 is enabled by a reset.
    write_at!(bar, RXDCTL, 0, regs::RXDCTL::zeroed());
    write_at!(bar, TXDCTL, 0, regs::TXDCTL::zeroed());
    bar.write_reg(
        regs::TCTL::zeroed()
            .with_psp(true)
            .with_rtlc(true)
            .with_const_ct::<0xf>()
            .with_const_cold::<0x40>()
            .with_en(true),
    );
    mac::update_rctl(bar, |r| {
        r.with_bam(true)
            .with_secrc(true)
            .with_lpe(true)
            .with_en(true)
    });
    Ok(())
}

/// Gives each queue its vector, and vector `other` to the link.
fn assign_vectors(bar: &Bar<'_>, queues: u32, other: u32) {
    // Before the others, or they have no effect.
    bar.write_reg(
        regs::GPIE::zeroed()
            .with_multiple_msix(true)
            .with_pba_support(true)
            .with_eiame(true)
            .with_nsicr(true),
    );
    for queue in 0..queues {
        // CAST: u32 fits.
        let index = queue as usize;
        write_at!(bar, IVAR, index, {
            let vector = queue & 0x1f;
            // The transmit queue for XDP is the one eight further on.
            regs::IVAR::from(vector | vector << 8 | vector << 24)
                .with_rx_valid(true)
                .with_tx_valid(true)
                .with_other_tx_valid(true)
        });
    }
    bar.write_reg(regs::IVAR_MISC::from(other << 8).with_other_valid(true));
    // The last one, so that all are up to it.
    let all = (2 << other) - 1;
    bar.write_reg(regs::EIAC::from(all));
    bar.write_reg(regs::EIAM::from(all));
}

/// Lets so many microseconds pass between two interrupts of a queue's vector.
pub(crate) fn set_interval(bar: &Bar<'_>, queue: usize, us: u32) {
    write_at!(bar, EITR, queue, regs::EITR::from(us << 2));
}

/// Has the card choose a packet's queue by the hash of its flow.
pub(crate) fn set_rss(bar: &Bar<'_>, key: &[u8], queues: &[u8]) {
    for (i, word) in words(key) {
        write_at!(bar, RSSRK, i, regs::RSSRK::from(word));
    }
    for (i, word) in words(queues) {
        write_at!(bar, RETA, i, regs::RETA::from(word));
    }
}

/// Returns what consecutive registers hold, each four of the bytes.
fn words(bytes: &[u8]) -> impl Iterator<Item = (usize, u32)> + '_ {
    let words = bytes.chunks_exact(4).filter_map(|word| word.first_chunk());
    words.map(|word| u32::from_le_bytes(*word)).enumerate()
}

/// Has the card compute hashes, and say that checksums are right.
fn look_at_packets(bar: &Bar<'_>) {
    bar.write_reg(
        regs::RXCSUM::zeroed()
            .with_ipofl(true)
            .with_tuofl(true)
            .with_crcofl(true)
            .with_pcsd(true),
    );
    bar.update(regs::RFCTL, |r| r.with_ipv6_ex_dis(true));
    bar.write_reg(
        regs::MRQC::zeroed()
            .with_const_enable::<2>()
            .with_ipv4(true)
            .with_tcp_ipv4(true)
            .with_ipv6(true)
            .with_tcp_ipv6(true)
            .with_tcp_ipv6_ex(true),
    );
}

/// Starts the transmitter of a queue on an empty ring.
pub(crate) fn start_tx(bar: &Bar<'_>, ring: &Ring) -> Result {
    let n = ring.queue;
    write_at!(bar, TXDCTL, n, regs::TXDCTL::zeroed());
    write_at!(bar, TDLEN, n, regs::TDLEN::from(ring.size()));
    write_at!(bar, TDBAL, n, regs::TDBAL::from(ring.addr_low()));
    write_at!(bar, TDBAH, n, regs::TDBAH::from(ring.addr_high()));
    write_at!(bar, TDWBAL, n, regs::TDWBAL::zeroed());
    write_at!(bar, TDWBAH, n, regs::TDWBAH::zeroed());
    write_at!(bar, TDH, n, regs::TDH::zeroed());
    write_at!(bar, TDT, n, regs::TDT::zeroed());
    write_at!(
        bar,
        TXDCTL,
        n,
        regs::TXDCTL::zeroed()
            .with_const_pthresh::<8>()
            .with_const_hthresh::<1>()
            .with_const_wthresh::<1>()
            .with_enable(true)
    );
    wait_until(|| regs::TXDCTL::try_at(n).is_some_and(|at| bar.read(at).enable()))
}

/// Starts the receiver of a queue on an empty ring; it gets its buffers afterwards.
pub(crate) fn start_rx(bar: &Bar<'_>, ring: &Ring) -> Result {
    let n = ring.queue;
    write_at!(bar, RXDCTL, n, regs::RXDCTL::zeroed());
    write_at!(bar, RDBAL, n, regs::RDBAL::from(ring.addr_low()));
    write_at!(bar, RDBAH, n, regs::RDBAH::from(ring.addr_high()));
    write_at!(bar, RDLEN, n, regs::RDLEN::from(ring.size()));
    write_at!(bar, RDH, n, regs::RDH::zeroed());
    write_at!(bar, RDT, n, regs::RDT::zeroed());
    // All that are read: IPv4, IPv6, TCP, UDP.
    write_at!(
        bar,
        PSRTYPE,
        n,
        regs::PSRTYPE::from(1 << 8 | 1 << 9 | 1 << 4 | 1 << 5)
    );
    let srrctl = regs::SRRCTL::zeroed()
        .with_const_desctype::<1>()
        .with_drop_en(true);
    write_at!(
        bar,
        SRRCTL,
        n,
        if ring.header.is_some() {
            srrctl
                .with_const_desctype::<2>()
                .with_const_bsizeheader::<{ HEADER as u32 / 64 }>()
                .with_const_bsizepacket::<{ PAGE_SIZE as u32 / 1024 }>()
        } else if ring.buffer == Rx::BUFFER {
            srrctl.with_const_bsizepacket::<{ Rx::BUFFER as u32 / 1024 }>()
        } else {
            // Half a page is longer than 1 KiB and shorter than 2; there RLPML is the limit.
            srrctl.with_const_bsizepacket::<2>()
        }
    );
    // The same for all queues: halves have room for it, and other buffers go on in the next one.
    // CAST: Less than 16 KiB.
    let longest = (ring.frame + FCS) as u32;
    bar.write_reg(regs::RLPML::from(longest));
    vmdq::set_longest(bar, n, longest);
    write_at!(
        bar,
        RXDCTL,
        n,
        regs::RXDCTL::zeroed()
            .with_const_pthresh::<8>()
            .with_const_hthresh::<8>()
            .with_const_wthresh::<1>()
            .with_enable(true)
    );
    wait_until(|| rx_enabled(bar, n))
}

/// Stops the receiver of a queue.
pub(crate) fn stop_rx(bar: &Bar<'_>, queue: usize) -> Result {
    write_at!(bar, RXDCTL, queue, regs::RXDCTL::zeroed());
    wait_until(|| !rx_enabled(bar, queue))?;
    // Until what is on its way over the bus has arrived: 100 us, by the data sheet.
    fsleep(Delta::from_millis(1));
    Ok(())
}

/// Returns whether a queue's receiver is enabled, which takes a while after it was told so.
fn rx_enabled(bar: &Bar<'_>, queue: usize) -> bool {
    regs::RXDCTL::try_at(queue).is_some_and(|at| bar.read(at).enable())
}

/// Waits until the device has done what it was told.
fn wait_until(done: impl Fn() -> bool) -> Result {
    read_poll_timeout(
        || Ok(done()),
        |done| *done,
        Delta::from_micros(100),
        Delta::from_millis(10),
    )
    .map(|_| ())
}

/// Tells the device which descriptors of a ring are its own.
#[inline]
pub(crate) fn doorbell(bar: &Bar<'_>, side: Side, queue: usize, tail: u32) {
    match side {
        Side::Rx => write_at!(bar, RDT, queue, regs::RDT::from(tail)),
        Side::Tx => write_at!(bar, TDT, queue, regs::TDT::from(tail)),
    }
}

/// Lets the device raise no interrupt.
fn mask_interrupts(bar: &Bar<'_>) {
    bar.write_reg(regs::IMC::from(u32::MAX));
    bar.write_reg(regs::EIMC::from(u32::MAX));
}
