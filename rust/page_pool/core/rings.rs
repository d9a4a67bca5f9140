// SPDX-License-Identifier: GPL-2.0

//! The ways back: a ring for each CPU that returns pages, and what NAPI knows of what came by them.
//!
//! A CPU gets its ring when it has returned a page, not before: a machine may have hundreds of CPUs,
//! and a queue's pages come back from a few. Until then they take the list of the interrupts.
//! Whoever returns a page only asks for the ring; it is NAPI that makes it, at its next refill, because
//! `put_page()` is no place to allocate.
//!
//! NAPI has to know how many of its pages are home, since those are idle, however long they have been
//! waiting. To count them each time would cost more the more CPUs there are. So [`Sources`] keeps
//! one number, and each [`look`](Sources::look) brings it up to date with one more source: after as
//! many looks as there are sources, nothing is missed that was home at the first.
//!
//! Compiles in the kernel and on the host.

use crate::{
    list::List,
    platform::{
        append,
        array_from_fn,
        array_with_capacity,
        leak,
        unleak,
        AllocError,
        Array,
        AtomicPtr,
        AtomicU32,
        Ordering, //
    },
    ptr_ring::{
        PtrRing,
        MAX_BATCH, //
    },
    stats::{
        CpuStats,
        Returned, //
    },
};
use core::{
    mem::MaybeUninit,
    ptr::{
        null_mut,
        NonNull, //
    },
};

/// The most entries of a ring: two pages of memory. What does not fit is too much for one CPU's caches anyway, and goes
/// back to the system.
pub const ENTRIES: usize = 1024;

/// The most where a process may let go of thousands of pages at once, which it has mapped.
pub const MANY_ENTRIES: usize = 2 * ENTRIES;

/// Returns how many entries a ring has, in a pool of `pages`: no more than pages, and a power of two, as the
/// kernel allocates memory. (Small pools on the host are for tests, which want rings that overflow.)
fn capacity(pages: usize, most: usize) -> usize {
    if cfg!(not(CONFIG_RUST)) && pages < 200 {
        return MAX_BATCH + 4;
    }
    let bits = pages.min(most).max(2 * MAX_BATCH).ilog2();
    1 << bits
}

/// One CPU's side.
pub struct Local<T> {
    /// The CPU, with bottom halves off, is the only producer; NAPI is the only consumer.
    pub ring: PtrRing<T>,
    /// Written by the CPU alone.
    pub stats: CpuStats,
    /// Its place among the [`Sources`].
    source: usize,
}

/// The CPUs' rings.
///
/// # Invariants
///
/// An entry is null, or a [`Local`] from [`leak`] that stays there until `self` is dropped.
pub struct Rings<T>(Array<AtomicPtr<Local<T>>>);

impl<T> Rings<T> {
    /// Returns a table for `cpus` CPUs, none of which has a ring.
    ///
    /// May sleep.
    pub fn new(cpus: usize) -> Result<Self, AllocError> {
        // INVARIANT: All are null.
        Ok(Self(array_from_fn(cpus, |_| AtomicPtr::new(null_mut()))?))
    }

    /// Returns the side of CPU `cpu`, if it has one.
    ///
    /// Any number will do.
    #[inline(always)]
    pub fn get(&self, cpu: usize) -> Option<&Local<T>> {
        let local = self.0.as_slice().get(cpu)?.load(Ordering::Acquire);
        // SAFETY: By the type invariant it is null, or from `leak()` and in place until `self` is dropped, so for
        // as long as `self` is borrowed. It is only shared.
        unsafe { local.as_ref() }
    }

    /// Returns the sides of the CPUs that have one.
    pub fn iter(&self) -> impl Iterator<Item = &Local<T>> {
        (0..self.0.len()).filter_map(|cpu| self.get(cpu))
    }

    /// Returns for how many CPUs there is room.
    pub fn cpus(&self) -> usize {
        self.0.len()
    }
}

impl<T> Drop for Rings<T> {
    fn drop(&mut self) {
        for entry in self.0.iter() {
            if let Some(local) = NonNull::new(entry.load(Ordering::Relaxed)) {
                // SAFETY: By the type invariant it is from `leak()`. It is dropped once, and not used any more:
                // `self` goes away, and nobody borrows it.
                unsafe { unleak(local) };
            }
        }
    }
}

