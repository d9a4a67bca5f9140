// SPDX-License-Identifier: GPL-2.0

//! The smallest complete driver on the `net` crate, for a PCI card that does not exist: compiled, as a test, and
//! never bound. Documentation/networking/rust_net_drivers.rst walks through it.
//!
//! # The card's manual
//!
//! 1. *Registers* are in BAR 0; a card that is gone reads as ones. Writing 0 to CONTROL resets the card: when BUSY
//!    is 0 there is no DMA any more and no interrupt, MAC is the permanent address, and what else was written is 0.
//! 2. *Rings.* Ring 2n receives and ring 2n + 1 sends for queue n, 0 or 1. A ring has up to 1,024 descriptors of
//!    two little-endian words of 64 bits. Writing its bytes to SIZE starts it at the first one; the card has those
//!    before TAIL, and writes them back in their order. Received packets go to the rings that are started. Writing 0
//!    to SIZE stops a ring: when it reads as 0 there is no DMA for that ring any more.
//! 3. *Receive descriptors.* Word 0 is the address of a buffer of 2,048 bytes, word 1 is 0. The card writes a frame
//!    there, or a part of a longer one, without the CRC, and to no other memory. Then word 1 becomes 15:0 the bytes
//!    written, 60 the TCP or UDP checksum is right, 61 the frame is broken, 62 it ends here, 63 done; and the card
//!    leaves the buffer alone.
//! 4. *Transmit descriptors.* Word 0 is the address of a part of a frame; word 1 is 15:0 its bytes, 62 the frame
//!    ends here. The card reads those bytes and no other memory, and sets bit 63, done, when it does not read
//!    them again. A frame has up to 9,216 bytes; the card appends the CRC.
//! 5. *Interrupts.* MSI-X vector n is raised when CAUSE n is not 0 and ENABLE n is 1, which makes ENABLE n 0.
//!    Reading CAUSE n clears it. LINK is in CAUSE 0 only.

use kernel::{
    device::Core,
    dma::DmaMask,
    io::{
        poll::read_poll_timeout,
        register,
        register::Array,
        Io, //
    },
    pci,
    prelude::*,
    time::Delta, //
};
use net::{
    bus,
    desc,
    ethtool,
    netdev, //
};

// Registers: 1 and 2 of the manual.
type Bar<'bound> = pci::Bar<'bound, 0x1000>;

register! {
    CONTROL(u32) @ 0x00 { 0:0 run => bool; }
    STATUS(u32) @ 0x04 { 31:16 mbit; 1:1 busy => bool; 0:0 link => bool; }
    MAC_LOW(u32) @ 0x08 { 31:0 address; }
    MAC_HIGH(u32) @ 0x0c { 15:0 address; }
    /// Lets pass more than broadcasts and what MAC says.
    FILTER(u32) @ 0x10 { 1:1 multicast => bool; 0:0 unicast => bool; }
    PAUSED(u32) @ 0x14 { 31:0 frames; }
    CAUSE(u32)[2] @ 0x20 { 1:1 link => bool; 0:0 packets => bool; }
    ENABLE(u32)[2] @ 0x28 { 0:0 on => bool; }
    LOW(u32)[4, stride = 16] @ 0x40 { 31:0 address; }
    HIGH(u32)[4, stride = 16] @ 0x44 { 31:0 address; }
    SIZE(u32)[4, stride = 16] @ 0x48 { 31:0 bytes; }
    TAIL(u32)[4, stride = 16] @ 0x4c { 31:0 index; }
}

/// Resets the card. One that is gone reads as busy.
fn reset(bar: &Bar<'_>) -> Result {
    bar.write_reg(CONTROL::zeroed());
    let (sleep, timeout) = (Delta::from_micros(50), Delta::from_millis(10));
    read_poll_timeout(|| Ok(bar.read(STATUS)), |s| !s.busy(), sleep, timeout).map(|_| ())
}

