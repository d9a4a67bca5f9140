// SPDX-License-Identifier: GPL-2.0

//! The ring's own source on atomics whose stores of null are `Relaxed`, whatever is asked for.

#![allow(dead_code, unreachable_pub)]

pub mod platform {
    pub use page_pool::platform::{block_from_fn, AllocError, AtomicUsize, Block, Ordering};

    pub struct AtomicPtr<T>(page_pool::platform::AtomicPtr<T>);

    impl<T> AtomicPtr<T> {
        pub fn new(ptr: *mut T) -> Self {
            Self(page_pool::platform::AtomicPtr::new(ptr))
        }

        pub fn load(&self, ordering: Ordering) -> *mut T {
            self.0.load(ordering)
        }

        pub fn store(&self, ptr: *mut T, ordering: Ordering) {
            let ordering = if !ptr.is_null() {
                ordering
            } else {
                Ordering::Relaxed
            };
            self.0.store(ptr, ordering);
        }
    }
}

#[path = "../../../../../rust/page_pool/core/ptr_ring.rs"]
pub mod ptr_ring;
