// SPDX-License-Identifier: GPL-2.0

//! Statistics, with the names and the meaning of `struct page_pool_stats`.
//!
//! Each counter has one writer at a time (the pool's NAPI, or a CPU with bottom halves off), so it
//! is counted with a load and a store: no atomic operation, no lock. Readers on other CPUs see
//! numbers that are a moment old, and different counters at different moments; sums may be off by
//! what is in flight. That harms nobody. Nothing but statistics may ever be decided by them, but for
//! [`Returned`].

use crate::platform::{
    AtomicU64,
    AtomicUsize,
    Ordering, //
};

/// A counter with one writer at a time.
///
/// # Examples
///
/// ```
/// use page_pool::stats::Counter;
///
/// let counter = Counter::new();
/// counter.inc();
/// counter.add(41);
/// assert_eq!(counter.get(), 42);
/// ```
pub struct Counter(AtomicU64);

impl Counter {
    /// Starts at 0.
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Counts one more.
    ///
    /// Only the counter's writer calls this.
    #[inline(always)]
    pub fn inc(&self) {
        self.add(1);
    }

    /// Counts `n` more.
    ///
    /// Only the counter's writer calls this.
    #[inline(always)]
    pub fn add(&self, n: u64) {
        self.0.store(
            self.0.load(Ordering::Relaxed).wrapping_add(n),
            Ordering::Relaxed,
        );
    }

    /// Counts one more, where several may write.
    ///
    /// Never on the fast path.
    pub fn inc_shared(&self) {
        self.add_shared(1);
    }

