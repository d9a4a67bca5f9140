// SPDX-License-Identifier: GPL-2.0

//! Rules that send packets to queues. The card has none for that, but divides itself among virtual machines: each has a
//! pool of queues, by its MAC addresses and VLANs (VMDq, 4.2 and 7.10 of the data sheet). Here a queue is the pool of the
//! same number.
//!
//! With rules about VLANs it drops what is in one that the stack does not know, broadcasts at any time, and the rest unless
//! everything is wanted.
//!
//! The card does not spread flows then but over two queues of a pool, which would be that of another one, and one of
//! XDP: what no rule is about goes to queue 0.

use crate::{
    mac,
    regs::{
        self,
        Bar, //
    },
};
use kernel::{
    io::{
        register::Array,
        Io, //
    },
    prelude::*, //
};
use net::{
    netdev::RxMode,
    steering::{
        Key,
        Steering, //
    },
};

/// How many addresses the card has for rules: those that C igb uses for virtual functions.
pub(crate) const RULES: usize = 8;
/// How many VLANs it can tell apart.
pub(crate) const VLANS: usize = 32;

/// Puts rules in force, and returns the pools that get what is for the card's own addresses.
pub(crate) fn set_rules(bar: &Bar<'_>, steering: &Steering) -> u32 {
    let none = steering.is_empty();
    let (mut by_address, mut by_vlan) = (0u32, 0u32);
    let mut addresses = [(None, 0); RULES];
    for (place, rule) in steering.rules() {
        let pool = 1 << (rule.queue & 7);
        match (rule.key, addresses.get_mut(place)) {
            (Key::Destination(address), Some(filter)) => {
                by_address |= pool;
                *filter = (Some(address), pool);
            }
            _ => by_vlan |= pool,
        }
    }
    for (place, (address, pool)) in addresses.into_iter().enumerate() {
        set_filter(bar, place, address, pool);
    }
    // Before the first ring, if it changes.
    bar.update(regs::MRQC, |r| {
        if none {
            r.with_const_enable::<2>()
        } else {
            r.with_const_enable::<3>()
        }
    });
    let everybody = if none { 0u32 } else { 0xff };
    bar.write_reg(regs::VFRE::from(everybody));
    bar.write_reg(regs::VFTE::from(everybody));
    for pool in 0..regs::QUEUES {
        let bit = 1 << pool;
        // What is for all: to queue 0, and in a VLAN that a rule is about to its queue.
        let all = pool == 0 || by_vlan & bit != 0;
        if let Some(at) = regs::VMOLR::try_at(pool) {
            bar.update(at, |r| {
                r.with_aupe(pool == 0 || by_address & bit != 0)
                    .with_rompe(all)
                    .with_bam(all)
                    .with_strcrc(true)
            });
        }
    }
    bar.update(regs::VT_CTL, |r| r.with_repl_en(!none));
    set_vlans(bar, steering, by_address);
    if let Some(own) = regs::RAH::try_at(0) {
        bar.update(own, |r| {
            regs::RAH::from(r.into_raw() & !(0xff << 18) | (1 | by_vlan) << 18)
        });
    }
    1 | by_vlan
}

/// Sets which address the filter of a rule lets pass, and to which pool.
fn set_filter(bar: &Bar<'_>, place: usize, address: Option<[u8; 6]>, pool: u32) {
    let (low, high) = mac::filter(address, pool);
    // Not valid while it is half written; and one after the other, as a bridge may make one write of the two.
    write_at!(bar, RAH2, place, regs::RAH2::zeroed());
    write_at!(bar, RAL2, place, regs::RAL2::from(low));
    bar.read(regs::STATUS);
    write_at!(bar, RAH2, place, regs::RAH2::from(high));
    bar.read(regs::STATUS);
}

/// Tells the card of all VLANs, if rules are about some.
fn set_vlans(bar: &Bar<'_>, steering: &Steering, by_address: u32) {
    let filter = steering.tagged().next().is_some();
    let rules = steering
        .tagged()
        .map(|(vlan, queue)| (vlan, 1 << (queue & 7)));
    let others = steering.others().map(|vlan| (vlan, 1));
    let mut all = Iterator::chain(rules, others).take_while(|_| filter);
    for n in 0..VLANS {
        let entry = all
            .next()
            .map_or(regs::VLVF::zeroed(), |(vlan, pools): (u16, u32)| {
                regs::VLVF::from(u32::from(vlan) & 0xfff | (pools | by_address) << 12)
                    .with_enable(true)
            });
        write_at!(bar, VLVF, n, entry);
    }
    // It lets all of them pass, for the others to decide.
    for n in (0..128).take_while(|_| filter) {
        write_at!(bar, VFTA, n, regs::VFTA::from(u32::MAX));
    }
    mac::update_rctl(bar, |r| r.with_vfe(filter));
}

/// Sets how long the packets of a queue may be, with their CRC, as long as there are rules.
pub(crate) fn set_longest(bar: &Bar<'_>, queue: usize, longest: u32) {
    if let Some(at) = regs::VMOLR::try_at(queue) {
        bar.update(at, |r| {
            regs::VMOLR::from(r.into_raw() & !0x3fff | longest & 0x3fff).with_lpe(true)
        });
    }
}

/// Has the tags taken out of what the pools get.
pub(crate) fn strip_vlan(bar: &Bar<'_>, strip: bool) {
    for pool in 0..regs::QUEUES {
        if let Some(at) = regs::VMOLR::try_at(pool) {
            bar.update(at, |r| r.with_strvlan(strip));
        }
    }
    bar.update(regs::RPLOLR, |r| r.with_strvlan(strip));
}

/// Has queue 0 get what is for addresses that the card does not know, if all is wanted.
pub(crate) fn set_rx_mode(bar: &Bar<'_>, mode: &RxMode<'_>) {
    bar.update(regs::VT_CTL, |r| r.with_dis_def_pool(!mode.promiscuous()));
    if let Some(at) = regs::VMOLR::try_at(0) {
        bar.update(at, |r| {
            r.with_mpme(mode.promiscuous() || mode.all_multicast())
        });
    }
}
