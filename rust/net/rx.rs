// SPDX-License-Identifier: GPL-2.0

//! The receive engine: the ring of one queue, the pool that its buffers come from, and what becomes of each
//! packet.
//!
//! Everything that NAPI does for each packet is here, and compiles into the driver.

use crate::{
    buffers::{
        self,
        Buffers,
        Open,
        Params,
        Ring as _,
        Stats, //
    },
    desc::{
        RxDescriptor,
        TxDescriptor,
        Words, //
    },
    dma::DescRing,
    frames::{
        Bounds,
        Frames,
        Next,
        MAX_BUFFERS, //
    },
    napi::{
        Budget,
        Napi, //
    },
    netdev::{
        Operations,
        Ring,
        Side,
        MIN_RING, //
    },
    queue::{
        Model,
        Queue, //
    },
    skb::ToStack,
    stats::{
        Counts,
        Dropped,
        Verdict, //
    },
    tx::TxSide,
    xdp::{
        Action,
        Buff,
        Program, //
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
use page_pool::{
    context::BhGuard,
    layout::{
        Half,
        Layout, //
    },
    AllocError,
    Pressure, //
};
use pp_bindings as bindings;

/// The device hears of new buffers in batches of this many, since each doorbell is slow.
const BATCH: usize = 32;
/// When this many buffers are missing there are no pages, and none is given away: the device keeps some,
/// so it goes on raising interrupts. Packets for the stack are copied then. The smallest ring has more.
const SHORT: usize = 2 * BATCH;
/// So many allocations may fail until a ring is left with the buffers that it has, for the time being. With one it
/// would stay nearly empty when each second one fails.
const TRIES: u32 = 4;
/// So many at once are posted while a ring is filled for the first time, with bottom halves off.
const FILL: usize = 64;

const _: () = assert!(MIN_RING as usize > SHORT + 1);
// CAST: A small number.
const _: () = assert!(MAX_BUFFERS <= 1 + bindings::RNET_MAX_PIECES as usize);

/// Returns what the card writes into half a page at most, if it can be kept to what there is room for.
pub(crate) const fn half<D: RxDescriptor>() -> Option<usize> {
    match D::HALF {
        Some(half) if half <= Half::ROOM => Some(half),
        _ => None,
    }
}

/// A receive ring, with the pool that its buffers come from.
pub(crate) struct RxRing<'bound, D: RxDescriptor, B: Buffers<'bound>> {
    descs: Descs<D>,
    // Dropped before the pool, whose pages they are.
    posted: B::Posted,
    pool: B,
    _dev: PhantomData<&'bound ()>,
}

/// What the ring lacks.
struct Lack {
    /// Descriptors without a buffer, but for the one that stays empty.
    missing: usize,
    /// Why: what is dropped because of that counts as this.
    scarcity: Dropped,
    /// How many allocations have failed since the last attempt began to get them.
    failures: u32,
    /// How many were missing after that attempt.
    left: usize,
}

impl Lack {
    /// Returns what a ring lacks in which no descriptor has a buffer.
    fn of_all(ring: &DescRing) -> Self {
        Self {
            missing: ring.entries().saturating_sub(1),
            scarcity: Dropped::NoPage,
            failures: 0,
            left: 0,
        }
    }

    /// Returns why a packet was refused that wanted to keep its page.
    fn refused(&self) -> Dropped {
        if self.left != 0 {
            self.scarcity
        } else {
            Dropped::Limit
        }
    }
}

struct Descs<D: RxDescriptor> {
    ring: DescRing,
    /// The descriptor that the device finishes next.
    next: usize,
    /// The descriptor that gets a buffer next. One always stays without: a tail that has caught up
    /// with the head means an empty ring.
    fill: usize,
    lack: Lack,
    /// What the device was told last.
    told: usize,
    frames: Frames,
    /// The longest frame that is received, which may be in several buffers.
    frame: usize,
    _format: PhantomData<fn() -> D>,
}

/// One poll.
struct Poll<'a, 'n, 'bound, T: Operations> {
    ops: &'a T,
    napi: &'a mut Napi<'n>,
    tx: &'a TxSide<'bound, T::Tx>,
    budget: usize,
    counts: Counts,
    /// What is the same for each packet that the stack gets is in there.
    stack: ToStack<'n>,
}

impl<'bound, D: RxDescriptor, B: Buffers<'bound>> RxRing<'bound, D, B> {
    /// Bytes of a frame that the card writes into a buffer at most. 0: it cannot use such buffers.
    const BUFFER: usize = {
        assert!(B::Layout::HEAD);
        match half::<D>() {
            _ if B::Layout::BUFFERS == 1 => {
                assert!(D::BUFFER <= B::Layout::ROOM);
                D::BUFFER
            }
            Some(half) => half,
            None => 0,
        }
    };

    /// Makes a ring with its buffers.
    ///
    /// Process context.
    ///
    /// # Safety
    ///
    /// - The result is dropped before `dev` is unbound, in process context, and not forgotten; with NAPI disabled,
    ///   if it is [attached](Self::attach).
    /// - The device is stopped before that, or at least does not access the ring and its buffers any more, if it
    ///   was told of the ring.
    pub(crate) unsafe fn new(dev: &'bound Device<Bound>, params: &Params<'_>) -> Result<Self> {
        if Self::BUFFER == 0 {
            return Err(EINVAL);
        }
        // CAST: u32 fits.
        let entries = params.entries as usize;
        // SAFETY: The pool becomes a part of the result, for which our caller promises what the pool wants: it is
        // dropped before `dev` is unbound, in process context, not forgotten, with NAPI disabled if it is
        // attached, and when the device does not access its buffers any more.
        let pool = unsafe { B::new(dev, params) }?;
        let mut ring = Self {
            descs: Descs::new(DescRing::new(dev, entries)?, params.frame),
            posted: pool.posted(entries)?,
            pool,
            _dev: PhantomData,
        };
        ring.fill()?;
        Ok(ring)
    }

    /// Fills the ring.
    ///
    /// Where there is memory for some buffers only, NAPI asks for the others. Process context.
    fn fill(&mut self) -> Result {
        let Self {
            descs,
            posted,
            pool,
            ..
        } = self;
        while descs.lack.missing != 0 {
            let before = descs.lack.missing;
            pool.prepare()?;
            let bh = BhGuard::new()?;
            pool.enter(&bh.token(), |mut pool| {
                if let Some(mut posted) = pool.open(posted) {
                    descs.refill(&mut pool, &mut posted, FILL);
                }
            });
            if descs.lack.missing == before {
                break;
            }
        }
        if descs.fill <= SHORT {
            return Err(ENOMEM);
        }
        Ok(())
    }

    /// Takes all buffers back from the device, which is stopped.
    ///
    /// Process context.
    fn take_back(&mut self) {
        let Self {
            descs,
            posted,
            pool,
            ..
        } = self;
        // A batch at a time, for bottom halves are off meanwhile.
        for first in (0..descs.ring.entries()).step_by(FILL) {
            // There always is one in process context.
            let Ok(bh) = BhGuard::new() else {
                break;
            };
            pool.enter(&bh.token(), |mut pool| {
                let Some(mut posted) = pool.open(posted) else {
                    return;
                };
                for index in first..first.saturating_add(FILL) {
                    // SAFETY: The device does not write to the buffer any more: it was never told of the ring, or
                    // it is stopped, or at least the ring is, by the contracts of `new()` and `rewind()`.
                    if let Some(buf) = unsafe { posted.take(index) } {
                        pool.recycle_unused(buf);
                    }
                }
            });
        }
    }

    /// Frees what the device has sent, and returns whether no page of a pool is left in the transmit ring.
    ///
    /// Process context.
    ///
    /// # Safety
    ///
    /// - The ring of `tx` is that of `queue`, and what it has of a pool's pages is of this ring's pool.
    /// - NAPI is disabled, and this CPU does not hold the transmit queue's lock.
    pub(crate) unsafe fn clean_tx<T: TxDescriptor>(
        &mut self,
        queue: &Queue,
        tx: &TxSide<'bound, T>,
    ) -> bool {
        // There always is one in process context.
        let Ok(bh) = BhGuard::new() else {
            return false;
        };
        self.pool.enter(&bh.token(), |mut pool| {
            // SAFETY: Bottom halves are off, and by the safety requirement this CPU does not hold the lock.
            let locked = unsafe { queue.lock() };
            // SAFETY: By the safety requirement it is the ring of `queue`, whose lock `locked` is. It is used until
            // the lock is released, and asked for once.
            let Some(ring) = (unsafe { tx.get(&locked) }) else {
                return true;
            };
            ring.clean(&locked, Budget::NONE, &mut pool);
            !ring.has_pages()
        })
    }

    /// Makes a ring that the device has used as a new one, with the buffers of the same pool.
    ///
    /// The device is stopped, or at least this ring is. Process context.
    pub(crate) fn rewind(&mut self) -> Result {
        self.take_back();
        self.descs.reset();
        self.fill()
    }

    /// Lets the pool know that the queue's NAPI instance is the one that uses it.
    ///
    /// NAPI is disabled, and enabled after this.
    pub(crate) fn attach(&self, queue: &Queue) {
        self.pool.attach(queue);
    }

    /// Undoes [`attach`](Self::attach).
    ///
    /// NAPI is disabled.
    pub(crate) fn detach(&self) {
        self.pool.detach();
    }

    /// Returns what XDP has to know about the buffers.
    pub(crate) fn model(&self) -> Model {
        let (kind, pool) = self.pool.mem_model();
        Model {
            kind,
            pool,
            // CAST: At most a page.
            size: B::Layout::STRIDE as u32,
        }
    }

    /// Returns a handle to the pool's counters.
    pub(crate) fn pool_stats(&self) -> Stats {
        self.pool.stats()
    }

    /// Returns what the device has to know about the ring.
    pub(crate) fn describe(&self, queue: usize) -> Ring {
        let longest = self.descs.frame.max(Self::BUFFER);
        Ring::new(Side::Rx, queue, &self.descs.ring, Self::BUFFER, longest)
    }

    /// Gives the device its first buffers.
    pub(crate) fn start(&mut self, doorbell: impl FnOnce(u32)) {
        self.descs.ring_doorbell(doorbell);
    }

    /// Returns whether the device has too few buffers for the longest frame, so that it may raise no interrupt.
    #[inline]
    pub(crate) fn is_short(&self) -> bool {
        self.descs.posted() < Self::bounds(&self.descs).buffers()
    }

    /// What frames may be.
    fn bounds(descs: &Descs<D>) -> Bounds {
        Bounds {
            buffer: Self::BUFFER,
            frame: descs.frame,
        }
    }

    /// Processes up to `budget` packets, and what the device has sent.
    ///
    /// Returns how many packets there were.
    ///
    /// # Safety
    ///
    /// - The ring is that of the queue that is polled.
    /// - `tx` is the transmit ring of the same queue.
    #[inline(never)]
    pub(crate) unsafe fn poll<T: Operations<Rx = D>>(
        &mut self,
        ops: &T,
        napi: &mut Napi<'_>,
        tx: &TxSide<'bound, T::Tx>,
        budget: usize,
    ) -> usize {
        let Self {
            descs,
            posted,
            pool,
            ..
        } = self;
        let queue = napi.queue();
        // CAST: u32 fits.
        let index = queue.index as usize;
        let bh = napi.bh();
        let program = Program::of(napi);
        let stack = ToStack::new(napi);
        let mut poll = Poll::<T> {
            ops,
            napi,
            tx,
            budget,
            counts: Counts::default(),
            stack,
        };
        let done = pool.enter(&bh, |mut pool| {
            let Some(mut posted) = pool.open(posted) else {
                return 0;
            };
            let (pool, posted) = (&mut pool, &mut posted);
            poll.stack.prepare(pool, T::COPYBREAK);
            // SAFETY: By the safety requirement `poll.tx` is the transmit ring of the queue that `poll.napi`
            // stands for.
            unsafe {
                poll.tx.with(poll.napi, |ring, locked, budget| {
                    ring.clean(locked, budget, pool)
                })
            };
            // SAFETY: By the safety requirement `poll.tx` is the transmit ring of the queue that `poll.napi` stands for.
            let done = unsafe {
                match &program {
                    None => Self::to_stack(descs, pool, posted, &mut poll),
                    Some(program) => Self::decided(descs, pool, posted, &mut poll, program),
                }
            };
            descs.refill(pool, posted, usize::MAX);
            descs.ring_doorbell(|tail| ops.doorbell(Side::Rx, index, tail));
            done
        });
        let Poll { napi, counts, .. } = poll;
        if counts.sent() {
            // SAFETY: By the safety requirement `tx` is the transmit ring of the queue that `napi` stands for.
            unsafe {
                tx.with(napi, |ring, _, _| {
                    ring.ring_doorbell(|tail| ops.doorbell(Side::Tx, index, tail));
                })
            };
        }
        queue.rx.add(&counts);
        if descs.lack.missing != 0 {
            queue.rx.alloc_fail.inc();
        }
        done
    }
}

