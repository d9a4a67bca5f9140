// SPDX-License-Identifier: GPL-2.0

//! The descriptors of a receive ring: which have a buffer, which the device has finished, and how many lack one.

use crate::{
    buffers::{
        self,
        Open,
        Ring as _, //
    },
    desc::{
        Completed,
        RxDescriptor,
        Words, //
    },
    dma::{
        Desc,
        DescRing, //
    },
    frames::{
        Bounds,
        Frames,
        Next,
        MAX_BUFFERS, //
    },
    netdev::MIN_RING,
    stats::Dropped, //
};
use core::marker::PhantomData;
use page_pool::AllocError;
use pp_bindings as bindings;

/// The device hears of new buffers in batches of this many, since each doorbell is slow.
pub(crate) const BATCH: usize = 32;
/// When this many buffers are missing there are no pages, and none is given away: the device keeps some,
/// so it goes on raising interrupts. Packets for the stack are copied then. The smallest ring has more.
pub(crate) const SHORT: usize = 2 * BATCH;
/// So many allocations may fail until a ring is left with the buffers that it has, for the time being. With one it
/// would stay nearly empty when each second one fails.
const TRIES: u32 = 4;

const _: () = assert!(MIN_RING as usize > SHORT + 1);
// CAST: A small number.
const _: () = assert!(MAX_BUFFERS <= 1 + bindings::RNET_MAX_PIECES as usize);

/// What the ring lacks.
pub(crate) struct Lack {
    /// Descriptors without a buffer, but for the one that stays empty.
    pub(crate) missing: usize,
    /// Why: what is dropped because of that counts as this.
    pub(crate) scarcity: Dropped,
    /// How many allocations have failed since the last attempt began to get them.
    failures: u32,
    /// How many were missing after that attempt.
    pub(crate) left: usize,
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
    pub(crate) fn refused(&self) -> Dropped {
        if self.left != 0 {
            self.scarcity
        } else {
            Dropped::Limit
        }
    }
}

/// The descriptors of a receive ring, of which the device has those with a buffer.
pub(crate) struct Descs<D: RxDescriptor> {
    pub(crate) ring: DescRing,
    /// The descriptor that the device finishes next.
    pub(crate) next: usize,
    /// The descriptor that gets a buffer next. One always stays without: a tail that has caught up
    /// with the head means an empty ring.
    pub(crate) fill: usize,
    pub(crate) lack: Lack,
    /// What the device was told last.
    told: usize,
    frames: Frames,
    /// The longest frame that is received, which may be in several buffers.
    pub(crate) frame: usize,
    _format: PhantomData<fn() -> D>,
}

impl<D: RxDescriptor> Descs<D> {
    /// Makes descriptors without a buffer.
    ///
    /// The ring is zeroed.
    pub(crate) fn new(ring: DescRing, frame: usize) -> Self {
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
    pub(crate) fn reset(&mut self) {
        self.ring.clear();
        (self.next, self.fill, self.told) = (0, 0, 0);
        self.lack = Lack::of_all(&self.ring);
        self.frames = Frames::default();
    }

    /// Returns how many descriptors have a buffer.
    #[inline]
    pub(crate) fn posted(&self) -> usize {
        self.ring.distance(self.next, self.fill)
    }

    /// Takes the buffer of the descriptor that the device has finished next.
    ///
    /// # Safety
    ///
    /// It has finished that one: it does not write to the buffer any more.
    #[inline(always)]
    pub(crate) unsafe fn take<B>(&mut self, posted: &mut impl buffers::Ring<B>) -> Option<B> {
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
    pub(crate) fn last(&self) -> Desc<'_> {
        self.ring.at(self.ring.before(self.next))
    }

    /// Returns what the device has received, which is no packet in a single buffer.
    pub(crate) fn received(&mut self, bounds: Bounds) -> Next {
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
    /// A call for each batch, so that the loop over packets has the registers. `post` makes the descriptor at an index for
    /// the buffer at an address.
    #[inline(never)]
    pub(crate) fn refill<'id, O: Open<'id>>(
        &mut self,
        pool: &mut O,
        posted: &mut O::Ring<'_>,
        max: usize,
        post: impl Fn(usize, u64) -> Words,
    ) {
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
            self.ring.store(fill, post(fill, addr));
            fill = self.ring.after(fill);
            done = done.wrapping_add(1);
        }
        self.fill = fill;
        self.lack.missing = self.lack.missing.wrapping_sub(done);
        self.lack.left = self.lack.missing;
    }

    /// Gives buffers to all descriptors that have none, as far as there are any, and rings the doorbell.
    #[inline(always)]
    pub(crate) fn more<'id, O: Open<'id>>(
        &mut self,
        pool: &mut O,
        posted: &mut O::Ring<'_>,
        post: impl Fn(usize, u64) -> Words,
        doorbell: impl FnOnce(u32),
    ) {
        self.refill(pool, posted, usize::MAX, post);
        self.ring_doorbell(doorbell);
    }

    /// Returns the length of the packet, if the device has received one in this buffer alone, as long as it may be.
    #[inline(always)]
    pub(crate) fn packet(
        &self,
        done: &Completed,
        shortest: usize,
        longest: usize,
    ) -> Option<usize> {
        self.frames.packet(done, shortest, longest)
    }

    /// Rings the doorbell, if there are new buffers.
    #[inline]
    pub(crate) fn ring_doorbell(&mut self, doorbell: impl FnOnce(u32)) {
        if self.told != self.fill {
            self.told = self.fill;
            // CAST: A ring has no more entries than a u32 says.
            doorbell(self.fill as u32);
        }
    }
}
