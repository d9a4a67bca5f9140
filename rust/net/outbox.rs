// SPDX-License-Identifier: GPL-2.0

//! Packets that a program sends back, until there are enough of them to take the ring's lock for.

use core::mem::MaybeUninit;

/// So many go at once; as many as the core collects of redirected frames, `DEV_MAP_BULK_SIZE`.
const BULK: usize = 16;

/// Some packets, in their order.
///
/// # Invariants
///
/// The first `len` of `bufs` are initialised.
pub(crate) struct Outbox<B> {
    bufs: [MaybeUninit<B>; BULK],
    len: usize,
}

impl<B> Outbox<B> {
    /// Makes one without packets.
    #[inline(always)]
    pub(crate) fn new() -> Self {
        // INVARIANT: There are none.
        Self {
            // Not an array of them, which is zeroed.
            // SAFETY: Each element may be uninitialised.
            bufs: unsafe { MaybeUninit::uninit().assume_init() },
            len: 0,
        }
    }

    #[inline(always)]
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    #[inline(always)]
    pub(crate) fn is_full(&self) -> bool {
        self.len == BULK
    }

    /// Adds a packet, which comes back if it is full.
    #[inline(always)]
    pub(crate) fn push(&mut self, buf: B) -> Option<B> {
        let Some(slot) = self.bufs.get_mut(self.len) else {
            return Some(buf);
        };
        slot.write(buf);
        // INVARIANT: It is initialised.
        self.len = self.len.wrapping_add(1);
        None
    }

    /// Takes all packets out: it has to be asked for each of them.
    #[inline(always)]
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = B> + '_ {
        // INVARIANT: There are none any more.
        let len = core::mem::replace(&mut self.len, 0);
        self.bufs.iter().take(len).map(|buf| {
            // SAFETY: By the type invariant it is initialised. It is one of those that were taken out, and so read once.
            unsafe { buf.assume_init_read() }
        })
    }
}

impl<B> Drop for Outbox<B> {
    #[inline(always)]
    fn drop(&mut self) {
        self.drain().for_each(drop);
    }
}
