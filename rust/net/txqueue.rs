// SPDX-License-Identifier: GPL-2.0

//! The core's side of a transmit ring: its lock, whether the stack may send, byte queue limits, counters. Nothing here
//! depends on the driver.
//!
//! C header: [`include/linux/netdevice.h`](srctree/include/linux/netdevice.h)

use crate::stats::TxStats;
use core::{
    marker::PhantomData,
    ptr::NonNull,
    sync::atomic::{
        AtomicBool,
        Ordering, //
    },
};
use pp_bindings as bindings;

/// A transmit queue.
///
/// # Invariants
///
/// `txq` is valid as long as this exists.
pub(crate) struct TxQueue {
    txq: NonNull<bindings::netdev_queue>,
    pub(crate) stats: TxStats,
    /// There is something in the ring. Written under its lock, and read by the poll, which takes that for nothing else.
    ///
    /// Not an atomic of the kernel crate, which are calls.
    sending: AtomicBool,
}

// SAFETY: The queue belongs to no CPU and to no task.
unsafe impl Send for TxQueue {}
// SAFETY: What a shared reference allows may be done on any CPU: the core's functions lock what they have to, or say
// what has to be locked, which ours do as well. The counters and the flag are atomics, and the rest does not change.
unsafe impl Sync for TxQueue {}

impl TxQueue {
    /// Returns transmit queue `index` of a device.
    ///
    /// The core sends on those that it was told to use, and XDP alone on those beyond. The core's watchdog looks at
    /// all.
    ///
    /// # Safety
    ///
    /// `dev` is valid, and stays so until the result is dropped. It has more than `index` transmit queues.
    pub(crate) unsafe fn new(dev: NonNull<bindings::net_device>, index: u32) -> Self {
        // SAFETY: By the safety requirement the device is valid, and has that queue: the result is an address in
        // the array of its queues, so it is not null.
        let txq = unsafe { NonNull::new_unchecked(bindings::rnet_tx_queue(dev.as_ptr(), index)) };
        // INVARIANT: By the safety requirement.
        Self {
            txq,
            stats: TxStats::default(),
            sending: AtomicBool::new(false),
        }
    }

    #[inline]
    fn txq(&self) -> *mut bindings::netdev_queue {
        self.txq.as_ptr()
    }

    /// Returns whether there is something in the ring.
    ///
    /// What was put there without a doorbell may be missing; when the device has sent something it is seen by the poll
    /// that this causes.
    #[inline]
    pub(crate) fn is_sending(&self) -> bool {
        self.sending.load(Ordering::Relaxed)
    }

    /// Forgets what the byte queue limits know.
    ///
    /// Nobody sends, and all packets are gone.
    pub(crate) fn reset(&self) {
        // SAFETY: By the type invariant the queue is valid. By the contract of this function nobody sends, and all
        // packets of it are gone, so nobody else uses its byte queue limits.
        unsafe { bindings::rnet_tx_reset(self.txq()) };
    }

    /// Takes the transmit queue's lock, the one that the core holds when it sends.
    ///
    /// # Safety
    ///
    /// Bottom halves are off, and this CPU does not hold the lock.
    #[inline]
    pub(crate) unsafe fn lock(&self) -> TxLocked<'_> {
        // SAFETY: By the type invariant the queue is valid. By the safety requirement bottom halves are off, so
        // this CPU stays the same, and it does not hold the lock.
        unsafe { bindings::rnet_tx_lock(self.txq()) };
        // SAFETY: This CPU has just taken the lock, and bottom halves are off. Nobody releases it but the result,
        // by the counterpart of the above, as `Plain` says.
        unsafe { self.locked(Unlock::Plain) }
    }

    /// As [`lock`](Self::lock), with bottom halves off as long as it is held.
    ///
    /// # Safety
    ///
    /// - Process context.
    /// - This CPU does not hold the lock.
    pub(crate) unsafe fn lock_bh(&self) -> TxLocked<'_> {
        // SAFETY: By the type invariant the queue is valid. By the safety requirement this is process context, and
        // this CPU does not hold the lock.
        unsafe { bindings::rnet_tx_lock_bh(self.txq()) };
        // SAFETY: This CPU has just taken the lock, with bottom halves off. Nobody releases it but the result, by
        // the counterpart of the above, as `Bh` says.
        unsafe { self.locked(Unlock::Bh) }
    }

    /// As [`lock`](Self::lock), if nobody has it.
    ///
    /// Any context.
    pub(crate) fn try_lock(&self) -> Option<TxLocked<'_>> {
        // SAFETY: By the type invariant the queue is valid. It does not wait for the lock, so it does not matter
        // who has it.
        if !unsafe { bindings::rnet_tx_trylock(self.txq()) } {
            return None;
        }
        // SAFETY: This CPU has just taken the lock. Nobody releases it but the result, by the counterpart of the
        // above, as `Plain` says.
        Some(unsafe { self.locked(Unlock::Plain) })
    }

    /// Returns a proof of the lock that somebody else has taken and releases.
    ///
    /// # Safety
    ///
    /// This CPU holds the transmit queue's lock for as long as the result exists.
    #[inline]
    pub(crate) unsafe fn assume_locked(&self) -> TxLocked<'_> {
        // SAFETY: By the safety requirement this CPU holds the lock for as long as the result exists, which does
        // not release it, as `Not` says.
        unsafe { self.locked(Unlock::Not) }
    }

    /// # Safety
    ///
    /// - This CPU holds the transmit queue's lock for as long as the result exists.
    /// - When the result is dropped, the lock may be released as `unlock` says.
    #[inline]
    unsafe fn locked(&self, unlock: Unlock) -> TxLocked<'_> {
        // INVARIANT: By the safety requirement.
        TxLocked {
            queue: self,
            unlock,
            _cpu: PhantomData,
        }
    }
}

