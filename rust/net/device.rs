// SPDX-License-Identifier: GPL-2.0

//! A registered network device: its parts, who owns them, up and down.
//!
//! # Locks, outermost first
//!
//! * `rtnl`, held by the core around open, stop and all that changes the configuration.
//! * `Core::control`: the same ground once more, so that the compiler can check it.
//! * The transmit queue's lock: owns `Core::tx`. Bottom halves off.
//!
//! `Core::rx` has no lock. NAPI poll owns it while NAPI is enabled; whoever has disabled NAPI owns
//! it otherwise.

use crate::{
    ethtool::Visitor,
    netdev::{Operations, Rings, RxStats, TxStats},
    queue::TxQueue,
    vtable,
};
use core::{cell::UnsafeCell, ptr::NonNull};
use kernel::{
    device::{Bound, Device},
    error::to_result,
    new_mutex,
    prelude::*,
    sync::{
        atomic::{AtomicFlag, Relaxed},
        Mutex,
    },
};
use pp_bindings as bindings;

/// A `struct net_device` that we own.
pub(crate) struct NetDev(NonNull<bindings::net_device>);

// SAFETY: The core's functions on a device may be called on any CPU.
unsafe impl Send for NetDev {}
// SAFETY: As above.
unsafe impl Sync for NetDev {}

impl NetDev {
    #[inline]
    pub(crate) fn as_raw(&self) -> *mut bindings::net_device {
        self.0.as_ptr()
    }

    #[inline]
    pub(crate) fn private(&self) -> *mut bindings::rnet_priv {
        // SAFETY: The device is one of `rnet_alloc()`.
        unsafe { bindings::rnet_priv(self.as_raw()) }
    }

    fn mac(&self) -> [u8; 6] {
        let mut mac = [0; 6];
        // SAFETY: The device is valid, and the array has room for an address.
        unsafe { bindings::rnet_get_mac(self.as_raw(), mac.as_mut_ptr()) };
        mac
    }

    fn mtu(&self) -> u32 {
        // SAFETY: The device is valid.
        unsafe { bindings::rnet_get_mtu(self.as_raw()) }
    }
}

impl Drop for NetDev {
    fn drop(&mut self) {
        // SAFETY: The device is ours and not registered (see `Registration`).
        unsafe { bindings::rnet_free(self.as_raw()) };
    }
}

/// What `rtnl` protects.
pub(crate) struct Control {
    /// Between [`Core::open`] and [`Core::stop`]: the interrupt is requested.
    open: bool,
    /// The hardware runs, and the rings are in place. Of a device that is open this is wrong only
    /// when a restart failed.
    up: bool,
    pub(crate) rings: Rings,
    /// How many counters there are, which is asked once.
    pub(crate) counters: usize,
}

/// Everything that belongs to a device.
#[pin_data]
pub(crate) struct Core<D: Operations> {
    pub(crate) dev: NetDev,
    #[pin]
    pub(crate) ops: D,
    rx: UnsafeCell<Option<D::Rx>>,
    tx: UnsafeCell<Option<D::Tx>>,
    #[pin]
    pub(crate) control: Mutex<Control>,
    irq: u32,
    /// The interrupt handler may do something. Its line is shared, so it is called at any time.
    pub(crate) listening: AtomicFlag,
    pub(crate) rx_stats: RxStats,
    pub(crate) tx_stats: TxStats,
}

// SAFETY: `rx` and `tx` are `Send` and accessed by one CPU at a time, by the rules at the top of
// this file. The counters are atomic, the rest is `Sync` by itself.
unsafe impl<D: Operations> Sync for Core<D> {}
// SAFETY: All parts are `Send`.
unsafe impl<D: Operations> Send for Core<D> {}

