// SPDX-License-Identifier: GPL-2.0

//! Intel 82540EM, the Gigabit Ethernet controller that QEMU calls `e1000`; 82545EM, which VMware's machines have; 82544GC.
//!
//! The C driver `e1000` knows the same devices. The one that is loaded first gets it, unless the
//! device's `driver_override` in sysfs says otherwise.
//!
//! Not done: scatter/gather and checksums for sending, wake on LAN, a reset when the link is lost while packets
//! wait to be sent; an 82544 on PCI-X. Tried with QEMU's devices only; real ones may want their reset through I/O space, as the
//! C driver does it.

use kernel::{
    device::Core,
    dma::DmaMask,
    io::Io,
    pci,
    prelude::*, //
};
use net::netdev::{
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
};

#[path = "../common/counters.rs"]
mod counters;
mod desc;
mod hw;
#[path = "../common/mac.rs"]
mod mac;
mod regs;

use regs::Bar;

/// The longest frame that the device sends, and receives: `MAX_JUMBO_FRAME_SIZE` of the C driver.
const MAX_FRAME: usize = 0x3f00;

/// What the device can do, but for its address.
const FEATURES: Features = Features {
    mac: [0; 6],
    queues: 1,
    rings: Rings { rx: 256, tx: 256 },
    ring_sizes: 80..=4096,
    // The device wants a multiple of 128 bytes.
    ring_multiple: 8,
    tx_frame: MAX_FRAME,
    rx_frame: MAX_FRAME,
    rx_checksum: true,
    link_modes: mac::LINK_MODES,
    eeprom: 0,
};

/// A device.
struct E1000<'bound> {
    bar: Bar<'bound>,
    model: Model,
    counters: counters::Counters,
    /// What the LEDs are for.
    leds: regs::LEDCTL,
}

#[vtable]
impl Operations for E1000<'_> {
    type Rx = desc::Rx;
    type Tx = desc::Tx;

    const ADDRESSES: usize = mac::ADDRESSES;
    // 20,000 interrupts in a second.
    const INTERVAL: u32 = 50;
    const INTERVAL_MAX: u32 = hw::INTERVAL_MAX;

    fn start(&self, config: &Config) -> Result {
        hw::start(&self.bar, config)?;
        if self.model != Model::I82544 {
            hw::limit_delays(&self.bar);
        }
        Ok(())
    }

    fn start_ring(&self, ring: &Ring) -> Result {
        match ring.side {
            Side::Tx => hw::start_tx(&self.bar, ring),
            Side::Rx => hw::start_rx(&self.bar, ring),
        }
        Ok(())
    }

    fn stop_rx(&self, _queue: usize) -> Result {
        hw::stop_rx(&self.bar);
        Ok(())
    }

    fn stop(&self) {
        hw::reset(&self.bar);
    }

    #[inline]
    fn doorbell(&self, side: Side, _queue: usize, tail: u32) {
        match side {
            Side::Rx => self.bar.write_reg(regs::RDT::from(tail)),
            Side::Tx => self.bar.write_reg(regs::TDT::from(tail)),
        }
    }

    #[inline]
    fn interrupt(&self, _vector: usize) -> Events {
        let icr = self.bar.read(regs::ICR);
        // All ones: the device is gone.
        if icr.into_raw() == 0 || icr.into_raw() == u32::MAX {
            return Events::default();
        }
        hw::mask_interrupts(&self.bar);
        Events {
            ours: true,
            packets: true,
            link: icr.lsc() || icr.rxseq(),
        }
    }

    #[inline]
    fn unmask(&self, _vector: usize) {
        hw::unmask_interrupts(&self.bar);
    }

    fn link(&self) -> Option<Link> {
        mac::link(&self.bar)
    }

    fn phy(&self, register: u8, write: Option<u16>) -> Result<u16> {
        hw::phy(&self.bar, register, write)
    }

    fn set_link(&self, forced: Option<Link>, pause: Pause) -> Result {
        hw::set_link(&self.bar, forced, pause)
    }

    fn set_led(&self, on: Option<bool>) {
        // The 82544 has other registers for that.
        if self.model != Model::I82544 {
            mac::set_led(&self.bar, self.leds, on);
        }
    }

    fn registers(&self, register: &mut dyn FnMut(u32, u32)) {
        mac::registers(&self.bar, hw::REGISTERS, register);
    }

    fn eeprom(&self, word: u32) -> Result<u16> {
        hw::eeprom(&self.bar, word.try_into()?)
    }

    fn test(&self, test: Test) -> Result {
        match test {
            Test::Registers => mac::test_registers(&self.bar, hw::TESTS),
            Test::Eeprom => mac::test_eeprom(|word| self.eeprom(word)),
            Test::Interrupt(_vector) => {
                self.bar.write_reg(regs::ICS::zeroed().with_lsc(true));
                Ok(())
            }
        }
    }

    fn set_interval(&self, _queue: usize, us: u32) {
        if self.model != Model::I82544 {
            hw::set_interval(&self.bar, us);
        }
    }

    fn set_rx_mode(&self, mode: &RxMode<'_>) {
        mac::set_rx_mode(&self.bar, mode, 0);
    }

    fn set_mac(&self, mac: &[u8; 6]) -> Result {
        mac::set_address(&self.bar, mac, 0);
        Ok(())
    }

    fn statistics(&self) -> CardStats {
        self.counters.read(&self.bar)
    }
}

