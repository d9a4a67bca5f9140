// SPDX-License-Identifier: GPL-2.0

//! Intel 82540EM, the Gigabit Ethernet controller that QEMU calls `e1000`.
//!
//! The C driver `e1000` knows the same device. The one that is loaded first gets it, unless the
//! device's `driver_override` in sysfs says otherwise.
//!
//! Not done: scatter/gather and checksums for sending, wake on LAN, flow control, suspend and resume, a reset when
//! the link is lost while packets wait to be sent. Tried with QEMU's device only; a real 82540EM may want its reset
//! through I/O space, as the C driver does it.

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
    Ring,
    Rings,
    RxMode,
    Side, //
};

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
};

/// A device.
struct E1000<'bound> {
    bar: Bar<'bound>,
    counters: mac::Counters,
}

#[vtable]
impl Operations for E1000<'_> {
    type Rx = desc::Rx;
    type Tx = desc::Tx;

    const ADDRESSES: usize = mac::ADDRESSES;

    fn start(&self, config: &Config) -> Result {
        hw::start(&self.bar, config)
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

kernel::pci_device_table!(
    PCI_TABLE,
    <Driver as net::bus::pci::Driver>::IdInfo,
    [(pci::DeviceId::from_id(pci::Vendor::INTEL, 0x100e), ())]
);

impl net::bus::pci::Driver for Driver {
    type IdInfo = ();
    type Ops<'bound> = E1000<'bound>;

    const ID_TABLE: pci::IdTable<Self::IdInfo> = &PCI_TABLE;
    // On a plain PCI bus.
    const DMA_MASK: DmaMask = DmaMask::new::<32>();
    // Errata of this family are about message signalled interrupts; the C driver has none either.
    const IRQ_TYPES: &'static [pci::IrqType] = &[pci::IrqType::Intx];

    fn probe<'bound>(
        pdev: &'bound pci::Device<Core<'_>>,
        _info: Option<&'bound ()>,
    ) -> Result<(E1000<'bound>, Features)> {
        let bar = pdev.iomap_region_sized::<{ regs::BAR_SIZE }>(0, c"e1000_rust")?;
        hw::reset(&bar);
        let features = Features {
            mac: hw::eeprom_mac(&bar)?,
            ..FEATURES
        };
        let device = E1000 {
            bar,
            counters: mac::Counters::new(),
        };
        Ok((device, features))
    }
}

net::module_pci_net_driver! {
    type: Driver,
    name: "e1000_rust",
    authors: ["Rust page pool developers"],
    description: "Intel 82540EM Gigabit Ethernet driver",
    license: "GPL",
}
