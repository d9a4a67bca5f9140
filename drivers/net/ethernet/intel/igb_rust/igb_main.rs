// SPDX-License-Identifier: GPL-2.0

//! Intel 82576, the Gigabit Ethernet controller that QEMU calls `igb`: up to eight queue pairs, each with a vector.
//!
//! The C driver `igb` knows the same device. The one that is loaded first gets it, unless the device's
//! `driver_override` in sysfs says otherwise.
//!
//! Not done: segmentation of UDP, virtual functions, wake on LAN. Tried with QEMU's device only.

use kernel::{
    device::Core,
    dma::DmaMask,
    io::Io,
    pci,
    prelude::*,
    str::CString,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
};
use net::{
    netdev::{
        CardStats,
        Config,
        Events,
        Features,
        Link,
        Operations,
        Pause,
        Ring,
        Rings,
        RxMode,
        Side,
        Test, //
    },
    steering::Steering, //
};

/// Writes a register of a queue, or of another row, if there is that one.
macro_rules! write_at {
    ($bar:expr, $register:ident, $index:expr, $value:expr) => {
        if let Some(at) = regs::$register::try_at($index) {
            $bar.write(at, $value);
        }
    };
}

#[path = "../common/counters.rs"]
mod counters;
mod desc;
mod hw;
#[path = "../common/mac.rs"]
mod mac;
mod regs;
mod vmdq;

use regs::Bar;

/// The longest frame that the device sends: `MAX_JUMBO_FRAME_SIZE` of the C driver, 9,728 bytes with the CRC.
const MAX_FRAME: usize = 0x2600 - 4;

/// The longest frame that it is to receive: for an MTU of `MAX_STD_JUMBO_FRAME_SIZE`, 9,216, with a VLAN tag and the CRC.
const MAX_RX_FRAME: usize = 9216 + 14 + 4 + 4;

/// What the device can do, but for its address.
const FEATURES: Features = Features {
    mac: [0; 6],
    // CAST: 8.
    queues: regs::QUEUES as u32,
    rings: Rings { rx: 256, tx: 256 },
    ring_sizes: 80..=4096,
    // The device wants a multiple of 128 bytes.
    ring_multiple: 8,
    tx_frame: MAX_FRAME,
    rx_frame: MAX_RX_FRAME,
    rx_checksum: true,
    link_modes: mac::LINK_MODES,
    eeprom: 0,
};

/// A device.
struct Igb<'bound> {
    bar: Bar<'bound>,
    /// The vector that is about the link.
    other: Atomic<u32>,
    /// The pools that get what is for the card's own addresses.
    pools: Atomic<u32>,
    counters: counters::Counters,
    /// Packets that queues have dropped for want of descriptors.
    dropped: Atomic<u64>,
    /// What the LEDs are for.
    leds: regs::LEDCTL,
}

