// SPDX-License-Identifier: GPL-2.0

//! The transmit ring. Whoever has it holds the transmit queue's lock.

use crate::regs::{self, Bar};
use kernel::{
    device::{Bound, Device},
    io::Io,
    prelude::*,
};
use net::{
    dma::{DescRing, Mapped},
    napi::Budget,
    netdev::Operations,
    queue::TxQueue,
    skb::{DropReason, SkBuff},
    xdp::{Frame, ETH_ZLEN},
};
use page_pool::{CpuBuf, Detached, NapiPool};

/// Command bits of the second word of a descriptor: the frame ends here, append a CRC, report when
/// done, and take your time with the interrupt.
const COMMAND: u64 = (1 | 1 << 1 | 1 << 3 | 1 << 7) << 24;
/// The device has sent the frame.
const DONE: u64 = 1 << 32;
/// A stopped queue goes on when this many descriptors are free: not for one packet at a time.
const WAKE: usize = 32;

/// The longest frame that the device sends: `MAX_JUMBO_FRAME_SIZE` of the C driver.
const MAX_FRAME: usize = 0x3f00;

/// What is on its way.
enum InFlight<'bound> {
    /// A packet of the stack.
    Skb(Mapped<'bound, SkBuff>),
    /// A frame of another device.
    Frame(Mapped<'bound, Frame>),
    /// A received page, sent back.
    Page(Detached),
}

/// The transmit ring.
pub(crate) struct TxRing<'bound> {
    dev: &'bound Device<Bound>,
    ring: DescRing<2>,
    in_flight: KVec<Option<InFlight<'bound>>>,
    /// The next descriptor to fill.
    next: usize,
    /// The next descriptor that the device finishes.
    clean: usize,
    /// What the device was told last.
    told: usize,
    stopped: bool,
}

impl<'bound> TxRing<'bound> {
    /// Allocates a ring.
    pub(crate) fn new(dev: &'bound Device<Bound>, entries: u32) -> Result<Self> {
        // CAST: u32 fits.
        let entries = entries as usize;
        let mut in_flight = KVec::with_capacity(entries, GFP_KERNEL)?;
        for _ in 0..entries {
            in_flight.push(None, GFP_KERNEL)?;
        }
        Ok(Self {
            dev,
            ring: DescRing::new(dev, entries)?,
            in_flight,
            next: 0,
            clean: 0,
            told: 0,
            stopped: false,
        })
    }

    /// Hands the ring to the device.
    pub(crate) fn start(&mut self, bar: &Bar<'_>) {
        let (addr, size) = (self.ring.dma_addr(), self.ring.size());
        // CAST: The two halves of the address; a size of at most 64 KiB.
        bar.write_reg(regs::TDBAL::from(addr as u32));
        bar.write_reg(regs::TDBAH::from((addr >> 32) as u32));
        bar.write_reg(regs::TDLEN::from(size as u32));
        bar.write_reg(regs::TDH::zeroed());
        bar.write_reg(regs::TDT::zeroed());
        bar.write_reg(regs::TIDV::from(8));
        bar.write_reg(regs::TADV::from(32));
    }

    /// Free descriptors. One always stays empty: see the receive ring.
    #[inline]
    fn room(&self) -> usize {
        let filled = self.ring.distance(self.clean, self.next);
        self.ring.entries().wrapping_sub(filled).wrapping_sub(1)
    }

    /// Fills a descriptor. The caller has seen that there is room.
    #[inline]
    fn push(&mut self, addr: u64, len: usize, what: InFlight<'bound>) {
        if let Some(slot) = self.in_flight.get_mut(self.next) {
            *slot = Some(what);
        }
        // CAST: At most `MAX_FRAME`.
        self.ring.store(self.next, 0, addr);
        self.ring
            .store(self.next, 1, COMMAND | (len as u64 & 0xffff));
        self.next = self.ring.after(self.next);
    }

    /// Tells the device about new frames.
    #[inline]
    pub(crate) fn tell(&mut self, bar: &Bar<'_>) {
        if self.told != self.next {
            self.told = self.next;
            // CAST: An index of at most 4096 entries.
            bar.write_reg(regs::TDT::from(self.next as u32));
        }
    }

