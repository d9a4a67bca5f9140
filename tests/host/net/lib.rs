// SPDX-License-Identifier: GPL-2.0

//! The parts of the net crate that need no kernel.

#[path = "../../../rust/net/desc.rs"]
pub mod desc;
#[path = "../../../rust/net/frames.rs"]
pub mod frames;
