// SPDX-License-Identifier: GPL-2.0
// error: E0382 use of moved value: `buf`

//! Sends a page and recycles it as well.

use page_pool::{AllocError, Detached, NapiPool};

/// The device would read what the next packet overwrites.
pub fn wrong(pool: &mut NapiPool<'_, '_>) -> Result<Detached, AllocError> {
    let buf = pool.alloc()?;
    // SAFETY: Only compiled.
    let buf = unsafe { pool.sync_for_cpu(buf, 64) };
    let sent = pool.detach(buf);
    pool.recycle(buf);
    Ok(sent)
}
