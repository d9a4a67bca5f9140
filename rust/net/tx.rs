// SPDX-License-Identifier: GPL-2.0

//! The transmit engine: the ring of one queue, what is in flight in it, and who gets it back.
//!
//! The stack, XDP programs of this queue and other devices' redirects share the ring, under the transmit
//! queue's lock. One descriptor always stays empty, for a tail that has caught up with the head means an empty
//! ring; and with less than [`frame()`] others the core is kept from sending, whoever took the last: so the stack
//! never meets a full ring. XDP waits as the core does, or it could take for ever what becomes free.

use crate::{
    buffers::{
        Open,
        Packet,
        Sent, //
    },
    copies::Copies,
    desc::{
        Offload,
        Offloads,
        Segment,
        TxDescriptor, //
    },
    dma::{
        DescRing,
        Mapped,
        Mapping,
        Transmit, //
    },
    napi::Budget,
    netdev::{
        Ring,
        Side,
        MIN_RING, //
    },
    skb::{
        DropReason,
        SkBuff, //
    },
    txqueue::TxLocked,
    xdp::{
        Frame,
        ETH_ZLEN, //
    },
};
use core::marker::PhantomData;
use kernel::{
    device::{
        Bound,
        Device, //
    },
    prelude::*, //
};
use pp_bindings as bindings;

/// Returns how many descriptors a frame may need.
const fn frame<D: TxDescriptor>() -> usize {
    // The first piece, and each of the others. CAST: Small numbers.
    let pieces = 1 + bindings::RNET_MAX_PIECES as usize;
    match D::OFFLOADS {
        // A context, and one more for each time that a piece is longer than a segment.
        Some(offloads) => pieces + 1 + TSO_MAX / offloads.segment as usize,
        None => pieces,
    }
}

/// The longest packet that the core has a device divide: its default.
const TSO_MAX: usize = 1 << 16;

/// A queue that was stopped goes on when this many descriptors are free: not for one packet at a time.
const WAKE: usize = 32;

