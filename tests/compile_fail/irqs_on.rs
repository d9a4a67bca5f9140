// SPDX-License-Identifier: GPL-2.0
// error: E0599 no method named `token` found for enum

//! Takes for granted that bottom halves may be turned off, and on again, with interrupts off.

use kernel::{interrupt::local_interrupt_disable, prelude::*, sync::SpinLockIrq};
use page_pool::{context::BhGuard, PagePool};

/// `local_bh_enable()` would run softirqs, and those turn interrupts on while `off` says otherwise.
pub fn wrong(pool: &mut PagePool<'_>) -> Result {
    let off = local_interrupt_disable();
    let guard = BhGuard::new();
    pool.enter(&guard.token(), |mut pool| {
        let buf = pool.alloc()?;
        pool.recycle_unused(buf);
        Ok::<_, Error>(())
    })?;
    drop(guard);
    drop(off);
    Ok(())
}

/// The same under a lock that an interrupt handler takes: deadlock.
pub fn wrong_locked(pool: &mut PagePool<'_>, lock: &SpinLockIrq<u32>) -> Result {
    let mut count = lock.lock();
    let guard = BhGuard::new();
    pool.enter(&guard.token(), |mut pool| {
        let buf = pool.alloc()?;
        pool.recycle_unused(buf);
        Ok::<_, Error>(())
    })?;
    drop(guard);
    *count += 1;
    Ok(())
}
