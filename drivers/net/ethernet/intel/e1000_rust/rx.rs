// SPDX-License-Identifier: GPL-2.0

//! The receive ring.

use crate::{
    desc::{Frames, Part, Received, BUFFER_SIZE},
    regs::{self, Bar},
};
use kernel::{
    device::{Bound, Device},
    io::Io,
    prelude::*,
};
use net::{
    dma::DescRing,
    napi::Napi,
    netdev::Operations,
    skb::{Checksum, RxSkBuff},
    xdp::{Program, Verdict},
};
use page_pool::{
    context::BhGuard, AllocError, CpuBuf, DeviceBuf, Mode, NapiPool, PagePool, Params, Posted,
    Stats,
};

/// A buffer holds the largest frame: Ethernet header, VLAN tag, and the CRC, which is not stripped on
/// all steppings.
pub(crate) const MAX_MTU: u32 = BUFFER_SIZE as u32 - 14 - 4 - 4;
const _: () = assert!(BUFFER_SIZE <= page_pool::ROOM);

/// The device hears of new buffers in batches of this many, since each register write is slow.
const BATCH: usize = 32;
/// When this many buffers are missing there are no pages, and none is given away: the device keeps some,
/// so it goes on raising interrupts. Packets for the stack are copied then. The smallest ring has more.
const SHORT: usize = 2 * BATCH;

/// What happened in one poll; counted once at its end.
#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) packets: u64,
    bytes: u64,
    errors: u64,
    pub(crate) dropped: [u64; 3],
    pub(crate) xdp: [u64; 5],
}

impl Counts {
    #[inline]
    fn drop(&mut self, reason: usize) {
        self.dropped[reason] = self.dropped[reason].wrapping_add(1);
    }
}

/// Places in [`Counts::dropped`]: why a good packet went no further. The pool has as many pages as it
/// may have, or nearly; the system has none for it; there was no memory for an skb.
pub(crate) const DROP_LIMIT: usize = 0;
pub(crate) const DROP_NO_PAGE: usize = 1;
pub(crate) const DROP_NO_SKB: usize = 2;

/// Places in [`Counts::xdp`].
pub(crate) const XDP_PASS: usize = 0;
pub(crate) const XDP_DROP: usize = 1;
pub(crate) const XDP_TX: usize = 2;
pub(crate) const XDP_REDIRECT: usize = 3;
pub(crate) const XDP_ABORTED: usize = 4;

/// The receive ring, with the pool that its buffers come from.
pub(crate) struct RxRing<'bound> {
    // Dropped before the pool, whose pages they are.
    descs: Descs,
    pool: PagePool<'bound>,
}

/// What the ring lacks.
struct Lack {
    /// Descriptors without a buffer, but for the one that stays empty.
    missing: usize,
    /// Why: the place in [`Counts::dropped`] for what is dropped because of that.
    scarcity: usize,
}

struct Descs {
    ring: DescRing<2>,
    posted: Posted,
    /// The descriptor that the device finishes next.
    next: usize,
    /// The descriptor that gets a buffer next. One always stays without: a tail that has caught up
    /// with the head means an empty ring.
    fill: usize,
    lack: Lack,
    /// What the device was told last.
    told: usize,
    frames: Frames,
}

impl<'bound> RxRing<'bound> {
    /// Allocates a ring and all of its buffers.
    pub(crate) fn new(
        dev: &'bound Device<Bound>,
        name: &CStr,
        entries: u32,
        mode: Mode,
    ) -> Result<Self> {
        let params = Params {
            // A ring's worth may be with the device, another one with the stack, and NAPI's cache
            // has to have something to recycle.
            pages: entries.saturating_mul(2).saturating_add(2048),
            ring: entries,
            mode,
        };
        // CAST: u32 fits.
        let entries = entries as usize;
        let mut pool = PagePool::new(dev, name, params)?;
        let mut descs = Descs {
            ring: DescRing::new(dev, entries)?,
            posted: pool.posted(entries)?,
            next: 0,
            fill: 0,
            lack: Lack {
                missing: entries.saturating_sub(1),
                scarcity: DROP_NO_PAGE,
            },
            told: 0,
            frames: Frames::default(),
        };
        // A batch at a time, for bottom halves are off meanwhile.
        while descs.lack.missing != 0 {
            let before = descs.lack.missing;
            let bh = BhGuard::new()?;
            pool.enter(&bh.token(), |mut pool| descs.refill(&mut pool, 64));
            if descs.lack.missing == before {
                return Err(ENOMEM);
            }
        }
        Ok(Self { descs, pool })
    }

