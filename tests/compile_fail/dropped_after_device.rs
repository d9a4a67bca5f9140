// SPDX-License-Identifier: GPL-2.0
// error: E0597 does not live long enough

//! Drops a pool after its device has ceased to be bound, although it is not used then.

use kernel::{
    device::{Bound, Device},
    prelude::*,
};
use page_pool::{Mode, PagePool, Params};

/// Stands for whatever says that a device is bound, for a while.
struct Guard<'a>(&'a Device<Bound>);

impl Guard<'_> {
    fn dev(&self) -> &Device<Bound> {
        self.0
    }
}

/// Dropping it removes its mappings, from a device that may have no driver by then.
pub fn wrong(dev: &Device<Bound>) -> Result {
    let params = Params {
        pages: 64,
        ring: 0,
        mode: Mode::Recycle,
    };
    let _pool: PagePool<'_>;
    {
        let guard = Guard(dev);
        // SAFETY: Only compiled.
        _pool = unsafe { PagePool::new(guard.dev(), c"wrong", params) }?;
    }
    Ok(())
}
