// SPDX-License-Identifier: GPL-2.0
// error: lifetime may not live long enough

//! Recycles a page into another pool, which would be that of another device.

use page_pool::{AllocError, NapiPool};

/// `'a` and `'b` are the brands of two pools.
pub fn wrong<'a, 'b>(
    one: &mut NapiPool<'a, '_>,
    other: &mut NapiPool<'b, '_>,
) -> Result<(), AllocError> {
    let buf = one.alloc()?;
    // SAFETY: Only compiled.
    let buf = unsafe { one.sync_for_cpu(buf, 64) };
    other.recycle(buf);
    Ok(())
}
