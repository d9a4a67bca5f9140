// SPDX-License-Identifier: GPL-2.0

//! The receive engine: the ring of one queue, the pool that its buffers come from, and the poll.
//!
//! Everything that NAPI does for each packet is here, and compiles into the driver.

use crate::{
    buffers::{
        Buffers,
        Open,
        Params,
        Ring as _,
        Stats, //
    },
    deliver::ToStack,
    desc::{
        RxDescriptor,
        TxDescriptor,
        Words, //
    },
    descs::{
        Descs,
        BATCH,
        SHORT, //
    },
    dma::DescRing,
    frames::{
        Bounds,
        ETH_HLEN, //
    },
    heads::{
        Heads,
        Joined, //
    },
    napi::{
        Budget,
        Napi, //
    },
    netdev::{
        has_metadata,
        Operations,
        Ring,
        Side, //
    },
    outbox::Outbox,
    poll::Poll,
    queue::{
        Model,
        Queue, //
    },
    split,
    stats::Counts,
    txside::TxSides,
    xdp::Program, //
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
};

/// So many at once are posted while a ring is filled for the first time, with bottom halves off.
const FILL: usize = 64;

/// Returns what the card writes into half a page at most, if it can be kept to what there is room for.
pub(crate) const fn half<D: RxDescriptor>() -> Option<usize> {
    match D::HALF {
        Some(half) if half <= Half::ROOM => Some(half),
        _ => None,
    }
}

/// Returns the descriptor for a buffer of which the headers are in front.
#[inline(always)]
fn post<D: RxDescriptor>(_index: usize, addr: u64) -> Words {
    D::post(addr)
}

/// A receive ring, with the pool that its buffers come from.
pub(crate) struct RxRing<'bound, D: RxDescriptor, B: Buffers<'bound>, H: Heads = Joined> {
    descs: Descs<D>,
    heads: H,
    // Dropped before the pool, whose pages they are.
    posted: B::Posted,
    pool: B,
    _dev: PhantomData<&'bound ()>,
}

