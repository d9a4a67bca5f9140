// SPDX-License-Identifier: GPL-2.0
// error: E0505 cannot move out of `guard` because it is borrowed

//! Opens a pool after bottom halves were turned on again.

use kernel::prelude::*;
use page_pool::{context::BhGuard, PagePool};

/// A softirq could interrupt in the middle.
pub fn wrong(pool: &mut PagePool<'_>) -> Result {
    let guard = BhGuard::new()?;
    let bh = guard.token();
    drop(guard);
    pool.enter(&bh, |mut pool| {
        let buf = pool.alloc()?;
        pool.recycle_unused(buf);
        Ok(())
    })
}
