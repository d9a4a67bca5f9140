// SPDX-License-Identifier: GPL-2.0

//! The kernel modules' own sources, compiled for the host. The tests are in `tests/`.

#[cfg_attr(not(loom), path = "../../../rust/ptr_ring/platform.rs")]
#[cfg_attr(loom, path = "loom_platform.rs")]
pub mod platform;
#[path = "../../../rust/ptr_ring/ptr_ring.rs"]
pub mod ptr_ring;

#[path = "../../../rust/page_pool/cache.rs"]
pub mod cache;
#[path = "../../../rust/page_pool/limit.rs"]
pub mod limit;
#[path = "../../../rust/page_pool/list.rs"]
pub mod list;
#[path = "../../../rust/page_pool/state.rs"]
pub mod state;
#[cfg(not(loom))]
#[path = "../../../rust/page_pool/stats.rs"]
pub mod stats;

pub mod exclusive;
pub mod pool;
