// SPDX-License-Identifier: GPL-2.0
// error: E0308 mismatched types

//! Hands to the stack, as received, what the stack wants to be sent.

use net::{
    napi::Napi,
    netdev::Operations,
    skb::{Checksum, SkBuff},
};

/// It may be shared, or have clones, and GRO writes to it.
pub fn wrong<D: Operations>(napi: &Napi<'_, D>, skb: SkBuff) {
    napi.receive(skb, Checksum::None);
}
