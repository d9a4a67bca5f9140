// SPDX-License-Identifier: GPL-2.0

//! A pool, the shipping `rust/page_pool/{shared,supply,returns,end}.rs`, in a system of a few pages.
//!
//! What a driver and the stack do with pages is here, as `pool.rs` and `hook.rs` do it in the kernel;
//! so is RCU, as a lock. Everything that must have one owner at a time is an [`Exclusive`].
//! [`Mistake`]s can be planted, to see that the tests would find them.

use crate::{
    bindings::page,
    context::BhDisabled,
    exclusive::Exclusive,
    frags::Frag,
    layout::{Geometry, Half, Layout, Whole},
    limit::{Limit, Pressure},
    pages::DmaDevice,
    params::{Mode, Params},
    platform::{AtomicPtr, Ordering},
    shared::Shared,
    slots::{Slot, Tag},
    state::SlotState,
    stats::NAMES,
    supply::Side,
};
use std::{
    cell::Cell,
    ptr::{null_mut, NonNull},
    sync::atomic,
};

#[cfg(loom)]
use loom::{sync::RwLock, thread_local};
#[cfg(not(loom))]
use std::sync::RwLock;

/// A CPU without a ring: in hard interrupt context, or with interrupts off.
pub const INTERRUPT: usize = usize::MAX;

/// What could have been done wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// A returned page gets into the ring before it has its reference.
    FillBeforeRevive,
    /// The reference is given without release semantics.
    ReviveRelaxed,
    /// A return does not ask whether the slot is of this very page.
    NoPageCompare,
    /// A slot is claimed with a load and a store.
    NoClaim,
    /// The loser of a claim does not wait until the winner has removed the mapping.
    NoWait,
    /// `destroy()` does not wait for those who have not seen that the pool is closed.
    NoGracePeriod,
    /// The audit does not ask for the tag.
    AuditClaimsAll,
    /// A page keeps its tag when it leaves the pool.
    KeepTag,
    /// A page that is the pool's can be given back.
    TakeBackAlways,
    /// Of the pages that came back from interrupts the pressure does not hear.
    ListIsNotIdle,
    /// NAPI does not look whether the half that is out was put.
    HalfIsHome,
    /// A page of which NAPI gives up the second half goes out after the reference has gone.
    OutTooLate,
    /// A page that comes back has one reference, however many buffers.
    ReviveOne,
    /// A page is taken for whole although one half is out: the end of a pool drops the stack's reference, too.
    NeverLent,
}

/// A half of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buffer {
    /// The page.
    pub page: usize,
    /// Which half it is.
    pub second: bool,
    raw: NonNull<Slot>,
}

impl Buffer {
    /// The other half of the page.
    pub fn other(self) -> Self {
        Self {
            second: !self.second,
            // SAFETY: The pool's table is there.
            raw: unsafe { Slot::other(self.raw) },
            ..self
        }
    }
}

// SAFETY: The slot is shared by all threads, and the buffer has one owner.
unsafe impl Send for Buffer {}

/// A pool, with all pages of its system.
pub struct Pool {
    pages: Vec<page>,
    slots: u32,
    cpus: u32,
    geometry: Geometry,
    /// The owner's, see [`shared`](Self::shared).
    shared: atomic::AtomicPtr<Shared>,
    /// The registry.
    registered: AtomicPtr<Shared>,
    /// Whose its NAPI side is.
    napi: Exclusive<()>,
    /// The page that the system has left.
    offered: Exclusive<Option<usize>>,
    /// Readers are where the kernel has RCU readers; `synchronize_net()` is a writer.
    rcu: RwLock<()>,
    mistake: Option<Mistake>,
}

std::thread_local! {
    /// The pool that this thread uses. (All threads of a loom model are on one thread.)
    static CURRENT: Cell<*const Pool> = const { Cell::new(null_mut()) };
}

thread_local! {
    /// The page whose last reference this thread has just dropped.
    static HOOKED: Cell<*mut page> = Cell::new(null_mut());
}

impl Pool {
    /// A pool of up to `slots` of the system's `pages`, with a ring for each of `cpus`.
    pub fn new(pages: usize, slots: u32, cpus: u32) -> Self {
        Self::of::<Whole>(pages, slots, cpus)
    }

    /// As [`new`](Self::new), with two buffers in a page.
    pub fn of_halves(pages: usize, slots: u32, cpus: u32) -> Self {
        Self::of::<Half>(pages, slots, cpus)
    }

