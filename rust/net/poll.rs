// SPDX-License-Identifier: GPL-2.0

//! What becomes of each received packet: the stack gets it, or an XDP program decides.
//!
//! Compiles into the driver.

use crate::{
    buffers::Open,
    deliver::ToStack,
    desc::Words,
    descs::{
        Descs,
        SHORT, //
    },
    frames::{
        Bounds,
        Next, //
    },
    napi::Napi,
    netdev::{
        xdp_queue,
        Operations,
        Side, //
    },
    outbox::Outbox,
    stats::{
        Counts,
        Dropped,
        Verdict, //
    },
    txside::TxSides,
    xdp::{
        Action,
        Buff,
        Program, //
    },
};
use page_pool::Pressure;

/// One poll.
///
/// # Invariants
///
/// `tx` is that of the queue that `napi` stands for: so the pages of a pool that are in there are of this queue's.
pub(crate) struct Poll<'a, 'n, 'bound, T: Operations> {
    pub(crate) ops: &'a T,
    pub(crate) napi: &'a mut Napi<'n>,
    pub(crate) tx: &'a TxSides<'bound, T::Tx>,
    pub(crate) budget: usize,
    pub(crate) counts: Counts,
    /// What is the same for each packet that the stack gets is in there.
    pub(crate) stack: ToStack<'n>,
}

