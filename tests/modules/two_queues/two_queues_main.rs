// SPDX-License-Identifier: GPL-2.0

//! The 82574L as QEMU has it (`e1000e`), with both of its queue pairs and a vector for each: what the framework
//! does for more than one queue runs on it. For tests; what a real card wants besides is not here.
//!
//! "The manual" is Intel's 82574 GbE Controller Family Datasheet, revision 3.4.

use kernel::{
    device::Core,
    dma::DmaMask,
    io::{
        register,
        register::Array,
        Io, //
    },
    pci,
    prelude::*,
    time::{
        delay::fsleep,
        Delta, //
    },
};
use net::{
    bus,
    desc,
    netdev::{
        Config,
        Events,
        Features,
        Operations,
        Ring,
        Rings,
        Side, //
    }, //
};

type Bar<'bound> = pci::Bar<'bound, 0x6000>;

register! {
    CTRL(u32) @ 0x0 { 26:26 rst => bool; 6:6 slu => bool; }
    ICR(u32) @ 0xc0 { 31:0 causes; }
    IMS(u32) @ 0xd0 { 31:0 causes; }
    IMC(u32) @ 0xd8 { 31:0 causes; }
    /// What is cleared, and masked, by itself when its vector is raised.
    EIAC(u32) @ 0xdc { 31:0 causes; }
    /// Which vector a cause raises.
    IVAR(u32) @ 0xe4 { 31:0 vectors; }
    RCTL(u32) @ 0x100 { 26:26 secrc => bool; 15:15 bam => bool; 1:1 en => bool; }
    TCTL(u32) @ 0x400 { 3:3 psp => bool; 1:1 en => bool; }
    RDBAL(u32)[2, stride = 0x100] @ 0x2800 { 31:0 address; }
    RDBAH(u32)[2, stride = 0x100] @ 0x2804 { 31:0 address; }
    RDLEN(u32)[2, stride = 0x100] @ 0x2808 { 31:0 bytes; }
    RDH(u32)[2, stride = 0x100] @ 0x2810 { 31:0 index; }
    RDT(u32)[2, stride = 0x100] @ 0x2818 { 31:0 index; }
    TDBAL(u32)[2, stride = 0x100] @ 0x3800 { 31:0 address; }
    TDBAH(u32)[2, stride = 0x100] @ 0x3804 { 31:0 address; }
    TDLEN(u32)[2, stride = 0x100] @ 0x3808 { 31:0 bytes; }
    TDH(u32)[2, stride = 0x100] @ 0x3810 { 31:0 index; }
    TDT(u32)[2, stride = 0x100] @ 0x3818 { 31:0 index; }
    /// Without it the descriptors have the checksum where the hash goes.
    RXCSUM(u32) @ 0x5000 { 13:13 pcsd => bool; }
    RFCTL(u32) @ 0x5008 { 15:15 exten => bool; }
    RAL(u32) @ 0x5400 { 31:0 address; }
    RAH(u32) @ 0x5404 { 15:0 address; }
    MRQC(u32) @ 0x5818 { 17:17 ipv4 => bool; 0:0 rss => bool; }
    /// Bit 7 of each byte is the queue.
    RETA(u32)[32] @ 0x5c00 { 31:0 queues; }
    RSSRK(u32)[10] @ 0x5c80 { 31:0 key; }
}

/// Queue *n* raises vector *n*, for receive and transmit; each write-back does.
const VECTORS: u32 = 0x8000_9898;
/// The causes of queue 0; those of queue 1 are one bit up.
const CAUSES: u32 = 1 << 20 | 1 << 22;

struct Rx;

// SAFETY: By the manual, the extended descriptor (RFCTL.EXTEN):
// - Word 0 is the buffer's address. The device writes RCTL.BSIZE bytes to it, 2,048, and to no other memory.
// - It sets DD, which `post()` clears, after it has written the bytes that the length says.
// - The rings are those of `start_ring()`, RDT is the doorbell, `stop()` resets the device, and a ring without
//   length is not used.
unsafe impl desc::RxDescriptor for Rx {
    const BUFFER: usize = 2048;

    fn post(addr: u64) -> desc::Words {
        [addr, 0]
    }

    fn completed(word: impl Fn(usize) -> u64) -> Option<desc::Completed> {
        let word = word(1);
        (word & 1 != 0).then_some(desc::Completed {
            // CAST: 16 bits.
            len: (word >> 32 & 0xffff) as usize,
            last: word & 2 != 0,
            error: word & 0x9700_0000 != 0,
            checksum: desc::Checksum::None,
        })
    }
}

struct Tx;

// SAFETY: By the manual, the legacy descriptor: the device reads as many bytes at word 0 as the low bits of word 1
// say; with RS it sets DD, which `fill()` clears, when it has. The rest as for `Rx`.
unsafe impl desc::TxDescriptor for Tx {
    fn fill(segment: &desc::Segment) -> desc::Words {
        // RS, and for the last one EOP and IFCS.
        let command = if segment.last { 0xb } else { 8 };
        [
            segment.addr,
            command << 24 | u64::from(segment.len) & 0xffff,
        ]
    }

    fn sent(word: impl Fn(usize) -> u64) -> bool {
        word(1) & 1 << 32 != 0
    }
}

struct Pair<'bound>(Bar<'bound>);

/// Writes a register of a queue, if there is that queue.
macro_rules! write {
    ($bar:expr, $register:ident, $queue:expr, $value:expr) => {
        if let Some(at) = $register::try_at($queue) {
            $bar.write(at, $register::from($value));
        }
    };
}