/// Stops a ring: 2 of the manual.
fn stop_ring(bar: &Bar<'_>, n: usize) -> Result {
    let size = || SIZE::try_at(n).ok_or(EINVAL);
    bar.write(size()?, SIZE::zeroed());
    let (sleep, timeout) = (Delta::from_micros(50), Delta::from_millis(10));
    let read = || Ok(bar.read(size()?));
    read_poll_timeout(read, |s| s.into_raw() == 0, sleep, timeout).map(|_| ())
}

/// The number of a ring: 2 of the manual.
fn ring_number(side: netdev::Side, queue: usize) -> usize {
    (queue << 1) | usize::from(side == netdev::Side::Tx)
}

// Formats of the descriptors: 3 and 4 of the manual.
const DONE: u64 = 1 << 63;
const LAST: u64 = 1 << 62;
const BROKEN: u64 = 1 << 61;
const CHECKSUM_OK: u64 = 1 << 60;
const LEN: u64 = 0xffff;

struct Rx;

// SAFETY: By the manual, 3:
// - The card writes to the 2,048 bytes at word 0, an address of 64 bits, and to no other memory.
// - It sets "done", which `post()` clears, after that, and leaves the buffer alone from then on.
// - It has written as many bytes as it says.
// By 1 and 2: `stop()` and `stop_rx()` wait until there is no DMA, the rings are those of `start_ring()`, and TAIL
// is the doorbell.
unsafe impl desc::RxDescriptor for Rx {
    const BUFFER: usize = 2048;

    fn post(addr: u64) -> desc::Words {
        [addr, 0]
    }

    fn completed(word: impl Fn(usize) -> u64) -> Option<desc::Completed> {
        let word = word(1);
        (word & DONE != 0).then_some(desc::Completed {
            // CAST: 16 bits.
            len: (word & LEN) as usize,
            last: word & LAST != 0,
            error: word & BROKEN != 0,
        })
    }

    fn details([_, word]: desc::Words) -> desc::Details {
        desc::Details {
            verified: word & CHECKSUM_OK != 0,
            ..desc::Details::default()
        }
    }
}

struct Tx;

// SAFETY: By the manual, 4:
// - The card reads as many bytes at word 0, an address of 64 bits, as word 1 says, and no other memory. A length
//   that did not fit would be cut, so it would read less.
// - It sets "done", which `fill()` clears, when it does not read them again.
// The rest as for `Rx`.
unsafe impl desc::TxDescriptor for Tx {
    fn fill(segment: &desc::Segment) -> desc::Words {
        let last = if segment.last { LAST } else { 0 };
        [segment.addr, last | (u64::from(segment.len) & LEN)]
    }

    fn sent(word: impl Fn(usize) -> u64) -> bool {
        word(1) & DONE != 0
    }
}

/// A card.
struct Toy<'bound> {
    bar: Bar<'bound>,
}

