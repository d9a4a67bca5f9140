// SPDX-License-Identifier: GPL-2.0
// error: lifetime may not live long enough

//! Keeps a pool longer than its device is bound.

use kernel::{
    device::{Bound, Device},
    prelude::*,
};
use page_pool::{Mode, PagePool, Params};

/// Its pages would stay mapped for a device that has no driver.
pub fn wrong(dev: &Device<Bound>) -> Result<PagePool<'static>> {
    let params = Params {
        pages: 64,
        ring: 0,
        mode: Mode::Recycle,
    };
    // SAFETY: Only compiled.
    unsafe { PagePool::new(dev, c"wrong", params) }
}