/// Resets the device.
fn reset(bar: &Bar<'_>) {
    bar.write_reg(IMC::from(u32::MAX));
    bar.write_reg(RCTL::zeroed());
    bar.write_reg(TCTL::zeroed());
    fsleep(Delta::from_millis(10));
    bar.update(CTRL, |r| r.with_rst(true));
    fsleep(Delta::from_millis(20));
    bar.write_reg(IMC::from(u32::MAX));
    bar.read(ICR);
    // QEMU 7.2 resets no rings.
    for queue in 0..2 {
        no_descriptors(bar, queue);
        write!(bar, TDH, queue, 0);
        write!(bar, TDT, queue, 0);
    }
}

/// Leaves a receive queue nothing to write to. (The length is not what QEMU asks for.)
fn no_descriptors(bar: &Bar<'_>, queue: usize) {
    write!(bar, RDH, queue, 0);
    write!(bar, RDT, queue, 0);
    write!(bar, RDLEN, queue, 0);
}

#[vtable]
impl Operations for Pair<'_> {
    type Rx = Rx;
    type Tx = Tx;

    fn start(&self, _config: &Config) -> Result {
        let bar = &self.0;
        bar.update(CTRL, |r| r.with_slu(true));
        bar.write_reg(RFCTL::zeroed().with_exten(true));
        bar.write_reg(RXCSUM::zeroed().with_pcsd(true));
        for i in 0..32 {
            write!(bar, RETA, i, 0x8000_8000);
        }
        for i in 0..10 {
            write!(bar, RSSRK, i, 0x6d5a_56da);
        }
        bar.write_reg(MRQC::zeroed().with_ipv4(true).with_rss(true));
        bar.write_reg(IVAR::from(VECTORS));
        bar.write_reg(EIAC::from(CAUSES | CAUSES << 1));
        bar.write_reg(TCTL::zeroed().with_psp(true).with_en(true));
        bar.write_reg(RCTL::zeroed().with_secrc(true).with_bam(true).with_en(true));
        Ok(())
    }

    fn start_ring(&self, ring: &Ring) -> Result {
        let (bar, n) = (&self.0, ring.queue);
        match ring.side {
            Side::Rx => {
                write!(bar, RDBAL, n, ring.addr_low());
                write!(bar, RDBAH, n, ring.addr_high());
                write!(bar, RDH, n, 0);
                write!(bar, RDT, n, 0);
                write!(bar, RDLEN, n, ring.size());
            }
            Side::Tx => {
                write!(bar, TDBAL, n, ring.addr_low());
                write!(bar, TDBAH, n, ring.addr_high());
                write!(bar, TDH, n, 0);
                write!(bar, TDT, n, 0);
                write!(bar, TDLEN, n, ring.size());
            }
        }
        Ok(())
    }

    fn stop_rx(&self, queue: usize) {
        no_descriptors(&self.0, queue);
        self.0.read(CTRL);
        fsleep(Delta::from_millis(1));
    }

    fn stop(&self) {
        reset(&self.0);
    }

    fn doorbell(&self, side: Side, queue: usize, tail: u32) {
        match side {
            Side::Rx => write!(self.0, RDT, queue, tail),
            Side::Tx => write!(self.0, TDT, queue, tail),
        }
    }

    fn interrupt(&self, _vector: usize) -> Events {
        // The vector says it all, and EIAC has masked it.
        Events {
            ours: true,
            packets: true,
            link: false,
        }
    }

    fn unmask(&self, vector: usize) {
        let causes = if vector == 0 { CAUSES } else { CAUSES << 1 };
        self.0.write_reg(IMS::from(causes));
    }
}

struct Driver;

kernel::pci_device_table!(
    PCI_TABLE,
    <Driver as bus::pci::Driver>::IdInfo,
    [(pci::DeviceId::from_id(pci::Vendor::INTEL, 0x10d3), ())]
);

impl bus::pci::Driver for Driver {
    type IdInfo = ();
    type Ops<'bound> = Pair<'bound>;

    const ID_TABLE: pci::IdTable<Self::IdInfo> = &PCI_TABLE;
    const DMA_MASK: DmaMask = DmaMask::new::<64>();
    const IRQ_TYPES: &'static [pci::IrqType] = &[pci::IrqType::MsiX];

    fn probe<'bound>(
        pdev: &'bound pci::Device<Core<'_>>,
        _info: Option<&'bound ()>,
    ) -> Result<(Pair<'bound>, Features)> {
        let bar: Bar<'_> = pdev.iomap_region_sized(0, c"two_queues")?;
        reset(&bar);
        let [a, b, c, d] = bar.read(RAL).into_raw().to_le_bytes();
        let [e, f, ..] = bar.read(RAH).into_raw().to_le_bytes();
        let features = Features {
            mac: [a, b, c, d, e, f],
            queues: 2,
            rings: Rings { rx: 256, tx: 256 },
            ring_sizes: 80..=4096,
            ring_multiple: 8,
            tx_frame: 0x3f00,
            rx_checksum: false,
            link_modes: &[],
        };
        Ok((Pair(bar), features))
    }
}

net::module_pci_net_driver! {
    type: Driver,
    name: "two_queues",
    authors: ["Rust page pool developers"],
    description: "QEMU's 82574L with two queues, for tests",
    license: "GPL",
}
