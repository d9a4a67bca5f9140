// SPDX-License-Identifier: GPL-2.0
// error: E0308 mismatched types

//! Turns bottom halves off in an interrupt handler.

use net::netdev::Events;
use page_pool::context::BhGuard;

/// As `Operations::interrupt()`. There is no guard in a hard interrupt, and no way to go on without.
pub fn wrong() -> Events {
    let guard: BhGuard = BhGuard::new();
    drop(guard);
    Events::default()
}
