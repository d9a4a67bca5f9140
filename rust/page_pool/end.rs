// SPDX-License-Identifier: GPL-2.0

//! The end of a pool.

use crate::{
    owned::Owned,
    supply::Side, //
};
use pp_bindings as bindings;

impl Side<'_> {
    /// Ends the pool: when this returns no mapping is left.
    ///
    /// Pages that are still with the stack stay there, and go to the page allocator when their last reference is
    /// dropped.
    ///
    /// # Safety
    ///
    /// - Process context.
    /// - The device does not access the pool's pages any more.
    /// - No buffer of the pool is left but those that were posted to the device.
    /// - Only the registry refers to the pool, and it lets go of it after this.
    pub(crate) unsafe fn destroy(&mut self) {
        let shared = self.shared;
        self.audit(usize::MAX);
        shared.returns.close();
        // From here on whoever returns a page sees that.
        // SAFETY: It sleeps, and by the safety requirement we are in process context. No spinlock is held.
        unsafe { bindings::synchronize_net() };

        for slot in shared.slots() {
            if self.napi().batch.is_full() {
                self.free_leaving();
            }
            // With interrupts off, because one that drops a reference to this very page would wait for us.
            // SAFETY: They are turned on again below, in this iteration and on this CPU; nothing in between
            // sleeps.
            let flags = unsafe { bindings::rpp_local_irq_save() };
            if slot.state.is_pool() {
                // It is in the cache, in a ring, on the list, or it was posted to the device: all of
                // that is ours now, and nobody takes anything out of there any more. If one of two buffers is out,
                // the other one's reference is ours.
                let lent = slot.state.is_lent();
                // SAFETY: The slot is in the table of this pool, in state `Pool`. As argued nobody else has it, or
                // makes an `Owned` of it later; what the stack has of the page is a reference.
                let slot = unsafe { Owned::new(slot.into()) };
                let (_, page) = if lent {
                    shared.retire(slot)
                } else {
                    shared.take_out(slot)
                };
                // SAFETY: The slot is free, and of the references to the page one is left that is ours. There is
                // room: a batch that was full was emptied above.
                unsafe { self.napi().batch.push(page) };
            } else if slot.state.claim() {
                shared.shared_stats.revoked.inc_shared();
                shared.unmap(slot);
                shared.let_go(slot);
            }
            // SAFETY: The flags are those of the call above, in this iteration and on this CPU.
            unsafe { bindings::rpp_local_irq_restore(flags) };
        }
        self.free_leaving();
    }
}
