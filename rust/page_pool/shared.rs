// SPDX-License-Identifier: GPL-2.0

//! What the sides of a pool share.
//!
//! A pool has one NAPI side ([`supply`](crate::supply)) and any number of returners
//! ([`returns`](crate::returns)). The NAPI side owns the cache and is the consumer of all rings; each
//! CPU, with bottom halves off, is the producer of its own ring. So no path takes a lock.

use crate::{
    layout::Geometry,
    limit::Limit,
    napi_side::NapiSide,
    owned::Owned,
    pages::DmaDevice,
    params::{
        Mode,
        Params, //
    },
    rings::{
        Returns,
        ENTRIES,
        MANY_ENTRIES, //
    },
    slots::{
        self,
        Slot,
        Tag, //
    },
    stats::{
        self,
        Counter,
        NapiStats,
        SharedStats,
        Snapshot, //
    },
};
use core::{
    cell::UnsafeCell,
    ptr::NonNull, //
};
use kernel::{
    prelude::*,
    str::CString, //
};
use pp_bindings as bindings;

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

/// What the sides share.
///
/// # Invariants
///
/// - `napi` is used by whoever has the pool's [`Side`](crate::supply::Side), which is one at a time.
/// - Of slots it is the first ones of pages that the following is about.
/// - Every slot whose state is not `Free` holds a page that is tagged with `id` and the slot's
///   index, as long as the pool owns the page or nobody overwrote the tag.
/// - A slot in the cache, in a ring or on the list is in state `Pool` and is there once.
/// - A slot in state `Free` is once in the NAPI side's chain of free slots, or on the list `returns.freed`,
///   or is about to be put there by who freed it; as long as it is not, its page counts against the limit.
#[repr(C, align(64))]
pub(crate) struct Shared {
    pub(crate) napi: UnsafeCell<NapiSide>,
    pub(crate) stats: NapiStats,
    pub(crate) returns: Returns<Slot>,
    pub(crate) shared_stats: SharedStats,
    pub(crate) limit: Limit,
    pub(crate) dev: DmaDevice,
    pub(crate) mode: Mode,
    pub(crate) geometry: Geometry,
    /// See [`Params::ring`].
    pub(crate) ring: u32,
    pub(crate) id: u16,
    pub(crate) name: CString,
}

// SAFETY: `napi` is used by one side at a time, by the type invariant, and nothing in it is bound to a
// thread; all else is `Sync`.
unsafe impl Sync for Shared {}

impl Shared {
    /// Makes a pool whose slots are all free.
    ///
    /// May sleep.
    pub(crate) fn new(
        dev: DmaDevice,
        name: &CStr,
        params: Params,
        geometry: Geometry,
        id: u16,
    ) -> Result<Self> {
        let Params { pages, ring, mode } = params;
        let cpus = kernel::cpu::nr_cpu_ids() as usize;
        // INVARIANT: All slots are free and lead to each other, and nothing refers to any.
        Ok(Self {
            napi: UnsafeCell::new(NapiSide::new(cpus, mode)?),
            stats: NapiStats::default(),
            returns: Returns::new(
                // CAST: u32 fits.
                slots::table(pages as usize, geometry.buffers as usize)?,
                cpus,
                mode == Mode::Recycle,
                // SAFETY: It has no requirements: the result is a constant of the kernel's configuration.
                unsafe { bindings::rpp_page_flags_mask() },
                geometry.buffers,
                // What has payload alone may be mapped by a process.
                if geometry.headroom == 0 {
                    MANY_ENTRIES
                } else {
                    ENTRIES
                },
            )?,
            limit: Limit::new(pages),
            dev,
            shared_stats: SharedStats::default(),
            mode,
            geometry,
            ring,
            id,
            name: CString::try_from(name)?,
        })
    }

    /// Returns all slots, whatever is in them.
    pub(crate) fn slots(&self) -> &[Slot] {
        self.returns.slots()
    }

    /// Returns where a slot is, as a pointer that is good for all of the table.
    #[inline(always)]
    pub(crate) fn slot_ptr(&self, slot: &Slot) -> NonNull<Slot> {
        let address = core::ptr::from_ref(slot).addr();
        // SAFETY: The address is that of a slot of ours, which is not null.
        unsafe { NonNull::new_unchecked(self.slots().as_ptr().with_addr(address).cast_mut()) }
    }

    /// Returns whether somebody else than the pool has the page of a slot, or one of its buffers.
    fn is_out(&self, slot: &Slot) -> bool {
        slot.state.is_out() || slot.state.is_lent() && slots::has_others(slot.page())
    }

    /// Returns the slot at that address, if it is one of this pool's.
    ///
    /// The pointer may be any.
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

    pub(crate) fn index(&self, slot: &Slot) -> u32 {
        let offset =
            (core::ptr::from_ref(slot) as usize).wrapping_sub(self.slots().as_ptr() as usize);
        // CAST: There are at most `MAX_SLOTS` slots.
        (offset / core::mem::size_of::<Slot>()) as u32
    }

