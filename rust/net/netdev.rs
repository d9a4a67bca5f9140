// SPDX-License-Identifier: GPL-2.0

//! What a network driver implements.
//!
//! C header: [`include/linux/netdevice.h`](srctree/include/linux/netdevice.h)

use crate::{ethtool::Visitor, napi::Napi, queue::TxQueue, skb::SkBuff, xdp::Frame};
use core::{marker::PhantomData, ops::RangeInclusive};
use kernel::prelude::*;
use page_pool::stats::Counter;
use pp_bindings as bindings;

/// Sizes of a device's rings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rings {
    /// Receive descriptors.
    pub rx: u32,
    /// Transmit descriptors.
    pub tx: u32,
}

/// What a device looks like to the core.
pub struct Features {
    /// The largest MTU.
    pub max_mtu: u32,
    /// The largest MTU whose frames fit one buffer, as XDP wants it.
    pub xdp_max_mtu: u32,
    /// Ring sizes to begin with.
    pub rings: Rings,
    /// Ring sizes that are possible.
    pub ring_sizes: RangeInclusive<u32>,
    /// Ring sizes are rounded up to a multiple of this.
    pub ring_multiple: u32,
}

/// What an interrupt was about.
#[derive(Clone, Copy, Debug, Default)]
pub struct Events {
    /// It was ours.
    pub ours: bool,
    /// There are packets to process.
    pub packets: bool,
    /// The link went up or down.
    pub link: bool,
}

/// State of the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// In Mbit/s.
    pub speed: u32,
    /// Both directions at once.
    pub full_duplex: bool,
}

/// Counters of the receive path. NAPI poll writes them; readers see numbers that are a moment old,
/// which harms nobody.
#[derive(Default)]
pub struct RxStats {
    /// Packets that arrived.
    pub packets: Counter,
    /// Bytes that arrived.
    pub bytes: Counter,
    /// Packets that arrived and were not delivered for want of memory.
    pub dropped: Counter,
    /// Packets that the device found broken, or that are too long.
    pub errors: Counter,
}

/// Counters of the transmit path. The holder of the queue's lock writes them.
#[derive(Default)]
pub struct TxStats {
    /// Packets that the device has sent.
    pub packets: Counter,
    /// Bytes that the device has sent.
    pub bytes: Counter,
    /// Packets that were not sent.
    pub dropped: Counter,
}

/// A driver of a network device with one queue in each direction.
///
/// # Who may do what when
///
/// [`Operations::open`], [`Operations::start`], [`Operations::stop`], [`Operations::set_rx_mode`], [`Operations::set_mac`] and
/// [`Operations::set_mtu`] are called under `rtnl`, so never two of them at a time. Between `start` and
/// `stop`, [`Operations::poll`] runs on one CPU at a time and owns [`Operations::Rx`]; [`Operations::start_xmit`] and
/// [`Operations::xdp_xmit`] run with the transmit queue's lock held, which owns [`Operations::Tx`];
/// [`Operations::interrupt`] runs in hard interrupt context at any time, and owns nothing.
pub trait Operations: Send + Sync + Sized {
    /// What NAPI owns while the interface is up.
    type Rx: Send;
    /// What the transmit queue's lock owns while the interface is up.
    type Tx: Send;

    /// What the device looks like. Asked once, before the device is registered.
    fn features(&self) -> Features;

    /// The permanent MAC address. If it is not valid, the device gets a random one.
    fn mac(&self) -> [u8; 6];

    /// Allocates what is needed for rings of that size. Does not touch the hardware, which may be
    /// running on older rings.
    fn open(&self, rings: Rings) -> Result<(Self::Rx, Self::Tx)>;

    /// Starts the hardware on these rings, for frames of this MTU. Interrupts stay masked.
    fn start(&self, rx: &mut Self::Rx, tx: &mut Self::Tx, mac: &[u8; 6], mtu: u32) -> Result;

