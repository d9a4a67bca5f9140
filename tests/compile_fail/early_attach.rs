// SPDX-License-Identifier: GPL-2.0
// error: E0133 `NapiPool::<'id, '_, L>::attach` is unsafe

//! A page that the device may still be sending.

use page_pool::{CpuBuf, NapiPool};

pub fn wrong<'id>(pool: &mut NapiPool<'id, '_>, buf: CpuBuf<'id>) {
    let page = pool.detach(buf);
    pool.attach(page);
}
