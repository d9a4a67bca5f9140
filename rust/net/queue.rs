// SPDX-License-Identifier: GPL-2.0

//! A queue pair of a device: its NAPI instance, its XDP program, its place in the core, its counters. Nothing
//! here depends on the driver.
//!
//! C header: [`include/linux/netdevice.h`](srctree/include/linux/netdevice.h)

use crate::stats::{
    RxStats,
    TxStats, //
};
use core::{
    marker::PhantomData,
    ptr::NonNull,
    sync::atomic::{
        AtomicBool,
        Ordering, //
    },
};
use kernel::{
    error::to_result,
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed,
        Release, //
    },
    time::msecs_to_jiffies,
    types::Opaque, //
};
use pp_bindings as bindings;

/// How long a queue without the buffers for a frame waits before it asks for memory again, in milliseconds.
const SHORTAGE_MS: u32 = 10;

/// The poll function of a NAPI instance.
pub(crate) type PollFn = unsafe extern "C" fn(*mut bindings::napi_struct, c_int) -> c_int;

/// What XDP has to know about a queue's receive buffers.
pub(crate) struct Model {
    /// How they find their way back.
    pub(crate) kind: bindings::xdp_mem_type,
    /// The pool that they go to, if the kernel knows it.
    pub(crate) pool: *mut c_void,
    /// Their size, in bytes.
    pub(crate) size: u32,
}

/// A queue pair.
///
/// # Invariants
///
/// - `dev` is valid as long as this exists, and has queues of number `index`; the transmit queue is `txq`.
/// - `napi` is an instance of `dev`, and `timer` is set up, from [`new`](Self::new) to `drop()`; but while the queue is
///   [not used](Self::unused) the core has forgotten the instance, which stays disabled.
#[pin_data(PinnedDrop)]
pub(crate) struct Queue {
    pub(crate) index: u32,
    dev: NonNull<bindings::net_device>,
    txq: NonNull<bindings::netdev_queue>,
    #[pin]
    napi: Opaque<bindings::napi_struct>,
    #[pin]
    rxq: Opaque<bindings::xdp_rxq_info>,
    /// Polls again when there was no memory for the buffers of a frame.
    #[pin]
    timer: Opaque<bindings::timer_list>,
    /// The XDP program. Written under the device's lock, read by the poll; the reference is the device's.
    program: Atomic<*mut bindings::bpf_prog>,
    pub(crate) rx: RxStats,
    pub(crate) tx: TxStats,
    /// There is something in the transmit ring. Written under its lock, and read by the poll, which takes that for
    /// nothing else: where packets are only received, it was a fifth of what one costs.
    ///
    /// Not an atomic of the kernel crate, which are calls.
    sending: AtomicBool,
}

// SAFETY: The device, its queue, the instance and the timer belong to no CPU and to no task: the core's functions
// on them, those that take them down included, may be called in another one than the first.
unsafe impl Send for Queue {}
// SAFETY: What a shared reference allows may be done on any CPU: the core's functions on these structures lock
// what they have to, or say what has to be locked, which our functions do as well. The program and the counters
// are atomics, and the rest does not change.
unsafe impl Sync for Queue {}

impl Queue {
    /// Makes queue `index` of a device that is not registered yet, whose packets `poll` processes.
    ///
    /// # Safety
    ///
    /// - `dev` is valid and not registered, and valid it stays until the result is dropped. It has more than
    ///   `index` queues.
    /// - The result is a part of whatever `poll` expects.
    pub(crate) unsafe fn new(
        dev: NonNull<bindings::net_device>,
        index: u32,
        poll: PollFn,
    ) -> impl PinInit<Self> {
        // SAFETY: By the safety requirement the device is valid, and has that queue: the result is an address in
        // the array of its queues, so it is not null.
        let txq = unsafe { NonNull::new_unchecked(bindings::rnet_tx_queue(dev.as_ptr(), index)) };
        pin_init!(Self {
            index,
            dev,
            txq,
            napi <- Opaque::ffi_init(move |napi| {
                // SAFETY: By the safety requirement the device is valid, has that queue, and goes after the
                // instance. `napi` is valid to be written, and stays where it is until it is deleted, by `drop()`.
                // It is a part of what `poll` expects.
                unsafe { bindings::rnet_napi_add(dev.as_ptr(), napi, Some(poll), *index) }
            }),
            rxq <- Opaque::zeroed(),
            timer <- Opaque::ffi_init(|timer| {
                // SAFETY: `timer` is valid to be written, and stays where it is until the timer is shut down, by
                // `drop()`. It is a part of a `Queue`, as `poll_again()` expects.
                unsafe { bindings::rnet_timer_setup(timer, Some(poll_again)) }
            }),
            program: Atomic::new(core::ptr::null_mut()),
            rx: RxStats::default(),
            tx: TxStats::default(),
            sending: AtomicBool::new(false),
        })
    }

