// SPDX-License-Identifier: GPL-2.0
// error: E0603 module `napi` is private

//! A pool that is dropped in softirq would sleep there: a driver is not in the poll, and has no pool.

use net::napi::Napi;

pub fn wrong(_napi: &mut Napi<'_>) {}
