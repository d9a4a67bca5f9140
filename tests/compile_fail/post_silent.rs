// SPDX-License-Identifier: GPL-2.0
// error: E0624 method `dma_addr` is private

//! An address for the device, of a buffer that is noted nowhere.

use page_pool::{AllocError, NapiPool};

pub fn wrong(pool: &mut NapiPool<'_, '_>) -> Result<u64, AllocError> {
    Ok(pool.alloc()?.dma_addr())
}
