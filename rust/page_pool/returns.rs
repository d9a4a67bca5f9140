// SPDX-License-Identifier: GPL-2.0

//! How pages come back, by the hook: from any CPU, in any context, at any time.

use crate::{
    owned::Owned,
    shared::{
        Shared,
        TOTALS, //
    },
    slots::{
        self,
        Slot, //
    },
};
use pp_bindings as bindings;

impl Shared {
    /// Takes back a page whose last reference was just dropped, if nothing is unusual about it: it goes into this
    /// CPU's ring.
    ///
    /// `None`: nothing has happened yet, and it is for [`take_back_unusual`](Self::take_back_unusual).
    ///
    /// On the path of each page that went to the stack: there is one way out for all that is unusual, so
    /// no register has to be saved.
    ///
    /// # Safety
    ///
    /// - `page` is valid, its count is 0, and the caller dropped it to 0.
    /// - `cpu` is the current CPU with bottom halves off, or a number of no CPU in hard interrupt context or with
    ///   interrupts off.
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
        // SAFETY: By the safety requirement `cpu` is the current CPU with bottom halves off. It is the only
        // producer of its ring, and there is only this code on it, as interrupts use the list. The room is filled
        // or dropped before we return.
        let room = unsafe { local.ring.reserve() }?;
        // SAFETY: By the safety requirement the page is valid: its count is 0, and nobody but the caller frees it.
        let clean = || unsafe { slots::is_clean(page, self.returns.flags_mask()) };
        let usual = slot.page() == page && clean() && slot.state.take_back();
        if !usual {
            return None;
        }
        // SAFETY: The page is valid, its count is 0, and by the safety requirement the caller dropped it, so
        // nobody else can take a reference.
        unsafe { slots::revive(page, self.returns.buffers()) };
        room.fill(self.slot_ptr(slot));
        local.stats.recycle_ring.inc();
        Some(())
    }

    /// Takes back a page whose last reference was just dropped.
    ///
    /// `true`: it is ours again.
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
            // SAFETY: By the safety requirement the page is valid, its count is 0, and the caller dropped it.
            return unsafe { self.take_back_closed(slot, page) };
        }
        if !slot.state.take_back() {
            // SAFETY: By the safety requirement the page is valid, its count is 0, and the caller dropped it.
            return unsafe { self.unbalanced(slot, page) };
        }
        // SAFETY: The page is valid: its count is 0, and nobody but the caller frees it. Since `take_back()` it is
        // the pool's, and ours; other flags that change meanwhile are the callee's business.
        if !unsafe { bindings::rpp_page_clean(page) } {
            self.shared_stats.released.inc_shared();
            // SAFETY: The slot is in the table of this pool, in state `Pool` since `take_back()`, which only one
            // can win: so it is ours alone.
            let (slot, _) = self.retire(unsafe { Owned::new(self.slot_ptr(slot)) });
            self.let_go(slot);
            return false;
        }

        // SAFETY: The page is valid, its count is 0, and by the safety requirement the caller dropped it, so
        // nobody else can take a reference.
        unsafe { slots::revive(page, self.returns.buffers()) };
        // SAFETY: The slot is in the table of this pool, in state `Pool` since `take_back()`, which only one can
        // win: so it is ours alone. By the safety requirement `cpu` has bottom halves off, or is no CPU.
        if unsafe { self.put_back(Owned::new(self.slot_ptr(slot)), cpu) }.is_some() {
            // The page left the pool; its count goes back to what the caller found.
            // SAFETY: The page has left the pool, so the reference that `revive()` has made is ours, and given up
            // here. Nobody looks at the count in between but speculative references, see `unrevive()`.
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
            // SAFETY: By the safety requirement the page is valid, its count is 0, and the caller dropped it.
            return unsafe { self.unbalanced(slot, page) };
        }
        // The other side has interrupts off while it removes a mapping, so this ends.
        while slot.state.is_unmapping() {
            // SAFETY: It has no requirements: a hint to the CPU, in any context.
            unsafe { bindings::rpp_cpu_relax() };
        }
        false
    }

    /// Deals with a page that is not with the stack and whose count reached 0.
    ///
    /// Somebody dropped a reference that was the pool's.
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
        // The pool still uses the page, so it has to stay, with the references that NAPI takes it to have.
        let ours = if slot.state.is_lent() {
            1
        } else {
            self.returns.buffers()
        };
        // SAFETY: The page is valid, its count is 0, and by the safety requirement the caller dropped it, so
        // nobody else can take a reference.
        unsafe { slots::revive(page, ours) };
        true
    }

    /// Puts a page into the ring of CPU `cpu`, or on the list if there is none.
    ///
    /// If the ring is full the page leaves the pool, and is returned with one reference.
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
        // SAFETY: By the safety requirement `cpu` is the current CPU with bottom halves off. It is the only
        // producer of its ring, and there is only this code on it, as interrupts use the list. The room is filled
        // before we return.
        let Some(room) = (unsafe { local.ring.reserve() }) else {
            local.stats.recycle_ring_full.inc();
            let (slot, page) = self.take_out(slot);
            self.let_go(slot);
            return Some(page);
        };
        room.fill(slot.into_raw());
        local.stats.recycle_ring.inc();
        None
    }
}
