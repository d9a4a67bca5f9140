// SPDX-License-Identifier: GPL-2.0
// error: lifetime may not live long enough

//! Takes a buffer out of the closure in which its pool is open.

use page_pool::{context::BhDisabled, AllocError, DeviceBuf, PagePool};

/// The buffer could be kept past its pool.
pub fn wrong<'a>(
    bh: &BhDisabled<'_>,
    pool: &'a mut PagePool<'_>,
) -> Result<DeviceBuf<'a>, AllocError> {
    pool.enter(bh, |mut pool| pool.alloc())
}