impl<D: Operations> Core<D> {
    fn new<'a>(
        parent: &'a Device<Bound>,
        irq: u32,
        ops: impl PinInit<D, Error> + 'a,
    ) -> impl PinInit<Self, Error> + 'a
    where
        D: 'a,
    {
        try_pin_init!(&this in Self {
            ops <- ops,
            dev: {
                // SAFETY: The parent is valid. `this` is pinned and outlives the device, and no
                // callback comes before the device is registered.
                let dev = unsafe {
                    bindings::rnet_alloc(
                        crate::dma::raw(parent),
                        &vtable::Table::<D>::TABLE,
                        this.as_ptr().cast(),
                    )
                };
                NetDev(NonNull::new(dev).ok_or(ENOMEM)?)
            },
            rx: UnsafeCell::new(None),
            tx: UnsafeCell::new(None),
            control <- new_mutex!(Control {
                open: false,
                up: false,
                rings: Rings { rx: 0, tx: 0 },
                counters: 0,
            }),
            irq,
            listening: AtomicFlag::new(false),
            rx_stats: RxStats::default(),
            tx_stats: TxStats::default(),
        })
    }

    /// What NAPI owns.
    ///
    /// # Safety
    ///
    /// The caller is NAPI poll, or has disabled NAPI; and does not call this again before it is
    /// done with the result.
    #[inline]
    #[expect(clippy::mut_from_ref)]
    pub(crate) unsafe fn rx(&self) -> &mut Option<D::Rx> {
        // SAFETY: By the safety requirement nobody else has a reference.
        unsafe { &mut *self.rx.get() }
    }

    /// What the transmit queue's lock owns.
    ///
    /// # Safety
    ///
    /// The caller holds the lock, and does not call this again before it is done with the result.
    #[inline]
    #[expect(clippy::mut_from_ref)]
    pub(crate) unsafe fn tx(&self) -> &mut Option<D::Tx> {
        // SAFETY: By the safety requirement nobody else has a reference.
        unsafe { &mut *self.tx.get() }
    }

    /// Runs `f` with the transmit queue locked.
    ///
    /// # Safety
    ///
    /// Bottom halves are off, and the lock is not held by this CPU.
    #[inline]
    pub(crate) unsafe fn with_tx<R>(
        &self,
        f: impl FnOnce(&mut D::Tx, &TxQueue<'_, D>) -> R,
    ) -> Option<R> {
        // SAFETY: The device is valid; the rest by the safety requirement.
        unsafe { bindings::rnet_tx_lock(self.dev.as_raw()) };
        // SAFETY: The lock is held until after `f`.
        let queue = unsafe { TxQueue::new(self) };
        // SAFETY: The lock is held, and `f` cannot get here again.
        let result = unsafe { self.tx() }.as_mut().map(|tx| f(tx, &queue));
        // SAFETY: Taken above.
        unsafe { bindings::rnet_tx_unlock(self.dev.as_raw()) };
        result
    }

    /// Puts something else in place of what the transmit queue owns. Process context.
    fn swap_tx(&self, mut new: Option<D::Tx>) -> Option<D::Tx> {
        // SAFETY: The device is valid; process context, and no lock is held.
        unsafe { bindings::rnet_tx_lock_bh(self.dev.as_raw()) };
        // SAFETY: The lock is held.
        core::mem::swap(unsafe { self.tx() }, &mut new);
        // SAFETY: Taken above.
        unsafe { bindings::rnet_tx_unlock_bh(self.dev.as_raw()) };
        new
    }

    /// Tells the core whether the link is there. Called by the interrupt handler, and by who has
    /// made sure that it does nothing meanwhile.
    pub(crate) fn update_carrier(&self) {
        if self.ops.link().is_some() {
            // SAFETY: The device is valid.
            unsafe { bindings::netif_carrier_on(self.dev.as_raw()) };
        } else {
            // SAFETY: The device is valid.
            unsafe { bindings::netif_carrier_off(self.dev.as_raw()) };
        }
    }

    /// Starts the hardware on new rings. Once it has started nothing can fail.
    fn up(&self, control: &mut Control, rings: Rings, (rx, tx): (D::Rx, D::Tx)) -> Result {
        let (mut rx, mut tx) = (rx, tx);
        let dev = self.dev.as_raw();
        // SAFETY: A place in the device's private area.
        let napi = unsafe { &raw mut (*self.dev.private()).napi };

        if let Err(e) = self
            .ops
            .start(&mut rx, &mut tx, &self.dev.mac(), self.dev.mtu())
        {
            self.ops.stop();
            return Err(e);
        }
        // SAFETY: The device is down, so its queue is not registered.
        if let Err(e) = to_result(unsafe { bindings::rnet_rxq_reg(dev) }) {
            self.ops.stop();
            return Err(e);
        }
        // SAFETY: NAPI is disabled.
        unsafe { *self.rx() = Some(rx) };
        drop(self.swap_tx(Some(tx)));
        // SAFETY: NAPI is disabled, which is how it is added and how `quiesce()` leaves it.
        unsafe { bindings::napi_enable(napi) };
        control.up = true;
        control.rings = rings;
        // Of a change after this one the handler hears as soon as interrupts are unmasked.
        self.update_carrier();
        self.listening.store(true, Relaxed);
        self.ops.unmask_interrupts();
        // SAFETY: The device is valid.
        unsafe { bindings::rnet_tx_wake(dev) };
        Ok(())
    }

    /// Stops everything and drops the rings. NAPI first, since it is poll that unmasks interrupts
    /// and wakes the queue; then nobody starts anew what the next lines stop.
    fn quiesce(&self) {
        let dev = self.dev.as_raw();
        // SAFETY: NAPI is enabled.
        unsafe { bindings::napi_disable(&raw mut (*self.dev.private()).napi) };
        // A poll has ended for NAPI a moment before it unmasks interrupts. It is an RCU reader.
        // SAFETY: Process context.
        unsafe { bindings::rnet_synchronize() };
        // SAFETY: The device is valid.
        unsafe { bindings::rnet_tx_disable(dev) };
        self.ops.stop();
        // Not before: an interrupt that nobody attends to comes again and again.
        self.listening.store(false, Relaxed);
        // SAFETY: The interrupt is requested. Returns when no handler runs that has seen the flag.
        unsafe { bindings::synchronize_irq(self.irq) };
        // Not before: the handler may see the link once more.
        // SAFETY: The device is valid.
        unsafe { bindings::netif_carrier_off(dev) };
        drop(self.swap_tx(None));
        // SAFETY: NAPI is disabled.
        drop(unsafe { self.rx() }.take());
        // SAFETY: The device is valid, and all packets of its queue are gone.
        unsafe {
            bindings::rnet_tx_reset(dev);
            bindings::rnet_rxq_unreg(dev);
        }
    }

    /// Brings the interface up. Under `rtnl`.
    pub(crate) fn open(&self) -> Result {
        let mut control = self.control.lock();
        let rings = control.rings;
        let parts = self.ops.open(rings)?;
        let dev = self.dev.as_raw();
        // SAFETY: The handler finds `self` through the device, and `stop()` removes it.
        to_result(unsafe { bindings::rnet_request_irq(self.irq, dev) })?;
        let result = self.up(&mut control, rings, parts);
        if result.is_err() {
            // SAFETY: Just requested.
            unsafe { bindings::rnet_free_irq(self.irq, dev) };
        }
        control.open = result.is_ok();
        result
    }

    /// Brings the interface down. Under `rtnl`.
    pub(crate) fn stop(&self) {
        let mut control = self.control.lock();
        if control.up {
            control.up = false;
            self.quiesce();
        }
        if control.open {
            control.open = false;
            // SAFETY: Requested by `open()`.
            unsafe { bindings::rnet_free_irq(self.irq, self.dev.as_raw()) };
        }
    }

    /// Down and up again, with rings of another size perhaps. What is needed is allocated first, so
    /// that a lack of memory leaves the interface as it was. If the hardware does not start again
    /// the interface stays open, without a link, for the next attempt. Under `rtnl`.
    pub(crate) fn restart(&self, rings: Option<Rings>) -> Result {
        let mut control = self.control.lock();
        let rings = rings.unwrap_or(control.rings);
        if !control.open {
            control.rings = rings;
            return Ok(());
        }
        let parts = self.ops.open(rings)?;
        if control.up {
            control.up = false;
            self.quiesce();
        } else {
            // It may not have heard of the last time.
            self.ops.stop();
        }
        self.up(&mut control, rings, parts)?;
        drop(control);
        // SAFETY: The device is valid, and we are in process context.
        unsafe { bindings::rnet_sync_rx_mode(self.dev.as_raw()) };
        Ok(())
    }
}

