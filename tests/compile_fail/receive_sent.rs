// SPDX-License-Identifier: GPL-2.0
// error: E0603 module `skb` is private

//! Hands to the stack, as received, what the stack wants to be sent: a driver has neither.

use net::skb::SkBuff;

/// It may be shared, or have clones, and GRO writes to it.
pub fn wrong(skb: SkBuff) {
    drop(skb);
}