    /// The pool's counters.
    pub(crate) fn pool_stats(&self) -> Stats {
        self.pool.stats()
    }

    /// Tells the device where the ring is, and that it is empty; before the receiver is turned on,
    /// for it may still know its last ring.
    pub(crate) fn program(&self, bar: &Bar<'_>) {
        let (addr, size) = (self.descs.ring.dma_addr(), self.descs.ring.size());
        // CAST: The two halves of the address; a size of at most 64 KiB.
        bar.write_reg(regs::RDBAL::from(addr as u32));
        bar.write_reg(regs::RDBAH::from((addr >> 32) as u32));
        bar.write_reg(regs::RDLEN::from(size as u32));
        bar.write_reg(regs::RDH::zeroed());
        bar.write_reg(regs::RDT::zeroed());
        bar.write_reg(regs::RDTR::zeroed());
        bar.write_reg(regs::RADV::from(8));
        bar.write_reg(regs::RXCSUM::zeroed().with_tuofl(true).with_ipofl(true));
    }

    /// Gives the device its first buffers.
    pub(crate) fn start(&mut self, bar: &Bar<'_>) {
        self.descs.tell(bar);
    }

    /// Processes up to `budget` packets. `tx` sends a packet back, and gives it back in turn if it
    /// cannot.
    #[inline]
    pub(crate) fn poll<D: Operations>(
        &mut self,
        bar: &Bar<'_>,
        napi: &mut Napi<'_, D>,
        budget: usize,
        mut clean: impl for<'id> FnMut(&mut Napi<'_, D>, &mut NapiPool<'id, '_>),
        mut tx: impl for<'id> FnMut(
            &mut Napi<'_, D>,
            &mut NapiPool<'id, '_>,
            CpuBuf<'id>,
        ) -> Result<(), CpuBuf<'id>>,
    ) -> (usize, Counts) {
        let Self { descs, pool } = self;
        let mut counts = Counts::default();
        let done = pool.enter(&napi.bh(), |mut pool| {
            let pool = &mut pool;
            clean(napi, pool);
            let xdp = napi.xdp();
            let mut done = 0usize;
            while done < budget {
                let desc = Received(descs.ring.load(descs.next, Received::WORD));
                if !desc.done() {
                    break;
                }
                let Some(buf) = pool.take(&mut descs.posted, descs.next) else {
                    break;
                };
                descs.next = descs.ring.after(descs.next);
                descs.lack.missing = descs.lack.missing.wrapping_add(1);
                done = done.wrapping_add(1);

                if done % BATCH == 0 {
                    descs.refill(pool, usize::MAX);
                    descs.tell(bar);
                }
                let Some(buf) = descs.accept(pool, buf, desc, &mut counts) else {
                    continue;
                };
                match &xdp {
                    None => deliver(napi, pool, buf, 0, checksum(desc), &mut counts),
                    Some(program) => run(
                        program,
                        napi,
                        pool,
                        buf,
                        desc,
                        &descs.lack,
                        &mut counts,
                        &mut tx,
                    ),
                }
            }
            descs.refill(pool, usize::MAX);
            descs.tell(bar);
            // A device without a single buffer raises no interrupt: poll until there is one. Only
            // when the system itself has no page, or the limit is 0, and recycling is off.
            if descs.fill == descs.next {
                done = budget;
            }
            done
        });
        let stats = napi.stats();
        stats.packets.add(counts.packets);
        stats.bytes.add(counts.bytes);
        stats
            .dropped
            .add(counts.dropped.iter().fold(0, |sum, n| n.wrapping_add(sum)));
        stats.errors.add(counts.errors);
        (done, counts)
    }
}

