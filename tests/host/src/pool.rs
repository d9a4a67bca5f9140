// SPDX-License-Identifier: GPL-2.0

//! A page's ways through a pool, as `rust/page_pool/shared.rs` and `hook.rs` have them.
//!
//! Those two are full of the kernel and do not compile here, so what they decide is written down once
//! more, function by function under the same names. What they decide *with* is the shipping code: ring,
//! cache, list, limit and slot state. Left out are statistics, syncs, pools that do not recycle, and the
//! flags of a page.
//!
//! Everything that must have one owner at a time is an [`Exclusive`], and a mapping notices when it is
//! removed twice or outlived by its page's life in the pool. [`Mistake`]s can be planted, to see that
//! the tests would find them.

use crate::{
    cache::{Cache, REFILL},
    exclusive::Exclusive,
    limit::Limit,
    list::{List, END},
    platform::{AtomicBool, AtomicU32, AtomicUsize, Ordering},
    ptr_ring::PtrRing,
    state::SlotState,
};
use std::ptr::NonNull;

#[cfg(loom)]
use loom::{sync::RwLock, thread::yield_now};
#[cfg(not(loom))]
use std::{sync::RwLock, thread::yield_now};

/// A CPU without a ring: in hard interrupt context, or with interrupts off.
pub const INTERRUPT: usize = usize::MAX;

/// What could have been done wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// A returned page gets into the ring before it has its reference.
    FillBeforeRevive,
    /// The reference is given without release semantics.
    ReviveRelaxed,
    /// A return does not ask whether the slot is of this very page.
    NoPageCompare,
    /// A return to a pool that is being destroyed moves the slot with a load and a store.
    NoClaim,
    /// The loser of a claim does not wait until the winner has removed the mapping.
    NoWait,
    /// `destroy()` does not wait for those who have not seen that the pool is closed.
    NoGracePeriod,
    /// The audit does not ask for the tag.
    AuditClaimsAll,
    /// A page keeps its tag when it leaves the pool.
    KeepTag,
    /// A page that is the pool's can be given back.
    TakeBackAlways,
}

/// `struct page`, and what a test wants to know about the page.
pub struct Page {
    /// The first word: the slot's index + 1, or 0 for no tag.
    tag: AtomicUsize,
    count: AtomicU32,
    mapped: Exclusive<bool>,
    content: Exclusive<u64>,
    /// The page is the system's.
    free: Exclusive<bool>,
}

impl Page {
    fn new() -> Self {
        Self {
            tag: AtomicUsize::new(0),
            count: AtomicU32::new(0),
            mapped: Exclusive::new(false),
            content: Exclusive::new(0),
            free: Exclusive::new(true),
        }
    }
}

struct Slot {
    index: u32,
    /// Of the page, + 1.
    page: AtomicUsize,
    state: SlotState,
    next: AtomicU32,
}

struct NapiSide {
    cache: Cache<NonNull<Slot>>,
    free: Vec<u32>,
    chain: u32,
}

// SAFETY: The pointers are to slots of the pool that it is part of.
unsafe impl Send for NapiSide {}

/// A pool, with all pages of its system.
pub struct Pool {
    pages: Vec<Page>,
    slots: Vec<Slot>,
    rings: Vec<PtrRing<Slot>>,
    list: List,
    limit: Limit,
    open: AtomicBool,
    napi: Exclusive<NapiSide>,
    /// Readers are where the kernel has RCU readers; `synchronize_net()` is a writer.
    rcu: RwLock<()>,
    mistake: Option<Mistake>,
}

impl Pool {
    /// A pool of up to `slots` of the system's `pages`, with a ring of `ring` for each of `cpus`.
    pub fn new(pages: usize, slots: u32, cpus: usize, ring: usize) -> Self {
        Self {
            pages: (0..pages).map(|_| Page::new()).collect(),
            slots: (0..slots)
                .map(|index| Slot {
                    index,
                    page: AtomicUsize::new(0),
                    state: SlotState::new(),
                    next: AtomicU32::new(0),
                })
                .collect(),
            rings: (0..cpus).map(|_| PtrRing::new(ring).unwrap()).collect(),
            list: List::new(),
            limit: Limit::new(slots),
            open: AtomicBool::new(true),
            napi: Exclusive::new(NapiSide {
                cache: Cache::new(),
                free: (0..slots).rev().collect(),
                chain: END,
            }),
            rcu: RwLock::new(()),
            mistake: None,
        }
    }

