// SPDX-License-Identifier: GPL-2.0
// error: E0133 `NapiPool::<'id, '_>::attach` is unsafe

//! A page that the device may still be sending.

use page_pool::{CpuBuf, NapiPool};

pub fn wrong<'id>(pool: &mut NapiPool<'id, '_>, buf: CpuBuf<'id>) {
    let page = pool.detach(buf);
    if let Ok(mut buf) = pool.attach(page) {
        buf.data_mut().fill(0);
    }
}
