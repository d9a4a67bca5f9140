// SPDX-License-Identifier: GPL-2.0
// error: E0133 `OpenRing::<'id, '_, L>::take` is unsafe

//! Bytes that the device writes: the descriptor was not completed.

use page_pool::{DeviceBuf, NapiPool, OpenRing};

pub fn wrong<'id>(
    pool: &mut NapiPool<'id, '_>,
    ring: &mut OpenRing<'id, '_>,
) -> Option<DeviceBuf<'id>> {
    let buf = pool.alloc().ok()?;
    ring.post(0, buf).ok()?;
    ring.take(0)
}
