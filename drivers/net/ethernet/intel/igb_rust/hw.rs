// SPDX-License-Identifier: GPL-2.0

//! The parts of the hardware that are not on the path of packets: reset, rings, vectors, the spreading of flows.

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
    str::CString,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
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
        Ring,
        Side, //
    },
};

/// Microseconds between two interrupts at most: there are 13 bits.
pub(crate) const INTERVAL_MAX: u32 = 0x1fff;
/// Bytes of the buffer for what is received, after a reset.
const RX_BUFFER: u32 = 64 << 10;

/// The PHY's own register for the pairs of the cable: what C `igb` does with it when a speed is forced.
const PHY_PORT_CONTROL: u8 = 18;
const AUTO_CROSSOVER: u16 = 1 << 12;
const CROSSOVER: u16 = 1 << 13;

/// What `ethtool -d` shows. (Reading ICR and EICR would acknowledge interrupts.)
pub(crate) const REGISTERS: &[mac::Row] = &[
    row(0x0, 1, 4),
    row(0x8, 1, 4),
    row(0x10, 1, 4),
    row(0x18, 1, 4),
    row(0x28, 3, 4),
    row(0xd0, 1, 4),
    row(0x100, 1, 4),
    row(0x170, 1, 4),
    row(0x400, 1, 4),
    row(0xe00, 1, 4),
    row(0x1514, 1, 4),
    row(0x1524, 1, 4),
    row(0x152c, 2, 4),
    row(0x1680, 10, 4),
    row(0x1700, 8, 4),
    row(0x1740, 1, 4),
    row(0x2160, 2, 8),
    row(0x2404, 1, 4),
    row(0x3404, 1, 4),
    row(0x5000, 3, 4),
    // Receive addresses.
    row(0x5400, 32, 4),
    row(0x54e0, 16, 4),
    row(0x5480, 8, 4),
    row(0x5818, 2, 4),
    row(0x5ad0, 9, 4),
    row(0x5c00, 32, 4),
    // Rings: address, length, SRRCTL, head, tail, RXDCTL or TXDCTL.
    row(0xc000, 16, 0x40),
    row(0xc004, 16, 0x40),
    row(0xc008, 16, 0x40),
    row(0xc00c, 16, 0x40),
    row(0xc010, 16, 0x40),
    row(0xc018, 16, 0x40),
    row(0xc028, 16, 0x40),
    row(0xe000, 16, 0x40),
    row(0xe004, 16, 0x40),
    row(0xe008, 16, 0x40),
    row(0xe010, 16, 0x40),
    row(0xe018, 16, 0x40),
    row(0xe028, 16, 0x40),
];

/// Registers that keep what is written to them.
pub(crate) const TESTS: &[(mac::Row, u32)] = &[
    (row(0xc000, 16, 0x40), 0xffff_ff80),
    (row(0xc004, 16, 0x40), u32::MAX),
    (row(0xc008, 16, 0x40), 0x000f_ff80),
    (row(0xe000, 16, 0x40), 0xffff_ff80),
    (row(0xe004, 16, 0x40), u32::MAX),
    (row(0xe008, 16, 0x40), 0x000f_ff80),
    // The multicast table, and receive addresses.
    (row(0x5200, 128, 4), u32::MAX),
    (row(0x5400, 16, 8), u32::MAX),
    (row(0x5404, 16, 8), 0x83ff_ffff),
    (row(0x54e0, 8, 8), u32::MAX),
    (row(0x54e4, 8, 8), 0x83ff_ffff),
    (row(0x5c00, 32, 4), 0x0f0f_0f0f),
];

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

/// Starts the device, but no ring. It was reset before.
pub(crate) fn start(bar: &Bar<'_>, config: &Config, other: u32) -> Result {
    bar.update(regs::CTRL_EXT, |r| r.with_drv_load(true));
    bar.update(regs::CTRL, |r| r.with_slu(true));
    mac::set_address(bar, &config.mac, 1);
    // As C igb: room for a frame that is being sent, and for one that is on its way. (A queue without descriptors drops
    // what is for it, and does not fill the buffer: pauses are for a bus that is slow.)
    mac::set_flow_control(bar, RX_BUFFER.saturating_sub(config.mtu + 18 + 0x2600));
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

/// Sends and receives as the PHY will, or does.
pub(crate) fn set_link(bar: &Bar<'_>, forced: Option<Link>, pause: Pause) -> Result {
    mac::set_link(bar, forced, pause);
    // Which pair is which has to be known for a speed that is forced.
    mac::update_phy(bar, PHY_PORT_CONTROL, |r| match forced {
        Some(_) => r & !(AUTO_CROSSOVER | CROSSOVER),
        None => r | AUTO_CROSSOVER,
    })
}

/// Returns how many words the EEPROM has.
pub(crate) fn eeprom_words(bar: &Bar<'_>) -> u32 {
    64 << bar.read(regs::EECD).size().get().min(9)
}

/// Reads a word of the EEPROM.
pub(crate) fn eeprom(bar: &Bar<'_>, address: u32) -> Result<u16> {
    bar.write_reg(
        regs::EERD::zeroed()
            .try_with_address(address)?
            .with_start(true),
    );
    let value = read_poll_timeout(
        || Ok(bar.read(regs::EERD)),
        |value| value.done(),
        Delta::from_micros(50),
        Delta::from_millis(100),
    )?;
    // CAST: The field has 16 bits.
    Ok(value.data().get() as u16)
}

/// Returns the version of what is in the EEPROM, as C `igb` shows it.
pub(crate) fn firmware(bar: &Bar<'_>) -> Result<CString> {
    let version = eeprom(bar, 0x05)?;
    let (major, minor) = (version >> 12, version >> 4 & 0xff);
    let track = eeprom(bar, 0x43)?;
    if track >> 12 != 8 {
        return CString::try_from_fmt(fmt!("{major}.{minor}.{}", version & 0xf));
    }
    // Of older images the minor number is in decimal digits.
    let minor = if version & 0x0f00 == 0 {
        version & 0xff
    } else {
        minor
    };
    let minor = minor / 10 * 16 + minor % 10;
    let track = u32::from(track) << 16 | u32::from(eeprom(bar, 0x42)?);
    CString::try_from_fmt(fmt!("{major}.{minor}, {track:#010x}"))
}

/// Adds what queues have dropped for want of descriptors, which reading clears, to a sum.
pub(crate) fn count_dropped(bar: &Bar<'_>, sum: &Atomic<u64>) -> u64 {
    let queues = (0..regs::QUEUES).filter_map(regs::RQDPC::try_at);
    // All ones: the device is gone.
    let counts = queues
        .map(|at| bar.read(at).into_raw())
        .filter(|&n| n != u32::MAX);
    let new = counts.map(u64::from).sum();
    sum.fetch_add(new, Relaxed).wrapping_add(new)
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