impl<'bound, D: RxDescriptor, B: Buffers<'bound>> RxRing<'bound, D, B> {
    /// Hands the packets of a poll to the stack, and returns how many there were.
    ///
    /// A loop for these, and one for those that a program decides about: so each has the registers.
    ///
    /// # Safety
    ///
    /// As for [`process`](Self::process).
    #[inline(never)]
    unsafe fn to_stack<'id, T: Operations<Rx = D>, O: Open<'id>>(
        descs: &mut Descs<D>,
        pool: &mut O,
        posted: &mut O::Ring<'_>,
        poll: &mut Poll<'_, '_, 'bound, T>,
    ) -> usize {
        // SAFETY: The requirement is that of the caller's.
        unsafe { Self::process(descs, pool, posted, poll, None) }
    }

    /// Does with the packets of a poll what a program says, and returns how many there were.
    ///
    /// # Safety
    ///
    /// As for [`process`](Self::process).
    #[inline(never)]
    unsafe fn decided<'id, T: Operations<Rx = D>, O: Open<'id>>(
        descs: &mut Descs<D>,
        pool: &mut O,
        posted: &mut O::Ring<'_>,
        poll: &mut Poll<'_, '_, 'bound, T>,
        program: &Program<'_>,
    ) -> usize {
        // SAFETY: The requirement is that of the caller's.
        unsafe { Self::process(descs, pool, posted, poll, Some(program)) }
    }

    /// Processes the packets of a poll, and returns how many there were.
    ///
    /// # Safety
    ///
    /// `poll.tx` is the transmit ring of the queue that `poll.napi` stands for.
    #[inline(always)]
    unsafe fn process<'id, T: Operations<Rx = D>, O: Open<'id>>(
        descs: &mut Descs<D>,
        pool: &mut O,
        posted: &mut O::Ring<'_>,
        poll: &mut Poll<'_, '_, 'bound, T>,
        program: Option<&Program<'_>>,
    ) -> usize {
        let ops = poll.ops;
        // CAST: u32 fits.
        let index = poll.napi.queue().index as usize;
        let mut done = 0usize;
        while done < poll.budget {
            let desc = descs.ring.at(descs.next);
            let Some(written) = D::completed(|word| desc.load(word)) else {
                break;
            };
            // Of what a program lets pass it is read later.
            let words = match program {
                None => desc.read(),
                Some(_) => Words::default(),
            };
            let Some(len) = descs.frames.packet(&written, Self::BUFFER) else {
                let bounds = Self::bounds(descs);
                // SAFETY: The requirement is that of the caller's.
                if !unsafe { poll.several(descs, pool, posted, program, bounds) } {
                    break;
                }
                done = done.wrapping_add(1);
                if descs.lack.missing >= descs.lack.left.wrapping_add(BATCH) {
                    descs.refill(pool, posted, usize::MAX);
                    descs.ring_doorbell(|tail| ops.doorbell(Side::Rx, index, tail));
                }
                continue;
            };
            // SAFETY: `completed()` has returned something. By the contract of the format the device has written the
            // descriptor back then, and does not touch its buffer again.
            let Some(buf) = (unsafe { descs.take(posted) }) else {
                break;
            };
            done = done.wrapping_add(1);

            if done % BATCH == 0 {
                descs.refill(pool, posted, usize::MAX);
                descs.ring_doorbell(|tail| ops.doorbell(Side::Rx, index, tail));
            }
            poll.count(len);
            // SAFETY: By the contract of the format the device has written the first `len` bytes, since it has reported
            // no error, and does not touch the buffer again. They fit: `packet()` lets none pass that is longer than
            // `BUFFER`, for which the layout has the room.
            let buf = unsafe { pool.sync_for_cpu(buf, len) };
            match program {
                None => poll.deliver(pool, buf, 0, words),
                // SAFETY: The requirement is that of the caller's.
                Some(program) => unsafe { poll.decide(program, pool, buf, descs) },
            }
        }
        done
    }
}

