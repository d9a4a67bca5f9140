// SPDX-License-Identifier: GPL-2.0
// error: E0308 mismatched types

//! A buffer of half a page in a ring of whole ones, where the device may write more.

use page_pool::{DeviceBuf, Half, OpenRing, Whole};

pub fn wrong<'id>(ring: &mut OpenRing<'id, '_, Whole>, buf: DeviceBuf<'id, Half>) {
    let _ = ring.post(0, buf);
}
