// SPDX-License-Identifier: GPL-2.0

//! Who has the pages that are outstanding, for the person who looks for a leak.
//!
//! Nothing is recorded for this but the time at which a page left. The rest is in the page: how many
//! references there are, whether user space has it mapped, and the packet that it came with, whose
//! addresses and ports name the socket. Of a page of several packets it is not known which one is held: all are
//! named. A page may come back, or be written to, while it is looked at; then the report is off by one.

use crate::{
    shared::Shared,
    slots::{
        self,
        peek,
        Slot, //
    },
};
use core::net::{
    IpAddr,
    SocketAddr, //
};
use kernel::{
    fmt,
    page::PAGE_SIZE, //
};
use pp_bindings as bindings;

/// How many different flows are told apart; the others are summed up.
const FLOWS: usize = 16;

/// Seconds; a page that left longer ago is in the last line.
const AGES: [usize; 5] = [1, 10, 60, 600, 3600];

/// Where a packet was from and to, as far as it is a usual one. Behind an extension header of IPv6 no
/// port is looked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    Ip {
        protocol: u8,
        from: SocketAddr,
        to: SocketAddr,
        /// A part of an IPv4 packet, which waits for the others; only the first has ports.
        fragment: bool,
    },
    Other {
        ethertype: u16,
    },
}

/// Ethernet, the largest IPv4 header, and two ports.
const HEADERS: usize = 14 + 60 + 4;

impl Flow {
    /// Of the packet that begins so many bytes behind the page's beginning.
    fn of(slot: &Slot, begin: usize) -> Self {
        // Whoever has the page may write to it, and if it was freed past the hook it may even be
        // unmapped. The bytes are printed, and nothing depends on them: zeroes will do.
        let headers = peek(slot.va().wrapping_add(begin).cast()).unwrap_or([0u8; HEADERS]);
        let at = |i: usize| headers.get(i).copied().unwrap_or(0);
        let word = |i: usize| u16::from_be_bytes([at(i), at(i + 1)]);
        let v4 = |i| IpAddr::from([at(i), at(i + 1), at(i + 2), at(i + 3)]);
        let v6 = |i| IpAddr::from(core::array::from_fn::<u16, 8, _>(|n| word(i + 2 * n)));
        let (protocol, from, to, payload, fragment) = match word(12) {
            0x0800 => {
                let header = usize::from(at(14) & 0xf) * 4;
                (at(23), v4(26), v4(30), 14 + header, word(20) & 0x3fff != 0)
            }
            0x86dd => (at(20), v6(22), v6(38), 14 + 40, false),
            ethertype => return Self::Other { ethertype },
        };
        let port = |i| match protocol {
            6 | 17 if !fragment => word(payload + i),
            _ => 0,
        };
        Self::Ip {
            protocol,
            from: SocketAddr::new(from, port(0)),
            to: SocketAddr::new(to, port(2)),
            fragment,
        }
    }

    fn show(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Ip {
                protocol,
                from,
                to,
                fragment,
            } => {
                let fragment = if fragment { ", fragment" } else { "" };
                write!(f, "protocol {protocol}, {from} > {to}{fragment}")
            }
            Self::Other { ethertype } => write!(f, "ethertype {ethertype:#06x}"),
        }
    }
}

/// What the pages of a pool have in common.
struct Report {
    total: u32,
    /// Of which the pool uses the other half.
    halves: u32,
    mapped: u32,
    ages: [u32; AGES.len() + 1],
    /// With 0 (on its way back), 1, 2, 3 and more references.
    references: [u32; 4],
    flows: [Option<(Flow, u32)>; FLOWS],
    other_flows: u32,
}

impl Report {
    fn add(&mut self, pool: &Shared, slot: &Slot, now: u32) {
        let page = slot.page();
        self.total += 1;
        if slot.state.is_out() {
            // The difference is right also when the clock has wrapped.
            let age = now.wrapping_sub(slot.left()) as usize / bindings::RPP_HZ;
            self.ages[AGES.iter().take_while(|&&limit| age >= limit).count()] += 1;
        } else {
            // When a half left is not noted.
            self.halves += 1;
        }
        let (count, mapped) = slots::users(page).unwrap_or_default();
        self.references[(count as usize).min(self.references.len() - 1)] += 1;
        self.mapped += u32::from(mapped);

        let geometry = &pool.geometry;
        for begin in (geometry.headroom..PAGE_SIZE).step_by(geometry.stride) {
            self.add_flow(Flow::of(slot, begin));
        }
    }

    fn add_flow(&mut self, flow: Flow) {
        for entry in &mut self.flows {
            match entry {
                Some((known, n)) if *known == flow => {
                    *n += 1;
                    return;
                }
                Some(_) => {}
                None => {
                    *entry = Some((flow, 1));
                    return;
                }
            }
        }
        self.other_flows += 1;
    }
}

/// Writes the report of one pool.
///
/// Process context.
pub(crate) fn show(pool: &Shared, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let now = slots::now();
    let mut report = Report {
        total: 0,
        halves: 0,
        mapped: 0,
        ages: [0; AGES.len() + 1],
        references: [0; 4],
        flows: [None; FLOWS],
        other_flows: 0,
    };
    for slot in pool.out() {
        report.add(pool, slot, now);
    }

    writeln!(f, "  outstanding {}", report.total)?;
    if report.total == 0 {
        return Ok(());
    }
    if report.halves > 0 {
        writeln!(f, "  half of it in use by the pool: {}", report.halves)?;
    }
    for (limit, n) in AGES.iter().zip(report.ages) {
        if n > 0 {
            writeln!(f, "  left less than {limit} s ago: {n}")?;
        }
    }
    if let Some(&n @ 1..) = report.ages.last() {
        writeln!(f, "  left longer ago: {n}")?;
    }
    for (count, n) in report.references.iter().enumerate() {
        if *n > 0 {
            writeln!(f, "  with {count} references: {n}")?;
        }
    }
    writeln!(f, "  mapped by user space: {}", report.mapped)?;
    for (flow, n) in report.flows.iter().flatten() {
        f.write_str("  came with ")?;
        flow.show(f)?;
        writeln!(f, ": {n}")?;
    }
    if report.other_flows > 0 {
        writeln!(f, "  came with others: {}", report.other_flows)?;
    }
    Ok(())
}