/// Each buffer goes back to the pool, and what that does not keep to the page allocator. The device is stopped.
/// Process context.
impl<'bound, D: RxDescriptor, B: Buffers<'bound>> core::ops::Drop for RxRing<'bound, D, B> {
    fn drop(&mut self) {
        self.take_back();
    }
}

impl<D: RxDescriptor> Descs<D> {
    /// Makes descriptors without a buffer.
    ///
    /// The ring is zeroed.
    fn new(ring: DescRing, frame: usize) -> Self {
        Self {
            next: 0,
            fill: 0,
            lack: Lack::of_all(&ring),
            told: 0,
            frames: Frames::default(),
            frame,
            _format: PhantomData,
            ring,
        }
    }

    /// As [`new`](Self::new), with the ring that is there.
    fn reset(&mut self) {
        self.ring.clear();
        (self.next, self.fill, self.told) = (0, 0, 0);
        self.lack = Lack::of_all(&self.ring);
        self.frames = Frames::default();
    }

    /// Returns how many descriptors have a buffer.
    #[inline]
    fn posted(&self) -> usize {
        self.ring.distance(self.next, self.fill)
    }

    /// Takes the buffer of the descriptor that the device has finished next.
    ///
    /// # Safety
    ///
    /// It has finished that one: it does not write to the buffer any more.
    #[inline(always)]
    unsafe fn take<B>(&mut self, posted: &mut impl buffers::Ring<B>) -> Option<B> {
        // SAFETY: By the safety requirement the device is done with the descriptor.
        let buf = unsafe { posted.take(self.next) }?;
        self.next = self.ring.after(self.next);
        self.lack.missing = self.lack.missing.wrapping_add(1);
        Some(buf)
    }