    /// Does something wrong from now on.
    pub fn with(mut self, mistake: Option<Mistake>) -> Self {
        self.mistake = mistake;
        self
    }

    fn makes(&self, mistake: Mistake) -> bool {
        self.mistake == Some(mistake)
    }

    /// Uses a page, as only its owner may.
    pub fn touch(&self, page: usize) {
        self.pages[page].content.with(|content| *content += 1);
    }

    /// Takes another reference, from one that there is.
    pub fn get_page(&self, page: usize) {
        self.pages[page].count.fetch_add(1, Ordering::Relaxed);
    }

    /// Drops a reference; the last one is the hook's business. Returns whether the page was freed.
    pub fn put_page(&self, page: usize, cpu: usize) -> bool {
        if self.pages[page].count.fetch_sub(1, Ordering::AcqRel) != 1 {
            return false;
        }
        let _reader = self.rcu.read().unwrap();
        let tag = self.pages[page].tag.load(Ordering::Relaxed);
        if tag != 0
            && (self.take_back(page, tag - 1, cpu).is_some()
                || self.take_back_unusual(page, tag - 1, cpu))
        {
            return false;
        }
        self.pages[page].tag.store(0, Ordering::Relaxed);
        self.free(page);
        true
    }

    /// Drops the last reference by a way that the hook does not see. The page's next owner uses the
    /// word with the tag for something else.
    pub fn escape(&self, page: usize) {
        assert_eq!(self.pages[page].count.fetch_sub(1, Ordering::AcqRel), 1);
        self.pages[page].tag.store(0, Ordering::Relaxed);
    }

    /// The page goes back to the system.
    fn free(&self, page: usize) {
        let page = &self.pages[page];
        page.mapped
            .with(|mapped| assert!(!*mapped, "freed while it is mapped"));
        page.free
            .with(|free| assert!(!std::mem::replace(free, true), "freed twice"));
    }

    fn revive(&self, page: usize) {
        let order = if self.makes(Mistake::ReviveRelaxed) {
            Ordering::Relaxed
        } else {
            Ordering::Release
        };
        self.pages[page].count.store(1, order);
    }

    fn unrevive(&self, page: usize) -> bool {
        self.pages[page].count.fetch_sub(1, Ordering::AcqRel) == 1
    }

    /// Takes a page from the cache, or from what was returned.
    pub fn alloc(&self, cpu: usize) -> Option<usize> {
        self.napi.with(|napi| {
            if napi.cache.count() == 0 {
                self.collect(napi, cpu);
            }
            let slot = self.slot(napi.cache.pop()?);
            let page = slot.page.load(Ordering::Relaxed) - 1;
            assert!(slot.state.is_pool(), "not the pool's");
            Some(page)
        })
    }

    /// Brings one page of the system into the cache. `false`: the limit is reached.
    pub fn grow(&self, page: usize) -> bool {
        self.napi
            .with(|napi| self.limit.take(1) != 0 && self.adopt(napi, page))
    }

    fn adopt(&self, napi: &mut NapiSide, index: usize) -> bool {
        let page = &self.pages[index];
        page.free
            .with(|free| assert!(std::mem::replace(free, false), "not the system's"));
        page.count.store(1, Ordering::Relaxed);
        // The limit says that there is a free slot.
        let slot = &self.slots[self.free_slot(napi).unwrap() as usize];
        page.mapped.with(|mapped| *mapped = true);
        page.tag.store(slot.index as usize + 1, Ordering::Relaxed);
        slot.page.store(index + 1, Ordering::Relaxed);
        slot.state.fill();
        napi.cache.put(slot.into()).is_ok()
    }

    fn free_slot(&self, napi: &mut NapiSide) -> Option<u32> {
        if napi.free.is_empty() {
            let free = self.slots.iter().filter(|slot| slot.state.is_free());
            napi.free.extend(free.map(|slot| slot.index));
        }
        napi.free.pop()
    }

    /// Gives a page to the stack.
    pub fn into_stack(&self, page: usize) {
        let count = self.pages[page].count.load(Ordering::Relaxed);
        assert_eq!(count, 1, "references");
        self.slot_of(page).state.hand_out();
    }

