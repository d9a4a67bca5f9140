// SPDX-License-Identifier: GPL-2.0
// error: E0505 cannot move out of `buf` because it is borrowed

//! Keeps reading a packet after its page was given back.

use page_pool::{AllocError, NapiPool};

/// The bytes may be another packet's by then.
pub fn wrong(pool: &mut NapiPool<'_, '_>) -> Result<u8, AllocError> {
    let buf = pool.alloc()?;
    // SAFETY: Only compiled.
    let buf = unsafe { pool.sync_for_cpu(buf, 64) };
    let data = buf.data();
    pool.recycle(buf);
    Ok(data[0])
}
