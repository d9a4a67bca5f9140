// SPDX-License-Identifier: GPL-2.0

//! The callbacks of the C ops tables in `rust/helpers/net.c`.
//!
//! Each is called with the `core` pointer that `Core::new()` gave to `rnet_alloc()`, and only
//! between registration and unregistration; so the pointer is valid, and shared.

#![expect(
    clippy::missing_safety_doc,
    reason = "the same for all of them, and said above"
)]

use crate::{
    device::Core,
    ethtool::Visitor,
    napi::Napi,
    netdev::{Operations, Rings, RxMode},
    queue::TxQueue,
    skb::{DropReason, SkBuff},
    xdp::Frame,
};
use core::{cell::Cell, marker::PhantomData, ptr::NonNull};
use kernel::{error::from_result, ffi::c_void, prelude::*, sync::atomic::Relaxed};
use pp_bindings as bindings;

pub(crate) struct Table<D: Operations>(PhantomData<D>);

impl<D: Operations> Table<D> {
    pub(crate) const TABLE: bindings::rnet_vtable = bindings::rnet_vtable {
        open: Some(open::<D>),
        stop: Some(stop::<D>),
        start_xmit: Some(start_xmit::<D>),
        xdp_xmit: Some(xdp_xmit::<D>),
        poll: Some(poll::<D>),
        interrupt: Some(interrupt::<D>),
        reset: Some(reset::<D>),
        set_rx_mode: Some(set_rx_mode::<D>),
        set_mac: Some(set_mac::<D>),
        change_mtu: Some(change_mtu::<D>),
        get_stats: Some(get_stats::<D>),
        get_rings: Some(get_rings::<D>),
        set_rings: Some(set_rings::<D>),
        stat_count: Some(stat_count::<D>),
        stat_names: Some(stat_names::<D>),
        stat_values: Some(stat_values::<D>),
        link_speed: Some(link_speed::<D>),
    };
}

/// # Safety
///
/// `core` is the pointer described at the top of this file.
#[inline]
unsafe fn get<'a, D: Operations>(core: *mut c_void) -> &'a Core<D> {
    // SAFETY: By the safety requirement.
    unsafe { &*core.cast() }
}

unsafe extern "C" fn open<D: Operations>(core: *mut c_void) -> c_int {
    // SAFETY: See the top of this file.
    let core = unsafe { get::<D>(core) };
    from_result(|| core.open().map(|()| 0))
}

unsafe extern "C" fn stop<D: Operations>(core: *mut c_void) -> c_int {
    // SAFETY: See the top of this file.
    unsafe { get::<D>(core) }.stop();
    0
}

unsafe extern "C" fn reset<D: Operations>(core: *mut c_void) {
    // SAFETY: See the top of this file.
    let core = unsafe { get::<D>(core) };
    if core.restart(None).is_err() {
        pr_err!("reset after a transmit timeout failed\n");
    }
}

unsafe extern "C" fn start_xmit<D: Operations>(
    core: *mut c_void,
    skb: *mut c_void,
    more: c_int,
) -> c_int {
    // SAFETY: See the top of this file.
    let core = unsafe { get::<D>(core) };
    let Some(skb) = NonNull::new(skb.cast()) else {
        return 0;
    };
    let given = skb.as_ptr();
    // SAFETY: The core gives us the skb.
    let skb = unsafe { SkBuff::from_raw(skb) };
    // SAFETY: The core holds the lock around this call.
    let queue = unsafe { TxQueue::new(core) };
    // SAFETY: As above.
    let Some(tx) = (unsafe { core.tx() }) else {
        skb.free(DropReason::DevReady);
        return 0;
    };
    match core.ops.start_xmit(tx, &queue, skb, more != 0) {
        Ok(()) => 0,
        // The core keeps it and tries again.
        Err(skb) if skb.as_raw() == given => {
            skb.into_raw();
            1
        }
        // Another one, so the driver has this one; the other one is freed.
        Err(_) => 0,
    }
}

