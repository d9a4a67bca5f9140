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
    limit::{Limit, Pressure},
    list::{List, END},
    pages::{self, DmaDevice},
    platform::{array_from_fn, array_try_from_fn, Array, AtomicBool, Ordering},
    pool::Mode,
    ptr_ring::{PtrRing, MAX_BATCH},
    slots::{self, Slot, Tag},
    stats::{self, Counter, CpuStats, NapiStats, SharedStats, Snapshot},
    AllocError, HEADROOM, ROOM,
};
use core::{
    cell::UnsafeCell,
    ptr::{null_mut, NonNull},
};
use kernel::{ffi::c_ulong, prelude::*, str::CString};
use pp_bindings as bindings;

/// The rings need not hold all pages of a large pool: what does not fit is too much for one CPU's
/// caches anyway, and goes back to the system. (On the host all pools are large.)
const MAX_RING: usize = if cfg!(CONFIG_RUST) { 1024 } else { 4 };

/// Every so many refusals for the limit, the slots are audited.
const AUDIT_INTERVAL: u64 = 4096;

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
    /// Slots without a page. May lack some that other CPUs have freed.
    free: Array<u32>,
    /// The rest of what was taken from the list of interrupts' returns.
    chain: u32,
    /// How many pages came out of the rings so far.
    collected: u64,
}

/// One CPU's side.
struct PerCpu {
    ring: PtrRing<Slot>,
    stats: CpuStats,
}

/// What the sides share.
///
/// # Invariants
///
/// - `napi` is accessed by the one owner of the `PagePool` only.
/// - Every slot whose state is not `Free` holds a page that is tagged with `id` and the slot's
///   index, as long as the pool owns the page or nobody overwrote the tag.
/// - A slot in the cache, in a ring or on the list is in state `Pool` and is there once.
#[repr(C, align(64))]
pub(crate) struct Shared {
    pub(crate) napi: UnsafeCell<NapiSide>,
    pub(crate) stats: NapiStats,
    pub(crate) dev: DmaDevice,
    pub(crate) slots: Array<Slot>,
    cpus: Array<PerCpu>,
    list: List,
    pub(crate) limit: Limit,
    /// Whether pages are taken back. Not when the pool does not recycle, and not any more when it is
    /// being destroyed.
    open: AtomicBool,
    /// The flags that no page of the pool has.
    flags_mask: c_ulong,
    shared_stats: SharedStats,
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
        // It is taken from its end, the first slot first.
        let free = array_from_fn(count, |index| pages - 1 - index as u32)?;
        let need_sync = dev.need_sync();
        let mut cache = Cache::new();
        if need_sync || mode == Mode::AllocMap {
            cache.close();
        }

