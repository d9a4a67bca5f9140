// SPDX-License-Identifier: GPL-2.0

//! The pools that there are, by the number that their pages carry.
//!
//! The hook, which looks a pool up here, is an RCU reader. A pool leaves the registry before a grace
//! period, and its memory goes after. So nobody touches a pool that is gone, and a page never has to
//! know whether its pool still exists.

use crate::{
    platform::{
        AtomicBool,
        AtomicPtr,
        Ordering, //
    },
    shared::Shared,
    slots::Tag,
    supply::Side, //
};
use core::ptr::null_mut;
use kernel::{
    prelude::*,
    sync::{
        rcu,
        Arc, //
    },
};
use pp_bindings as bindings;

/// How many pools there can be: one for each RX queue of the machine.
const MAX_POOLS: usize = 4096;

static POOLS: [AtomicPtr<Shared>; MAX_POOLS] = [const { AtomicPtr::new(null_mut()) }; MAX_POOLS];

/// The entries of `POOLS` that are in use, or will be when their pool is made.
static RESERVED: [AtomicBool; MAX_POOLS] = [const { AtomicBool::new(false) }; MAX_POOLS];

/// A pool in the registry, with its NAPI side.
///
/// # Invariants
///
/// - The entry of `POOLS` for the pool's id is a pointer to it, from creation to drop.
/// - Nobody else takes the pool's NAPI side.
pub(crate) struct Registered(Arc<Shared>);

impl Registered {
    /// Makes a pool with a free id.
    pub(crate) fn new(make: impl FnOnce(u16) -> Result<Shared>) -> Result<Self> {
        let (id, reserved) = RESERVED
            .iter()
            .enumerate()
            .find(|(_, reserved)| !reserved.swap(true, Ordering::Acquire))
            .ok_or(ENOSPC)?;
        // CAST: Less than `MAX_POOLS`.
        let pool = make(id as u16).and_then(|pool| Ok(Arc::new(pool, GFP_KERNEL)?));
        match pool {
            Ok(pool) => {
                let raw: *const Shared = &*pool;
                // INVARIANT: The entry is ours since it is reserved, and so is the pool.
                POOLS[id].store(raw.cast_mut(), Ordering::Release);
                Ok(Self(pool))
            }
            Err(e) => {
                reserved.store(false, Ordering::Release);
                Err(e)
            }
        }
    }

    pub(crate) fn arc(&self) -> Arc<Shared> {
        self.0.clone()
    }

    /// Returns whether the pool has `page`.
    pub(crate) fn has(&self, page: *mut bindings::page) -> bool {
        self.0.has(page)
    }

    /// Returns the NAPI side.
    #[inline(always)]
    pub(crate) fn side(&mut self) -> Side<'_> {
        // SAFETY: By the type invariant nobody else takes the NAPI side. The result borrows `self` mutably, so
        // there is one at a time.
        unsafe { Side::new(&self.0) }
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        // SAFETY: `PagePool` is dropped in process context, when the device does not access its pages: that is
        // what its constructor asks for. Buffers live in `enter()`, which borrows the pool, so those that were
        // posted are all that is left. The registry lets go of the pool below.
        unsafe { self.side().destroy() };
        let id = usize::from(self.0.id) % MAX_POOLS;
        POOLS[id].store(null_mut(), Ordering::Release);
        // Whoever found the pool in the registry is done with it after this.
        // SAFETY: It sleeps. `PagePool` is dropped in process context, by the contract of its constructor, and no
        // spinlock is held.
        unsafe { bindings::synchronize_net() };
        RESERVED[id].store(false, Ordering::Release);
    }
}

/// Calls `f` for each pool.
pub(crate) fn for_each_pool(mut f: impl FnMut(&Shared)) {
    let _guard = rcu::Guard::new();
    for entry in &POOLS {
        let pool = entry.load(Ordering::Acquire);
        // SAFETY: The entry is null, or was a pool in the registry a moment ago. That exists until a grace period
        // after it has left, and the guard, which outlives the reference, makes us an RCU reader.
        if let Some(pool) = unsafe { pool.as_ref() } {
            f(pool);
        }
    }
}

/// Returns the pool that a tag leads to.
///
/// # Safety
///
/// The caller is an RCU reader for as long as it uses the result.
#[inline(always)]
pub(crate) unsafe fn pool_of<'a>(tag: Tag) -> Option<&'a Shared> {
    let pool = POOLS[tag.pool() % MAX_POOLS].load(Ordering::Acquire);
    // SAFETY: The entry is null, or was a pool in the registry a moment ago. That exists until a grace period
    // after it has left, and by the safety requirement the caller is an RCU reader as long as it uses the result.
    unsafe { pool.as_ref() }
}
