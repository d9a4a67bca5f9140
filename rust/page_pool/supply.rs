// SPDX-License-Identifier: GPL-2.0

//! Where NAPI's pages come from: what came home, and else the page allocator, within the limit.
//!
//! An allocation looks into the cache (in `pool.rs`, compiled into the driver), then here: into the
//! rings, this CPU's first, into the list of what interrupts returned, and last it asks the page
//! allocator.

use crate::{
    cache::REFILL,
    context::BhDisabled,
    frags::{
        self,
        Frag, //
    },
    layout::Geometry,
    limit::Pressure,
    list::END,
    napi_side::NapiSide,
    owned::Owned,
    pages,
    params::{
        Mode,
        Wait, //
    },
    platform::Ordering,
    shared::{
        Shared,
        TOTALS, //
    },
    slots::{
        self,
        Slot,
        Tag, //
    },
    AllocError, //
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

/// At how many pages a refill looks, whether somebody keeps them.
const LOOKS: usize = 4;

/// For so many packets a pool that could get no page says that its pages are scarce, unless it gets one
/// before. The driver asks again at its next poll at the latest, if it still lacks any.
const SCARCE: u32 = REFILL as u32;

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

    /// Brings pages into the empty cache and takes a buffer of them.
    #[cold]
    #[inline(never)]
    pub(crate) fn refill(mut self, bh: BhDisabled<'_>) -> Result<Frag, AllocError> {
        let frag = if let Some(frag) = self.napi().cache.take() {
            // The cache is closed.
            self.shared.stats.alloc_fast.inc();
            frag
        } else {
            self.supply(bh.cpu())?
        };
        if self.napi().need_sync {
            let Geometry { headroom, room, .. } = self.shared.geometry;
            // An address in the page, it cannot wrap. CAST: usize is u64 here.
            let dma = frag.dma().wrapping_add(headroom as u64);
            self.shared.dev.sync_for_device(dma, room);
        }
        Ok(frag)
    }

    /// As [`refill`](Self::refill), from elsewhere than the cache, on CPU `cpu`.
    #[inline(never)]
    fn supply(&mut self, cpu: usize) -> Result<Frag, AllocError> {
        self.collect(cpu);
        self.look_who_keeps();
        if let Some(frag) = self.napi().cache.take() {
            self.shared.stats.alloc_refill.inc();
            self.napi().scarce = 0;
            if self.shared.limit.excess() != 0 {
                self.shed();
            }
            return Ok(frag);
        }
        self.shared.stats.alloc_empty.inc();
        let frag = self.grow(Wait::Never);
        if frag.is_ok() {
            self.shared.stats.alloc_slow.inc();
        }
        self.napi().scarce = if frag.is_ok() { 0 } else { SCARCE };
        frag
    }

    /// Has a look at some of the pages that two packets share.
    ///
    /// A few for each refill: an estimate is of the last 64, so it takes a thousand packets.
    fn look_who_keeps(&mut self) {
        let shared = self.shared;
        let buffers = shared.geometry.buffers as usize;
        if buffers == 1 {
            return;
        }
        let slots = shared.slots();
        let Some(pages) = slots.len().checked_div(buffers) else {
            return;
        };
        for _ in 0..LOOKS {
            self.napi().kept.sample(pages, |page| {
                let slot = slots.get(page.wrapping_mul(buffers));
                slot.is_some_and(Slot::is_kept)
            });
        }
    }

    /// Brings pages into the cache, if it is empty.
    ///
    /// Process context.
    pub(crate) fn prepare(&mut self) -> Result<(), AllocError> {
        if self.napi().cache.count() == 0 {
            let frag = self.grow(Wait::ForMemory)?;
            // The cache has just given it.
            let _ = self.napi().cache.put(frag);
        }
        Ok(())
    }

    /// Returns how close the limit is.
    ///
    /// What is home is idle, wherever it lies: in the cache, the rings, or the list. It may take as many questions
    /// as there are sources until a page that came home counts.
    ///
    /// Pages have so many `buffers`.
    #[inline(always)]
    pub(crate) fn pressure(&mut self, buffers: u32, bh: BhDisabled<'_>) -> Pressure {
        match self.shared.limit.pressure(|| self.napi().idle(buffers)) {
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
            geometry,
            ..
        } = self.shared;
        self.napi()
            .sources
            .look(returns.rings(), returns.listed.get());
        // Lost pages may be what is missing. When packets are copied for want of pages, none may be refused.
        self.audit(1);
        // There is something to give back, and the device's ring does not lack any.
        if limit.excess() != 0 && self.napi().scarce == 0 && self.napi().idle(geometry.buffers) != 0
        {
            self.collect(cpu);
            self.shed();
        }
        let pressure = if self.napi().scarce != 0 {
            self.napi().scarce = self.napi().scarce.wrapping_sub(1);
            Pressure::High
        } else {
            limit.pressure(|| self.napi().idle(geometry.buffers))
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

        let buffers = shared.geometry.buffers;
        // CAST: u32 fits.
        let want = REFILL.saturating_sub(cache.count()) / buffers.max(1) as usize;
        if let Some(spare) = cache.spare().get_mut(..want) {
            // What is in a ring is owned by who takes it out.
            // SAFETY: `Frag` is a transparent wrapper of `NonNull<Slot>`, so the array may be written as one of
            // those. By the type invariant we are the only consumer of these rings.
            let got = unsafe {
                let spare =
                    &mut *(core::ptr::from_mut(spare) as *mut [MaybeUninit<NonNull<Slot>>]);
                sources.collect(returns.rings(), cpu, spare)
            };
            // SAFETY: The first `got` entries were just written, with slots. What was in a ring is in state `Pool`
            // and in nobody else's hands, so each of them is a page that is ours, with all of its buffers.
            unsafe { frags::divide(cache, got, buffers) };
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
        let buffers = shared.geometry.buffers;
        while napi.cache.count() < REFILL {
            let Some(slot) = shared.slots().get(napi.chain as usize) else {
                break;
            };
            napi.chain = slot.next.load(Ordering::Relaxed);
            listed = listed.wrapping_add(1);
            // There is room: the cache holds more than `REFILL`.
            if let Some(entry) = napi.cache.spare().first_mut() {
                // SAFETY: The slot is in the table of this pool, which exists. Whoever puts a slot on the list owned
                // it, in state `Pool`, and does not use it any more; and only we take it off. The first entry is
                // just written.
                unsafe {
                    entry.write(Frag::new(shared.slot_ptr(slot)));
                    frags::divide(&mut napi.cache, 1, buffers);
                }
            }
        }
        napi.sources.took_from_list(listed);
    }

    /// Takes as many pages from the page allocator as a refill brings, maps them, and returns one of them.
    ///
    /// The others are in the cache, which is empty before.
    #[inline(never)]
    fn grow(&mut self, wait: Wait) -> Result<Frag, AllocError> {
        self.free_leaving();
        let shared = self.shared;
        let buffers = shared.geometry.buffers.max(1);
        // CAST: It is 64.
        let granted = shared.limit.take(REFILL as u32 / buffers);
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
        // SAFETY: The first `filled` entries were just written, each with the page that `adopt()` has made ours.
        unsafe { frags::divide(cache, filled, buffers) };
        batch.free();
        // CAST: At most `REFILL`.
        let filled = filled as u32;
        shared.limit.give_back(granted.saturating_sub(filled));
        // (The cache was empty.)
        let new = cache.entries().iter().map(|frag| frag.dma());
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

    /// Takes a buffer that the cache has no room for.
    #[cold]
    #[inline(never)]
    pub(crate) fn spill(mut self, frag: Frag, bh: BhDisabled<'_>) {
        if self.shared.mode == Mode::AllocMap {
            self.discard(frag);
            return;
        }
        // It may only be closed.
        let Err(frag) = self.napi().cache.put(frag) else {
            self.shared.stats.recycle_cached.inc();
            return;
        };
        self.shared.stats.recycle_cache_full.inc();
        if self.shared.geometry.buffers > 1 {
            return self.drop_single(frag);
        }
        // SAFETY: The buffer, which is ours, is all of its page: so that is in state `Pool`, and nobody else has it.
        let slot = unsafe { Owned::new(frag.into_raw()) };
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
        let mut excess = self.shared.limit.excess();
        while excess != 0 {
            let Some(frag) = self.napi().cache.take() else {
                break;
            };
            if self.discard(frag) {
                excess = excess.wrapping_sub(1);
            }
        }
        self.free_leaving();
    }

    /// Lets go of a buffer: the page allocator gets its page, with others, if that is all ours.
    ///
    /// `false`: the other buffer of the page is in use.
    pub(crate) fn discard(&mut self, frag: Frag) -> bool {
        let slot = match self.own_page(frag) {
            Ok(slot) => slot,
            Err(frag) => {
                self.drop_single(frag);
                return false;
            }
        };
        if self.napi().batch.is_full() {
            self.free_leaving();
        }
        let (slot, page) = self.shared.retire(slot);
        // SAFETY: The slot is free, so the page, with the one reference to it, is ours. There is room: a batch
        // that was full was emptied above.
        unsafe { self.napi().batch.push(page) };
        self.free_here(slot);
        true
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
) -> Result<Frag, AllocError> {
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
        if shared.geometry.buffers > 1 {
            let stride = shared.geometry.stride;
            slots::get(page, 1);
            let second = Slot::other(shared.slot_ptr(slot));
            // CAST: usize is u64 here.
            second.as_ref().place(
                page,
                dma.wrapping_add(stride as u64),
                va.wrapping_add(stride),
            );
        }
        slot.fill(page, dma, va);
        Ok(Frag::new(shared.slot_ptr(slot)))
    }
}
