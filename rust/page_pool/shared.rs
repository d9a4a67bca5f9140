// SPDX-License-Identifier: GPL-2.0

//! What the sides of a pool share, and the slow paths.
//!
//! A pool has one NAPI side and any number of returners. The NAPI side owns the cache and is the
//! consumer of all rings; each CPU, with bottom halves off, is the producer of its own ring. So no
//! path takes a lock.
//!
//! An allocation looks into the cache (in `pool.rs`, compiled into the driver), then here: into the
//! rings, this CPU's first, into the list of what interrupts returned, and last it asks the page
//! allocator, within the limit.

use crate::{
    cache::{Cache, REFILL},
    context::BhDisabled,
    limit::{Limit, Pressure},
    list::END,
    pages::{self, Batch, DmaDevice},
    platform::Ordering,
    pool::Mode,
    returns::{Returns, Sources},
    slots::{self, Slot, Tag},
    stats::{self, Counter, NapiStats, SharedStats, Snapshot},
    AllocError, HEADROOM, ROOM,
};
use core::{cell::UnsafeCell, ptr::NonNull};
use kernel::{prelude::*, str::CString};
use pp_bindings as bindings;

/// How many slots an audit in softirq looks at.
const AUDIT: usize = REFILL;

/// Every so many refusals for the limit it does: one slot for each.
const AUDIT_INTERVAL: u64 = AUDIT as u64;

/// For so many packets a pool that could get no page says that its pages are scarce, unless it gets one
/// before. The driver asks again at its next poll at the latest, if it still lacks any.
const SCARCE: u32 = REFILL as u32;

/// Over all pools, those that are gone included. When there is no pool as many pages were unmapped as
/// mapped, or a mapping has leaked; each pool ends with an audit, so what escaped is known by then.
pub(crate) static TOTALS: Totals = Totals {
    mapped: Counter::new(),
    unmapped: Counter::new(),
    escaped: Counter::new(),
    unbalanced: Counter::new(),
};

/// See [`TOTALS`].
pub(crate) struct Totals {
    pub(crate) mapped: Counter,
    pub(crate) unmapped: Counter,
    pub(crate) escaped: Counter,
    pub(crate) unbalanced: Counter,
}

/// What only the NAPI side touches.
pub(crate) struct NapiSide {
    pub(crate) cache: Cache<NonNull<Slot>>,
    /// Whether the device needs syncs; kept here so that the fast path need not ask.
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
    batch: Batch,
    /// The slot that the next audit begins with.
    audited: usize,
}

impl NapiSide {
    /// How many pages nobody uses, as far as is known.
    #[inline(always)]
    pub(crate) fn idle(&self) -> u32 {
        // CAST: Both are at most the number of slots.
        (self.cache.count() as u32).wrapping_add(self.sources.home() as u32)
    }
}

/// What the sides share.
///
/// # Invariants
///
/// - `napi` is accessed by the one owner of the `PagePool` only.
/// - Every slot whose state is not `Free` holds a page that is tagged with `id` and the slot's
///   index, as long as the pool owns the page or nobody overwrote the tag.
/// - A slot in the cache, in a ring or on the list is in state `Pool` and is there once.
/// - A slot in state `Free` is once in the chain that begins at `napi.free`, or on the list `returns.freed`,
///   or is about to be put there by who freed it; as long as it is not, its page counts against the limit.
#[repr(C, align(64))]
pub(crate) struct Shared {
    pub(crate) napi: UnsafeCell<NapiSide>,
    pub(crate) stats: NapiStats,
    pub(crate) returns: Returns<Slot>,
    shared_stats: SharedStats,
    pub(crate) limit: Limit,
    pub(crate) dev: DmaDevice,
    pub(crate) mode: Mode,
    pub(crate) id: u16,
    pub(crate) name: CString,
}

// SAFETY: `napi` is accessed by one side at a time, by the type invariant; all else is `Sync`.
unsafe impl Sync for Shared {}
// SAFETY: Nothing in it is bound to a thread.
unsafe impl Send for Shared {}

