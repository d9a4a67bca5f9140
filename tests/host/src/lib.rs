// SPDX-License-Identifier: GPL-2.0

//! The kernel modules' own sources, compiled for the host. The tests are in `tests/`.

#[path = "../../../rust/ptr_ring/platform.rs"]
pub mod platform;
#[path = "../../../rust/ptr_ring/ptr_ring.rs"]
pub mod ptr_ring;
