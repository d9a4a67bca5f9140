// SPDX-License-Identifier: GPL-2.0

//! What the core calls: `struct net_device_ops`, the poll, and `struct netdev_stat_ops`.
//!
//! C headers: [`include/linux/netdevice.h`](srctree/include/linux/netdevice.h),
//! [`include/net/netdev_queues.h`](srctree/include/net/netdev_queues.h)

use crate::{
    desc::TxDescriptor,
    device::{
        Channel,
        Core, //
    },
    napi::Napi,
    netdev::{
        xdp_queue,
        CardStats,
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
    mem::{
        ManuallyDrop,
        MaybeUninit, //
    },
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
/// - `dev` is a device whose private area holds a pointer to its core, whose driver is `D`.
/// - The core lives for as long as `'a`.
#[inline]
pub(crate) unsafe fn core_of<'a, 'bound, D: Operations + 'bound>(
    dev: *mut bindings::net_device,
) -> &'a Core<'bound, D> {
    // SAFETY: By the safety requirements `dev` is valid, what its private area holds is a pointer to a `Core<D>`,
    // and that lives for `'a`. A core is pinned and only shared, so nobody has a mutable reference to it.
    unsafe { &**(*dev).priv_.as_ptr().cast::<*const Core<'bound, D>>() }
}

/// Returns a callback for the core, if the driver has what it is for.
pub(crate) const fn only_if<F: Copy>(has: bool, callback: F) -> Option<F> {
    if has {
        Some(callback)
    } else {
        None
    }
}

/// Adds to a counter, which may go around.
fn add(sum: &mut u64, n: u64) {
    *sum = sum.wrapping_add(n);
}

impl<'bound, D: Operations + 'bound> Table<'bound, D> {
    /// `struct net_device_ops`.
    pub(crate) const NETDEV: bindings::net_device_ops = bindings::net_device_ops {
        ndo_open: Some(Self::open),
        ndo_stop: Some(Self::stop),
        ndo_start_xmit: Some(Self::start_xmit),
        ndo_set_rx_mode_async: only_if(D::HAS_SET_RX_MODE, Self::set_rx_mode),
        ndo_set_mac_address: Some(Self::set_mac_address),
        ndo_validate_addr: Some(bindings::eth_validate_addr),
        ndo_change_mtu: Some(Self::change_mtu),
        ndo_get_stats64: Some(Self::get_stats64),
        ndo_tx_timeout: Some(Self::tx_timeout),
        ndo_bpf: Some(Self::bpf),
        ndo_xdp_xmit: Some(Self::xdp_xmit),
        ndo_vlan_rx_add_vid: only_if(D::HAS_SET_RULES, Self::add_vlan),
        ndo_vlan_rx_kill_vid: only_if(D::HAS_SET_RULES, Self::remove_vlan),
        ndo_set_features: only_if(D::HAS_STRIP_VLAN, Self::set_features),
        ndo_features_check: only_if(D::Tx::OFFLOADS.is_some(), Self::features_check),
        // SAFETY: All fields but flags and numbers, which may be 0, are optional callbacks, for which zeroes are
        // `None`.
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
        // SAFETY: By the invariant of `Table` the device is valid, and its private area holds a pointer to its
        // core, whose driver is `D`. It is registered, so the core outlives this call.
        let core = unsafe { core_of::<D>(dev) };
        from_result(|| core.open().map(|()| 0))
    }

    /// # Safety
    ///
    /// See the type invariant.
    unsafe extern "C" fn stop(dev: *mut bindings::net_device) -> c_int {
        // SAFETY: By the invariant of `Table` the device is valid, and its private area holds a pointer to its
        // core, whose driver is `D`. It is registered, so the core outlives this call.
        unsafe { core_of::<D>(dev) }.stop();
        0
    }

    /// # Safety
    ///
    /// - See the type invariant.
    /// - The core holds the lock of the skb's queue on this CPU.
    /// - `skb` is valid, and given to us unless the result is `NETDEV_TX_BUSY`.
    unsafe extern "C" fn start_xmit(
        skb: *mut bindings::sk_buff,
        dev: *mut bindings::net_device,
    ) -> bindings::netdev_tx_t {
        // SAFETY: By the invariant of `Table` the device is valid, and its private area holds a pointer to its
        // core, whose driver is `D`. It is registered, so the core outlives this call.
        let core = unsafe { core_of::<D>(dev) };
        // SAFETY: By the safety requirement `skb` is valid, so it is not null, and its reference is given to us:
        // to `SkBuff`, which gives it up again where the result is `NETDEV_TX_BUSY`.
        let skb = unsafe { SkBuff::from_raw(NonNull::new_unchecked(skb)) };
        let Some(channel) = core.channel(skb.queue().into()) else {
            skb.free(DropReason::DevReady);
            return bindings::netdev_tx_NETDEV_TX_OK;
        };
        let side = &channel.tx.stack;
        // SAFETY: By the safety requirement the core holds the lock of the skb's queue, which is this channel's,
        // on this CPU; it releases it after we have returned, when `locked` is gone.
        let locked = unsafe { side.queue().assume_locked() };
        // SAFETY: `locked` is its lock. The ring is asked for once, and not used after this function.
        let Some(tx) = (unsafe { side.get(&locked) }) else {
            skb.free(DropReason::DevReady);
            return bindings::netdev_tx_NETDEV_TX_OK;
        };
        // SAFETY: It reads what the core has noted for this CPU before it called `ndo_start_xmit`, where we are;
        // with the queue's lock held we do not move to another one.
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
    /// - See the type invariant.
    /// - The device's lock is held.
    unsafe extern "C" fn set_features(
        dev: *mut bindings::net_device,
        features: bindings::netdev_features_t,
    ) -> c_int {
        // SAFETY: By the invariant of `Table` the device is valid, and its private area holds a pointer to its
        // core, whose driver is `D`. It is registered, so the core outlives this call.
        let core = unsafe { core_of::<D>(dev) };
        // SAFETY: The device is valid, and by the safety requirement its lock is held, under which its features change.
        let changed = unsafe { (*dev).features } ^ features;
        // If it is down it hears of it when it is started. (A look at the link writes the same registers.)
        let control = core.control.lock();
        if changed & bindings::RNET_F_VLAN_RX != 0 && control.up {
            core.ops
                .strip_vlan(features & bindings::RNET_F_VLAN_RX != 0);
        }
        0
    }

    /// # Safety
    ///
    /// `skb` is valid, and its device is one whose driver is `D`.
    unsafe extern "C" fn features_check(
        skb: *mut bindings::sk_buff,
        _dev: *mut bindings::net_device,
        features: bindings::netdev_features_t,
    ) -> bindings::netdev_features_t {
        let (link, network) = D::Tx::OFFLOADS.map_or((0, 0), |o| (o.link, o.network));
        // SAFETY: By the safety requirement `skb` is valid, so it is not null; it is not ours, and not dropped.
        let packet = ManuallyDrop::new(unsafe { SkBuff::from_raw(NonNull::new_unchecked(skb)) });
        let can = if packet.is_within(link, network) {
            features
        } else {
            features & !bindings::RNET_F_ANY_OFFLOAD
        };
        // SAFETY: By the safety requirement `skb` is valid; it is only read.
        unsafe { bindings::rnet_vlan_features_check(skb, can) }
    }

    /// # Safety
    ///
    /// - See the type invariant.
    /// - In softirq, or with bottom halves off.
    /// - `frames` is an array of `n` frames; those that count as sent are ours.
    unsafe extern "C" fn xdp_xmit(
        dev: *mut bindings::net_device,
        n: c_int,
        frames: *mut *mut bindings::xdp_frame,
        flags: u32,
    ) -> c_int {
        if flags & !bindings::XDP_XMIT_FLUSH != 0 {
            return EINVAL.to_errno();
        }
        // SAFETY: By the invariant of `Table` the device is valid, and its private area holds a pointer to its
        // core, whose driver is `D`. It is registered, so the core outlives this call.
        let core = unsafe { core_of::<D>(dev) };
        // SAFETY: Only reads the state of this CPU, which stays the same with bottom halves off. CAST: u32 fits.
        let cpu = unsafe { bindings::rpp_cpu() } as usize;
        let Some(channel) = core.channel(cpu % core.used_queues().max(1)) else {
            return ENETDOWN.to_errno();
        };
        let side = channel.tx.for_xdp();
        // SAFETY: By the safety requirement bottom halves are off. This CPU does not hold the lock:
        // `ndo_start_xmit`, which may, redirects nothing, and in a poll a program runs with the `Napi` borrowed,
        // which `TxSide::with` wants for itself.
        let locked = unsafe { side.queue().lock() };
        // SAFETY: `locked` is its lock. The ring is asked for once, and not used after this function.
        let Some(tx) = (unsafe { side.get(&locked) }) else {
            return ENETDOWN.to_errno();
        };
        let mut sent: c_int = 0;
        while sent < n {
            // SAFETY: By the safety requirement the array has `n` frames, and `sent` is less. CAST: Not negative.
            let Some(given) = NonNull::new(unsafe { *frames.add(sent as usize) }) else {
                break;
            };
            // SAFETY: By the safety requirement the frame is valid, and ours if it counts as sent. It does unless it is
            // forgotten below.
            let frame = unsafe { Frame::from_raw(given) };
            if let Err(frame) = tx.xmit_frame(&locked, frame) {
                frame.forget();
                break;
            }
            sent = sent.wrapping_add(1);
        }
        if flags & bindings::XDP_XMIT_FLUSH != 0 {
            tx.ring_doorbell(|tail| {
                let queue = xdp_queue::<D>(channel.index());
                core.ops.doorbell(Side::Tx, queue, tail);
            });
        }
        sent
    }

    /// Polls a queue for a NAPI instance.
    ///
    /// # Safety
    ///
    /// - See the type invariant.
    /// - `napi` is that of the queue of a `Channel<D>`.
    pub(crate) unsafe extern "C" fn poll(napi: *mut bindings::napi_struct, budget: c_int) -> c_int {
        // SAFETY: By the safety requirement `napi` is that of a queue, so it was made by `Queue::new()`.
        let queue = unsafe { Queue::of_napi(napi) }.cast_mut();
        // SAFETY: By the safety requirement the queue is a part of a `Channel<D>`. That is pinned and only shared,
        // and is not dropped while a poll runs: it deletes the instance first.
        let channel = unsafe { &*kernel::container_of!(queue, Channel<'bound, D>, queue) };
        let core = channel.core();
        // Netpoll, which may call from a hard interrupt: that is not the context that `Napi` stands for. What
        // was sent makes room nevertheless.
        if budget == 0 {
            // What XDP sends is not in its way, or is on the same ring.
            channel.tx.stack.clean_netpoll();
            return 0;
        }
        let redirected = Cell::new(false);
        // SAFETY: This is the poll of `channel.queue` with that budget, which is not 0, and we are in it until we
        // return, longer than `napi` exists.
        let mut napi = unsafe { Napi::new(&channel.queue, budget, &redirected) };
        // SAFETY: We are the poll of this channel's queue, so nobody else has a reference to its ring, and this is
        // the only call in here.
        let polled = unsafe { channel.polled() };
        let Some(rx) = &mut polled.rx else {
            // SAFETY: The instance is valid, and we are in its poll. After this we touch nothing that the poll
            // owns.
            unsafe { bindings::napi_complete_done(channel.queue.napi(), 0) };
            return 0;
        };
        // CAST: Never negative.
        // SAFETY: `rx` and `tx` are this channel's, and so of the queue that `napi` stands for.
        let done = unsafe { rx.poll(&core.ops, &mut napi, &channel.tx, budget as usize) };
        if redirected.get() {
            // The lists of what was redirected are on this poll's stack.
            // SAFETY: Bottom halves are off, and this is the poll, on the same CPU, whose programs have redirected
            // packets: what is flushed are its own lists.
            unsafe { bindings::xdp_do_flush() };
        }
        // CAST: At most the budget.
        let done = done as c_int;
        if done < budget {
            if rx.is_short() {
                channel.queue.schedule_later();
            }
            polled.moderate(channel);
            // SAFETY: The instance is valid, and we are in its poll. After this we may unmask the queue's
            // interrupt, but touch nothing that the poll owns.
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
    /// - See the type invariant.
    /// - `unicast` and `multicast` are valid lists, which do not change meanwhile.
    /// - The device's lock is held.
    unsafe extern "C" fn set_rx_mode(
        dev: *mut bindings::net_device,
        unicast: *mut bindings::netdev_hw_addr_list,
        multicast: *mut bindings::netdev_hw_addr_list,
    ) -> c_int {
        // SAFETY: By the invariant of `Table` the device is valid, and its private area holds a pointer to its
        // core, whose driver is `D`. It is registered, so the core outlives this call.
        let core = unsafe { core_of::<D>(dev) };
        // SAFETY: The device is valid, and its flags do not change, since its lock is held. By the safety
        // requirement the lists are valid and do not change until we return, and `mode` does not exist longer.
        let mode = unsafe {
            RxMode::new(
                (*dev).flags,
                unicast,
                multicast,
                &core.steering,
                D::ADDRESSES,
            )
        };
        core.ops.set_rx_mode(&mode);
        0
    }

    /// # Safety
    ///
    /// - See the type invariant.
    /// - `addr` is a valid `struct sockaddr`.
    /// - The device's lock is held.
    unsafe extern "C" fn set_mac_address(
        dev: *mut bindings::net_device,
        addr: *mut c_void,
    ) -> c_int {
        // SAFETY: By the invariant of `Table` the device is valid, and its private area holds a pointer to its
        // core, whose driver is `D`. It is registered, so the core outlives this call.
        let core = unsafe { core_of::<D>(dev) };
        // SAFETY: The device is valid, and by the safety requirement `addr` is a `struct sockaddr`; both are only
        // read.
        let err = unsafe { bindings::eth_prepare_mac_addr_change(dev, addr) };
        if err != 0 {
            return err;
        }
        // SAFETY: By the safety requirement `addr` is a `struct sockaddr`, which nobody changes meanwhile. Its
        // `sa_data` is larger than an Ethernet address, and begins with one, as was just checked.
        let mac = unsafe { &*(&raw const (*addr.cast::<bindings::sockaddr>()).sa_data).cast() };
        // Two queues would get each packet.
        if core.steering.is_about(*mac) {
            return EBUSY.to_errno();
        }
        if D::HAS_SET_MAC {
            if let Err(e) = core.ops.set_mac(mac) {
                return e.to_errno();
            }
        }
        // SAFETY: The device is valid, and its lock is held, under which its address is written. `addr` is a
        // `struct sockaddr` by the safety requirement, with an Ethernet address, as was checked above.
        unsafe { bindings::eth_commit_mac_addr_change(dev, addr) };
        0
    }

    /// # Safety
    ///
    /// - See the type invariant.
    /// - The device's lock is held.
    unsafe extern "C" fn change_mtu(dev: *mut bindings::net_device, mtu: c_int) -> c_int {
        // SAFETY: By the invariant of `Table` the device is valid, and its private area holds a pointer to its
        // core, whose driver is `D`. It is registered, so the core outlives this call.
        let core = unsafe { core_of::<D>(dev) };
        // CAST: The core has checked the range.
        from_result(|| core.change_mtu(mtu as u32).map(|()| 0))
    }

    /// # Safety
    ///
    /// - See the type invariant.
    /// - `stats` is valid and zeroed, and nobody else's.
    unsafe extern "C" fn get_stats64(
        dev: *mut bindings::net_device,
        stats: *mut bindings::rtnl_link_stats64,
    ) {
        // SAFETY: By the invariant of `Table` the device is valid, and its private area holds a pointer to its
        // core, whose driver is `D`. It is registered, so the core outlives this call. By the safety requirement
        // `stats` is valid, initialised, and nobody else's.
        let (core, stats) = unsafe { (core_of::<D>(dev), &mut *stats) };
        for channel in &core.channels {
            let (rx, tx) = (&channel.queue.rx, &channel.tx);
            add(&mut stats.rx_packets, rx.packets.get());
            add(&mut stats.rx_bytes, rx.bytes.get());
            add(&mut stats.rx_dropped, rx.all_dropped());
            add(&mut stats.rx_errors, rx.errors.get());
            add(&mut stats.tx_packets, tx.sum(|tx| tx.packets.get()));
            add(&mut stats.tx_bytes, tx.sum(|tx| tx.bytes.get()));
            add(&mut stats.tx_dropped, tx.sum(|tx| tx.dropped.get()));
        }
        let card = core.card_stats();
        let counted = |n: &[u64]| {
            let n = n.iter().filter(|n| **n != CardStats::NOT_COUNTED);
            n.fold(0u64, |sum, n| sum.wrapping_add(*n))
        };
        stats.rx_length_errors = counted(&[card.undersize, card.oversize]);
        stats.rx_crc_errors = counted(&[card.crc_errors]);
        stats.rx_frame_errors = counted(&[card.alignment_errors]);
        stats.rx_fifo_errors = counted(&[card.no_descriptor]);
        stats.rx_missed_errors = counted(&[card.missed]);
        stats.multicast = counted(&[card.multicast]);
        stats.tx_aborted_errors = counted(&[card.excessive_collisions]);
        stats.tx_window_errors = counted(&[card.late_collisions]);
        stats.tx_carrier_errors = counted(&[card.carrier_errors]);
        stats.collisions = counted(&[card.collisions]);
        for bad in [
            stats.rx_length_errors,
            stats.rx_crc_errors,
            stats.rx_frame_errors,
            counted(&[card.phy_errors]),
        ] {
            add(&mut stats.rx_errors, bad);
        }
        stats.tx_errors = stats.tx_aborted_errors.wrapping_add(stats.tx_window_errors);
    }

    /// # Safety
    ///
    /// See the type invariant.
    unsafe extern "C" fn tx_timeout(dev: *mut bindings::net_device, _queue: c_uint) {
        // The rings are rebuilt, which sleeps; this is a timer.
        // SAFETY: By the invariant of `Table` the device is valid, and its private area holds a pointer to its
        // core, whose driver is `D`. It is registered, so the core outlives this call.
        unsafe { core_of::<D>(dev) }.restart_later(0);
    }

    /// # Safety
    ///
    /// - See the type invariant.
    /// - The device's lock is held.
    /// - `bpf` is a valid command.
    unsafe extern "C" fn bpf(
        dev: *mut bindings::net_device,
        bpf: *mut bindings::netdev_bpf,
    ) -> c_int {
        // SAFETY: By the invariant of `Table` the device is valid, and its private area holds a pointer to its
        // core, whose driver is `D`. It is registered, so the core outlives this call. By the safety requirement
        // `bpf` is a valid command, which does not change meanwhile.
        let (core, bpf) = unsafe { (core_of::<D>(dev), &*bpf) };
        if bpf.command != bindings::bpf_netdev_command_XDP_SETUP_PROG {
            return EINVAL.to_errno();
        }
        // SAFETY: The command is `XDP_SETUP_PROG`, as was just checked, for which this member of the union is set.
        let setup = unsafe { &bpf.__bindgen_anon_1.__bindgen_anon_1 };
        // SAFETY: As its documentation says, it is a program, whose reference is given to us unless this fails, or null.
        if let Err(why) = unsafe { core.attach(setup.prog) } {
            if let Some(extack) = NonNull::new(setup.extack) {
                // SAFETY: It is not null, so it is where the core wants to hear why; and what is written is a string
                // that stays.
                unsafe { (*extack.as_ptr())._msg = why.as_char_ptr() };
            }
            return EINVAL.to_errno();
        }
        0
    }

    /// # Safety
    ///
    /// - See the type invariant.
    /// - `stats` is valid and initialised, and nobody else's.
    unsafe extern "C" fn queue_stats_rx(
        dev: *mut bindings::net_device,
        index: c_int,
        stats: *mut bindings::netdev_queue_stats_rx,
    ) {
        // SAFETY: By the invariant of `Table` the device is valid, and its private area holds a pointer to its
        // core, whose driver is `D`. It is registered, so the core outlives this call. By the safety requirement
        // `stats` is valid, initialised, and nobody else's.
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
    /// - See the type invariant.
    /// - `stats` is valid and initialised, and nobody else's.
    unsafe extern "C" fn queue_stats_tx(
        dev: *mut bindings::net_device,
        index: c_int,
        stats: *mut bindings::netdev_queue_stats_tx,
    ) {
        // SAFETY: By the invariant of `Table` the device is valid, and its private area holds a pointer to its
        // core, whose driver is `D`. It is registered, so the core outlives this call. By the safety requirement
        // `stats` is valid, initialised, and nobody else's.
        let (core, stats) = unsafe { (core_of::<D>(dev), &mut *stats) };
        // CAST: The number of a queue.
        if let Some(channel) = core.channel(index as usize) {
            let tx = channel.tx.stack.stats();
            stats.packets = tx.packets.get();
            stats.bytes = tx.bytes.get();
            stats.stop = tx.stop.get();
            stats.wake = tx.wake.get();
        }
    }

    /// What the queues that are used do not count: what the others did, when they were; and what XDP sends on rings of its
    /// own, which are no queues for the core.
    ///
    /// # Safety
    ///
    /// - See the type invariant.
    /// - The device's lock is held.
    /// - `rx` and `tx` are valid and initialised, and nobody else's.
    unsafe extern "C" fn base_stats(
        dev: *mut bindings::net_device,
        rx: *mut bindings::netdev_queue_stats_rx,
        tx: *mut bindings::netdev_queue_stats_tx,
    ) {
        // SAFETY: By the invariant of `Table` the device is valid, and its private area holds a pointer to its
        // core, whose driver is `D`. It is registered, so the core outlives this call. By the safety requirement
        // `rx` and `tx` are valid, initialised, and nobody else's; and they are two structures.
        let (core, rx, tx) = unsafe { (core_of::<D>(dev), &mut *rx, &mut *tx) };
        (rx.packets, rx.bytes, rx.alloc_fail) = (0, 0, 0);
        (tx.packets, tx.bytes, tx.stop, tx.wake) = (0, 0, 0, 0);
        let used = core.used_queues();
        for (n, channel) in core.channels.iter().enumerate() {
            let queue = &channel.queue;
            if n >= used {
                add(&mut rx.packets, queue.rx.packets.get());
                add(&mut rx.bytes, queue.rx.bytes.get());
                add(&mut rx.alloc_fail, queue.rx.alloc_fail.get());
            }
            for side in channel.tx.each().skip(usize::from(n < used)) {
                add(&mut tx.packets, side.stats().packets.get());
                add(&mut tx.bytes, side.stats().bytes.get());
                add(&mut tx.stop, side.stats().stop.get());
                add(&mut tx.wake, side.stats().wake.get());
            }
        }
    }
}