    fn of<L: Layout>(pages: usize, slots: u32, cpus: u32) -> Self {
        let pool = Self {
            geometry: Geometry::of::<L>(),
            pages: (0..pages).map(page::new).collect(),
            slots,
            cpus,
            shared: atomic::AtomicPtr::new(null_mut()),
            registered: AtomicPtr::new(null_mut()),
            napi: Exclusive::new(()),
            offered: Exclusive::new(None),
            rcu: RwLock::new(()),
            mistake: None,
        };
        pool.register();
        pool
    }

    fn register(&self) {
        kernel::cpu::CPUS.set(self.cpus);
        let params = Params {
            pages: self.slots,
            ring: 0,
            mode: Mode::Recycle,
        };
        let shared = Shared::new(DmaDevice, c"pool", params, self.geometry, 0).unwrap();
        let shared = Box::into_raw(Box::new(shared));
        self.shared.store(shared, atomic::Ordering::Relaxed);
        self.registered.store(shared, Ordering::Release);
    }

    /// Does something wrong from now on.
    pub fn with(mut self, mistake: Option<Mistake>) -> Self {
        self.mistake = mistake;
        self
    }

    /// With a ring for each CPU, as when each has returned a page.
    pub fn with_rings(self) -> Self {
        let cpus = self.cpus as usize;
        self.napi(|side| {
            let returns = &side.shared.returns;
            for cpu in 0..cpus {
                returns.ask(cpu);
                // SAFETY: The pool's own.
                unsafe { side.napi().sources.make_wanted(returns) };
            }
        });
        self
    }

    /// How many CPUs have a ring.
    pub fn rings(&self) -> usize {
        self.shared().returns.rings().iter().count()
    }

    /// For its owner, who is one thread at a time.
    fn shared(&self) -> &Shared {
        // SAFETY: It is there until `reopen()`, when there is no other user.
        unsafe { &*self.shared.load(atomic::Ordering::Relaxed) }
    }