    /// Counts `n` more, where several may write.
    ///
    /// Never on the fast path.
    pub fn add_shared(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// Returns what was counted so far.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Default for Counter {
    fn default() -> Self {
        Self::new()
    }
}

macro_rules! counters {
    ($(#[$outer:meta])* $name:ident { $($(#[$doc:meta])* $field:ident,)* }) => {
        $(#[$outer])*
        #[derive(Default)]
        #[repr(align(64))]
        pub struct $name {
            $($(#[$doc])* pub $field: Counter,)*
        }
    };
}

counters! {
    /// What the NAPI side counts.
    NapiStats {
        /// Allocations from the cache.
        alloc_fast,
        /// Allocations that went to the page allocator; with recycling, each brings a batch.
        alloc_slow,
        /// The rings were empty, so the page allocator had to be asked.
        alloc_empty,
        /// Times the cache was refilled from the rings.
        alloc_refill,
        /// Allocations refused because of the limit.
        alloc_limit,
        /// The driver asked for the pressure, and was told that there is some.
        pressure,
        /// As above, and it was high.
        pressure_high,
        /// Pages put directly into the cache.
        recycle_cached,
        /// The cache was full, so a page was put into a ring.
        recycle_cache_full,
        /// Pages mapped.
        mapped,
        /// Mappings removed here.
        unmapped,
    }
}

/// What each CPU counts for pages that it returns.
#[derive(Default)]
#[repr(align(64))]
pub struct CpuStats {
    /// Pages put into the ring of this CPU.
    pub recycle_ring: Returned,
    /// The ring was full, so a page went back to the system.
    pub recycle_ring_full: Counter,
}

/// How many pages have come by one way. Who sees a page counted sees the page itself there: what NAPI
/// believes to be idle it can also take.
pub struct Returned(AtomicUsize);

impl Returned {
    /// Starts at 0.
    pub fn new() -> Self {
        Self(AtomicUsize::new(0))
    }

    /// Counts one more, which is there.
    ///
    /// Only the way's one user calls this.
    #[inline(always)]
    pub fn inc(&self) {
        let n = self.0.load(Ordering::Relaxed).wrapping_add(1);
        self.0.store(n, Ordering::Release);
    }

    /// As [`inc`](Self::inc), where several may count.
    pub fn inc_shared(&self) {
        self.0.fetch_add(1, Ordering::Release);
    }

    /// Returns how many have come.
    #[inline]
    pub fn get(&self) -> u64 {
        // CAST: usize is u64 here.
        self.0.load(Ordering::Acquire) as u64
    }
}

impl Default for Returned {
    fn default() -> Self {
        Self::new()
    }
}

counters! {
    /// What may happen anywhere, and rarely does.
    SharedStats {
        /// Mappings removed elsewhere.
        unmapped,
        /// Pages that went back to the system although the ring had room: poisoned memory, or the
        /// pool was being destroyed.
        released,
        /// References dropped by somebody who had none: the page was in the pool already.
        unbalanced,
        /// Pages that were in flight when the pool ended. Their mappings were removed then.
        revoked,
        /// Pages that were freed past the hook. The audit, which finds them, removed their mappings.
        escaped,
    }
}

/// The values of all counters at one time, in the order of [`NAMES`].
pub type Snapshot = [u64; NAMES.len()];

/// Names for `ethtool -S`: first upstream's (`pp_stats_mq` in `net/core/page_pool.c`), then ours.
pub const NAMES: [&str; 22] = [
    "rx_pp_alloc_fast",
    "rx_pp_alloc_slow",
    "rx_pp_alloc_slow_ho",
    "rx_pp_alloc_empty",
    "rx_pp_alloc_refill",
    "rx_pp_alloc_waive",
    "rx_pp_recycle_cached",
    "rx_pp_recycle_cache_full",
    "rx_pp_recycle_ring",
    "rx_pp_recycle_ring_full",
    "rx_pp_recycle_released_ref",
    "rx_pp_alloc_limit",
    "rx_pp_pressure",
    "rx_pp_pressure_high",
    "rx_pp_mapped",
    "rx_pp_unmapped",
    "rx_pp_returned_irq",
    "rx_pp_released",
    "rx_pp_revoked",
    "rx_pp_unbalanced",
    "rx_pp_escaped",
    "rx_pp_owned",
];

/// Adds it all up.
///
/// # Examples
///
/// ```
/// use page_pool::stats::{snapshot, CpuStats, NapiStats, SharedStats, NAMES};
///
/// let (napi, shared) = (NapiStats::default(), SharedStats::default());
/// let cpus = [CpuStats::default(), CpuStats::default()];
/// napi.alloc_fast.add(3);
/// cpus[0].recycle_ring.inc();
/// cpus[1].recycle_ring.inc();
///
/// let values = snapshot(&napi, &shared, cpus.iter(), 0, 64);
/// let value = |name| NAMES.iter().position(|n| *n == name).map(|i| values[i]);
/// assert_eq!(value("rx_pp_alloc_fast"), Some(3));
/// assert_eq!(value("rx_pp_recycle_ring"), Some(2));
/// assert_eq!(value("rx_pp_owned"), Some(64));
/// ```
pub fn snapshot<'a>(
    napi: &NapiStats,
    shared: &SharedStats,
    cpus: impl Iterator<Item = &'a CpuStats>,
    listed: u64,
    owned: u32,
) -> Snapshot {
    let (mut ring, mut ring_full) = (0u64, 0u64);
    for cpu in cpus {
        ring = ring.wrapping_add(cpu.recycle_ring.get());
        ring_full = ring_full.wrapping_add(cpu.recycle_ring_full.get());
    }
    [
        napi.alloc_fast.get(),
        napi.alloc_slow.get(),
        // There is no high-order allocation, and pages are not checked for their NUMA node.
        0,
        napi.alloc_empty.get(),
        napi.alloc_refill.get(),
        0,
        napi.recycle_cached.get(),
        napi.recycle_cache_full.get(),
        ring,
        ring_full,
        // A page comes back when its last reference is dropped: there never is another one.
        0,
        napi.alloc_limit.get(),
        napi.pressure.get(),
        napi.pressure_high.get(),
        napi.mapped.get(),
        napi.unmapped.get().wrapping_add(shared.unmapped.get()),
        listed,
        shared.released.get(),
        shared.revoked.get(),
        shared.unbalanced.get(),
        shared.escaped.get(),
        u64::from(owned),
    ]
}