/// Who releases a transmit queue's lock, and how.
#[derive(Clone, Copy)]
enum Unlock {
    /// Whoever has taken it.
    Not,
    /// We do.
    Plain,
    /// We do, and bottom halves are on again.
    Bh,
}

/// A transmit queue whose lock is held.
///
/// # Invariants
///
/// The current CPU holds the lock for as long as this exists. It cannot be sent to another thread.
pub(crate) struct TxLocked<'a> {
    queue: &'a TxQueue,
    unlock: Unlock,
    _cpu: PhantomData<*mut ()>,
}

impl TxLocked<'_> {
    /// Returns the transmit counters.
    ///
    /// The lock makes us their only writer.
    #[inline]
    pub(crate) fn stats(&self) -> &TxStats {
        &self.queue.stats
    }

    /// Notes whether there is something in the ring.
    #[inline(always)]
    pub(crate) fn set_sending(&self, sending: bool) {
        self.queue.sending.store(sending, Ordering::Relaxed);
    }

    /// Keeps the core from sending: the ring is full.
    ///
    /// The watchdog waits for [`wake`](Self::wake) from here on.
    #[inline]
    pub(crate) fn stop(&self) {
        self.stats().stop.inc();
        self.halt();
    }

    /// Keeps the core from sending, whatever room there is.
    #[inline]
    pub(crate) fn halt(&self) {
        // SAFETY: By the type invariant of `TxQueue` the queue is valid, and by that of `TxLocked` this CPU holds
        // its lock.
        unsafe { bindings::rnet_tx_stop(self.queue.txq()) };
    }

    /// Lets the core send.
    ///
    /// No-op if it may already.
    #[inline]
    pub(crate) fn start(&self) {
        // SAFETY: By the type invariant of `TxQueue` the queue is valid, and by that of `TxLocked` this CPU holds
        // its lock.
        unsafe { bindings::netif_tx_wake_queue(self.queue.txq()) };
    }

    /// Lets the core send again, after [`stop`](Self::stop).
    #[inline]
    pub(crate) fn wake(&self) {
        self.stats().wake.inc();
        self.start();
    }

    /// Tells the byte queue limits that an skb of `bytes` is in the ring.
    ///
    /// Returns whether the doorbell has to be rung now, or `more` is to come at once.
    #[inline]
    pub(crate) fn sent(&self, bytes: u32, more: bool) -> bool {
        // SAFETY: By the type invariant of `TxQueue` the queue is valid, and by that of `TxLocked` this CPU holds
        // its lock, so nobody else queues bytes.
        unsafe { bindings::rnet_tx_sent(self.queue.txq(), bytes, more) }
    }

    /// Tells the byte queue limits what the device has finished, in skbs that were [`sent`](Self::sent).
    ///
    /// No more than those are believed.
    #[inline]
    pub(crate) fn completed(&self, packets: u32, bytes: u32) {
        // SAFETY: By the type invariant of `TxQueue` the queue is valid, and by that of `TxLocked` this CPU holds
        // its lock, so nobody else completes bytes. The callee believes no more than were queued.
        unsafe { bindings::rnet_tx_completed(self.queue.txq(), packets, bytes) };
    }
}

impl Drop for TxLocked<'_> {
    #[inline]
    fn drop(&mut self) {
        match self.unlock {
            Unlock::Not => {}
            // SAFETY: By the type invariant this CPU holds the lock, of a queue that is valid. `Plain` says that
            // we have taken it by `rnet_tx_lock()`, or its like that does not wait; it is released once.
            Unlock::Plain => unsafe { bindings::rnet_tx_unlock(self.queue.txq()) },
            // SAFETY: By the type invariant this CPU holds the lock, of a queue that is valid. `Bh` says that we
            // have taken it by `rnet_tx_lock_bh()`; it is released once, in process context.
            Unlock::Bh => unsafe { bindings::rnet_tx_unlock_bh(self.queue.txq()) },
        }
    }
}
