// SPDX-License-Identifier: GPL-2.0

//! The classes of the framework's locks, for lockdep.
//!
//! `new_mutex!` in what is generic makes one class, which is this module's, and a name for it in each driver. Lockdep
//! knows names by their addresses, and complains of the second driver. So neither is made in what is generic.

use core::pin::Pin;
use kernel::{
    static_lock_class,
    str::CStr,
    sync::LockClassKey, //
};

/// A name, and the class that has it.
pub(crate) type Class = (&'static CStr, Pin<&'static LockClassKey>);

/// Returns the class of what guards the configuration of a device.
#[inline(never)]
pub(crate) fn control() -> Class {
    (c"rust_net_control", static_lock_class!())
}

/// Returns the class of what guards the counters of a queue's pools.
#[inline(never)]
pub(crate) fn pool_stats() -> Class {
    (c"rust_net_pool_stats", static_lock_class!())
}
