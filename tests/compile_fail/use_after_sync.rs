// SPDX-License-Identifier: GPL-2.0
// error: E0382 use of moved value: `device`

//! Gives the device the address of a buffer that the CPU has taken over.

use page_pool::{AllocError, NapiPool, OpenRing};

/// The device would write while the CPU reads.
pub fn wrong<'id>(
    pool: &mut NapiPool<'id, '_>,
    ring: &mut OpenRing<'id, '_>,
) -> Result<Option<u64>, AllocError> {
    let device = pool.alloc()?;
    // SAFETY: Only compiled.
    let cpu = unsafe { pool.sync_for_cpu(device, 64) };
    let addr = ring.post(0, device).ok();
    pool.recycle(cpu);
    Ok(addr)
}
