// SPDX-License-Identifier: GPL-2.0

//! The pool, the C page pool and the page allocator, side by side.
//!
//! Loading the module runs what needs no device; binding it to a PCI device (QEMU's `pci-testdev`, or
//! any one by its `driver_override`) runs the cases with a DMA mapping. Each line in the kernel log is
//! one run of one side:
//!
//! ```text
//! page_pool_bench: case=direct side=ours map=none round=1 ops=100000 cycles=1400000 ns=1400000
//! ```
//!
//! All loops run in softirq context. The sides alternate, so that what disturbs one disturbs the other.

use core::{
    marker::PhantomData,
    ptr::{
        null_mut,
        NonNull, //
    },
};
use kernel::{
    device::{
        Bound,
        Core,
        Device, //
    },
    dma::{
        Device as _,
        DmaMask, //
    },
    error::to_result,
    interrupt::local_interrupt_disable,
    pci,
    prelude::*,
    str::{
        BStr,
        CStrExt, //
    },
};
use page_pool::{
    context::BhGuard,
    Half,
    Layout,
    Mode,
    NapiPool,
    PagePool,
    Params,
    Whole, //
};
use pp_bindings as bindings;

/// The C side: bench.h.
#[allow(
    clippy::all,
    dead_code,
    improper_ctypes,
    missing_docs,
    non_camel_case_types,
    unreachable_pub
)]
mod c {
    use kernel::ffi;
    use pp_bindings::{
        device,
        page_pool, //
    };

    include!(env!("BENCH_BINDINGS"));
}

/// As many as the C pool's ring holds.
const PAGES: u32 = 1024;

type Sample = c::bench_sample;

const EMPTY: Sample = Sample {
    ops: 0,
    cycles: 0,
    ns: 0,
};

/// Keeps the compiler from merging what is before it with what is after it, as `barrier()` in C.
#[inline(always)]
fn barrier() {
    // SAFETY: No instruction. That it may touch memory is what the compiler is told.
    unsafe { core::arch::asm!("", options(nostack, preserves_flags)) };
}

fn start(sample: &mut Sample) {
    // SAFETY: The sample is valid.
    unsafe { c::bench_start(sample) };
}

fn stop(sample: &mut Sample, ops: u64) {
    // SAFETY: The sample is valid.
    unsafe { c::bench_stop(sample, ops) };
}

/// Runs `f` in softirq context.
fn in_softirq<F: FnOnce() + Send>(f: F) {
    /// # Safety
    ///
    /// `data` is an `Option<F>` that nobody else uses.
    unsafe extern "C" fn call<F: FnOnce()>(data: *mut c_void) {
        // SAFETY: By this function's requirement.
        if let Some(f) = unsafe { &mut *data.cast::<Option<F>>() }.take() {
            f();
        }
    }

    let mut f = Some(f);
    // SAFETY: `f` lives until the call, which waits for the function to return, does so.
    unsafe { c::bench_in_softirq(Some(call::<F>), (&raw mut f).cast()) };
}

/// A loop over the NAPI side of a pool. `body` handles `step` pages, or gives up.
#[inline(always)]
fn napi_loop<L: Layout>(
    pool: &mut PagePool<'_, L>,
    loops: u64,
    step: u64,
    sample: &mut Sample,
    mut body: impl FnMut(&mut NapiPool<'_, '_, L>) -> Option<()>,
) {
    let Ok(bh) = BhGuard::new() else {
        return;
    };
    pool.enter(&bh.token(), |mut napi| {
        let mut done = 0u64;
        start(sample);
        while done < loops {
            if body(&mut napi).is_none() {
                return;
            }
            done = done.wrapping_add(step);
        }
        stop(sample, done);
    });
}

/// What an XDP program drops, without a look at it.
#[inline(never)]
fn direct<L: Layout>(pool: &mut PagePool<'_, L>, loops: u64, sample: &mut Sample) {
    napi_loop(pool, loops, 1, sample, |napi| {
        let buf = napi.alloc().ok()?;
        barrier();
        napi.recycle_unused(buf);
        Some(())
    });
}

