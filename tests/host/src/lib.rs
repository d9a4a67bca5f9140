// SPDX-License-Identifier: GPL-2.0

//! The kernel modules' own sources, compiled for the host, and what stands for the kernel around
//! them. The tests are in `tests/`.

extern crate self as pp_bindings;

#[cfg_attr(not(loom), path = "../../../rust/page_pool/core/platform.rs")]
#[cfg_attr(loom, path = "loom_platform.rs")]
pub mod platform;
#[path = "../../../rust/page_pool/core/ptr_ring.rs"]
pub mod ptr_ring;

#[path = "../../../rust/page_pool/core/cache.rs"]
pub mod cache;
#[path = "../../../rust/page_pool/core/kept.rs"]
pub mod kept;
#[path = "../../../rust/page_pool/core/limit.rs"]
pub mod limit;
#[path = "../../../rust/page_pool/core/list.rs"]
pub mod list;
#[allow(unreachable_pub)]
#[path = "../../../rust/page_pool/core/rings.rs"]
mod shipping_rings;
#[path = "../../../rust/page_pool/core/state.rs"]
pub mod state;
#[path = "../../../rust/page_pool/core/stats.rs"]
pub mod stats;

#[path = "../../../rust/page_pool/end.rs"]
mod end;
#[path = "../../../rust/page_pool/frags.rs"]
mod frags;
#[path = "../../../rust/page_pool/layout.rs"]
pub mod layout;
#[path = "../../../rust/page_pool/napi_side.rs"]
mod napi_side;
#[path = "../../../rust/page_pool/owned.rs"]
mod owned;
#[path = "../../../rust/page_pool/params.rs"]
pub mod params;
#[path = "../../../rust/page_pool/recycle.rs"]
mod recycle;
#[path = "../../../rust/page_pool/returns.rs"]
mod returns;
#[allow(dead_code)]
#[path = "../../../rust/page_pool/shared.rs"]
mod shared;
#[allow(dead_code)]
#[path = "../../../rust/page_pool/supply.rs"]
mod supply;

mod bindings;
mod context;
pub mod exclusive;
mod pages;
pub mod pool;
mod rings;
mod slots;

#[doc(hidden)]
pub use bindings::*;

pub use limit::Pressure;
pub use params::{Mode, Params};

use kernel::prelude::Error;

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
