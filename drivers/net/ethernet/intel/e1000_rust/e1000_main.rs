// SPDX-License-Identifier: GPL-2.0

//! Intel 82540EM, the Gigabit Ethernet controller that QEMU calls `e1000`.
//!
//! Receive buffers are pages of a [`PagePool`](page_pool::PagePool), which stay mapped and go round
//! between the ring, XDP programs and the stack.
//!
//! The C driver `e1000` knows the same device. The one that is loaded first gets it, unless the
//! device's `driver_override` in sysfs says otherwise.
//!
//! Not done: scatter/gather and checksums for sending, frames that need more than one buffer, wake on
//! LAN, flow control, suspend and resume, a reset when the link is lost while packets wait to be
//! sent. Tried with QEMU's device only; a real 82540EM may want its reset through I/O space, as the
//! C driver does it.

use kernel::{
    device::{Bound, Core, Device},
    dma::DmaMask,
    io::Io,
    new_mutex, pci,
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        Mutex, //
    },
};
use net::{
    ethtool::Visitor,
    napi::Napi,
    netdev::{Events, Features, Link, Operations, Rings, RxMode},
    queue::TxQueue,
    skb::SkBuff,
    xdp::Frame,
};
use page_pool::{stats::Counter, Mode, Stats};

mod desc;
mod hw;
mod regs;
mod rx;
mod tx;

use regs::Bar;
use rx::RxRing;
use tx::TxRing;

/// At most one interrupt in this many units of 256 ns: 20,000 in a second.
const ITR: u32 = 195;

/// Names of the counters of XDP verdicts, in the order of `rx::XDP_PASS` and so on.
const XDP_NAMES: [&str; 5] = [
    "rx_xdp_pass",
    "rx_xdp_drop",
    "rx_xdp_tx",
    "rx_xdp_redirect",
    "rx_xdp_aborted",
];

/// Names of the counters of packets that the driver dropped, in the order of `rx::DROP_LIMIT` and so on.
const DROP_NAMES: [&str; 3] = ["rx_drop_limit", "rx_drop_no_page", "rx_drop_no_skb"];

/// A device.
struct E1000<'bound> {
    dev: &'bound Device<Bound>,
    bar: Bar<'bound>,
    mac: [u8; 6],
    /// Written by NAPI poll.
    xdp: [Counter; XDP_NAMES.len()],
    dropped: [Counter; DROP_NAMES.len()],
    polls: Counter,
    /// The device's counter of lost packets is cleared by reading; this is the sum.
    missed: Atomic<u64>,
    /// Counters of the last pool.
    pool: Pin<KBox<Mutex<Option<Stats>>>>,
}

impl<'bound> Operations for E1000<'bound> {
    type Rx = RxRing<'bound>;
    type Tx = TxRing<'bound>;

    fn features(&self) -> Features {
        Features {
            max_mtu: rx::MAX_MTU,
            xdp_max_mtu: rx::MAX_MTU,
            rings: Rings { rx: 256, tx: 256 },
            ring_sizes: 80..=4096,
            // The device wants a multiple of 128 bytes.
            ring_multiple: 8,
        }
    }

    fn mac(&self) -> [u8; 6] {
        self.mac
    }

    fn open(&self, rings: Rings) -> Result<(Self::Rx, Self::Tx)> {
        let mode = if *module_parameters::recycle.value_ref() {
            Mode::Recycle
        } else {
            Mode::AllocMap
        };
        let rx = RxRing::new(self.dev, c"e1000_rust", rings.rx, mode)?;
        let tx = TxRing::new(self.dev, rings.tx)?;
        *self.pool.lock() = Some(rx.pool_stats());
        Ok((rx, tx))
    }

    fn start(&self, rx: &mut Self::Rx, tx: &mut Self::Tx, mac: &[u8; 6], mtu: u32) -> Result {
        // The device was reset by probe() or stop().
        let bar = &self.bar;
        bar.update(regs::CTRL, |r| r.with_slu(true).with_asde(true));
        hw::wake_phy(bar)?;
        hw::set_mac(bar, mac);
        bar.write_reg(regs::ITR::from(ITR));

        tx.start(bar);
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

        rx.program(bar);
        // The receiver is turned on before it gets buffers.
        bar.write_reg(
            regs::RCTL::zeroed()
                .with_bam(true)
                .with_secrc(true)
                .with_lpe(long_packets(mtu))
                .with_en(true),
        );
        rx.start(bar);
        Ok(())
    }

    fn stop(&self) {
        hw::reset(&self.bar);
    }

