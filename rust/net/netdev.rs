// SPDX-License-Identifier: GPL-2.0

//! What a network driver implements: registers, and what its card can do.
//!
//! The formats of descriptors are in [`desc`](crate::desc); the rest is the framework's.
//!
//! C header: [`include/linux/netdevice.h`](srctree/include/linux/netdevice.h)

use crate::{
    desc::{
        RxDescriptor,
        TxDescriptor, //
    },
    dma::DescRing,
    ethtool::{
        LinkMode,
        Visitor, //
    },
    steering::Steering, //
};
use core::ops::RangeInclusive;
use kernel::{
    error::VTABLE_DEFAULT_ERROR,
    prelude::*,
    str::CString, //
};
use pp_bindings as bindings;

/// Returns whether XDP programs may ask what the card has said of a packet: whether it says anything.
pub(crate) const fn has_metadata<D: Operations>() -> bool {
    D::Rx::HASH || D::HAS_STRIP_VLAN
}

/// Returns the number of the transmit queue that XDP has for a queue; it may be that one.
#[inline]
pub(crate) fn xdp_queue<D: Operations>(queue: usize) -> usize {
    D::XDP_TX.unwrap_or(0).wrapping_add(queue)
}

/// Sizes of a queue's rings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rings {
    /// Receive descriptors.
    pub rx: u32,
    /// Transmit descriptors.
    pub tx: u32,
}

/// What a card can do.
///
/// # Examples
///
/// ```
/// use net::{
///     ethtool::LinkMode,
///     netdev::{Features, Rings},
/// };
///
/// const FEATURES: Features = Features {
///     mac: [0x52, 0x54, 0, 0, 0, 1],
///     queues: 2,
///     rings: Rings { rx: 512, tx: 256 },
///     ring_sizes: 80..=1024,
///     ring_multiple: 8,
///     tx_frame: 9216,
///     rx_frame: 9216,
///     rx_checksum: false,
///     link_modes: &[LinkMode::TP, LinkMode::BASE_T_1000_FULL],
///     eeprom: 0,
/// };
/// ```
#[derive(Clone, Debug)]
pub struct Features {
    /// The permanent MAC address. If it is not valid, the device gets a random one.
    pub mac: [u8; 6],
    /// The most queue pairs that the card has.
    pub queues: u32,
    /// Ring sizes to begin with.
    pub rings: Rings,
    /// Ring sizes that are possible. (The engines need 80 descriptors at least.)
    pub ring_sizes: RangeInclusive<u32>,
    /// Ring sizes are rounded up to a multiple of this.
    pub ring_multiple: u32,
    /// The longest frame that the card sends, in bytes.
    pub tx_frame: usize,
    /// The longest frame that the card receives, in bytes, with its CRC: in several buffers, one after the other, if it is
    /// longer than [`BUFFER`](RxDescriptor::BUFFER).
    pub rx_frame: usize,
    /// The card checks the checksums of received TCP and UDP packets.
    pub rx_checksum: bool,
    /// What the card's port can be.
    pub link_modes: &'static [LinkMode],
    /// Words of 16 bits that [`Operations::eeprom`] reads.
    pub eeprom: u32,
}

impl Features {
    /// Returns `n` rounded up to a multiple of what the card wants, if that is a possible ring size.
    pub(crate) fn fit(&self, n: u32) -> Option<u32> {
        let n = n.checked_next_multiple_of(self.ring_multiple)?;
        (n >= MIN_RING && self.ring_sizes.contains(&n)).then_some(n)
    }
}

/// The smallest ring that the engines work with.
pub(crate) const MIN_RING: u32 = 80;

/// What the hardware is started with.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// The address whose packets are received.
    pub mac: [u8; 6],
    /// The largest packet without Ethernet header, in bytes.
    pub mtu: u32,
    /// How many queue pairs are used, each with a vector: no more than [`Features::queues`].
    pub queues: u32,
    /// The vector that is about nothing of a queue, if the driver asked for one.
    pub other_vector: Option<u32>,
}

/// How a card with several queues chooses one for a flow: by a hash of its addresses and ports.
///
/// As Microsoft specifies it ("Receive Side Scaling"), with the largest table that is possible there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rss {
    /// The key of the hash.
    pub(crate) key: [u8; RSS_KEY],
    /// The queue for each value of the low bits of the hash: one that is used.
    pub(crate) queues: [u8; RSS_QUEUES],
}

