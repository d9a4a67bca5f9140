// SPDX-License-Identifier: GPL-2.0
// error: E0521 borrowed data escapes outside of closure

//! Leaves a buffer in a variable outside of the closure in which its pool is open.

use page_pool::{context::BhDisabled, AllocError, PagePool};

/// The buffer could be kept past its pool.
pub fn wrong(bh: &BhDisabled<'_>, mut pool: PagePool<'_>) -> Result<(), AllocError> {
    let mut kept = None;
    pool.enter(bh, |mut pool| {
        kept = Some(pool.alloc()?);
        Ok(())
    })?;
    drop(pool);
    drop(kept);
    Ok(())
}