    #[inline]
    fn poll(&self, rx: &mut Self::Rx, napi: &mut Napi<'_, Self>, budget: usize) -> usize {
        let bar = &self.bar;
        let (done, counts) = rx.poll(
            bar,
            napi,
            budget,
            |napi, pool| {
                napi.with_tx(|budget, tx, queue| tx.clean(budget, pool, queue));
            },
            |napi, pool, buf| {
                let mut buf = Some(buf);
                napi.with_tx(|_, tx, _| {
                    if let Some(b) = buf.take() {
                        buf = tx.xmit_page(pool, b).err();
                    }
                });
                buf.map_or(Ok(()), Err)
            },
        );
        if counts.xdp[rx::XDP_TX] != 0 {
            napi.with_tx(|_, tx, _| tx.tell(bar));
        }
        add(&self.xdp, counts.xdp);
        add(&self.dropped, counts.dropped);
        self.polls.inc();
        done
    }

    fn start_xmit(
        &self,
        tx: &mut Self::Tx,
        queue: &TxQueue<'_, Self>,
        skb: SkBuff,
        more: bool,
    ) -> Result<(), SkBuff> {
        tx.xmit(&self.bar, queue, skb, more)
    }

    fn xdp_xmit(&self, tx: &mut Self::Tx, frame: Frame) -> Result<(), Frame> {
        tx.xmit_frame(frame)
    }

    fn xdp_flush(&self, tx: &mut Self::Tx) {
        tx.tell(&self.bar);
    }

    fn interrupt(&self) -> Events {
        let icr = self.bar.read(regs::ICR);
        // All ones: the device is gone.
        if icr.into_raw() == 0 || icr.into_raw() == u32::MAX {
            return Events::default();
        }
        Events {
            ours: true,
            packets: true,
            link: icr.lsc() || icr.rxseq(),
        }
    }

    fn mask_interrupts(&self) {
        hw::mask_interrupts(&self.bar);
    }

    fn unmask_interrupts(&self) {
        hw::unmask_interrupts(&self.bar);
    }

    fn set_rx_mode(&self, mode: &RxMode<'_>) {
        hw::set_rx_mode(&self.bar, mode);
    }

    fn set_mac(&self, mac: &[u8; 6]) -> Result {
        hw::set_mac(&self.bar, mac);
        Ok(())
    }

    fn set_mtu(&self, mtu: u32) -> Result {
        hw::update_rctl(&self.bar, |r| r.with_lpe(long_packets(mtu)));
        Ok(())
    }

    fn link(&self) -> Option<Link> {
        hw::link(&self.bar)
    }

    fn missed(&self) -> u64 {
        let new = match self.bar.read(regs::MPC).into_raw() {
            u32::MAX => 0,
            n => u64::from(n),
        };
        self.missed.fetch_add(new, Relaxed).wrapping_add(new)
    }

    fn statistics(&self, visitor: &mut Visitor<'_>) {
        visitor.counter("polls", self.polls.get());
        for (name, counter) in XDP_NAMES.iter().zip(&self.xdp) {
            visitor.counter(name, counter.get());
        }
        for (name, counter) in DROP_NAMES.iter().zip(&self.dropped) {
            visitor.counter(name, counter.get());
        }
        let pool = self.pool.lock();
        let values = pool.as_ref().map(Stats::snapshot).unwrap_or_default();
        for (name, value) in Stats::NAMES.iter().zip(values) {
            visitor.counter(name, value);
        }
    }
}

/// Adds what happened in one poll.
#[inline]
fn add<const N: usize>(counters: &[Counter; N], counts: [u64; N]) {
    for (counter, n) in counters.iter().zip(counts) {
        if n != 0 {
            counter.add(n);
        }
    }
}

/// Whether frames of this MTU are longer than those that every Ethernet device receives.
fn long_packets(mtu: u32) -> bool {
    mtu > 1500
}

struct Driver;

kernel::pci_device_table!(
    PCI_TABLE,
    <Driver as net::pci::Driver>::IdInfo,
    [(pci::DeviceId::from_id(pci::Vendor::INTEL, 0x100e), ())]
);

impl net::pci::Driver for Driver {
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
    ) -> Result<E1000<'bound>> {
        let bar = pdev.iomap_region_sized::<{ regs::BAR_SIZE }>(0, c"e1000_rust")?;
        hw::reset(&bar);
        let mac = hw::eeprom_mac(&bar)?;
        Ok(E1000 {
            dev: pdev.as_ref(),
            bar,
            mac,
            xdp: Default::default(),
            dropped: Default::default(),
            polls: Counter::new(),
            missed: Atomic::new(0),
            pool: KBox::pin_init(new_mutex!(None), GFP_KERNEL)?,
        })
    }
}

net::module_pci_net_driver! {
    type: Driver,
    name: "e1000_rust",
    authors: ["Rust page pool developers"],
    description: "Intel 82540EM Gigabit Ethernet driver",
    license: "GPL",
    params: {
        recycle: bool {
            default: true,
            description: "Receive into pages of the page pool; 0: allocate and map one for each packet, for comparison",
        },
    },
}
