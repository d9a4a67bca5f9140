// SPDX-License-Identifier: GPL-2.0

//! Where pages come back: the registry of pools, and what the hook calls.
//!
//! The hook (`rust/helpers/hook.c`) sits on the kernel functions that every page passes when its
//! last reference is dropped. It calls [`rpp_page_release`] for pages that carry our prefix.
//!
//! # Lifetime
//!
//! The hook runs with bottom halves or interrupts off, which makes it an RCU reader. A pool leaves
//! the registry before a grace period, and its memory goes after. So the hook never touches a pool
//! that is gone, and a page never has to know whether its pool still exists.

use crate::{
    context::BhGuard,
    platform::{AtomicBool, AtomicPtr, Ordering},
    selftest::{self, Report, TestPool},
    shared::Shared,
    slots::Tag,
    Mode, PagePool, Params,
};
use core::ptr::{null_mut, NonNull};
use kernel::{
    prelude::*,
    sync::{rcu, Arc},
};
use pp_bindings as bindings;

/// How many pools there can be: one for each RX queue of the machine.
const MAX_POOLS: usize = 4096;

static POOLS: [AtomicPtr<Shared>; MAX_POOLS] = [const { AtomicPtr::new(null_mut()) }; MAX_POOLS];

/// The entries of `POOLS` that are in use, or will be when their pool is made.
static RESERVED: [AtomicBool; MAX_POOLS] = [const { AtomicBool::new(false) }; MAX_POOLS];

/// A pool in the registry.
///
/// # Invariants
///
/// The entry of `POOLS` for the pool's id is a pointer to it, from creation to drop.
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
                // INVARIANT: The entry is ours since it is reserved.
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
}

impl core::ops::Deref for Registered {
    type Target = Shared;

    #[inline(always)]
    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        // SAFETY: The owner of the `PagePool` drops it, so we are the NAPI side. A driver drops it when
        // the device is stopped; that it does is the driver's part of the bargain with its device.
        unsafe { self.0.destroy() };
        let id = usize::from(self.0.id) % MAX_POOLS;
        POOLS[id].store(null_mut(), Ordering::Release);
        // Whoever found the pool in the registry is done with it after this.
        // SAFETY: Process context.
        unsafe { bindings::rpp_synchronize_net() };
        RESERVED[id].store(false, Ordering::Release);
    }
}

/// The hook, as long as it is on.
///
/// # Invariants
///
/// The hook was registered, and is unregistered once, by dropping this.
pub(crate) struct Hook(());

impl Hook {
    fn register() -> Result<Self> {
        // SAFETY: Process context, and only `load()` calls this, once.
        kernel::error::to_result(unsafe { bindings::rpp_hook_register() })?;
        // INVARIANT: It is registered.
        Ok(Self(()))
    }
}

impl Drop for Hook {
    fn drop(&mut self) {
        // SAFETY: It is registered, by the type invariant. Process context.
        unsafe { bindings::rpp_hook_unregister() };
    }
}

/// Turns the hook on, and proves that it works on this kernel: first that a page is lost without it
/// (or the rest would prove nothing), then that none is with it.
pub(crate) fn load() -> Result<(Hook, Report)> {
    let mut report = Report::new();
    let mut pool = PrivatePool::new()?;

    selftest::run_unhooked(&mut pool, &mut report)?;
    let hook = Hook::register()?;
    selftest::run(&mut pool, &mut report).inspect_err(|_| {
        pr_err!("pages would get lost on this kernel, so the module is not loaded\n");
    })?;
    pr_info!("hook: {}, self-test passed\n", selftest::mode());
    Ok((hook, report))
}

