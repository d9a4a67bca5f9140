// SPDX-License-Identifier: GPL-2.0

//! Where a queue's transmit rings are while the interface is up, and who may access them: under which lock.
//!
//! A queue has one ring for the stack, and one for XDP if the card has as many: then those who send for XDP wait for
//! no one who sends for the stack. On other cards they share one.

use crate::{
    desc::TxDescriptor,
    napi::{
        Budget,
        Napi, //
    },
    stats::TxStats,
    tx::TxRing,
    txqueue::{
        TxLocked,
        TxQueue, //
    },
};
use core::cell::UnsafeCell;

/// The places of a queue's transmit rings.
pub(crate) struct TxSides<'bound, D: TxDescriptor> {
    pub(crate) stack: TxSide<'bound, D>,
    xdp: Option<TxSide<'bound, D>>,
}

impl<'bound, D: TxDescriptor> TxSides<'bound, D> {
    pub(crate) fn new(stack: TxQueue, xdp: Option<TxQueue>) -> Self {
        Self {
            stack: TxSide::new(stack),
            xdp: xdp.map(TxSide::new),
        }
    }

    /// Returns the place of the ring that XDP sends on.
    #[inline]
    pub(crate) fn for_xdp(&self) -> &TxSide<'bound, D> {
        self.xdp.as_ref().unwrap_or(&self.stack)
    }

    /// Returns both, or the one that there is.
    #[inline]
    pub(crate) fn each(&self) -> impl Iterator<Item = &TxSide<'bound, D>> {
        core::iter::once(&self.stack).chain(&self.xdp)
    }

    /// Returns a counter, of both.
    pub(crate) fn sum(&self, counter: impl Fn(&TxStats) -> u64) -> u64 {
        self.each()
            .fold(0u64, |sum, side| sum.wrapping_add(counter(side.stats())))
    }
}

/// The place of a transmit ring.
///
/// # Invariants
///
/// Who accesses `ring` holds the lock of `queue`.
pub(crate) struct TxSide<'bound, D: TxDescriptor> {
    queue: TxQueue,
    ring: UnsafeCell<Option<TxRing<'bound, D>>>,
}

// SAFETY: By the type invariant the ring is accessed with the lock held only, so by one CPU at a time. And it is
// `Send`: it owns memory, mappings and packets, none of which belongs to a CPU.
unsafe impl<D: TxDescriptor> Sync for TxSide<'_, D> {}
// SAFETY: It owns a ring, if there is one: memory, mappings and packets, none of which belongs to a CPU or a task.
unsafe impl<D: TxDescriptor> Send for TxSide<'_, D> {}

impl<'bound, D: TxDescriptor> TxSide<'bound, D> {
    fn new(queue: TxQueue) -> Self {
        Self {
            queue,
            ring: UnsafeCell::new(None),
        }
    }

    /// Returns the core's side of it.
    #[inline]
    pub(crate) fn queue(&self) -> &TxQueue {
        &self.queue
    }

    #[inline]
    pub(crate) fn stats(&self) -> &TxStats {
        &self.queue.stats
    }

    /// Returns the ring, if it is open, as long as the lock is held.
    ///
    /// # Safety
    ///
    /// - `locked` is of [`queue()`](Self::queue).
    /// - The result is not used after another call of this.
    #[inline]
    pub(crate) unsafe fn get<'a>(
        &'a self,
        _locked: &'a TxLocked<'_>,
    ) -> Option<&'a mut TxRing<'bound, D>> {
        // SAFETY: The pointer is that of our own cell. By the safety requirement its lock is held for `'a`, so
        // nobody else accesses it, and the caller is done with what it got from here before.
        let ring = unsafe { &mut *self.ring.get() }.as_mut();
        ring.filter(|ring| !ring.closed)
    }

    /// Runs `f` with the ring, if there is one, and its lock.
    ///
    /// Takes the poll, so that nobody in there takes the lock twice.
    #[inline]
    pub(crate) fn with<R>(
        &self,
        napi: &mut Napi<'_>,
        f: impl FnOnce(&mut TxRing<'bound, D>, &TxLocked<'_>, Budget<'_>) -> R,
    ) -> Option<R> {
        // SAFETY: `napi` stands for a poll, so bottom halves are off. This CPU does not hold the lock: a poll
        // takes it only in here, where the `Napi` is borrowed until it is released.
        let locked = unsafe { self.queue.lock() };
        // SAFETY: `locked` is its lock. `f` has no `Napi`, so it cannot get here again while it has the ring.
        let ring = unsafe { self.get(&locked) };
        ring.map(|ring| f(ring, &locked, napi.budget()))
    }

    /// As [`with`](Self::with), in process context.
    ///
    /// # Safety
    ///
    /// Process context, and this CPU does not hold the lock. `f` does not take it.
    pub(crate) unsafe fn with_bh<R>(
        &self,
        f: impl FnOnce(&mut TxRing<'bound, D>, &TxLocked<'_>) -> R,
    ) -> Option<R> {
        // SAFETY: By the safety requirement this is process context, and this CPU does not hold the lock.
        let locked = unsafe { self.queue.lock_bh() };
        // SAFETY: `locked` is its lock. By the safety requirement `f` does not get here.
        let ring = unsafe { self.get(&locked) };
        ring.map(|ring| f(ring, &locked))
    }

    /// Cleans the ring for netpoll.
    ///
    /// Any context.
    pub(crate) fn clean_netpoll(&self) {
        // The lock's owner may be what netpoll has interrupted.
        if let Some(locked) = self.queue.try_lock() {
            // SAFETY: `locked` is its lock. The ring is used until that is released, and asked for once.
            if let Some(ring) = unsafe { self.get(&locked) } {
                ring.clean_netpoll(&locked);
            }
        }
    }

    /// Closes the ring, and keeps the core from sending: who comes after this finds none.
    ///
    /// # Safety
    ///
    /// Process context, and this CPU does not hold the lock.
    pub(crate) unsafe fn close(&self) {
        // SAFETY: By the safety requirement this is process context, and this CPU does not hold the lock.
        let locked = unsafe { self.queue.lock_bh() };
        // SAFETY: `locked` is its lock. The ring is used until that is released, and asked for once.
        if let Some(ring) = unsafe { self.get(&locked) } {
            ring.closed = true;
        }
        locked.halt();
    }

    /// Puts a new ring in place, and lets the core and XDP send.
    ///
    /// There is none yet.
    ///
    /// # Safety
    ///
    /// Process context, and this CPU does not hold the lock.
    pub(crate) unsafe fn open(&self, ring: TxRing<'bound, D>) {
        // SAFETY: By the safety requirement this is process context, and this CPU does not hold the lock.
        let locked = unsafe { self.queue.lock_bh() };
        // SAFETY: The pointer is that of our own cell. `locked` is its lock, so nobody else accesses it, and nobody has
        // a reference to what is in it without the lock.
        unsafe { *self.ring.get() = Some(ring) };
        // Not after the lock is released: XDP may fill the ring then, and stop the queue.
        locked.start();
    }

    /// Takes the ring.
    ///
    /// # Safety
    ///
    /// Process context, and this CPU does not hold the lock.
    pub(crate) unsafe fn take(&self) -> Option<TxRing<'bound, D>> {
        // SAFETY: By the safety requirement this is process context, and this CPU does not hold the lock.
        let locked = unsafe { self.queue.lock_bh() };
        // SAFETY: The pointer is that of our own cell. `locked` is its lock, so nobody else accesses it, and nobody has
        // a reference to what is in it without the lock.
        let ring = unsafe { &mut *self.ring.get() }.take();
        drop(locked);
        ring
    }
}