    /// Takes a page out of the pool: its destructor.
    ///
    /// The mapping is removed, the tag cleared, the slot free. It is for the caller to note the slot, and to
    /// count. The page is the caller's, and so are its references, one for each buffer; or it has none, as in the
    /// hook.
    pub(crate) fn retire(&self, slot: Owned) -> (&Slot, *mut bindings::page) {
        // SAFETY: By its type invariant the slot is in the table of a pool that exists. It was taken from this
        // pool's cache, rings or list, or found in its table, so that is ours, and there as long as `self`.
        let slot = unsafe { &*slot.into_raw().as_ptr() };
        let page = slot.page();
        // The tag first: who drops a reference too many, in an interrupt, would wait for the unmapping that it
        // has interrupted.
        // SAFETY: The slot was owned, so a reference to its page is ours; or we are in the hook, and it was the last.
        unsafe { Tag::clear(page) };
        slot.state.retire();
        self.unmap(slot);
        (slot, page)
    }

    /// As [`retire`](Self::retire), and leaves one reference of those to the page.
    pub(crate) fn take_out(&self, slot: Owned) -> (&Slot, *mut bindings::page) {
        let (slot, page) = self.retire(slot);
        // SAFETY: A page of the pool has a reference for each of its buffers, which are the caller's since it was
        // retired. One stays.
        unsafe { slots::put_spare(page, self.geometry.buffers.wrapping_sub(1)) };
        (slot, page)
    }

    /// Removes the mapping of a slot that the caller moved to `Unmapping`.
    #[inline]
    pub(crate) fn unmap(&self, slot: &Slot) {
        // SAFETY: `slot.dma()` is what `map()` has returned for the page in the slot, and stays as it is until the
        // slot is free. Only the one who moved the slot to `Unmapping` gets here, by our contract, so it is
        // unmapped once.
        unsafe { self.dev.unmap(slot.dma()) };
        slot.state.unmapped();
    }

    /// Notes a slot that is free, for the NAPI side to find, and that its page does not count any more.
    ///
    /// Any context.
    pub(crate) fn let_go(&self, slot: &Slot) {
        self.shared_stats.unmapped.inc_shared();
        TOTALS.unmapped.inc_shared();
        // Whoever may take a page finds a slot for it: so this comes first.
        self.returns.freed.push(self.index(slot), &slot.next);
        self.limit.give_back(1);
    }

    /// Puts another limit in force, for at most as many pages as the pool was made for.
    ///
    /// Pages above it go back to the system as they return. Any context.
    pub(crate) fn set_limit(&self, max: u32) -> Result {
        // CAST: u32 fits.
        if max as usize > self.slots().len() / self.geometry.buffers.max(1) as usize {
            return Err(ERANGE);
        }
        self.limit.set(max);
        Ok(())
    }

    /// Removes the mapping of a page that went past the hook, if that one did, so that its slot can be used again.
    ///
    /// For the NAPI side, since only that puts another page into a slot.
    pub(crate) fn reclaim_lost(&self, index: usize, slot: &Slot) {
        // A page that comes back leaves `Out` before it loses its tag: if this is still `Out`, it is the page
        // that was looked at.
        if self.is_lost(index, slot) && slot.state.claim() {
            self.shared_stats.escaped.inc_shared();
            TOTALS.escaped.inc_shared();
            self.unmap(slot);
            self.let_go(slot);
        }
    }

    /// Returns whether the slot is `Out` and its page has not got its tag: it went past the hook, or just comes
    /// back.
    fn is_lost(&self, index: usize, slot: &Slot) -> bool {
        // CAST: There are at most `MAX_SLOTS` slots.
        slot.state.is_out() && Tag::of(slot.page()) != Some(Tag::new(self.id, index as u32))
    }

    /// Returns whether the pool has `page` in its cache, in a ring, or on the list.
    pub(crate) fn has(&self, page: *mut bindings::page) -> bool {
        self.slots()
            .iter()
            .any(|slot| slot.page() == page && slot.state.is_pool())
    }

    /// Returns the pages that the pool has, wherever they are, and the most that it may have.
    pub(crate) fn owned(&self) -> (u32, u32) {
        (self.limit.owned(), self.limit.max())
    }

    /// Returns the pages that are with the stack, and how many of them look as if they were lost.
    ///
    /// The second number may include pages that are just coming back.
    pub(crate) fn outstanding(&self) -> (usize, usize) {
        let lost = self.slots().iter().enumerate();
        let lost = lost.filter(|(index, slot)| self.is_lost(*index, slot));
        (self.out().count(), lost.count())
    }

    /// Returns the slots whose pages are with the stack, or half of them, or were a moment ago.
    pub(crate) fn out(&self) -> impl Iterator<Item = &Slot> {
        self.slots().iter().filter(|slot| self.is_out(slot))
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
