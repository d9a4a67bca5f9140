// SPDX-License-Identifier: GPL-2.0

//! What a pool takes of the kernel's memory on a large machine: at most 64 KB, and 64 bytes a slot.

#![cfg(not(loom))]

use page_pool::{page, pool::Pool};
use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

const CPUS: u32 = 256;
/// So many of them return pages.
const RETURNING: usize = 8;

/// Counts the bytes that are allocated, as the kernel's allocators would round them.
struct Counting;

static BYTES: AtomicUsize = AtomicUsize::new(0);

/// The sizes of `kmalloc()`, the largest from the page allocator. `kvmalloc()` takes it as well, if it can.
fn kmalloc_size(size: usize) -> usize {
    match size {
        0 => 0,
        65..=96 => 96,
        129..=192 => 192,
        _ => size.next_power_of_two().max(8),
    }
}

// SAFETY: The system's allocator does all of it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BYTES.fetch_add(kmalloc_size(layout.size()), Relaxed);
        // SAFETY: By this function's requirement.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        BYTES.fetch_sub(kmalloc_size(layout.size()), Relaxed);
        // SAFETY: By this function's requirement.
        unsafe { System.dealloc(ptr, layout) };
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// The bytes of a pool of so many slots.
fn pool_of(slots: usize) -> usize {
    let before = BYTES.load(Relaxed);
    let pool = Pool::new(slots, slots as u32, CPUS);
    // Each CPU's first page takes the list, and the next refill makes a ring for it.
    for cpu in 0..RETURNING {
        assert!(pool.grow(cpu));
        let page = pool.alloc(0).unwrap();
        pool.into_stack(page);
        pool.put_page(page, cpu * 3);
        let page = pool.alloc(0).unwrap();
        pool.into_stack(page);
        pool.put_page(page, cpu * 3);
        assert_eq!(pool.rings(), cpu + 1);
        assert!(pool.alloc(0).is_some());
    }
    // The system's pages are not the pool's.
    BYTES.load(Relaxed) - before - kmalloc_size(slots * size_of::<page>())
}

#[test]
fn a_pool_on_a_large_machine() {
    for slots in [256, 512, 600, 1024, 1500, 2560, 10_240, 100_000] {
        let bytes = pool_of(slots);
        println!(
            "{slots} slots, {CPUS} CPUs, {RETURNING} of which return pages: {bytes} bytes, {} less than allowed",
            64 * 1024 + 64 * slots - bytes
        );
        assert!(bytes <= 64 * 1024 + 64 * slots);
    }
}