    /// Stops the hardware: no DMA and no interrupt after this.
    fn stop(&self);

    /// Processes what the device has finished: up to `budget` received packets and all that was
    /// sent. Returns the number of received packets; less than `budget` means that nothing is left.
    fn poll(&self, rx: &mut Self::Rx, napi: &mut Napi<'_, Self>, budget: usize) -> usize;

    /// Sends a packet. If there is no room, it comes back and the core keeps it; that happens only
    /// to a driver that does not [`TxQueue::stop`] its queue in time.
    fn start_xmit(
        &self,
        tx: &mut Self::Tx,
        queue: &TxQueue<'_, Self>,
        skb: SkBuff,
        more: bool,
    ) -> Result<(), SkBuff>;

    /// Sends a frame that was redirected to this device. If there is no room, it comes back.
    fn xdp_xmit(&self, tx: &mut Self::Tx, frame: Frame) -> Result<(), Frame>;

    /// Tells the hardware about the frames of [`Operations::xdp_xmit`].
    fn xdp_flush(&self, tx: &mut Self::Tx);

    /// Finds out what an interrupt was about, and acknowledges it.
    fn interrupt(&self) -> Events;

    /// Keeps the device from raising interrupts; NAPI is about to poll.
    fn mask_interrupts(&self);

    /// Lets the device raise interrupts.
    fn unmask_interrupts(&self);

    /// Which packets to receive. May be called with a spinlock held: must not sleep.
    fn set_rx_mode(&self, mode: &RxMode<'_>);

    /// Uses another MAC address.
    fn set_mac(&self, mac: &[u8; 6]) -> Result;

    /// Receives frames of another MTU, which is in the range of [`Features`].
    fn set_mtu(&self, mtu: u32) -> Result;

    /// The state of the link; `None` if there is none. Any context.
    fn link(&self) -> Option<Link>;

    /// Packets that the device lost because no buffer was there. Any context.
    fn missed(&self) -> u64;

    /// Names and values of the driver's counters, for `ethtool -S`. The same ones in the same order
    /// each time.
    fn statistics(&self, visitor: &mut Visitor<'_>);
}

/// Which packets the core wants to receive.
pub struct RxMode<'a> {
    flags: u32,
    multicast: *mut bindings::netdev_hw_addr_list,
    _list: PhantomData<&'a ()>,
}

impl<'a> RxMode<'a> {
    /// # Safety
    ///
    /// `multicast` is valid and does not change for `'a`.
    pub(crate) unsafe fn new(flags: u32, multicast: *mut bindings::netdev_hw_addr_list) -> Self {
        Self {
            flags,
            multicast,
            _list: PhantomData,
        }
    }

    /// Everything.
    pub fn promiscuous(&self) -> bool {
        self.flags & bindings::net_device_flags_IFF_PROMISC != 0
    }

    /// All multicast packets.
    pub fn all_multicast(&self) -> bool {
        self.flags & bindings::net_device_flags_IFF_ALLMULTI != 0
    }

    /// The multicast addresses to listen to.
    pub fn multicast(&self) -> impl Iterator<Item = [u8; 6]> + 'a {
        // SAFETY: The list is valid and constant for `'a`; a place, not a read.
        let head = unsafe { &raw mut (*self.multicast).list };
        // SAFETY: As above.
        let mut at = unsafe { (*head).next };
        core::iter::from_fn(move || {
            if at == head {
                return None;
            }
            // SAFETY: Each entry but the head is embedded in a `struct netdev_hw_addr`.
            let entry = unsafe { kernel::container_of!(at, bindings::netdev_hw_addr, list) };
            let mut mac = [0; 6];
            // SAFETY: The entry is valid, and its address has at least six bytes.
            mac.copy_from_slice(unsafe { &(&(*entry).addr)[..6] });
            // SAFETY: The entry is valid.
            at = unsafe { (*at).next };
            Some(mac)
        })
    }
}
