// SPDX-License-Identifier: GPL-2.0

//! Network devices in Rust.
//!
//! The framework owns rings, buffers and pools; a driver states the formats of descriptors ([`desc`]), the
//! registers of its card ([`netdev::Operations`]), and, for PCI, which devices it drives
//! ([`bus::pci::Driver`]). So a driver has no address of a buffer, and no buffer that its card may write to.
//!
//! Imports go in one direction, from a file to those below it:
//!
//! ```text
//! bus/pci -> register -> ethtool_ops, queue_mgmt, metadata -> rules -> vtable, updown -> device -> irq, link, poolstats, rxside -> rx
//!   ethtool_ops -> ethtool_card, ethtool_link, ethtool_stats -> vtable;  selftest -> device;  link -> phy -> netdev
//!   rx -> frames, tx;  tx -> netdev, dma -> xdp, skb -> napi, buffers -> queue -> stats
//!   netdev -> ethtool, desc
//! ```

use kernel::prelude::*;

mod buffers;
pub mod bus;
mod copies;
mod deliver;
pub mod desc;
mod descs;
mod device;
mod dma;
pub mod ethtool;
mod ethtool_card;
mod ethtool_link;
mod ethtool_ops;
mod ethtool_stats;
mod frames;
mod handle;
mod heads;
mod irq;
mod link;
mod lockclass;
mod metadata;
mod moderation;
mod napi;
pub mod netdev;
mod outbox;
mod phy;
mod poll;
mod poolstats;
mod queue;
mod queue_mgmt;
mod register;
mod rules;
mod rx;
mod rxside;
mod selftest;
mod skb;
mod split;
mod stats;
pub mod steering;
mod tx;
mod txqueue;
mod txside;
mod updown;
mod vtable;
mod xdp;

module! {
    type: Module,
    name: "rust_net",
    authors: ["Rust page pool developers"],
    description: "Network device abstractions for Rust drivers",
    license: "GPL",
}

struct Module;

impl kernel::Module for Module {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Module)
    }
}