impl Shared {
    pub(crate) fn new(
        dev: DmaDevice,
        name: &CStr,
        pages: u32,
        mode: Mode,
        id: u16,
    ) -> Result<Self> {
        let count = pages as usize;
        let cpus = kernel::cpu::nr_cpu_ids() as usize;
        let need_sync = dev.need_sync();
        let mut cache = Cache::new();
        if need_sync || mode == Mode::AllocMap {
            cache.close();
        }
        let recycles = mode == Mode::Recycle;

        // INVARIANT: All slots are free and lead to each other, and nothing refers to any.
        Ok(Self {
            napi: UnsafeCell::new(NapiSide {
                cache,
                need_sync,
                scarce: 0,
                free: 0,
                chain: END,
                sources: Sources::new(cpus)?,
                batch: Batch::new(),
                audited: 0,
            }),
            stats: NapiStats::default(),
            // SAFETY: No requirements.
            returns: Returns::new(slots::table(count)?, cpus, recycles, unsafe {
                bindings::rpp_page_flags_mask()
            })?,
            limit: Limit::new(pages),
            dev,
            shared_stats: SharedStats::default(),
            mode,
            id,
            name: CString::try_from(name)?,
        })
    }

    /// All slots, whatever is in them.
    pub(crate) fn slots(&self) -> &[Slot] {
        self.returns.slots()
    }

    /// The slot at that address, if it is one of this pool's. The pointer may be any.
    #[inline]
    pub(crate) fn slot_at(&self, slot: *const Slot) -> Option<&Slot> {
        const SIZE: usize = core::mem::size_of::<Slot>();
        // An address below the table wraps to a large offset.
        let offset = (slot as usize).wrapping_sub(self.slots().as_ptr() as usize);
        if offset % SIZE != 0 {
            return None;
        }
        self.slots().get(offset / SIZE)
    }

    fn index(&self, slot: &Slot) -> u32 {
        let offset =
            (core::ptr::from_ref(slot) as usize).wrapping_sub(self.slots().as_ptr() as usize);
        // CAST: There are at most `MAX_SLOTS` slots.
        (offset / core::mem::size_of::<Slot>()) as u32
    }

    /// Brings pages into the empty cache and takes one of them.
    ///
    /// # Safety
    ///
    /// The caller is the NAPI side.
    #[cold]
    #[inline(never)]
    pub(crate) unsafe fn refill(&self, bh: BhDisabled<'_>) -> Result<NonNull<Slot>, AllocError> {
        // SAFETY: The caller is the NAPI side, and does not hold a reference itself.
        let napi = unsafe { &mut *self.napi.get() };

        let slot = if let Some(slot) = napi.cache.take() {
            // The cache is closed.
            self.stats.alloc_fast.inc();
            slot
        } else {
            // SAFETY: By this function's requirement.
            unsafe { self.supply(napi, bh.cpu()) }?
        };
        if napi.need_sync {
            // SAFETY: The slot is ours.
            let dma = unsafe { slot.as_ref() }.dma();
            // An address in the page, it cannot wrap.
            self.dev
                .sync_for_device(dma.wrapping_add(HEADROOM as u64), ROOM);
        }
        Ok(slot)
    }

    /// As [`refill`](Self::refill), from elsewhere than the cache.
    ///
    /// # Safety
    ///
    /// The caller is the NAPI side, with bottom halves off, on CPU `cpu`.
    #[inline(never)]
    unsafe fn supply(&self, napi: &mut NapiSide, cpu: usize) -> Result<NonNull<Slot>, AllocError> {
        // SAFETY: By this function's requirement.
        unsafe { self.collect(napi, cpu) };
        if let Some(slot) = napi.cache.take() {
            self.stats.alloc_refill.inc();
            napi.scarce = 0;
            if self.limit.excess() != 0 {
                self.shed(napi);
            }
            return Ok(slot);
        }
        self.stats.alloc_empty.inc();
        // SAFETY: By this function's requirement.
        let slot = unsafe { self.grow(napi) };
        napi.scarce = if slot.is_ok() { 0 } else { SCARCE };
        slot
    }

    /// How close the limit is. What is home is idle, wherever it lies: in the cache, the rings, or the list.
    /// It may take as many questions as there are sources until a page that came home counts.
    ///
    /// # Safety
    ///
    /// The caller is the NAPI side.
    #[inline]
    pub(crate) unsafe fn pressure(&self, bh: BhDisabled<'_>) -> Pressure {
        // SAFETY: The caller is the NAPI side, and does not hold a reference itself.
        let napi = unsafe { &*self.napi.get() };
        match self.limit.pressure(napi.idle()) {
            Pressure::None if napi.scarce == 0 => Pressure::None,
            // SAFETY: By this function's requirement.
            _ => unsafe { self.pressure_slow(bh.cpu()) },
        }
    }