impl<T: Operations> Poll<'_, '_, '_, T> {
    /// Counts a packet.
    #[inline(always)]
    pub(crate) fn count(&mut self, len: usize) {
        let counts = &mut self.counts;
        counts.packets = counts.packets.wrapping_add(1);
        // CAST: usize is u64 here.
        counts.bytes = counts.bytes.wrapping_add(len as u64);
    }

    /// Does all that is to be done about what is no packet in a single buffer: a longer one, or none.
    ///
    /// `false`: there is more to come of it, and it stays where it is.
    ///
    /// # Safety
    ///
    /// The pool is that of the queue that is polled.
    #[cold]
    #[inline(never)]
    pub(crate) unsafe fn several<'id, O: Open<'id>>(
        &mut self,
        descs: &mut Descs<T::Rx>,
        pool: &mut O,
        posted: &mut O::Ring<'_>,
        program: Option<&mut Program<'_>>,
        bounds: Bounds,
    ) -> bool {
        let parts = match descs.received(bounds) {
            Next::Packet(parts) => parts,
            Next::Unfinished => return false,
            Next::Bad(buffers, error) => {
                // SAFETY: The device has finished so many descriptors, by the contract of the format.
                unsafe { self.discard(descs, pool, posted, buffers, error) };
                return true;
            }
        };
        let len = parts
            .lens()
            .iter()
            .fold(0usize, |sum, &len| sum.wrapping_add(len));
        self.count(len);
        let short = descs.lack.missing > SHORT;
        let pressure = pool.pressure();
        let mut packet = None;
        for &len in parts.lens() {
            // SAFETY: The device has finished this descriptor: `received()` has asked.
            let Some(buf) = (unsafe { descs.take(posted) }) else {
                break;
            };
            if len == 0 {
                pool.recycle_unused(buf);
                continue;
            }
            // SAFETY: By the contract of the format the device has written the first `len` bytes, since it has
            // reported no error in the last buffer, and does not touch this one again. They fit, since `received()` has
            // looked: there is room for `bounds.buffer` bytes.
            let buf = unsafe { pool.sync_for_cpu(buf, len) };
            match &mut packet {
                // SAFETY: The pool is that of the ring, and so of the queue that is polled.
                None => packet = Some(unsafe { Buff::new(self.napi, pool, buf) }),
                // SAFETY: As above.
                Some(packet) => unsafe { packet.add(pool, buf) },
            }
        }
        let Some(packet) = packet else {
            return true;
        };
        let desc = descs.last();
        let Some(program) = program else {
            self.deliver_several(packet, pressure, desc.read());
            return true;
        };
        program.about(desc);
        // SAFETY: It is the packet's last one, and is not given to the card before we return.
        let action = unsafe { program.run_several(self.napi, packet, pressure) };
        let verdict = match action {
            Action::Drop => Verdict::Drop,
            Action::Pass(packet, _) => {
                self.deliver_several(packet, pressure, desc.read());
                Verdict::Pass
            }
            Action::Tx(_) if short => {
                program.tx_failed();
                self.counts.drop(descs.lack.scarcity);
                return true;
            }
            Action::Tx(packet) => match self.send_several(packet) {
                Some(()) => Verdict::Tx,
                None => {
                    program.tx_failed();
                    Verdict::Aborted
                }
            },
            Action::Redirect => Verdict::Redirect,
            Action::Aborted => Verdict::Aborted,
            Action::Refused => {
                self.counts.drop(descs.lack.refused());
                return true;
            }
        };
        self.counts.verdict(verdict);
        true
    }

    /// Takes back the next so many buffers, of what is no packet, and counts it if it is one `error`.
    ///
    /// # Safety
    ///
    /// The device has finished their descriptors.
    pub(crate) unsafe fn discard<'id, O: Open<'id>>(
        &mut self,
        descs: &mut Descs<T::Rx>,
        pool: &mut O,
        posted: &mut O::Ring<'_>,
        buffers: usize,
        error: bool,
    ) {
        for _ in 0..buffers {
            // SAFETY: By the safety requirement.
            if let Some(buf) = unsafe { descs.take(posted) } {
                pool.recycle_unused(buf);
            }
        }
        let errors = &mut self.counts.errors;
        *errors = errors.wrapping_add(error.into());
    }

    /// As [`deliver`](Self::deliver), of a packet in several buffers.
    fn deliver_several(&mut self, packet: Buff<'_>, pressure: Pressure, words: Words) {
        if !self.stack.receive_several::<T::Rx>(packet, pressure, words) {
            self.no_skb();
        }
    }

    /// As [`send_back`](Self::send_back), of a packet in several buffers, at once. They are mapped once more, each.
    fn send_several(&mut self, packet: Buff<'_>) -> Option<()> {
        let frame = packet.into_frame()?;
        let mut sent = None;
        self.tx.for_xdp().with(self.napi, |ring, locked, _| {
            sent = ring.xmit_frame(locked, frame).ok();
        });
        sent
    }

    /// Hands a packet to the stack.
    ///
    /// Compiled into the loop over packets, which the compiler would not do for two callers.
    #[inline(always)]
    pub(crate) fn deliver<'id, O: Open<'id>>(
        &mut self,
        pool: &mut O,
        buf: O::Cpu,
        meta: u32,
        words: Words,
    ) {
        if !self.stack.receive::<T::Rx, O>(pool, buf, meta, words) {
            self.no_skb();
        }
    }

    /// As [`deliver`](Self::deliver), after an XDP program.
    #[inline(never)]
    fn pass<'id, O: Open<'id>>(
        &mut self,
        pool: &mut O,
        buf: O::Cpu,
        meta: u32,
        descs: &Descs<T::Rx>,
    ) {
        self.deliver(pool, buf, meta, descs.last().read());
    }

    #[cold]
    #[inline(never)]
    pub(crate) fn no_skb(&mut self) {
        self.counts.drop(Dropped::NoSkb);
        self.napi.queue().rx.alloc_fail.inc();
    }

    /// Lets an XDP program decide about a packet, and does what it says.
    ///
    /// # Safety
    ///
    /// If programs may ask, this one has [heard](Program::about) of the packet's descriptor, which is the last one that
    /// was taken of `descs`.
    #[inline]
    pub(crate) unsafe fn decide<'id, O: Open<'id>>(
        &mut self,
        program: &mut Program<'_>,
        pool: &mut O,
        buf: O::Cpu,
        descs: &Descs<T::Rx>,
        outbox: &mut Outbox<O::Cpu>,
    ) {
        let lack = &descs.lack;
        // SAFETY: By the safety requirement; it is as the card has left it until the next refill.
        let verdict = match unsafe { program.run(self.napi, pool, buf) } {
            // Counted here: where all verdicts meet, the counter would have to be looked up.
            Action::Drop => return self.counts.verdict(Verdict::Drop),
            Action::Pass(buf, meta) => {
                self.pass(pool, buf, meta, descs);
                Verdict::Pass
            }
            Action::Tx(buf) if lack.missing > SHORT => {
                program.tx_failed();
                pool.recycle(buf);
                return self.counts.drop(lack.scarcity);
            }
            Action::Tx(buf) => {
                // There is room: a full one is emptied at once.
                if let Some(buf) = outbox.push(buf) {
                    pool.recycle(buf);
                }
                if outbox.is_full() {
                    self.send_back(program, pool, outbox, false);
                }
                return;
            }
            Action::Redirect => Verdict::Redirect,
            Action::Aborted => Verdict::Aborted,
            Action::Refused => return self.counts.drop(lack.refused()),
        };
        self.counts.verdict(verdict);
    }

    /// Sends packets back out of the device that they came from, and counts what became of them. The `last` time that is
    /// in this poll, the doorbell is rung.
    #[inline(never)]
    pub(crate) fn send_back<'id, O: Open<'id>>(
        &mut self,
        program: &Program<'_>,
        pool: &mut O,
        outbox: &mut Outbox<O::Cpu>,
        last: bool,
    ) {
        // CAST: u32 fits.
        let (ops, queue) = (self.ops, xdp_queue::<T>(self.napi.queue().index as usize));
        let (mut sent, mut failed) = (0u64, 0u64);
        self.tx.for_xdp().with(self.napi, |ring, locked, _| {
            for buf in outbox.drain() {
                match ring.xmit_page(locked, pool, buf) {
                    Ok(()) => sent = sent.wrapping_add(1),
                    Err(buf) => {
                        failed = failed.wrapping_add(1);
                        pool.recycle(buf);
                    }
                }
            }
            if last {
                ring.ring_doorbell(|tail| ops.doorbell(Side::Tx, queue, tail));
            }
        });
        // There is no ring.
        for buf in outbox.drain() {
            failed = failed.wrapping_add(1);
            pool.recycle(buf);
        }
        self.counts.verdicts(Verdict::Tx, sent);
        self.counts.verdicts(Verdict::Aborted, failed);
        for _ in 0..failed {
            program.tx_failed();
        }
    }
}
