// SPDX-License-Identifier: GPL-2.0

//! Where NAPI's pages come from: what came home, and else the page allocator, within the limit.
//!
//! An allocation looks into the cache (in `pool.rs`, compiled into the driver), then here: into the
//! rings, this CPU's first, into the list of what interrupts returned, and last it asks the page
//! allocator.

use crate::{
    cache::{
        Cache,
        REFILL, //
    },
    context::BhDisabled,
    limit::Pressure,
    list::END,
    owned::Owned,
    pages::{
        self,
        Batch, //
    },
    params::{
        Mode,
        Wait, //
    },
    platform::Ordering,
    rings::Sources,
    shared::{
        Shared,
        TOTALS, //
    },
    slots::{
        self,
        Slot,
        Tag, //
    },
    AllocError,
    HEADROOM,
    ROOM, //
};
use core::{
    marker::PhantomData,
    mem::MaybeUninit,
    ptr::NonNull, //
};
use kernel::prelude::*;
use pp_bindings as bindings;

/// How many slots an audit in softirq looks at.
const AUDIT: usize = REFILL;

/// Every so many refusals for the limit it does: one slot for each.
const AUDIT_INTERVAL: u64 = AUDIT as u64;

/// For so many packets a pool that could get no page says that its pages are scarce, unless it gets one
/// before. The driver asks again at its next poll at the latest, if it still lacks any.
const SCARCE: u32 = REFILL as u32;

/// What only the NAPI side of a pool touches.
///
/// # Invariants
///
/// - `free` is [`END`], or the number of the first slot of a chain of the pool's free slots.
/// - `chain` is [`END`], or the number of the first slot of a chain of the pool's slots in state `Pool`.
/// - Nobody else has either chain.
pub(crate) struct NapiSide {
    pub(crate) cache: Cache<Owned>,
    /// Whether a page of the pool needs syncs. Not all do of which the device has one: another mapping of it
    /// may have been bounced.
    pub(crate) need_sync: bool,
    /// For so many questions about the pressure the page allocator, or the mapping, counts as exhausted.
    scarce: u32,
    /// The first of the slots without a page that are known here; each leads to the next.
    free: u32,
    /// The rest of what was taken from the list of interrupts' returns.
    chain: u32,
    /// What has come back.
    pub(crate) sources: Sources,
    /// Pages that have left the pool, without mapping and tag, and count until they are freed. Also those
    /// that just come.
    pub(crate) batch: Batch,
    /// The slot that the next audit begins with.
    audited: usize,
}

impl NapiSide {
    /// Makes the side of a pool for `cpus` CPUs, all of whose slots are free.
    ///
    /// May sleep.
    pub(crate) fn new(cpus: usize, mode: Mode) -> Result<Self> {
        let mut cache = Cache::new();
        if mode == Mode::AllocMap {
            cache.close();
        }
        // INVARIANT: All slots are free, each leads to the next, and nothing has come back.
        Ok(Self {
            cache,
            need_sync: false,
            scarce: 0,
            free: 0,
            chain: END,
            sources: Sources::new(cpus)?,
            batch: Batch::new(),
            audited: 0,
        })
    }

    /// Returns how many pages nobody uses, as far as is known.
    #[inline(always)]
    pub(crate) fn idle(&self) -> u32 {
        // CAST: Both are at most the number of slots.
        (self.cache.count() as u32).wrapping_add(self.sources.home() as u32)
    }
}

/// The NAPI side of a pool.
///
/// A single pointer, since the fast path is compiled around it; and what is out of line takes it by value,
/// or it would have to be in memory for the callers that are not.
///
/// # Invariants
///
/// For as long as `'a` nobody else has the NAPI side of `shared`. So whoever has this is the only consumer of
/// the pool's rings, and what is owned there is of this pool.
pub(crate) struct Side<'a> {
    pub(crate) shared: &'a Shared,
    _napi: PhantomData<&'a mut NapiSide>,
}

impl<'a> Side<'a> {
    /// Takes the NAPI side.
    ///
    /// # Safety
    ///
    /// Nobody else has it for as long as `'a`.
    #[inline(always)]
    pub(crate) unsafe fn new(shared: &'a Shared) -> Self {
        // INVARIANT: By the safety requirement.
        Self {
            shared,
            _napi: PhantomData,
        }
    }

