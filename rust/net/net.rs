// SPDX-License-Identifier: GPL-2.0

//! Network devices in Rust.
//!
//! A driver implements [`netdev::Operations`] and, for PCI, [`pci::Driver`]; the rest is here: registration,
//! up and down, NAPI, packets of the stack, XDP, DMA, `ethtool`.
//!
//! Which context a piece of code runs in is stated by the arguments that it gets: a
//! [`napi::Napi`] exists only in a NAPI poll, a [`queue::TxQueue`] only while the transmit queue's
//! lock is held. What these contexts own ([`netdev::Operations::Rx`], [`netdev::Operations::Tx`]) is handed to the
//! driver as `&mut`, so that a driver needs neither locks nor `unsafe` for its rings.

use kernel::prelude::*;

mod device;
pub mod dma;
pub mod ethtool;
pub mod napi;
pub mod netdev;
pub mod pci;
pub mod queue;
pub mod skb;
mod vtable;
pub mod xdp;

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
