// SPDX-License-Identifier: GPL-2.0

//! What `ethtool` wants to know of the link, and what it is to be: `-s`, `-r`, `-a` and `-A`.
//!
//! As `include/uapi/linux/ethtool.h` has it: what is reported is what was chosen, and what has been agreed upon follows from
//! what the two ends advertise.
//!
//! C header: [`include/linux/ethtool.h`](srctree/include/linux/ethtool.h)

use crate::{
    device::{
        Control,
        Core, //
    },
    ethtool::LinkMode,
    netdev::{
        Link,
        Operations,
        Pause, //
    },
    phy::{
        self,
        Settings, //
    },
    vtable::{
        core_of,
        Table, //
    },
};
use kernel::{
    error::from_result,
    prelude::*, //
};
use pp_bindings as bindings;

// CAST: Small constants.
const TP: u8 = bindings::PORT_TP as u8;
const FULL: u8 = bindings::DUPLEX_FULL as u8;
const HALF: u8 = bindings::DUPLEX_HALF as u8;

/// Returns the modes by which a mask says which pauses there may be.
fn pause_modes(pause: Pause) -> usize {
    let bits = u32::from(phy::advertise_pause(pause));
    let mode = |bit, mode| {
        if bits & bit != 0 {
            LinkMode::mask(&[mode])
        } else {
            0
        }
    };
    mode(bindings::ADVERTISE_PAUSE_CAP, LinkMode::PAUSE)
        | mode(bindings::ADVERTISE_PAUSE_ASYM, LinkMode::ASYM_PAUSE)
}

/// Returns which pauses a mask says: the reverse.
fn pauses(modes: usize) -> Pause {
    let has = |mode| modes & LinkMode::mask(&[mode]) != 0;
    let rx = has(LinkMode::PAUSE);
    Pause {
        rx,
        tx: rx ^ has(LinkMode::ASYM_PAUSE),
    }
}

/// Returns the settings that somebody asks for, of a port that can be `all`.
fn wanted(
    settings: &bindings::ethtool_link_ksettings,
    old: Settings,
    all: usize,
) -> Result<Settings> {
    let base = &settings.base;
    if base.port != TP || base.eth_tp_mdix_ctrl != 0 {
        return Err(EOPNOTSUPP);
    }
    // CAST: Small constants.
    let negotiated = base.autoneg == bindings::AUTONEG_ENABLE as u8;
    let all = all & Settings::speeds();
    let mode = match (base.speed, base.duplex) {
        (10, HALF) => LinkMode::BASE_T_10_HALF,
        (10, FULL) => LinkMode::BASE_T_10_FULL,
        (100, HALF) => LinkMode::BASE_T_100_HALF,
        (100, FULL) => LinkMode::BASE_T_100_FULL,
        (1000, FULL) => LinkMode::BASE_T_1000_FULL,
        _ if negotiated => LinkMode::AUTONEG,
        _ => return Err(EINVAL),
    };
    if negotiated {
        let advertised = settings.link_modes.advertising[0];
        let modes = advertised & all;
        return (modes != 0)
            .then_some(Settings {
                modes,
                forced: None,
                pause: pauses(advertised),
                ..old
            })
            .ok_or(EINVAL);
    }
    let modes = LinkMode::mask(&[mode]) & all;
    if modes == 0 {
        return Err(EINVAL);
    }
    Ok(match base.speed {
        // There is no such link that is not negotiated; so nothing else is advertised. As C igb does it.
        1000 => Settings {
            modes,
            forced: None,
            ..old
        },
        speed => Settings {
            forced: Some(Link {
                speed,
                full_duplex: base.duplex == FULL,
            }),
            // What is advertised the next time.
            modes: all,
            ..old
        },
    })
}

impl<'bound, D: Operations + 'bound> Core<'bound, D> {
    /// Has the link be another one, at once if the interface is up.
    ///
    /// Under the device's lock.
    fn set_link(&self, control: &mut Control<'bound, D>, settings: Settings) -> Result {
        let old = core::mem::replace(&mut control.link.settings, settings);
        if !control.up {
            return Ok(());
        }
        let result = control.link.start(&self.ops);
        match result {
            // It goes, and another one comes: as if the interface had been down.
            Ok(true) => {
                self.dev.set_carrier(false);
                control.link.forget();
            }
            Ok(false) => {}
            Err(_) => control.link.settings = old,
        }
        self.link_changed();
        result.map(|_| ())
    }
}