    /// As [`pressure`](Self::pressure), when there seems to be some.
    ///
    /// # Safety
    ///
    /// The caller is the NAPI side, with bottom halves off, on CPU `cpu`.
    #[cold]
    #[inline(never)]
    unsafe fn pressure_slow(&self, cpu: usize) -> Pressure {
        // SAFETY: The caller is the NAPI side, and does not hold a reference itself.
        let napi = unsafe { &mut *self.napi.get() };
        let returns = &self.returns;
        napi.sources.look(returns.rings(), returns.listed.get());
        // There is something to give back, and the device's ring does not lack any.
        if self.limit.excess() != 0 && napi.scarce == 0 && napi.idle() != 0 {
            // SAFETY: By this function's requirement.
            unsafe { self.collect(napi, cpu) };
            self.shed(napi);
        }
        let pressure = if napi.scarce != 0 {
            napi.scarce = napi.scarce.wrapping_sub(1);
            Pressure::High
        } else {
            self.limit.pressure(napi.idle())
        };
        if pressure != Pressure::None {
            self.stats.pressure.inc();
        }
        if pressure == Pressure::High {
            self.stats.pressure_high.inc();
        }
        pressure
    }

    /// Moves returned pages into the cache, up to [`REFILL`]: from this CPU's ring, then the other CPUs',
    /// then the list.
    ///
    /// # Safety
    ///
    /// The caller is the NAPI side.
    unsafe fn collect(&self, napi: &mut NapiSide, cpu: usize) {
        let NapiSide { cache, sources, .. } = &mut *napi;
        sources.make_wanted(&self.returns);

        let want = REFILL.saturating_sub(cache.count());
        if let Some(spare) = cache.spare().get_mut(..want) {
            // SAFETY: The NAPI side is the only consumer.
            let got = unsafe { sources.collect(self.returns.rings(), cpu, spare) };
            // SAFETY: So many were just written.
            unsafe { cache.added(got) };
            if got < want {
                self.collect_listed(napi);
            }
        }
    }

    /// Moves pages from the list of interrupts' returns into the cache, up to [`REFILL`].
    fn collect_listed(&self, napi: &mut NapiSide) {
        if napi.chain == END {
            napi.chain = self.returns.list.take_all();
        }
        let mut listed = 0u64;
        while napi.cache.count() < REFILL {
            let Some(slot) = self.slots().get(napi.chain as usize) else {
                break;
            };
            napi.chain = slot.next.load(Ordering::Relaxed);
            listed = listed.wrapping_add(1);
            // There is room: the cache holds more than `REFILL`.
            let _ = napi.cache.put(slot.into());
        }
        napi.sources.took_from_list(listed);
    }

    /// Lets go of what is in the cache, as far as the pool has more than its limit. The device's ring may
    /// have to do with as many buffers less as were recycled since it was filled last.
    #[cold]
    fn shed(&self, napi: &mut NapiSide) {
        for _ in 0..self.limit.excess() {
            let Some(slot) = napi.cache.take() else {
                break;
            };
            // SAFETY: The NAPI side, whose reference the caller has, owns what was in the cache.
            unsafe { self.discard(napi, slot) };
        }
        self.free_leaving(napi);
    }

    /// Lets go of a page: the page allocator gets it, with others.
    ///
    /// # Safety
    ///
    /// The caller is the NAPI side, and owns `slot`.
    pub(crate) unsafe fn discard(&self, napi: &mut NapiSide, slot: NonNull<Slot>) {
        if napi.batch.is_full() {
            self.free_leaving(napi);
        }
        // SAFETY: We own the slot, and it is in the table.
        let slot = unsafe { slot.as_ref() };
        // SAFETY: As above, and there is room: see above.
        unsafe { napi.batch.push(self.retire(slot)) };
        self.free_here(napi, slot);
    }

    /// Gives the pages that were let go of to the page allocator.
    pub(crate) fn free_leaving(&self, napi: &mut NapiSide) {
        let count = napi.batch.free();
        if count != 0 {
            self.stats.unmapped.add(count as u64);
            TOTALS.unmapped.add_shared(count as u64);
            // CAST: At most `REFILL`.
            self.limit.give_back(count as u32);
        }
    }

