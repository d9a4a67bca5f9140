// SPDX-License-Identifier: GPL-2.0

//! Memory that the CPU shares with the device: descriptor rings, and packets that are sent.
//!
//! C header: [`include/linux/dma-mapping.h`](srctree/include/linux/dma-mapping.h)

use crate::{
    copies::Copies,
    desc::Words, //
};
use core::marker::PhantomData;
use kernel::{
    device::{
        Bound,
        Device, //
    },
    dma::Coherent,
    prelude::*,
    sync::barrier::{
        dma_mb,
        Read, //
    },
};
use pp_bindings as bindings;

/// Words of a descriptor.
const WORDS: usize = core::mem::size_of::<Words>() / core::mem::size_of::<u64>();

/// A ring of descriptors.
///
/// The device writes to it at any time, so a word is read whole, once, and into a copy; what it says
/// is data from outside, to be checked by the reader. An index that is too large means descriptor 0:
/// a wrong one reads another descriptor, never other memory.
///
/// # Invariants
///
/// `memory` has `entries * WORDS` words, and `entries` is at least 1.
pub(crate) struct DescRing {
    memory: Coherent<[u64]>,
    entries: usize,
}

impl DescRing {
    /// Allocates a zeroed ring of `entries` descriptors.
    pub(crate) fn new(dev: &Device<Bound>, entries: usize) -> Result<Self> {
        if entries == 0 {
            return Err(EINVAL);
        }
        let words = entries.checked_mul(WORDS).ok_or(EINVAL)?;
        // INVARIANT: As just computed.
        Ok(Self {
            memory: Coherent::zeroed_slice(dev, words, GFP_KERNEL)?,
            entries,
        })
    }

    /// Returns the number of descriptors.
    #[inline]
    pub(crate) fn entries(&self) -> usize {
        self.entries
    }

    /// Returns the index of the descriptor that comes after `index`.
    #[inline]
    pub(crate) fn after(&self, index: usize) -> usize {
        let next = index.wrapping_add(1);
        if next < self.entries {
            next
        } else {
            0
        }
    }

    /// Returns the index that is `steps` after `index`, which are less than the ring is long.
    pub(crate) fn ahead(&self, index: usize, steps: usize) -> usize {
        let sum = index.wrapping_add(steps);
        if sum < self.entries {
            sum
        } else {
            sum.wrapping_sub(self.entries)
        }
    }

    /// Returns how many steps it is from `from` to `to`, which are indices of this ring.
    #[inline]
    pub(crate) fn distance(&self, from: usize, to: usize) -> usize {
        let distance = to.wrapping_sub(from);
        if to >= from {
            distance
        } else {
            distance.wrapping_add(self.entries)
        }
    }

    /// Returns the size of the ring, in bytes.
    pub(crate) fn size(&self) -> usize {
        self.memory.size()
    }

    /// Returns the address at which the device finds it.
    pub(crate) fn dma_addr(&self) -> u64 {
        self.memory.dma_address()
    }

    /// Returns a descriptor, which the device may be writing.
    #[inline(always)]
    pub(crate) fn at(&self, index: usize) -> Desc<'_> {
        let index = if index < self.entries { index } else { 0 };
        let words = self.memory.as_mut_ptr().cast::<u64>();
        // SAFETY: `index` is less than `entries`, so the offset is within the allocation by the type invariant.
        // INVARIANT: There are so many words, by that as well.
        Desc(unsafe { words.add(index.wrapping_mul(WORDS)) }, PhantomData)
    }

    /// Reads a word that the device may be writing: see [`Desc::load`].
    #[inline]
    pub(crate) fn load(&self, index: usize, word: usize) -> u64 {
        self.at(index).load(word)
    }

    /// Returns the index of the descriptor that comes before `index`.
    pub(crate) fn before(&self, index: usize) -> usize {
        match index {
            0 => self.entries.wrapping_sub(1),
            _ => index.wrapping_sub(1),
        }
    }

    /// Makes all descriptors zero.
    ///
    /// The device does not use the ring.
    pub(crate) fn clear(&mut self) {
        for index in 0..self.entries {
            self.store(index, Words::default());
        }
    }

    /// Writes a descriptor.
    ///
    /// The device learns of it by a later doorbell, which orders the two.
    #[inline]
    pub(crate) fn store(&mut self, index: usize, words: Words) {
        let desc = self.at(index);
        for (word, value) in words.into_iter().enumerate() {
            // SAFETY: The pointer is valid and aligned, by `Desc::word()`. `&mut self` excludes other CPUs, and what the
            // device reads meanwhile it was not told of yet.
            unsafe { desc.word(word).write_volatile(value.to_le()) }
        }
    }
}

