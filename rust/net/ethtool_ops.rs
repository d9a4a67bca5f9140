// SPDX-License-Identifier: GPL-2.0

//! What `ethtool` calls: `struct ethtool_ops`.
//!
//! C header: [`include/linux/ethtool.h`](srctree/include/linux/ethtool.h)

use crate::{
    desc::RxDescriptor,
    device::{
        Shape,
        SPLIT_FLAGS, //
    },
    ethtool::Visitor,
    netdev::{
        Operations,
        Rings,
        RSS_KEY,
        RSS_QUEUES, //
    },
    selftest::TESTS,
    vtable::{
        core_of,
        only_if,
        Table, //
    },
};
use core::mem::MaybeUninit;
use kernel::{
    error::from_result,
    prelude::*,
    sync::atomic::Relaxed, //
};
use pp_bindings as bindings;

/// The one hash function that is specified for RSS.
const TOEPLITZ: u8 = 1 << bindings::ETH_RSS_HASH_TOP_BIT;

/// The private flags: one for each queue, whose headers go into buffers of their own. (The core's own switch,
/// `tcp-data-split`, is one for all queues.)
const FLAGS: u32 = bindings::ethtool_stringset_ETH_SS_PRIV_FLAGS;

impl<'bound, D: Operations + 'bound> Table<'bound, D> {
    /// `struct ethtool_ops`.
    pub(crate) const ETHTOOL: bindings::ethtool_ops = bindings::ethtool_ops {
        // The number of queues is the core's as well, and `ethtool_op_get_link()` looks at what linkwatch has to do.
        op_needs_rtnl: bindings::RNET_OPS_RTNL,
        get_link: Some(bindings::ethtool_op_get_link),
        get_link_ksettings: Some(Self::get_link_ksettings),
        set_link_ksettings: only_if(D::HAS_PHY, Self::set_link_ksettings),
        nway_reset: only_if(D::HAS_PHY, Self::nway_reset),
        get_pauseparam: only_if(D::HAS_SET_LINK, Self::get_pauseparam),
        set_pauseparam: only_if(D::HAS_SET_LINK, Self::set_pauseparam),
        get_msglevel: Some(Self::get_msglevel),
        set_msglevel: Some(Self::set_msglevel),
        get_drvinfo: only_if(D::HAS_FIRMWARE, Self::get_drvinfo),
        get_regs_len: only_if(D::HAS_REGISTERS, Self::get_regs_len),
        get_regs: only_if(D::HAS_REGISTERS, Self::get_regs),
        get_eeprom_len: only_if(D::HAS_EEPROM, Self::get_eeprom_len),
        get_eeprom: only_if(D::HAS_EEPROM, Self::get_eeprom),
        set_phys_id: only_if(D::HAS_SET_LED, Self::set_phys_id),
        self_test: only_if(D::HAS_TEST, Self::self_test),
        get_pause_stats: only_if(D::HAS_STATISTICS, Self::get_pause_stats),
        get_eth_mac_stats: only_if(D::HAS_STATISTICS, Self::get_eth_mac_stats),
        get_rmon_stats: only_if(D::HAS_STATISTICS, Self::get_rmon_stats),
        get_ringparam: Some(Self::get_ringparam),
        set_ringparam: Some(Self::set_ringparam),
        supported_coalesce_params: if D::HAS_SET_INTERVAL {
            bindings::RNET_COALESCE
        } else {
            0
        },
        get_coalesce: only_if(D::HAS_SET_INTERVAL, Self::get_coalesce),
        set_coalesce: only_if(D::HAS_SET_INTERVAL, Self::set_coalesce),
        get_channels: Some(Self::get_channels),
        set_channels: Some(Self::set_channels),
        get_rx_ring_count: only_if(D::HAS_SET_RSS, Self::get_rx_ring_count),
        get_rxnfc: only_if(D::HAS_SET_RULES, Self::get_rxnfc),
        set_rxnfc: only_if(D::HAS_SET_RULES, Self::set_rxnfc),
        get_rxfh_indir_size: only_if(D::HAS_SET_RSS, Self::get_rxfh_indir_size),
        get_rxfh_key_size: only_if(D::HAS_SET_RSS, Self::get_rxfh_key_size),
        get_rxfh: only_if(D::HAS_SET_RSS, Self::get_rxfh),
        set_rxfh: only_if(D::HAS_SET_RSS, Self::set_rxfh),
        get_sset_count: Some(Self::get_sset_count),
        get_strings: Some(Self::get_strings),
        get_ethtool_stats: Some(Self::get_ethtool_stats),
        get_priv_flags: only_if(D::Rx::HEADER.is_some(), Self::get_priv_flags),
        set_priv_flags: only_if(D::Rx::HEADER.is_some(), Self::set_priv_flags),
        get_ts_info: Some(bindings::ethtool_op_get_ts_info),
        // SAFETY: All fields but flags and numbers, which may be 0, are optional callbacks, for which zeroes are
        // `None`.
        ..unsafe { MaybeUninit::zeroed().assume_init() }
    };

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
        let rings = core.control.lock().shape.rings;
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
        let fit = |n| {
            core.features.fit(n).ok_or_else(|| {
                let (name, sizes) = (core.name(), &core.features.ring_sizes);
                pr_info!("{name}: no ring of {n}; possible are {sizes:?}\n");
                EINVAL
            })
        };
        from_result(|| {
            let rings = Rings {
                rx: fit(ring.rx_pending)?,
                tx: fit(ring.tx_pending)?,
            };
            let old = core.control.lock().shape;
            core.restart(Some(Shape { rings, ..old })).map(|()| 0)
        })
    }

    /// # Safety
    ///
    /// - See the invariants of [`Table`].
    /// - `coalesce` is valid to be written, and nobody else's.
    unsafe extern "C" fn get_coalesce(
        dev: *mut bindings::net_device,
        coalesce: *mut bindings::ethtool_coalesce,
        _kernel: *mut bindings::kernel_ethtool_coalesce,
        _extack: *mut bindings::netlink_ext_ack,
    ) -> c_int {
        // SAFETY: By the invariant of `Table` the device is valid, and its private area holds a pointer to its
        // core, whose driver is `D`. It is registered, so the core outlives this call.
        let core = unsafe { core_of::<D>(dev) };
        let interval = core.control.lock().interval;
        let adaptive = core.adaptive.load(Relaxed).into();
        // SAFETY: By the safety requirement `coalesce` is valid to be written. (An old program's is not initialised.)
        unsafe {
            (&raw mut (*coalesce).rx_coalesce_usecs).write(interval);
            (&raw mut (*coalesce).use_adaptive_rx_coalesce).write(adaptive);
        }
        0
    }

    /// # Safety
    ///
    /// - See the invariants of [`Table`].
    /// - The device's lock is held.
    /// - `coalesce` is valid and initialised, and does not change meanwhile.
    unsafe extern "C" fn set_coalesce(
        dev: *mut bindings::net_device,
        coalesce: *mut bindings::ethtool_coalesce,
        _kernel: *mut bindings::kernel_ethtool_coalesce,
        _extack: *mut bindings::netlink_ext_ack,
    ) -> c_int {
        // SAFETY: By the invariant of `Table` the device is valid, and its private area holds a pointer to its
        // core, whose driver is `D`. It is registered, so the core outlives this call. By the safety requirement
        // `coalesce` is valid and initialised, and does not change meanwhile.
        let (core, coalesce) = unsafe { (core_of::<D>(dev), &*coalesce) };
        from_result(|| {
            let (us, adaptive) = (
                coalesce.rx_coalesce_usecs,
                coalesce.use_adaptive_rx_coalesce != 0,
            );
            if us > D::INTERVAL_MAX {
                return Err(ERANGE);
            }
            // It would have no effect.
            if adaptive && us != core.control.lock().interval {
                pr_info!("{}: rx-usecs is for adaptive-rx off\n", core.name());
                return Err(EINVAL);
            }
            core.moderate(adaptive, us);
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// - See the invariants of [`Table`].
    /// - `channels` is valid and initialised, and nobody else's.
    unsafe extern "C" fn get_channels(
        dev: *mut bindings::net_device,
        channels: *mut bindings::ethtool_channels,
    ) {
        // SAFETY: By the invariant of `Table` the device is valid, and its private area holds a pointer to its
        // core, whose driver is `D`. It is registered, so the core outlives this call. By the safety requirement
        // `channels` is valid, initialised, and nobody else's.
        let (core, channels) = unsafe { (core_of::<D>(dev), &mut *channels) };
        // CAST: A few dozen at most.
        channels.max_combined = core.channels.len() as u32;
        channels.combined_count = core.control.lock().shape.queues as u32;
        channels.max_other = core.other_vectors();
        channels.other_count = core.other_vectors();
    }

    /// # Safety
    ///
    /// - See the invariants of [`Table`].
    /// - The device's lock is held, and `rtnl`.
    /// - `channels` is valid and initialised, and does not change meanwhile.
    unsafe extern "C" fn set_channels(
        dev: *mut bindings::net_device,
        channels: *mut bindings::ethtool_channels,
    ) -> c_int {
        // SAFETY: By the invariant of `Table` the device is valid, and its private area holds a pointer to its
        // core, whose driver is `D`. It is registered, so the core outlives this call. By the safety requirement
        // `channels` is valid and initialised, and does not change meanwhile.
        let (core, channels) = unsafe { (core_of::<D>(dev), &*channels) };
        // (The core has checked the maxima: none has a direction of its own.)
        if channels.combined_count == 0 || channels.other_count != core.other_vectors() {
            return EINVAL.to_errno();
        }
        let old = core.control.lock().shape;
        // CAST: u32 fits.
        let queues = channels.combined_count as usize;
        from_result(|| core.restart(Some(Shape { queues, ..old })).map(|()| 0))
    }

    /// # Safety
    ///
    /// See the invariants of [`Table`].
    unsafe extern "C" fn get_rx_ring_count(dev: *mut bindings::net_device) -> u32 {
        // SAFETY: By the invariant of `Table` the device is valid, and its private area holds a pointer to its
        // core, whose driver is `D`. It is registered, so the core outlives this call. CAST: A few dozen at most.
        unsafe { core_of::<D>(dev) }.used_queues() as u32
    }

    /// # Safety
    ///
    /// None.
    unsafe extern "C" fn get_rxfh_indir_size(_dev: *mut bindings::net_device) -> u32 {
        // CAST: 128.
        RSS_QUEUES as u32
    }

    /// # Safety
    ///
    /// None.
    unsafe extern "C" fn get_rxfh_key_size(_dev: *mut bindings::net_device) -> u32 {
        // CAST: 40.
        RSS_KEY as u32
    }

    /// # Safety
    ///
    /// - See the invariants of [`Table`].
    /// - `rxfh` is valid and nobody else's. Its table and its key are null, or have room for as much as
    ///   `get_rxfh_indir_size()` and `get_rxfh_key_size()` say.
    unsafe extern "C" fn get_rxfh(
        dev: *mut bindings::net_device,
        rxfh: *mut bindings::ethtool_rxfh_param,
    ) -> c_int {
        // SAFETY: By the invariant of `Table` the device is valid, and its private area holds a pointer to its
        // core, whose driver is `D`. It is registered, so the core outlives this call. By the safety requirement
        // `rxfh` is valid, initialised, and nobody else's.
        let (core, rxfh) = unsafe { (core_of::<D>(dev), &mut *rxfh) };
        let rss = core.control.lock().rss;
        rxfh.hfunc = TOEPLITZ;
        if !rxfh.indir.is_null() {
            // SAFETY: It is not null, so by the safety requirement there is room for so many entries.
            unsafe {
                rxfh.indir
                    .cast::<[u32; RSS_QUEUES]>()
                    .write(rss.queues.map(u32::from))
            };
        }
        if !rxfh.key.is_null() {
            // SAFETY: It is not null, so by the safety requirement there is room for so many bytes.
            unsafe { rxfh.key.cast::<[u8; RSS_KEY]>().write(rss.key) };
        }
        0
    }

    /// # Safety
    ///
    /// - See the invariants of [`Table`].
    /// - The device's lock is held.
    /// - `rxfh` is valid, and does not change meanwhile. Its table and its key are null, or have as much as
    ///   `get_rxfh_indir_size()` and `get_rxfh_key_size()` say.
    unsafe extern "C" fn set_rxfh(
        dev: *mut bindings::net_device,
        rxfh: *mut bindings::ethtool_rxfh_param,
        _extack: *mut bindings::netlink_ext_ack,
    ) -> c_int {
        // SAFETY: By the invariant of `Table` the device is valid, and its private area holds a pointer to its
        // core, whose driver is `D`. It is registered, so the core outlives this call. By the safety requirement
        // `rxfh` is valid and initialised, and does not change meanwhile.
        let (core, rxfh) = unsafe { (core_of::<D>(dev), &*rxfh) };
        if !matches!(rxfh.hfunc, 0 | TOEPLITZ) {
            return EOPNOTSUPP.to_errno();
        }
        let control = &mut *core.control.lock();
        if !rxfh.indir.is_null() {
            // SAFETY: It is not null, so by the safety requirement there are so many entries.
            let queues = unsafe { rxfh.indir.cast::<[u32; RSS_QUEUES]>().read() };
            // CAST: The core has checked that they are numbers of queues.
            control.rss.queues = queues.map(|queue| queue as u8);
        }
        if !rxfh.key.is_null() {
            // SAFETY: It is not null, so by the safety requirement there are so many bytes.
            control.rss.key = unsafe { rxfh.key.cast::<[u8; RSS_KEY]>().read() };
        }
        if control.up {
            core.ops.set_rss(&control.rss.key, &control.rss.queues);
        }
        0
    }

    /// # Safety
    ///
    /// See the invariants of [`Table`].
    unsafe extern "C" fn get_sset_count(dev: *mut bindings::net_device, set: c_int) -> c_int {
        // SAFETY: By the invariant of `Table` the device is valid, and its private area holds a pointer to its
        // core, whose driver is `D`. It is registered, so the core outlives this call.
        let core = unsafe { core_of::<D>(dev) };
        // CAST: A small constant, a few dozen counters, a few queues and tests.
        match set as u32 {
            bindings::ethtool_stringset_ETH_SS_STATS => core.control.lock().counters as c_int,
            FLAGS if D::Rx::HEADER.is_some() => core.flags() as c_int,
            bindings::ethtool_stringset_ETH_SS_TEST if D::HAS_TEST => TESTS.len() as c_int,
            _ => EOPNOTSUPP.to_errno(),
        }
    }

    /// # Safety
    ///
    /// - See the invariants of [`Table`].
    /// - There is room for as many names as `get_sset_count()` said, initialised and nobody else's.
    unsafe extern "C" fn get_strings(dev: *mut bindings::net_device, set: u32, names: *mut u8) {
        // SAFETY: By the invariant of `Table` the device is valid, and its private area holds a pointer to its
        // core, whose driver is `D`. It is registered, so the core outlives this call.
        let core = unsafe { core_of::<D>(dev) };
        let n = match set {
            bindings::ethtool_stringset_ETH_SS_STATS => core.control.lock().counters,
            FLAGS => core.flags(),
            bindings::ethtool_stringset_ETH_SS_TEST => TESTS.len(),
            _ => return,
        };
        // SAFETY: By the safety requirement there is initialised room, which is nobody else's, for as many names
        // as `get_sset_count()` said. That is `n`: the number is set once, in `Core::new()`. Bytes need no
        // alignment.
        let names = unsafe { core::slice::from_raw_parts_mut(names.cast(), n) };
        let mut visitor = Visitor::names(names);
        match set {
            bindings::ethtool_stringset_ETH_SS_STATS => core.counters(&mut visitor),
            FLAGS => SPLIT_FLAGS.iter().for_each(|name| visitor.counter(name, 0)),
            _ => TESTS.iter().for_each(|name| visitor.counter(name, 0)),
        }
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

    /// # Safety
    ///
    /// See the invariants of [`Table`].
    unsafe extern "C" fn get_priv_flags(dev: *mut bindings::net_device) -> u32 {
        // SAFETY: By the invariant of `Table` the device is valid, and its private area holds a pointer to its
        // core, whose driver is `D`. It is registered, so the core outlives this call.
        unsafe { core_of::<D>(dev) }.control.lock().shape.split
    }

    /// # Safety
    ///
    /// - See the invariants of [`Table`].
    /// - The device's lock is held.
    unsafe extern "C" fn set_priv_flags(dev: *mut bindings::net_device, flags: u32) -> c_int {
        // SAFETY: By the invariant of `Table` the device is valid, and its private area holds a pointer to its
        // core, whose driver is `D`. It is registered, so the core outlives this call.
        let core = unsafe { core_of::<D>(dev) };
        from_result(|| core.split(flags).map(|()| 0))
    }
}
