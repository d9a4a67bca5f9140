// SPDX-License-Identifier: GPL-2.0

//! A page pool.

use kernel::prelude::*;

module! {
    type: Module,
    name: "e1000_rust",
    authors: ["Rust page pool developers"],
    description: "Recycling page pool for network drivers",
    license: "GPL",
}

struct Module;

impl kernel::Module for Module {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        net::x();
        Ok(Module)
    }
}
