// SPDX-License-Identifier: GPL-2.0

//! What an XDP program may ask of a packet: what the card has said of it, by `struct xdp_metadata_ops`.
//!
//! The verifier lets a program call these that was loaded for this device, and is attached to it: so it runs in its
//! poll, and nowhere else. A packet of which nobody asks pays one store.
//!
//! C header: [`include/net/xdp.h`](srctree/include/net/xdp.h)

use crate::{
    desc::{
        Details,
        Hash,
        RxDescriptor, //
    },
    netdev::Operations,
    vtable::{
        only_if,
        Table, //
    },
    xdp::Context, //
};
use kernel::prelude::*;
use pp_bindings as bindings;

impl<'bound, D: Operations + 'bound> Table<'bound, D> {
    /// `struct xdp_metadata_ops`.
    pub(crate) const METADATA: bindings::xdp_metadata_ops = bindings::xdp_metadata_ops {
        xmo_rx_timestamp: None,
        xmo_rx_hash: only_if(D::Rx::HASH, Self::rx_hash),
        xmo_rx_vlan_tag: only_if(D::HAS_STRIP_VLAN, Self::rx_vlan_tag),
    };

    /// # Safety
    ///
    /// - `xdp` is what a program was called with in a poll of a device whose driver is `D`, and it still runs.
    /// - `value` and `kind` are valid to be written.
    unsafe extern "C" fn rx_hash(
        xdp: *const bindings::xdp_md,
        value: *mut u32,
        kind: *mut bindings::xdp_rss_hash_type,
    ) -> c_int {
        // SAFETY: The requirement is that of the caller's.
        let (words, features) = unsafe { Context::asked(xdp) };
        let Details {
            hash: Some(hash), ..
        } = D::Rx::details(words)
        else {
            return ENODATA.to_errno();
        };
        if features & bindings::RNET_F_RXHASH == 0 {
            return ENODATA.to_errno();
        }
        // SAFETY: By the safety requirement both may be written.
        unsafe {
            value.write(hash.value);
            kind.write(kind_of(hash));
        }
        0
    }

    /// # Safety
    ///
    /// - As for [`rx_hash`](Self::rx_hash).
    /// - `protocol` and `tag` are valid to be written.
    unsafe extern "C" fn rx_vlan_tag(
        xdp: *const bindings::xdp_md,
        protocol: *mut u16,
        tag: *mut u16,
    ) -> c_int {
        // SAFETY: The requirement is that of the caller's.
        let (words, _) = unsafe { Context::asked(xdp) };
        let Some(vlan) = D::Rx::details(words).vlan else {
            return ENODATA.to_errno();
        };
        // SAFETY: By the safety requirement both may be written.
        unsafe {
            protocol.write(bindings::RNET_VLAN_PROTO);
            tag.write(vlan);
        }
        0
    }
}

/// Returns how the core calls that kind of hash.
fn kind_of(hash: Hash) -> bindings::xdp_rss_hash_type {
    let network = match hash.ipv6 {
        true => bindings::xdp_rss_hash_type_XDP_RSS_L3_IPV6,
        false => bindings::xdp_rss_hash_type_XDP_RSS_L3_IPV4,
    };
    let l4 = bindings::xdp_rss_hash_type_XDP_RSS_L4;
    let ports = match (hash.ports, hash.udp) {
        (false, _) => 0,
        (true, false) => l4 | bindings::xdp_rss_hash_type_XDP_RSS_L4_TCP,
        (true, true) => l4 | bindings::xdp_rss_hash_type_XDP_RSS_L4_UDP,
    };
    network | ports
}
