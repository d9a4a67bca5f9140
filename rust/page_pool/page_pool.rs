// SPDX-License-Identifier: GPL-2.0

//! A recycling page pool for network drivers.
//!
//! Pages come from `alloc_pages`, are mapped for the device once when they enter the pool, and are
//! unmapped once when they leave it for good. In between they go round:
//!
//! ring -> pool -> [buffer](buf) -> XDP -> skb -> [hook] -> pool
//!
//! A packet that is dropped in NAPI returns directly into an array [cache](cache). A page that went
//! to the stack returns when its last reference is dropped, whoever drops it and by whichever call:
//! a [hook] at `put_page()` time puts it into the returning CPU's [ring](ptr_ring), from where NAPI
//! fetches it.
//!
//! Start at [`PagePool`].

use kernel::prelude::*;

// What knows nothing of the kernel, and compiles on the host as well.
#[path = "core/cache.rs"]
pub mod cache;
#[path = "core/kept.rs"]
pub mod kept;
#[path = "core/limit.rs"]
pub mod limit;
#[path = "core/list.rs"]
pub mod list;
#[doc(hidden)]
#[path = "core/platform.rs"]
pub mod platform;
#[path = "core/ptr_ring.rs"]
pub mod ptr_ring;
#[path = "core/rings.rs"]
pub mod rings;
#[path = "core/state.rs"]
pub mod state;
#[path = "core/stats.rs"]
pub mod stats;

mod buf;
pub mod context;
mod debug;
mod end;
mod frags;
mod hook;
pub mod layout;
mod napi_side;
mod owned;
mod pages;
mod params;
mod pool;
mod recycle;
mod registry;
mod returns;
mod shared;
mod slots;
mod supply;

pub use buf::{
    CpuBuf,
    Detached,
    DeviceBuf,
    StackPage, //
};
pub use layout::{
    Half,
    Layout,
    Payload,
    Whole, //
};
pub use limit::Pressure;
pub use params::{
    Mode,
    Params, //
};
pub use pool::{
    NapiPool,
    OpenRing,
    PagePool,
    Posted,
    Stats, //
};

/// Why there is no page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AllocError {
    /// The system has none.
    NoMemory,
    /// The pool has as many as it may have.
    Limit,
    /// The page could not be mapped for the device.
    Mapping,
}

impl From<AllocError> for Error {
    fn from(error: AllocError) -> Self {
        match error {
            AllocError::NoMemory => ENOMEM,
            AllocError::Limit => ENOBUFS,
            AllocError::Mapping => EIO,
        }
    }
}

module! {
    type: Module,
    name: "rust_page_pool",
    authors: ["Rust page pool developers"],
    description: "Recycling page pool for network drivers",
    license: "GPL",
}

#[pin_data]
struct Module {
    // The files go first, the hook last: dropping it waits until nobody is in it any more. There is
    // no pool then, since a driver that has one keeps this module loaded.
    #[pin]
    _files: debug::Files,
    _hook: Option<hook::Hook>,
}

impl kernel::InPlaceModule for Module {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        pin_init::pin_init_scope(|| {
            let (hook, report) = debug::load()?;
            Ok(try_pin_init!(Self {
                _files <- debug::Files::new(report),
                _hook: hook,
            }))
        })
    }
}
