// SPDX-License-Identifier: GPL-2.0

//! One receive queue, stopped and started while the others go on: `struct netdev_queue_mgmt_ops`.
//!
//! The core makes a new ring, stops the queue, starts it on the new ring, and frees the old one; if the new one
//! does not start it asks for the old one back. It holds the device's lock all the time.
//!
//! C header: [`include/net/netdev_queues.h`](srctree/include/net/netdev_queues.h)

use crate::{
    device::{
        Channel,
        Core, //
    },
    netdev::{
        Operations,
        Side, //
    },
    rxside::RxSide,
    updown::RETRY_MS,
    vtable::{
        core_of,
        Table, //
    },
};
use core::mem::MaybeUninit;
use kernel::{
    error::from_result,
    io::poll::read_poll_timeout,
    prelude::*,
    time::Delta, //
};
use page_pool::context::BhGuard;
use pp_bindings as bindings;

/// A receive ring that its queue does not use.
struct Spare<'bound, D: Operations> {
    rx: RxSide<'bound, D>,
    /// The queue has used it.
    used: bool,
    queue: usize,
}

/// What the core keeps for us between two calls: zeroed memory at first, which is `None`.
type Memory<'bound, D> = Option<KBox<Spare<'bound, D>>>;

/// How long a queue may take to send what XDP programs have sent back, until it is not stopped after all.
const DRAIN: Delta = Delta::from_millis(100);

/// Returns the core, and what it keeps for us.
///
/// # Safety
///
/// - `dev` is as the invariant of [`Table`] says, with that driver, and registered for `'a`.
/// - `memory` is of the size that was asked for, and either zeroed or what one of the callbacks has left there. It is
///   nobody else's for `'a`.
unsafe fn arguments<'a, 'bound, D: Operations + 'bound>(
    dev: *mut bindings::net_device,
    memory: *mut c_void,
) -> (&'a Core<'bound, D>, &'a mut Memory<'bound, D>) {
    // SAFETY: By the safety requirement the device is valid, its private area holds a pointer to its core, whose
    // driver is `D`, and the core outlives `'a`, as the device is registered. `memory` has room for a `Memory`, is
    // aligned by its allocator, and holds one: zeroes are `None`.
    unsafe { (core_of::<D>(dev), &mut *memory.cast()) }
}