/// The same with a look at the packet's first 64 bytes in between.
#[inline(never)]
fn direct_sync<L: Layout>(pool: &mut PagePool<'_, L>, loops: u64, sample: &mut Sample) {
    napi_loop(pool, loops, 1, sample, |napi| {
        let buf = napi.alloc().ok()?;
        // SAFETY: The device never had it, and nobody looks at its bytes.
        let buf = unsafe { napi.sync_for_cpu(buf, 64) };
        barrier();
        napi.recycle(buf);
        Some(())
    });
}

/// `N` pages at a time: a poll's worth.
#[inline(never)]
fn bulk<const N: usize, L: Layout>(pool: &mut PagePool<'_, L>, loops: u64, sample: &mut Sample) {
    napi_loop(pool, loops, N as u64, sample, |napi| {
        let mut bufs = [const { None }; N];
        for buf in &mut bufs {
            *buf = Some(napi.alloc().ok()?);
        }
        barrier();
        for buf in bufs.iter_mut().filter_map(Option::take) {
            napi.recycle_unused(buf);
        }
        Some(())
    });
}

/// What goes to the stack and comes back by `put_page()`, outside of the pool's poll.
#[inline(never)]
fn ring<L: Layout>(pool: &mut PagePool<'_, L>, loops: u64, sample: &mut Sample) {
    let Ok(bh) = BhGuard::new() else {
        return;
    };
    start(sample);
    for _ in 0..loops {
        let page = pool.enter(&bh.token(), |mut napi| {
            let buf = napi.alloc().ok()?;
            // SAFETY: The device never had it, and nobody looks at its bytes.
            let buf = unsafe { napi.sync_for_cpu(buf, 64) };
            Some(napi.into_stack(buf).into_page())
        });
        let Some(page) = page else {
            return;
        };
        // SAFETY: The page's reference is ours.
        unsafe { bindings::rpp_put_page(page.as_ptr()) };
    }
    stop(sample, loops);
}

/// A new pool that gets its pages.
#[inline(never)]
fn grow(pool: &mut PagePool<'_>, loops: u64, sample: &mut Sample) {
    let Ok(mut pages) = KVec::with_capacity(PAGES as usize, GFP_ATOMIC) else {
        return;
    };
    let Ok(bh) = BhGuard::new() else {
        return;
    };
    start(sample);
    pool.enter(&bh.token(), |mut napi| {
        for _ in 0..loops {
            let Ok(buf) = napi.alloc() else {
                break;
            };
            // SAFETY: The device never had it, and nobody looks at its bytes.
            let buf = unsafe { napi.sync_for_cpu(buf, 64) };
            // There is room: the loop is not longer than the pool is large.
            let _ = pages.push_within_capacity(napi.into_stack(buf).into_page());
        }
    });
    stop(sample, pages.len() as u64);
    for page in pages {
        // SAFETY: The page's reference is ours.
        unsafe { bindings::rpp_put_page(page.as_ptr()) };
    }
}

/// The dearest call of `alloc()`, with interrupts off, of a pool that has given away all of its pages: so
/// many times refused at the limit, and then from what has come back. What comes back before the CPU has a
/// ring takes the list, so that is as long as the pool is large. Of what comes back after that most does not
/// fit into the ring: those slots are free, and NAPI finds that out when it asks the page allocator again.
#[inline(never)]
fn refill_worst(pool: &mut PagePool<'_>, pages: &mut KVVec<Given>, sample: &mut Sample) {
    const REFUSALS: usize = 10_000;

    let Ok(bh) = BhGuard::new() else {
        return;
    };
    // Returns what it took, if there was a page.
    let mut alloc = |pages: &mut KVVec<Given>| {
        let mut one = EMPTY;
        let off = local_interrupt_disable();
        let page = pool.enter(&bh.token(), |mut napi| {
            start(&mut one);
            let buf = napi.alloc();
            stop(&mut one, 1);
            // SAFETY: The device never had it, and nobody looks at its bytes.
            let buf = unsafe { napi.sync_for_cpu(buf.ok()?, 64) };
            Some(napi.into_stack(buf).into_page())
        });
        drop(off);
        let got = page
            .map(|page| pages.push_within_capacity(Given(page)))
            .is_some();
        (one.cycles, got)
    };
    let mut worst = 0;

    while alloc(pages).1 {}
    for _ in 0..REFUSALS {
        worst = alloc(pages).0.max(worst);
    }
    pages.clear();
    loop {
        let (cycles, got) = alloc(pages);
        worst = cycles.max(worst);
        if !got {
            break;
        }
    }
    pages.clear();
    // Far enough for some refills from the page allocator. (Not for all pages: that would be about how the
    // page allocator finds so many.)
    for _ in 0..2048 {
        worst = alloc(pages).0.max(worst);
    }
    pages.clear();
    *sample = Sample {
        ops: 1,
        cycles: worst,
        ns: worst,
    };
}