    /// Notes a slot that is free, for the next page.
    fn free_here(&self, napi: &mut NapiSide, slot: &Slot) {
        slot.next.store(napi.free, Ordering::Relaxed);
        napi.free = self.index(slot);
    }

    /// Puts another limit in force, for at most as many pages as the pool was made for. Pages above it
    /// go back to the system as they return. Any context.
    pub(crate) fn set_limit(&self, max: u32) -> Result {
        if max as usize > self.slots().len() {
            return Err(ERANGE);
        }
        self.limit.set(max);
        Ok(())
    }

    /// Takes as many pages from the page allocator as a refill brings, maps them, and returns one of them.
    /// The others are in the cache, which is empty before.
    ///
    /// # Safety
    ///
    /// The caller is the NAPI side.
    #[inline(never)]
    unsafe fn grow(&self, napi: &mut NapiSide) -> Result<NonNull<Slot>, AllocError> {
        self.free_leaving(napi);
        // CAST: It is 64.
        let granted = self.limit.take(REFILL as u32);
        if granted == 0 {
            // Lost pages may be what is missing.
            if self.stats.alloc_limit.get() % AUDIT_INTERVAL == 0 {
                // SAFETY: We are the NAPI side.
                unsafe { self.audit(napi, AUDIT) };
            }
            self.stats.alloc_limit.inc();
            return Err(AllocError::Limit);
        }

        // With pages that it does not reach the device works, but each packet is copied once more, for the
        // life of the pool: only if it has no other, or has such already.
        let bounce = napi.need_sync || self.limit.owned() == granted;
        let NapiSide {
            cache, free, batch, ..
        } = &mut *napi;
        batch.alloc(&self.dev, granted as usize, bounce);
        let (mut slots, tag) = (*free, Tag::new(self.id, 0));
        // Where one fails, the others would not fare better.
        let (filled, error) = batch.take_each(cache.spare(), |page, va| {
            // SAFETY: We are the NAPI side, own the page, and that is its address.
            unsafe { self.adopt(&mut slots, tag, page, va) }
        });
        *free = slots;
        // SAFETY: So many were just written.
        unsafe { cache.added(filled) };
        batch.free();
        // CAST: At most `REFILL`.
        let filled = filled as u32;
        self.limit.give_back(granted.saturating_sub(filled));
        // The first bounce buffer makes all mappings of the device need syncs.
        if !napi.need_sync && self.dev.need_sync() {
            napi.need_sync = true;
            napi.cache.close();
            // A page keeps its bounce buffers wherever it is, and those are the whole system's.
            let share = self.dev.bounce_pages() / 2;
            self.limit.set(self.limit.max().min(share));
        }

        self.stats.mapped.add(u64::from(filled));
        TOTALS.mapped.add_shared(u64::from(filled));
        let slot = napi.cache.take();
        let slot = slot.ok_or(error.unwrap_or(AllocError::NoMemory))?;
        self.stats.alloc_slow.inc();
        Ok(slot)
    }

    /// The constructor of a page: maps it, gives it one of the slots that are `free`, tags it. `tag` is
    /// that of slot 0.
    ///
    /// # Safety
    ///
    /// The caller is the NAPI side, owns `page`, whose address is `va`, and keeps it when this fails.
    #[inline]
    unsafe fn adopt(
        &self,
        free: &mut u32,
        tag: Tag,
        page: *mut bindings::page,
        va: *mut u8,
    ) -> Result<NonNull<Slot>, AllocError> {
        if *free == END {
            *free = self.returns.freed.take_all();
        }
        let index = *free;
        // SAFETY: We own the page.
        let pfmemalloc = unsafe { slots::is_pfmemalloc(page) };
        let slot = self.slots().get(index as usize);
        let slot = slot.filter(|_| !pfmemalloc).ok_or(AllocError::NoMemory)?;
        // SAFETY: By the safety requirement.
        let dma = unsafe { self.dev.map(page) }.ok_or(AllocError::Mapping)?;
        *free = slot.next.load(Ordering::Relaxed);
        // SAFETY: The page is ours and the slot is free; `dma` is the page's mapping.
        unsafe {
            tag.of_slot(index).write(page);
            slot.fill(page, dma, va);
        }
        Ok(slot.into())
    }