impl<'bound, D: Operations + 'bound> Table<'bound, D> {
    /// `struct netdev_queue_mgmt_ops`.
    pub(crate) const QUEUES: bindings::netdev_queue_mgmt_ops = bindings::netdev_queue_mgmt_ops {
        ndo_queue_mem_size: core::mem::size_of::<Memory<'bound, D>>(),
        ndo_queue_mem_alloc: Some(Self::queue_mem_alloc),
        ndo_queue_mem_free: Some(Self::queue_mem_free),
        ndo_queue_start: Some(Self::queue_start),
        ndo_queue_stop: Some(Self::queue_stop),
        // SAFETY: The other fields are optional callbacks, for which zeroes are `None`, and the parameters that
        // are supported, of which 0 are.
        ..unsafe { MaybeUninit::zeroed().assume_init() }
    };

    /// # Safety
    ///
    /// - See the type invariant.
    /// - The device's lock is held.
    /// - `memory` is zeroed, of the size that was asked for, and nobody else's.
    unsafe extern "C" fn queue_mem_alloc(
        dev: *mut bindings::net_device,
        _config: *mut bindings::netdev_queue_config,
        memory: *mut c_void,
        index: c_int,
    ) -> c_int {
        // SAFETY: The requirements are those of the caller's.
        let (core, memory) = unsafe { arguments::<D>(dev, memory) };
        // CAST: The number of a queue.
        let queue = index as usize;
        from_result(|| {
            let channel = core.channel(queue).ok_or(EINVAL)?;
            let shape = core.control.lock().shape;
            let spare = Spare {
                rx: core.rx_side(channel, shape)?,
                used: false,
                queue,
            };
            *memory = Some(KBox::new(spare, GFP_KERNEL)?);
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// - See the type invariant.
    /// - The device's lock is held.
    /// - `memory` is what one of the others has left there, and nobody else's.
    unsafe extern "C" fn queue_mem_free(dev: *mut bindings::net_device, memory: *mut c_void) {
        // SAFETY: The requirements are those of the caller's.
        let (core, memory) = unsafe { arguments::<D>(dev, memory) };
        let Some(spare) = memory.take() else {
            return;
        };
        match core.channel(spare.queue) {
            Some(channel) if spare.used => channel.pool.lock().end_replaced(|| drop(spare)),
            _ => drop(spare),
        }
    }

    /// # Safety
    ///
    /// - See the type invariant.
    /// - The device's lock is held, since [`queue_stop`](Self::queue_stop) has stopped the queue.
    /// - `memory` has a ring, of this queue, and is nobody else's.
    unsafe extern "C" fn queue_start(
        dev: *mut bindings::net_device,
        _config: *mut bindings::netdev_queue_config,
        memory: *mut c_void,
        index: c_int,
    ) -> c_int {
        // SAFETY: The requirements are those of the caller's.
        let (core, memory) = unsafe { arguments::<D>(dev, memory) };
        from_result(|| {
            // CAST: The number of a queue.
            let channel = core.channel(index as usize).ok_or(EINVAL)?;
            let spare = memory.take().ok_or(EINVAL)?;
            // SAFETY: By the safety requirement `queue_stop()`, which calls `stop()`, has stopped the queue: there
            // is no other way here. The device's lock is held since, and an attempt that failed has left it
            // stopped.
            match unsafe { start(core, channel, spare) } {
                Ok(()) => Ok(0),
                Err((spare, e)) if !spare.used => {
                    *memory = Some(spare);
                    Err(e)
                }
                Err((spare, e)) => {
                    // The new one did not start, nor does the old one. There is nothing left but a reset, and
                    // the core, which believes that it runs, does not ask for the memory to be freed.
                    channel.pool.lock().end_replaced(|| drop(spare));
                    pr_err!(
                        "{}: receive queue {} does not start again ({:?}), a reset follows\n",
                        core.name(),
                        channel.index(),
                        e
                    );
                    channel.queue.enable();
                    core.restart_later(RETRY_MS);
                    Ok(0)
                }
            }
        })
    }

    /// # Safety
    ///
    /// - See the type invariant.
    /// - The device's lock is held.
    /// - `memory` is zeroed, of the size that was asked for, and nobody else's.
    unsafe extern "C" fn queue_stop(
        dev: *mut bindings::net_device,
        memory: *mut c_void,
        index: c_int,
    ) -> c_int {
        // SAFETY: The requirements are those of the caller's.
        let (core, memory) = unsafe { arguments::<D>(dev, memory) };
        from_result(|| {
            // CAST: The number of a queue.
            let channel = core.channel(index as usize).ok_or(EINVAL)?;
            let room = KBox::new_uninit(GFP_KERNEL)?;
            // A reset has failed, and one more is on its way.
            if !core.control.lock().up {
                return Err(ENETDOWN);
            }
            let rx = stop(core, channel)?;
            *memory = Some(KBox::write(
                room,
                Spare {
                    rx,
                    used: true,
                    queue: channel.index(),
                },
            ));
            Ok(0)
        })
    }
}

/// Stops the receive ring of a queue and returns it. On an error nothing has changed.
///
/// The queue is not polled after this, so nothing that is sent is completed either; all else goes on.
fn stop<'bound, D: Operations + 'bound>(
    core: &Core<'bound, D>,
    channel: &Channel<'bound, D>,
) -> Result<RxSide<'bound, D>> {
    channel.queue.disable();
    // SAFETY: NAPI was disabled just now, and the device's lock is held. The reference is not used after NAPI is
    // enabled again.
    let ring = unsafe { &mut channel.polled().rx };
    let sent = match ring {
        Some(rx) => sent_back(channel, rx),
        None => Err(ENETDOWN),
    };
    let rx = sent
        .and_then(|()| ring.take().ok_or(ENETDOWN))
        .inspect_err(|_| resume(channel))?;
    // An interrupt may still come, which masks the vector; `start()` unmasks it.
    stop_ring(core, channel);
    channel.queue.withdraw_rx();
    rx.detach();
    channel.pool.lock().replace();
    Ok(rx)
}

/// Stops the DMA for a queue's receive ring, if not otherwise than all of the device's: until the restart there is no
/// link then.
fn stop_ring<'bound, D: Operations + 'bound>(core: &Core<'bound, D>, channel: &Channel<'bound, D>) {
    if let Err(e) = core.ops.stop_rx(channel.index()) {
        pr_err!(
            "{}: receive queue {} does not stop ({:?}), a reset follows\n",
            core.name(),
            channel.index(),
            e
        );
        // Nobody looks at the link meanwhile.
        let control = core.control.lock();
        core.ops.stop();
        core.dev.set_carrier(false);
        drop(control);
        core.restart_later(0);
    }
}

/// Waits until the device has sent what XDP programs have sent back, which lies in pages of the ring's pool: the
/// device reads them over the pool's mappings, and the transmit ring stays.
///
/// NAPI is disabled, so nothing is added.
fn sent_back<'bound, D: Operations + 'bound>(
    channel: &Channel<'bound, D>,
    rx: &mut RxSide<'bound, D>,
) -> Result {
    // SAFETY: They are of one queue. NAPI is disabled. Process context, without the locks of the rings.
    let clean = || Ok(unsafe { rx.clean_tx(&channel.tx) });
    match read_poll_timeout(clean, |&sent| sent, Delta::from_millis(1), DRAIN) {
        Ok(_) => Ok(()),
        Err(_) => Err(EBUSY),
    }
}

/// Lets a queue be polled again.
fn resume<'bound, D: Operations + 'bound>(channel: &Channel<'bound, D>) {
    channel.queue.enable();
    // An interrupt that came meanwhile has found nobody to poll, and has left the vector masked.
    if let Ok(_bh) = BhGuard::new() {
        channel.queue.schedule();
    }
}

/// Starts a queue on a receive ring, or leaves it as it was.
///
/// # Safety
///
/// The queue was stopped by [`stop`], and the device's lock is held since.
unsafe fn start<'bound, D: Operations + 'bound>(
    core: &Core<'bound, D>,
    channel: &Channel<'bound, D>,
    mut spare: KBox<Spare<'bound, D>>,
) -> Result<(), (KBox<Spare<'bound, D>>, Error)> {
    let index = channel.index();
    if spare.used {
        if let Err(e) = spare.rx.rewind() {
            return Err((spare, e));
        }
    }
    if let Err(e) = channel.queue.publish_rx(&spare.rx.model()) {
        return Err((spare, e));
    }
    if let Err(e) = core.ops.start_ring(&spare.rx.describe(index)) {
        stop_ring(core, channel);
        channel.queue.withdraw_rx();
        return Err((spare, e));
    }
    let Spare { mut rx, used, .. } = KBox::into_inner(spare);
    rx.start(|tail| channel.doorbell(Side::Rx, tail));
    rx.attach(&channel.queue);
    if used {
        channel.pool.lock().begin_again();
    } else {
        channel.pool.lock().begin(rx.pool_stats());
    }
    // SAFETY: By the safety requirement NAPI is disabled, since `stop()`, and the device's lock is held. The
    // reference is gone at the end of the statement.
    unsafe { channel.polled().rx = Some(rx) };
    resume(channel);
    Ok(())
}