#[vtable]
impl Operations for Igb<'_> {
    type Rx = desc::Rx;
    type Tx = desc::Tx;

    // As the C driver.
    const COPYBREAK: usize = 0;
    const ADDRESSES: usize = mac::ADDRESSES;
    // There are 16, and 8 are the stack's at most.
    const XDP_TX: Option<usize> = Some(regs::QUEUES);
    // 20,000 interrupts in a second.
    const INTERVAL: u32 = 50;
    const INTERVAL_MAX: u32 = hw::INTERVAL_MAX;
    const RULES: usize = vmdq::RULES;
    const VLANS: usize = vmdq::VLANS;

    fn start(&self, config: &Config) -> Result {
        let other = config.other_vector.ok_or(EINVAL)?;
        self.pools.store(1, Relaxed);
        self.other.store(other, Relaxed);
        hw::start(&self.bar, config, other)
    }

    fn start_ring(&self, ring: &Ring) -> Result {
        match ring.side {
            Side::Tx => hw::start_tx(&self.bar, ring),
            Side::Rx => hw::start_rx(&self.bar, ring),
        }
    }

    fn stop_rx(&self, queue: usize) -> Result {
        hw::stop_rx(&self.bar, queue)
    }

    fn stop(&self) {
        hw::reset(&self.bar);
    }

    #[inline]
    fn doorbell(&self, side: Side, queue: usize, tail: u32) {
        hw::doorbell(&self.bar, side, queue, tail);
    }

    #[inline]
    fn interrupt(&self, vector: usize) -> Events {
        // CAST: A vector of ten.
        let vector = vector as u32;
        if vector != self.other.load(Relaxed) {
            // By EIAM the device has done so already; QEMU's has not.
            self.bar.write_reg(regs::EIMC::from(1 << (vector & 0x1f)));
            return Events {
                ours: true,
                packets: true,
                link: false,
            };
        }
        let icr = self.bar.read(regs::ICR);
        // All ones: the device is gone.
        if icr.into_raw() == u32::MAX {
            return Events::default();
        }
        Events {
            ours: true,
            packets: false,
            link: icr.lsc(),
        }
    }

    #[inline]
    fn unmask(&self, vector: usize) {
        // CAST: A vector of ten.
        let vector = vector as u32;
        if vector == self.other.load(Relaxed) {
            self.bar.write_reg(regs::IMS::zeroed().with_lsc(true));
        }
        self.bar.write_reg(regs::EIMS::from(1 << (vector & 0x1f)));
    }

    fn link(&self) -> Option<Link> {
        mac::link(&self.bar)
    }

    fn phy(&self, register: u8, write: Option<u16>) -> Result<u16> {
        mac::phy(&self.bar, register, write)
    }

    fn set_link(&self, forced: Option<Link>, pause: Pause) -> Result {
        hw::set_link(&self.bar, forced, pause)
    }

    fn set_led(&self, on: Option<bool>) {
        mac::set_led(&self.bar, self.leds, on);
    }

    fn registers(&self, register: &mut dyn FnMut(u32, u32)) {
        mac::registers(&self.bar, hw::REGISTERS, register);
    }

    fn eeprom(&self, word: u32) -> Result<u16> {
        hw::eeprom(&self.bar, word)
    }

    fn firmware(&self) -> Result<CString> {
        hw::firmware(&self.bar)
    }

    fn test(&self, test: Test) -> Result {
        match test {
            Test::Registers => mac::test_registers(&self.bar, hw::TESTS),
            Test::Eeprom => mac::test_eeprom(|word| self.eeprom(word)),
            Test::Interrupt(vector) => {
                // CAST: A vector of ten.
                let vector = vector as u32 & 0x1f;
                self.bar.write_reg(regs::EICS::from(1 << vector));
                Ok(())
            }
        }
    }

    fn set_rss(&self, key: &[u8; 40], queues: &[u8; 128]) {
        hw::set_rss(&self.bar, key, queues);
    }

    fn set_rules(&self, steering: &Steering) {
        self.pools
            .store(vmdq::set_rules(&self.bar, steering), Relaxed);
    }

    fn set_interval(&self, queue: usize, us: u32) {
        hw::set_interval(&self.bar, queue, us);
    }

    fn strip_vlan(&self, strip: bool) {
        self.bar.update(regs::CTRL, |r| r.with_vme(strip));
        vmdq::strip_vlan(&self.bar, strip);
    }

    fn set_rx_mode(&self, mode: &RxMode<'_>) {
        mac::set_rx_mode(&self.bar, mode, self.pools.load(Relaxed));
        vmdq::set_rx_mode(&self.bar, mode);
    }

    fn set_mac(&self, mac: &[u8; 6]) -> Result {
        mac::set_address(&self.bar, mac, self.pools.load(Relaxed));
        Ok(())
    }

    fn statistics(&self) -> CardStats {
        CardStats {
            no_descriptor: hw::count_dropped(&self.bar, &self.dropped),
            ..self.counters.read(&self.bar)
        }
    }
}

struct Driver;

kernel::pci_device_table!(
    PCI_TABLE,
    <Driver as net::bus::pci::Driver>::IdInfo,
    [(pci::DeviceId::from_id(pci::Vendor::INTEL, 0x10c9), ())]
);

impl net::bus::pci::Driver for Driver {
    type IdInfo = ();
    type Ops<'bound> = Igb<'bound>;

    const ID_TABLE: pci::IdTable<Self::IdInfo> = &PCI_TABLE;
    const DMA_MASK: DmaMask = DmaMask::new::<64>();
    const IRQ_TYPES: &'static [pci::IrqType] = &[pci::IrqType::MsiX];
    const OTHER_VECTOR: bool = true;

    fn probe<'bound>(
        pdev: &'bound pci::Device<Core<'_>>,
        _info: Option<&'bound ()>,
    ) -> Result<(Igb<'bound>, Features)> {
        let bar = pdev.iomap_region_sized::<{ regs::BAR_SIZE }>(0, c"igb_rust")?;
        hw::reset(&bar);
        let features = Features {
            mac: mac::address(&bar),
            eeprom: hw::eeprom_words(&bar),
            ..FEATURES
        };
        let device = Igb {
            leds: bar.read(regs::LEDCTL),
            bar,
            other: Atomic::new(u32::MAX),
            pools: Atomic::new(1),
            counters: counters::Counters::new(),
            dropped: Atomic::new(0),
        };
        Ok((device, features))
    }
}

net::module_pci_net_driver! {
    type: Driver,
    name: "igb_rust",
    authors: ["Rust page pool developers"],
    description: "Intel 82576 Gigabit Ethernet driver",
    license: "GPL",
}