impl<'bound, D: RxDescriptor, B: Buffers<'bound>, H: Heads> RxRing<'bound, D, B, H> {
    /// Bytes of a frame that the card writes into a buffer at most. 0: it cannot use such buffers.
    const BUFFER: usize = {
        // What has headers in front becomes the head of an skb.
        assert!(B::Layout::HEAD != H::APART);
        match half::<D>() {
            _ if H::APART => match D::HEADER {
                Some(_) => B::Layout::ROOM,
                None => 0,
            },
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
            heads: H::new(dev, entries)?,
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
            heads,
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
                    descs.refill(&mut pool, &mut posted, FILL, |index, addr| {
                        heads.post::<D>(index, addr)
                    });
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

    /// Frees what the device has sent, and returns whether no page of a pool is left in the transmit rings.
    ///
    /// # Safety
    ///
    /// - The pages of a pool that `tx` has are of this ring's.
    /// - NAPI is disabled. Process context, and this CPU does not hold the rings' locks.
    pub(crate) unsafe fn clean_tx<T: TxDescriptor>(&mut self, tx: &TxSides<'bound, T>) -> bool {
        // There always is one in process context.
        let Ok(bh) = BhGuard::new() else {
            return false;
        };
        self.pool.enter(&bh.token(), |mut pool| {
            tx.each().fold(true, |sent, side| {
                // SAFETY: By the safety requirement this is process context, and this CPU does not hold the lock. To
                // clean a ring takes none.
                let pages = unsafe {
                    side.with_bh(|ring, locked| {
                        ring.clean(locked, Budget::NONE, &mut pool);
                        ring.has_pages()
                    })
                };
                sent && pages != Some(true)
            })
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
        let frame = self.descs.frame;
        let mut ring = Ring::new(Side::Rx, queue, &self.descs.ring, Self::BUFFER, frame);
        ring.header = D::HEADER.filter(|_| H::APART);
        ring
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
            first: if H::APART { 0 } else { ETH_HLEN },
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
    /// The ring is that of the queue that is polled, and so is `tx`.
    #[inline(never)]
    pub(crate) unsafe fn poll<T: Operations<Rx = D>>(
        &mut self,
        ops: &T,
        napi: &mut Napi<'_>,
        tx: &TxSides<'bound, T::Tx>,
        budget: usize,
    ) -> usize {
        let Self {
            descs,
            heads,
            posted,
            pool,
            ..
        } = self;
        let queue = napi.queue();
        // CAST: u32 fits.
        let index = queue.index as usize;
        let bh = napi.bh();
        let mut program = Program::of(napi, B::Layout::STRIDE);
        let stack = ToStack::new(napi);
        // INVARIANT: By the safety requirement.
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
            for side in tx.each() {
                // Where nothing is sent no lock is taken.
                if side.queue().is_sending() {
                    side.with(poll.napi, |ring, locked, budget| {
                        ring.clean(locked, budget, pool)
                    });
                }
            }
            // SAFETY: By the safety requirement the pool is that of the queue that is polled.
            let done = unsafe {
                match &mut program {
                    _ if H::APART => {
                        let bounds = Self::bounds(descs);
                        split::receive(descs, heads, pool, posted, &mut poll, bounds)
                    }
                    None => Self::to_stack(descs, pool, posted, &mut poll),
                    Some(program) => Self::decided(descs, pool, posted, &mut poll, program),
                }
            };
            descs.more(
                pool,
                posted,
                |index, addr| heads.post::<D>(index, addr),
                |tail| ops.doorbell(Side::Rx, index, tail),
            );
            done
        });
        let counts = poll.counts;
        queue.rx.add(&counts);
        if descs.lack.missing != 0 {
            queue.rx.alloc_fail.inc();
        }
        done
    }

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
        program: &mut Program<'_>,
    ) -> usize {
        // SAFETY: The requirement is that of the caller's.
        unsafe { Self::process(descs, pool, posted, poll, Some(program)) }
    }

    /// Processes the packets of a poll, and returns how many there were.
    ///
    /// # Safety
    ///
    /// The pool is that of the queue that is polled.
    #[inline(always)]
    unsafe fn process<'id, T: Operations<Rx = D>, O: Open<'id>>(
        descs: &mut Descs<D>,
        pool: &mut O,
        posted: &mut O::Ring<'_>,
        poll: &mut Poll<'_, '_, 'bound, T>,
        mut program: Option<&mut Program<'_>>,
    ) -> usize {
        let ops = poll.ops;
        // CAST: u32 fits.
        let index = poll.napi.queue().index as usize;
        let mut done = 0usize;
        let mut outbox = Outbox::new();
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
            if let Some(program) = &mut program {
                if const { has_metadata::<T>() } {
                    program.about(desc);
                }
            }
            let Some(len) = descs.packet(&written, ETH_HLEN, Self::BUFFER) else {
                let bounds = Self::bounds(descs);
                if let Some(program) = &program {
                    // In their order.
                    if !outbox.is_empty() {
                        poll.send_back(program, pool, &mut outbox, false);
                    }
                }
                // SAFETY: The requirement is that of the caller's.
                if !unsafe { poll.several(descs, pool, posted, program.as_deref_mut(), bounds) } {
                    break;
                }
                done = done.wrapping_add(1);
                if descs.lack.missing >= descs.lack.left.wrapping_add(BATCH) {
                    descs.more(pool, posted, post::<D>, |tail| {
                        ops.doorbell(Side::Rx, index, tail)
                    });
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
                descs.more(pool, posted, post::<D>, |tail| {
                    ops.doorbell(Side::Rx, index, tail)
                });
            }
            poll.count(len);
            // SAFETY: By the contract of the format the device has written the first `len` bytes, since it has reported
            // no error, and does not touch the buffer again. They fit: `packet()` lets none pass that is longer than
            // `BUFFER`, for which the layout has the room.
            let buf = unsafe { pool.sync_for_cpu(buf, len) };
            match &mut program {
                None => poll.deliver(pool, buf, 0, words),
                // SAFETY: The program has heard of the descriptor above, if it may ask.
                Some(program) => unsafe { poll.decide(program, pool, buf, descs, &mut outbox) },
            }
        }
        if let Some(program) = &program {
            if !outbox.is_empty() || poll.counts.sent() {
                poll.send_back(program, pool, &mut outbox, true);
            }
        }
        done
    }
}

/// Each buffer goes back to the pool, and what that does not keep to the page allocator. The device is stopped.
/// Process context.
impl<'bound, D: RxDescriptor, B: Buffers<'bound>, H: Heads> core::ops::Drop
    for RxRing<'bound, D, B, H>
{
    fn drop(&mut self) {
        self.take_back();
    }
}
