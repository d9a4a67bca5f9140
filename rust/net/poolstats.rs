// SPDX-License-Identifier: GPL-2.0

//! The counters of a queue's pools, which go on when a pool is replaced.

use crate::buffers::Stats;
use page_pool::stats::Snapshot;

/// What the pools of a queue have counted: the ones that are gone, the one that the ring has, and one that was
/// replaced and is still there.
///
/// # Invariants
///
/// As long as a handle is in here its pool exists.
#[derive(Default)]
pub(crate) struct PoolStats {
    gone: Snapshot,
    now: Option<Stats>,
    replaced: Option<Stats>,
}

/// Adds up counters.
fn add(sum: &mut Snapshot, values: Snapshot) {
    for (sum, n) in sum.iter_mut().zip(values) {
        *sum = sum.wrapping_add(n);
    }
}

impl PoolStats {
    /// Returns the sum of all.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let mut sum = self.gone;
        for stats in [&self.now, &self.replaced].into_iter().flatten() {
            // SAFETY: By the type invariant the pool exists as long as its handle is in here, and `self` is
            // borrowed meanwhile.
            add(&mut sum, unsafe { stats.snapshot() });
        }
        sum
    }

    /// Notes that the ring has this pool from here on.
    pub(crate) fn begin(&mut self, stats: Stats) {
        self.now = Some(stats);
    }

    /// Notes that the ring has no pool from here on.
    ///
    /// The one that it had exists until [`end_replaced`](Self::end_replaced) or
    /// [`begin_again`](Self::begin_again).
    pub(crate) fn replace(&mut self) {
        self.replaced = self.now.take();
    }

    /// Notes that the ring has the pool again that it had before [`replace`](Self::replace).
    pub(crate) fn begin_again(&mut self) {
        self.now = self.replaced.take();
    }

    /// Ends the ring's pool by `end`.
    ///
    /// Nothing of it stays but its counters.
    pub(crate) fn end(&mut self, end: impl FnOnce()) {
        let stats = self.now.take();
        self.end_of(stats, end);
    }

    /// Ends the pool that was replaced by `end`.
    ///
    /// Nothing of it stays but its counters.
    pub(crate) fn end_replaced(&mut self, end: impl FnOnce()) {
        let stats = self.replaced.take();
        self.end_of(stats, end);
    }

    fn end_of(&mut self, stats: Option<Stats>, end: impl FnOnce()) {
        match stats {
            Some(stats @ Stats::Rust(_)) => {
                // It counts while it ends, and its counters outlive it.
                end();
                // SAFETY: It is a handle to a pool of ours, which owns the counters with the pool: they are there
                // whether the pool is or not.
                add(&mut self.gone, unsafe { stats.snapshot() });
            }
            Some(stats) => {
                // SAFETY: By the type invariant the pool existed as long as its handle was in here, until just
                // now, and it ends in `end()`, which comes after this.
                add(&mut self.gone, unsafe { stats.snapshot() });
                end();
            }
            None => end(),
        }
    }
}