/// What each return reads. Only `rings` and `live` are ever written to, once for a CPU and once for a
/// pool, so no return waits for a cache line that others write to.
#[repr(C, align(64))]
struct Lookup<T> {
    slots: Array<T>,
    rings: Rings<T>,
    /// How many slots there are for those who return pages: all, or none when the pool does not recycle,
    /// or is being destroyed.
    live: AtomicU32,
    /// Buffers in a page, each with a reference to it.
    buffers: u32,
    flags_mask: usize,
}

/// What those who return pages share.
///
/// # Invariants
///
/// `lookup.live` is at most the number of slots.
#[repr(C)]
pub struct Returns<T> {
    lookup: Lookup<T>,
    /// Returns that do not find a ring, or may not use it.
    pub list: List,
    /// How many came by the list.
    pub listed: Returned,
    /// Slots whose pages others than NAPI have let go.
    pub freed: List,
    /// The entries of a ring.
    ring: usize,
    /// The CPU that has asked for a ring last. One that is overlooked, because another asked at the same
    /// time, asks again with its next page.
    wanted: AtomicU32,
}

/// No CPU.
const NOBODY: u32 = u32::MAX;

// What each return reads is a cache line of its own. (Loom's atomics are large.)
#[cfg(not(loom))]
const _: () = {
    use core::mem::{
        align_of,
        offset_of,
        size_of, //
    };

    assert!(align_of::<Returns<()>>() == 64);
    assert!(size_of::<Lookup<()>>() == 64);
    assert!(offset_of!(Returns<()>, lookup) == 0);
    assert!(offset_of!(Returns<()>, list) == 64);
};

impl<T> Returns<T> {
    /// Returns the ways back into `slots`, for `cpus` CPUs, which are `open` or not, by rings of `most` entries at most.
    ///
    /// May sleep.
    pub fn new(
        slots: Array<T>,
        cpus: usize,
        open: bool,
        flags_mask: usize,
        buffers: u32,
        most: usize,
    ) -> Result<Self, AllocError> {
        let ring = capacity(slots.len() / buffers.max(1) as usize, most);
        // INVARIANT: All of them, or none.
        // CAST: There are less than 2^32.
        let live = AtomicU32::new(if open { slots.len() as u32 } else { 0 });
        Ok(Self {
            lookup: Lookup {
                slots,
                rings: Rings::new(cpus)?,
                live,
                buffers,
                flags_mask,
            },
            list: List::new(),
            listed: Returned::new(),
            freed: List::new(),
            ring,
            wanted: AtomicU32::new(NOBODY),
        })
    }

    /// Returns slot `index`, and the side of CPU `cpu`; if pages are taken back, and there is such a slot and
    /// such a ring.
    #[inline(always)]
    pub fn find(&self, index: usize, cpu: usize) -> Option<(&T, &Local<T>)> {
        // CAST: u32 fits.
        if index >= self.lookup.live.load(Ordering::Acquire) as usize {
            return None;
        }
        let local = self.lookup.rings.get(cpu)?;
        // SAFETY: By the type invariant there are at least as many slots as `live`, at whatever moment that was
        // read, and `index` is less.
        let slot = unsafe { self.lookup.slots.as_slice().get_unchecked(index) };
        Some((slot, local))
    }

    /// Returns how many references a page of the pool has that is home: one for each buffer.
    #[inline(always)]
    pub fn buffers(&self) -> u32 {
        self.lookup.buffers
    }

    /// Returns the flags that no page of the pool has.
    #[inline(always)]
    pub fn flags_mask(&self) -> usize {
        self.lookup.flags_mask
    }

    /// Returns all slots, whatever is in them.
    pub fn slots(&self) -> &[T] {
        &self.lookup.slots
    }

    /// Returns the CPUs' rings.
    pub fn rings(&self) -> &Rings<T> {
        &self.lookup.rings
    }

