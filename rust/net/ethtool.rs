// SPDX-License-Identifier: GPL-2.0

//! What a driver says to `ethtool`: link modes, and counters of its own.
//!
//! C header: [`include/linux/ethtool.h`](srctree/include/linux/ethtool.h)

use pp_bindings as bindings;

/// Something that a port can be or do: a kind of plug, a speed, autonegotiation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkMode(u32);

impl LinkMode {
    /// Twisted pair.
    pub const TP: Self = Self(bindings::ethtool_link_mode_bit_indices_ETHTOOL_LINK_MODE_TP_BIT);
    /// Finds out by itself what the other end can.
    pub const AUTONEG: Self =
        Self(bindings::ethtool_link_mode_bit_indices_ETHTOOL_LINK_MODE_Autoneg_BIT);
    /// Pauses both ways. (With the next one, see `mii_advertise_flowctrl()`.)
    pub(crate) const PAUSE: Self =
        Self(bindings::ethtool_link_mode_bit_indices_ETHTOOL_LINK_MODE_Pause_BIT);
    /// Pauses one way.
    pub(crate) const ASYM_PAUSE: Self =
        Self(bindings::ethtool_link_mode_bit_indices_ETHTOOL_LINK_MODE_Asym_Pause_BIT);
    /// 10 Mbit/s, half duplex.
    pub const BASE_T_10_HALF: Self =
        Self(bindings::ethtool_link_mode_bit_indices_ETHTOOL_LINK_MODE_10baseT_Half_BIT);
    /// 10 Mbit/s, full duplex.
    pub const BASE_T_10_FULL: Self =
        Self(bindings::ethtool_link_mode_bit_indices_ETHTOOL_LINK_MODE_10baseT_Full_BIT);
    /// 100 Mbit/s, half duplex.
    pub const BASE_T_100_HALF: Self =
        Self(bindings::ethtool_link_mode_bit_indices_ETHTOOL_LINK_MODE_100baseT_Half_BIT);
    /// 100 Mbit/s, full duplex.
    pub const BASE_T_100_FULL: Self =
        Self(bindings::ethtool_link_mode_bit_indices_ETHTOOL_LINK_MODE_100baseT_Full_BIT);
    /// 1 Gbit/s, full duplex.
    pub const BASE_T_1000_FULL: Self =
        Self(bindings::ethtool_link_mode_bit_indices_ETHTOOL_LINK_MODE_1000baseT_Full_BIT);

    /// Returns the bits of modes in the first word of a mask, where all of these are.
    pub(crate) fn mask(modes: &[Self]) -> usize {
        modes.iter().fold(0, |mask, mode| mask | 1 << mode.0)
    }
}

/// Bytes of a counter's name, the terminating zero included.
const NAME_LEN: usize = bindings::ETH_GSTRING_LEN as usize;

enum What<'a> {
    Count(usize),
    Names(&'a mut [[u8; NAME_LEN]]),
    Values(&'a mut [u64]),
}

/// Goes over a driver's counters: to count them, for their names, or for their values. A driver
/// states each once, with [`Visitor::counter`], and cannot mix them up.
///
/// # Examples
///
/// ```
/// use net::ethtool::Visitor;
///
/// /// For [`counters`](net::netdev::Operations::counters).
/// fn counters(pause: [u64; 2], visitor: &mut Visitor<'_>) {
///     visitor.counter("rx_pause", pause[0]);
///     visitor.counter("tx_pause", pause[1]);
/// }
/// ```
pub struct Visitor<'a> {
    what: What<'a>,
    at: usize,
}

impl<'a> Visitor<'a> {
    pub(crate) fn count(walk: impl FnOnce(&mut Visitor<'_>)) -> usize {
        let mut visitor = Visitor {
            what: What::Count(0),
            at: 0,
        };
        walk(&mut visitor);
        match visitor.what {
            What::Count(n) => n,
            _ => 0,
        }
    }

    pub(crate) fn names(names: &'a mut [[u8; NAME_LEN]]) -> Self {
        Self {
            what: What::Names(names),
            at: 0,
        }
    }

    pub(crate) fn values(values: &'a mut [u64]) -> Self {
        Self {
            what: What::Values(values),
            at: 0,
        }
    }

    /// States a counter.
    ///
    /// A name that is too long is cut.
    pub fn counter(&mut self, name: &str, value: u64) {
        match &mut self.what {
            What::Count(n) => *n = n.wrapping_add(1),
            What::Names(names) => {
                if let Some(slot) = names.get_mut(self.at) {
                    slot.fill(0);
                    for (to, from) in slot[..NAME_LEN - 1].iter_mut().zip(name.bytes()) {
                        *to = from;
                    }
                }
            }
            What::Values(values) => {
                if let Some(slot) = values.get_mut(self.at) {
                    *slot = value;
                }
            }
        }
        self.at = self.at.wrapping_add(1);
    }
}
