// SPDX-License-Identifier: GPL-2.0

//! The transmit queue.

use crate::{
    device::Core,
    netdev::{Operations, TxStats},
};
use core::marker::PhantomData;
use pp_bindings as bindings;

/// The transmit queue of a device, with its lock held.
///
/// # Invariants
///
/// The current CPU holds the queue's lock for `'a`.
pub struct TxQueue<'a, D: Operations> {
    core: &'a Core<D>,
    _cpu: PhantomData<*mut ()>,
}

impl<'a, D: Operations> TxQueue<'a, D> {
    /// # Safety
    ///
    /// The caller holds the lock of `core`'s transmit queue, for `'a`.
    #[inline]
    pub(crate) unsafe fn new(core: &'a Core<D>) -> Self {
        // INVARIANT: By the safety requirement.
        Self {
            core,
            _cpu: PhantomData,
        }
    }

    /// The transmit counters. The lock makes us their only writer.
    #[inline]
    pub fn stats(&self) -> &'a TxStats {
        &self.core.tx_stats
    }

    /// Tells the core to send no more: the ring is full.
    #[inline]
    pub fn stop(&self) {
        // SAFETY: The device is valid, and we hold the lock.
        unsafe { bindings::rnet_tx_stop(self.core.dev.as_raw()) };
    }

    /// There is room again. No-op if the queue was not stopped.
    #[inline]
    pub fn wake(&self) {
        // SAFETY: The device is valid, and we hold the lock.
        unsafe { bindings::rnet_tx_wake(self.core.dev.as_raw()) };
    }

    /// Tells the byte queue limits that an skb of `bytes` went to the device. Whether the device has
    /// to be told now, or `more` is to come at once.
    #[inline]
    pub fn sent(&self, bytes: u32, more: bool) -> bool {
        // SAFETY: The device is valid, and we hold the lock.
        unsafe { bindings::rnet_tx_sent(self.core.dev.as_raw(), bytes, more) }
    }

    /// Tells the byte queue limits what the device has finished, in skbs that were
    /// [`TxQueue::sent`]. No more than those are believed.
    #[inline]
    pub fn completed(&self, packets: u32, bytes: u32) {
        // SAFETY: The device is valid, and we hold the lock.
        unsafe { bindings::rnet_tx_completed(self.core.dev.as_raw(), packets, bytes) };
    }
}