    /// Returns the descriptor that was taken last.
    ///
    /// It is as the device has left it: one descriptor is without a buffer at any time, and a refill ends before this
    /// one.
    fn last(&self) -> Words {
        self.ring.at(self.ring.before(self.next)).read()
    }

    /// Returns what the device has received, which is no packet in a single buffer.
    fn next(&mut self, bounds: Bounds) -> Next {
        let (first, posted) = (self.next, self.posted());
        let Self { ring, frames, .. } = self;
        frames.next(bounds, |n| {
            // A descriptor without a buffer may still say what it said in the last round.
            if n >= posted {
                return None;
            }
            let index = ring.ahead(first, n);
            D::completed(|word| ring.load(index, word))
        })
    }

    /// Gives buffers to the descriptors that have none, at most `max`, as far as there are any.
    ///
    /// A call for each batch, so that the loop over packets has the registers.
    #[inline(never)]
    fn refill<'id, O: Open<'id>>(&mut self, pool: &mut O, posted: &mut O::Ring<'_>, max: usize) {
        self.lack.failures = 0;
        // Not in memory until the end, where the descriptors that are written could be.
        let (mut fill, mut done) = (self.fill, 0usize);
        let want = self.lack.missing.min(max);
        while done < want {
            let buf = match pool.alloc() {
                Ok(buf) => buf,
                Err(AllocError::Limit) => {
                    self.lack.scarcity = Dropped::Limit;
                    break;
                }
                Err(_) => {
                    self.lack.scarcity = Dropped::NoPage;
                    self.lack.failures = self.lack.failures.wrapping_add(1);
                    if self.lack.failures >= TRIES {
                        break;
                    }
                    continue;
                }
            };
            let addr = match posted.post(fill, buf) {
                Ok(addr) => addr,
                Err(buf) => {
                    pool.recycle_unused(buf);
                    break;
                }
            };
            self.ring.store(fill, D::post(addr));
            fill = self.ring.after(fill);
            done = done.wrapping_add(1);
        }
        self.fill = fill;
        self.lack.missing = self.lack.missing.wrapping_sub(done);
        self.lack.left = self.lack.missing;
    }

