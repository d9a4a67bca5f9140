// SPDX-License-Identifier: GPL-2.0

//! What the card counts, in the groups that `ethtool -S --all-groups` and `ethtool -a -I` have for all drivers.
//!
//! C header: [`include/linux/ethtool.h`](srctree/include/linux/ethtool.h)

use crate::{
    netdev::Operations,
    vtable::{
        core_of,
        Table, //
    },
};
use pp_bindings as bindings;

const fn range(low: u16, high: u16) -> bindings::ethtool_rmon_hist_range {
    bindings::ethtool_rmon_hist_range { low, high }
}

/// The ranges of [`CardStats::rx_sizes`](crate::netdev::CardStats::rx_sizes); an empty one is the end.
static RANGES: [bindings::ethtool_rmon_hist_range; 7] = [
    range(64, 64),
    range(65, 127),
    range(128, 255),
    range(256, 511),
    range(512, 1023),
    range(1024, 0x3fff),
    range(0, 0),
];

impl<'bound, D: Operations + 'bound> Table<'bound, D> {
    /// # Safety
    ///
    /// - See the invariants of [`Table`].
    /// - `stats` is valid and initialised, and nobody else's.
    pub(crate) unsafe extern "C" fn get_pause_stats(
        dev: *mut bindings::net_device,
        stats: *mut bindings::ethtool_pause_stats,
    ) {
        // SAFETY: By the invariant of `Table` the device is valid, and its private area holds a pointer to its
        // core, whose driver is `D`. It is registered, so the core outlives this call. By the safety requirement
        // `stats` is valid, initialised, and nobody else's; its counters are in a union with themselves.
        let (card, stats) = unsafe {
            let stats = &mut (*stats).__bindgen_anon_1.__bindgen_anon_1;
            (core_of::<D>(dev).card_stats(), stats)
        };
        stats.tx_pause_frames = card.tx_pause;
        stats.rx_pause_frames = card.rx_pause;
    }

    /// # Safety
    ///
    /// - See the invariants of [`Table`].
    /// - `stats` is valid and initialised, and nobody else's.
    pub(crate) unsafe extern "C" fn get_eth_mac_stats(
        dev: *mut bindings::net_device,
        stats: *mut bindings::ethtool_eth_mac_stats,
    ) {
        // SAFETY: As for `get_pause_stats()`.
        let (card, stats) = unsafe {
            let stats = &mut (*stats).__bindgen_anon_1.__bindgen_anon_1;
            (core_of::<D>(dev).card_stats(), stats)
        };
        stats.FramesTransmittedOK = card.tx_frames;
        stats.SingleCollisionFrames = card.single_collisions;
        stats.MultipleCollisionFrames = card.multiple_collisions;
        stats.FramesReceivedOK = card.rx_frames;
        stats.FrameCheckSequenceErrors = card.crc_errors;
        stats.AlignmentErrors = card.alignment_errors;
        stats.FramesWithDeferredXmissions = card.deferred;
        stats.LateCollisions = card.late_collisions;
        stats.FramesAbortedDueToXSColls = card.excessive_collisions;
        stats.CarrierSenseErrors = card.carrier_errors;
        stats.FramesLostDueToIntMACRcvError = card.missed;
        stats.MulticastFramesXmittedOK = card.tx_multicast;
        stats.BroadcastFramesXmittedOK = card.tx_broadcast;
        stats.MulticastFramesReceivedOK = card.multicast;
        stats.BroadcastFramesReceivedOK = card.rx_broadcast;
        stats.FrameTooLongErrors = card.oversize;
    }

    /// # Safety
    ///
    /// - See the invariants of [`Table`].
    /// - `stats` is valid and initialised, and nobody else's, and `ranges` is valid to be written.
    pub(crate) unsafe extern "C" fn get_rmon_stats(
        dev: *mut bindings::net_device,
        stats: *mut bindings::ethtool_rmon_stats,
        ranges: *mut *const bindings::ethtool_rmon_hist_range,
    ) {
        // SAFETY: As for `get_pause_stats()`.
        let (card, stats) = unsafe {
            let stats = &mut (*stats).__bindgen_anon_1.__bindgen_anon_1;
            (core_of::<D>(dev).card_stats(), stats)
        };
        stats.undersize_pkts = card.undersize;
        stats.oversize_pkts = card.oversize;
        stats.fragments = card.fragments;
        stats.jabbers = card.jabbers;
        for (to, from) in stats.hist.iter_mut().zip(card.rx_sizes) {
            *to = from;
        }
        for (to, from) in stats.hist_tx.iter_mut().zip(card.tx_sizes) {
            *to = from;
        }
        // SAFETY: By the safety requirement it is valid to be written; and the ranges stay.
        unsafe { ranges.write(RANGES.as_ptr()) };
    }
}