/// Bytes of the key, and entries of the table, of an [`Rss`].
pub(crate) const RSS_KEY: usize = 40;
pub(crate) const RSS_QUEUES: usize = 128;

impl Rss {
    /// Spreads flows evenly over so many queues.
    pub(crate) fn spread(&mut self, queues: usize) {
        for (i, queue) in self.queues.iter_mut().enumerate() {
            // CAST: The number of a queue, of a few dozen.
            *queue = (i % queues.max(1)) as u8;
        }
    }
}

/// The two directions of a queue pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Receive.
    Rx,
    /// Transmit.
    Tx,
}

/// A descriptor ring, as its registers want it: see [`Operations::start_ring`].
///
/// # Examples
///
/// ```
/// use net::netdev::{Ring, Side};
///
/// /// What a card wants to know, each with its register: those of ring 0 of queue 0 begin at 0x40.
/// fn registers(ring: &Ring) -> [(usize, u32); 3] {
///     let at = 0x40 + 32 * ring.queue + if ring.side == Side::Tx { 16 } else { 0 };
///     [
///         (at, ring.addr_low()),
///         (at + 4, ring.addr_high()),
///         (at + 8, ring.size()),
///     ]
/// }
/// ```
#[derive(Debug)]
pub struct Ring {
    /// Which of the queue's rings it is.
    pub side: Side,
    /// The queue, from 0.
    pub queue: usize,
    /// Bytes of a frame that the card may write into one buffer of a receive ring, and has to drop or divide what
    /// is longer: [`BUFFER`](RxDescriptor::BUFFER), or [`HALF`](RxDescriptor::HALF).
    pub buffer: usize,
    /// The longest frame that a receive ring gets, in bytes without CRC. If it is longer than a buffer, it goes on in the
    /// next ones; what is longer than this the card has to drop, if it can.
    pub frame: usize,
    /// Bytes of headers that the card is to put into a buffer of their own at most, if it is to do that: so many as
    /// [`HEADER`](RxDescriptor::HEADER) says. The buffers have payload then.
    pub header: Option<usize>,
    addr: u64,
    size: u32,
}

impl Ring {
    pub(crate) fn new(
        side: Side,
        queue: usize,
        ring: &DescRing,
        buffer: usize,
        frame: usize,
    ) -> Self {
        Self {
            side,
            queue,
            buffer,
            frame,
            header: None,
            addr: ring.dma_addr(),
            // CAST: A few hundred KiB at most.
            size: ring.size() as u32,
        }
    }

    /// Returns the lower half of the address of the first descriptor.
    pub fn addr_low(&self) -> u32 {
        // CAST: The lower half is meant.
        self.addr as u32
    }

    /// Returns the upper half of the address of the first descriptor.
    pub fn addr_high(&self) -> u32 {
        // CAST: 32 bits are left.
        (self.addr >> 32) as u32
    }

    /// Returns the bytes of all descriptors together.
    pub fn size(&self) -> u32 {
        self.size
    }
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

/// Which ways frames that ask for a pause go ("flow control").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pause {
    /// The card heeds those that it receives.
    pub rx: bool,
    /// The card sends them when it runs out of room.
    pub tx: bool,
}

/// A test that a card is put to: see [`Operations::test`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Test {
    /// Registers keep what is written to them. The card is stopped, and [`stop`](Operations::stop) follows.
    Registers,
    /// The EEPROM is as its checksum says. The card is stopped.
    Eeprom,
    /// The card raises the interrupt of this vector, which is unmasked: that it comes is seen elsewhere.
    Interrupt(usize),
}

