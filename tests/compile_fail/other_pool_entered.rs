// SPDX-License-Identifier: GPL-2.0
// error: E0521 borrowed data escapes outside of closure

//! Recycles a page into another pool, with both pools entered as a driver would.

use page_pool::{context::BhDisabled, AllocError, PagePool};

/// The same as in other_pool.rs, but nobody wrote a lifetime down.
pub fn wrong(
    bh: &BhDisabled<'_>,
    one: &mut PagePool<'_>,
    other: &mut PagePool<'_>,
) -> Result<(), AllocError> {
    one.enter(bh, |mut one| {
        other.enter(bh, |mut other| {
            let buf = one.alloc()?;
            // SAFETY: Only compiled.
            let buf = unsafe { one.sync_for_cpu(buf, 64) };
            other.recycle(buf);
            Ok(())
        })
    })
}
