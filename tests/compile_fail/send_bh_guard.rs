// SPDX-License-Identifier: GPL-2.0
// error: E0277 `*mut ()` cannot be sent between threads safely

//! Turns bottom halves off here and on again elsewhere.

use kernel::prelude::*;
use page_pool::context::BhGuard;

fn to_a_thread<T: Send>(_: T) {}

/// This CPU's would stay off for ever.
pub fn wrong() -> Result {
    to_a_thread(BhGuard::new()?);
    Ok(())
}
