// SPDX-License-Identifier: GPL-2.0
// error: E0599 no method named `data`

//! Reads a packet that still belongs to the device.

use page_pool::{AllocError, NapiPool};

/// The CPU may see old bytes, and the device may go on writing.
pub fn wrong(pool: &mut NapiPool<'_, '_>) -> Result<usize, AllocError> {
    let buf = pool.alloc()?;
    let len = buf.data().len();
    pool.recycle_unused(buf);
    Ok(len)
}