/// A network device that the core knows. [`unregister`](Self::unregister) takes it from the core, or else
/// dropping it does; when that returns, no callback runs any more.
pub(crate) struct Registration<D: Operations>(Pin<KBox<Core<D>>>);

impl<D: Operations> Registration<D> {
    pub(crate) fn new<'a>(
        parent: &'a Device<Bound>,
        irq: u32,
        ops: impl PinInit<D, Error> + 'a,
    ) -> Result<Self>
    where
        D: 'a,
    {
        let core = KBox::pin_init(Core::new(parent, irq, ops), GFP_KERNEL)?;
        let features = core.ops.features();
        {
            let mut control = core.control.lock();
            control.rings = features.rings;
            control.counters = Visitor::count(|v| core.ops.statistics(v));
        }
        let mac = core.ops.mac();
        let dev = core.dev.as_raw();
        // SAFETY: The device is valid and not registered yet.
        unsafe {
            bindings::rnet_set_mtu_range(dev, features.max_mtu, features.xdp_max_mtu);
            bindings::rnet_set_mac(dev, mac.as_ptr());
        }
        // SAFETY: Everything that a callback may need is in place.
        to_result(unsafe { bindings::rnet_register(dev) })?;
        Ok(Self(core))
    }

    /// Takes the device from the core, if that has not been done. Process context; called by the bus and
    /// by `drop()`, one after the other.
    pub(crate) fn unregister(&self) {
        // SAFETY: Registered by `new()`. Stops the interface if it is up, and waits for everybody who
        // uses the device; a second time it does nothing.
        unsafe { bindings::rnet_unregister(self.0.dev.as_raw()) };
    }
}

impl<D: Operations> Drop for Registration<D> {
    fn drop(&mut self) {
        self.unregister();
    }
}