unsafe extern "C" fn xdp_xmit<D: Operations>(
    core: *mut c_void,
    n: c_int,
    frames: *mut c_void,
    flags: u32,
) -> c_int {
    if flags != 0 && flags != bindings::XDP_XMIT_FLUSH {
        return EINVAL.to_errno();
    }
    let flush = flags == bindings::XDP_XMIT_FLUSH;
    let frames = frames.cast::<*mut bindings::xdp_frame>();
    // SAFETY: See the top of this file.
    let core = unsafe { get::<D>(core) };
    // SAFETY: Called in softirq, by the flush of another device's poll.
    let sent = unsafe {
        core.with_tx(|tx, _queue| {
            let mut sent: c_int = 0;
            while sent < n {
                // SAFETY: The array has `n` frames. CAST: Not negative.
                let Some(given) = NonNull::new(*frames.add(sent as usize)) else {
                    break;
                };
                // SAFETY: The frame is ours unless we count it as not sent.
                let Some(frame) = Frame::from_raw(given) else {
                    break;
                };
                match core.ops.xdp_xmit(tx, frame) {
                    Err(frame) if frame.as_raw() == given.as_ptr() => {
                        frame.forget();
                        break;
                    }
                    // As in start_xmit(): an error that names another frame is freed.
                    _ => {}
                }
                sent = sent.wrapping_add(1);
            }
            if flush {
                core.ops.xdp_flush(tx);
            }
            sent
        })
    };
    sent.unwrap_or(ENETDOWN.to_errno())
}

unsafe extern "C" fn poll<D: Operations>(core: *mut c_void, budget: c_int) -> c_int {
    // SAFETY: See the top of this file.
    let core = unsafe { get::<D>(core) };
    // Netpoll, which may call from a hard interrupt: that is not the context that `Napi` stands for.
    // It can send as long as there is room, and the next ordinary poll makes room.
    if budget == 0 {
        return 0;
    }
    let redirected = Cell::new(false);
    // SAFETY: This is the poll.
    let mut napi = unsafe { Napi::new(core, budget, &redirected) };
    // SAFETY: As above.
    let Some(rx) = (unsafe { core.rx() }) else {
        return 0;
    };
    // CAST: Never negative.
    let done = core.ops.poll(rx, &mut napi, budget as usize);
    if redirected.get() {
        // Not left to the driver: the lists of what was redirected are on this poll's stack.
        // SAFETY: In the poll that redirected.
        unsafe { bindings::xdp_do_flush() };
    }
    // A driver may say anything, and what does not fit a c_int would come out negative. CAST: At most
    // the budget.
    let done = done.min(budget as usize) as c_int;
    if done < budget {
        // SAFETY: We are in the poll of this instance, and do nothing after this.
        if unsafe { bindings::napi_complete_done(napi.as_raw(), done) } {
            core.ops.unmask_interrupts();
        }
    }
    done
}

unsafe extern "C" fn interrupt<D: Operations>(core: *mut c_void) -> c_int {
    // SAFETY: See the top of this file.
    let core = unsafe { get::<D>(core) };
    if !core.listening.load(Relaxed) {
        return 0;
    }
    let events = core.ops.interrupt();
    if !events.ours {
        return 0;
    }
    if events.link {
        core.update_carrier();
    }
    if events.packets {
        // SAFETY: A place in the device's private area.
        let napi = unsafe { &raw mut (*core.dev.private()).napi };
        // SAFETY: The instance is valid.
        if unsafe { bindings::napi_schedule_prep(napi) } {
            core.ops.mask_interrupts();
            // SAFETY: Prepared just above.
            unsafe { bindings::__napi_schedule(napi) };
        }
    }
    1
}

unsafe extern "C" fn set_rx_mode<D: Operations>(
    core: *mut c_void,
    flags: u32,
    multicast: *mut c_void,
) -> c_int {
    // SAFETY: See the top of this file.
    let core = unsafe { get::<D>(core) };
    // SAFETY: The core's list, which is a snapshot or locked.
    let mode = unsafe { RxMode::new(flags, multicast.cast()) };
    core.ops.set_rx_mode(&mode);
    0
}

unsafe extern "C" fn set_mac<D: Operations>(core: *mut c_void, mac: *mut c_void) -> c_int {
    // SAFETY: See the top of this file.
    let core = unsafe { get::<D>(core) };
    // SAFETY: The core gives us an Ethernet address.
    let mac = unsafe { &*mac.cast::<[u8; 6]>() };
    from_result(|| core.ops.set_mac(mac).map(|()| 0))
}

