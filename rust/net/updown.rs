// SPDX-License-Identifier: GPL-2.0

//! A device's rings, hardware and interrupts: up, down, anew, and asleep.
//!
//! [`open`](Core::open) and [`stop`](Core::stop) are the core's; [`restart`](Core::restart) is for what cannot change while
//! packets flow.

use crate::{
    buffers::{
        Division,
        Params, //
    },
    device::{
        Channel,
        Control,
        Core,
        Shape,
        Vector, //
    },
    irq::Irq,
    netdev::{
        xdp_queue,
        Operations,
        Side, //
    },
    rxside::RxSide,
    tx::TxRing, //
};
use kernel::{
    error::to_result,
    prelude::*,
    str::CString,
    sync::atomic::Relaxed,
    types::Opaque, //
};
use pp_bindings as bindings;

/// The rings of one queue.
struct Pair<'bound, D: Operations + 'bound> {
    rx: RxSide<'bound, D>,
    tx: TxRing<'bound, D::Tx>,
    /// For XDP alone.
    xdp: Option<TxRing<'bound, D::Tx>>,
}

/// How long after a start that failed the next one comes, in milliseconds. Without a carrier the watchdog does
/// not ask for one.
pub(crate) const RETRY_MS: u32 = 1000;

/// Why a device sleeps: it wakes when there is no reason left.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sleep {
    /// The system does.
    System,
    /// It is being reset.
    Reset,
    /// There was an error on its bus.
    Error,
    /// The machine is about to stop, or to start another kernel: for ever.
    Off,
}

impl Sleep {
    /// Returns its bit in [`Core::asleep`].
    fn bit(self) -> u32 {
        // CAST: Less than 4.
        1 << self as u32
    }
}

