// SPDX-License-Identifier: GPL-2.0

//! What `rust/page_pool/shared.rs` takes from the kernel's crate of this name.

/// As in the kernel.
pub mod ffi {
    pub use std::ffi::c_ulong;
}

/// As in the kernel.
pub mod page {
    /// Bytes in a page.
    pub const PAGE_SIZE: usize = 4096;
}

/// As in the kernel.
pub mod str {
    pub use std::ffi::CString;
}

/// Errors, as in the kernel.
pub mod error {
    /// An error, without its number.
    #[derive(Debug, PartialEq, Eq)]
    pub struct Error;

    impl From<std::convert::Infallible> for Error {
        fn from(never: std::convert::Infallible) -> Self {
            match never {}
        }
    }

    /// The same.
    pub type Result<T = (), E = Error> = core::result::Result<T, E>;
}

/// As in the kernel.
pub mod prelude {
    pub use crate::{
        alloc::PushWithinCapacity,
        error::{Error, Result},
    };
    pub use std::ffi::CStr;

    /// A number is out of range.
    pub const ERANGE: Error = Error;
}

/// What the kernel's vectors can do, and `Vec` cannot.
pub mod alloc {
    /// See [`push_within_capacity`](Self::push_within_capacity).
    pub trait PushWithinCapacity<T> {
        /// Appends, if that needs no allocation.
        fn push_within_capacity(&mut self, value: T) -> Result<(), T>;
    }

    impl<T> PushWithinCapacity<T> for Vec<T> {
        fn push_within_capacity(&mut self, value: T) -> Result<(), T> {
            if self.len() == self.capacity() {
                return Err(value);
            }
            self.push(value);
            Ok(())
        }
    }
}

/// As in the kernel.
pub mod cpu {
    use std::cell::Cell;

    thread_local! {
        /// How many CPUs there are for those who ask on this thread.
        pub static CPUS: Cell<u32> = const { Cell::new(1) };
    }

    /// How many CPUs there can be.
    pub fn nr_cpu_ids() -> u32 {
        CPUS.get()
    }
}
