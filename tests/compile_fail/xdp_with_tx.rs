// SPDX-License-Identifier: GPL-2.0
// error: E0502 cannot borrow `*napi` as mutable

//! Runs an XDP program while the transmit queue is locked.

use net::{napi::Napi, netdev::Operations, xdp::Program};
use page_pool::{CpuBuf, NapiPool};

/// A frame that the program redirects to the same device wants that lock again.
pub fn wrong<'id, D: Operations>(
    napi: &mut Napi<'_, D>,
    program: &Program<'_>,
    pool: &mut NapiPool<'id, '_>,
    buf: CpuBuf<'id>,
) {
    napi.with_tx(|_budget, _tx, _queue| {
        let _ = program.run(napi, pool, buf);
    });
}
