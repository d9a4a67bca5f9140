// SPDX-License-Identifier: GPL-2.0
// error: E0603 module `xdp` is private

//! A frame that is freed with interrupts off.

use net::xdp::Frame;

pub fn wrong(frame: Frame) {
    drop(frame);
}
