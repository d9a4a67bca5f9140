// SPDX-License-Identifier: GPL-2.0
// error: E0277 the trait bound `Wrong: layout::sealed::Sealed` is not satisfied

//! A layout of one's own, with more room than a page has.

use page_pool::Layout;

pub enum Wrong {}

impl Layout for Wrong {
    const HEADROOM: usize = 0;
    const ROOM: usize = 1 << 20;
    const BUFFERS: u32 = 1;
}