/// What the card itself counts, as far as it does; in frames, since the device was registered.
///
/// # Examples
///
/// ```
/// use net::netdev::CardStats;
///
/// /// Of a card that counts nothing but these two.
/// fn statistics(missed: u64, multicast: u64) -> CardStats {
///     CardStats {
///         missed,
///         multicast,
///         ..CardStats::default()
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct CardStats {
    /// Lost because no room was left in the card.
    pub missed: u64,
    /// Lost because a queue had no descriptor.
    pub no_descriptor: u64,
    /// Received, with a wrong CRC.
    pub crc_errors: u64,
    /// Received, with a part of a byte.
    pub alignment_errors: u64,
    /// Received, with an error that the PHY saw.
    pub phy_errors: u64,
    /// Received, shorter than 64 bytes, with a right CRC.
    pub undersize: u64,
    /// Received, too long, with a right CRC.
    pub oversize: u64,
    /// Received, shorter than 64 bytes, with a wrong CRC.
    pub fragments: u64,
    /// Received, too long, with a wrong CRC.
    pub jabbers: u64,
    /// Received, without an error.
    pub rx_frames: u64,
    /// Of these, with a multicast address.
    pub multicast: u64,
    /// Of these, broadcasts.
    pub rx_broadcast: u64,
    /// Received that ask for a pause, or for its end.
    pub rx_pause: u64,
    /// Received, by length: 64 bytes, up to 127, 255, 511, 1,023, and longer.
    pub rx_sizes: [u64; 6],
    /// Sent.
    pub tx_frames: u64,
    /// Of these, with a multicast address.
    pub tx_multicast: u64,
    /// Of these, broadcasts.
    pub tx_broadcast: u64,
    /// Sent that ask for a pause, or for its end.
    pub tx_pause: u64,
    /// Sent, by length.
    pub tx_sizes: [u64; 6],
    /// Collisions.
    pub collisions: u64,
    /// Sent after one collision.
    pub single_collisions: u64,
    /// Sent after several.
    pub multiple_collisions: u64,
    /// Not sent because of too many.
    pub excessive_collisions: u64,
    /// Collisions that came later than they may.
    pub late_collisions: u64,
    /// Sent later because the medium was busy.
    pub deferred: u64,
    /// Sent while nobody was there.
    pub carrier_errors: u64,
}

impl CardStats {
    /// The card does not count it: `ETHTOOL_STAT_NOT_SET`.
    pub(crate) const NOT_COUNTED: u64 = u64::MAX;
}

/// That nothing is counted.
impl Default for CardStats {
    fn default() -> Self {
        const NO: u64 = CardStats::NOT_COUNTED;
        Self {
            missed: NO,
            no_descriptor: NO,
            crc_errors: NO,
            alignment_errors: NO,
            phy_errors: NO,
            undersize: NO,
            oversize: NO,
            fragments: NO,
            jabbers: NO,
            rx_frames: NO,
            multicast: NO,
            rx_broadcast: NO,
            rx_pause: NO,
            rx_sizes: [NO; 6],
            tx_frames: NO,
            tx_multicast: NO,
            tx_broadcast: NO,
            tx_pause: NO,
            tx_sizes: [NO; 6],
            collisions: NO,
            single_collisions: NO,
            multiple_collisions: NO,
            excessive_collisions: NO,
            late_collisions: NO,
            deferred: NO,
            carrier_errors: NO,
        }
    }
}

/// A driver of a network device: its registers.
///
/// # Who may do what when
///
/// [`start`](Self::start), [`start_ring`](Self::start_ring), [`stop_rx`](Self::stop_rx), [`stop`](Self::stop),
/// [`set_mac`](Self::set_mac) and [`set_mtu`](Self::set_mtu) are called under the device's lock, in process
/// context, so never two of them at a time. Between `start` and `stop` anything else may be called on any CPU at
/// any time; [`doorbell`](Self::doorbell) of one ring on one CPU at a time. While the interface is down `link`,
/// `set_mac`, `set_mtu`, `statistics` and `counters` may be called as well, and what is about the card itself: `phy`,
/// `set_led`, `registers`, `eeprom`, `firmware`, and `test`.
///
/// # Examples
///
/// A card with one queue, which has these six; the others can be left out.
///
/// ```
/// use kernel::{io::Io, pci, prelude::*};
/// use net::netdev::{Config, Events, Operations, Ring, Side};
/// # use net::desc::{Completed, RxDescriptor, Segment, TxDescriptor, Words};
/// # struct Rx;
/// # // SAFETY: Only compiled: no card has this format, and no code runs that believes it.
/// # unsafe impl RxDescriptor for Rx {
/// #     const BUFFER: usize = 2048;
/// #     fn post(addr: u64) -> Words { [addr, 0] }
/// #     fn completed(_: impl Fn(usize) -> u64) -> Option<Completed> { None }
/// # }
/// # struct Tx;
/// # // SAFETY: Only compiled: no card has this format, and no code runs that believes it.
/// # unsafe impl TxDescriptor for Tx {
/// #     fn fill(segment: &Segment) -> Words { [segment.addr, 0] }
/// #     fn sent(_: impl Fn(usize) -> u64) -> bool { false }
/// # }
///
/// struct Card<'bound> {
///     bar: pci::Bar<'bound, 0x80>,
/// }
///
/// #[vtable]
/// impl Operations for Card<'_> {
///     type Rx = Rx;
///     type Tx = Tx;
///
///     fn start(&self, config: &Config) -> Result {
///         let [a, b, c, d, e, f] = config.mac;
///         self.bar.write32(u32::from_le_bytes([a, b, c, d]), 0x08);
///         self.bar.write32(u32::from_le_bytes([e, f, 0, 0]), 0x0c);
///         self.bar.write32(1, 0x00);
///         Ok(())
///     }
///
///     fn start_ring(&self, ring: &Ring) -> Result {
///         let at = if ring.side == Side::Tx { 0x50 } else { 0x40 };
///         self.bar.try_write32(ring.addr_low(), at)?;
///         self.bar.try_write32(ring.addr_high(), at + 4)?;
///         self.bar.try_write32(ring.size(), at + 8)
///     }
///
///     fn stop(&self) {
///         self.bar.write32(0, 0x00);
///     }
///
///     fn doorbell(&self, side: Side, _queue: usize, tail: u32) {
///         match side {
///             Side::Rx => self.bar.write32(tail, 0x4c),
///             Side::Tx => self.bar.write32(tail, 0x5c),
///         }
///     }
///
///     fn interrupt(&self, _vector: usize) -> Events {
///         let cause = self.bar.read32(0x20);
///         Events {
///             ours: cause != 0,
///             packets: cause & 1 != 0,
///             link: cause & 2 != 0,
///         }
///     }
///
///     fn unmask(&self, _vector: usize) {
///         self.bar.write32(1, 0x28);
///     }
/// }
/// ```
#[vtable]
pub trait Operations: Send + Sync + Sized {
    /// The format of receive descriptors.
    type Rx: RxDescriptor;
    /// The format of transmit descriptors.
    type Tx: TxDescriptor;

