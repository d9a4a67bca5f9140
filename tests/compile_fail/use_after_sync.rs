// SPDX-License-Identifier: GPL-2.0
// error: E0382 borrow of moved value: `device`

//! Gives the device the address of a buffer that the CPU has taken over.

use page_pool::{AllocError, NapiPool};

/// The device would write while the CPU reads.
pub fn wrong(pool: &mut NapiPool<'_, '_>) -> Result<u64, AllocError> {
    let device = pool.alloc()?;
    let cpu = pool.sync_for_cpu(device, 64);
    let addr = device.dma_addr();
    pool.recycle(cpu);
    Ok(addr)
}