struct Driver;

/// What a card of the family has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Model {
    /// The 82544 does not throttle interrupts, has no limit for their delay, and no register that reads its EEPROM.
    I82544,
    /// All later ones.
    I82540,
}

kernel::pci_device_table!(
    PCI_TABLE,
    <Driver as net::bus::pci::Driver>::IdInfo,
    [
        // 82544GC, copper.
        (
            pci::DeviceId::from_id(pci::Vendor::INTEL, 0x100c),
            Model::I82544
        ),
        // 82540EM.
        (
            pci::DeviceId::from_id(pci::Vendor::INTEL, 0x100e),
            Model::I82540
        ),
        // 82545EM, copper.
        (
            pci::DeviceId::from_id(pci::Vendor::INTEL, 0x100f),
            Model::I82540
        ),
    ]
);

impl net::bus::pci::Driver for Driver {
    type IdInfo = Model;
    type Ops<'bound> = E1000<'bound>;

    const ID_TABLE: pci::IdTable<Self::IdInfo> = &PCI_TABLE;
    // On a plain PCI bus.
    const DMA_MASK: DmaMask = DmaMask::new::<32>();
    // Errata of this family are about message signalled interrupts; the C driver has none either.
    const IRQ_TYPES: &'static [pci::IrqType] = &[pci::IrqType::Intx];

    fn probe<'bound>(
        pdev: &'bound pci::Device<Core<'_>>,
        model: Option<&'bound Model>,
    ) -> Result<(E1000<'bound>, Features)> {
        // An id that was added by sysfs says nothing of the model.
        let model = *model.unwrap_or(&Model::I82540);
        let bar = pdev.iomap_region_sized::<{ regs::BAR_SIZE }>(0, c"e1000_rust")?;
        if model == Model::I82544 && bar.read(regs::STATUS).pcix() {
            dev_err!(
                pdev.as_ref(),
                "an 82544 on a PCI-X bus wants buffers laid out as this driver does not do it: use e1000\n"
            );
            return Err(ENODEV);
        }
        hw::reset(&bar);
        let features = Features {
            mac: mac::address(&bar),
            eeprom: match model {
                Model::I82544 => 0,
                Model::I82540 => hw::eeprom_words(&bar),
            },
            ..FEATURES
        };
        let device = E1000 {
            leds: bar.read(regs::LEDCTL),
            bar,
            model,
            counters: counters::Counters::new(),
        };
        Ok((device, features))
    }
}

net::module_pci_net_driver! {
    type: Driver,
    name: "e1000_rust",
    authors: ["Rust page pool developers"],
    description: "Intel 82540EM, 82545EM and 82544GC Gigabit Ethernet driver",
    license: "GPL",
}
