// SPDX-License-Identifier: GPL-2.0

//! The link: what it is to be, what has become of it, and who is told.

use crate::{
    ethtool::LinkMode,
    handle::NetDev,
    netdev::{
        Link,
        Operations,
        Pause, //
    },
    phy::{
        self,
        Settings, //
    }, //
};
use kernel::prelude::*;
use pp_bindings as bindings;

/// What is known of a device's link.
pub(crate) struct LinkState {
    /// What it is to be.
    pub(crate) settings: Settings,
    /// There are modes of 1 Gbit/s.
    gigabit: bool,
    /// What the kernel's log says of it: that it is there, and how.
    said: Option<(Link, Pause)>,
}

impl LinkState {
    /// Returns the state of a port that can be all of that.
    pub(crate) fn new(modes: &[LinkMode]) -> Self {
        Self {
            settings: Settings::new(modes),
            gigabit: modes.contains(&LinkMode::BASE_T_1000_FULL),
            said: None,
        }
    }

    /// Tells card and PHY what the link is to be, and returns whether there will be another one.
    ///
    /// Process context, under the device's lock, with [`control`](crate::device::Core::control) held.
    pub(crate) fn start<D: Operations>(&self, ops: &D) -> Result<bool> {
        if D::HAS_SET_LINK {
            ops.set_link(self.settings.forced, Pause::default())?;
        }
        if D::HAS_PHY {
            return phy::start(ops, &self.settings, self.gigabit);
        }
        Ok(false)
    }

    /// What has been said holds no more: the interface is down, or the link is to be another one.
    pub(crate) fn forget(&mut self) {
        self.said = None;
    }

    /// Returns what the other end can be: see [`phy::partner`].
    pub(crate) fn partner<D: Operations>(&self, ops: &D) -> usize {
        if !D::HAS_PHY || self.settings.forced.is_some() {
            return 0;
        }
        phy::partner(ops, self.gigabit).unwrap_or(0)
    }

    /// Returns which pauses are in force on a link.
    fn pause<D: Operations>(&self, ops: &D, link: Link) -> Pause {
        if !link.full_duplex {
            return Pause::default();
        }
        let settings = &self.settings;
        if !settings.negotiate_pause {
            return settings.pause;
        }
        if !D::HAS_PHY || settings.forced.is_some() {
            return Pause::default();
        }
        phy::negotiated_pause(ops).unwrap_or_default()
    }

    /// Looks whether the link is there, and tells the card, the core, and the log.
    ///
    /// A change is said once, and so is what a restart has not changed: the carrier was off meanwhile, which is not said.
    ///
    /// Process context, with [`control`](crate::device::Core::control) held, of a device that is up.
    pub(crate) fn update<D: Operations>(&mut self, ops: &D, dev: &NetDev, messages: u32) {
        let says = messages & bindings::RNET_MSG_LINK != 0;
        if !D::HAS_LINK {
            dev.set_carrier(true);
            return;
        }
        let Some(link) = ops.link() else {
            self.said = None;
            if dev.set_carrier(false) && says {
                // SAFETY: The device is valid as long as it is borrowed.
                unsafe { bindings::rnet_link_down(dev.as_raw()) };
            }
            return;
        };
        let mut pause = Pause::default();
        if D::HAS_SET_LINK {
            pause = self.pause(ops, link);
            if ops.set_link(self.settings.forced, pause).is_err() {
                pause = Pause::default();
            }
        }
        if self.said.replace((link, pause)) != Some((link, pause)) && says {
            let (dev, speed, full) = (dev.as_raw(), link.speed, link.full_duplex);
            // SAFETY: The device is valid as long as it is borrowed; the rest are numbers.
            unsafe { bindings::rnet_link_up(dev, speed, full, pause.rx, pause.tx) };
        }
        dev.set_carrier(true);
    }
}