    /// Packets of up to so many bytes are copied for the stack, and their buffers used again at once.
    ///
    /// A socket's buffer holds more of them than of those that come in half a page, which takes fewer instructions.
    /// What the C driver of a card does is what its users expect. (In pages of their own, or when somebody keeps many
    /// pages, packets of up to 256 bytes are copied in any case.)
    const COPYBREAK: usize = crate::deliver::COPYBREAK;

    /// How many unicast addresses beside its own the card can be told of: see [`RxMode::unicast`].
    const ADDRESSES: usize = 0;

    /// The number of the transmit queue that XDP programs of queue 0 have for themselves, if the card has as many more
    /// queues: then those who send for XDP share neither ring nor lock with the stack. The next one is that of queue 1,
    /// and so on. Each raises the vector of its queue.
    const XDP_TX: Option<usize> = None;

    /// Microseconds between two interrupts of a queue's vector, to begin with, and at least as long as they follow the
    /// [length of frames](crate::moderation): see [`set_interval`](Self::set_interval).
    const INTERVAL: u32 = 0;

    /// The most of those that the card can do.
    const INTERVAL_MAX: u32 = 0;

    /// How many [rules](crate::steering) the card has place for that send packets to queues.
    const RULES: usize = 0;

    /// How many VLANs it can tell apart for such rules.
    const VLANS: usize = 0;

    /// Starts the hardware, but no ring.
    ///
    /// Interrupts stay masked.
    fn start(&self, config: &Config) -> Result;

    /// Tells the hardware where a ring is, which is empty, and starts that ring.
    ///
    /// At the start the transmit ring of a queue comes first, and interrupts stay masked.
    fn start_ring(&self, ring: &Ring) -> Result;

