// SPDX-License-Identifier: GPL-2.0
// error: E0596 cannot borrow `*pool` as mutable

//! Opens a pool through a shared reference, of which another CPU may have one as well.

use page_pool::{context::BhDisabled, PagePool};

/// Its direct cache would have two users.
pub fn wrong(bh: &BhDisabled<'_>, pool: &PagePool<'_>) {
    pool.enter(bh, |_| {});
}