/// A descriptor of a ring.
///
/// # Invariants
///
/// There are [`WORDS`] words, valid and aligned for `'a`. The device may write them at any time, a word of 8 bytes at
/// once.
#[derive(Clone, Copy)]
pub(crate) struct Desc<'a>(*mut u64, PhantomData<&'a DescRing>);

impl Desc<'_> {
    /// Returns where it is.
    #[inline(always)]
    pub(crate) fn place(self) -> *const Words {
        self.0.cast()
    }

    /// # Safety
    ///
    /// `place` is that of a descriptor, and its ring exists for as long as the result does.
    pub(crate) unsafe fn at(place: *const Words) -> Self {
        // INVARIANT: By that of the other one, as the safety requirement has it.
        Self(place.cast_mut().cast(), PhantomData)
    }

    #[inline(always)]
    fn word(self, word: usize) -> *mut u64 {
        const { assert!(WORDS.is_power_of_two()) };
        // SAFETY: It is less than `WORDS`, so by the type invariant there is that one.
        unsafe { self.0.add(word & (WORDS - 1)) }
    }

    /// Reads a word.
    ///
    /// What is read later, from this descriptor or the buffer that it stands for, is as new as the word.
    #[inline(always)]
    pub(crate) fn load(self, word: usize) -> u64 {
        // SAFETY: The pointer is valid and aligned, by `word()`. The device may write at any time: the single access
        // reads the old word or the new one, and any number is a word.
        let value = u64::from_le(unsafe { self.word(word).read_volatile() });
        read_barrier();
        value
    }

    /// Reads all words, when one was [`load`](Self::load)ed that says that the device has written them.
    #[inline(always)]
    pub(crate) fn read(self) -> Words {
        // SAFETY: As in `load()`.
        [0, 1].map(|word| u64::from_le(unsafe { self.word(word).read_volatile() }))
    }
}

/// Orders reads of memory that the device writes: `dma_rmb()`.
#[inline(always)]
fn read_barrier() {
    if cfg!(target_arch = "x86_64") {
        // The CPU keeps the order of reads, only the compiler has to be told: as the kernel's macro
        // does, but without the call that the helper of the kernel crate is, once for each packet.
        // SAFETY: There is no instruction, so registers, flags and stack stay as the options say. The compiler
        // assumes that it accesses any memory, which is the purpose.
        unsafe { core::arch::asm!("", options(nostack, preserves_flags)) };
    } else {
        dma_mb(Read);
    }
}

/// Something that can be sent by a device: a piece of memory, and perhaps more pieces.
///
/// # Safety
///
/// Of the memory that [`memory`](Self::memory) returns, and of the pieces that are listed in [`rest`](Self::rest):
///
/// - It is readable, as many bytes as it says, and stays where it is.
/// - It belongs to the value until that is dropped. So does the list, which does not change.
pub(crate) unsafe trait Transmit {
    /// Returns address and length of the first piece.
    fn memory(&self) -> (*mut u8, usize);
    /// Returns the list of the others; null if there are none.
    fn rest(&self) -> *const bindings::skb_shared_info;
}

/// Memory that is mapped for the device to read, until it is dropped.
///
/// # Invariants
///
/// If there is a `dev`, `len` bytes are mapped for it at `addr`, and the mapping is the value's. If not, there is nothing to
/// undo.
pub(crate) struct Mapping<'bound> {
    dev: Option<&'bound Device<Bound>>,
    addr: u64,
    len: u32,
}

impl<'bound> Mapping<'bound> {
    /// Maps piece `index` of what is behind a packet's first one, if it has that one and that is possible.
    ///
    /// # Safety
    ///
    /// The packet is not freed before the device is done with the result, or stopped.
    pub(crate) unsafe fn of_piece<T: Transmit>(
        packet: &Mapped<'bound, T>,
        index: u32,
    ) -> Option<Self> {
        if index >= packet.pieces() {
            return None;
        }
        let dev = packet.mapping.dev?;
        let mut len = 0;
        // SAFETY: The device is bound for `'bound`. The packet is valid and has that piece, as was just checked. By
        // the safety requirement it stays until the device does not read it any more.
        let addr =
            unsafe { bindings::rnet_dma_map_frag(raw(dev), packet.inner.rest(), index, &mut len) };
        if addr == u64::MAX {
            return None;
        }
        // INVARIANT: It is mapped, and nobody else knows.
        Some(Self {
            dev: Some(dev),
            addr,
            len,
        })
    }