/// A page that went to the stack; dropping it is the last `put_page()`.
struct Given(NonNull<bindings::page>);

// SAFETY: It is a reference to a page, and those may be dropped anywhere.
unsafe impl Send for Given {}

impl Drop for Given {
    fn drop(&mut self) {
        // SAFETY: The page's reference is ours.
        unsafe { bindings::rpp_put_page(self.0.as_ptr()) };
    }
}

type Ours<L = Whole> = fn(&mut PagePool<'_, L>, u64, &mut Sample);
type Peer = unsafe extern "C" fn(*const c::bench_peer, u64, *mut Sample);

/// Who runs a case.
#[derive(Clone, Copy)]
enum Side {
    /// Our pool.
    Ours(Ours),
    /// Our pool, with two buffers in a page.
    Halves(Ours<Half>),
    /// Our code without recycling, so that each page is one that the pool has not got.
    Miss(Ours),
    /// Our pool, just made.
    New(Ours),
    /// Our pool, just made, with so many slots.
    Worst(u32),
    /// A C twin, with its parameter.
    Peer(Peer, u32),
    /// A C twin, on a pool that was just made.
    NewPeer(Peer),
}
use Side::{
    Halves,
    Miss,
    New,
    NewPeer,
    Ours as Pool,
    Peer as C,
    Worst, //
};

/// The case's name, the side's name, and what is run.
type Case = (&'static CStr, &'static CStr, Side);

/// What both have to do with. The sides of a case follow each other.
const CASES: &[Case] = &[
    (c"loop", c"c", C(c::bench_loop, 0)),
    (c"direct", c"ours", Pool(direct)),
    (c"direct", c"page_pool", C(c::bench_pool_direct, 0)),
    (c"half", c"ours", Halves(direct)),
    (c"half", c"page_pool", C(c::bench_pool_frag, 2048)),
    (c"half_ring", c"ours", Halves(ring)),
    (c"half_ring", c"page_pool", C(c::bench_pool_frag_ring, 2048)),
    (c"half_bulk_64", c"ours", Halves(bulk::<64, Half>)),
    (c"half_bulk_64", c"ours_whole", Pool(bulk::<64, Whole>)),
    (c"ring", c"ours", Pool(ring)),
    (c"ring", c"page_pool", C(c::bench_pool_ring, 0)),
    (c"miss", c"ours", Miss(direct)),
    (c"miss", c"page_pool", C(c::bench_pool_release, 0)),
    (c"grow", c"ours", New(grow)),
    (c"grow", c"page_pool", NewPeer(c::bench_pool_grow)),
    (c"bulk_8", c"ours", Pool(bulk::<8, Whole>)),
    (c"bulk_8", c"page_pool", C(c::bench_pool_bulk, 8)),
    (c"bulk_8", c"page_alloc", C(c::bench_alloc_bulk, 8)),
    (c"bulk_16", c"ours", Pool(bulk::<16, Whole>)),
    (c"bulk_16", c"page_pool", C(c::bench_pool_bulk, 16)),
    (c"bulk_16", c"page_alloc", C(c::bench_alloc_bulk, 16)),
    (c"bulk_32", c"ours", Pool(bulk::<32, Whole>)),
    (c"bulk_32", c"page_pool", C(c::bench_pool_bulk, 32)),
    (c"bulk_32", c"page_alloc", C(c::bench_alloc_bulk, 32)),
    (c"bulk_64", c"ours", Pool(bulk::<64, Whole>)),
    (c"bulk_64", c"page_pool", C(c::bench_pool_bulk, 64)),
    (c"bulk_64", c"page_alloc", C(c::bench_alloc_bulk, 64)),
];

/// What has nothing to do with a device.
const UNMAPPED: &[Case] = &[
    (c"miss", c"page_alloc", C(c::bench_alloc, 0)),
    (c"refill_worst", c"ours", Worst(100_000)),
    (c"refill_worst", c"ours_2560", Worst(2560)),
    (c"order_0", c"page_alloc", C(c::bench_alloc, 0)),
    (c"order_1", c"page_alloc", C(c::bench_alloc, 1)),
    (c"order_2", c"page_alloc", C(c::bench_alloc, 2)),
    (c"order_3", c"page_alloc", C(c::bench_alloc, 3)),
    (c"order_4", c"page_alloc", C(c::bench_alloc, 4)),
    (c"order_5", c"page_alloc", C(c::bench_alloc, 5)),
];

/// What has to do with the mapping.
const MAPPED: &[Case] = &[
    (c"miss", c"page_alloc", C(c::bench_alloc_map, 0)),
    (c"direct_sync", c"ours", Pool(direct_sync)),
    (
        c"direct_sync",
        c"page_pool",
        C(c::bench_pool_direct_sync, 0),
    ),
    (c"map", c"dma_map_page", C(c::bench_map, 0)),
];

/// What the loops work on: pools for one device, or for none.
struct Bench<'dev> {
    ours: PagePool<'dev>,
    halves: PagePool<'dev, Half>,
    miss: PagePool<'dev>,
    peer: CPool<'dev>,
    dev: Option<&'dev Device<Bound>>,
}