    /// Gives a page back that the driver has.
    pub fn recycle(&self, page: usize, cpu: usize) {
        let slot = self.slot_of(page);
        if self.napi.with(|napi| napi.cache.push(slot.into()).is_err()) {
            if let Some(page) = self.put_back(slot, cpu) {
                self.put_page(page, cpu);
            }
        }
    }

    fn collect(&self, napi: &mut NapiSide, cpu: usize) {
        let (before, from) = self.rings.split_at(cpu.min(self.rings.len()));
        for ring in from.iter().chain(before) {
            let want = REFILL.saturating_sub(napi.cache.count());
            let Some(spare) = napi.cache.spare().get_mut(..want) else {
                break;
            };
            // SAFETY: `napi` has one user, and so has the consumer's side.
            let got = unsafe { ring.consume_batched(spare) };
            // SAFETY: So many were just written.
            unsafe { napi.cache.added(got) };
        }
        if napi.chain == END {
            napi.chain = self.list.take_all();
        }
        while napi.cache.count() < REFILL {
            let Some(slot) = self.slots.get(napi.chain as usize) else {
                break;
            };
            napi.chain = slot.next.load(Ordering::Relaxed);
            napi.cache.put(slot.into()).unwrap();
        }
        for _ in 0..self.limit.excess() {
            let Some(slot) = napi.cache.take() else {
                break;
            };
            self.discard(napi, self.slot(slot));
        }
    }

    /// Gives a page back to the system that NAPI has.
    fn discard(&self, napi: &mut NapiSide, slot: &Slot) {
        let page = self.retire(slot);
        napi.free.push(slot.index);
        self.put_page(page, 0);
    }

    /// Gives the page that would be allocated next back to the system.
    pub fn shrink(&self) {
        self.napi.with(|napi| {
            if let Some(slot) = napi.cache.take() {
                self.discard(napi, self.slot(slot));
            }
        });
    }

    fn put_back(&self, slot: &Slot, cpu: usize) -> Option<usize> {
        // SAFETY: One thread stands for one CPU.
        match unsafe { self.rings[cpu].produce(slot.into()) } {
            Ok(()) => None,
            Err(_) => Some(self.retire(slot)),
        }
    }

    fn retire(&self, slot: &Slot) -> usize {
        let page = slot.page.load(Ordering::Relaxed) - 1;
        slot.state.retire();
        if !self.makes(Mistake::KeepTag) {
            self.pages[page].tag.store(0, Ordering::Relaxed);
        }
        self.unmap(slot);
        page
    }

    fn unmap(&self, slot: &Slot) {
        let page = slot.page.load(Ordering::Relaxed) - 1;
        pause();
        let mapped = &self.pages[page].mapped;
        mapped.with(|mapped| assert!(std::mem::replace(mapped, false), "unmapped twice"));
        pause();
        slot.state.unmapped();
        self.limit.give_back(1);
    }

    fn take_back(&self, page: usize, index: usize, cpu: usize) -> Option<()> {
        let slot = self.slots.get(index)?;
        // SAFETY: One thread stands for one CPU.
        let room = unsafe { self.rings.get(cpu)?.reserve() }?;
        let usual = self.is_of(slot, page)
            && self.open.load(Ordering::Acquire)
            && (slot.state.take_back() || self.makes(Mistake::TakeBackAlways));
        if !usual {
            return None;
        }
        pause();
        if self.makes(Mistake::FillBeforeRevive) {
            room.fill(slot.into());
            self.revive(page);
        } else {
            self.revive(page);
            room.fill(slot.into());
        }
        Some(())
    }

    fn take_back_unusual(&self, page: usize, index: usize, cpu: usize) -> bool {
        let slot = self.slots.get(index);
        let Some(slot) = slot.filter(|slot| self.is_of(slot, page)) else {
            return false;
        };
        pause();
        if !self.open.load(Ordering::Acquire) {
            return self.take_back_closed(slot, page);
        }
        if !slot.state.take_back() {
            return self.unbalanced(slot, page);
        }
        self.revive(page);
        if cpu >= self.rings.len() {
            self.list.push(slot.index, &slot.next);
            return true;
        }
        if self.put_back(slot, cpu).is_some() {
            return !self.unrevive(page);
        }
        true
    }

