// SPDX-License-Identifier: GPL-2.0

//! What a page of a pool is divided into.
//!
//! ```text
//! Whole    [ headroom 256 | room 3520                                          | skb_shared_info ]
//! Half     [ headroom 192 | room 1536 | skb_shared_info ][ the same once more                    ]
//! Payload  [ room 4096                                                                           ]
//! ```
//!
//! The layout is a type, so that the fast path is compiled for each. Compiles in the kernel and on the host.

use kernel::page::PAGE_SIZE;
use pp_bindings::RPP_SKB_TAIL;

/// How the buffers lie in a page.
///
/// There are the three of this file, and no others.
///
/// # Examples
///
/// ```
/// use page_pool::layout::{Half, Layout, Payload, Whole};
///
/// // An Ethernet frame of the usual MTU, with two VLAN tags, fits into half a page.
/// assert!(Half::ROOM >= 14 + 2 * 4 + 1500);
/// assert_eq!(Half::STRIDE * 2, Whole::STRIDE);
/// // What is to be mapped into user space is a page and nothing else.
/// assert_eq!((Payload::HEADROOM, Payload::ROOM), (0, Whole::STRIDE));
/// ```
pub trait Layout: sealed::Sealed + Send + Sync + 'static {
    /// Bytes before the packet, for XDP programs and for the stack to push headers.
    const HEADROOM: usize;
    /// Bytes of a buffer that the device may write to.
    const ROOM: usize;
    /// Buffers in a page.
    const BUFFERS: u32;
    /// Bytes from the beginning of one buffer to that of the next.
    // CAST: u32 fits.
    const STRIDE: usize = PAGE_SIZE / Self::BUFFERS as usize;
    /// Whether an skb can be built over a buffer: it leaves the room for `struct skb_shared_info`.
    const HEAD: bool = Self::HEADROOM + Self::ROOM + RPP_SKB_TAIL <= Self::STRIDE;
}

/// A page is one buffer, for frames of up to 3,520 bytes.
pub enum Whole {}

impl Layout for Whole {
    const HEADROOM: usize = 256;
    const ROOM: usize = PAGE_SIZE - Self::HEADROOM - RPP_SKB_TAIL;
    const BUFFERS: u32 = 1;
}

/// A page is two buffers, for the usual MTU. The headroom is that of Intel's C drivers.
pub enum Half {}

impl Layout for Half {
    const HEADROOM: usize = 192;
    const ROOM: usize = PAGE_SIZE / 2 - Self::HEADROOM - RPP_SKB_TAIL;
    const BUFFERS: u32 = 2;
}

/// A page is all payload, whose headers are elsewhere.
pub enum Payload {}

impl Layout for Payload {
    const HEADROOM: usize = 0;
    const ROOM: usize = PAGE_SIZE;
    const BUFFERS: u32 = 1;
}

mod sealed {
    /// Code that is `unsafe` relies on what this file says of a layout.
    pub trait Sealed {}

    impl Sealed for super::Whole {}
    impl Sealed for super::Half {}
    impl Sealed for super::Payload {}
}

// A buffer is inside of its page, of which there are one or two; and who builds an skb finds its beginning by its size.
macro_rules! check {
    ($($layout:ty),*) => {$(
        const _: () = {
            assert!(<$layout>::HEADROOM + <$layout>::ROOM <= <$layout>::STRIDE);
            assert!(<$layout>::BUFFERS == 1 || <$layout>::BUFFERS == 2);
            assert!(<$layout>::STRIDE.is_power_of_two());
        };
    )*};
}

check!(Whole, Half, Payload);

const _: () = assert!(Whole::HEAD && Half::HEAD && !Payload::HEAD);

/// What of a layout is needed where it is not known at compile time.
#[derive(Clone, Copy)]
pub(crate) struct Geometry {
    /// Bytes before the packet.
    pub(crate) headroom: usize,
    /// Bytes of a buffer that the device may write to.
    pub(crate) room: usize,
    /// Bytes from the beginning of one buffer to that of the next.
    pub(crate) stride: usize,
    /// Buffers in a page, each with a reference to it.
    pub(crate) buffers: u32,
}

impl Geometry {
    /// Returns that of a layout.
    pub(crate) const fn of<L: Layout>() -> Self {
        Self {
            headroom: L::HEADROOM,
            room: L::ROOM,
            stride: L::STRIDE,
            buffers: L::BUFFERS,
        }
    }
}