impl<'bound, D: Operations + 'bound> Core<'bound, D> {
    /// Allocates the receive ring of a queue.
    ///
    /// Does not touch the hardware, which may be running on another one. Under the device's lock.
    pub(crate) fn rx_side(
        &self,
        channel: &Channel<'bound, D>,
        shape: Shape,
    ) -> Result<RxSide<'bound, D>> {
        let name = CString::try_from_fmt(fmt!("{}/{}", self.name(), channel.index()))?;
        let params = Params {
            queue: &channel.queue,
            name: &name,
            entries: shape.rings.rx,
            // CAST: A few dozen at most.
            division: match shape.split.checked_shr(channel.index() as u32).unwrap_or(0) & 1 {
                0 => self.division(self.dev.mtu()),
                _ => Division::Payload,
            },
            frame: self.frame(self.dev.mtu()),
        };
        // SAFETY: The result is dropped by who asked for it, before the device is told of it; or by `quiesce()`,
        // after the device was stopped; or by `queue_mgmt`, after `stop_rx()` or `stop()`: in process context, with NAPI
        // disabled or the ring detached, and before the device is unbound, since the core does not live longer
        // than `'bound`.
        // The device does not read its buffers any more then either: the transmit ring has gone before, or has sent
        // those that XDP_TX had put there. `queue_mgmt` leaves none to the core but where it is given back.
        unsafe { RxSide::new(self.parent, self.buffers, &params) }
    }

    /// Allocates the rings of as many queues as are to be used, but for those that are there.
    ///
    /// Does not touch the hardware, which may be running on older ones.
    fn rings(&self, pairs: &mut KVec<Pair<'bound, D>>, shape: Shape) -> Result {
        for channel in self.channels.iter().take(shape.queues).skip(pairs.len()) {
            let rx = self.rx_side(channel, shape)?;
            let ring = || TxRing::new(self.parent, shape.rings.tx, self.features.tx_frame);
            let tx = ring()?;
            let xdp = D::XDP_TX.map(|_| ring()).transpose()?;
            pairs.push(Pair { rx, tx, xdp }, GFP_KERNEL)?;
        }
        Ok(())
    }

    /// Starts the hardware on new rings.
    ///
    /// What fails leaves it stopped.
    fn start(&self, control: &Control<'bound, D>, pairs: &mut KVec<Pair<'bound, D>>) -> Result {
        let (rss, interval) = (&control.rss, control.interval);
        self.ops.start(&self.config(pairs.len()))?;
        control.link.start(&self.ops)?;
        if D::HAS_SET_RSS {
            self.ops.set_rss(&rss.key, &rss.queues);
        }
        if D::HAS_SET_RULES && !self.steering.is_empty() {
            self.ops.set_rules(&self.steering);
        }
        if D::HAS_STRIP_VLAN {
            // SAFETY: The device is valid, and its lock is held, under which its features change.
            let features = unsafe { (*self.dev.as_raw()).features };
            self.ops
                .strip_vlan(features & bindings::RNET_F_VLAN_RX != 0);
        }
        for (channel, pair) in self.channels.iter().zip(pairs.iter_mut()) {
            let index = channel.index();
            // The card has forgotten it.
            channel.interval.store(0, Relaxed);
            if D::HAS_SET_INTERVAL {
                let adaptive = self.adaptive.load(Relaxed);
                channel.set_interval(if adaptive { D::INTERVAL } else { interval });
            }
            self.ops.start_ring(&pair.tx.describe(index))?;
            if let Some(xdp) = &pair.xdp {
                self.ops.start_ring(&xdp.describe(xdp_queue::<D>(index)))?;
            }
            self.ops.start_ring(&pair.rx.describe(index))?;
            pair.rx.start(|tail| channel.doorbell(Side::Rx, tail));
        }
        Ok(())
    }

    /// Shows the queues to XDP and netlink: all, or none if one fails.
    fn publish(&self, pairs: &KVec<Pair<'bound, D>>) -> Result {
        for (n, (channel, pair)) in self.channels.iter().zip(pairs).enumerate() {
            if let Err(e) = channel.queue.publish(&pair.rx.model()) {
                for channel in self.channels.iter().take(n) {
                    channel.queue.withdraw();
                }
                return Err(e);
            }
        }
        Ok(())
    }

    /// Starts everything on new rings.
    ///
    /// After the hardware has started nothing can fail.
    fn up(
        &self,
        control: &mut Control<'bound, D>,
        shape: Shape,
        mut pairs: KVec<Pair<'bound, D>>,
    ) -> Result {
        self.publish(&pairs)?;
        if let Err(e) = self.start(control, &mut pairs) {
            self.ops.stop();
            let published = self.channels.iter().take(pairs.len());
            published.for_each(|c| c.queue.withdraw());
            return Err(e);
        }
        for (channel, Pair { rx, tx, xdp }) in self.channels.iter().zip(pairs) {
            channel.pool.lock().begin(rx.pool_stats());
            rx.attach(&channel.queue);
            // SAFETY: NAPI is disabled, since `quiesce()` or as the device is being opened, and the device's lock
            // is held. The reference is gone at the end of the statement.
            unsafe { channel.polled().rx = Some(rx) };
            channel.queue.enable();
            // There are none yet, or `quiesce()` has taken them.
            for (side, ring) in channel.tx.each().zip([Some(tx), xdp]) {
                if let Some(ring) = ring {
                    // SAFETY: Process context, without the lock.
                    unsafe { side.open(ring) };
                }
            }
        }
        control.up = true;
        control.shape = shape;
        // Of a change after this one the handler hears as soon as interrupts are unmasked.
        self.update_link(control);
        self.listening.store(true, Relaxed);
        (0..self.vectors.len()).for_each(|vector| self.ops.unmask(vector));
        Ok(())
    }

    /// Stops everything and drops the rings.
    ///
    /// NAPI first, since it is poll that unmasks interrupts and wakes the queue; then nobody starts anew what the
    /// next lines stop.
    pub(crate) fn quiesce(&self, control: &Control<'bound, D>) {
        let channels = || self.channels.iter().take(control.shape.queues);
        channels().for_each(|c| c.queue.disable());
        // A poll has ended for NAPI a moment before it unmasks interrupts. It is an RCU reader.
        // SAFETY: It sleeps, and we are in process context, with no spinlock held and in no RCU read-side section.
        unsafe { bindings::synchronize_net() };
        // The core does not send, and other devices' redirects find the rings closed, from here on. What is in flight
        // is until the device stops.
        for side in channels().flat_map(|c| c.tx.each()) {
            // SAFETY: Process context, without the lock.
            unsafe { side.close() };
        }
        // A reset may clear what the card has counted.
        self.card_stats();
        self.ops.stop();
        // Not before: an interrupt that nobody attends to comes again and again.
        self.listening.store(false, Relaxed);
        // Returns when no handler runs that has seen the flag.
        control.irqs.iter().for_each(Irq::synchronize);
        // (Who looks at the link waits for `control`.)
        self.dev.set_carrier(false);
        for channel in channels() {
            for side in channel.tx.each() {
                // SAFETY: Process context, without the lock.
                if let Some(ring) = unsafe { side.take() } {
                    // CAST: usize is u64 here.
                    side.stats().dropped.add(ring.pending() as u64);
                }
            }
            // SAFETY: NAPI was disabled above, and the device's lock is held. The reference is gone at the end of
            // the statement.
            let rx = unsafe { channel.polled() }.rx.take();
            channel.pool.lock().end(|| drop(rx));
            channel.queue.withdraw();
            channel.tx.stack.queue().reset();
        }
    }

    /// Requests the interrupts, those of queues that are not used as well, and tells the core which ones are of the
    /// first `queues`.
    pub(crate) fn request_irqs(
        &self,
        queues: usize,
    ) -> Result<KVec<Irq<'bound, Vector<'bound, D>>>> {
        let mut irqs = KVec::with_capacity(self.vectors.len(), GFP_KERNEL)?;
        for (vector, request) in self.vectors.iter().enumerate() {
            let alone = self.vectors.len() == 1 || vector >= self.channels.len();
            let name = if alone {
                CString::try_from_fmt(fmt!("{}", self.name()))?
            } else {
                CString::try_from_fmt(fmt!("{}-TxRx-{}", self.name(), vector))?
            };
            // SAFETY: The core is pinned, and outlives its interrupts, which `stop()` drops.
            let handler = unsafe { Vector::new(self.into(), vector) };
            // SAFETY: `request` is a valid reference. What is copied is the number of an interrupt and the
            // lifetime of the device, so nothing is dropped twice. As the invariant of the copy says, its interrupt
            // is not registered: the interface is down, so `free_irqs()` has released what was. The original only
            // tells its number until then.
            let request = unsafe { core::ptr::from_ref(request).read() };
            // SAFETY: The result is not forgotten: it goes into `control`, from where `free_irqs()` drops it, or
            // is dropped when one of the next steps fails.
            irqs.push(unsafe { Irq::new(request, name, handler) }?, GFP_KERNEL)?;
        }
        let used = self.channels.iter().take(queues);
        used.for_each(|c| self.set_irq(c, true));
        Ok(irqs)
    }

    /// Tells the core which interrupt a queue is polled for, if that is requested.
    fn set_irq(&self, channel: &Channel<'bound, D>, requested: bool) {
        let request = self.vectors.get(channel.index()).filter(|_| requested);
        // CAST: The number of an interrupt.
        let irq = request.map_or(-1, |request| request.irq() as i32);
        channel.queue.set_irq(irq);
    }

    /// Releases the interrupts.
    pub(crate) fn free_irqs(&self, control: &mut Control<'bound, D>) {
        let used = self.channels.iter().take(control.shape.queues);
        used.for_each(|c| self.set_irq(c, false));
        control.irqs = KVec::new();
    }

    /// Brings the interface up.
    ///
    /// Under the device's lock.
    pub(crate) fn open(&self) -> Result {
        let control = &mut *self.control.lock();
        let shape = control.shape;
        let mut pairs = KVec::new();
        self.rings(&mut pairs, shape)?;
        control.irqs = self.request_irqs(shape.queues)?;
        self.up(control, shape, pairs)
            .inspect_err(|_| self.free_irqs(control))
    }

    /// Brings the interface down.
    ///
    /// Under the device's lock.
    pub(crate) fn stop(&self) {
        let control = &mut *self.control.lock();
        if control.up {
            control.up = false;
            self.quiesce(control);
        }
        control.link.forget();
        self.free_irqs(control);
    }

    /// Tells the core how many queues are used from here on.
    ///
    /// Nobody polls, or sends on, those that come or go. Under the device's lock and `rtnl`, if the number changes.
    fn use_queues(&self, control: &mut Control<'bound, D>, queues: usize) -> Result {
        if queues == control.shape.queues {
            return Ok(());
        }
        // CAST: No more than were asked for.
        let n = queues as u32;
        // SAFETY: The device is valid, and has so many queues. By the contract of this function both locks are held.
        to_result(unsafe { bindings::netif_set_real_num_queues(self.dev.as_raw(), n, n) })?;
        // What somebody has chosen stays; the core has seen to it that all of its queues are used.
        // SAFETY: The device is valid, and its lock is held.
        if !unsafe { bindings::netif_is_rxfh_configured(self.dev.as_raw()) } {
            control.rss.spread(queues);
        }
        for (n, channel) in self.channels.iter().enumerate() {
            match (n < control.shape.queues, n < queues) {
                (false, true) => {
                    channel.queue.used();
                    self.set_irq(channel, !control.irqs.is_empty());
                }
                (true, false) => {
                    channel.queue.unused();
                    // The core's watchdog looks at such queues as well: it does not expect them to be stopped.
                    for side in channel.tx.each() {
                        // SAFETY: Process context, without the queue's lock.
                        unsafe { side.queue().lock_bh() }.start();
                    }
                }
                _ => {}
            }
        }
        // Whatever becomes of the restart that this is for: the next one begins with so many.
        control.shape.queues = queues;
        Ok(())
    }

    /// Brings the interface down and up again, with rings of another size perhaps, or another number of queues.
    ///
    /// What is needed is allocated first, so that a lack of memory leaves the interface as it was. If the hardware
    /// does not start again the interface stays open, without a link, for the next attempt. Under the device's
    /// lock, and `rtnl` for another number of queues.
    pub(crate) fn restart(&self, shape: Option<Shape>) -> Result {
        let mut guard = self.control.lock();
        let control = &mut *guard;
        let mut shape = shape.unwrap_or(control.shape);
        if control.irqs.is_empty() {
            self.use_queues(control, shape.queues)?;
            control.shape = shape;
            return Ok(());
        }
        let mut pairs = KVec::new();
        self.rings(&mut pairs, shape)?;
        if control.up {
            control.up = false;
            self.quiesce(control);
        } else {
            // It may not have heard of the last time.
            self.ops.stop();
        }
        let used = self.use_queues(control, shape.queues);
        if used.is_err() {
            // As many as before, then.
            shape.queues = control.shape.queues;
            pairs.truncate(shape.queues);
        }
        // Without a carrier the watchdog does not ask for the next attempt.
        self.rings(&mut pairs, shape)
            .and_then(|()| self.up(control, shape, pairs))
            .inspect_err(|_| self.restart_later(RETRY_MS))?;
        drop(guard);
        // The hardware has lost what the core had told it.
        self.sync_rx_mode();
        used
    }

    /// Puts the device to sleep for a reason: it does no DMA and raises no interrupt until [`wake`](Self::wake), and the core
    /// leaves it alone.
    ///
    /// Rings and interrupts go as when the interface goes down, so whatever was in flight is home. Process context,
    /// without the device's lock. May come for a device that sleeps already.
    pub(crate) fn sleep(&self, reason: Sleep) {
        let dev = self.dev.as_raw();
        // SAFETY: The device is valid as long as the core. It may sleep: this is process context, and this task does not
        // hold the lock.
        unsafe { bindings::rnet_lock(dev) };
        // (Written under the device's lock.)
        self.asleep
            .store(self.asleep.load(Relaxed) | reason.bit(), Relaxed);
        // SAFETY: The device is valid, and its lock is held, under which the interface goes up and down.
        unsafe { bindings::netif_device_detach(dev) };
        self.stop();
        // SAFETY: The device is valid, and this task has taken its lock above.
        unsafe { bindings::rnet_unlock(dev) };
    }

    /// Ends a reason to sleep. With the last one the device wakes, which may have lost all that it knew, and the interface is
    /// brought up if it was.
    ///
    /// What fails is tried again in a second. Process context, without the device's lock. May come for a device that does
    /// not sleep.
    pub(crate) fn wake(&self, reason: Sleep) {
        let dev = self.dev.as_raw();
        // SAFETY: As in `sleep()`.
        unsafe { bindings::rnet_lock(dev) };
        let reasons = self.asleep.load(Relaxed) & !reason.bit();
        self.asleep.store(reasons, Relaxed);
        if reasons == 0 && !self.is_present() {
            // Nobody knows what it did meanwhile: another kernel may have had it.
            self.ops.stop();
            if self.state() & bindings::RNET_START != 0 {
                self.again();
            } else {
                // It was closed meanwhile. Queues that are not used are looked at by the core's watchdog as well.
                // SAFETY: The device is valid, and closed, so nobody sends.
                unsafe { bindings::rnet_tx_start_all(dev) };
            }
            // SAFETY: The device is valid, and its lock is held, under which the interface goes up and down.
            unsafe { bindings::netif_device_attach(dev) };
        }
        // SAFETY: The device is valid, and this task has taken its lock above.
        unsafe { bindings::rnet_unlock(dev) };
    }

    /// Returns whether the device is there, as the core has it: not asleep.
    ///
    /// Under the device's lock.
    pub(crate) fn is_present(&self) -> bool {
        self.state() & bindings::RNET_PRESENT != 0
    }

    /// Returns whether the interface is up, and whether the device is there, as the core has it.
    ///
    /// Under the device's lock.
    fn state(&self) -> c_ulong {
        // SAFETY: The device is valid as long as the core. The lock is held, under which the bits that we look at change;
        // others change at any time, hence the single access.
        unsafe { (&raw const (*self.dev.as_raw()).state).read_volatile() }
    }

    /// Restarts an interface that is up, now or, if that fails, in a second once more.
    ///
    /// Under the device's lock.
    pub(crate) fn again(&self) {
        let asleep = self.control.lock().irqs.is_empty();
        let result = if asleep {
            self.open().inspect(|()| self.sync_rx_mode())
        } else {
            self.restart(None)
        };
        if result.is_err() {
            pr_err!(
                "{}: a reset failed, the next one is in a second\n",
                self.name()
            );
            self.restart_later(RETRY_MS);
        }
    }
}

/// # Safety
///
/// `work` is a part of the `reset` of a `Core<D>`.
pub(crate) unsafe extern "C" fn reset_work<D: Operations>(work: *mut bindings::work_struct) {
    // SAFETY: By the safety requirement it is the field of a `struct delayed_work`.
    let work = unsafe { kernel::container_of!(work, bindings::delayed_work, work) };
    // CAST: `Opaque` is a transparent wrapper.
    let work = work.cast::<Opaque<bindings::delayed_work>>();
    // SAFETY: By the safety requirement the delayed work is the field of a `Core<D>`, which is pinned and only
    // shared. It waits for its work, in `end()`, before it goes.
    let core = unsafe { &*kernel::container_of!(work, Core<'_, D>, reset) };
    let dev = core.dev.as_raw();
    // SAFETY: The device is valid as long as the core, which waits for this work. It may sleep: this is process
    // context, and the lock is not held yet.
    unsafe { bindings::rnet_lock(dev) };
    const UP: c_ulong = bindings::RNET_START | bindings::RNET_PRESENT;
    if core.state() & UP == UP {
        core.again();
    }
    // SAFETY: The device is valid, and this task has taken its lock above and not released it since.
    unsafe { bindings::rnet_unlock(dev) };
}
