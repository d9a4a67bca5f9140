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
    platform::{
        append, array_from_fn, array_with_capacity, leak, unleak, AllocError, Array, AtomicPtr,
        AtomicU32, Ordering,
    },
    ptr_ring::PtrRing,
    stats::CpuStats,
};
use core::{
    mem::MaybeUninit,
    ptr::{null_mut, NonNull},
};

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
    /// Returns a table for `cpus` CPUs, none of which has a ring. May sleep.
    pub fn new(cpus: usize) -> Result<Self, AllocError> {
        // INVARIANT: All are null.
        Ok(Self(array_from_fn(cpus, |_| AtomicPtr::new(null_mut()))?))
    }

    /// Returns the side of CPU `cpu`, if it has one. Any number will do.
    #[inline(always)]
    pub fn get(&self, cpu: usize) -> Option<&Local<T>> {
        let local = self.0.as_slice().get(cpu)?.load(Ordering::Acquire);
        // SAFETY: By the type invariant it is null, or valid for as long as `self` is borrowed.
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
                // SAFETY: By the type invariant it is from `leak()`, and it is not used any more.
                unsafe { unleak(local) };
            }
        }
    }
}

/// Which CPU wants a ring. One that is overlooked, because another asked at the same time, asks again
/// with its next page.
pub struct Wanted(AtomicU32);

impl Wanted {
    const NOBODY: u32 = u32::MAX;

    /// Nobody has asked.
    pub fn new() -> Self {
        Self(AtomicU32::new(Self::NOBODY))
    }

    /// Asks for CPU `cpu`. Any context.
    pub fn ask(&self, cpu: usize) {
        // CAST: CPUs are counted in 32 bits.
        self.0.store(cpu as u32, Ordering::Relaxed);
    }

    /// Returns who has asked last, once. NAPI only.
    fn take(&self) -> Option<usize> {
        let cpu = self.0.load(Ordering::Relaxed);
        if cpu == Self::NOBODY {
            return None;
        }
        self.0.store(Self::NOBODY, Ordering::Relaxed);
        // CAST: u32 fits.
        Some(cpu as usize)
    }
}

impl Default for Wanted {
    fn default() -> Self {
        Self::new()
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
    /// So many are there at least: only NAPI takes them.
    fn home(&self) -> u64 {
        self.seen.wrapping_sub(self.taken)
    }

    /// `returned` have come so far. A page is counted after it is there, and may have been taken before.
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
    /// Returns one that knows of no ring yet, and has room for those of `cpus` CPUs. May sleep.
    pub fn new(cpus: usize) -> Result<Self, AllocError> {
        Ok(Self {
            rings: array_with_capacity(cpus)?,
            list: Tally::default(),
            home: 0,
            next: 0,
        })
    }

    /// Returns how many pages are home, and in no cache. Those that came after the source that they
    /// came by was last [looked at](Self::look) are missing.
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

    /// Fills `spare` from the rings, that of CPU `cpu` first, and returns how many of its elements were
    /// written, from the first. Looks at the rings that there are, not at all CPUs.
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
        // SAFETY: By the safety requirement.
        let filled = unsafe { self.take(rings, first, spare) };
        match spare.get_mut(filled..) {
            Some(rest) if !rest.is_empty() => {
                // SAFETY: As above.
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
            // SAFETY: By the safety requirement.
            filled = filled.wrapping_add(unsafe { self.take(rings, index, rest) });
        }
        filled
    }

    /// Fills `spare` from the ring of one source, as [`collect`](Self::collect) does. Not inlined, for the
    /// loop over the pages to have all registers.
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
        // SAFETY: By the safety requirement.
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

    /// Makes the ring that is `wanted`, for `capacity` pages. Any context; without memory for it
    /// nothing happens, and its CPU asks again.
    pub fn make_wanted<T>(&mut self, rings: &Rings<T>, wanted: &Wanted, capacity: usize) {
        if let Some(cpu) = wanted.take() {
            let _ = self.make(rings, cpu, capacity);
        }
    }

    #[cold]
    fn make<T>(
        &mut self,
        rings: &Rings<T>,
        cpu: usize,
        capacity: usize,
    ) -> Result<(), AllocError> {
        let entry = rings.0.get(cpu).ok_or(AllocError)?;
        // Its CPU may have asked again before it saw the ring.
        if rings.get(cpu).is_some() || self.rings.len() == rings.cpus() {
            return Ok(());
        }
        let local = leak(Local {
            ring: PtrRing::new_atomic(capacity)?,
            stats: CpuStats::default(),
            source: self.rings.len(),
        })?;
        // There is room: there are as many as CPUs, and each is here once.
        let tally = Tally::default();
        let _ = append(&mut self.rings, Source { cpu, tally });
        // INVARIANT: From `leak()`, and only NAPI writes here.
        entry.store(local.as_ptr(), Ordering::Release);
        Ok(())
    }
}
