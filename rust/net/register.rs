// SPDX-License-Identifier: GPL-2.0

//! Registration: from here on the core knows the device.

use crate::{
    desc::{
        RxDescriptor,
        TxDescriptor, //
    },
    device::{
        Core,
        Parts, //
    },
    frames::OVERHEAD,
    netdev::{
        has_metadata,
        Operations, //
    },
    updown::{
        self,
        Sleep, //
    },
    vtable::Table, //
};
use kernel::{
    error::to_result,
    prelude::*, //
};
use pp_bindings as bindings;

/// How long a transmit queue may be stopped until the device counts as stuck, in seconds.
const WATCHDOG_SECONDS: usize = 5;

/// As the kernel's `is_valid_ether_addr()`: no group's, and not all zeroes.
fn is_valid_mac(mac: &[u8; 6]) -> bool {
    mac[0] & 1 == 0 && *mac != [0; 6]
}

/// A network device that the core knows. [`unregister`](Self::unregister) takes it from the core, or else
/// dropping it does; when that returns, no callback runs any more.
pub(crate) struct Registration<'bound, D: Operations>(Pin<KBox<Core<'bound, D>>>);

impl<'bound, D: Operations + 'bound> Registration<'bound, D> {
    /// Registers a device.
    ///
    /// Process context.
    ///
    /// # Safety
    ///
    /// The result is dropped before the parent is unbound, in process context, and not forgotten.
    pub(crate) unsafe fn new(parts: Parts<'bound, D>) -> Result<Self> {
        let parent = parts.parent;
        // SAFETY: `reset_work()` is what restarts a device.
        let core = unsafe { Core::new(parts, Table::<D>::poll, updown::reset_work::<D>)? };
        let features = &core.features;
        let dev = core.dev.as_raw();
        // SAFETY: The device is valid, and not registered yet, so it is ours alone. Its private area has room for
        // a pointer, see `NetDev::new()`. What the tables promise holds: the core is pinned, and goes after the
        // device is unregistered. The tables are constants, in memory that stays. The parent is bound for longer,
        // and the address has six bytes.
        unsafe {
            let ptr: *const Core<'bound, D> = &*core;
            (*dev)
                .priv_
                .as_mut_ptr()
                .cast::<*const Core<'bound, D>>()
                .write(ptr);
            (*dev).dev.parent = crate::dma::raw(parent);
            (*dev).netdev_ops = &Table::<D>::NETDEV;
            (*dev).ethtool_ops = &Table::<D>::ETHTOOL;
            if D::HAS_STOP_RX {
                (*dev).queue_mgmt_ops = &Table::<D>::QUEUES;
            }
            if has_metadata::<D>() {
                (*dev).xdp_metadata_ops = &Table::<D>::METADATA;
            }
            (*dev).stat_ops = core::ptr::from_ref(&Table::<D>::STATS).cast_mut();
            // CAST: A few thousand jiffies.
            (*dev).watchdog_timeo = (WATCHDOG_SECONDS * bindings::RPP_HZ) as c_int;
            (*dev).features |= bindings::RNET_F_HIGHDMA;
            if features.rx_checksum {
                (*dev).hw_features |= bindings::RNET_F_RXCSUM;
                (*dev).features |= bindings::RNET_F_RXCSUM;
            }
            if D::Rx::HASH {
                (*dev).hw_features |= bindings::RNET_F_RXHASH;
                (*dev).features |= bindings::RNET_F_RXHASH;
            }
            if D::HAS_STRIP_VLAN {
                (*dev).hw_features |= bindings::RNET_F_VLAN_RX;
                (*dev).features |= bindings::RNET_F_VLAN_RX;
            }
            if D::HAS_SET_RULES {
                // For rules about VLANs the card has to know the others as well.
                (*dev).features |= bindings::RNET_F_VLAN_FILTER;
            }
            if D::Tx::OFFLOADS.is_some() {
                let all = bindings::RNET_F_OFFLOADS | bindings::RNET_F_VLAN_TX;
                (*dev).hw_features |= all;
                (*dev).features |= all;
                (*dev).vlan_features |= bindings::RNET_F_OFFLOADS | bindings::RNET_F_HIGHDMA;
            }
            (*dev).min_mtu = bindings::ETH_MIN_MTU;
            // CAST: A few thousand.
            (*dev).max_mtu = features.rx_frame.saturating_sub(OVERHEAD) as u32;
            if D::HAS_SET_RX_MODE && D::ADDRESSES != 0 {
                bindings::rnet_priv_flags(dev, bindings::RNET_UNICAST_FLT);
            }
            // Each queue's interrupt on a CPU of its own, until somebody says otherwise while the interface is up.
            if core.channels.len() > 1 {
                bindings::rnet_affinity_auto(dev, crate::dma::raw(parent));
            }
            if D::HAS_SET_MAC {
                bindings::rnet_priv_flags(dev, bindings::RNET_LIVE_ADDR_CHANGE);
            }
            // All that XDP wants is in the engines.
            bindings::xdp_set_features_flag(
                dev,
                bindings::netdev_xdp_act_NETDEV_XDP_ACT_BASIC
                    | bindings::netdev_xdp_act_NETDEV_XDP_ACT_REDIRECT
                    | bindings::netdev_xdp_act_NETDEV_XDP_ACT_NDO_XMIT
                    | bindings::netdev_xdp_act_NETDEV_XDP_ACT_RX_SG
                    | bindings::netdev_xdp_act_NETDEV_XDP_ACT_NDO_XMIT_SG,
            );
            if is_valid_mac(&features.mac) {
                bindings::dev_addr_mod(dev, 0, features.mac.as_ptr().cast(), features.mac.len());
            } else {
                bindings::rnet_random_mac(dev);
                kernel::dev_warn!(
                    parent,
                    "no valid MAC address in the device, using a random one\n"
                );
            }
            bindings::netif_carrier_off(dev);
        }
        // SAFETY: The device is valid, and registered once. Process context, without `rtnl`, which the callee
        // takes. Everything that a callback may need is in place: core and channels, the pointer to them, tables,
        // address and limits.
        to_result(unsafe { bindings::register_netdev(dev) })?;
        Ok(Self(core))
    }

    /// Puts the device to sleep: no DMA, no interrupt, and the core leaves it alone.
    ///
    /// Process context.
    pub(crate) fn sleep(&self, reason: Sleep) {
        self.0.sleep(reason);
    }

    /// Ends a reason to sleep. With the last one the device wakes, which may have lost what it knew.
    ///
    /// Process context.
    pub(crate) fn wake(&self, reason: Sleep) {
        self.0.wake(reason);
    }

    /// Takes the device from the core, if that has not been done.
    ///
    /// Process context; called by the bus and by `drop()`, one after the other.
    pub(crate) fn unregister(&self) {
        // CAST: It is stored in a byte.
        const REGISTERED: u8 = bindings::netdev_reg_state_NETREG_REGISTERED as u8;
        let dev = self.0.dev.as_raw();
        // SAFETY: The device is valid as long as the core, and was registered by `new()`. Nobody else takes it
        // from the core, so its state stays as it is read. Process context, without `rtnl`, which the callee
        // takes; it stops the interface if it is up, and waits for everybody who uses the device.
        unsafe {
            if (*dev).reg_state == REGISTERED {
                bindings::unregister_netdev(dev);
            }
        }
        self.0.end();
    }
}

impl<'bound, D: Operations + 'bound> Drop for Registration<'bound, D> {
    fn drop(&mut self) {
        self.unregister();
        self.0.set_program(core::ptr::null_mut());
    }
}