    /// Rings the doorbell, if there are new buffers.
    #[inline]
    fn ring_doorbell(&mut self, doorbell: impl FnOnce(u32)) {
        if self.told != self.fill {
            self.told = self.fill;
            // CAST: A ring has no more entries than a u32 says.
            doorbell(self.fill as u32);
        }
    }
}

impl<T: Operations> Poll<'_, '_, '_, T> {
    /// Counts a packet.
    #[inline(always)]
    fn count(&mut self, len: usize) {
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
    /// `self.tx` is the transmit ring of the queue that `self.napi` stands for.
    #[cold]
    #[inline(never)]
    unsafe fn several<'id, O: Open<'id>>(
        &mut self,
        descs: &mut Descs<T::Rx>,
        pool: &mut O,
        posted: &mut O::Ring<'_>,
        program: Option<&Program<'_>>,
        bounds: Bounds,
    ) -> bool {
        let parts = match descs.next(bounds) {
            Next::Packet(parts) => parts,
            Next::Unfinished => return false,
            Next::Bad(buffers, error) => {
                for _ in 0..buffers {
                    // SAFETY: The device has finished so many descriptors, by the contract of the format.
                    if let Some(buf) = unsafe { descs.take(posted) } {
                        pool.recycle_unused(buf);
                    }
                }
                let errors = &mut self.counts.errors;
                *errors = errors.wrapping_add(error.into());
                return true;
            }
        };
        self.count(parts.lens().iter().sum());
        let short = descs.lack.missing > SHORT;
        let pressure = pool.pressure();
        let mut packet = None;
        for &len in parts.lens() {
            // SAFETY: The device has finished this descriptor: `next()` has asked.
            let Some(buf) = (unsafe { descs.take(posted) }) else {
                break;
            };
            if len == 0 {
                pool.recycle_unused(buf);
                continue;
            }
            // SAFETY: By the contract of the format the device has written the first `len` bytes, since it has
            // reported no error in the last buffer, and does not touch this one again. They fit, since `next()` has
            // looked: there is room for `bounds.buffer` bytes.
            let buf = unsafe { pool.sync_for_cpu(buf, len) };
            match &mut packet {
                // SAFETY: The pool is that of the ring, and so of the queue that is polled.
                None => packet = Some(unsafe { Buff::new(self.napi, pool, buf) }),
                // SAFETY: As above.
                Some(packet) => unsafe { packet.add(pool, buf) },
            }
        }
        let (Some(packet), words) = (packet, descs.last()) else {
            return true;
        };
        let Some(program) = program else {
            self.deliver_several(packet, pressure, words);
            return true;
        };
        let verdict = match program.run_several(self.napi, packet, pressure) {
            Action::Drop => Verdict::Drop,
            Action::Pass(packet, _) => {
                self.deliver_several(packet, pressure, words);
                Verdict::Pass
            }
            Action::Tx(_) if short => {
                program.tx_failed();
                self.counts.drop(descs.lack.scarcity);
                return true;
            }
            // SAFETY: By the safety requirement `self.tx` is the transmit ring of the queue that `self.napi` stands
            // for.
            Action::Tx(packet) => match unsafe { self.send_several(packet) } {
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

    /// As [`deliver`](Self::deliver), of a packet in several buffers.
    fn deliver_several(&mut self, packet: Buff<'_>, pressure: Pressure, words: Words) {
        self.stack.note::<T::Rx>(words);
        if !self.stack.receive_several(packet, pressure) {
            self.no_skb();
        }
    }

    /// As [`send_back`](Self::send_back), of a packet in several buffers. They are mapped once more, each.
    ///
    /// # Safety
    ///
    /// As there.
    unsafe fn send_several(&mut self, packet: Buff<'_>) -> Option<()> {
        let frame = packet.into_frame()?;
        let mut sent = None;
        // SAFETY: By the safety requirement `self.tx` is the transmit ring of the queue that `self.napi` stands for.
        unsafe {
            self.tx.with(self.napi, |ring, locked, _| {
                sent = ring.xmit_frame(locked, frame).ok();
            })
        };
        sent
    }

    /// Hands a packet to the stack.
    ///
    /// Compiled into the loop over packets, which the compiler would not do for two callers.
    #[inline(always)]
    fn deliver<'id, O: Open<'id>>(&mut self, pool: &mut O, buf: O::Cpu, meta: u32, words: Words) {
        self.stack.note::<T::Rx>(words);
        if !self.stack.receive(pool, buf, meta) {
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
        self.deliver(pool, buf, meta, descs.last());
    }

    #[cold]
    #[inline(never)]
    fn no_skb(&mut self) {
        self.counts.drop(Dropped::NoSkb);
        self.napi.queue().rx.alloc_fail.inc();
    }

    /// Lets an XDP program decide about a packet, and does what it says.
    ///
    /// # Safety
    ///
    /// `self.tx` is the transmit ring of the queue that `self.napi` stands for.
    #[inline]
    unsafe fn decide<'id, O: Open<'id>>(
        &mut self,
        program: &Program<'_>,
        pool: &mut O,
        buf: O::Cpu,
        descs: &Descs<T::Rx>,
    ) {
        let lack = &descs.lack;
        let verdict = match program.run(self.napi, pool, buf) {
            // Counted here: where all verdicts meet, the counter would have to be looked up.
            Action::Drop => return self.counts.verdict(Verdict::Drop),
            Action::Pass(buf, meta) => {
                self.pass(pool, buf, meta, descs);
                Verdict::Pass
            }
            Action::Tx(buf) => {
                let short = lack.missing > SHORT;
                let sent = if short {
                    Err(buf)
                } else {
                    // SAFETY: By the safety requirement `self.tx` is the transmit ring of the queue that
                    // `self.napi` stands for.
                    unsafe { self.send_back(pool, buf) }
                };
                match sent {
                    Ok(()) => Verdict::Tx,
                    Err(buf) => {
                        program.tx_failed();
                        pool.recycle(buf);
                        if short {
                            return self.counts.drop(lack.scarcity);
                        }
                        Verdict::Aborted
                    }
                }
            }
            Action::Redirect => Verdict::Redirect,
            Action::Aborted => Verdict::Aborted,
            Action::Refused => return self.counts.drop(lack.refused()),
        };
        self.counts.verdict(verdict);
    }

    /// Sends a packet back out of the device that it came from.
    ///
    /// # Safety
    ///
    /// `self.tx` is the transmit ring of the queue that `self.napi` stands for.
    #[inline]
    unsafe fn send_back<'id, O: Open<'id>>(
        &mut self,
        pool: &mut O,
        buf: O::Cpu,
    ) -> Result<(), O::Cpu> {
        let mut buf = Some(buf);
        // SAFETY: By the safety requirement `self.tx` is the transmit ring of the queue that `self.napi` stands
        // for.
        unsafe {
            self.tx.with(self.napi, |ring, locked, _| {
                if let Some(b) = buf.take() {
                    buf = ring.xmit_page(locked, pool, b).err();
                }
            })
        };
        buf.map_or(Ok(()), Err)
    }
}