    /// Returns the queue that a NAPI instance is a part of.
    ///
    /// # Safety
    ///
    /// `napi` was made by [`new`](Self::new).
    pub(crate) unsafe fn of_napi(napi: *mut bindings::napi_struct) -> *const Self {
        // CAST: `Opaque` is a transparent wrapper.
        let napi = napi.cast::<Opaque<bindings::napi_struct>>();
        // SAFETY: By the safety requirement `napi` is the field of a `Queue`, so what is around it is one.
        unsafe { kernel::container_of!(napi, Self, napi) }
    }

    #[inline]
    pub(crate) fn device(&self) -> *mut bindings::net_device {
        self.dev.as_ptr()
    }

    /// Returns the features of the device that are on.
    #[inline]
    pub(crate) fn features(&self) -> u64 {
        // SAFETY: By the type invariant the device is valid. Whoever changes the field does so at any time, hence the
        // single access.
        unsafe { (&raw const (*self.device()).features).read_volatile() }
    }

    /// Returns whether there is something in the transmit ring.
    ///
    /// What was put there without a doorbell may be missing; when the device has sent something it is seen by the poll
    /// that this causes.
    #[inline]
    pub(crate) fn is_sending(&self) -> bool {
        self.sending.load(Ordering::Relaxed)
    }

    #[inline]
    pub(crate) fn napi(&self) -> *mut bindings::napi_struct {
        self.napi.get()
    }

    #[inline]
    pub(crate) fn rxq(&self) -> *mut bindings::xdp_rxq_info {
        self.rxq.get()
    }

    #[inline]
    fn txq(&self) -> *mut bindings::netdev_queue {
        self.txq.as_ptr()
    }

    /// Has the core forget the queue's NAPI instance: what it does to all of a device, such as to end their threads,
    /// wants none that stays disabled.
    ///
    /// NAPI is disabled. Process context, under the device's lock.
    pub(crate) fn unused(&self) {
        // SAFETY: By the type invariant the instance is valid. It is disabled, and the device's lock is held, by the
        // contract of this function; nobody has it scheduled, and who looks it up does so under RCU, which the callee
        // waits for.
        // INVARIANT: The queue is not used from here on.
        unsafe {
            // A poll that has ended a moment before `napi_disable()` may arm the timer after it. Nobody does any more:
            // this is after an RCU grace period.
            bindings::hrtimer_cancel(&raw mut (*self.napi()).timer);
            bindings::__netif_napi_del_locked(self.napi());
            bindings::synchronize_net();
        }
    }

    /// Undoes [`unused`](Self::unused).
    ///
    /// Process context, under the device's lock.
    pub(crate) fn used(&self) {
        // SAFETY: By the type invariant the instance is one of the device that the core has forgotten, by the contract
        // of this function: nobody else has it. Its place is pinned, and it still says which device and which function
        // are its. The lock is held.
        // INVARIANT: It is an instance of the device again.
        unsafe { bindings::rnet_napi_add_again(self.napi(), self.index) };
    }

    /// Lets the queue be polled.
    ///
    /// NAPI is disabled before. Process context, under the device's lock.
    pub(crate) fn enable(&self) {
        // SAFETY: By the type invariant the instance is valid. It is disabled, and the device's lock is held, by
        // the contract of this function.
        unsafe { bindings::napi_enable_locked(self.napi()) };
    }

