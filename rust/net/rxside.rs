// SPDX-License-Identifier: GPL-2.0

//! A receive ring, whatever kind of pool it has. Which one it is is asked once a poll.

use crate::{
    buffers::{
        Division,
        KernelPool,
        Kind,
        NoPool,
        Params,
        RustPool,
        Stats, //
    },
    heads::Apart,
    napi::Napi,
    netdev::{
        Operations,
        Ring, //
    },
    queue::{
        Model,
        Queue, //
    },
    rx::RxRing,
    txside::TxSides, //
};
use kernel::{
    device::{
        Bound,
        Device, //
    },
    prelude::*, //
};
use page_pool::layout::{
    Half,
    Payload,
    Whole, //
};

/// A receive ring.
pub(crate) enum RxSide<'bound, D: Operations> {
    /// On our pool.
    Rust(RxRing<'bound, D::Rx, RustPool<'bound, Whole>>),
    /// On our pool, two buffers in a page.
    RustHalf(RxRing<'bound, D::Rx, RustPool<'bound, Half>>),
    /// On the kernel's.
    Kernel(RxRing<'bound, D::Rx, KernelPool<'bound, Whole>>),
    /// On the kernel's, two buffers in a page.
    KernelHalf(RxRing<'bound, D::Rx, KernelPool<'bound, Half>>),
    /// On our pool, with headers elsewhere.
    RustSplit(RxRing<'bound, D::Rx, RustPool<'bound, Payload>, Apart>),
    /// On the kernel's, with headers elsewhere.
    KernelSplit(RxRing<'bound, D::Rx, KernelPool<'bound, Payload>, Apart>),
    /// On none.
    None(RxRing<'bound, D::Rx, NoPool<'bound>>),
}

/// Calls a method of the ring.
macro_rules! each {
    ($side:expr, $ring:ident => $call:expr) => {
        match $side {
            RxSide::Rust($ring) => $call,
            RxSide::RustHalf($ring) => $call,
            RxSide::Kernel($ring) => $call,
            RxSide::KernelHalf($ring) => $call,
            RxSide::RustSplit($ring) => $call,
            RxSide::KernelSplit($ring) => $call,
            RxSide::None($ring) => $call,
        }
    };
}

impl<'bound, D: Operations> RxSide<'bound, D> {
    /// Makes a ring: see [`RxRing::new`].
    ///
    /// # Safety
    ///
    /// As for [`RxRing::new`].
    pub(crate) unsafe fn new(
        dev: &'bound Device<Bound>,
        kind: Kind,
        params: &Params<'_>,
    ) -> Result<Self> {
        macro_rules! ring {
            ($variant:ident) => {
                // SAFETY: The ring is all of the result, for which our caller promises what the ring wants: it is
                // dropped in process context before `dev` is unbound, not forgotten, and when the device does not
                // access it any more.
                Self::$variant(unsafe { RxRing::new(dev, params) }?)
            };
        }
        Ok(match (kind, params.division) {
            (Kind::Rust, Division::Whole) => ring!(Rust),
            (Kind::Rust, Division::Half) => ring!(RustHalf),
            (Kind::Kernel, Division::Whole) => ring!(Kernel),
            (Kind::Kernel, Division::Half) => ring!(KernelHalf),
            (Kind::Rust, Division::Payload) => ring!(RustSplit),
            (Kind::Kernel, Division::Payload) => ring!(KernelSplit),
            (Kind::None, _) => ring!(None),
        })
    }

    /// Returns what the device has to know about the ring.
    pub(crate) fn describe(&self, queue: usize) -> Ring {
        each!(self, ring => ring.describe(queue))
    }

    /// Returns what XDP has to know about the buffers.
    pub(crate) fn model(&self) -> Model {
        each!(self, ring => ring.model())
    }

    /// See [`RxRing::attach`].
    pub(crate) fn attach(&self, queue: &Queue) {
        each!(self, ring => ring.attach(queue));
    }

    /// See [`RxRing::detach`].
    pub(crate) fn detach(&self) {
        each!(self, ring => ring.detach());
    }

    /// Returns a handle to the pool's counters.
    pub(crate) fn pool_stats(&self) -> Stats {
        each!(self, ring => ring.pool_stats())
    }

    /// See [`RxRing::clean_tx`].
    ///
    /// # Safety
    ///
    /// As there.
    pub(crate) unsafe fn clean_tx(&mut self, tx: &TxSides<'bound, D::Tx>) -> bool {
        // SAFETY: The requirements are those of the caller's.
        each!(self, ring => unsafe { ring.clean_tx(tx) })
    }

    /// See [`RxRing::rewind`].
    pub(crate) fn rewind(&mut self) -> Result {
        each!(self, ring => ring.rewind())
    }

    /// Gives the device its first buffers.
    pub(crate) fn start(&mut self, doorbell: impl FnOnce(u32)) {
        each!(self, ring => ring.start(doorbell));
    }

    /// See [`RxRing::is_short`].
    #[inline]
    pub(crate) fn is_short(&self) -> bool {
        each!(self, ring => ring.is_short())
    }

    /// See [`RxRing::poll`].
    ///
    /// # Safety
    ///
    /// As for [`RxRing::poll`].
    #[inline]
    pub(crate) unsafe fn poll(
        &mut self,
        ops: &D,
        napi: &mut Napi<'_>,
        tx: &TxSides<'bound, D::Tx>,
        budget: usize,
    ) -> usize {
        // SAFETY: The requirement is that of the caller's.
        each!(self, ring => unsafe { ring.poll(ops, napi, tx, budget) })
    }
}