fn pool<'dev, L: Layout>(
    dev: Option<&'dev Device<Bound>>,
    mode: Mode,
    pages: u32,
) -> Result<PagePool<'dev, L>> {
    let params = Params {
        pages,
        ring: 0,
        mode,
    };
    match dev {
        // SAFETY: Dropped in process context before the device is unbound, which gets no address.
        Some(dev) => unsafe { PagePool::new(dev, c"bench", params) },
        // SAFETY: No case asks a buffer for its address, and there is no device to give it to.
        None => unsafe { PagePool::unmapped(c"bench", params) },
    }
}

impl<'dev> Bench<'dev> {
    fn new(dev: Option<&'dev Device<Bound>>) -> Result<Self> {
        Ok(Self {
            dev,
            ours: pool(dev, Mode::Recycle, PAGES)?,
            halves: pool(dev, Mode::Recycle, PAGES)?,
            miss: pool(dev, Mode::AllocMap, PAGES)?,
            peer: CPool::new(dev)?,
        })
    }

    /// Runs the cases that were asked for. The first round only warms up.
    fn run(&mut self, cases: [&[Case]; 2]) -> Result {
        let map = if self.dev.is_some() { "dma" } else { "none" };
        // Each pool gets 64 pages. On a kernel without SMP, such as User-Mode Linux, the page allocator
        // gives one at a time, and with a single page the rings would be asked for each.
        for fill in [
            Pool(bulk::<64, Whole>),
            Halves(bulk::<64, Half>),
            C(c::bench_pool_bulk, 64),
        ] {
            self.sample(fill)?;
        }
        for round in 0..=*module_parameters::rounds.value_ref() {
            for &(case, side, what) in cases.into_iter().flatten() {
                // SAFETY: The name is a string.
                if !unsafe { c::bench_wanted(case.as_char_ptr()) } {
                    continue;
                }
                let sample = self.sample(what)?;
                let (case, side) = (bstr(case), bstr(side));
                if sample.ops == 0 {
                    pr_err!("case {case}, {side}: no page, or no mapping\n");
                    return Err(ENOMEM);
                }
                if round > 0 {
                    pr_info!(
                        "case={case} side={side} map={map} round={round} ops={} cycles={} ns={}\n",
                        sample.ops,
                        sample.cycles,
                        sample.ns
                    );
                }
            }
        }
        Ok(())
    }

    fn sample(&mut self, what: Side) -> Result<Sample> {
        let loops = *module_parameters::loops.value_ref();
        let few = loops.min(u64::from(PAGES));
        let mut sample = EMPTY;
        match what {
            Pool(f) => in_softirq(|| f(&mut self.ours, loops, &mut sample)),
            Halves(f) => in_softirq(|| f(&mut self.halves, loops, &mut sample)),
            Miss(f) => in_softirq(|| f(&mut self.miss, loops, &mut sample)),
            New(f) => {
                let mut new = pool(self.dev, Mode::Recycle, PAGES)?;
                in_softirq(|| f(&mut new, few, &mut sample));
            }
            Worst(slots) => {
                let mut new = pool(self.dev, Mode::Recycle, slots)?;
                let mut pages = KVVec::with_capacity(slots as usize, GFP_KERNEL)?;
                in_softirq(|| refill_worst(&mut new, &mut pages, &mut sample));
            }
            C(f, n) => self.peer.run(f, n, loops, &mut sample),
            NewPeer(f) => CPool::new(self.dev)?.run(f, 0, few, &mut sample),
        }
        Ok(sample)
    }
}