    /// Returns when nobody polls the queue any more, nor will.
    ///
    /// NAPI is enabled before. Process context, under the device's lock.
    pub(crate) fn disable(&self) {
        // SAFETY: By the type invariant the instance is valid. It is enabled, the device's lock is held, and it
        // may sleep, by the contract of this function.
        unsafe { bindings::napi_disable_locked(self.napi()) };
        // SAFETY: By the type invariant the timer was set up. We are not in it, and hold no lock that it takes. It
        // schedules an instance that is disabled, if it still runs, which does nothing.
        unsafe { bindings::timer_delete_sync(self.timer.get()) };
    }

    /// Shows XDP and the core's netlink interface the queue.
    ///
    /// Its frames find their way back by `model`. Process context, under the device's lock; NAPI is disabled.
    pub(crate) fn publish(&self, model: &Model) -> Result {
        self.publish_rx(model)?;
        self.set_napi(self.napi());
        Ok(())
    }

    /// Tells the core which instance polls the queue; null for none.
    fn set_napi(&self, napi: *mut bindings::napi_struct) {
        for kind in [
            bindings::netdev_queue_type_NETDEV_QUEUE_TYPE_RX,
            bindings::netdev_queue_type_NETDEV_QUEUE_TYPE_TX,
        ] {
            // SAFETY: By the type invariant the device is valid, and has queues of that number. By the contract of
            // our callers its lock is held. The instance is null or the queue's own, which the core forgets before
            // it is deleted: see `withdraw()`.
            unsafe { bindings::netif_queue_set_napi(self.device(), self.index, kind, napi) };
        }
    }

    /// Undoes [`publish`](Self::publish), and forgets what the byte queue limits know.
    ///
    /// Nobody polls or sends.
    pub(crate) fn withdraw(&self) {
        self.set_napi(core::ptr::null_mut());
        // SAFETY: By the type invariant the queue is valid. By the contract of this function nobody sends, and all
        // packets of it are gone, so nobody else uses its byte queue limits.
        unsafe {
            bindings::rnet_tx_reset(self.txq());
        }
        self.withdraw_rx();
    }

    /// Does the part of [`publish`](Self::publish) that is about the receive ring.
    pub(crate) fn publish_rx(&self, model: &Model) -> Result {
        let (rxq, dev, size) = (self.rxq(), self.device(), model.size);
        // SAFETY: The place is valid and pinned. It is not registered: it is zeroed at first, and what this does
        // `withdraw_rx()` undoes. By the type invariant the device is valid, and has that queue. Process context.
        to_result(unsafe { bindings::__xdp_rxq_info_reg(rxq, dev, self.index, 0, size) })?;
        // SAFETY: The queue was just registered, without a model. Model and pool go together: both are from
        // `mem_model()` of one ring, whose pool exists; where there is one, the callee takes a reference to it.
        to_result(unsafe { bindings::xdp_rxq_info_reg_mem_model(rxq, model.kind, model.pool) })
            // SAFETY: The queue was registered above, and has no model. Nobody polls it yet. Process context.
            .inspect_err(|_| unsafe { bindings::xdp_rxq_info_unreg(rxq) })
    }

    /// Undoes [`publish_rx`](Self::publish_rx), if that was done.
    ///
    /// Nobody polls.
    pub(crate) fn withdraw_rx(&self) {
        // SAFETY: The place is valid: zeroed, or what `publish_rx()` has made of it. Nobody polls, by the contract
        // of this function, so nobody uses it; and it is unregistered only if it is registered. Process context.
        unsafe {
            if bindings::xdp_rxq_info_is_reg(self.rxq()) {
                bindings::xdp_rxq_info_unreg(self.rxq());
            }
        }
    }

    /// Tells the core which interrupt the queue is polled for; -1 for none.
    ///
    /// Process context, under the device's lock.
    pub(crate) fn set_irq(&self, irq: i32) {
        // SAFETY: By the type invariant the instance is valid, and by the contract of this function the device's
        // lock is held.
        unsafe { bindings::netif_napi_set_irq_locked(self.napi(), irq) };
    }

    /// Schedules a poll, if none is.
    ///
    /// Any context but NMI.
    #[inline]
    pub(crate) fn schedule(&self) {
        // SAFETY: By the type invariant the instance is valid, whatever state it is in. May be called in any
        // context but NMI.
        if unsafe { bindings::napi_schedule_prep(self.napi()) } {
            // SAFETY: By the type invariant the instance is valid. It was prepared just above, so it is for us to
            // schedule it.
            unsafe { bindings::__napi_schedule(self.napi()) };
        }
    }