    /// Takes a page that the cache has no room for.
    ///
    /// # Safety
    ///
    /// The caller is the NAPI side, and owns `slot`.
    #[cold]
    #[inline(never)]
    pub(crate) unsafe fn spill(&self, slot: NonNull<Slot>, bh: BhDisabled<'_>) {
        // SAFETY: The caller is the NAPI side, and does not hold a reference itself.
        let napi = unsafe { &mut *self.napi.get() };
        if self.mode == Mode::AllocMap {
            // SAFETY: By this function's requirement.
            unsafe { self.discard(napi, slot) };
            return;
        }
        // It may only be closed.
        let Err(slot) = napi.cache.put(slot) else {
            self.stats.recycle_cached.inc();
            return;
        };
        self.stats.recycle_cache_full.inc();
        // SAFETY: By this function's requirement.
        if let Some(page) = unsafe { self.put_back(slot, bh.cpu()) } {
            // SAFETY: The reference was the pool's, and is ours now.
            unsafe { pages::put(page) };
        }
    }

    /// Prepares a page of a pool that does not recycle for the stack: it leaves the pool.
    ///
    /// # Safety
    ///
    /// The caller is the NAPI side and owns `slot`.
    #[cold]
    #[inline(never)]
    pub(crate) unsafe fn release_to_stack(&self, slot: NonNull<Slot>) {
        // SAFETY: The caller is the NAPI side, and does not hold a reference itself.
        let napi = unsafe { &mut *self.napi.get() };
        // SAFETY: We own the slot, and it is in the table.
        let slot = unsafe { slot.as_ref() };
        // SAFETY: As above.
        unsafe { self.retire(slot) };
        self.free_here(napi, slot);
        self.stats.unmapped.inc();
        TOTALS.unmapped.inc_shared();
        self.limit.give_back(1);
    }

    /// Puts a page into the ring of CPU `cpu`, or on the list if there is none. If the ring is full the page
    /// leaves the pool, and is returned.
    ///
    /// # Safety
    ///
    /// The caller owns `slot`. Bottom halves are off on CPU `cpu`, or it is a number of no CPU.
    unsafe fn put_back(&self, slot: NonNull<Slot>, cpu: usize) -> Option<*mut bindings::page> {
        // SAFETY: The caller owns the slot, and it is in the table.
        let this = unsafe { slot.as_ref() };
        let Some(local) = self.returns.rings().get(cpu) else {
            self.returns.ask(cpu);
            self.returns.list.push(self.index(this), &this.next);
            // Not before: what is counted is there.
            self.returns.listed.inc_shared();
            return None;
        };
        // SAFETY: This CPU is the only producer, and with bottom halves off there is only this code
        // on it: interrupts use the list.
        if unsafe { local.ring.produce(slot) }.is_err() {
            local.stats.recycle_ring_full.inc();
            // SAFETY: The caller owns the slot.
            let page = unsafe { self.retire(this) };
            self.let_go(this);
            return Some(page);
        }
        local.stats.recycle_ring.inc();
        None
    }

    /// The destructor of a page: the mapping is removed, the tag cleared, the slot free. It is for the
    /// caller to note the slot, and to count.
    ///
    /// # Safety
    ///
    /// The caller owns `slot`, which is in state `Pool`, and with it the only reference to the page.
    unsafe fn retire(&self, slot: &Slot) -> *mut bindings::page {
        let page = slot.page();
        slot.state.retire();
        // SAFETY: We are the only ones who have the page.
        unsafe { Tag::clear(page) };
        self.unmap(slot);
        page
    }

    /// Removes the mapping of a slot that the caller moved to `Unmapping`.
    #[inline]
    fn unmap(&self, slot: &Slot) {
        // SAFETY: It was mapped when the slot was filled. Only the one who moved the slot to
        // `Unmapping` gets here, so it is unmapped once.
        unsafe { self.dev.unmap(slot.dma()) };
        slot.state.unmapped();
    }

    /// Notes a slot that is free, for the NAPI side to find, and that its page does not count any more.
    /// Any context.
    fn let_go(&self, slot: &Slot) {
        self.shared_stats.unmapped.inc_shared();
        TOTALS.unmapped.inc_shared();
        // Whoever may take a page finds a slot for it: so this comes first.
        self.returns.freed.push(self.index(slot), &slot.next);
        self.limit.give_back(1);
    }

