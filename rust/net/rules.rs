// SPDX-License-Identifier: GPL-2.0

//! `ethtool -N` and `-n`: rules that send packets to queues.
//!
//! C header: [`include/uapi/linux/ethtool.h`](srctree/include/uapi/linux/ethtool.h)

use crate::{
    device::Core,
    netdev::Operations,
    steering::{
        Key,
        Rule, //
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

/// The bits of a VLAN's number in a tag.
const VID: u16 = 0xfff;

impl<'bound, D: Operations + 'bound> Core<'bound, D> {
    /// Puts a rule, or none, at a place where there may be one. An error leaves the old one in force.
    ///
    /// Under the device's lock.
    fn set_rule(&self, place: usize, rule: Option<Rule>) -> Result {
        // VLANs come and go without the device's lock.
        let control = self.control.lock();
        let (old, none) = (self.steering.get(place), self.steering.is_empty());
        self.steering.set(place, rule);
        let undo = |_: &Error| self.steering.set(place, old);
        self.count_vlans().inspect_err(undo)?;
        drop(control);
        if none != self.steering.is_empty() {
            return self.restart(None).inspect_err(undo);
        }
        self.steer();
        Ok(())
    }

    /// Notes that the stack has something on a VLAN, or nothing any more.
    ///
    /// Under `rtnl`; with the device's lock or without. So the card hears of it by a restart, if rules are about VLANs.
    fn set_vlan(&self, vlan: u16, used: bool) -> Result {
        let _control = self.control.lock();
        self.steering.set_vlan(vlan, used);
        if let Err(e) = self.count_vlans() {
            self.steering.set_vlan(vlan, false);
            return Err(e);
        }
        if self.steering.tagged().next().is_some() {
            self.restart_later(0);
        }
        Ok(())
    }

    /// Returns an error if there are more VLANs than the card can tell apart, and rules want that.
    ///
    /// `control` is locked.
    fn count_vlans(&self) -> Result {
        let tagged = self.steering.tagged().count();
        let all = tagged.saturating_add(self.steering.others().count());
        if tagged != 0 && all > D::VLANS {
            pr_info!(
                "{}: with rules about VLANs there are {} at most\n",
                self.name(),
                D::VLANS
            );
            return Err(ENOSPC);
        }
        Ok(())
    }

    /// Tells the card of the rules, which it has some of.
    ///
    /// Under the device's lock.
    fn steer(&self) {
        if D::HAS_SET_RULES && self.control.lock().up {
            self.ops.set_rules(&self.steering);
            self.sync_rx_mode();
        }
    }
}

impl<'bound, D: Operations + 'bound> Table<'bound, D> {
    /// # Safety
    ///
    /// - See the invariants of [`Table`].
    /// - `info` is valid and initialised, and nobody else's. At `places` there is room for as many numbers as it says, if
    ///   the command asks for them.
    pub(crate) unsafe extern "C" fn get_rxnfc(
        dev: *mut bindings::net_device,
        info: *mut bindings::ethtool_rxnfc,
        places: *mut u32,
    ) -> c_int {
        // SAFETY: By the invariant of `Table` the device is valid, and its private area holds a pointer to its
        // core, whose driver is `D`. It is registered, so the core outlives this call.
        let core = unsafe { core_of::<D>(dev) };
        let rules = &core.steering;
        // CAST: A few dozen, here and below.
        let (count, all) = (rules.rules().count() as u32, D::RULES as u64);
        // The places may begin where the last field ends, which is before the structure does: so there is no reference to
        // all of it.
        // SAFETY: By the safety requirement `info` is valid and initialised.
        let (cmd, room) = unsafe { ((*info).cmd, (*info).__bindgen_anon_1.rule_cnt) };
        match cmd {
            bindings::ETHTOOL_GRXCLSRLCNT => {
                // SAFETY: As above, and nobody else's.
                unsafe {
                    (*info).__bindgen_anon_1.rule_cnt = count;
                    (*info).data = all | u64::from(bindings::RX_CLS_LOC_SPECIAL);
                }
                0
            }
            bindings::ETHTOOL_GRXCLSRULE => {
                // SAFETY: As above.
                let fs = unsafe { &mut (*info).fs };
                match rules.get(fs.location as usize) {
                    Some(rule) => {
                        describe(fs, rule);
                        0
                    }
                    None => ENOENT.to_errno(),
                }
            }
            bindings::ETHTOOL_GRXCLSRLALL => {
                if room < count {
                    return EMSGSIZE.to_errno();
                }
                for (n, (place, _)) in rules.rules().take(room as usize).enumerate() {
                    // SAFETY: By the safety requirement there is room for `room` numbers, and `n` is less.
                    unsafe { places.add(n).write(place as u32) };
                }
                // SAFETY: As above.
                unsafe {
                    (*info).__bindgen_anon_1.rule_cnt = count;
                    (*info).data = all;
                }
                0
            }
            _ => EOPNOTSUPP.to_errno(),
        }
    }

    /// # Safety
    ///
    /// - See the invariants of [`Table`].
    /// - The device's lock is held.
    /// - `info` is valid and initialised, and nobody else's.
    pub(crate) unsafe extern "C" fn set_rxnfc(
        dev: *mut bindings::net_device,
        info: *mut bindings::ethtool_rxnfc,
    ) -> c_int {
        // SAFETY: By the invariant of `Table` the device is valid, and its private area holds a pointer to its
        // core, whose driver is `D`. It is registered, so the core outlives this call. By the safety requirement
        // `info` is valid, initialised, and nobody else's.
        let (core, info) = unsafe { (core_of::<D>(dev), &mut *info) };
        from_result(|| {
            match info.cmd {
                bindings::ETHTOOL_SRXCLSRLINS => {
                    let rule = rule(&info.fs)
                        .and_then(|rule| check(core, rule, info.fs.location))
                        .map_err(|(why, e)| {
                            pr_info!("{}: no such rule: {}\n", core.name(), why);
                            e
                        })?;
                    let place = place(core, info.fs.location).ok_or(ENOSPC)?;
                    core.set_rule(place, Some(rule))?;
                    info.fs.location = place as u32;
                }
                bindings::ETHTOOL_SRXCLSRLDEL => {
                    let place = info.fs.location as usize;
                    core.steering.get(place).ok_or(ENOENT)?;
                    core.set_rule(place, None)?;
                }
                _ => return Err(EOPNOTSUPP),
            }
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// - See the invariants of [`Table`].
    /// - `rtnl` is held.
    pub(crate) unsafe extern "C" fn add_vlan(
        dev: *mut bindings::net_device,
        _protocol: u16,
        vlan: u16,
    ) -> c_int {
        // SAFETY: By the invariant of `Table` the device is valid, and its private area holds a pointer to its
        // core, whose driver is `D`. It is registered, so the core outlives this call.
        let core = unsafe { core_of::<D>(dev) };
        from_result(|| core.set_vlan(vlan, true).map(|()| 0))
    }

    /// # Safety
    ///
    /// As for [`add_vlan`](Self::add_vlan).
    pub(crate) unsafe extern "C" fn remove_vlan(
        dev: *mut bindings::net_device,
        _protocol: u16,
        vlan: u16,
    ) -> c_int {
        // SAFETY: By the invariant of `Table` the device is valid, and its private area holds a pointer to its
        // core, whose driver is `D`. It is registered, so the core outlives this call.
        let core = unsafe { core_of::<D>(dev) };
        from_result(|| core.set_vlan(vlan, false).map(|()| 0))
    }
}

/// Why a rule is refused.
type Refused = (&'static str, Error);

/// Returns the rule that a specification is, if it is one that a card may have.
fn rule(fs: &bindings::ethtool_rx_flow_spec) -> Result<Rule, Refused> {
    const KNOWN: Refused = (
        "a packet is known by its destination (\"flow-type ether dst\") or its VLAN (\"flow-type ether vlan\"), by one of them",
        EOPNOTSUPP,
    );
    if fs.flow_type & !bindings::FLOW_EXT != bindings::ETHER_FLOW {
        return Err(KNOWN);
    }
    // SAFETY: For this kind of flow the members of the unions are these; all are numbers.
    let (value, mask) = unsafe { (&fs.h_u.ether_spec, &fs.m_u.ether_spec) };
    let ext = fs.flow_type & bindings::FLOW_EXT != 0;
    let other = ext && (fs.m_ext.data != [0; 2] || fs.m_ext.vlan_etype != 0);
    if mask.h_source != [0; 6] || mask.h_proto != 0 || other {
        return Err(KNOWN);
    }
    let tag = if ext {
        u16::from_be(fs.m_ext.vlan_tci)
    } else {
        0
    };
    let key = match (mask.h_dest, tag & VID) {
        ([0xff, 0xff, 0xff, 0xff, 0xff, 0xff], 0) if tag == 0 => Key::Destination(value.h_dest),
        ([0, 0, 0, 0, 0, 0], VID) => Key::Vlan(u16::from_be(fs.h_ext.vlan_tci) & VID),
        _ => return Err(KNOWN),
    };
    if fs.ring_cookie > u8::MAX.into() {
        return Err(("it names no queue (\"action N\")", EOPNOTSUPP));
    }
    Ok(Rule {
        key,
        // CAST: Just checked.
        queue: fs.ring_cookie as usize,
    })
}

/// Returns a rule if it can be in force together with the others, but for the one at its place.
fn check<D: Operations>(core: &Core<'_, D>, rule: Rule, place: u32) -> Result<Rule, Refused> {
    if rule.queue == 0 || rule.queue >= core.control.lock().shape.queues {
        return Err((
            "its queue is not one of those in use (ethtool -L), or the first one, which gets all that no rule is about",
            EINVAL,
        ));
    }
    if let Key::Destination(mac) = rule.key {
        if mac[0] & 1 != 0 || mac == core.dev.mac() {
            return Err((
                "the address is not a unicast address, or it is the device's own",
                EINVAL,
            ));
        }
    }
    let kind = |rule: Rule| matches!(rule.key, Key::Vlan(_));
    let mixed = |(n, other): (usize, Rule)| {
        n as u32 != place && other.queue == rule.queue && kind(other) != kind(rule)
    };
    if core.steering.rules().any(mixed) {
        return Err(("its queue has one of the other kind", EINVAL));
    }
    let same = |(n, other): (usize, Rule)| n as u32 != place && other.key == rule.key;
    if core.steering.rules().any(same) {
        return Err(("there is one about these packets", EEXIST));
    }
    Ok(rule)
}

/// Returns where a rule goes: where it is asked for, or to the first free place.
fn place<D: Operations>(core: &Core<'_, D>, asked: u32) -> Option<usize> {
    match asked {
        bindings::RX_CLS_LOC_ANY => (0..D::RULES).find(|&place| core.steering.get(place).is_none()),
        // CAST: u32 fits.
        asked => Some(asked as usize).filter(|&place| place < D::RULES),
    }
}

/// Says what a rule is.
fn describe(fs: &mut bindings::ethtool_rx_flow_spec, rule: Rule) {
    fs.flow_type = bindings::ETHER_FLOW;
    // CAST: usize is u64 here.
    fs.ring_cookie = rule.queue as u64;
    match rule.key {
        Key::Destination(mac) => {
            // (Writes to the fields of a union. What is not written is zero.)
            fs.h_u.ether_spec.h_dest = mac;
            fs.m_u.ether_spec.h_dest = [0xff; 6];
        }
        Key::Vlan(vlan) => {
            fs.flow_type |= bindings::FLOW_EXT;
            fs.h_ext.vlan_tci = vlan.to_be();
            fs.m_ext.vlan_tci = VID.to_be();
        }
    }
}
