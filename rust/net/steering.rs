// SPDX-License-Identifier: GPL-2.0

//! Rules by which a card sends packets to queues: `ethtool -N`.

use core::sync::atomic::{
    AtomicU64,
    Ordering::Relaxed, //
};

/// The most rules that a card may have.
pub(crate) const MAX: usize = 32;
/// VLANs that there may be.
const VLANS: usize = 4096;

/// What a rule knows packets by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// The address that they are for: a unicast address, and not the card's own.
    Destination([u8; 6]),
    /// Their VLAN, from 0 to 4095.
    Vlan(u16),
}

/// A rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// What it is about.
    pub key: Key,
    /// The queue that gets those packets. It is used, and not the first one.
    pub queue: usize,
}

impl Rule {
    /// All of a rule in one word, which is not 0.
    fn to_word(self) -> u64 {
        let key = match self.key {
            Key::Destination([a, b, c, d, e, f]) => u64::from_le_bytes([a, b, c, d, e, f, 1, 0]),
            Key::Vlan(vlan) => u64::from(vlan) | 2 << 48,
        };
        // CAST: A few dozen at most.
        key | (self.queue as u64 & 0xff) << 56
    }

    fn from_word(word: u64) -> Option<Self> {
        let [a, b, c, d, e, f, kind, queue] = word.to_le_bytes();
        let key = match kind {
            1 => Key::Destination([a, b, c, d, e, f]),
            2 => Key::Vlan(u16::from_le_bytes([a, b])),
            _ => return None,
        };
        Some(Self {
            key,
            queue: queue.into(),
        })
    }
}

/// The rules in force, and the VLANs that the stack knows.
///
/// Written with the core's `control` locked. Each rule is a word, so that who reads at any time sees all of it or nothing.
///
/// # Examples
///
/// ```
/// use net::steering::{Key, Steering};
///
/// /// The queues that get nothing but what rules say, a bit for each.
/// fn reserved(steering: &Steering) -> u32 {
///     steering.rules().fold(0, |queues, (_, rule)| queues | 1 << rule.queue)
/// }
/// ```
pub struct Steering {
    rules: [AtomicU64; MAX],
    vlans: [AtomicU64; VLANS / 64],
}

impl Steering {
    pub(crate) const fn new() -> Self {
        Self {
            rules: [const { AtomicU64::new(0) }; MAX],
            vlans: [const { AtomicU64::new(0) }; VLANS / 64],
        }
    }

    /// Returns the rules with their places, each less than [`RULES`](crate::netdev::Operations::RULES).
    pub fn rules(&self) -> impl Iterator<Item = (usize, Rule)> + '_ {
        let rules = self.rules.iter().enumerate();
        rules.filter_map(|(n, word)| Some((n, Rule::from_word(word.load(Relaxed))?)))
    }

    /// Returns whether there is no rule: flows are spread then.
    pub fn is_empty(&self) -> bool {
        self.rules().next().is_none()
    }

    /// Returns whether a rule is about what is for that address.
    pub fn is_about(&self, mac: [u8; 6]) -> bool {
        let key = Key::Destination(mac);
        self.rules().any(|(_, rule)| rule.key == key)
    }

    /// Returns the VLANs that rules are about, each with its queue.
    pub fn tagged(&self) -> impl Iterator<Item = (u16, usize)> + '_ {
        self.rules().filter_map(|(_, rule)| match rule.key {
            Key::Vlan(vlan) => Some((vlan, rule.queue)),
            Key::Destination(_) => None,
        })
    }

    /// Returns the VLANs that the stack has something on and no rule is about.
    pub fn others(&self) -> impl Iterator<Item = u16> + '_ {
        // CAST: 4,096.
        (0..VLANS as u16)
            .filter(|&vlan| self.has_vlan(vlan) && self.tagged().all(|(other, _)| other != vlan))
    }

    /// Returns whether the stack has something on a VLAN.
    fn has_vlan(&self, vlan: u16) -> bool {
        let word = self.vlans.get(usize::from(vlan / 64));
        word.is_some_and(|bits| bits.load(Relaxed) >> (vlan % 64) & 1 != 0)
    }

    /// Returns the rule at a place.
    pub(crate) fn get(&self, place: usize) -> Option<Rule> {
        Rule::from_word(self.rules.get(place)?.load(Relaxed))
    }

    /// Puts a rule, or none, at a place.
    ///
    /// With the core's `control` locked.
    pub(crate) fn set(&self, place: usize, rule: Option<Rule>) {
        if let Some(word) = self.rules.get(place) {
            word.store(rule.map_or(0, Rule::to_word), Relaxed);
        }
    }

    /// Notes that the stack has something on a VLAN, or nothing any more.
    ///
    /// With the core's `control` locked.
    pub(crate) fn set_vlan(&self, vlan: u16, used: bool) {
        let (word, bit) = (usize::from(vlan / 64), 1 << (vlan % 64));
        if let Some(bits) = self.vlans.get(word) {
            let old = bits.load(Relaxed);
            bits.store(if used { old | bit } else { old & !bit }, Relaxed);
        }
    }
}
