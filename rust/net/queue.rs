// SPDX-License-Identifier: GPL-2.0

//! A queue pair of a device: its NAPI instance, its XDP program, its place in the core, its counters. Nothing
//! here depends on the driver.
//!
//! C header: [`include/linux/netdevice.h`](srctree/include/linux/netdevice.h)

use crate::stats::RxStats;
use core::ptr::NonNull;
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
/// - `dev` is valid as long as this exists, and has queues of number `index`.
/// - `napi` is an instance of `dev`, and `timer` is set up, from [`new`](Self::new) to `drop()`; but while the queue is
///   [not used](Self::unused) the core has forgotten the instance, which stays disabled.
#[pin_data(PinnedDrop)]
pub(crate) struct Queue {
    pub(crate) index: u32,
    dev: NonNull<bindings::net_device>,
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
        pin_init!(Self {
            index,
            dev,
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

    #[inline]
    pub(crate) fn napi(&self) -> *mut bindings::napi_struct {
        self.napi.get()
    }

    #[inline]
    pub(crate) fn rxq(&self) -> *mut bindings::xdp_rxq_info {
        self.rxq.get()
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

    /// Undoes [`publish`](Self::publish).
    ///
    /// Nobody polls or sends.
    pub(crate) fn withdraw(&self) {
        self.set_napi(core::ptr::null_mut());
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
