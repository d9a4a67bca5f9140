// SPDX-License-Identifier: GPL-2.0

//! The kernel modules' own sources, compiled for the host. The tests are in `tests/`.

#[cfg_attr(not(loom), path = "../../../rust/ptr_ring/platform.rs")]
#[cfg_attr(loom, path = "loom_platform.rs")]
pub mod platform;
#[path = "../../../rust/ptr_ring/ptr_ring.rs"]
pub mod ptr_ring;
