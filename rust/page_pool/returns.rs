// SPDX-License-Identifier: GPL-2.0

//! How pages come back, by the hook: from any CPU, in any context, at any time.

use crate::{
    owned::Owned,
    shared::{Shared, TOTALS},
    slots::{self, Slot}, //
};
use pp_bindings as bindings;

impl Shared {
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
            // SAFETY: It is the pool's since `take_back()`, and ours.
            let (slot, _) = self.retire(unsafe { Owned::new(slot.into()) });
            self.let_go(slot);
            return false;
        }

        // SAFETY: The count is 0, and we dropped it.
        unsafe { slots::revive(page) };
        // SAFETY: It is the pool's since `take_back()`, and ours. The CPU is as `put_back()` wants it.
        if unsafe { self.put_back(Owned::new(slot.into()), cpu) }.is_some() {
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

    /// Puts a page into the ring of CPU `cpu`, or on the list if there is none. If the ring is full the page
    /// leaves the pool, and is returned.
    ///
    /// # Safety
    ///
    /// Bottom halves are off on CPU `cpu`, or it is a number of no CPU.
    pub(crate) unsafe fn put_back(&self, slot: Owned, cpu: usize) -> Option<*mut bindings::page> {
        let Some(local) = self.returns.rings().get(cpu) else {
            self.returns.ask(cpu);
            self.returns.list.push(self.index(&slot), &slot.next);
            // Not before: what is counted is there.
            self.returns.listed.inc_shared();
            return None;
        };
        // SAFETY: This CPU is the only producer, and with bottom halves off there is only this code
        // on it: interrupts use the list.
        let Some(room) = (unsafe { local.ring.reserve() }) else {
            local.stats.recycle_ring_full.inc();
            let (slot, page) = self.retire(slot);
            self.let_go(slot);
            return Some(page);
        };
        room.fill(slot.into_raw());
        local.stats.recycle_ring.inc();
        None
    }
}