#[vtable]
impl netdev::Operations for Toy<'_> {
    type Rx = Rx;
    type Tx = Tx;

    fn start(&self, config: &netdev::Config) -> Result {
        self.set_mac(&config.mac)?;
        self.bar.write_reg(CONTROL::zeroed().with_run(true));
        Ok(())
    }

    fn start_ring(&self, ring: &netdev::Ring) -> Result {
        let (bar, n) = (&self.bar, ring_number(ring.side, ring.queue));
        bar.write(LOW::try_at(n).ok_or(EINVAL)?, ring.addr_low().into());
        bar.write(HIGH::try_at(n).ok_or(EINVAL)?, ring.addr_high().into());
        bar.write(SIZE::try_at(n).ok_or(EINVAL)?, ring.size().into());
        Ok(())
    }

    fn stop_rx(&self, queue: usize) -> Result {
        stop_ring(&self.bar, ring_number(netdev::Side::Rx, queue))
    }

    fn stop(&self) {
        if reset(&self.bar).is_err() {
            pr_err!("the card does not stop\n");
        }
    }

    fn doorbell(&self, side: netdev::Side, queue: usize, tail: u32) {
        if let Some(at) = TAIL::try_at(ring_number(side, queue)) {
            self.bar.write(at, tail.into());
        }
    }

    fn interrupt(&self, vector: usize) -> netdev::Events {
        match CAUSE::try_at(vector).map(|at| self.bar.read(at)) {
            Some(cause) if cause.into_raw() != u32::MAX => netdev::Events {
                ours: true,
                packets: cause.packets(),
                link: cause.link(),
            },
            _ => netdev::Events::default(),
        }
    }

    fn unmask(&self, vector: usize) {
        if let Some(at) = ENABLE::try_at(vector) {
            self.bar.write(at, ENABLE::zeroed().with_on(true));
        }
    }

    fn link(&self) -> Option<netdev::Link> {
        let status = self.bar.read(STATUS);
        (status.link() && status.into_raw() != u32::MAX).then(|| netdev::Link {
            speed: status.mbit().get(),
            full_duplex: true,
        })
    }

    fn set_rx_mode(&self, mode: &netdev::RxMode<'_>) {
        let (all, mut some) = (mode.promiscuous(), mode.multicast());
        let multicast = all || mode.all_multicast() || some.next().is_some();
        let filter = FILTER::zeroed().with_unicast(all);
        self.bar.write_reg(filter.with_multicast(multicast));
    }

    fn set_mac(&self, mac: &[u8; 6]) -> Result {
        let [a, b, c, d, e, f] = *mac;
        let (low, high) = ([a, b, c, d], [e, f, 0, 0]);
        self.bar.write_reg(MAC_LOW::from(u32::from_le_bytes(low)));
        self.bar.write_reg(MAC_HIGH::from(u32::from_le_bytes(high)));
        Ok(())
    }

    fn counters(&self, visitor: &mut ethtool::Visitor<'_>) {
        visitor.counter("rx_pause", self.bar.read(PAUSED).into_raw().into());
    }
}

/// Which cards there are, and what they can do.
struct Driver;

kernel::pci_device_table!(
    PCI_TABLE,
    <Driver as bus::pci::Driver>::IdInfo,
    [(pci::DeviceId::from_id(pci::Vendor::REDHAT, 0x7fff), ())]
);

impl bus::pci::Driver for Driver {
    type IdInfo = ();
    type Ops<'bound> = Toy<'bound>;

    const ID_TABLE: pci::IdTable<Self::IdInfo> = &PCI_TABLE;
    const DMA_MASK: DmaMask = DmaMask::new::<64>();
    const IRQ_TYPES: &'static [pci::IrqType] = &[pci::IrqType::MsiX];

    fn probe<'bound>(
        pdev: &'bound pci::Device<Core<'_>>,
        _info: Option<&'bound ()>,
    ) -> Result<(Toy<'bound>, netdev::Features)> {
        let bar: Bar<'_> = pdev.iomap_region_sized(0, c"toy_net")?;
        reset(&bar)?;
        let [a, b, c, d] = bar.read(MAC_LOW).into_raw().to_le_bytes();
        let [e, f, ..] = bar.read(MAC_HIGH).into_raw().to_le_bytes();
        let features = netdev::Features {
            mac: [a, b, c, d, e, f],
            queues: 2,
            rings: netdev::Rings { rx: 256, tx: 256 },
            ring_sizes: 80..=1024,
            ring_multiple: 1,
            tx_frame: 9216,
            rx_frame: 2048,
            rx_checksum: true,
            link_modes: &[ethtool::LinkMode::BASE_T_1000_FULL],
            eeprom: 0,
        };
        Ok((Toy { bar }, features))
    }
}

net::module_pci_net_driver! {
    type: Driver,
    name: "toy_net",
    authors: ["Rust page pool developers"],
    description: "Driver for a network card that does not exist",
    license: "GPL",
}
