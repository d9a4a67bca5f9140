// SPDX-License-Identifier: GPL-2.0

//! What `ethtool` calls: `struct ethtool_ops`.
//!
//! C header: [`include/linux/ethtool.h`](srctree/include/linux/ethtool.h)

use crate::{
    ethtool::{
        LinkMode,
        Visitor, //
    },
    netdev::{
        Operations,
        Rings, //
    },
    vtable::{
        core_of,
        Table, //
    },
};
use core::mem::MaybeUninit;
use kernel::{
    error::from_result,
    prelude::*, //
};
use pp_bindings as bindings;

impl<'bound, D: Operations + 'bound> Table<'bound, D> {
    /// `struct ethtool_ops`.
    pub(crate) const ETHTOOL: bindings::ethtool_ops = bindings::ethtool_ops {
        get_link: Some(bindings::ethtool_op_get_link),
        get_link_ksettings: Some(Self::get_link_ksettings),
        get_ringparam: Some(Self::get_ringparam),
        set_ringparam: Some(Self::set_ringparam),
        get_sset_count: Some(Self::get_sset_count),
        get_strings: Some(Self::get_strings),
        get_ethtool_stats: Some(Self::get_ethtool_stats),
        get_ts_info: Some(bindings::ethtool_op_get_ts_info),
        // SAFETY: All fields but flags and numbers, which may be 0, are optional callbacks, for which zeroes are
        // `None`.
        ..unsafe { MaybeUninit::zeroed().assume_init() }
    };

    /// # Safety
    ///
    /// - See the invariants of [`Table`].
    /// - `settings` is valid and initialised, and nobody else's.
    unsafe extern "C" fn get_link_ksettings(
        dev: *mut bindings::net_device,
        settings: *mut bindings::ethtool_link_ksettings,
    ) -> c_int {
        // SAFETY: By the invariant of `Table` the device is valid, and its private area holds a pointer to its
        // core, whose driver is `D`. It is registered, so the core outlives this call. By the safety requirement
        // `settings` is valid, initialised, and nobody else's.
        let (core, settings) = unsafe { (core_of::<D>(dev), &mut *settings) };
        let modes = core.features.link_modes;
        let supported = &mut settings.link_modes.supported;
        supported.fill(0);
        for mode in modes {
            let (word, bit) = mode.bit();
            if let Some(word) = supported.get_mut(word) {
                *word |= 1 << bit;
            }
        }
        settings.link_modes.advertising = *supported;
        let base = &mut settings.base;
        // CAST: Small constants, all of them.
        if modes.contains(&LinkMode::TP) {
            base.port = bindings::PORT_TP as u8;
        }
        if modes.contains(&LinkMode::AUTONEG) {
            base.autoneg = bindings::AUTONEG_ENABLE as u8;
        }
        let link = if D::HAS_LINK { core.ops.link() } else { None };
        (base.speed, base.duplex) = match link {
            Some(link) if link.full_duplex => (link.speed, bindings::DUPLEX_FULL as u8),
            Some(link) => (link.speed, bindings::DUPLEX_HALF as u8),
            // CAST: All ones, as C has it.
            None => (
                bindings::SPEED_UNKNOWN as u32,
                bindings::DUPLEX_UNKNOWN as u8,
            ),
        };
        0
    }

    /// # Safety
    ///
    /// - See the invariants of [`Table`].
    /// - `ring` is valid and initialised, and nobody else's.
    unsafe extern "C" fn get_ringparam(
        dev: *mut bindings::net_device,
        ring: *mut bindings::ethtool_ringparam,
        _kernel: *mut bindings::kernel_ethtool_ringparam,
        _extack: *mut bindings::netlink_ext_ack,
    ) {
        // SAFETY: By the invariant of `Table` the device is valid, and its private area holds a pointer to its
        // core, whose driver is `D`. It is registered, so the core outlives this call. By the safety requirement
        // `ring` is valid, initialised, and nobody else's.
        let (core, ring) = unsafe { (core_of::<D>(dev), &mut *ring) };
        let rings = core.control.lock().rings;
        let max = *core.features.ring_sizes.end();
        (ring.rx_pending, ring.tx_pending) = (rings.rx, rings.tx);
        (ring.rx_max_pending, ring.tx_max_pending) = (max, max);
    }

    /// # Safety
    ///
    /// - See the invariants of [`Table`].
    /// - The device's lock is held.
    /// - `ring` is valid and initialised, and does not change meanwhile.
    unsafe extern "C" fn set_ringparam(
        dev: *mut bindings::net_device,
        ring: *mut bindings::ethtool_ringparam,
        _kernel: *mut bindings::kernel_ethtool_ringparam,
        _extack: *mut bindings::netlink_ext_ack,
    ) -> c_int {
        // SAFETY: By the invariant of `Table` the device is valid, and its private area holds a pointer to its
        // core, whose driver is `D`. It is registered, so the core outlives this call. By the safety requirement
        // `ring` is valid and initialised, and does not change meanwhile.
        let (core, ring) = unsafe { (core_of::<D>(dev), &*ring) };
        let fit = |n| core.features.fit(n).ok_or(EINVAL);
        from_result(|| {
            let rings = Rings {
                rx: fit(ring.rx_pending)?,
                tx: fit(ring.tx_pending)?,
            };
            core.restart(Some(rings)).map(|()| 0)
        })
    }

    /// # Safety
    ///
    /// See the invariants of [`Table`].
    unsafe extern "C" fn get_sset_count(dev: *mut bindings::net_device, set: c_int) -> c_int {
        // CAST: A small constant, and a few dozen counters.
        if set as u32 != bindings::ethtool_stringset_ETH_SS_STATS {
            return EOPNOTSUPP.to_errno();
        }
        // SAFETY: By the invariant of `Table` the device is valid, and its private area holds a pointer to its
        // core, whose driver is `D`. It is registered, so the core outlives this call.
        unsafe { core_of::<D>(dev) }.control.lock().counters as c_int
    }

    /// # Safety
    ///
    /// - See the invariants of [`Table`].
    /// - There is room for as many names as `get_sset_count()` said, initialised and nobody else's.
    unsafe extern "C" fn get_strings(dev: *mut bindings::net_device, set: u32, names: *mut u8) {
        if set != bindings::ethtool_stringset_ETH_SS_STATS {
            return;
        }
        // SAFETY: By the invariant of `Table` the device is valid, and its private area holds a pointer to its
        // core, whose driver is `D`. It is registered, so the core outlives this call.
        let core = unsafe { core_of::<D>(dev) };
        let n = core.control.lock().counters;
        // SAFETY: By the safety requirement there is initialised room, which is nobody else's, for as many names
        // as `get_sset_count()` said. That is `n`: the number is set once, in `Core::new()`. Bytes need no
        // alignment.
        let names = unsafe { core::slice::from_raw_parts_mut(names.cast(), n) };
        core.counters(&mut Visitor::names(names));
    }

    /// # Safety
    ///
    /// - See the invariants of [`Table`].
    /// - There is room for as many values as `get_sset_count()` said, initialised and nobody else's.
    unsafe extern "C" fn get_ethtool_stats(
        dev: *mut bindings::net_device,
        _stats: *mut bindings::ethtool_stats,
        values: *mut u64,
    ) {
        // SAFETY: By the invariant of `Table` the device is valid, and its private area holds a pointer to its
        // core, whose driver is `D`. It is registered, so the core outlives this call.
        let core = unsafe { core_of::<D>(dev) };
        let n = core.control.lock().counters;
        // SAFETY: By the safety requirement there is initialised room, which is nobody else's, for as many values
        // as `get_sset_count()` said, and C has it aligned. That is `n`: the number is set once, in `Core::new()`.
        let values = unsafe { core::slice::from_raw_parts_mut(values, n) };
        core.counters(&mut Visitor::values(values));
    }
}