    /// Takes back a page whose last reference was just dropped, if nothing is unusual about it: it goes
    /// into this CPU's ring. `None`: nothing has happened yet, and it is for
    /// [`take_back_unusual`](Self::take_back_unusual).
    ///
    /// On the path of each page that went to the stack: there is one way out for all that is unusual, so
    /// no register has to be saved.
    ///
    /// # Safety
    ///
    /// The page's count is 0 and the caller dropped it to 0. `cpu` is the current CPU with bottom
    /// halves off, or a number of no CPU in hard interrupt context or with interrupts off.
    #[inline]
    pub(crate) unsafe fn take_back(
        &self,
        page: *mut bindings::page,
        index: usize,
        cpu: usize,
    ) -> Option<()> {
        // That there is such a slot pairs with `close()` in `destroy()`, by way of a grace period: whoever is
        // here without having seen it is done before the other side goes on.
        let (slot, local) = self.returns.find(index, cpu)?;
        // SAFETY: This CPU is the only producer, and with bottom halves off there is only this code
        // on it: interrupts use the list.
        let room = unsafe { local.ring.reserve() }?;
        // SAFETY: By this function's requirement the page is valid.
        let clean = || unsafe { slots::is_clean(page, self.returns.flags_mask()) };
        let usual = slot.page() == page && clean() && slot.state.take_back();
        if !usual {
            return None;
        }
        // SAFETY: The count is 0, and we dropped it.
        unsafe { slots::revive(page) };
        room.fill(slot.into());
        local.stats.recycle_ring.inc();
        Some(())
    }

    /// Takes back a page whose last reference was just dropped. `true`: it is ours again.
    ///
    /// `false`: it is no page of this pool any more. It has no mapping and no tag, and the caller frees
    /// it.
    ///
    /// # Safety
    ///
    /// As for [`take_back`](Self::take_back).
    pub(crate) unsafe fn take_back_unusual(
        &self,
        page: *mut bindings::page,
        index: usize,
        cpu: usize,
    ) -> bool {
        let slot = self.slots().get(index);
        let Some(slot) = slot.filter(|slot| slot.page() == page) else {
            return false;
        };
        // See `take_back()`.
        if !self.returns.is_open() {
            // SAFETY: By this function's requirement.
            return unsafe { self.take_back_closed(slot, page) };
        }
        if !slot.state.take_back() {
            // SAFETY: By this function's requirement.
            return unsafe { self.unbalanced(slot, page) };
        }
        // SAFETY: The page is valid.
        if !unsafe { bindings::rpp_page_clean(page) } {
            self.shared_stats.released.inc_shared();
            // SAFETY: We own the slot since `take_back()`.
            unsafe { self.retire(slot) };
            self.let_go(slot);
            return false;
        }

        // SAFETY: The count is 0, and we dropped it.
        unsafe { slots::revive(page) };
        // SAFETY: By this function's requirement, and we own the slot.
        if unsafe { self.put_back(slot.into(), cpu) }.is_some() {
            // The page left the pool; its count goes back to what the caller found.
            // SAFETY: We are the only ones who have the page; nobody looks at the count in between
            // but speculative references, see `unrevive()`.
            return !unsafe { slots::unrevive(page) };
        }
        true
    }

    /// As [`take_back_unusual`](Self::take_back_unusual), when the pool is being destroyed and both sides
    /// want the slot, or does not recycle.
    ///
    /// # Safety
    ///
    /// As for [`take_back`](Self::take_back).
    unsafe fn take_back_closed(&self, slot: &Slot, page: *mut bindings::page) -> bool {
        if slot.state.claim() {
            self.shared_stats.released.inc_shared();
            self.unmap(slot);
            self.let_go(slot);
        } else if slot.state.is_pool() {
            // SAFETY: By this function's requirement.
            return unsafe { self.unbalanced(slot, page) };
        }
        // The other side has interrupts off while it removes a mapping, so this ends.
        while slot.state.is_unmapping() {
            // SAFETY: No requirements.
            unsafe { bindings::rpp_cpu_relax() };
        }
        false
    }

    /// The count of a page that is not with the stack reached 0: somebody dropped a reference that was
    /// the pool's.
    ///
    /// # Safety
    ///
    /// As for [`take_back`](Self::take_back).
    unsafe fn unbalanced(&self, slot: &Slot, page: *mut bindings::page) -> bool {
        if !slot.state.is_pool() {
            // The slot's page is another one by now, or the audit took this one for lost.
            return false;
        }
        self.shared_stats.unbalanced.inc_shared();
        TOTALS.unbalanced.inc_shared();
        // The pool still uses the page, so it has to stay.
        // SAFETY: The count is 0, and the caller dropped it.
        unsafe { slots::revive(page) };
        true
    }

