// SPDX-License-Identifier: GPL-2.0
// error: E0499 cannot borrow `*pool` as mutable more than once

//! Opens the NAPI side of a pool twice.

use page_pool::{context::BhDisabled, PagePool};

/// Its direct cache would have two users.
pub fn wrong(bh: &BhDisabled<'_>, pool: &mut PagePool<'_>) {
    let (one, other) = (&mut *pool, &mut *pool);
    one.enter(bh, |_one| other.enter(bh, |_other| {}));
}
