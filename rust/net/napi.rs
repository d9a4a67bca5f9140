// SPDX-License-Identifier: GPL-2.0

//! NAPI: the softirq in which a queue's packets are processed.
//!
//! C header: [`include/linux/netdevice.h`](srctree/include/linux/netdevice.h)

use crate::queue::Queue;
use core::{
    cell::Cell,
    marker::PhantomData, //
};
use page_pool::context::BhDisabled;

/// How many packets the core asked a poll for, which the freeing of skbs wants to know. It is what is left of
/// [`Napi`] while the transmit queue is locked.
///
/// # Invariants
///
/// The number is 0, or the current CPU is in a poll of that budget for `'a`. It cannot be sent to another thread.
#[derive(Clone, Copy)]
pub(crate) struct Budget<'a>(i32, PhantomData<(&'a (), *mut ())>);

impl Budget<'_> {
    /// None: outside of a poll, or in netpoll, where not even the context of one is certain.
    pub(crate) const NONE: Self = Self(0, PhantomData);

    #[inline]
    pub(crate) fn get(&self) -> i32 {
        self.0
    }
}

/// The context of a NAPI poll.
///
/// Whoever has one is in softirq with bottom halves off, alone in this queue's receive path, and in an RCU
/// read-side section as far as XDP programs are concerned.
///
/// # Invariants
///
/// The current CPU is in the poll of `queue` for `'a`.
pub(crate) struct Napi<'a> {
    queue: &'a Queue,
    budget: Budget<'a>,
    bh: BhDisabled<'a>,
    /// An XDP program has redirected packets, which wait for the end of the poll.
    redirected: &'a Cell<bool>,
}

impl<'a> Napi<'a> {
    /// # Safety
    ///
    /// - The caller is the poll of `queue`, with that budget, for `'a`.
    /// - The budget is not 0.
    #[inline]
    pub(crate) unsafe fn new(queue: &'a Queue, budget: i32, redirected: &'a Cell<bool>) -> Self {
        // INVARIANT: By the safety requirement.
        Self {
            queue,
            budget: Budget(budget, PhantomData),
            // SAFETY: By the safety requirement we are in a poll whose budget is not 0, for `'a`: in softirq, or
            // in a thread of NAPI or a task that polls busily, which has bottom halves off for as long as the poll
            // runs.
            bh: unsafe { BhDisabled::assert() },
            redirected,
        }
    }

    /// Returns a proof of the context for the page pool.
    #[inline]
    pub(crate) fn bh(&self) -> BhDisabled<'a> {
        self.bh
    }

    #[inline]
    pub(crate) fn budget(&self) -> Budget<'a> {
        self.budget
    }

    #[inline]
    pub(crate) fn queue(&self) -> &'a Queue {
        self.queue
    }

    #[inline]
    pub(crate) fn redirected(&self) -> &'a Cell<bool> {
        self.redirected
    }
}