    /// Returns whether pages are taken back.
    pub fn is_open(&self) -> bool {
        self.lookup.live.load(Ordering::Acquire) != 0
    }

    /// Takes no page back any more.
    ///
    /// An RCU grace period later nobody does.
    pub fn close(&self) {
        // INVARIANT: 0 is at most any number.
        self.lookup.live.store(0, Ordering::Release);
    }

    /// Asks for a ring for CPU `cpu`, if there is such a CPU.
    ///
    /// Any context.
    pub fn ask(&self, cpu: usize) {
        if cpu < self.rings().cpus() {
            // CAST: CPUs are counted in 32 bits.
            self.wanted.store(cpu as u32, Ordering::Relaxed);
        }
    }
}

/// What is known of one source: how many pages had come by it when it was last looked at, and how many
/// of them NAPI has taken.
///
/// # Invariants
///
/// `taken <= seen`.
#[derive(Default)]
struct Tally {
    seen: u64,
    taken: u64,
}

impl Tally {
    /// Returns how many are there at least: only NAPI takes them.
    fn home(&self) -> u64 {
        self.seen.wrapping_sub(self.taken)
    }

    /// Notes that `returned` have come so far.
    ///
    /// A page is counted after it is there, and may have been taken before.
    fn look(&mut self, returned: u64) {
        // INVARIANT: `seen` only grows.
        self.seen = self.seen.max(returned);
    }

    fn took(&mut self, pages: u64) {
        self.taken = self.taken.wrapping_add(pages);
        // INVARIANT: What was taken had come.
        self.seen = self.seen.max(self.taken);
    }
}

/// A CPU that has a ring.
struct Source {
    cpu: usize,
    tally: Tally,
}

/// What NAPI knows of the pages that came back.
///
/// # Invariants
///
/// `home` is the sum of what the tallies have.
pub struct Sources {
    rings: Array<Source>,
    list: Tally,
    home: u64,
    /// The source to be looked at next; the list comes after the rings.
    next: usize,
}

impl Sources {
    /// Returns one that knows of no ring yet, and has room for those of `cpus` CPUs.
    ///
    /// May sleep.
    pub fn new(cpus: usize) -> Result<Self, AllocError> {
        Ok(Self {
            rings: array_with_capacity(cpus)?,
            list: Tally::default(),
            home: 0,
            next: 0,
        })
    }

    /// Returns how many pages are home, and in no cache.
    ///
    /// Those that came after the source that they came by was last [looked at](Self::look) are missing.
    #[inline(always)]
    pub fn home(&self) -> u64 {
        self.home
    }

    /// Looks at one more source; `listed` pages have come by the list so far.
    pub fn look<T>(&mut self, rings: &Rings<T>, listed: u64) {
        let (tally, returned) = match self.rings.get_mut(self.next) {
            Some(source) => {
                let local = rings.get(source.cpu);
                let returned = local.map_or(0, |local| local.stats.recycle_ring.get());
                self.next = self.next.wrapping_add(1);
                (&mut source.tally, returned)
            }
            None => {
                self.next = 0;
                (&mut self.list, listed)
            }
        };
        self.home = self.home.wrapping_sub(tally.home());
        tally.look(returned);
        // INVARIANT: The old value is out of the sum, the new one is in.
        self.home = self.home.wrapping_add(tally.home());
    }

    /// NAPI took `pages` from the list.
    pub fn took_from_list(&mut self, pages: u64) {
        self.home = self.home.wrapping_sub(self.list.home());
        self.list.took(pages);
        // INVARIANT: As in `look()`.
        self.home = self.home.wrapping_add(self.list.home());
    }

    /// Fills `spare` from the rings, that of CPU `cpu` first, and returns how many of its elements were written,
    /// from the first.
    ///
    /// Looks at the rings that there are, not at all CPUs.
    ///
    /// # Safety
    ///
    /// The caller is the only consumer of `rings`.
    pub unsafe fn collect<T>(
        &mut self,
        rings: &Rings<T>,
        cpu: usize,
        spare: &mut [MaybeUninit<NonNull<T>>],
    ) -> usize {
        let first = rings.get(cpu).map_or(0, |local| local.source);
        // SAFETY: By the safety requirement the caller is the only consumer of `rings`, and that for this call as
        // well.
        let filled = unsafe { self.take(rings, first, spare) };
        match spare.get_mut(filled..) {
            Some(rest) if !rest.is_empty() => {
                // SAFETY: By the safety requirement the caller is the only consumer of `rings`; the call above has
                // returned.
                let more = unsafe { self.collect_others(rings, first, rest) };
                filled.wrapping_add(more)
            }
            _ => filled,
        }
    }