    fn is_of(&self, slot: &Slot, page: usize) -> bool {
        slot.page.load(Ordering::Relaxed) == page + 1 || self.makes(Mistake::NoPageCompare)
    }

    fn take_back_closed(&self, slot: &Slot, page: usize) -> bool {
        if self.makes(Mistake::NoClaim) {
            if slot.state.take_back() {
                pause();
                slot.state.retire();
                self.unmap(slot);
            }
        } else if slot.state.claim() {
            self.unmap(slot);
        } else if slot.state.is_pool() {
            return self.unbalanced(slot, page);
        }
        while slot.state.is_unmapping() && !self.makes(Mistake::NoWait) {
            yield_now();
        }
        false
    }

    fn unbalanced(&self, slot: &Slot, page: usize) -> bool {
        if !slot.state.is_pool() {
            return false;
        }
        self.revive(page);
        true
    }

    /// Removes the mappings of pages that escaped, and returns how many there were.
    pub fn audit(&self) -> usize {
        let mut escaped = 0;
        for slot in &self.slots {
            if !slot.state.is_out() {
                continue;
            }
            let page = &self.pages[slot.page.load(Ordering::Relaxed) - 1];
            let lost = page.tag.load(Ordering::Relaxed) != slot.index as usize + 1;
            if (lost || self.makes(Mistake::AuditClaimsAll)) && slot.state.claim() {
                escaped += 1;
                self.unmap(slot);
                // It was since it escaped.
                page.free.with(|free| *free = true);
            }
        }
        escaped
    }

    /// Ends the pool: no mapping is left. What is with the stack stays there.
    pub fn destroy(&self) {
        self.audit();
        self.open.store(false, Ordering::Release);
        if !self.makes(Mistake::NoGracePeriod) {
            drop(self.rcu.write().unwrap());
        }
        for slot in &self.slots {
            pause();
            if slot.state.is_pool() {
                self.put_page(self.retire(slot), 0);
            } else if slot.state.claim() {
                self.unmap(slot);
            }
        }
    }

    /// Makes the pool that comes next, in the same place and with the same id.
    pub fn reopen(&self) {
        for ring in &self.rings {
            // SAFETY: Nobody else uses the pool.
            while unsafe { ring.consume() }.is_some() {}
        }
        self.list.take_all();
        let free = (0..self.slots.len() as u32).rev().collect();
        self.napi.with(|napi| {
            *napi = NapiSide {
                cache: Cache::new(),
                free,
                chain: END,
            }
        });
        for slot in &self.slots {
            assert!(slot.state.is_free(), "a mapping is left");
            slot.page.store(0, Ordering::Relaxed);
        }
        assert_eq!(self.limit.owned(), 0, "a page is left");
        self.open.store(true, Ordering::Relaxed);
    }

    fn slot(&self, slot: NonNull<Slot>) -> &Slot {
        // SAFETY: Only pointers to the pool's own slots are in its cache.
        unsafe { slot.as_ref() }
    }

    /// The slot of a page that is the pool's.
    fn slot_of(&self, page: usize) -> &Slot {
        &self.slots[self.pages[page].tag.load(Ordering::Relaxed) - 1]
    }

    /// Whether the page is the system's.
    pub fn is_free(&self, page: usize) -> bool {
        self.pages[page].free.with(|free| *free)
    }

    /// The next owner of a page that escaped writes the very word into it that was its tag. Nobody does.
    pub fn leave_escape(&self, page: usize) {
        let page = &self.pages[page];
        page.free.with(|free| *free = false);
        page.count.store(1, Ordering::Relaxed);
        page.tag.store(1, Ordering::Relaxed);
    }

    /// How many pages are in the cache.
    pub fn cached(&self) -> usize {
        self.napi.with(|napi| napi.cache.count())
    }

    /// A limit that can be changed.
    pub fn limit(&self) -> &Limit {
        &self.limit
    }

    /// How many slots are free, the pool's, and out.
    pub fn states(&self) -> [usize; 3] {
        let count = |is: fn(&SlotState) -> bool| self.slots.iter().filter(|s| is(&s.state)).count();
        [
            count(SlotState::is_free),
            count(SlotState::is_pool),
            count(SlotState::is_out),
        ]
    }
}

/// Where a race may be won or lost; see [`crate::exclusive`].
fn pause() {
    #[cfg(not(loom))]
    crate::exclusive::pause();
}