    /// Schedules a poll for later: the device has not the buffers for a frame, so it may raise no interrupt.
    ///
    /// In the poll.
    pub(crate) fn schedule_later(&self) {
        let wait = msecs_to_jiffies(SHORTAGE_MS);
        // SAFETY: `jiffies` is there at any time. It changes at any time as well, hence the single access.
        let expires = unsafe { (&raw const bindings::jiffies).read_volatile() }.wrapping_add(wait);
        // SAFETY: By the type invariant the timer was set up. It is shut down when the queue is dropped, and no
        // poll runs then. May be called in any context.
        unsafe { bindings::mod_timer(self.timer.get(), expires) };
    }

    /// Returns the XDP program; null if there is none.
    #[inline]
    pub(crate) fn program(&self) -> *mut bindings::bpf_prog {
        self.program.load(Relaxed)
    }

    /// Sets the XDP program, for polls that begin after this.
    ///
    /// Under the device's lock.
    pub(crate) fn set_program(&self, program: *mut bindings::bpf_prog) {
        self.program.store(program, Release);
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
}

#[pinned_drop]
impl PinnedDrop for Queue {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the type invariant both were set up, and this is done once. The device is not registered any
        // more: nobody polls, nor starts the timer, and the instance is disabled. Process context, without the
        // device's lock.
        unsafe {
            bindings::timer_shutdown_sync(self.timer.get());
            let dev = (*self.napi()).dev;
            bindings::rnet_lock(dev);
            self.unused();
            bindings::rnet_unlock(dev);
        }
    }
}

/// # Safety
///
/// `timer` is the timer of a queue.
unsafe extern "C" fn poll_again(timer: *mut bindings::timer_list) {
    // CAST: `Opaque` is a transparent wrapper.
    let timer = timer.cast::<Opaque<bindings::timer_list>>();
    // SAFETY: By the safety requirement it is the field of a `Queue`, which is pinned and only shared. It waits
    // for its timer, in `drop()`, before it goes.
    let queue = unsafe { &*kernel::container_of!(timer, Queue, timer) };
    queue.schedule();
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
    queue: &'a Queue,
    unlock: Unlock,
    _cpu: PhantomData<*mut ()>,
}

impl TxLocked<'_> {
    /// Returns the transmit counters.
    ///
    /// The lock makes us their only writer.
    #[inline]
    pub(crate) fn stats(&self) -> &TxStats {
        &self.queue.tx
    }

    /// Notes whether there is something in the ring.
    #[inline(always)]
    pub(crate) fn set_sending(&self, sending: bool) {
        self.queue.sending.store(sending, Ordering::Relaxed);
    }

    /// Keeps the core from sending: the ring is full.
    #[inline]
    pub(crate) fn stop(&self) {
        self.stats().stop.inc();
        self.halt();
    }

    /// Keeps the core from sending, whatever room there is.
    #[inline]
    pub(crate) fn halt(&self) {
        // SAFETY: By the type invariant of `Queue` the queue is valid, and by that of `TxLocked` this CPU holds
        // its lock.
        unsafe { bindings::rnet_tx_stop(self.queue.txq()) };
    }

    /// Lets the core send.
    ///
    /// No-op if it may already.
    #[inline]
    pub(crate) fn start(&self) {
        // SAFETY: By the type invariant of `Queue` the queue is valid, and by that of `TxLocked` this CPU holds
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
        // SAFETY: By the type invariant of `Queue` the queue is valid, and by that of `TxLocked` this CPU holds
        // its lock, so nobody else queues bytes.
        unsafe { bindings::rnet_tx_sent(self.queue.txq(), bytes, more) }
    }

    /// Tells the byte queue limits what the device has finished, in skbs that were [`sent`](Self::sent).
    ///
    /// No more than those are believed.
    #[inline]
    pub(crate) fn completed(&self, packets: u32, bytes: u32) {
        // SAFETY: By the type invariant of `Queue` the queue is valid, and by that of `TxLocked` this CPU holds
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
