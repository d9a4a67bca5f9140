// SPDX-License-Identifier: GPL-2.0

//! Short packets that are sent from a copy, and how what is short is copied.
//!
//! Behind an IOMMU a mapping that is made and undone takes some 1,700 instructions, and copying an acknowledgement of TCP
//! 35. C drivers that do so call it tx-copybreak.

use kernel::{
    alloc::flags::__GFP_NOWARN,
    device::{
        Bound,
        Device, //
    },
    dma::Coherent,
    prelude::*, //
};

/// Packets up to this size are copied: two cache lines.
const COPYBREAK: usize = 128;

/// Room for a short packet beside each descriptor of a ring, which the device can read as long as the ring exists. (It
/// could write there as well, and would change what it sends.)
///
/// # Invariants
///
/// `memory` has `entries * COPYBREAK` bytes, if it is there.
pub(crate) struct Copies {
    memory: Option<Coherent<[u8]>>,
    entries: usize,
}

impl Copies {
    /// Makes room, if there is memory for it. If not, short packets are mapped as others are.
    ///
    /// Process context.
    pub(crate) fn new(dev: &Device<Bound>, entries: usize) -> Self {
        let bytes = entries.saturating_mul(COPYBREAK);
        // INVARIANT: As just computed.
        Self {
            memory: Coherent::zeroed_slice(dev, bytes, GFP_KERNEL | __GFP_NOWARN).ok(),
            entries,
        }
    }

    /// Copies `len` bytes at `data` to the room beside the descriptor at `index`, if they are few, and returns where the
    /// device finds them.
    ///
    /// # Safety
    ///
    /// There are so many bytes.
    #[inline(always)]
    pub(crate) unsafe fn put(&mut self, index: usize, data: *const u8, len: usize) -> Option<u64> {
        if len > COPYBREAK || index >= self.entries {
            return None;
        }
        let memory = self.memory.as_ref()?;
        let offset = index.wrapping_mul(COPYBREAK);
        let to = memory.as_mut_ptr().cast::<u8>().wrapping_add(offset);
        // SAFETY: There are `len` bytes at `data`, by the safety requirement; and behind `to`, since by the type invariant
        // there is a room at that index, of so many bytes at least, which nobody reads but the device.
        unsafe { copy(data, to, len) };
        // CAST: usize is u64 here.
        Some(memory.dma_address().wrapping_add(offset as u64))
    }
}

/// Copies as `memcpy()` does. Of what is short a few words at a time: the kernel's is `rep movsb`, of which QEMU counts each
/// byte as an instruction, and which takes its time to start on real CPUs as well.
///
/// # Safety
///
/// Both are valid for `len` bytes, and have none in common.
#[inline(always)]
pub(crate) unsafe fn copy(from: *const u8, to: *mut u8, len: usize) {
    /// Goes into four registers and out again.
    type Words = [u64; 4];
    const WORDS: usize = size_of::<Words>();
    /// What is longer is left to `memcpy()`.
    const LONG: usize = 256;

    if !(WORDS..=LONG).contains(&len) {
        // SAFETY: By the safety requirement.
        unsafe { to.copy_from_nonoverlapping(from, len) };
        return;
    }
    let last = len.wrapping_sub(WORDS);
    let mut at = 0usize;
    // SAFETY: All are within the `len` bytes: the last words begin at `last`, wherever the ones before have ended.
    unsafe {
        while at < last {
            let words = from.add(at).cast::<Words>().read_unaligned();
            to.add(at).cast::<Words>().write_unaligned(words);
            at = at.wrapping_add(WORDS);
        }
        let words = from.add(last).cast::<Words>().read_unaligned();
        to.add(last).cast::<Words>().write_unaligned(words);
    }
}
