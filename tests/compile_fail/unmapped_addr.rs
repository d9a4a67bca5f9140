// SPDX-License-Identifier: GPL-2.0
// error: E0133 `PagePool::<'static, L>::unmapped` is unsafe

//! Gives a device an address that was never mapped.

use kernel::prelude::*;
use page_pool::{context::BhDisabled, Mode, PagePool, Params, Posted, Whole};

/// The device would write to physical addresses 0x100 to 0xf00.
pub fn wrong(ring: &mut Posted, bh: &BhDisabled<'_>) -> Result<u64> {
    let params = Params {
        pages: 64,
        ring: 0,
        mode: Mode::Recycle,
    };
    let mut pool = PagePool::<'_, Whole>::unmapped(c"unmapped", params)?;
    pool.enter(bh, |mut pool| {
        let buf = pool.alloc()?;
        let mut ring = pool.open(ring).ok_or(EINVAL)?;
        ring.post(0, buf).map_err(|_| EINVAL)
    })
}