    /// Sends a packet of the stack.
    pub(crate) fn xmit<D: Operations>(
        &mut self,
        bar: &Bar<'_>,
        queue: &TxQueue<'_, D>,
        skb: SkBuff,
        more: bool,
    ) -> Result<(), SkBuff> {
        if self.room() == 0 {
            self.stop(queue);
            self.tell(bar);
            return Err(skb);
        }
        let Some(skb) = self.prepare(skb) else {
            queue.stats().dropped.inc();
            self.tell(bar);
            return Ok(());
        };
        let (addr, len) = (skb.dma_addr(), skb.len());
        skb.tx_timestamp();
        // CAST: u32 fits.
        self.push(addr, len as usize, InFlight::Skb(skb));
        if self.room() == 0 {
            self.stop(queue);
        }
        if queue.sent(len, more) || self.stopped {
            self.tell(bar);
        }
        Ok(())
    }

    /// Makes of a packet what the device can send, or frees it with the reason why not.
    #[inline]
    fn prepare(&self, skb: SkBuff) -> Option<Mapped<'bound, SkBuff>> {
        // The core lets pass what tc mirrors, or a bridge forwards, from a device of a larger MTU.
        if skb.len() > MAX_FRAME {
            skb.free(DropReason::DevHeader);
            return None;
        }
        // The hardware's own padding is not reliable on all PCI variants.
        let skb = skb.pad().ok()?;
        Mapped::new(self.dev, skb)
            .map_err(|skb| skb.free(DropReason::NoMemory))
            .ok()
    }

    fn stop<D: Operations>(&mut self, queue: &TxQueue<'_, D>) {
        self.stopped = true;
        queue.stop();
    }

    /// Sends a frame of another device.
    pub(crate) fn xmit_frame(&mut self, mut frame: Frame) -> Result<(), Frame> {
        if self.room() == 0 {
            return Err(frame);
        }
        frame.pad();
        let frame = Mapped::new(self.dev, frame)?;
        // CAST: u32 fits.
        let (addr, len) = (frame.dma_addr(), frame.len() as usize);
        self.push(addr, len, InFlight::Frame(frame));
        Ok(())
    }

    /// Sends a received page back, over the mapping that it has.
    #[inline]
    pub(crate) fn xmit_page<'id>(
        &mut self,
        pool: &mut NapiPool<'id, '_>,
        mut buf: CpuBuf<'id>,
    ) -> Result<(), CpuBuf<'id>> {
        if self.room() == 0 {
            return Err(buf);
        }
        buf.pad(ETH_ZLEN);
        let page = pool.detach(buf);
        let (addr, len) = (page.dma_addr(), page.len());
        self.push(addr, len, InFlight::Page(page));
        Ok(())
    }

    /// Frees what the device has sent.
    pub(crate) fn clean<D: Operations>(
        &mut self,
        budget: Budget<'_>,
        pool: &mut NapiPool<'_, '_>,
        queue: &TxQueue<'_, D>,
    ) {
        let (mut packets, mut bytes) = (0u32, 0u32);
        let (mut skbs, mut skb_bytes) = (0u32, 0u32);
        while self.clean != self.next && self.ring.load(self.clean, 1) & DONE != 0 {
            let what = self
                .in_flight
                .get_mut(self.clean)
                .and_then(|slot| slot.take());
            self.clean = self.ring.after(self.clean);
            packets = packets.wrapping_add(1);
            let len = match what {
                Some(InFlight::Skb(skb)) => {
                    let len = skb.len();
                    skbs = skbs.wrapping_add(1);
                    skb_bytes = skb_bytes.wrapping_add(len);
                    skb.into_inner().consume(budget);
                    len
                }
                Some(InFlight::Frame(frame)) => frame.len(),
                Some(InFlight::Page(page)) => {
                    let len = page.len();
                    if let Ok(buf) = pool.attach(page) {
                        pool.recycle(buf);
                    }
                    // CAST: Less than a page.
                    len as u32
                }
                None => 0,
            };
            bytes = bytes.wrapping_add(len);
        }
        if packets == 0 {
            return;
        }
        queue.completed(skbs, skb_bytes);
        queue.stats().packets.add(packets.into());
        queue.stats().bytes.add(bytes.into());
        if self.stopped && self.room() >= WAKE.min(self.ring.entries() / 2) {
            self.stopped = false;
            queue.wake();
        }
    }
}
