// SPDX-License-Identifier: GPL-2.0

//! NAPI: the softirq in which a device's packets are processed.
//!
//! C header: [`include/linux/netdevice.h`](srctree/include/linux/netdevice.h)

use crate::{
    device::Core,
    netdev::{Operations, RxStats},
    queue::TxQueue,
    skb::{Checksum, RxSkBuff},
    xdp::Program,
};
use core::{cell::Cell, marker::PhantomData};
use page_pool::context::BhDisabled;
use pp_bindings as bindings;

/// How many packets the core asked a poll for, for [`SkBuff::consume`](crate::skb::SkBuff::consume): what
/// is left of [`Napi`] while the transmit queue is locked.
///
/// # Invariants
///
/// The current CPU is in a poll of that budget for `'a`. It cannot be sent to another thread.
#[derive(Clone, Copy)]
pub struct Budget<'a>(i32, PhantomData<(&'a (), *mut ())>);

impl Budget<'_> {
    #[inline]
    pub(crate) fn get(&self) -> i32 {
        self.0
    }
}

/// The context of a NAPI poll.
///
/// Only the framework makes one, for the duration of a poll, and hands it to
/// [`Operations::poll`]. So whoever has one is in softirq with bottom halves off, alone in this device's
/// receive path, and in an RCU read-side section as far as XDP programs are concerned.
///
/// # Invariants
///
/// The current CPU is in the poll of `core`'s device for `'a`.
pub struct Napi<'a, D: Operations> {
    core: &'a Core<D>,
    budget: Budget<'a>,
    bh: BhDisabled<'a>,
    /// An XDP program has redirected packets, which wait for the end of the poll.
    redirected: &'a Cell<bool>,
}

impl<'a, D: Operations> Napi<'a, D> {
    /// # Safety
    ///
    /// The caller is the poll callback of `core`'s device, and that stays so for `'a`.
    #[inline]
    pub(crate) unsafe fn new(core: &'a Core<D>, budget: i32, redirected: &'a Cell<bool>) -> Self {
        Self {
            core,
            // INVARIANT: By the safety requirement.
            budget: Budget(budget, PhantomData),
            // SAFETY: Polls run with bottom halves off.
            bh: unsafe { BhDisabled::assert() },
            redirected,
        }
    }

    /// Proof of the context for the page pool.
    #[inline]
    pub fn bh(&self) -> BhDisabled<'a> {
        self.bh
    }

    #[inline]
    pub(crate) fn redirected(&self) -> &'a Cell<bool> {
        self.redirected
    }

    #[inline]
    pub(crate) fn device(&self) -> *mut bindings::net_device {
        self.core.dev.as_raw()
    }

    #[inline]
    pub(crate) fn private(&self) -> *mut bindings::rnet_priv {
        self.core.dev.private()
    }

    #[inline]
    pub(crate) fn as_raw(&self) -> *mut bindings::napi_struct {
        // SAFETY: A place in the device's private area, which lives as long as the device.
        unsafe { &raw mut (*self.private()).napi }
    }

    /// The XDP program that is attached now, if any. Ask once for each poll.
    #[inline]
    pub fn xdp(&self) -> Option<Program<'a>> {
        Program::of(self)
    }

    /// The receive counters. Poll is their only writer.
    #[inline]
    pub fn stats(&self) -> &'a RxStats {
        &self.core.rx_stats
    }

    /// Hands a received packet to the stack. It starts with the Ethernet header.
    #[inline]
    pub fn receive(&self, skb: RxSkBuff, checksum: Checksum) {
        let ok = checksum == Checksum::Verified;
        // SAFETY: We are in the poll of this instance, and give the skb away.
        unsafe { bindings::rnet_skb_receive(self.as_raw(), skb.into_raw(), ok) };
    }

    /// Takes the transmit queue's lock: to clean the ring, or to send from here. The lock is the one
    /// that the core holds around [`Operations::start_xmit`]. `&mut self`, and nothing but the budget
    /// for `f`, so that nobody takes it twice: the stack and XDP, which may want to send as well, need
    /// a `Napi`.
    ///
    /// `None`: the queue is being shut down.
    #[inline]
    pub fn with_tx<R>(
        &mut self,
        f: impl FnOnce(Budget<'a>, &mut D::Tx, &TxQueue<'_, D>) -> R,
    ) -> Option<R> {
        // SAFETY: Bottom halves are off.
        unsafe { self.core.with_tx(|tx, queue| f(self.budget, tx, queue)) }
    }
}
