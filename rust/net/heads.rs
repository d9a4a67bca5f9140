// SPDX-License-Identifier: GPL-2.0

//! Where the headers of received packets are: in front of the payload, or in buffers of their own.

use crate::{
    desc::{
        RxDescriptor,
        Words, //
    },
    frames::ETH_HLEN, //
};
use core::ops::RangeInclusive;
use kernel::{
    device::{
        Bound,
        Device, //
    },
    dma::Coherent,
    prelude::*, //
};

/// Bytes of a buffer for headers. What is left free nobody misses: a ring has a few hundred.
const BUFFER: usize = 256;

/// Returns how long headers may be that a card puts into a buffer of their own, if it can.
pub(crate) const fn lengths<D: RxDescriptor>() -> Option<RangeInclusive<usize>> {
    match D::HEADER {
        Some(most) => {
            assert!(most <= BUFFER && most % 64 == 0 && most >= ETH_HLEN);
            Some(ETH_HLEN..=most)
        }
        None => None,
    }
}

/// Where headers are.
pub(crate) trait Heads: Sized + Send {
    /// In buffers of their own.
    const APART: bool;

    /// Makes what there has to be for so many descriptors.
    ///
    /// Process context.
    fn new(dev: &Device<Bound>, entries: usize) -> Result<Self>;

    /// Returns the descriptor at `index` for a buffer at `addr`.
    fn post<D: RxDescriptor>(&self, index: usize, addr: u64) -> Words;

    /// Returns where the CPU finds the headers of the packet that begins with the descriptor at `index`: as many bytes
    /// as [`lengths`] says can be read there.
    fn at(&self, index: usize) -> *const u8;
}

/// In front of the payload.
pub(crate) struct Joined;

impl Heads for Joined {
    const APART: bool = false;

    fn new(_dev: &Device<Bound>, _entries: usize) -> Result<Self> {
        Ok(Self)
    }

    #[inline(always)]
    fn post<D: RxDescriptor>(&self, _index: usize, addr: u64) -> Words {
        D::post(addr)
    }

    fn at(&self, _index: usize) -> *const u8 {
        core::ptr::null()
    }
}

/// In buffers of their own: one for each descriptor, as long as the ring.
///
/// # Invariants
///
/// `memory` has `entries * BUFFER` bytes, and `entries` is not 0.
pub(crate) struct Apart {
    memory: Coherent<[u8]>,
    entries: usize,
}

impl Apart {
    /// Returns where a descriptor's buffer begins.
    #[inline(always)]
    fn offset(&self, index: usize) -> usize {
        let index = if index < self.entries { index } else { 0 };
        index.wrapping_mul(BUFFER)
    }
}

impl Heads for Apart {
    const APART: bool = true;

    fn new(dev: &Device<Bound>, entries: usize) -> Result<Self> {
        if entries == 0 {
            return Err(EINVAL);
        }
        let bytes = entries.checked_mul(BUFFER).ok_or(EINVAL)?;
        // INVARIANT: As just computed.
        Ok(Self {
            memory: Coherent::zeroed_slice(dev, bytes, GFP_KERNEL)?,
            entries,
        })
    }

    #[inline(always)]
    fn post<D: RxDescriptor>(&self, index: usize, addr: u64) -> Words {
        // CAST: usize is u64 here.
        let header = self.offset(index) as u64;
        D::post_split(addr, self.memory.dma_address().wrapping_add(header))
    }

    #[inline(always)]
    fn at(&self, index: usize) -> *const u8 {
        let start = self.memory.as_ptr().cast::<u8>();
        start.wrapping_add(self.offset(index))
    }
}
