// SPDX-License-Identifier: GPL-2.0
// error: E0133 is unsafe and requires unsafe

//! Bytes that nobody has written.

use page_pool::{AllocError, NapiPool};

pub fn wrong(pool: &mut NapiPool<'_, '_>) -> Result<u8, AllocError> {
    let buf = pool.alloc()?;
    let mut buf = pool.sync_for_cpu(buf, usize::MAX);
    buf.set_range(0, usize::MAX);
    Ok(buf.data()[0])
}