    /// Returns the address at which the device finds the memory.
    #[inline]
    pub(crate) fn dma_addr(&self) -> u64 {
        self.addr
    }

    /// Returns the length of what is mapped, in bytes.
    #[inline]
    pub(crate) fn len(&self) -> u32 {
        self.len
    }
}

impl Drop for Mapping<'_> {
    #[inline]
    fn drop(&mut self) {
        let Some(dev) = self.dev else {
            return;
        };
        // SAFETY: By the type invariant this is a mapping of ours: the same device, which is bound, address, length
        // and direction. It is undone once. The memory is not touched. CAST: u32 fits.
        unsafe {
            bindings::dma_unmap_page_attrs(
                raw(dev),
                self.addr,
                self.len as usize,
                bindings::dma_data_direction_DMA_TO_DEVICE,
                0,
            )
        };
    }
}

/// A packet that is mapped for the device to read, until it is dropped or taken out again; or that the device reads a copy
/// of.
///
/// # Invariants
///
/// The mapping is that of the memory of `inner`, or there is a copy of that, and nothing mapped.
pub(crate) struct Mapped<'bound, T: Transmit> {
    // Goes first: the memory is the packet's.
    mapping: Mapping<'bound>,
    inner: T,
}

impl<'bound, T: Transmit> Mapped<'bound, T> {
    /// Maps a packet, or copies it if it is short, to the room beside the descriptor at `index`.
    ///
    /// If that is not possible, it comes back.
    ///
    /// The device has sent what it has found there, if anything, or else it sends the new packet instead.
    #[inline]
    pub(crate) fn new(
        dev: &'bound Device<Bound>,
        copies: &mut Copies,
        index: usize,
        inner: T,
    ) -> Result<Self, T> {
        let (data, len) = inner.memory();
        let Ok(len) = u32::try_from(len) else {
            return Err(inner);
        };
        if len == 0 {
            return Err(inner);
        }
        if pieces(&inner) == 0 {
            // SAFETY: By the contract of `Transmit` there are so many bytes. CAST: u32 fits.
            if let Some(addr) = unsafe { copies.put(index, data, len as usize) } {
                // INVARIANT: There is a copy. Nothing is mapped.
                let mapping = Mapping {
                    dev: None,
                    addr,
                    len,
                };
                return Ok(Self { mapping, inner });
            }
        }
        // SAFETY: The device is bound for `'bound`. By the contract of `Transmit` the memory can be read and stays
        // where it is as long as `inner` exists, which goes after it is unmapped.
        let addr = unsafe { bindings::rnet_dma_map_tx(raw(dev), data.cast(), len) };
        if addr == u64::MAX {
            return Err(inner);
        }
        // INVARIANT: It is mapped, and nobody else knows.
        let mapping = Mapping {
            dev: Some(dev),
            addr,
            len,
        };
        Ok(Self { mapping, inner })
    }

    /// Returns the address at which the device finds the packet.
    #[inline]
    pub(crate) fn dma_addr(&self) -> u64 {
        self.mapping.dma_addr()
    }

    /// Returns the length of what is mapped, in bytes.
    #[inline]
    pub(crate) fn len(&self) -> u32 {
        self.mapping.len()
    }

    /// Returns how many pieces there are behind the first one.
    pub(crate) fn pieces(&self) -> u32 {
        pieces(&self.inner)
    }

    /// Returns the packet.
    #[inline]
    pub(crate) fn packet(&self) -> &T {
        &self.inner
    }

    /// Takes the packet out again.
    ///
    /// The device is done with it.
    #[inline]
    pub(crate) fn into_inner(self) -> T {
        let Self { mapping, inner } = self;
        drop(mapping);
        inner
    }
}

/// Returns how many pieces a packet has behind the first one.
#[inline]
fn pieces<T: Transmit>(packet: &T) -> u32 {
    let rest = packet.rest();
    if rest.is_null() {
        return 0;
    }
    // SAFETY: It is not null, so by the contract of `Transmit` it is a list, which belongs to the packet and does not
    // change.
    unsafe { (*rest).nr_frags.into() }
}

/// Returns the C structure of a device, as our own bindings know it.
#[inline]
pub(crate) fn raw(dev: &Device<Bound>) -> *mut bindings::device {
    // CAST: `Device` is a transparent wrapper of `struct device`.
    core::ptr::from_ref(dev).cast_mut().cast()
}
