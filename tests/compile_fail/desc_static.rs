// SPDX-License-Identifier: GPL-2.0
// error: E0603 module `dma` is private

//! Memory of descriptors that outlives the device: a driver has none.

use net::dma::DescRing;

pub fn wrong(ring: DescRing) -> impl Send + 'static {
    ring
}
