// SPDX-License-Identifier: GPL-2.0

//! Bindings that the kernel's own `bindings` crate lacks: `net_device`, NAPI, XDP, page and DMA
//! calls, and the helpers of this project.
//!
//! Only `page_pool` and `net` use this crate; drivers never do.

#![allow(
    clippy::all,
    clippy::as_underscore,
    clippy::cast_lossless,
    clippy::ptr_as_ptr,
    clippy::ref_as_ptr,
    clippy::undocumented_unsafe_blocks,
    dead_code,
    improper_ctypes,
    missing_docs,
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    unreachable_pub,
    unsafe_op_in_unsafe_fn,
    unknown_lints,
    unnecessary_transmutes
)]

use kernel::ffi;

type __kernel_size_t = usize;
type __kernel_ssize_t = isize;
type __kernel_ptrdiff_t = isize;

include!(env!("RPP_BINDINGS"));