        // INVARIANT: All slots are free, and nothing refers to any.
        Ok(Self {
            napi: UnsafeCell::new(NapiSide {
                cache,
                need_sync,
                free,
                chain: END,
                collected: 0,
            }),
            stats: NapiStats::default(),
            dev,
            slots: slots::table(count)?,
            cpus: array_try_from_fn(kernel::cpu::nr_cpu_ids() as usize, |_| {
                Ok(PerCpu {
                    // It may be full with a batch less in it than its capacity.
                    ring: PtrRing::new(count.min(MAX_RING).saturating_add(MAX_BATCH))?,
                    stats: CpuStats::default(),
                })
            })?,
            list: List::new(),
            limit: Limit::new(pages),
            open: AtomicBool::new(mode == Mode::Recycle),
            // SAFETY: No requirements.
            flags_mask: unsafe { bindings::rpp_page_flags_mask() },
            shared_stats: SharedStats::default(),
            mode,
            id,
            name: CString::try_from(name)?,
        })
    }

    /// The slot at that address, if it is one of this pool's. The pointer may be any.
    #[inline]
    pub(crate) fn slot_at(&self, slot: *const Slot) -> Option<&Slot> {
        const SIZE: usize = core::mem::size_of::<Slot>();
        // An address below the table wraps to a large offset.
        let offset = (slot as usize).wrapping_sub(self.slots.as_ptr() as usize);
        if offset % SIZE != 0 {
            return None;
        }
        self.slots.get(offset / SIZE)
    }

    fn index(&self, slot: NonNull<Slot>) -> u32 {
        let offset = (slot.as_ptr() as usize).wrapping_sub(self.slots.as_ptr() as usize);
        // CAST: There are at most `MAX_SLOTS` slots.
        (offset / core::mem::size_of::<Slot>()) as u32
    }

    /// Brings pages into the empty cache and takes one of them.
    ///
    /// # Safety
    ///
    /// The caller is the NAPI side, with bottom halves off, on CPU `cpu`.
    #[cold]
    #[inline(never)]
    pub(crate) unsafe fn refill(&self, cpu: usize) -> Result<NonNull<Slot>, AllocError> {
        // SAFETY: The caller is the NAPI side, and does not hold a reference itself.
        let napi = unsafe { &mut *self.napi.get() };

        let slot = if self.mode == Mode::AllocMap {
            // SAFETY: By this function's requirement.
            unsafe { self.grow(napi, &mut [null_mut()]) }?
        } else if let Some(slot) = napi.cache.take() {
            // The cache is closed.
            self.stats.alloc_fast.inc();
            slot
        } else {
            // SAFETY: By this function's requirement.
            unsafe { self.collect(napi, cpu) };
            match napi.cache.take() {
                Some(slot) => {
                    self.stats.alloc_refill.inc();
                    slot
                }
                None => {
                    self.stats.alloc_empty.inc();
                    // SAFETY: By this function's requirement.
                    unsafe { self.grow(napi, &mut [null_mut(); REFILL]) }?
                }
            }
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

    /// How close the limit is, when it looks close without the pages that have come back: those are
    /// idle too.
    ///
    /// # Safety
    ///
    /// The caller is the NAPI side, with bottom halves off, on CPU `cpu`.
    #[cold]
    #[inline(never)]
    pub(crate) unsafe fn pressure(&self, cpu: usize) -> Pressure {
        // SAFETY: The caller is the NAPI side, and does not hold a reference itself.
        let napi = unsafe { &mut *self.napi.get() };
        // SAFETY: By this function's requirement.
        unsafe { self.collect(napi, cpu) };
        let returned = self
            .cpus
            .iter()
            .fold(0u64, |n, cpu| n.wrapping_add(cpu.stats.recycle_ring.get()));
        // A page is counted after it is in the ring, and may have been taken out before.
        let in_rings = returned.saturating_sub(napi.collected);
        // CAST: Both are at most the number of slots.
        let pressure = self
            .limit
            .pressure((napi.cache.count() as u32).saturating_add(in_rings as u32));
        if pressure != Pressure::None {
            self.stats.pressure.inc();
        }
        if pressure == Pressure::High {
            self.stats.pressure_high.inc();
        }
        pressure
    }

    /// Moves returned pages into the cache: from this CPU's ring, then the other CPUs', then the list.
    ///
    /// # Safety
    ///
    /// The caller is the NAPI side.
    unsafe fn collect(&self, napi: &mut NapiSide, cpu: usize) {
        let (before, from) = self.cpus.as_slice().split_at(cpu.min(self.cpus.len()));
        for other in Iterator::chain(from.iter(), before) {
            let want = REFILL.saturating_sub(napi.cache.count());
            let Some(spare) = napi.cache.spare().get_mut(..want) else {
                break;
            };
            // SAFETY: The NAPI side is the only consumer.
            let got = unsafe { other.ring.consume_batched(spare) };
            // SAFETY: So many were just written.
            unsafe { napi.cache.added(got) };
            napi.collected = napi.collected.wrapping_add(got as u64);
        }
        if napi.chain == END {
            napi.chain = self.list.take_all();
        }
        while napi.cache.count() < REFILL {
            let Some(slot) = self.slots.get(napi.chain as usize) else {
                break;
            };
            napi.chain = slot.next.load(Ordering::Relaxed);
            // There is room: the cache holds more than `REFILL`.
            let _ = napi.cache.put(slot.into());
        }
        for _ in 0..self.limit.excess() {
            let Some(slot) = napi.cache.take() else {
                break;
            };
            // SAFETY: The NAPI side owns what was in the cache.
            unsafe { self.discard(napi, slot) };
        }
    }

    /// Gives a page back to the system.
    ///
    /// # Safety
    ///
    /// The caller is the NAPI side, and owns `slot`.
    unsafe fn discard(&self, napi: &mut NapiSide, slot: NonNull<Slot>) {
        // SAFETY: We own the slot.
        let page = unsafe { self.retire(slot.as_ref()) };
        // There is room: the index came from there.
        let _ = napi.free.push_within_capacity(self.index(slot));
        // SAFETY: The pool's reference, which nobody else knows of any more.
        unsafe { pages::put(page) };
    }

    /// Puts another limit in force, for at most as many pages as the pool was made for. Pages above it
    /// go back to the system as they return. Any context.
    pub(crate) fn set_limit(&self, max: u32) -> Result {
        if max as usize > self.slots.len() {
            return Err(ERANGE);
        }
        self.limit.set(max);
        Ok(())
    }

    /// Takes as many pages from the system as `pages` has room for, maps them, and returns one of them.
    /// The others are in the cache.
    ///
    /// # Safety
    ///
    /// The caller is the NAPI side.
    unsafe fn grow(
        &self,
        napi: &mut NapiSide,
        pages: &mut [*mut bindings::page],
    ) -> Result<NonNull<Slot>, AllocError> {
        // CAST: At most `REFILL`.
        let granted = self.limit.take(pages.len() as u32);
        if granted == 0 {
            // Lost pages may be what is missing. Not each time, for a look at all slots takes long.
            if self.stats.alloc_limit.get() % AUDIT_INTERVAL == 0 {
                // SAFETY: We are the NAPI side.
                unsafe { self.audit() };
            }
            self.stats.alloc_limit.inc();
            return Err(AllocError::Limit);
        }

        let got = pages::alloc(&self.dev, &mut pages[..granted as usize]);
        let mut error = AllocError::NoMemory;
        let mut first = None;
        let mut filled = 0;
        for &page in pages.iter().take(got) {
            // SAFETY: We own the page.
            match unsafe { self.adopt(napi, page) } {
                Ok(slot) => {
                    filled += 1;
                    match first {
                        None => first = Some(slot),
                        // There is room: the cache was empty and holds more than `REFILL`.
                        Some(_) => drop(napi.cache.put(slot)),
                    }
                }
                Err(e) => {
                    // SAFETY: The page is still ours.
                    unsafe { pages::put(page) };
                    error = e;
                }
            }
        }
        self.limit.give_back(granted.saturating_sub(filled));
        // The first bounce buffer makes all mappings of the device need syncs.
        if !napi.need_sync && self.dev.need_sync() {
            napi.need_sync = true;
            napi.cache.close();
        }

        self.stats.mapped.add(u64::from(filled));
        TOTALS.mapped.add_shared(u64::from(filled));
        let slot = first.ok_or(error)?;
        self.stats.alloc_slow.inc();
        Ok(slot)
    }

    /// The constructor of a page: maps it, gives it a slot, tags it.
    ///
    /// # Safety
    ///
    /// The caller owns `page`, and keeps it when this fails.
    unsafe fn adopt(
        &self,
        napi: &mut NapiSide,
        page: *mut bindings::page,
    ) -> Result<NonNull<Slot>, AllocError> {
        // SAFETY: The page is valid.
        if unsafe { bindings::rpp_page_is_pfmemalloc(page) } {
            return Err(AllocError::NoMemory);
        }
        let index = self.free_slot(napi).ok_or(AllocError::NoMemory)?;
        let slot = self.slots.get(index as usize).ok_or(AllocError::NoMemory)?;
        // SAFETY: By the safety requirement.
        let Some(dma) = (unsafe { self.dev.map(page) }) else {
            // There is room, the index came from there.
            let _ = napi.free.push_within_capacity(index);
            return Err(AllocError::Mapping);
        };
        // SAFETY: The page is ours and the slot is free; `dma` is the page's mapping, and lowmem pages
        // (the allocation did not ask for highmem) have an address.
        unsafe {
            Tag::new(self.id, index).write(page);
            slot.fill(page, dma, bindings::rpp_page_address(page).cast());
        }
        Ok(slot.into())
    }

    /// A slot without a page.
    fn free_slot(&self, napi: &mut NapiSide) -> Option<u32> {
        if napi.free.is_empty() {
            // Other CPUs have freed some and could not say so here. All slots found are unknown to
            // the stack, as that is empty. There is room for as many as there are slots.
            for (index, slot) in self.slots.iter().enumerate() {
                if slot.state.is_free() {
                    let _ = napi.free.push_within_capacity(index as u32);
                }
            }
        }
        napi.free.pop()
    }

    /// Takes a page that the cache has no room for.
    ///
    /// # Safety
    ///
    /// The caller is the NAPI side, with bottom halves off, on CPU `cpu`, and owns `slot`.
    #[cold]
    #[inline(never)]
    pub(crate) unsafe fn spill(&self, slot: NonNull<Slot>, cpu: usize) {
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
        if let Some(page) = unsafe { self.put_back(slot, cpu) } {
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
        // SAFETY: We own the slot.
        unsafe { self.retire(slot.as_ref()) };
        let _ = napi.free.push_within_capacity(self.index(slot));
    }

    /// Puts a page into this CPU's ring. If that is full the page leaves the pool, and is returned.
    ///
    /// # Safety
    ///
    /// Bottom halves are off on CPU `cpu`, and the caller owns `slot`.
    #[inline]
    unsafe fn put_back(&self, slot: NonNull<Slot>, cpu: usize) -> Option<*mut bindings::page> {
        let Some(local) = self.cpus.get(cpu) else {
            // SAFETY: The caller owns the slot.
            return Some(unsafe { self.retire(slot.as_ref()) });
        };
        // SAFETY: This CPU is the only producer, and with bottom halves off there is only this code
        // on it: interrupts use the list.
        if let Err(slot) = unsafe { local.ring.produce(slot) } {
            local.stats.recycle_ring_full.inc();
            // SAFETY: The caller owns the slot.
            return Some(unsafe { self.retire(slot.as_ref()) });
        }
        local.stats.recycle_ring.inc();
        None
    }

    /// The destructor of a page: the mapping is removed, the tag cleared, the slot free.
    ///
    /// # Safety
    ///
    /// The caller owns `slot`, which is in state `Pool`, and with it the only reference to the page.
    #[cold]
    unsafe fn retire(&self, slot: &Slot) -> *mut bindings::page {
        let page = slot.page();
        slot.state.retire();
        // SAFETY: We are the only ones who have the page.
        unsafe { Tag::clear(page) };
        self.unmap(slot);
        page
    }

    /// Removes the mapping of a slot that the caller moved to `Unmapping`.
    fn unmap(&self, slot: &Slot) {
        // SAFETY: It was mapped when the slot was filled. Only the one who moved the slot to
        // `Unmapping` gets here, so it is unmapped once.
        unsafe { self.dev.unmap(slot.dma()) };
        slot.state.unmapped();
        self.shared_stats.unmapped.inc_shared();
        TOTALS.unmapped.inc_shared();
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
        let slot = self.slots.get(index)?;
        let local = self.cpus.get(cpu)?;
        // SAFETY: This CPU is the only producer, and with bottom halves off there is only this code
        // on it: interrupts use the list.
        let room = unsafe { local.ring.reserve() }?;
        // SAFETY: By this function's requirement the page is valid.
        let clean = || unsafe { slots::is_clean(page, self.flags_mask) };
        // Loading `open` pairs with the store in `destroy()`, by way of a grace period: whoever is here
        // without having seen it is done before the other side goes on.
        let usual = slot.page() == page
            && self.open.load(Ordering::Acquire)
            && clean()
            && slot.state.take_back();
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
        let Some(slot) = self.slots.get(index).filter(|slot| slot.page() == page) else {
            return false;
        };
        // See `take_back()`.
        if !self.open.load(Ordering::Acquire) {
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
            return false;
        }

        // SAFETY: The count is 0, and we dropped it.
        unsafe { slots::revive(page) };
        if cpu >= self.cpus.len() {
            self.shared_stats.returned_irq.inc_shared();
            // CAST: There are at most `MAX_SLOTS` slots.
            self.list.push(index as u32, &slot.next);
            return true;
        }
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

    /// Looks for pages that went past the hook: their slot is `Out`, but they have lost their tag.
    /// Removes their mappings, so that the slots can be used again.
    ///
    /// # Safety
    ///
    /// The caller is the NAPI side.
    pub(crate) unsafe fn audit(&self) {
        for slot in self.lost() {
            // A page that comes back leaves `Out` before it loses its tag, and only the NAPI side puts
            // another page into the slot: if this is still `Out`, it is the page that was looked at.
            if slot.state.claim() {
                self.shared_stats.escaped.inc_shared();
                TOTALS.escaped.inc_shared();
                self.unmap(slot);
            }
        }
    }

    /// Slots that are `Out`, and whose page has not got their tag.
    fn lost(&self) -> impl Iterator<Item = &Slot> {
        self.slots.iter().enumerate().filter_map(|(index, slot)| {
            if !slot.state.is_out() {
                return None;
            }
            // CAST: There are at most `MAX_SLOTS` slots.
            let tag = Tag::new(self.id, index as u32);
            // SAFETY: A `struct page` stays valid whoever has the page.
            (unsafe { Tag::of(slot.page()) } != Some(tag)).then_some(slot)
        })
    }

    /// Ends the pool: when this returns no mapping is left. Pages that are still with the stack stay
    /// there, and go to the page allocator when their last reference is dropped.
    ///
    /// # Safety
    ///
    /// The caller is the NAPI side, in process context, and the device does not write to the pool's
    /// pages any more. Only the registry may refer to the pool, and it has to let go of it after this.
    pub(crate) unsafe fn destroy(&self) {
        // SAFETY: The caller is the NAPI side.
        unsafe { self.audit() };
        self.open.store(false, Ordering::Release);
        // From here on whoever returns a page sees the flag.
        // SAFETY: Process context.
        unsafe { bindings::rpp_synchronize_net() };

        for slot in self.slots.iter() {
            if slot.state.is_pool() {
                // It is in the cache, in a ring, on the list, or it was posted to the device: all of
                // that is the NAPI side's now, so the slots' owner is the caller.
                // SAFETY: As argued, and so is the reference to the page.
                unsafe { pages::put(self.retire(slot)) };
                continue;
            }
            // With interrupts off, because one that returns this very page would wait for us.
            // SAFETY: Balanced below.
            let flags = unsafe { bindings::rpp_local_irq_save() };
            if slot.state.claim() {
                self.unmap(slot);
            }
            // SAFETY: Balances the above.
            unsafe { bindings::rpp_local_irq_restore(flags) };
        }
    }

    /// Whether the pool has `page` in its cache, in a ring, or on the list.
    pub(crate) fn has(&self, page: *mut bindings::page) -> bool {
        self.slots
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
        (self.out().count(), self.lost().count())
    }

    /// The slots whose pages are with the stack, or were a moment ago.
    pub(crate) fn out(&self) -> impl Iterator<Item = &Slot> {
        self.slots.iter().filter(|slot| slot.state.is_out())
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        stats::snapshot(
            &self.stats,
            &self.shared_stats,
            self.cpus.iter().map(|c| &c.stats),
            self.limit.owned(),
        )
    }
}
