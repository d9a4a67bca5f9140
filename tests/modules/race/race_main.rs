// SPDX-License-Identifier: GPL-2.0

//! The last return of a page against the end of its pool, on different CPUs.
//!
//! The C page pool was used after it was freed twice, on that path. So here pools are made, all of their
//! pages are given away, other CPUs return those, in all contexts, and the pool ends at the same time.
//! Bound to a PCI device (QEMU's `pci-testdev`) so that there are mappings, of which each has to be
//! removed once. What would go wrong is found by KASAN, DMA_API_DEBUG and the counters.

use core::ptr::NonNull;
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
    pci,
    prelude::*, //
};
use page_pool::{
    context::BhGuard,
    Mode,
    PagePool,
    Params,
    Stats, //
};
use pp_bindings as bindings;

extern "C" {
    fn race_start(pages: *mut c_void, count: usize) -> c_int;
    fn race_wait();
    fn race_widen() -> c_int;
    fn race_narrow();
}

/// Whoever removes a mapping takes its time, as long as this lives.
struct Widened(());

impl Widened {
    fn new() -> Result<Self> {
        // SAFETY: Process context; undone when the result is dropped.
        to_result(unsafe { race_widen() })?;
        Ok(Self(()))
    }
}

impl Drop for Widened {
    fn drop(&mut self) {
        // SAFETY: Registered by `new()`.
        unsafe { race_narrow() };
    }
}

/// How pages got back.
#[derive(Default)]
struct Outcome {
    pages: u64,
    /// Into a ring or the list: the pool was there.
    recycled: u64,
    /// The returner removed the mapping: the pool was ending.
    released: u64,
    /// The pool removed the mapping, or had done so before.
    revoked: u64,
    /// Removed twice, or never.
    wrong: u64,
}

impl Outcome {
    fn add(&mut self, stats: &Stats, pages: u64) {
        let values = stats.snapshot();
        let value = |name| {
            let named = Stats::NAMES.iter().zip(values).find(|(n, _)| **n == name);
            named.map_or(0, |(_, value)| value)
        };
        let recycled = value("rx_pp_recycle_ring")
            .saturating_add(value("rx_pp_recycle_ring_full"))
            .saturating_add(value("rx_pp_returned_irq"));
        let released = value("rx_pp_released");
        let revoked = value("rx_pp_revoked");
        self.pages = self.pages.saturating_add(pages);
        self.recycled = self.recycled.saturating_add(recycled);
        self.released = self.released.saturating_add(released);
        self.revoked = self.revoked.saturating_add(revoked);
        self.wrong = self
            .wrong
            .saturating_add(
                pages.abs_diff(recycled.saturating_add(released).saturating_add(revoked)),
            )
            .saturating_add(value("rx_pp_mapped").abs_diff(value("rx_pp_unmapped")))
            .saturating_add(value("rx_pp_owned"))
            .saturating_add(value("rx_pp_escaped"))
            .saturating_add(value("rx_pp_unbalanced"));
    }
}

/// One pool, its pages, and the race for them.
fn race(dev: &Device<Bound>, count: u32, outcome: &mut Outcome) -> Result {
    let params = Params {
        pages: count,
        ring: 0,
        mode: Mode::Recycle,
    };
    // SAFETY: Dropped in process context before the device is unbound, which gets no address.
    let mut pool: PagePool<'_> = unsafe { PagePool::new(dev, c"race", params) }?;
    let mut pages = KVVec::<NonNull<bindings::page>>::with_capacity(count as usize, GFP_KERNEL)?;
    while pages.len() < pages.capacity() {
        let before = pages.len();
        let bh = BhGuard::new()?;
        pool.enter(&bh.token(), |mut napi| {
            // A batch, for bottom halves are off meanwhile.
            for _ in 0..64 {
                let Ok(buf) = napi.alloc() else {
                    break;
                };
                // SAFETY: The device never had it, and nobody looks at its bytes.
                let buf = unsafe { napi.sync_for_cpu(buf, 64) };
                // There is room: a pool has no more pages than it was made for.
                let _ = pages.push_within_capacity(napi.into_stack(buf).into_page());
            }
        });
        if pages.len() == before {
            break;
        }
    }

    let stats = pool.stats();
    // SAFETY: These are pages whose references are ours. They are given away, and the array stays
    // until `race_wait()`. CAST: A `NonNull` is a pointer.
    to_result(unsafe { race_start(pages.as_mut_ptr().cast(), pages.len()) })?;
    drop(pool);
    // Pages still come back, but nobody is in the pool any more: it has counted all that it will.
    outcome.add(&stats, pages.len() as u64);
    // Its memory goes now, and not after the race: KASAN knows who is there nevertheless.
    drop(stats);
    // SAFETY: Process context.
    unsafe { race_wait() };
    Ok(())
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
            // SAFETY: Nothing is mapped for the device yet.
            unsafe { pdev.dma_set_mask_and_coherent(DmaMask::new::<64>())? };

            let _widened = Widened::new()?;
            let mut all = Outcome::default();
            for _ in 0..*module_parameters::pools.value_ref() {
                race(
                    pdev.as_ref(),
                    *module_parameters::pages.value_ref(),
                    &mut all,
                )?;
            }
            pr_info!(
                "pages={} recycled={} released={} revoked={} wrong={}\n",
                all.pages,
                all.recycled,
                all.released,
                all.revoked,
                all.wrong
            );
            Ok(Ok::<_, Error>(Self))
        })
    }
}

kernel::module_pci_driver! {
    type: Driver,
    name: "race",
    authors: ["Rust page pool developers"],
    description: "Pages return while their pool ends, for tests",
    license: "GPL",
    params: {
        pools: u32 {
            default: 100,
            description: "How many pools, one after the other",
        },
        pages: u32 {
            default: 8192,
            description: "How many pages each of them has",
        },
    },
}
