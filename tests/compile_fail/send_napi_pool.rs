// SPDX-License-Identifier: GPL-2.0
// error: E0277 cannot be sent between threads safely

//! Sends the NAPI side of a pool to another thread.

use page_pool::NapiPool;

fn to_a_thread<T: Send>(_: T) {}

/// Its direct cache would have two users.
pub fn wrong(pool: NapiPool<'_, '_>) {
    to_a_thread(pool);
}