    /// Fills `spare` from all rings but that of one source.
    ///
    /// # Safety
    ///
    /// As for [`collect`](Self::collect).
    #[inline(never)]
    unsafe fn collect_others<T>(
        &mut self,
        rings: &Rings<T>,
        but: usize,
        spare: &mut [MaybeUninit<NonNull<T>>],
    ) -> usize {
        let mut filled = 0usize;
        for index in (0..self.rings.len()).filter(|&index| index != but) {
            let Some(rest) = spare.get_mut(filled..).filter(|rest| !rest.is_empty()) else {
                break;
            };
            // SAFETY: By the safety requirement the caller is the only consumer of `rings`; each call returns
            // before the next one.
            filled = filled.wrapping_add(unsafe { self.take(rings, index, rest) });
        }
        filled
    }

    /// Fills `spare` from the ring of one source, as [`collect`](Self::collect) does.
    ///
    /// Not inlined, for the loop over the pages to have all registers.
    ///
    /// # Safety
    ///
    /// As there.
    #[inline(never)]
    unsafe fn take<T>(
        &mut self,
        rings: &Rings<T>,
        index: usize,
        spare: &mut [MaybeUninit<NonNull<T>>],
    ) -> usize {
        let Some(source) = self.rings.get_mut(index) else {
            return 0;
        };
        let Some(local) = rings.get(source.cpu) else {
            return 0;
        };
        // SAFETY: By the safety requirement the caller is the only consumer of `rings`, of which this is one.
        let got = unsafe { local.ring.consume_batched(spare) };
        if got != 0 {
            self.home = self.home.wrapping_sub(source.tally.home());
            // CAST: usize is u64 here.
            source.tally.took(got as u64);
            // INVARIANT: As in `look()`.
            self.home = self.home.wrapping_add(source.tally.home());
        }
        got
    }

    /// Makes the ring that was asked for last, if one was.
    ///
    /// Any context but NMI; without memory for it nothing happens, and its CPU asks again.
    ///
    /// # Safety
    ///
    /// `self` is the only one that makes rings for `returns`.
    #[inline]
    pub unsafe fn make_wanted<T>(&mut self, returns: &Returns<T>) {
        let cpu = returns.wanted.load(Ordering::Relaxed);
        if cpu != NOBODY {
            returns.wanted.store(NOBODY, Ordering::Relaxed);
            // CAST: u32 fits.
            // SAFETY: By the safety requirement `self` is the only one that makes rings for `returns`.
            let _ = unsafe { self.make(returns, cpu as usize) };
        }
    }

    /// Makes the ring of CPU `cpu`.
    ///
    /// # Safety
    ///
    /// As for [`make_wanted`](Self::make_wanted).
    #[cold]
    unsafe fn make<T>(&mut self, returns: &Returns<T>, cpu: usize) -> Result<(), AllocError> {
        let rings = returns.rings();
        let entry = rings.0.get(cpu).ok_or(AllocError)?;
        // Its CPU may have asked again before it saw the ring.
        if rings.get(cpu).is_some() || self.rings.len() == rings.cpus() {
            return Ok(());
        }
        let local = leak(Local {
            ring: PtrRing::new(returns.ring)?,
            stats: CpuStats::default(),
            source: self.rings.len(),
        })?;
        // There is room: there are as many as CPUs, and each is here once.
        let tally = Tally::default();
        let _ = append(&mut self.rings, Source { cpu, tally });
        // INVARIANT: From `leak()`. It was null, and by the safety requirement nobody else writes here.
        entry.store(local.as_ptr(), Ordering::Release);
        Ok(())
    }
}