    /// Stops the receive ring of one queue: no DMA for it after this, while all else goes on.
    ///
    /// It is started again by [`start_ring`](Self::start_ring), perhaps at another place. An error says that the
    /// device does not stop it: [`stop`](Self::stop) follows then, while all else goes on, and soon a restart; this
    /// ring may be started meanwhile, which has no effect. Left out by a card that cannot.
    fn stop_rx(&self, _queue: usize) -> Result {
        kernel::build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Stops the hardware: no DMA and no interrupt after this, of a card that is still there.
    ///
    /// May come for a card that is stopped already.
    fn stop(&self);

    /// Tells the hardware that the ring's descriptors before `tail` are its own.
    ///
    /// Any context.
    fn doorbell(&self, side: Side, queue: usize, tail: u32);

    /// Returns what the interrupt on vector `vector` was about, and acknowledges it.
    ///
    /// If it returns packets it also masks the vector, unless the hardware has done that; else the vector is
    /// unmasked at once. Hard interrupt.
    ///
    /// Left out by a card that has a vector for each queue, masks it by itself, and raises none for anything else.
    fn interrupt(&self, _vector: usize) -> Events {
        Events {
            ours: true,
            packets: true,
            link: false,
        }
    }

    /// Lets the device raise interrupts on vector `vector`.
    ///
    /// Softirq or process context.
    fn unmask(&self, vector: usize);

    /// Returns the state of the link; `None` if there is none.
    ///
    /// Process context.
    fn link(&self) -> Option<Link> {
        kernel::build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Returns what a register of the PHY holds, by the numbers of IEEE 802.3, clause 22; or writes `write` to it.
    ///
    /// With it the framework does what `ethtool -s`, `-r` and `-A` ask for: what is advertised, a speed without
    /// autonegotiation, and pauses. It has the PHY look for a link, unless there is one, between [`start`](Self::start)
    /// and the first ring. Process context, one at a time.
    fn phy(&self, _register: u8, _write: Option<u16>) -> Result<u16> {
        kernel::build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Has the card send and receive as the PHY will, or does: with a speed that is `forced`, or one that is negotiated; and
    /// with those pauses.
    ///
    /// Between [`start`](Self::start) and the first ring, before the PHY is told; and when the link has come. Left out
    /// by a card that takes it all from its PHY. Process context, under the device's lock or not.
    fn set_link(&self, _forced: Option<Link>, _pause: Pause) -> Result {
        kernel::build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Turns the LEDs of the port on, or off; `None` gives them back to the card.
    ///
    /// Process context, under the device's lock.
    fn set_led(&self, _on: Option<bool>) {
        kernel::build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Calls `register` with the offset and the value of each register that `ethtool -d` is to show: the same ones each
    /// time, and none that reading changes.
    ///
    /// Process context, under the device's lock.
    fn registers(&self, _register: &mut dyn FnMut(u32, u32)) {
        kernel::build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Returns a word of the EEPROM, of which there are [`Features::eeprom`].
    ///
    /// Process context, under the device's lock.
    fn eeprom(&self, _word: u32) -> Result<u16> {
        kernel::build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Returns the version of what the card has in its EEPROM or its flash, as `ethtool -i` is to show it.
    ///
    /// Process context, under the device's lock.
    fn firmware(&self) -> Result<CString> {
        kernel::build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Puts the card to a test of `ethtool -t`; an error says that it has failed.
    ///
    /// Process context, under the device's lock.
    fn test(&self, _test: Test) -> Result {
        kernel::build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Spreads flows over the queues: by their hash with `key`, whose low bits say which entry of `queues` it is.
    ///
    /// As Microsoft specifies it ("Receive Side Scaling"), with the largest table that is possible there. Also between
    /// [`start`](Self::start) and the first ring. Process context, under the device's lock.
    fn set_rss(&self, _key: &[u8; 40], _queues: &[u8; 128]) {
        kernel::build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Sends packets to the queues that rules say, and what no rule is about to the first one; or, if there is no rule,
    /// to those that [`set_rss`](Self::set_rss) says.
    ///
    /// What has to change for the first rule, and for none, changes between [`start`](Self::start) and the first ring:
    /// there is a restart then. [`set_rx_mode`](Self::set_rx_mode) follows. Process context, under the device's lock.
    fn set_rules(&self, _steering: &Steering) {
        kernel::build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Lets at least `us` microseconds pass between two interrupts of a queue's vector; 0 for no limit.
    ///
    /// Also between [`start`](Self::start) and the first ring. Softirq, or process context.
    fn set_interval(&self, _queue: usize, _us: u32) {
        kernel::build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Takes VLAN tags out of received frames, and says what they were; or leaves them where they are.
    ///
    /// XDP programs do not see tags that were taken out, and what they send back or redirect is without: with C drivers
    /// as well.
    ///
    /// Also between [`start`](Self::start) and the first ring. Process context, under the device's lock.
    fn strip_vlan(&self, _strip: bool) {
        kernel::build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Receives what `mode` says.
    ///
    /// Must not sleep: a spinlock is held, or not.
    fn set_rx_mode(&self, _mode: &RxMode<'_>) {
        kernel::build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Uses another MAC address.
    ///
    /// A card that cannot has to be down for it.
    fn set_mac(&self, _mac: &[u8; 6]) -> Result {
        kernel::build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Receives frames of another MTU.
    ///
    /// Left out by a card for which that makes no difference.
    fn set_mtu(&self, _mtu: u32) -> Result {
        kernel::build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Returns what the card has counted.
    ///
    /// Any context.
    fn statistics(&self) -> CardStats {
        kernel::build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// States names and values of more counters, for `ethtool -S`.
    ///
    /// The same ones in the same order each time.
    fn counters(&self, _visitor: &mut Visitor<'_>) {
        kernel::build_error!(VTABLE_DEFAULT_ERROR)
    }
}

/// Which packets the core wants to receive.
///
/// # Examples
///
/// ```
/// use net::netdev::RxMode;
///
/// /// The bits of a card that has a filter of 64 bits for multicast addresses.
/// fn filter(mode: &RxMode<'_>) -> u64 {
///     if mode.promiscuous() || mode.all_multicast() {
///         return u64::MAX;
///     }
///     mode.multicast().fold(0, |bits, mac| bits | 1 << (mac[5] & 63))
/// }
/// ```
pub struct RxMode<'a> {
    flags: u32,
    unicast: *mut bindings::netdev_hw_addr_list,
    multicast: *mut bindings::netdev_hw_addr_list,
    steering: &'a Steering,
}

impl<'a> RxMode<'a> {
    /// # Safety
    ///
    /// Both lists are valid and do not change for `'a`.
    pub(crate) unsafe fn new(
        mut flags: u32,
        unicast: *mut bindings::netdev_hw_addr_list,
        multicast: *mut bindings::netdev_hw_addr_list,
        steering: &'a Steering,
        addresses: usize,
    ) -> Self {
        // SAFETY: By the safety requirement the list is valid, and does not change. CAST: Never negative.
        if unsafe { (*unicast).count as usize } > addresses {
            flags |= bindings::net_device_flags_IFF_PROMISC;
        }
        Self {
            flags,
            unicast,
            multicast,
            steering,
        }
    }

    /// Returns whether everything is wanted, or more addresses than the card has.
    pub fn promiscuous(&self) -> bool {
        self.flags & bindings::net_device_flags_IFF_PROMISC != 0
    }

    /// Returns whether all multicast packets are wanted.
    pub fn all_multicast(&self) -> bool {
        self.flags & bindings::net_device_flags_IFF_ALLMULTI != 0
    }

    /// Returns the multicast addresses to listen to.
    pub fn multicast(&self) -> impl Iterator<Item = [u8; 6]> + 'a {
        // SAFETY: By the contract of `new()` the list is valid for `'a`, and does not change.
        unsafe { Self::addresses(self.multicast) }
    }

    /// Returns the unicast addresses to listen to beside the card's own: no more than
    /// [`ADDRESSES`](Operations::ADDRESSES), unless everything is wanted. Those that rules are about are not among them.
    pub fn unicast(&self) -> impl Iterator<Item = [u8; 6]> + 'a {
        let steering = self.steering;
        // SAFETY: By the contract of `new()` the list is valid for `'a`, and does not change.
        let all = unsafe { Self::addresses(self.unicast) };
        all.filter(|mac| !steering.is_about(*mac))
    }

    /// Returns the addresses in a list.
    ///
    /// # Safety
    ///
    /// The list is valid, and does not change, for `'a`.
    unsafe fn addresses(
        list: *mut bindings::netdev_hw_addr_list,
    ) -> impl Iterator<Item = [u8; 6]> + 'a {
        // SAFETY: By the safety requirement the list is valid. This is the address of its head, and no read.
        let head = unsafe { &raw mut (*list).list };
        // SAFETY: By the safety requirement the list is valid and does not change for `'a`, so its head can be read.
        let mut at = unsafe { (*head).next };
        core::iter::from_fn(move || {
            if at == head {
                return None;
            }
            // SAFETY: The list is a ring of its head and of entries. This is not the head, as was just checked,
            // and each entry is the field of a `struct netdev_hw_addr`.
            let entry = unsafe { kernel::container_of!(at, bindings::netdev_hw_addr, list) };
            let mut mac = [0; 6];
            // SAFETY: By the safety requirement the entry is valid and does not change for `'a`. Its address has
            // MAX_ADDR_LEN bytes, which are more than six; the reference is gone when they are copied.
            mac.copy_from_slice(unsafe { &(&(*entry).addr)[..6] });
            // SAFETY: By the safety requirement the entry is valid and does not change for `'a`, so what it leads to
            // can be read.
            at = unsafe { (*at).next };
            Some(mac)
        })
    }
}
