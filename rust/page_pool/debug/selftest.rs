// SPDX-License-Identifier: GPL-2.0

//! The self-test at load: on every route on which a page can lose its last reference, the pool gets
//! it back.
//!
//! The hook depends on what the kernel inlines where, so what the source says is not enough: a
//! compiler, a patch or another user of ftrace may open a way around it. Each route is therefore
//! walked on the very kernel that runs, with a page of a private pool and with an ordinary page.
//! The first has to come back, with a count of 1 and its tag; the second has to be freed as ever.

use bindings::page;
use core::{
    ffi::{c_int, c_ulong},
    ptr::{null_mut, NonNull},
    sync::atomic::{AtomicU32, Ordering},
};
use kernel::{error::code::EPROTO, prelude::*, str::CStr};
use pp_bindings as bindings;

/// The private pool that lends its pages.
///
/// # Safety
///
/// A page that [`take`](Self::take) returns is a valid page of order 0 in the direct map, tagged,
/// with a reference count of 1 that the caller owns, and nobody uses its contents.
pub(crate) unsafe trait TestPool {
    /// Hands out a page, as to the network stack.
    fn take(&mut self) -> Result<NonNull<page>>;

    /// Whether the pool has got the page back, no matter from which context.
    fn is_back(&self, page: NonNull<page>) -> bool;
}

/// How many pages the private pool should have: twice what the test has out at a time. A ring as
/// large as the pool gives the room of what was taken from it back with a delay, and a page that
/// meets a full ring is not the pool's any more, by right.
pub(crate) const PAGES: usize = 2 * (BATCH + BATCH.div_ceil(2));

/// FOLIO_BATCH_SIZE, the number of pages that `release_pages()` frees at once.
const BATCH: usize = 31;

type DropFn = unsafe extern "C" fn(*mut page) -> c_int;

/// The routes of a single page.
const ROUTES: [(&str, DropFn); 16] = [
    ("put_page", bindings::rpp_route_put_page),
    (
        "put_page, bottom halves off",
        bindings::rpp_route_put_page_bh_off,
    ),
    (
        "put_page, interrupts off",
        bindings::rpp_route_put_page_irqs_off,
    ),
    (
        "put_page from irq_work",
        bindings::rpp_route_put_page_irq_work,
    ),
    ("speculative last put", bindings::rpp_route_speculative),
    ("folio_put_refs(2)", bindings::rpp_route_folio_put_refs),
    ("unpin_user_page", bindings::rpp_route_unpin_user_page),
    ("page_frag_free", bindings::rpp_route_page_frag_free),
    ("__free_pages", bindings::rpp_route___free_pages),
    (
        "__free_pages, not last",
        bindings::rpp_route___free_pages_not_last,
    ),
    ("free_pages", bindings::rpp_route_free_pages),
    ("skb head_frag", bindings::rpp_route_skb_head_frag),
    ("skb frag", bindings::rpp_route_skb_frag),
    ("cloned skb", bindings::rpp_route_skb_clone),
    (
        "xdp_return_frame, page_order0",
        bindings::rpp_route_xdp_page_order0,
    ),
    (
        "xdp_return_frame, page_shared",
        bindings::rpp_route_xdp_page_shared,
    ),
];

/// What is wrong with a route.
type Fault = &'static str;

const NOT_BACK: Fault = "the pool did not get the page back";
const NOT_FREED: Fault = "a page that is not the pool's was not freed";
const NO_MEMORY: Fault = "no memory to test it";

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
    /// An empty report.
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

    /// An error, if any test failed. The kernel log says which.
    fn verdict(&self) -> Result {
        if self.rows.iter().all(|row| row.fault.is_none()) {
            Ok(())
        } else {
            Err(ENXIO)
        }
    }
}

/// Walks every route, with the hook on. An error if one fails.
pub(crate) fn run(pool: &mut impl TestPool, report: &mut Report) -> Result {
    for &(name, drop) in &ROUTES {
        report.add(name, each_time(|| route(pool, drop)))?;
    }
    report.add("release_pages, mixed", each_time(|| release_pages(pool)))?;
    report.verdict()
}

/// A fault that is there each time. Hits are counted for the whole system, and somebody may just free
/// pages that are tagged since an earlier load of the module.
fn each_time(mut test: impl FnMut() -> Result<(), Fault>) -> Result<(), Fault> {
    test().or_else(|_| test()).or_else(|_| test())
}

/// The negative control, with the hook off: the same page is lost to the page allocator. If it came
/// back even so, the rows of [`run`] would mean nothing. Costs the pool a slot.
pub(crate) fn run_unhooked(pool: &mut impl TestPool, report: &mut Report) -> Result {
    report.add("put_page, hook off: freed", unhooked(pool))?;
    report.verdict()
}