/// What is in flight.
enum InFlight<'bound> {
    /// A packet of the stack, whose last descriptor is at that index. (In the slot of its first one.)
    Skb(Mapped<'bound, SkBuff>, u32),
    /// A frame of XDP, as well.
    Frame(Mapped<'bound, Frame>, u32),
    /// What is behind the first piece of the packet before it.
    Piece(Mapping<'bound>),
    /// A received page, sent back.
    Page(Sent),
}

/// What the device has finished.
#[derive(Default)]
struct Done {
    packets: u32,
    bytes: u32,
    skbs: u32,
    skb_bytes: u32,
}

/// A transmit ring.
pub(crate) struct TxRing<'bound, D: TxDescriptor> {
    dev: &'bound Device<Bound>,
    ring: DescRing,
    in_flight: KVVec<Option<InFlight<'bound>>>,
    copies: Copies,
    /// The next descriptor to fill.
    next: usize,
    /// The next descriptor that the device finishes.
    clean: usize,
    /// What the device was told last.
    told: usize,
    stopped: bool,
    /// Packets in flight that have several descriptors.
    several: usize,
    /// What the device was told of last by a context.
    context: Option<Offload>,
    /// The device is about to stop: nothing is sent or cleaned any more.
    pub(crate) closed: bool,
    max_frame: usize,
    _format: PhantomData<fn() -> D>,
}

impl<'bound, D: TxDescriptor> TxRing<'bound, D> {
    /// Allocates a ring for frames of up to `max_frame` bytes.
    ///
    /// Process context.
    pub(crate) fn new(dev: &'bound Device<Bound>, entries: u32, max_frame: usize) -> Result<Self> {
        // The smallest ring has room for one frame at least, and is not full with it. CAST: 80.
        const { assert!(frame::<D>() < MIN_RING as usize) };
        // CAST: u32 fits.
        let entries = entries as usize;
        let mut in_flight = KVVec::with_capacity(entries, GFP_KERNEL)?;
        for _ in 0..entries {
            in_flight.push(None, GFP_KERNEL)?;
        }
        Ok(Self {
            dev,
            ring: DescRing::new(dev, entries)?,
            in_flight,
            copies: Copies::new(dev, entries),
            next: 0,
            clean: 0,
            told: 0,
            stopped: false,
            several: 0,
            context: None,
            closed: false,
            max_frame,
            _format: PhantomData,
        })
    }

    /// Returns what the device has to know about the ring.
    pub(crate) fn describe(&self, queue: usize) -> Ring {
        Ring::new(Side::Tx, queue, &self.ring, 0, 0)
    }

    /// Returns how many descriptors are free.
    #[inline]
    fn room(&self) -> usize {
        let filled = self.ring.distance(self.clean, self.next);
        self.ring.entries().wrapping_sub(filled).wrapping_sub(1)
    }

    /// Fills a descriptor.
    ///
    /// The caller has seen that there is room.
    #[inline(always)]
    fn push(&mut self, locked: &TxLocked<'_>, addr: u64, len: u32, what: InFlight<'bound>) {
        if let Some(slot) = self.in_flight.get_mut(self.next) {
            *slot = Some(what);
        }
        self.store_whole(locked, addr, len);
    }

    /// Fills the descriptor of a frame that is in one piece.
    #[inline(always)]
    fn store_whole(&mut self, locked: &TxLocked<'_>, addr: u64, len: u32) {
        self.ring.store(
            self.next,
            D::fill(&Segment {
                addr,
                len,
                first: true,
                last: true,
                frame_len: len,
                offload: Offload::default(),
            }),
        );
        self.filled(locked, self.ring.after(self.next));
    }

    /// Goes on at `next`, if the core may.
    #[inline(always)]
    fn filled(&mut self, locked: &TxLocked<'_>, next: usize) {
        self.next = next;
        locked.set_sending(true);
        if self.room() < const { frame::<D>() } && !self.stopped {
            self.stopped = true;
            locked.stop();
        }
    }

    /// Fills the descriptors of a packet that is in several pieces, or of which something is left to the device.
    ///
    /// The caller has seen that there is room. If a piece cannot be mapped the packet comes back, and nothing has
    /// changed.
    /// `len` is that of the packet, and `what` notes it with the index of its last descriptor.
    fn push_pieces<T: Transmit>(
        &mut self,
        locked: &TxLocked<'_>,
        packet: Mapped<'bound, T>,
        len: usize,
        offload: Offload,
        what: fn(Mapped<'bound, T>, u32) -> InFlight<'bound>,
    ) -> Result<(), T> {
        let start = self.next;
        let mut at = start;
        let asked = offload != Offload::default();
        // A packet that is divided has one in any case, and so several descriptors.
        if asked && (self.context != Some(offload) || offload.segments.is_some()) {
            self.ring.store(at, D::context(&offload));
            at = self.ring.after(at);
        }
        let pieces = packet.pieces();
        let headers = offload.segments.map_or(0, |segments| {
            let headers = offload.link.saturating_add(offload.network);
            headers.saturating_add(segments.transport).into()
        });
        let mut segment = Segment {
            addr: packet.dma_addr(),
            len: packet.len(),
            first: true,
            last: pieces == 0,
            // CAST: u32 fits.
            frame_len: (len as u32).saturating_sub(headers),
            offload,
        };
        let mut last = self.store(at, segment);
        segment.first = false;
        for index in 0..pieces {
            at = self.ring.after(last);
            // SAFETY: The packet goes into the slot of the frame's first descriptor. It is freed when the device is
            // done with the last one, and so with all of them, or when the device is stopped.
            let Some(piece) = (unsafe { Mapping::of_piece(&packet, index) }) else {
                self.forget(self.ring.after(start), at);
                return Err(packet.into_inner());
            };
            (segment.addr, segment.len) = (piece.dma_addr(), piece.len());
            segment.last = index.wrapping_add(1) == pieces;
            last = self.store(at, segment);
            if let Some(slot) = self.in_flight.get_mut(at) {
                *slot = Some(InFlight::Piece(piece));
            }
        }
        if let Some(slot) = self.in_flight.get_mut(start) {
            // CAST: A ring has no more entries than a u32 says.
            *slot = Some(what(packet, last as u32));
        }
        if last != start {
            self.several = self.several.wrapping_add(1);
        }
        if asked {
            self.context = Some(offload);
        }
        self.filled(locked, self.ring.after(last));
        Ok(())
    }

    /// Fills the descriptors of a piece, from `at` on, and returns the last one.
    fn store(&mut self, mut at: usize, piece: Segment) -> usize {
        let most = D::OFFLOADS.map_or(u32::MAX, |offloads| offloads.segment);
        let mut part = piece;
        while part.len > most {
            self.ring.store(
                at,
                D::fill(&Segment {
                    len: most,
                    last: false,
                    ..part
                }),
            );
            at = self.ring.after(at);
            part.addr = part.addr.wrapping_add(most.into());
            part.len = part.len.wrapping_sub(most);
            part.first = false;
        }
        self.ring.store(at, D::fill(&part));
        at
    }

    /// Drops the pieces of a packet in the slots from `at` to `end`, without that one.
    fn forget(&mut self, mut at: usize, end: usize) {
        while at != end {
            if let Some(slot) = self.in_flight.get_mut(at) {
                *slot = None;
            }
            at = self.ring.after(at);
        }
    }

    /// Rings the doorbell, if there is anything new.
    #[inline]
    pub(crate) fn ring_doorbell(&mut self, doorbell: impl FnOnce(u32)) {
        if self.told != self.next {
            self.told = self.next;
            // CAST: A ring has no more entries than a u32 says.
            doorbell(self.next as u32);
        }
    }

    /// Sends a packet of the stack.
    ///
    /// If there is no room it comes back, which the engine keeps from happening.
    pub(crate) fn xmit(
        &mut self,
        locked: &TxLocked<'_>,
        skb: SkBuff,
        more: bool,
        doorbell: impl FnOnce(u32),
    ) -> Result<(), SkBuff> {
        if self.room() < const { frame::<D>() } {
            self.stopped = true;
            locked.stop();
            self.ring_doorbell(doorbell);
            return Err(skb);
        }
        let Some((skb, offload)) = self.prepare(skb) else {
            locked.stats().dropped.inc();
            self.ring_doorbell(doorbell);
            return Ok(());
        };
        let (addr, len) = (skb.dma_addr(), skb.len());
        skb.packet().tx_timestamp();
        // CAST: u32 fits.
        let frame_len = skb.packet().len() as u32;
        if D::OFFLOADS.is_none() || (frame_len == len && offload == Offload::default()) {
            // CAST: A ring has no more entries than a u32 says.
            self.push(locked, addr, len, InFlight::Skb(skb, self.next as u32));
        } else if let Err(skb) =
            self.push_pieces(locked, skb, frame_len as usize, offload, InFlight::Skb)
        {
            skb.free(DropReason::NoMemory);
            locked.stats().dropped.inc();
            self.ring_doorbell(doorbell);
            return Ok(());
        }
        if locked.sent(frame_len, more) || self.stopped {
            self.ring_doorbell(doorbell);
        }
        Ok(())
    }

    /// Makes of a packet what the device can send, and what it has to do to it; or frees it with the reason why not.
    #[inline]
    fn prepare(&mut self, skb: SkBuff) -> Option<(Mapped<'bound, SkBuff>, Offload)> {
        // Cards pad short frames themselves, but not all of them with zeroes; and a checksum is not to be one of the
        // padding.
        // CAST: 60.
        let shortest = D::OFFLOADS.map_or(ETH_ZLEN as u32, |offloads| offloads.shortest);
        let mut skb = skb.pad(shortest).ok()?;
        let mut offload = Offload::default();
        if let Some(offloads) = D::OFFLOADS {
            offload = match skb.offload() {
                Ok(offload) if fits(&offload, &offloads) => offload,
                Ok(_) => {
                    skb.free(DropReason::DevHeader);
                    return None;
                }
                Err(_) => {
                    skb.free(DropReason::NoMemory);
                    return None;
                }
            };
        }
        // The core lets pass what tc mirrors, or a bridge forwards, from a device of a larger MTU; and pktgen sends
        // what is in pieces without asking who can.
        let whole = D::OFFLOADS.is_some() || skb.head_len() == skb.len();
        // (A packet that is to be divided is no longer than the core was told; [`frame()`] rests on that.)
        let long = skb.len() > TSO_MAX || longest(&skb, &offload) > self.max_frame;
        if !whole || long {
            skb.free(DropReason::DevHeader);
            return None;
        }
        self.map(skb)
            .map_err(|skb| skb.free(DropReason::NoMemory))
            .ok()
            .map(|skb| (skb, offload))
    }

    /// Makes a packet readable by the device, for the descriptors from the next one on. If that is not possible, it comes
    /// back.
    ///
    /// The caller has seen that there is room: the next descriptor is not one that the device was told of. (In any case
    /// nothing breaks: what the device reads of a copy is bytes.)
    #[inline]
    fn map<T: Transmit>(&mut self, packet: T) -> Result<Mapped<'bound, T>, T> {
        Mapped::new(self.dev, &mut self.copies, self.next, packet)
    }

    /// Sends a frame of XDP.
    ///
    /// If there is no room, or no mapping, it comes back.
    pub(crate) fn xmit_frame(
        &mut self,
        locked: &TxLocked<'_>,
        mut frame: Frame,
    ) -> Result<(), Frame> {
        if self.stopped {
            return Err(frame);
        }
        if !frame.is_whole() {
            return self.xmit_pieces(locked, frame);
        }
        if frame.head_len() > self.max_frame {
            return Err(frame);
        }
        frame.pad();
        let frame = self.map(frame)?;
        let (addr, len) = (frame.dma_addr(), frame.len());
        // CAST: A ring has no more entries than a u32 says.
        self.push(locked, addr, len, InFlight::Frame(frame, self.next as u32));
        Ok(())
    }

    /// As [`xmit_frame`](Self::xmit_frame), of a frame in several pieces.
    #[cold]
    #[inline(never)]
    fn xmit_pieces(&mut self, locked: &TxLocked<'_>, frame: Frame) -> Result<(), Frame> {
        let len = frame.len();
        // Nobody fills up a frame that ends in a piece of its own.
        if !(ETH_ZLEN..=self.max_frame).contains(&len) {
            return Err(frame);
        }
        let frame = self.map(frame)?;
        self.push_pieces(locked, frame, len, Offload::default(), InFlight::Frame)
    }

    /// Sends a received page back, over the mapping that it has.
    ///
    /// If there is no room it comes back.
    #[inline]
    pub(crate) fn xmit_page<'id, O: Open<'id>>(
        &mut self,
        locked: &TxLocked<'_>,
        pool: &mut O,
        mut buf: O::Cpu,
    ) -> Result<(), O::Cpu> {
        if self.stopped || buf.len() > self.max_frame {
            return Err(buf);
        }
        buf.pad(ETH_ZLEN);
        // Before the page is, which is put there, and so nowhere else before.
        let Some(slot) = self.in_flight.get_mut(self.next) else {
            return Err(buf);
        };
        let page = pool.send(buf)?;
        let (addr, len) = (page.dma_addr(), page.len());
        *slot = Some(InFlight::Page(page));
        self.store_whole(locked, addr, len);
        Ok(())
    }

    /// Takes the page that the device has sent next, if that is one, and counts it.
    #[inline(always)]
    fn sent_page(&mut self, done: &mut Done) -> Option<Sent> {
        // Of a packet with several descriptors only the last one is ever.
        if self.clean == self.next || !D::sent(|word| self.ring.load(self.clean, word)) {
            return None;
        }
        let slot = self.in_flight.get_mut(self.clean)?;
        let Some(InFlight::Page(page)) = slot else {
            return None;
        };
        // SAFETY: It is moved: what is in the slot is forgotten next. (`take()` copies all of what a slot can hold.)
        let page = unsafe { core::ptr::read(page) };
        core::mem::forget(slot.take());
        self.clean = self.ring.after(self.clean);
        done.packets = done.packets.wrapping_add(1);
        done.bytes = done.bytes.wrapping_add(page.len());
        Some(page)
    }

    /// Takes what the device has sent next, if `wanted`, and counts it. Packets with several descriptors that are
    /// before it are freed.
    #[inline]
    fn finished(
        &mut self,
        done: &mut Done,
        budget: Budget<'_>,
        wanted: impl Fn(&InFlight<'bound>) -> bool,
    ) -> Option<InFlight<'bound>> {
        // Mostly there are none: nothing of the ring is looked at then.
        if self.several != 0 && !self.clean_several(done, budget, &wanted) {
            return None;
        }
        if self.clean == self.next || !D::sent(|word| self.ring.load(self.clean, word)) {
            return None;
        }
        let slot = self.in_flight.get_mut(self.clean)?;
        if !slot.as_ref().is_some_and(wanted) {
            return None;
        }
        let what = slot.take()?;
        self.clean = self.ring.after(self.clean);
        done.packets = done.packets.wrapping_add(1);
        let len = match &what {
            InFlight::Skb(skb, _) => {
                done.skbs = done.skbs.wrapping_add(1);
                done.skb_bytes = done.skb_bytes.wrapping_add(skb.len());
                skb.len()
            }
            InFlight::Frame(frame, _) => frame.len(),
            InFlight::Page(page) => page.len(),
            // A frame does not begin with one.
            InFlight::Piece(_) => 0,
        };
        done.bytes = done.bytes.wrapping_add(len);
        Some(what)
    }

    /// Frees the packets with several descriptors that are next in the ring, and counts them.
    ///
    /// `false`: the device has not sent one of them, or it is not `wanted`.
    #[inline(never)]
    fn clean_several(
        &mut self,
        done: &mut Done,
        budget: Budget<'_>,
        wanted: &impl Fn(&InFlight<'bound>) -> bool,
    ) -> bool {
        while let Some(Some(what)) = self.in_flight.get(self.clean) {
            let (InFlight::Skb(_, last) | InFlight::Frame(_, last)) = what else {
                break;
            };
            // CAST: u32 fits.
            let last = *last as usize;
            if last == self.clean {
                break;
            }
            if !wanted(what) || !D::sent(|word| self.ring.load(last, word)) {
                return false;
            }
            let what = self.in_flight.get_mut(self.clean).and_then(Option::take);
            let end = self.ring.after(last);
            self.forget(self.ring.after(self.clean), end);
            self.clean = end;
            self.several = self.several.wrapping_sub(1);
            let (packets, bytes) = match what {
                Some(InFlight::Skb(skb, _)) => {
                    let skb = skb.into_inner();
                    let sent = skb.on_wire();
                    done.skbs = done.skbs.wrapping_add(1);
                    // CAST: u32 fits.
                    done.skb_bytes = done.skb_bytes.wrapping_add(skb.len() as u32);
                    skb.consume(budget);
                    sent
                }
                // CAST: u32 fits.
                Some(InFlight::Frame(frame, _)) => (1, frame.into_inner().len() as u32),
                _ => (0, 0),
            };
            done.packets = done.packets.wrapping_add(packets);
            done.bytes = done.bytes.wrapping_add(bytes);
        }
        true
    }

    /// Tells the core and the counters what was finished.
    #[inline]
    fn report(&mut self, locked: &TxLocked<'_>, done: &Done) {
        if self.clean == self.next {
            locked.set_sending(false);
        }
        if done.packets == 0 {
            return;
        }
        locked.completed(done.skbs, done.skb_bytes);
        locked.stats().packets.add(done.packets.into());
        locked.stats().bytes.add(done.bytes.into());
        let wake = WAKE
            .min(self.ring.entries() / 2)
            .max(const { frame::<D>() });
        if self.stopped && self.room() >= wake {
            self.stopped = false;
            locked.wake();
        }
    }

    /// Frees what the device has sent.
    ///
    /// In the poll.
    pub(crate) fn clean<'id>(
        &mut self,
        locked: &TxLocked<'_>,
        budget: Budget<'_>,
        pool: &mut impl Open<'id>,
    ) {
        let mut done = Done::default();
        loop {
            // Where speed matters these are all that there is: they are taken from where they lie.
            if let Some(page) = self.sent_page(&mut done) {
                // SAFETY: As below.
                unsafe { pool.sent(page) };
                continue;
            }
            let Some(what) = self.finished(&mut done, budget, |_| true) else {
                break;
            };
            match what {
                InFlight::Skb(skb, _) => skb.into_inner().consume(budget),
                InFlight::Frame(frame, _) => drop(frame),
                // A frame does not begin with one.
                InFlight::Piece(piece) => drop(piece),
                // SAFETY: By the contract of the format the device does not read a segment again that `sent()` was
                // true of, and `finished()` has asked. The page is of this pool: before a receive ring is replaced
                // the transmit ring has sent the pages of its pool (`queue_mgmt`), or both rings go.
                InFlight::Page(page) => unsafe { pool.sent(page) },
            }
        }
        self.report(locked, &done);
    }

    /// As [`clean`](Self::clean), for netpoll: in any context, even a hard interrupt.
    ///
    /// Frames of other devices, and pages that are not our pool's, cannot be freed there, and wait for the next
    /// poll, with what is behind them.
    #[cold]
    pub(crate) fn clean_netpoll(&mut self, locked: &TxLocked<'_>) {
        let mut done = Done::default();
        while let Some(what) = self.finished(&mut done, Budget::NONE, |what| {
            matches!(what, InFlight::Skb(..) | InFlight::Page(Sent::Rust(_)))
        }) {
            match what {
                InFlight::Skb(skb, _) => skb.into_inner().consume(Budget::NONE),
                // A page takes the way of the stack's.
                what => drop(what),
            }
        }
        self.report(locked, &done);
    }

    /// Returns whether pages of a pool are in flight.
    pub(crate) fn has_pages(&self) -> bool {
        let mut slots = self.in_flight.iter().flatten();
        slots.any(|what| matches!(what, InFlight::Page(_)))
    }

    /// Returns how many packets of the stack are in flight.
    ///
    /// They are lost when the ring goes.
    pub(crate) fn pending(&self) -> usize {
        let slots = self.in_flight.iter().flatten();
        slots
            .filter(|what| matches!(what, InFlight::Skb(..)))
            .count()
    }
}

/// Returns whether a card can do what a packet asks for.
fn fits(offload: &Offload, offloads: &Offloads) -> bool {
    offload.link <= offloads.link && offload.network <= offloads.network
}

/// Returns how long the frames are that the device makes of a packet, at most, in bytes.
fn longest(skb: &SkBuff, offload: &Offload) -> usize {
    match offload.segments {
        Some(segments) => [
            offload.link,
            offload.network,
            segments.transport,
            segments.payload,
        ]
        .into_iter()
        .fold(0, |sum, n| sum.saturating_add(n.into())),
        None => skb.len(),
    }
}