    /// Returns the same for a shorter time.
    #[inline(always)]
    pub(crate) fn again(&mut self) -> Side<'_> {
        // INVARIANT: `self` is borrowed meanwhile.
        Side {
            shared: self.shared,
            _napi: PhantomData,
        }
    }

    /// Returns what only this side touches.
    #[inline(always)]
    pub(crate) fn napi(&mut self) -> &mut NapiSide {
        // SAFETY: By the type invariant nobody else has the NAPI side for `'a`, which is what the cell holds. The
        // result borrows `self` mutably, so there is one at a time.
        unsafe { &mut *self.shared.napi.get() }
    }

    /// Brings pages into the empty cache and takes one of them.
    #[cold]
    #[inline(never)]
    pub(crate) fn refill(mut self, bh: BhDisabled<'_>) -> Result<Owned, AllocError> {
        let slot = if let Some(slot) = self.napi().cache.take() {
            // The cache is closed.
            self.shared.stats.alloc_fast.inc();
            slot
        } else {
            self.supply(bh.cpu())?
        };
        if self.napi().need_sync {
            // An address in the page, it cannot wrap.
            let dma = slot.dma().wrapping_add(HEADROOM as u64);
            self.shared.dev.sync_for_device(dma, ROOM);
        }
        Ok(slot)
    }

    /// As [`refill`](Self::refill), from elsewhere than the cache, on CPU `cpu`.
    #[inline(never)]
    fn supply(&mut self, cpu: usize) -> Result<Owned, AllocError> {
        self.collect(cpu);
        if let Some(slot) = self.napi().cache.take() {
            self.shared.stats.alloc_refill.inc();
            self.napi().scarce = 0;
            if self.shared.limit.excess() != 0 {
                self.shed();
            }
            return Ok(slot);
        }
        self.shared.stats.alloc_empty.inc();
        let slot = self.grow(Wait::Never);
        if slot.is_ok() {
            self.shared.stats.alloc_slow.inc();
        }
        self.napi().scarce = if slot.is_ok() { 0 } else { SCARCE };
        slot
    }

    /// Brings pages into the cache, if it is empty.
    ///
    /// Process context.
    pub(crate) fn prepare(&mut self) -> Result<(), AllocError> {
        if self.napi().cache.count() == 0 {
            let slot = self.grow(Wait::ForMemory)?;
            // The cache has just given it.
            let _ = self.napi().cache.put(slot);
        }
        Ok(())
    }

    /// Returns how close the limit is.
    ///
    /// What is home is idle, wherever it lies: in the cache, the rings, or the list. It may take as many questions
    /// as there are sources until a page that came home counts.
    #[inline]
    pub(crate) fn pressure(&mut self, bh: BhDisabled<'_>) -> Pressure {
        match self.shared.limit.pressure(self.napi().idle()) {
            Pressure::None if self.napi().scarce == 0 => Pressure::None,
            _ => self.again().pressure_slow(bh.cpu()),
        }
    }

    /// As [`pressure`](Self::pressure), when there seems to be some, on CPU `cpu`.
    #[cold]
    #[inline(never)]
    fn pressure_slow(mut self, cpu: usize) -> Pressure {
        let Shared {
            limit,
            returns,
            stats,
            ..
        } = self.shared;
        self.napi()
            .sources
            .look(returns.rings(), returns.listed.get());
        // Lost pages may be what is missing. When packets are copied for want of pages, none may be refused.
        self.audit(1);
        // There is something to give back, and the device's ring does not lack any.
        if limit.excess() != 0 && self.napi().scarce == 0 && self.napi().idle() != 0 {
            self.collect(cpu);
            self.shed();
        }
        let pressure = if self.napi().scarce != 0 {
            self.napi().scarce = self.napi().scarce.wrapping_sub(1);
            Pressure::High
        } else {
            limit.pressure(self.napi().idle())
        };
        if pressure != Pressure::None {
            stats.pressure.inc();
        }
        if pressure == Pressure::High {
            stats.pressure_high.inc();
        }
        pressure
    }

    /// Moves returned pages into the cache, up to [`REFILL`]: from the ring of this CPU, `cpu`, then the
    /// other CPUs', then the list.
    fn collect(&mut self, cpu: usize) {
        let shared = self.shared;
        let returns = &shared.returns;
        let NapiSide { cache, sources, .. } = self.napi();
        // SAFETY: By the type invariant we are the only NAPI side of this pool, whose `sources` make rings for its
        // `returns`, and for no others.
        unsafe { sources.make_wanted(returns) };

        let want = REFILL.saturating_sub(cache.count());
        if let Some(spare) = cache.spare().get_mut(..want) {
            // What is in a ring is owned by who takes it out.
            // SAFETY: `Owned` is a transparent wrapper of `NonNull<Slot>`, so the array may be written as one of
            // those. By the type invariant we are the only consumer of these rings.
            let got = unsafe {
                let spare =
                    &mut *(core::ptr::from_mut(spare) as *mut [MaybeUninit<NonNull<Slot>>]);
                sources.collect(returns.rings(), cpu, spare)
            };
            // SAFETY: The first `got` entries were just written. What was in a ring is in state `Pool` and in
            // nobody else's hands, so each of them is an `Owned`.
            unsafe { cache.added(got) };
            if got < want {
                self.collect_listed();
            }
        }
    }

    /// Moves pages from the list of interrupts' returns into the cache, up to [`REFILL`].
    fn collect_listed(&mut self) {
        let shared = self.shared;
        let napi = self.napi();
        if napi.chain == END {
            napi.chain = shared.returns.list.take_all();
        }
        let mut listed = 0u64;
        while napi.cache.count() < REFILL {
            let Some(slot) = shared.slots().get(napi.chain as usize) else {
                break;
            };
            napi.chain = slot.next.load(Ordering::Relaxed);
            listed = listed.wrapping_add(1);
            // SAFETY: The slot is in the table of this pool, which exists. Whoever puts a slot on the list owned
            // it, in state `Pool`, and does not use it any more; and only we take it off.
            let slot = unsafe { Owned::new(slot.into()) };
            // There is room: the cache holds more than `REFILL`.
            let _ = napi.cache.put(slot);
        }
        napi.sources.took_from_list(listed);
    }

    /// Takes as many pages from the page allocator as a refill brings, maps them, and returns one of them.
    ///
    /// The others are in the cache, which is empty before.
    #[inline(never)]
    fn grow(&mut self, wait: Wait) -> Result<Owned, AllocError> {
        self.free_leaving();
        let shared = self.shared;
        // CAST: It is 64.
        let granted = shared.limit.take(REFILL as u32);
        if granted == 0 {
            // Lost pages may be what is missing.
            if shared.stats.alloc_limit.get() % AUDIT_INTERVAL == 0 {
                self.audit(AUDIT);
            }
            shared.stats.alloc_limit.inc();
            return Err(AllocError::Limit);
        }

        // With pages that it does not reach the device works, but each packet is copied once more, for the
        // life of the pool: only for its ring, or if it has such pages already.
        let others = shared.limit.owned().saturating_sub(granted);
        let bounce = self.napi().need_sync || others < shared.ring;
        let NapiSide {
            cache,
            free,
            batch,
            need_sync,
            ..
        } = self.napi();
        batch.alloc(&shared.dev, granted as usize, wait, bounce);
        let (mut slots, tag) = (*free, Tag::new(shared.id, 0));
        // Where one fails, the others would not fare better.
        let (filled, error) = batch.take_each(cache.spare(), |page, va| {
            // SAFETY: By the type invariant the chain is of free slots, and ours. The batch has the only reference
            // to the page, whose address that is, and keeps it if this fails.
            unsafe { adopt(shared, &mut slots, tag, page, va) }
        });
        *free = slots;
        // SAFETY: The first `filled` entries were just written, each with the `Owned` that `adopt()` has made.
        unsafe { cache.added(filled) };
        batch.free();
        // CAST: At most `REFILL`.
        let filled = filled as u32;
        shared.limit.give_back(granted.saturating_sub(filled));
        // (The cache was empty.)
        let new = cache.entries().iter().map(|slot| slot.dma());
        if !*need_sync && shared.dev.need_sync(new) {
            *need_sync = true;
            cache.close();
            // A page keeps its bounce buffers wherever it is, and those are the whole system's.
            let share = shared.dev.bounce_pages() / 2;
            shared.limit.set(shared.limit.max().min(share));
        }

        shared.stats.mapped.add(u64::from(filled));
        TOTALS.mapped.add_shared(u64::from(filled));
        cache.take().ok_or(error.unwrap_or(AllocError::NoMemory))
    }

    /// Takes a page that the cache has no room for.
    #[cold]
    #[inline(never)]
    pub(crate) fn spill(mut self, slot: Owned, bh: BhDisabled<'_>) {
        if self.shared.mode == Mode::AllocMap {
            self.discard(slot);
            return;
        }
        // It may only be closed.
        let Err(slot) = self.napi().cache.put(slot) else {
            self.shared.stats.recycle_cached.inc();
            return;
        };
        self.shared.stats.recycle_cache_full.inc();
        // SAFETY: By the invariant of `BhDisabled` bottom halves are off on this CPU, whose number that is; or it
        // is one of no CPU.
        if let Some(page) = unsafe { self.shared.put_back(slot, bh.cpu()) } {
            // SAFETY: The page has left the pool: its slot is free, and the one reference to it is ours, and given
            // up here.
            unsafe { pages::put(page) };
        }
    }

    /// Prepares a page of a pool that does not recycle for the stack: it leaves the pool.
    #[cold]
    #[inline(never)]
    pub(crate) fn release_to_stack(mut self, slot: Owned) {
        let (slot, _) = self.shared.retire(slot);
        self.free_here(slot);
        self.shared.stats.unmapped.inc();
        TOTALS.unmapped.inc_shared();
        self.shared.limit.give_back(1);
    }

    /// Lets go of what is in the cache, as far as the pool has more than its limit.
    ///
    /// The device's ring may have to do with as many buffers less as were recycled since it was filled last.
    #[cold]
    fn shed(&mut self) {
        for _ in 0..self.shared.limit.excess() {
            let Some(slot) = self.napi().cache.take() else {
                break;
            };
            self.discard(slot);
        }
        self.free_leaving();
    }

    /// Lets go of a page: the page allocator gets it, with others.
    pub(crate) fn discard(&mut self, slot: Owned) {
        if self.napi().batch.is_full() {
            self.free_leaving();
        }
        let (slot, page) = self.shared.retire(slot);
        // SAFETY: The slot is free, so the page, with the one reference to it, is ours. There is room: a batch
        // that was full was emptied above.
        unsafe { self.napi().batch.push(page) };
        self.free_here(slot);
    }

    /// Gives the pages that were let go of to the page allocator.
    pub(crate) fn free_leaving(&mut self) {
        let count = self.napi().batch.free();
        if count != 0 {
            self.shared.stats.unmapped.add(count as u64);
            TOTALS.unmapped.add_shared(count as u64);
            // CAST: At most `REFILL`.
            self.shared.limit.give_back(count as u32);
        }
    }

    /// Notes a slot that is free, for the next page.
    fn free_here(&mut self, slot: &Slot) {
        slot.next.store(self.napi().free, Ordering::Relaxed);
        self.napi().free = self.shared.index(slot);
    }

    /// Looks for pages that went past the hook, in `count` slots: those that follow the ones of the last time.
    ///
    /// Removes their mappings, so that the slots can be used again.
    pub(crate) fn audit(&mut self, count: usize) {
        let slots = self.shared.slots();
        for _ in 0..count.min(slots.len()) {
            let index = self.napi().audited;
            self.napi().audited = index.wrapping_add(1) % slots.len().max(1);
            if let Some(slot) = slots.get(index) {
                // Nobody else puts another page into the slot.
                self.shared.reclaim_lost(index, slot);
            }
        }
    }
}

