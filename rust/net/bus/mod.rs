// SPDX-License-Identifier: GPL-2.0

//! The buses that network devices are on. Nothing else in this crate knows them.

pub mod pci;
pub mod power;
