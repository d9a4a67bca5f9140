// SPDX-License-Identifier: GPL-2.0

//! What NAPI has of a pool for itself: the cache, and what it knows of where pages are.

use crate::{
    cache::Cache,
    frags::Frag,
    kept::Kept,
    list::END,
    pages::Batch,
    params::Mode,
    rings::Sources, //
};
use kernel::prelude::*;

/// What only the NAPI side of a pool touches.
///
/// # Invariants
///
/// - `free` is [`END`], or the number of the first slot of a chain of the pool's free slots.
/// - `chain` is [`END`], or the number of the first slot of a chain of the pool's slots in state `Pool`.
/// - Nobody else has either chain.
pub(crate) struct NapiSide {
    pub(crate) cache: Cache<Frag>,
    /// Whether a page of the pool needs syncs. Not all do of which the device has one: another mapping of it
    /// may have been bounced.
    pub(crate) need_sync: bool,
    /// For so many questions about the pressure the page allocator, or the mapping, counts as exhausted.
    pub(crate) scarce: u32,
    /// The first of the slots without a page that are known here; each leads to the next.
    pub(crate) free: u32,
    /// The rest of what was taken from the list of interrupts' returns.
    pub(crate) chain: u32,
    /// What has come back.
    pub(crate) sources: Sources,
    /// Pages that have left the pool, without mapping and tag, and count until they are freed. Also those
    /// that just come.
    pub(crate) batch: Batch,
    /// The slot that the next audit begins with.
    pub(crate) audited: usize,
    /// How many pages of two buffers are kept.
    pub(crate) kept: Kept,
}

impl NapiSide {
    /// Makes the side of a pool for `cpus` CPUs, all of whose slots are free.
    ///
    /// May sleep.
    pub(crate) fn new(cpus: usize, mode: Mode) -> Result<Self> {
        let mut cache = Cache::new();
        if mode == Mode::AllocMap {
            cache.close();
        }
        // INVARIANT: All slots are free, each leads to the next, and nothing has come back.
        Ok(Self {
            cache,
            need_sync: false,
            scarce: 0,
            free: 0,
            chain: END,
            sources: Sources::new(cpus)?,
            batch: Batch::new(),
            audited: 0,
            kept: Kept::default(),
        })
    }

    /// Returns how many pages of so many `buffers` nobody uses, as far as is known.
    #[inline(always)]
    pub(crate) fn idle(&self, buffers: u32) -> u32 {
        // CAST: Both are at most the number of buffers.
        (self.cache.count() as u32 / buffers.max(1)).wrapping_add(self.sources.home() as u32)
    }
}