/// Puts a page into a slot: its constructor.
///
/// Maps it, gives it one of the slots that are `free`, and tags it. `tag` is that of slot 0.
///
/// # Safety
///
/// - `free` is the first of a chain of free slots of the pool, which is the caller's.
/// - The caller is the pool's NAPI side.
/// - The caller has the only reference to `page`, whose address is `va`, and keeps it when this fails.
#[inline(always)]
unsafe fn adopt(
    shared: &Shared,
    free: &mut u32,
    tag: Tag,
    page: *mut bindings::page,
    va: *mut u8,
) -> Result<Owned, AllocError> {
    if *free == END {
        *free = shared.returns.freed.take_all();
    }
    let index = *free;
    // SAFETY: By the safety requirement the caller has the only reference to the page, which is not tagged yet.
    let pfmemalloc = unsafe { slots::is_pfmemalloc(page) };
    let slot = shared.slots().get(index as usize);
    let slot = slot.filter(|_| !pfmemalloc).ok_or(AllocError::NoMemory)?;
    // SAFETY: By the safety requirement the caller has the only reference to the page. It is of order 0, as all
    // that the batch asks for.
    let dma = unsafe { shared.dev.map(page) }.ok_or(AllocError::Mapping)?;
    *free = slot.next.load(Ordering::Relaxed);
    // SAFETY: By the safety requirement the page is ours, so we may tag it, and the slot is free and from our
    // chain. `dma` is the page's mapping for the pool's device, and `va` its address. Then the slot is in state
    // `Pool`, in the pool's table, and nobody else knows of it.
    unsafe {
        tag.of_slot(index).write(page);
        slot.fill(page, dma, va);
        Ok(Owned::new(slot.into()))
    }
}