impl Descs {
    /// Gives buffers to the descriptors that have none, at most `max`, as far as there are any.
    #[inline]
    fn refill<'id>(&mut self, pool: &mut NapiPool<'id, '_>, max: usize) {
        for _ in 0..self.lack.missing.min(max) {
            let buf = match pool.alloc() {
                Ok(buf) => buf,
                Err(AllocError::Limit) => {
                    self.lack.scarcity = DROP_LIMIT;
                    break;
                }
                Err(_) => {
                    self.lack.scarcity = DROP_NO_PAGE;
                    break;
                }
            };
            self.ring.store(self.fill, 0, buf.dma_addr());
            self.ring.store(self.fill, Received::WORD, 0);
            pool.post(&mut self.posted, self.fill, buf);
            self.fill = self.ring.after(self.fill);
            self.lack.missing = self.lack.missing.wrapping_sub(1);
        }
    }

    /// Tells the device about new buffers.
    #[inline]
    fn tell(&mut self, bar: &Bar<'_>) {
        if self.told != self.fill {
            self.told = self.fill;
            // CAST: An index of at most 4096 entries.
            bar.write_reg(regs::RDT::from(self.fill as u32));
        }
    }

    /// Takes a packet from the device. What is none is counted, and its buffer goes back to the pool
    /// unseen.
    #[inline]
    fn accept<'id>(
        &mut self,
        pool: &mut NapiPool<'id, '_>,
        buf: DeviceBuf<'id>,
        desc: Received,
        counts: &mut Counts,
    ) -> Option<CpuBuf<'id>> {
        match self.frames.sort(desc) {
            Part::Packet(len) => {
                counts.packets = counts.packets.wrapping_add(1);
                // CAST: usize is u64 here.
                counts.bytes = counts.bytes.wrapping_add(len as u64);
                return Some(pool.sync_for_cpu(buf, len));
            }
            Part::Error => counts.errors = counts.errors.wrapping_add(1),
            Part::Fragment => {}
        }
        pool.recycle_unused(buf);
        None
    }
}

fn checksum(desc: Received) -> Checksum {
    if desc.checksum_is_right() {
        Checksum::Verified
    } else {
        Checksum::None
    }
}

/// Hands a packet to the stack.
#[inline]
fn deliver<'id, D: Operations>(
    napi: &Napi<'_, D>,
    pool: &mut NapiPool<'id, '_>,
    buf: CpuBuf<'id>,
    meta: u32,
    checksum: Checksum,
    counts: &mut Counts,
) {
    match RxSkBuff::from_buf(napi, pool, buf, meta) {
        Some(skb) => napi.receive(skb, checksum),
        None => counts.drop(DROP_NO_SKB),
    }
}

/// Lets an XDP program decide about a packet, and does what it says.
#[inline]
#[expect(clippy::too_many_arguments)]
fn run<'id, D: Operations>(
    program: &Program<'_>,
    napi: &mut Napi<'_, D>,
    pool: &mut NapiPool<'id, '_>,
    buf: CpuBuf<'id>,
    desc: Received,
    lack: &Lack,
    counts: &mut Counts,
    tx: &mut impl FnMut(
        &mut Napi<'_, D>,
        &mut NapiPool<'id, '_>,
        CpuBuf<'id>,
    ) -> Result<(), CpuBuf<'id>>,
) {
    let verdict = match program.run(napi, pool, buf) {
        Verdict::Drop => XDP_DROP,
        Verdict::Pass(buf, meta) => {
            deliver(napi, pool, buf, meta, checksum(desc), counts);
            XDP_PASS
        }
        Verdict::Tx(buf) => {
            let short = lack.missing > SHORT;
            match if short { Err(buf) } else { tx(napi, pool, buf) } {
                Ok(()) => XDP_TX,
                Err(buf) => {
                    program.tx_failed();
                    pool.recycle(buf);
                    if short {
                        return counts.drop(lack.scarcity);
                    }
                    XDP_ABORTED
                }
            }
        }
        Verdict::Redirect => XDP_REDIRECT,
        Verdict::Aborted => XDP_ABORTED,
        // So many are missing only when the last attempt to get some has failed.
        Verdict::Refused if lack.missing > BATCH => return counts.drop(lack.scarcity),
        Verdict::Refused => return counts.drop(DROP_LIMIT),
    };
    counts.xdp[verdict] = counts.xdp[verdict].wrapping_add(1);
}
