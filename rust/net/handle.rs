// SPDX-License-Identifier: GPL-2.0

//! The core's side of a device: its `struct net_device`.
//!
//! C header: [`include/linux/netdevice.h`](srctree/include/linux/netdevice.h)

use core::ptr::NonNull;
use kernel::{
    error::to_result,
    prelude::*, //
};
use pp_bindings as bindings;

/// A `struct net_device` that we own.
///
/// # Invariants
///
/// The device is valid, and nobody else frees it.
pub(crate) struct NetDev(NonNull<bindings::net_device>);

// SAFETY: A `struct net_device` belongs to no CPU and to no task: it may be freed in another one than that which
// has allocated it.
unsafe impl Send for NetDev {}
// SAFETY: What a shared reference allows may be done on any CPU: `mac()` and `mtu()` read what the device's lock
// protects, and who has the pointer calls the core's functions under the locks that they want.
unsafe impl Sync for NetDev {}

impl NetDev {
    /// Allocates a device with so many queues, `tx_queues` transmit queues of which the others are not the stack's, and
    /// room for a pointer.
    pub(crate) fn new(queues: u32, tx_queues: u32) -> Result<Self> {
        // CAST: 8.
        let room = core::mem::size_of::<*const ()>() as c_int;
        // SAFETY: It may sleep, and we are in process context; it asks for nothing else. Whether it is null is
        // looked at below.
        let dev = unsafe { bindings::alloc_etherdev_mqs(room, tx_queues, queues) };
        let dev = NonNull::new(dev).ok_or(ENOMEM)?;
        // All that changes the configuration comes under the device's lock.
        // SAFETY: `dev` is not null and was just allocated, so it is valid; and nobody else knows it yet, so
        // nobody else accesses the field.
        unsafe { (*dev.as_ptr()).request_ops_lock = true };
        // INVARIANT: It is new.
        let dev = Self(dev);
        // SAFETY: The device is valid, has so many queues, and is not registered.
        to_result(unsafe { bindings::netif_set_real_num_queues(dev.as_raw(), queues, queues) })?;
        Ok(dev)
    }

    #[inline]
    pub(crate) fn as_raw(&self) -> *mut bindings::net_device {
        self.0.as_ptr()
    }

    /// As [`as_raw`](Self::as_raw), for who knows that it is not null.
    pub(crate) fn as_non_null(&self) -> NonNull<bindings::net_device> {
        self.0
    }

    /// Tells the core whether there is a link, and returns what it knew.
    ///
    /// Any context.
    pub(crate) fn set_carrier(&self, up: bool) -> bool {
        let dev = self.as_raw();
        // SAFETY: By the type invariant the device is valid. The functions may be called in any context, and by several
        // CPUs at once: they change a bit atomically and leave the rest to a work.
        unsafe {
            let was = bindings::rnet_carrier_ok(dev);
            if up {
                bindings::netif_carrier_on(dev);
            } else {
                bindings::netif_carrier_off(dev);
            }
            was
        }
    }

    /// Returns the MAC address.
    ///
    /// Under the device's lock.
    pub(crate) fn mac(&self) -> [u8; 6] {
        // SAFETY: By the type invariant the device is valid, and `dev_addr` points to its address, of which an
        // Ethernet device has six bytes. It is written under the device's lock, which `start()`, the only caller,
        // is called with.
        unsafe { (*self.as_raw()).dev_addr.cast::<[u8; 6]>().read() }
    }

    /// Returns the MTU.
    ///
    /// Under the device's lock.
    pub(crate) fn mtu(&self) -> u32 {
        // SAFETY: By the type invariant the device is valid. The field is written under the device's lock, which
        // the caller holds.
        unsafe { (*self.as_raw()).mtu }
    }

    /// Puts another MTU in force.
    ///
    /// Under the device's lock.
    pub(crate) fn set_mtu(&self, mtu: u32) {
        // SAFETY: By the type invariant the device is valid. Its lock is held, so nobody else writes the field; who
        // reads it does so at any time, hence the single access.
        unsafe { (&raw mut (*self.as_raw()).mtu).write_volatile(mtu) };
    }
}

impl Drop for NetDev {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the device is valid and ours to free, which is done once. It is not
        // registered, see `Registration`. Its NAPI instances are deleted, since the channels are dropped before:
        // they are the first field of `Core`.
        unsafe { bindings::free_netdev(self.as_raw()) };
    }
}