    /// The NAPI side.
    fn napi<R>(&self, f: impl FnOnce(&mut Side<'_>) -> R) -> R {
        CURRENT.set(self);
        self.napi.with(|()| {
            // SAFETY: We are the only one, as is just made sure.
            f(&mut unsafe { Side::new(self.shared()) })
        })
    }

    pub(crate) fn current<'a>() -> &'a Self {
        // SAFETY: Whoever gets here was called by this pool.
        unsafe { &*CURRENT.get() }
    }

    pub(crate) fn makes(mistake: Mistake) -> bool {
        Self::current().mistake == Some(mistake)
    }

    pub(crate) fn hooked() -> Option<*mut page> {
        Some(HOOKED.with(Cell::get)).filter(|page| !page.is_null())
    }

    pub(crate) fn synchronize_net(&self) {
        if self.mistake != Some(Mistake::NoGracePeriod) {
            drop(self.rcu.write().unwrap());
        }
    }

    /// Takes the page that the system has left.
    pub(crate) fn offered(&self) -> Option<&page> {
        let page = &self.pages[self.offered.with(Option::take)?];
        page.free
            .with(|free| assert!(std::mem::replace(free, false), "not the system's"));
        page.count.store(1, Ordering::Relaxed);
        Some(page)
    }

    /// Uses a page, as only its owner may.
    pub fn touch(&self, page: usize) {
        self.pages[page].content[0].with(|content| *content += 1);
    }

    /// Uses a half, as only its owner may.
    pub fn touch_half(&self, half: Buffer) {
        let content = &self.pages[half.page].content[usize::from(half.second)];
        content.with(|content| *content += 1);
    }

    /// Takes another reference, from one that there is.
    pub fn get_page(&self, page: usize) {
        self.pages[page].count.fetch_add(1, Ordering::Relaxed);
    }

    /// Drops a reference; the last one is the hook's business. Returns whether the page was freed.
    pub fn put_page(&self, page: usize, cpu: usize) -> bool {
        CURRENT.set(self);
        self.put(&self.pages[page], cpu)
    }

    pub(crate) fn put(&self, page: &page, cpu: usize) -> bool {
        if page.count.fetch_sub(1, Ordering::AcqRel) != 1 {
            return false;
        }
        let _reader = self.rcu.read().unwrap();
        if page.word.load(Ordering::Relaxed) != 0 {
            HOOKED.with(|hooked| hooked.set(page.as_ptr()));
            let taken = self.hook(page.as_ptr(), cpu);
            HOOKED.with(|hooked| hooked.set(null_mut()));
            if taken {
                if self.mistake == Some(Mistake::FillBeforeRevive) {
                    page.count.store(1, Ordering::Release);
                }
                return false;
            }
            page.word.store(0, Ordering::Release);
        }
        page.mapped
            .with(|mapped| assert!(!*mapped, "freed while it is mapped"));
        page.free
            .with(|free| assert!(!std::mem::replace(free, true), "freed twice"));
        true
    }

    /// `rpp_page_release()`.
    fn hook(&self, page: *mut page, cpu: usize) -> bool {
        // SAFETY: The page is valid.
        let tag = unsafe { Tag::seen(page) };
        // SAFETY: We are an RCU reader, and the pool goes after a grace period.
        let Some(pool) = (unsafe { self.registered.load(Ordering::Acquire).as_ref() }) else {
            return false;
        };
        // SAFETY: The count is 0, we dropped it, and one thread stands for one CPU.
        unsafe {
            pool.take_back(page, tag.slot(), cpu).is_some()
                || pool.take_back_unusual(page, tag.slot(), cpu)
        }
    }

    /// Drops the last reference by a way that the hook does not see. The page's next owner uses the
    /// word with the tag for something else.
    pub fn escape(&self, page: usize) {
        let page = &self.pages[page];
        page.escaped.with(|escaped| *escaped = true);
        assert_eq!(page.count.fetch_sub(1, Ordering::AcqRel), 1);
        page.word.store(0, Ordering::Relaxed);
    }

    /// Takes a page from the cache, or from what was returned.
    pub fn alloc(&self, cpu: usize) -> Option<usize> {
        self.napi(|side| {
            let frag = side.alloc(BhDisabled::on(cpu)).ok()?;
            // The driver's slots are found by their pages.
            Some(page_of(&frag))
        })
    }

    /// Takes half a page, as [`alloc`](Self::alloc) does.
    pub fn alloc_half(&self, cpu: usize) -> Option<Buffer> {
        self.napi(|side| {
            let frag = side.alloc(BhDisabled::on(cpu)).ok()?;
            Some(Buffer {
                page: page_of(&frag),
                second: frag.second,
                raw: frag.into_raw(),
            })
        })
    }

    /// Gives a half to the stack.
    pub fn half_into_stack(&self, half: Buffer) {
        // SAFETY: The driver has it alone.
        self.napi(|_| unsafe { Frag::new(half.raw) }.let_go(Half::BUFFERS));
    }

    /// Gives a half back that the driver has.
    pub fn recycle_half(&self, half: Buffer, cpu: usize) {
        // SAFETY: The driver has it alone.
        self.napi(|side| unsafe {
            side.recycle::<Half>(Frag::new(half.raw), BhDisabled::on(cpu));
        });
    }

    /// Gives a half back that was sent, with its reference. `false`: it is not the pool's.
    pub fn half_sent(&self, half: Buffer, cpu: usize) -> bool {
        let page = self.pages[half.page].as_ptr();
        // SAFETY: The reference was its own.
        self.napi(|side| unsafe { side.take_back::<Half>(half.raw, page, BhDisabled::on(cpu)) })
    }

    /// How many references there are to a page.
    pub fn references(&self, page: usize) -> u32 {
        self.pages[page].count.load(Ordering::Relaxed)
    }

    /// Brings one page of the system into the cache. `false`: the limit is reached.
    pub fn grow(&self, page: usize) -> bool {
        self.offered.with(|offered| *offered = Some(page));
        self.napi(|side| {
            // A pool asks the system when it has nothing else.
            let mut slots = Vec::new();
            loop {
                slots.extend(std::iter::from_fn(|| side.napi().cache.take()));
                match side.again().refill(BhDisabled::on(0)) {
                    Ok(slot) => slots.push(slot),
                    Err(_) => break,
                }
                if self.offered.with(|offered| offered.is_none()) {
                    break;
                }
            }
            for frag in slots {
                if let Err(frag) = side.napi().cache.push(frag) {
                    side.again().spill(frag, BhDisabled::on(0));
                }
            }
        });
        self.offered.with(Option::take).is_none()
    }

    /// Gives a page to the stack.
    pub fn into_stack(&self, page: usize) {
        let count = self.pages[page].count.load(Ordering::Relaxed);
        assert_eq!(count, 1, "references");
        // SAFETY: The driver has it alone.
        self.napi(|side| unsafe { self.frag_of(side.shared, page) }.let_go(Whole::BUFFERS));
    }

    /// Gives a page back that the driver has.
    pub fn recycle(&self, page: usize, cpu: usize) {
        // SAFETY: The driver has it alone.
        self.napi(|side| unsafe {
            side.recycle::<Whole>(self.frag_of(side.shared, page), BhDisabled::on(cpu));
        });
    }

    /// Gives one of the pages in the cache back to the system.
    pub fn shrink(&self) {
        self.napi(|side| {
            let frag = side.napi().cache.take().unwrap();
            side.discard(frag);
            side.free_leaving();
        });
    }

    /// How close the limit is.
    pub fn pressure(&self, cpu: usize) -> Pressure {
        self.napi(|side| side.pressure(self.geometry.buffers, BhDisabled::on(cpu)))
    }

    /// Removes the mappings of pages that escaped, and returns how many there were.
    pub fn audit(&self) -> usize {
        self.napi(|side| {
            let shared = side.shared;
            let escaped = || counter(shared, "rx_pp_escaped");
            let before = escaped();
            side.audit(usize::MAX);
            (escaped() - before) as usize
        })
    }

    /// As [`pressure`](Self::pressure), so many times, for a benchmark.
    pub fn ask(&self, times: usize) {
        self.napi(|side| {
            for _ in 0..times {
                std::hint::black_box(side.pressure(1, BhDisabled::on(0)));
            }
        });
    }

    /// How many pages are idle, as far as the pool knows.
    pub fn idle(&self) -> usize {
        self.napi(|side| side.napi().idle(self.geometry.buffers)) as usize
    }

    /// Asks about the pressure so often that the pool has looked at each source. (Without any it need
    /// not look.)
    pub fn look_at_all(&self) -> Pressure {
        (0..=self.cpus).fold(Pressure::None, |_, _| self.pressure(0))
    }

    /// Ends the pool: no mapping is left. What is with the stack stays there.
    pub fn destroy(&self) {
        // SAFETY: The registry lets go of it now.
        self.napi(|side| unsafe { side.destroy() });
        self.registered.store(null_mut(), Ordering::Release);
        self.synchronize_net();
    }

    /// Makes the pool that comes next, in the same place and with the same id. Nobody else may be using
    /// the one that was destroyed.
    pub fn reopen(&self) {
        for slot in self.shared().slots() {
            assert!(slot.state.is_free(), "a mapping is left");
        }
        assert_eq!(self.limit().owned(), 0, "a page is left");
        self.close();
        self.register();
    }

    fn close(&self) {
        let shared = self.shared.swap(null_mut(), atomic::Ordering::Relaxed);
        // SAFETY: It is from a box, and there is no other user.
        drop(unsafe { Box::from_raw(shared) });
    }

    /// The buffer that a page of the pool is.
    ///
    /// # Safety
    ///
    /// The caller has it alone.
    unsafe fn frag_of(&self, shared: &Shared, page: usize) -> Frag {
        let slot = &shared.slots()[self.pages[page].word.load(Ordering::Relaxed) - 1];
        // SAFETY: By the safety requirement.
        unsafe { Frag::new(shared.slot_ptr(slot)) }
    }

    /// Whether the page is the system's.
    pub fn is_free(&self, page: usize) -> bool {
        self.pages[page].free.with(|free| *free)
    }

    /// The next owner of a page that escaped writes the very word into it that was its tag. Nobody does.
    pub fn leave_escape(&self, page: usize) {
        let page = &self.pages[page];
        page.free.with(|free| *free = false);
        page.count.store(1, Ordering::Relaxed);
        page.word.store(1, Ordering::Relaxed);
    }

    /// How many pages are in the cache.
    pub fn cached(&self) -> usize {
        self.napi(|side| side.napi().cache.count())
    }

    /// A limit that can be changed.
    pub fn limit(&self) -> &Limit {
        &self.shared().limit
    }

    /// How many slots are free, the pool's, and out.
    pub fn states(&self) -> [usize; 3] {
        let slots = self.shared().slots();
        let slots = slots.iter().filter(|slot| !slot.second);
        let count = |is: fn(&SlotState) -> bool| slots.clone().filter(|s| is(&s.state)).count();
        [
            count(SlotState::is_free),
            count(SlotState::is_pool),
            count(SlotState::is_out),
        ]
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // Of a model that has failed nothing can be read any more: loom would end all of them.
        if !std::thread::panicking() {
            self.close();
        }
    }
}

/// The number of the page that a buffer is in, which is the pool's.
fn page_of(frag: &Frag) -> usize {
    // SAFETY: The pool's table is there.
    let first = unsafe { Slot::first(NonNull::from(&**frag)).as_ref() };
    assert!(first.state.is_pool(), "not the pool's");
    // SAFETY: It has a page.
    unsafe { &*first.page() }.number
}

fn counter(shared: &Shared, name: &str) -> u64 {
    let index = NAMES.iter().position(|n| *n == name).unwrap();
    shared.snapshot()[index]
}