fn unhooked(pool: &mut impl TestPool) -> Result<(), Fault> {
    // SAFETY: Only reads whether the hook is registered.
    if unsafe { bindings::rpp_hook_active() } {
        return Err("the hook is on");
    }
    let page = pool.take().map_err(|_| NO_MEMORY)?;
    // SAFETY: By the safety requirement of `TestPool` the page is ours, and so is the reference.
    unsafe {
        mark_used(page);
        bindings::rpp_route_put_page(page.as_ptr());
    }
    if pool.is_back(page) {
        return Err("the page came back all the same");
    }
    was_freed(page)
}

fn route(pool: &mut impl TestPool, drop: DropFn) -> Result<(), Fault> {
    let page = pool.take().map_err(|_| NO_MEMORY)?;
    let tag = first_word(page);
    // SAFETY: By the safety requirement of `TestPool`, the reference is ours to give.
    unsafe { walk(drop, page) }?;
    came_back(pool, page, tag)?;

    let page = ordinary_page().ok_or(NO_MEMORY)?;
    let hits = hits();
    // SAFETY: The page is a new one, the reference is ours to give.
    unsafe { walk(drop, page) }?;
    was_freed(page)?;
    if self::hits() != hits {
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
    let hits = hits();
    // The entries behind the first null, if there is one, are not set.
    let nr = pages.iter().take_while(|page| !page.is_null()).count();
    // SAFETY: The first `nr` entries are pages whose references are ours; `nr` is small.
    unsafe { bindings::rpp_route_release_pages(pages.as_mut_ptr(), nr as c_int) };
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
    if self::hits().wrapping_sub(hits) != ours {
        return Err("the hook took an ordinary page for the pool's");
    }
    Ok(())
}

/// Drops the reference to `page` on a route.
///
/// # Safety
///
/// The caller has the only reference to `page`, and gives it up.
unsafe fn walk(drop: DropFn, page: NonNull<page>) -> Result<(), Fault> {
    // SAFETY: By the safety requirement.
    let ret = unsafe { drop(page.as_ptr()) };
    if ret == 0 {
        return Ok(());
    }
    if ret == EPROTO.to_errno() {
        return Err("the page was not dropped as the route has it");
    }
    // SAFETY: The route could not be set up, so the reference is still ours.
    unsafe { bindings::rpp_route_put_page(page.as_ptr()) };
    Err(NO_MEMORY)
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
/// The page is the caller's, and nobody uses its `private`.
unsafe fn mark_used(page: NonNull<page>) {
    // SAFETY: By the safety requirement.
    unsafe { private(page).write_volatile(USED) };
}

/// Whether the page allocator got the page. That may be long ago, so whoever has the page now may
/// have written there, too. The first word would not do: the allocator writes it only to link the
/// page into a list, and a page that merges with its buddy at once is in none.
fn was_freed(page: NonNull<page>) -> Result<(), Fault> {
    // SAFETY: `struct page` of a page that exists is always there to be read.
    if unsafe { private(page).read_volatile() } == USED {
        return Err(NOT_FREED);
    }
    Ok(())
}

/// A page that is no pool's.
fn ordinary_page() -> Option<NonNull<page>> {
    // SAFETY: Process context, may sleep.
    let page = NonNull::new(unsafe { bindings::rpp_selftest_alloc_page() })?;
    // SAFETY: The page is ours, and for a page in use both words are its user's.
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
    // SAFETY: `struct page` of a page that exists is always there to be read.
    unsafe { word(page).read_volatile() }
}

fn private(page: NonNull<page>) -> *mut c_ulong {
    const OFFSET: usize = core::mem::offset_of!(page, __bindgen_anon_1.__bindgen_anon_1.private);
    page.as_ptr().wrapping_byte_add(OFFSET).cast()
}

fn count(page: NonNull<page>) -> u32 {
    const OFFSET: usize = core::mem::offset_of!(page, _refcount);
    let count = page.as_ptr().wrapping_byte_add(OFFSET).cast::<AtomicU32>();
    // SAFETY: As above; the field is always used as an atomic.
    unsafe { &*count }.load(Ordering::Relaxed)
}

/// How many pages the hook asked the pool about.
fn hits() -> u64 {
    // SAFETY: Only reads counters.
    unsafe { bindings::rpp_hook_hits() }
}

/// The way in which the hook is attached, for the user.
pub(crate) fn mode() -> &'static CStr {
    // SAFETY: The function returns a string literal.
    unsafe { CStr::from_char_ptr(bindings::rpp_hook_mode()) }
}

/// How often a tagged page came by at each hooked function, for the user.
pub(crate) fn sites() -> impl Iterator<Item = (&'static CStr, u64)> {
    (0..).map_while(|site| {
        // SAFETY: Takes any number.
        let name = NonNull::new(unsafe { bindings::rpp_hook_site_name(site) }.cast_mut())?;
        // SAFETY: The name is a string literal.
        let name = unsafe { CStr::from_char_ptr(name.as_ptr()) };
        // SAFETY: Only reads counters.
        Some((name, unsafe { bindings::rpp_hook_site_hits(site) }))
    })
}
