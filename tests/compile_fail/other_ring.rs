// SPDX-License-Identifier: GPL-2.0
// error: E0521 borrowed data escapes outside of

//! A buffer of one pool in the ring of another.

use page_pool::{context::BhDisabled, OpenRing, PagePool};

pub fn wrong<'id>(bh: &BhDisabled<'_>, pool: &mut PagePool<'_>, ring: &mut OpenRing<'id, '_>) {
    pool.enter(bh, |mut pool| {
        if let Ok(buf) = pool.alloc() {
            let _ = ring.post(0, buf);
        }
    });
}