/// The pool of the self-test.
struct PrivatePool(PagePool<'static>);

impl PrivatePool {
    fn new() -> Result<Self> {
        let params = Params {
            // One is lost in the negative control.
            pages: selftest::PAGES as u32 + 1,
            mode: Mode::Recycle,
        };
        // SAFETY: The pool stays in here, and `take()` asks no buffer for its address.
        Ok(Self(unsafe { PagePool::unmapped(c"selftest", params) }?))
    }
}

// SAFETY: The pages come from the pool as they go to the stack: tagged, and with the one reference
// that was the pool's.
unsafe impl TestPool for PrivatePool {
    fn take(&mut self) -> Result<NonNull<bindings::page>> {
        let bh = BhGuard::new()?;
        self.0.enter(&bh.token(), |mut pool| {
            let buf = pool.alloc()?;
            let buf = pool.sync_for_cpu(buf, 0);
            Ok(pool.into_stack(buf).page)
        })
    }

    fn is_back(&self, page: NonNull<bindings::page>) -> bool {
        self.0.has(page)
    }
}

/// Calls `f` for each pool.
pub(crate) fn for_each_pool(mut f: impl FnMut(&Shared)) {
    let _guard = rcu::Guard::new();
    for entry in &POOLS {
        let pool = entry.load(Ordering::Acquire);
        // SAFETY: It was in the registry, and RCU keeps it for as long as the guard.
        if let Some(pool) = unsafe { pool.as_ref() } {
            f(pool);
        }
    }
}

/// Takes back a page that carries the prefix of our tags, or has the kernel free it.
///
/// Called by the hook only, with the page's count at 0, and either with bottom halves off on CPU
/// `cpu`, or with a negative `cpu` in hard interrupt context or with interrupts off.
#[no_mangle]
extern "C" fn rpp_page_put(page: *mut bindings::page, cpu: c_int) {
    // SAFETY: By the contract with the hook.
    if unsafe { take_back(page, cpu) }.is_none() {
        put_unusual(page, cpu);
    }
}

#[cold]
#[inline(never)]
fn put_unusual(page: *mut bindings::page, cpu: c_int) {
    // SAFETY: By the contract with the hook.
    if !unsafe { take_back_unusual(page, cpu) } {
        // SAFETY: The count is 0, and it is for us to free the page.
        unsafe { bindings::rpp_page_free(page) };
    }
}

/// As [`rpp_page_put`], but leaves it to the caller to free the page. `false`: it has to.
#[no_mangle]
extern "C" fn rpp_page_release(page: *mut bindings::page, cpu: c_int) -> bool {
    // SAFETY: By the contract with the hook.
    unsafe { take_back(page, cpu).is_some() || take_back_unusual(page, cpu) }
}

/// See [`Shared::take_back`].
///
/// # Safety
///
/// The contract of [`rpp_page_put`].
#[inline(always)]
unsafe fn take_back(page: *mut bindings::page, cpu: c_int) -> Option<()> {
    // SAFETY: The hook passes a valid page.
    let tag = unsafe { Tag::seen(page) };
    // SAFETY: We are an RCU reader. A negative number has no CPU.
    // CAST: It becomes a large one.
    unsafe { pool_of(tag)?.take_back(page, tag.slot(), cpu as u32 as usize) }
}

/// See [`Shared::take_back_unusual`]. `false`: the page has no tag and no mapping any more.
///
/// # Safety
///
/// The contract of [`rpp_page_put`].
#[cold]
unsafe fn take_back_unusual(page: *mut bindings::page, cpu: c_int) -> bool {
    // SAFETY: The hook passes a valid page.
    let tag = unsafe { Tag::seen(page) };
    // SAFETY: As in `take_back()`.
    // CAST: As in `take_back()`.
    let taken = unsafe { pool_of(tag) }.is_some_and(|pool| unsafe {
        pool.take_back_unusual(page, tag.slot(), cpu as u32 as usize)
    });
    if !taken {
        // SAFETY: The last reference was dropped, and the caller is the one that dropped it.
        unsafe { Tag::clear(page) };
    }
    taken
}

/// The pool that a tag leads to.
///
/// # Safety
///
/// The caller is an RCU reader for as long as it uses the result.
#[inline(always)]
unsafe fn pool_of<'a>(tag: Tag) -> Option<&'a Shared> {
    let pool = POOLS[tag.pool() % MAX_POOLS].load(Ordering::Acquire);
    // SAFETY: It was in the registry, and RCU keeps it.
    unsafe { pool.as_ref() }
}
