// SPDX-License-Identifier: GPL-2.0
// error: E0277 `*mut ()` cannot be sent between threads safely

//! Sends the proof that bottom halves are off to another thread, where they may be on.

use page_pool::context::BhDisabled;

fn to_a_thread<T: Send>(_: T) {}

/// The other thread would produce into this CPU's ring.
pub fn wrong(bh: BhDisabled<'_>) {
    to_a_thread(bh);
}