unsafe extern "C" fn change_mtu<D: Operations>(core: *mut c_void, mtu: u32) -> c_int {
    // SAFETY: See the top of this file.
    let core = unsafe { get::<D>(core) };
    from_result(|| core.ops.set_mtu(mtu).map(|()| 0))
}

unsafe extern "C" fn get_stats<D: Operations>(core: *mut c_void, storage: *mut c_void) {
    // SAFETY: See the top of this file.
    let core = unsafe { get::<D>(core) };
    // SAFETY: The core gives us a zeroed structure to fill.
    let s = unsafe { &mut *storage.cast::<bindings::rtnl_link_stats64>() };
    let (rx, tx) = (&core.rx_stats, &core.tx_stats);
    s.rx_packets = rx.packets.get();
    s.rx_bytes = rx.bytes.get();
    s.rx_dropped = rx.dropped.get();
    s.rx_errors = rx.errors.get();
    s.rx_missed_errors = core.ops.missed();
    s.tx_packets = tx.packets.get();
    s.tx_bytes = tx.bytes.get();
    s.tx_dropped = tx.dropped.get();
}

unsafe extern "C" fn get_rings<D: Operations>(
    core: *mut c_void,
    rx: *mut u32,
    tx: *mut u32,
    rx_max: *mut u32,
    tx_max: *mut u32,
) {
    // SAFETY: See the top of this file.
    let core = unsafe { get::<D>(core) };
    let rings = core.control.lock().rings;
    let max = *core.ops.features().ring_sizes.end();
    // SAFETY: The pointers are valid for writes.
    unsafe {
        *rx = rings.rx;
        *tx = rings.tx;
        *rx_max = max;
        *tx_max = max;
    }
}

unsafe extern "C" fn set_rings<D: Operations>(core: *mut c_void, rx: u32, tx: u32) -> c_int {
    // SAFETY: See the top of this file.
    let core = unsafe { get::<D>(core) };
    let features = core.ops.features();
    let fit = |n: u32| {
        let n = n.checked_next_multiple_of(features.ring_multiple)?;
        let n = n.max(*features.ring_sizes.start());
        features.ring_sizes.contains(&n).then_some(n)
    };
    let (Some(rx), Some(tx)) = (fit(rx), fit(tx)) else {
        return EINVAL.to_errno();
    };
    from_result(|| core.restart(Some(Rings { rx, tx })).map(|()| 0))
}

unsafe extern "C" fn stat_count<D: Operations>(core: *mut c_void) -> c_int {
    // SAFETY: See the top of this file.
    let core = unsafe { get::<D>(core) };
    // CAST: A few dozen.
    core.control.lock().counters as c_int
}

unsafe extern "C" fn stat_names<D: Operations>(core: *mut c_void, names: *mut u8) {
    // SAFETY: See the top of this file.
    let core = unsafe { get::<D>(core) };
    let n = core.control.lock().counters;
    // SAFETY: The core has made room for what stat_count() said, which is the same each time.
    let names = unsafe { core::slice::from_raw_parts_mut(names.cast(), n) };
    core.ops.statistics(&mut Visitor::names(names));
}

unsafe extern "C" fn stat_values<D: Operations>(core: *mut c_void, values: *mut u64) {
    // SAFETY: See the top of this file.
    let core = unsafe { get::<D>(core) };
    let n = core.control.lock().counters;
    // SAFETY: As in stat_names().
    let values = unsafe { core::slice::from_raw_parts_mut(values, n) };
    core.ops.statistics(&mut Visitor::values(values));
}

unsafe extern "C" fn link_speed<D: Operations>(
    core: *mut c_void,
    speed: *mut u32,
    full_duplex: *mut u8,
) -> c_int {
    // SAFETY: See the top of this file.
    let core = unsafe { get::<D>(core) };
    let Some(link) = core.ops.link() else {
        return ENOLINK.to_errno();
    };
    // SAFETY: The pointers are valid for writes.
    unsafe {
        *speed = link.speed;
        *full_duplex = link.full_duplex.into();
    }
    0
}