    /// Looks for pages that went past the hook, in `count` slots: those that follow the ones of the last
    /// time. Removes their mappings, so that the slots can be used again.
    ///
    /// # Safety
    ///
    /// The caller is the NAPI side.
    pub(crate) unsafe fn audit(&self, napi: &mut NapiSide, count: usize) {
        let slots = self.slots();
        for _ in 0..count.min(slots.len()) {
            let index = napi.audited;
            napi.audited = index.wrapping_add(1) % slots.len().max(1);
            let Some(slot) = slots.get(index).filter(|slot| self.is_lost(index, slot)) else {
                continue;
            };
            // A page that comes back leaves `Out` before it loses its tag, and only the NAPI side puts
            // another page into the slot: if this is still `Out`, it is the page that was looked at.
            if slot.state.claim() {
                self.shared_stats.escaped.inc_shared();
                TOTALS.escaped.inc_shared();
                self.unmap(slot);
                self.let_go(slot);
            }
        }
    }

    /// Whether the slot is `Out` and its page has not got its tag: it went past the hook, or just comes
    /// back.
    fn is_lost(&self, index: usize, slot: &Slot) -> bool {
        // CAST: There are at most `MAX_SLOTS` slots.
        slot.state.is_out() && Tag::of(slot.page()) != Some(Tag::new(self.id, index as u32))
    }

    /// Ends the pool: when this returns no mapping is left. Pages that are still with the stack stay
    /// there, and go to the page allocator when their last reference is dropped.
    ///
    /// # Safety
    ///
    /// The caller is the NAPI side, in process context, and the device does not write to the pool's
    /// pages any more. Only the registry may refer to the pool, and it has to let go of it after this.
    pub(crate) unsafe fn destroy(&self) {
        // SAFETY: The caller is the NAPI side, and does not hold a reference itself.
        let napi = unsafe { &mut *self.napi.get() };
        // SAFETY: As above.
        unsafe { self.audit(napi, usize::MAX) };
        self.returns.close();
        // From here on whoever returns a page sees that.
        // SAFETY: Process context.
        unsafe { bindings::rpp_synchronize_net() };

        for slot in self.slots() {
            if napi.batch.is_full() {
                self.free_leaving(napi);
            }
            // With interrupts off, because one that drops a reference to this very page would wait for us.
            // SAFETY: Balanced below.
            let flags = unsafe { bindings::rpp_local_irq_save() };
            if slot.state.is_pool() {
                // It is in the cache, in a ring, on the list, or it was posted to the device: all of
                // that is the NAPI side's now, so the slots' owner is the caller.
                // SAFETY: As argued, and so is the reference to the page; there is room for it, as was
                // just seen.
                unsafe { napi.batch.push(self.retire(slot)) };
            } else if slot.state.claim() {
                self.unmap(slot);
                self.let_go(slot);
            }
            // SAFETY: Balances the above.
            unsafe { bindings::rpp_local_irq_restore(flags) };
        }
        self.free_leaving(napi);
    }

    /// Whether the pool has `page` in its cache, in a ring, or on the list.
    pub(crate) fn has(&self, page: *mut bindings::page) -> bool {
        self.slots()
            .iter()
            .any(|slot| slot.page() == page && slot.state.is_pool())
    }

    /// The pages that the pool has, wherever they are, and the most that it may have.
    pub(crate) fn owned(&self) -> (u32, u32) {
        (self.limit.owned(), self.limit.max())
    }

    /// The pages that are with the stack, and how many of them look as if they were lost. The second
    /// number may include pages that are just coming back.
    pub(crate) fn outstanding(&self) -> (usize, usize) {
        let lost = self.slots().iter().enumerate();
        let lost = lost.filter(|(index, slot)| self.is_lost(*index, slot));
        (self.out().count(), lost.count())
    }

    /// The slots whose pages are with the stack, or were a moment ago.
    pub(crate) fn out(&self) -> impl Iterator<Item = &Slot> {
        self.slots().iter().filter(|slot| slot.state.is_out())
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        stats::snapshot(
            &self.stats,
            &self.shared_stats,
            self.returns.rings().iter().map(|local| &local.stats),
            self.returns.listed.get(),
            self.limit.owned(),
        )
    }
}
