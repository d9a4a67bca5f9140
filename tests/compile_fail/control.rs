// SPDX-License-Identifier: GPL-2.0
// compiles
//
// The positive control: what the other files here do wrong, done right. If this did not compile, their
// errors would prove nothing.

//! Takes a packet from a ring of buffers, reads it, and gives the page back.

use kernel::{
    device::{Bound, Device},
    prelude::*,
};
use page_pool::{context::BhGuard, CpuBuf, Detached, Mode, PagePool, Params, Posted};

/// What a queue keeps between two polls.
pub struct Queue<'dev> {
    pool: PagePool<'dev>,
    ring: Posted,
    sent: Option<Detached>,
}

/// Makes the queue and fills its ring.
pub fn open<'dev>(dev: &'dev Device<Bound>) -> Result<Queue<'dev>> {
    let params = Params {
        pages: 64,
        ring: 0,
        mode: Mode::Recycle,
    };
    // SAFETY: Only compiled.
    let mut pool = unsafe { PagePool::new(dev, c"control", params) }?;
    let mut ring = pool.posted(1)?;
    let bh = BhGuard::new()?;
    pool.enter(&bh.token(), |mut pool| -> Result {
        let buf = pool.alloc()?;
        let mut ring = pool.open(&mut ring).ok_or(EINVAL)?;
        ring.post(0, buf).map_err(|_| EINVAL)?;
        Ok(())
    })?;
    drop(bh);
    Ok(Queue {
        pool,
        ring,
        sent: None,
    })
}

/// Two packets: one is read and its page recycled, the other is sent.
pub fn poll(queue: &mut Queue<'_>) -> Result<u8> {
    let bh = BhGuard::new()?;
    let Queue { pool, ring, sent } = queue;
    pool.enter(&bh.token(), |mut pool| {
        let mut ring = pool.open(ring).ok_or(EINVAL)?;
        // SAFETY: Only compiled.
        let buf = unsafe { ring.take(0) }.ok_or(EINVAL)?;
        // SAFETY: Only compiled.
        let buf: CpuBuf<'_> = unsafe { pool.sync_for_cpu(buf, 64) };
        let first = buf.data().first().copied().unwrap_or(0);
        pool.recycle(buf);
        let buf = pool.alloc()?;
        // SAFETY: Only compiled.
        let buf = unsafe { pool.sync_for_cpu(buf, 64) };
        *sent = Some(pool.detach(buf));
        Ok(first)
    })
}

/// What may go to another thread does.
pub fn send(queue: Queue<'static>) -> impl Send {
    queue
}
