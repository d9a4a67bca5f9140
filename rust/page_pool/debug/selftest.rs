// SPDX-License-Identifier: GPL-2.0

//! The self-test at load: on every route on which a page can lose its last reference, the pool gets
//! it back.
//!
//! The hook depends on what the kernel inlines where, so what the source says is not enough: a
//! compiler, a patch or another user of ftrace may open a way around it. Each route is therefore
//! walked on the very kernel that runs, with a page of a private pool and with an ordinary page.
//! The first has to come back, with a count of 1 and its tag; the second has to be freed as ever.

use super::routes::{
    Route,
    ROUTES, //
};
use crate::hook::{
    self,
    LastRef, //
};
use bindings::page;
use core::{
    ptr::{
        null_mut,
        NonNull, //
    },
    sync::atomic::{
        AtomicU32,
        Ordering, //
    },
};
use kernel::prelude::*;
use pp_bindings as bindings;

/// The private pool that lends its pages.
///
/// # Safety
///
/// Of a page that [`take`](Self::take) returns:
///
/// - It is a valid page of order 0 in the direct map, and tagged.
/// - Its reference count is 1, and the reference is the caller's.
/// - Nobody uses its contents.
pub(crate) unsafe trait TestPool {
    /// Hands out a page, as to the network stack.
    fn take(&mut self) -> Result<NonNull<page>>;

    /// Returns whether the pool has got the page back, no matter from which context.
    fn is_back(&self, page: NonNull<page>) -> bool;
}

/// How many pages the private pool should have: twice what the test has out at a time. A ring as
/// large as the pool gives the room of what was taken from it back with a delay, and a page that
/// meets a full ring is not the pool's any more, by right.
pub(crate) const PAGES: usize = 2 * (BATCH + BATCH.div_ceil(2));

/// FOLIO_BATCH_SIZE, the number of pages that `release_pages()` frees at once.
const BATCH: usize = 31;

/// What is wrong with a route.
pub(super) type Fault = &'static str;

pub(super) const NO_MEMORY: Fault = "no memory to test it";
const NOT_BACK: Fault = "the pool did not get the page back";
const NOT_FREED: Fault = "a page that is not the pool's was not freed";

/// The result of one test.
pub(crate) struct Row {
    /// The route.
    pub(crate) name: &'static str,
    /// What is wrong with it, if anything.
    pub(crate) fault: Option<Fault>,
}

/// The results of all tests.
pub(crate) struct Report {
    /// One row a route.
    pub(crate) rows: KVec<Row>,
}

impl Report {
    /// Makes an empty report.
    pub(crate) fn new() -> Self {
        Self { rows: KVec::new() }
    }

    fn add(&mut self, name: &'static str, result: Result<(), Fault>) -> Result {
        let fault = result.err();
        if let Some(fault) = fault {
            pr_err!("self-test: {}: {}\n", name, fault);
        }
        self.rows.push(Row { name, fault }, GFP_KERNEL)?;
        Ok(())
    }

    /// Returns an error if any test failed.
    ///
    /// The kernel log says which.
    fn verdict(&self) -> Result {
        if self.rows.iter().all(|row| row.fault.is_none()) {
            Ok(())
        } else {
            Err(ENXIO)
        }
    }
}

/// Walks every route, with the hook on.
///
/// An error if one fails.
pub(crate) fn run(pool: &mut impl TestPool, report: &mut Report) -> Result {
    for &(name, drop) in &ROUTES {
        report.add(name, each_time(|| route(pool, drop)))?;
    }
    report.add("release_pages, mixed", each_time(|| release_pages(pool)))?;
    report.verdict()
}

/// Returns a fault that is there each time.
///
/// Hits are counted for the whole system, and somebody may just free pages that are tagged since an earlier load
/// of the module.
fn each_time(mut test: impl FnMut() -> Result<(), Fault>) -> Result<(), Fault> {
    test().or_else(|_| test()).or_else(|_| test())
}

/// Walks one route with the hook off, where the page is lost to the page allocator: the negative control.
///
/// If it came back even so, the rows of [`run`] would mean nothing. Costs the pool a slot.
pub(crate) fn run_unhooked(pool: &mut impl TestPool, report: &mut Report) -> Result {
    report.add("put_page, hook off: freed", unhooked(pool))?;
    report.verdict()
}

fn unhooked(pool: &mut impl TestPool) -> Result<(), Fault> {
    if hook::is_active() {
        return Err("the hook is on");
    }
    let page = pool.take().map_err(|_| NO_MEMORY)?;
    // SAFETY: By the safety requirement of `TestPool` the page is as `LastRef` wants it, and ours, with its one
    // reference, which is given away here. Nobody uses its `private`.
    unsafe {
        mark_used(page);
        LastRef::from_raw(page).put();
    }
    if pool.is_back(page) {
        return Err("the page came back all the same");
    }
    was_freed(page)
}

fn route(pool: &mut impl TestPool, drop: Route) -> Result<(), Fault> {
    let page = pool.take().map_err(|_| NO_MEMORY)?;
    let tag = first_word(page);
    // SAFETY: By the safety requirement of `TestPool` the page is of order 0 and in the direct map, and its one
    // reference is ours. It is given away here.
    drop(unsafe { LastRef::from_raw(page) })?;
    came_back(pool, page, tag)?;

    let page = ordinary_page().ok_or(NO_MEMORY)?;
    let hits = hook::hits();
    // SAFETY: The page is a new one of order 0, with an address, and its one reference is ours, by `into_raw()`.
    // It is given away here.
    drop(unsafe { LastRef::from_raw(page) })?;
    was_freed(page)?;
    if hook::hits() != hits {
        return Err("the hook took an ordinary page for the pool's");
    }
    Ok(())
}

