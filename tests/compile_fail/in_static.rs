// SPDX-License-Identifier: GPL-2.0
// error: E0277 cannot be shared between threads safely

//! Keeps a buffer in a static.

use page_pool::CpuBuf;

/// A buffer of no pool, for anybody.
pub static KEPT: Option<CpuBuf<'static>> = None;
