// SPDX-License-Identifier: GPL-2.0

//! What a pool is like.

/// What a pool does with pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Keeps them mapped and recycles them.
    Recycle,
    /// Takes each from the page allocator, maps it, unmaps it and gives it back, as a driver without
    /// a pool does, but 64 at a time. For comparison.
    AllocMap,
}

/// How to make a pool.
///
/// # Examples
///
/// A ring of 256, and as many pages again for packets on their way.
///
/// ```
/// use page_pool::{Mode, Params};
///
/// let params = Params {
///     pages: 512,
///     ring: 256,
///     mode: Mode::Recycle,
/// };
/// assert!(params.ring < params.pages);
/// ```
#[derive(Clone, Copy)]
pub struct Params {
    /// The most pages that the pool may have at any time, wherever they are: in the cache, in the
    /// device's ring, in a socket. Without recycling a page that goes to the stack leaves the pool,
    /// and does not count any more.
    pub pages: u32,
    /// So many of them are for the device's ring. They may come from memory that the device does not reach,
    /// if there is no other, and are bounced then.
    pub ring: u32,
    /// What to do with them.
    pub mode: Mode,
}

/// Whether the page allocator may reclaim memory and wait for it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// It may: process context.
    ForMemory,
    /// It may not.
    Never,
}
