// SPDX-License-Identifier: GPL-2.0
// error: E0133 `PagePool::<'dev, L>::new` is unsafe

//! A pool that is forgotten keeps mappings past the end of its device.

use kernel::{
    device::{Bound, Device},
    prelude::*,
};
use page_pool::{Mode, PagePool, Params, Whole};

pub fn wrong(dev: &Device<Bound>) -> Result {
    let params = Params {
        pages: 64,
        ring: 0,
        mode: Mode::Recycle,
    };
    core::mem::forget(PagePool::<'_, Whole>::new(dev, c"wrong", params)?);
    Ok(())
}
