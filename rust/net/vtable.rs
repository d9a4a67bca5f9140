// SPDX-License-Identifier: GPL-2.0

//! What the core calls: `struct net_device_ops`, the poll, and `struct netdev_stat_ops`.
//!
//! C headers: [`include/linux/netdevice.h`](srctree/include/linux/netdevice.h),
//! [`include/net/netdev_queues.h`](srctree/include/net/netdev_queues.h)

use crate::{
    device::{
        Channel,
        Core, //
    },
    napi::Napi,
    netdev::{
        Operations,
        RxMode,
        Side, //
    },
    queue::Queue,
    skb::{
        DropReason,
        SkBuff, //
    },
    xdp::Frame, //
};
use core::{
    cell::Cell,
    marker::PhantomData,
    mem::MaybeUninit,
    ptr::NonNull, //
};
use kernel::{
    error::from_result,
    prelude::*,
    sync::atomic::Relaxed, //
};
use pp_bindings as bindings;

/// The tables of a driver.
///
/// # Invariants
///
/// The core calls what is in here with a device whose private area holds a pointer to its [`Core`], and between
/// its registration and unregistration only.
pub(crate) struct Table<'bound, D: Operations + 'bound>(PhantomData<fn() -> (&'bound (), D)>);

/// Returns the core that belongs to a device.
///
/// # Safety
///
/// `dev` is a device whose private area holds a pointer to its core, with that driver, and the core lives for
/// as long as `'a`.
#[inline]
pub(crate) unsafe fn core_of<'a, 'bound, D: Operations + 'bound>(
    dev: *mut bindings::net_device,
) -> &'a Core<'bound, D> {
    // SAFETY: By the safety requirement.
    unsafe { &**(*dev).priv_.as_ptr().cast::<*const Core<'bound, D>>() }
}

impl<'bound, D: Operations + 'bound> Table<'bound, D> {
    /// `struct net_device_ops`.
    pub(crate) const NETDEV: bindings::net_device_ops = bindings::net_device_ops {
        ndo_open: Some(Self::open),
        ndo_stop: Some(Self::stop),
        ndo_start_xmit: Some(Self::start_xmit),
        ndo_set_rx_mode_async: if D::HAS_SET_RX_MODE {
            Some(Self::set_rx_mode)
        } else {
            None
        },
        ndo_set_mac_address: Some(Self::set_mac_address),
        ndo_validate_addr: Some(bindings::eth_validate_addr),
        ndo_change_mtu: Some(Self::change_mtu),
        ndo_get_stats64: Some(Self::get_stats64),
        ndo_tx_timeout: Some(Self::tx_timeout),
        ndo_bpf: Some(Self::bpf),
        ndo_xdp_xmit: Some(Self::xdp_xmit),
        // SAFETY: All callbacks may be left out.
        ..unsafe { MaybeUninit::zeroed().assume_init() }
    };

    /// `struct netdev_stat_ops`.
    pub(crate) const STATS: bindings::netdev_stat_ops = bindings::netdev_stat_ops {
        get_queue_stats_rx: Some(Self::queue_stats_rx),
        get_queue_stats_tx: Some(Self::queue_stats_tx),
        get_base_stats: Some(Self::base_stats),
    };

    /// # Safety
    ///
    /// See the type invariant.
    unsafe extern "C" fn open(dev: *mut bindings::net_device) -> c_int {
        // SAFETY: By the safety requirement.
        let core = unsafe { core_of::<D>(dev) };
        from_result(|| core.open().map(|()| 0))
    }

    /// # Safety
    ///
    /// See the type invariant.
    unsafe extern "C" fn stop(dev: *mut bindings::net_device) -> c_int {
        // SAFETY: By the safety requirement.
        unsafe { core_of::<D>(dev) }.stop();
        0
    }

    /// # Safety
    ///
    /// See the type invariant. The core holds the queue's lock, and gives us the skb.
    unsafe extern "C" fn start_xmit(
        skb: *mut bindings::sk_buff,
        dev: *mut bindings::net_device,
    ) -> bindings::netdev_tx_t {
        // SAFETY: By the safety requirement.
        let core = unsafe { core_of::<D>(dev) };
        // SAFETY: By the safety requirement it is valid, and ours.
        let (queue, skb) = unsafe {
            let skb = NonNull::new_unchecked(skb);
            (
                bindings::rnet_skb_queue(skb.as_ptr()),
                SkBuff::from_raw(skb),
            )
        };
        let Some(channel) = core.channel(queue.into()) else {
            skb.free(DropReason::DevReady);
            return bindings::netdev_tx_NETDEV_TX_OK;
        };
        // SAFETY: By the safety requirement.
        let locked = unsafe { channel.queue.assume_locked() };
        // SAFETY: It is that queue's, and used until the end of this function.
        let Some(tx) = (unsafe { channel.tx.get(&locked) }) else {
            skb.free(DropReason::DevReady);
            return bindings::netdev_tx_NETDEV_TX_OK;
        };
        // SAFETY: In `ndo_start_xmit`.
        let more = unsafe { bindings::rnet_xmit_more() };
        match tx.xmit(&locked, skb, more, |tail| channel.doorbell(Side::Tx, tail)) {
            Ok(()) => bindings::netdev_tx_NETDEV_TX_OK,
            Err(skb) => {
                // The core keeps it and tries again.
                skb.into_raw();
                bindings::netdev_tx_NETDEV_TX_BUSY
            }
        }
    }

    /// # Safety
    ///
    /// See the type invariant. In softirq, with `n` frames; those that count as sent are ours.
    unsafe extern "C" fn xdp_xmit(
        dev: *mut bindings::net_device,
        n: c_int,
        frames: *mut *mut bindings::xdp_frame,
        flags: u32,
    ) -> c_int {
        if flags & !bindings::XDP_XMIT_FLUSH != 0 {
            return EINVAL.to_errno();
        }
        // SAFETY: By the safety requirement.
        let core = unsafe { core_of::<D>(dev) };
        // SAFETY: May be asked anywhere. CAST: u32 fits.
        let cpu = unsafe { bindings::rpp_cpu() } as usize;
        let Some(channel) = core.channel(cpu % core.channels.len().max(1)) else {
            return ENETDOWN.to_errno();
        };
        // SAFETY: In softirq, and no poll redirects with the lock of a queue held.
        let locked = unsafe { channel.queue.lock() };
        // SAFETY: It is that queue's, and used until the end of this function.
        let Some(tx) = (unsafe { channel.tx.get(&locked) }) else {
            return ENETDOWN.to_errno();
        };
        let mut sent: c_int = 0;
        while sent < n {
            // SAFETY: The array has `n` frames. CAST: Not negative.
            let Some(given) = NonNull::new(unsafe { *frames.add(sent as usize) }) else {
                break;
            };
            // SAFETY: The frame is ours unless we count it as not sent.
            let Some(frame) = (unsafe { Frame::from_raw(given) }) else {
                break;
            };
            if let Err(frame) = tx.xmit_frame(&locked, frame) {
                frame.forget();
                break;
            }
            sent = sent.wrapping_add(1);
        }
        if flags & bindings::XDP_XMIT_FLUSH != 0 {
            tx.ring_doorbell(|tail| channel.doorbell(Side::Tx, tail));
        }
        sent
    }

    /// The poll of a NAPI instance.
    ///
    /// # Safety
    ///
    /// See the type invariant. `napi` is that of a queue of a channel.
    pub(crate) unsafe extern "C" fn poll(napi: *mut bindings::napi_struct, budget: c_int) -> c_int {
        // SAFETY: By the safety requirement.
        let queue = unsafe { Queue::of_napi(napi) }.cast_mut();
        // SAFETY: By the safety requirement; the channel outlives the instance.
        let channel = unsafe { &*kernel::container_of!(queue, Channel<'bound, D>, queue) };
        let core = channel.core();
        // Netpoll, which may call from a hard interrupt: that is not the context that `Napi` stands for. What
        // was sent makes room nevertheless.
        if budget == 0 {
            // SAFETY: It is that queue's.
            unsafe { channel.tx.clean_netpoll(&channel.queue) };
            return 0;
        }
        let redirected = Cell::new(false);
        // SAFETY: This is the poll.
        let mut napi = unsafe { Napi::new(&channel.queue, budget, &redirected) };
        // SAFETY: As above.
        let Some(rx) = (unsafe { channel.rx() }) else {
            // SAFETY: We are in the poll of this instance, and do nothing after this.
            unsafe { bindings::napi_complete_done(channel.queue.napi(), 0) };
            return 0;
        };
        // CAST: Never negative.
        // SAFETY: Both rings are that queue's.
        let done = unsafe { rx.poll(&core.ops, &mut napi, &channel.tx, budget as usize) };
        if redirected.get() {
            // The lists of what was redirected are on this poll's stack.
            // SAFETY: In the poll that redirected.
            unsafe { bindings::xdp_do_flush() };
        }
        // CAST: At most the budget.
        let done = done as c_int;
        if done < budget {
            if rx.is_empty() {
                channel.queue.schedule_later();
            }
            // SAFETY: We are in the poll of this instance, and do nothing after this.
            if unsafe { bindings::napi_complete_done(channel.queue.napi(), done) } {
                // Else that comes when the handler listens: an interrupt that nobody acknowledges comes again.
                if core.listening.load(Relaxed) {
                    core.ops.unmask(channel.index());
                }
            }
        }
        done
    }

    /// # Safety
    ///
    /// See the type invariant. The lists do not change meanwhile.
    unsafe extern "C" fn set_rx_mode(
        dev: *mut bindings::net_device,
        _unicast: *mut bindings::netdev_hw_addr_list,
        multicast: *mut bindings::netdev_hw_addr_list,
    ) -> c_int {
        // SAFETY: By the safety requirement.
        let core = unsafe { core_of::<D>(dev) };
        // SAFETY: By the safety requirement; the device is valid.
        let mode = unsafe { RxMode::new((*dev).flags, multicast) };
        core.ops.set_rx_mode(&mode);
        0
    }

    /// # Safety
    ///
    /// See the type invariant. `addr` is a `struct sockaddr`.
    unsafe extern "C" fn set_mac_address(
        dev: *mut bindings::net_device,
        addr: *mut c_void,
    ) -> c_int {
        // SAFETY: By the safety requirement.
        let core = unsafe { core_of::<D>(dev) };
        // SAFETY: By the safety requirement.
        let err = unsafe { bindings::eth_prepare_mac_addr_change(dev, addr) };
        if err != 0 {
            return err;
        }
        if D::HAS_SET_MAC {
            // SAFETY: An Ethernet address, as was just checked.
            let mac = unsafe { &*(&raw const (*addr.cast::<bindings::sockaddr>()).sa_data).cast() };
            if let Err(e) = core.ops.set_mac(mac) {
                return e.to_errno();
            }
        }
        // SAFETY: By the safety requirement.
        unsafe { bindings::eth_commit_mac_addr_change(dev, addr) };
        0
    }

    /// # Safety
    ///
    /// See the type invariant.
    unsafe extern "C" fn change_mtu(dev: *mut bindings::net_device, mtu: c_int) -> c_int {
        // SAFETY: By the safety requirement.
        let core = unsafe { core_of::<D>(dev) };
        // CAST: The core has checked the range.
        let mtu = mtu as u32;
        from_result(|| {
            if D::HAS_SET_MTU {
                core.ops.set_mtu(mtu)?;
            }
            // SAFETY: The device is valid, and its lock is held. Others read it at any time.
            unsafe { (&raw mut (*dev).mtu).write_volatile(mtu) };
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// See the type invariant. `stats` is zeroed.
    unsafe extern "C" fn get_stats64(
        dev: *mut bindings::net_device,
        stats: *mut bindings::rtnl_link_stats64,
    ) {
        // SAFETY: By the safety requirement.
        let (core, stats) = unsafe { (core_of::<D>(dev), &mut *stats) };
        for channel in &core.channels {
            let (rx, tx) = (&channel.queue.rx, &channel.queue.tx);
            let add = |sum: &mut u64, n: u64| *sum = sum.wrapping_add(n);
            add(&mut stats.rx_packets, rx.packets.get());
            add(&mut stats.rx_bytes, rx.bytes.get());
            add(&mut stats.rx_dropped, rx.all_dropped());
            add(&mut stats.rx_errors, rx.errors.get());
            add(&mut stats.tx_packets, tx.packets.get());
            add(&mut stats.tx_bytes, tx.bytes.get());
            add(&mut stats.tx_dropped, tx.dropped.get());
        }
        let card = core.card_stats();
        let bad = card.crc_errors.wrapping_add(card.length_errors);
        stats.rx_errors = stats.rx_errors.wrapping_add(bad);
        stats.rx_missed_errors = card.missed;
        stats.multicast = card.multicast;
        stats.rx_crc_errors = card.crc_errors;
        stats.rx_length_errors = card.length_errors;
    }

    /// # Safety
    ///
    /// See the type invariant.
    unsafe extern "C" fn tx_timeout(dev: *mut bindings::net_device, _queue: c_uint) {
        // The rings are rebuilt, which sleeps; this is a timer.
        // SAFETY: By the safety requirement.
        unsafe { core_of::<D>(dev) }.restart_later(0);
    }

    /// # Safety
    ///
    /// See the type invariant. Under the device's lock.
    unsafe extern "C" fn bpf(
        dev: *mut bindings::net_device,
        bpf: *mut bindings::netdev_bpf,
    ) -> c_int {
        // SAFETY: By the safety requirement.
        let (core, bpf) = unsafe { (core_of::<D>(dev), &*bpf) };
        if bpf.command != bindings::bpf_netdev_command_XDP_SETUP_PROG {
            return EINVAL.to_errno();
        }
        // SAFETY: These are the arguments of that command.
        core.set_program(unsafe { bpf.__bindgen_anon_1.__bindgen_anon_1.prog });
        0
    }

    /// # Safety
    ///
    /// See the type invariant.
    unsafe extern "C" fn queue_stats_rx(
        dev: *mut bindings::net_device,
        index: c_int,
        stats: *mut bindings::netdev_queue_stats_rx,
    ) {
        // SAFETY: By the safety requirement.
        let (core, stats) = unsafe { (core_of::<D>(dev), &mut *stats) };
        // CAST: The number of a queue.
        if let Some(channel) = core.channel(index as usize) {
            let rx = &channel.queue.rx;
            stats.packets = rx.packets.get();
            stats.bytes = rx.bytes.get();
            stats.alloc_fail = rx.alloc_fail.get();
        }
    }

    /// # Safety
    ///
    /// See the type invariant.
    unsafe extern "C" fn queue_stats_tx(
        dev: *mut bindings::net_device,
        index: c_int,
        stats: *mut bindings::netdev_queue_stats_tx,
    ) {
        // SAFETY: By the safety requirement.
        let (core, stats) = unsafe { (core_of::<D>(dev), &mut *stats) };
        // CAST: The number of a queue.
        if let Some(channel) = core.channel(index as usize) {
            let tx = &channel.queue.tx;
            stats.packets = tx.packets.get();
            stats.bytes = tx.bytes.get();
            stats.stop = tx.stop.get();
            stats.wake = tx.wake.get();
        }
    }

    /// What the queues do not count: nothing, since they count as long as the device exists.
    ///
    /// # Safety
    ///
    /// See the type invariant.
    unsafe extern "C" fn base_stats(
        _dev: *mut bindings::net_device,
        rx: *mut bindings::netdev_queue_stats_rx,
        tx: *mut bindings::netdev_queue_stats_tx,
    ) {
        // SAFETY: By the safety requirement.
        let (rx, tx) = unsafe { (&mut *rx, &mut *tx) };
        (rx.packets, rx.bytes, rx.alloc_fail) = (0, 0, 0);
        (tx.packets, tx.bytes, tx.stop, tx.wake) = (0, 0, 0, 0);
    }
}
