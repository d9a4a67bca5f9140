// SPDX-License-Identifier: GPL-2.0
// error: E0521 borrowed data escapes outside of

//! Keeps a buffer in the driver's data between two polls, which only a ring of the pool may do.

use page_pool::{context::BhDisabled, AllocError, CpuBuf, PagePool};

/// A driver's queue.
pub struct Queue<'dev, 'id> {
    pool: PagePool<'dev>,
    partial: Option<CpuBuf<'id>>,
}

/// The first fragment of a packet, to be continued in the next poll.
pub fn wrong(bh: &BhDisabled<'_>, queue: &mut Queue<'_, '_>) -> Result<(), AllocError> {
    let Queue { pool, partial } = queue;
    pool.enter(bh, |mut pool| {
        let buf = pool.alloc()?;
        // SAFETY: Only compiled.
        *partial = Some(unsafe { pool.sync_for_cpu(buf, 64) });
        Ok(())
    })
}