impl<'bound, D: Operations + 'bound> Table<'bound, D> {
    /// # Safety
    ///
    /// - See the invariants of [`Table`].
    /// - The device's lock is held.
    /// - `settings` is valid and initialised, and nobody else's.
    pub(crate) unsafe extern "C" fn get_link_ksettings(
        dev: *mut bindings::net_device,
        settings: *mut bindings::ethtool_link_ksettings,
    ) -> c_int {
        // SAFETY: By the invariant of `Table` the device is valid, and its private area holds a pointer to its
        // core, whose driver is `D`. It is registered, so the core outlives this call. By the safety requirement
        // `settings` is valid, initialised, and nobody else's.
        let (core, settings) = unsafe { (core_of::<D>(dev), &mut *settings) };
        let modes = core.features.link_modes;
        let mut supported = LinkMode::mask(modes);
        let mut advertised = supported;
        let mut negotiated = modes.contains(&LinkMode::AUTONEG);
        let control = core.control.lock();
        if D::HAS_SET_LINK {
            supported |= LinkMode::mask(&[LinkMode::PAUSE, LinkMode::ASYM_PAUSE]);
        }
        if D::HAS_PHY {
            let chosen = &control.link.settings;
            negotiated = chosen.forced.is_none();
            advertised = LinkMode::mask(&[LinkMode::TP]) | pause_modes(chosen.pause);
            if negotiated {
                advertised |= chosen.modes | LinkMode::mask(&[LinkMode::AUTONEG]);
            }
            settings.link_modes.lp_advertising[0] = control.link.partner(&core.ops);
        }
        settings.link_modes.supported[0] = supported;
        settings.link_modes.advertising[0] = advertised;
        let base = &mut settings.base;
        if modes.contains(&LinkMode::TP) {
            base.port = TP;
        }
        // CAST: Small constants, all of them.
        if negotiated {
            base.autoneg = bindings::AUTONEG_ENABLE as u8;
        }
        let link = if D::HAS_LINK { core.ops.link() } else { None };
        (base.speed, base.duplex) = match link {
            Some(link) if link.full_duplex => (link.speed, FULL),
            Some(link) => (link.speed, HALF),
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
    /// - The device's lock is held.
    /// - `settings` is valid and initialised, and does not change meanwhile.
    pub(crate) unsafe extern "C" fn set_link_ksettings(
        dev: *mut bindings::net_device,
        settings: *const bindings::ethtool_link_ksettings,
    ) -> c_int {
        // SAFETY: By the invariant of `Table` the device is valid, and its private area holds a pointer to its
        // core, whose driver is `D`. It is registered, so the core outlives this call. By the safety requirement
        // `settings` is valid and initialised, and does not change meanwhile.
        let (core, settings) = unsafe { (core_of::<D>(dev), &*settings) };
        from_result(|| {
            let control = &mut *core.control.lock();
            let all = LinkMode::mask(core.features.link_modes);
            let settings = wanted(settings, control.link.settings, all)?;
            core.set_link(control, settings).map(|()| 0)
        })
    }

    /// # Safety
    ///
    /// - See the invariants of [`Table`].
    /// - The device's lock is held.
    pub(crate) unsafe extern "C" fn nway_reset(dev: *mut bindings::net_device) -> c_int {
        // SAFETY: By the invariant of `Table` the device is valid, and its private area holds a pointer to its
        // core, whose driver is `D`. It is registered, so the core outlives this call.
        let core = unsafe { core_of::<D>(dev) };
        from_result(|| {
            let control = &mut *core.control.lock();
            if control.link.settings.forced.is_some() {
                return Err(EINVAL);
            }
            // What is down negotiates when it comes up.
            if control.up {
                core.dev.set_carrier(false);
                control.link.forget();
                phy::restart(&core.ops)?;
                core.link_changed();
            }
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// - See the invariants of [`Table`].
    /// - The device's lock is held.
    /// - `pause` is valid and initialised, and nobody else's.
    pub(crate) unsafe extern "C" fn get_pauseparam(
        dev: *mut bindings::net_device,
        pause: *mut bindings::ethtool_pauseparam,
    ) {
        // SAFETY: By the invariant of `Table` the device is valid, and its private area holds a pointer to its
        // core, whose driver is `D`. It is registered, so the core outlives this call. By the safety requirement
        // `pause` is valid, initialised, and nobody else's.
        let (core, pause) = unsafe { (core_of::<D>(dev), &mut *pause) };
        let settings = core.control.lock().link.settings;
        pause.autoneg = settings.negotiate_pause.into();
        pause.rx_pause = settings.pause.rx.into();
        pause.tx_pause = settings.pause.tx.into();
    }

    /// # Safety
    ///
    /// - See the invariants of [`Table`].
    /// - The device's lock is held.
    /// - `pause` is valid and initialised, and does not change meanwhile.
    pub(crate) unsafe extern "C" fn set_pauseparam(
        dev: *mut bindings::net_device,
        pause: *mut bindings::ethtool_pauseparam,
    ) -> c_int {
        // SAFETY: By the invariant of `Table` the device is valid, and its private area holds a pointer to its
        // core, whose driver is `D`. It is registered, so the core outlives this call. By the safety requirement
        // `pause` is valid and initialised, and does not change meanwhile.
        let (core, pause) = unsafe { (core_of::<D>(dev), &*pause) };
        from_result(|| {
            let control = &mut *core.control.lock();
            let old = control.link.settings;
            let negotiate_pause = pause.autoneg != 0;
            if negotiate_pause && (!D::HAS_PHY || old.forced.is_some()) {
                return Err(EINVAL);
            }
            let settings = Settings {
                pause: Pause {
                    rx: pause.rx_pause != 0,
                    tx: pause.tx_pause != 0,
                },
                negotiate_pause,
                ..old
            };
            core.set_link(control, settings).map(|()| 0)
        })
    }
}
