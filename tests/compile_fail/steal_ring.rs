// SPDX-License-Identifier: GPL-2.0
// error: E0603 module `tx` is private

//! A ring that is taken away while it runs.

use net::tx::TxRing;

pub fn wrong<D>(ring: &mut Option<TxRing<'_, D>>) {
    drop(ring.take());
}