/// `release_pages()` of a batch that is all the pool's, one of ordinary pages only, and a mixed one.
fn release_pages(pool: &mut impl TestPool) -> Result<(), Fault> {
    let mut pages = [null_mut(); 3 * BATCH];
    let mut tags = [0; 3 * BATCH];
    let is_ours = |i: usize| i < BATCH || (i >= 2 * BATCH && i % 2 == 0);

    let mut result = Ok(());
    for i in 0..pages.len() {
        let page = if is_ours(i) {
            pool.take().ok()
        } else {
            ordinary_page()
        };
        let Some(page) = page else {
            result = Err(NO_MEMORY);
            break;
        };
        pages[i] = page.as_ptr();
        tags[i] = first_word(page);
    }
    let hits = hook::hits();
    // The entries behind the first null, if there is one, are not set.
    let nr = pages.iter().take_while(|page| !page.is_null()).count();
    // SAFETY: The first `nr` entries are pages whose references are ours, and given away here. The callee may
    // write to the array, which is ours; what it does with the order is looked at below.
    unsafe { bindings::rpp_put_pages(pages.as_mut_ptr(), nr) };
    result?;

    let mut ours = 0;
    for (i, &page) in pages.iter().enumerate() {
        let page = NonNull::new(page).ok_or(NO_MEMORY)?;
        if is_ours(i) {
            came_back(pool, page, tags[i])?;
            ours += 1;
        } else {
            was_freed(page)?;
        }
    }
    if hook::hits().wrapping_sub(hits) != ours {
        return Err("the hook took an ordinary page for the pool's");
    }
    Ok(())
}

fn came_back(pool: &impl TestPool, page: NonNull<page>, tag: u64) -> Result<(), Fault> {
    if !pool.is_back(page) {
        return Err(NOT_BACK);
    }
    if count(page) != 1 {
        return Err("the page came back with a reference count other than 1");
    }
    if first_word(page) != tag {
        return Err("the page came back without its tag");
    }
    Ok(())
}

/// What the first word of an ordinary page says: next to a tag, and nothing that anybody else writes.
/// Neither of the two lowest bits is set, they have a meaning.
const NO_TAG: u64 = (bindings::RPP_TAG as u64 + 1) << 48;

/// What `page->private` says until the page allocator clears it.
const USED: c_ulong = c_ulong::MAX;

/// Marks a page, for [`was_freed`] to tell.
///
/// # Safety
///
/// - The page is the caller's.
/// - Nobody uses its `private`.
unsafe fn mark_used(page: NonNull<page>) {
    // SAFETY: By the safety requirement the page is the caller's, so it is valid; the field is a part of it,
    // aligned, and nobody else uses it.
    unsafe { private(page).write_volatile(USED) };
}

/// Returns whether the page allocator got the page.
///
/// That may be long ago, so whoever has the page now may have written there, too. The first word would not do: the
/// allocator writes it only to link the page into a list, and a page that merges with its buddy at once is in
/// none.
fn was_freed(page: NonNull<page>) -> Result<(), Fault> {
    // SAFETY: The field is a part of a `struct page`, aligned, which is there to be read as long as the memory
    // that it stands for. Others may write it at any time, hence the single access.
    if unsafe { private(page).read_volatile() } == USED {
        return Err(NOT_FREED);
    }
    Ok(())
}

/// Allocates a page that is no pool's.
fn ordinary_page() -> Option<NonNull<page>> {
    let page = NonNull::new(LastRef::alloc()?.into_raw())?;
    // SAFETY: The page is ours and new, so both words, which are parts of it, are its user's, and nobody else
    // accesses them.
    unsafe {
        word(page).write_volatile(NO_TAG);
        mark_used(page);
    }
    Some(page)
}

fn word(page: NonNull<page>) -> *mut u64 {
    const OFFSET: usize = core::mem::offset_of!(page, __bindgen_anon_1);
    page.as_ptr().wrapping_byte_add(OFFSET).cast()
}

fn first_word(page: NonNull<page>) -> u64 {
    // SAFETY: The word is a part of a `struct page`, aligned, which is there to be read as long as the memory that
    // it stands for. Others may write it at any time, hence the single access.
    unsafe { word(page).read_volatile() }
}

fn private(page: NonNull<page>) -> *mut c_ulong {
    const OFFSET: usize = core::mem::offset_of!(page, __bindgen_anon_1.__bindgen_anon_1.private);
    page.as_ptr().wrapping_byte_add(OFFSET).cast()
}

fn count(page: NonNull<page>) -> u32 {
    const OFFSET: usize = core::mem::offset_of!(page, _refcount);
    let count = page.as_ptr().wrapping_byte_add(OFFSET).cast::<AtomicU32>();
    // SAFETY: The field is a part of a `struct page`, which is there as long as the memory that it stands for,
    // aligned, and always used as an atomic, in C as well.
    unsafe { &*count }.load(Ordering::Relaxed)
}
