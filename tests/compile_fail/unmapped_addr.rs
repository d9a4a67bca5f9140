// SPDX-License-Identifier: GPL-2.0
// error: E0133 `PagePool::<'static>::unmapped` is unsafe

//! Gives a device an address that was never mapped.

use kernel::prelude::*;
use net::dma::DescRing;
use page_pool::{context::BhDisabled, Mode, PagePool, Params};

/// The device would write to physical addresses 0x100 to 0xf00.
pub fn wrong(ring: &mut DescRing<2>, bh: &BhDisabled<'_>) -> Result {
    let params = Params {
        pages: 64,
        ring: 0,
        mode: Mode::Recycle,
    };
    let mut pool = PagePool::unmapped(c"unmapped", params)?;
    pool.enter(bh, |mut pool| {
        let buf = pool.alloc()?;
        ring.store(0, 0, buf.dma_addr());
        Ok(())
    })
}
