// SPDX-License-Identifier: GPL-2.0
// error: E0382 use of moved value: `buf`

//! Recycles a page twice.

use page_pool::{AllocError, NapiPool};

/// The page would be in the cache twice, and go to two packets.
pub fn wrong(pool: &mut NapiPool<'_, '_>) -> Result<(), AllocError> {
    let buf = pool.alloc()?;
    // SAFETY: Only compiled.
    let buf = unsafe { pool.sync_for_cpu(buf, 64) };
    pool.recycle(buf);
    pool.recycle(buf);
    Ok(())
}
