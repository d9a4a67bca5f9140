// SPDX-License-Identifier: GPL-2.0

//! The kernel modules' own sources, compiled for the host, and what stands for the kernel around
//! them. The tests are in `tests/`.

extern crate self as pp_bindings;

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
#[allow(unreachable_pub)]
#[path = "../../../rust/page_pool/returns.rs"]
mod shipping_returns;
// Vectors have from a trait of `kernel` what they may have from the standard library one day.
#[allow(dead_code, unstable_name_collisions)]
#[path = "../../../rust/page_pool/shared.rs"]
mod shared;
#[path = "../../../rust/page_pool/state.rs"]
pub mod state;
#[path = "../../../rust/page_pool/stats.rs"]
pub mod stats;

mod bindings;
mod context;
pub mod exclusive;
mod pages;
pub mod pool;
mod returns;
mod slots;

#[doc(hidden)]
pub use bindings::*;

use kernel::prelude::Error;

const HEADROOM: usize = 256;
const ROOM: usize = 2048;

/// Why there is no page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum AllocError {
    NoMemory,
    Limit,
    Mapping,
}

impl From<platform::AllocError> for Error {
    fn from(_: platform::AllocError) -> Self {
        Error
    }
}
