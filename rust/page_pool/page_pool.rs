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

#[path = "../ptr_ring/platform.rs"]
#[doc(hidden)]
pub mod platform;
#[path = "../ptr_ring/ptr_ring.rs"]
pub mod ptr_ring;

mod buf;
pub mod cache;
pub mod context;
mod debugfs;
mod hook;
pub mod limit;
pub mod list;
mod pages;
mod pool;
mod report;
pub mod returns;
mod selftest;
mod shared;
mod slots;
pub mod state;
pub mod stats;

pub use buf::{CpuBuf, Detached, DeviceBuf, StackPage};
pub use limit::Pressure;
pub use pool::{Mode, NapiPool, PagePool, Params, Posted, Stats};

/// Bytes before the packet, for XDP programs and for the stack to push headers.
pub const HEADROOM: usize = 256;

/// Bytes of a buffer that the device may write: a page without the headroom, and without what an skb
/// that is built over the page needs at its end.
pub const ROOM: usize = kernel::page::PAGE_SIZE - HEADROOM - pp_bindings::RPP_SKB_TAIL;

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
    _files: debugfs::Files,
    _hook: hook::Hook,
}

impl kernel::InPlaceModule for Module {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        pin_init::pin_init_scope(|| {
            let (hook, report) = hook::load()?;
            Ok(try_pin_init!(Self {
                _files <- debugfs::Files::new(report),
                _hook: hook,
            }))
        })
    }
}