/// What the C twins work on.
///
/// # Invariants
///
/// The pool is one of `bench_peer_init()`, and its device is bound.
struct CPool<'dev>(c::bench_peer, PhantomData<&'dev Device<Bound>>);

// SAFETY: The twins may run on any thread, one at a time: that they do takes a mutable reference.
unsafe impl Sync for CPool<'_> {}

impl<'dev> CPool<'dev> {
    fn new(dev: Option<&'dev Device<Bound>>) -> Result<Self> {
        let dev = dev.map_or(null_mut(), |dev| {
            // CAST: `Device` is a transparent wrapper of `struct device`.
            core::ptr::from_ref(dev).cast_mut().cast()
        });
        let mut peer = c::bench_peer {
            pool: null_mut(),
            dev,
            n: 0,
        };
        // SAFETY: The device is valid, or null.
        to_result(unsafe { c::bench_peer_init(&mut peer, dev) })?;
        // INVARIANT: As just made.
        Ok(Self(peer, PhantomData))
    }

    fn run(&mut self, f: Peer, n: u32, loops: u64, sample: &mut Sample) {
        self.0.n = n;
        let peer = &*self;
        // SAFETY: By the type invariant; the sample is valid, and we are in softirq context.
        in_softirq(|| unsafe { f(&peer.0, loops, sample) });
    }
}

impl Drop for CPool<'_> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant. The loops have given all pages back.
        unsafe { c::bench_peer_exit(&mut self.0) };
    }
}

fn bstr(s: &CStr) -> &BStr {
    BStr::from_bytes(s.to_bytes())
}

struct Driver;

kernel::pci_device_table!(
    PCI_TABLE,
    <Driver as pci::Driver>::IdInfo,
    // QEMU's pci-testdev.
    [(pci::DeviceId::from_id(pci::Vendor::REDHAT, 0x5), ())]
);

impl pci::Driver for Driver {
    type IdInfo = ();
    type Data<'bound> = Self;
    const ID_TABLE: pci::IdTable<Self::IdInfo> = &PCI_TABLE;

    fn probe<'bound>(
        pdev: &'bound pci::Device<Core<'_>>,
        _info: Option<&'bound ()>,
    ) -> impl PinInit<Self, Error> + 'bound {
        pin_init::pin_init_scope(move || {
            pdev.enable_device_mem()?;
            // As each driver does it; it also tells the kernel whether syncs are needed.
            // SAFETY: Nothing is mapped for the device yet.
            unsafe { pdev.dma_set_mask_and_coherent(DmaMask::new::<64>())? };
            Bench::new(Some(pdev.as_ref()))?.run([CASES, MAPPED])?;
            Ok(Ok::<_, Error>(Self))
        })
    }
}

#[pin_data]
struct Module {
    #[pin]
    _driver: kernel::driver::Registration<pci::Adapter<Driver>>,
}

impl kernel::InPlaceModule for Module {
    fn init(module: &'static ThisModule) -> impl PinInit<Self, Error> {
        pin_init::pin_init_scope(move || {
            Bench::new(None)?.run([CASES, UNMAPPED])?;
            Ok(try_pin_init!(Self {
                _driver <- kernel::driver::Registration::new(
                    <Self as kernel::ModuleMetadata>::NAME,
                    module,
                ),
            }))
        })
    }
}

module! {
    type: Module,
    name: "page_pool_bench",
    authors: ["Rust page pool developers"],
    description: "The Rust page pool, the C page pool and the page allocator, side by side",
    license: "GPL",
    params: {
        loops: u64 {
            default: 100000,
            description: "Pages in each round",
        },
        rounds: u32 {
            default: 3,
            description: "How often each case is run, after a round that only warms up",
        },
    },
}
