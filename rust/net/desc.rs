// SPDX-License-Identifier: GPL-2.0

//! Descriptors: what a card and its driver tell each other in memory.
//!
//! A driver states the formats of its card here, and nothing else about rings. Compiles in the kernel and on
//! the host.

/// A descriptor of 16 bytes, as two little-endian words in the byte order of the CPU.
pub type Words = [u64; 2];

/// The format of a card's receive descriptors.
///
/// # Safety
///
/// The functions say what the card does, by its manual:
///
/// - A descriptor that is [`post`](Self::post)ed lets the card write to the first
///   [`Ring::buffer`](crate::netdev::Ring::buffer) bytes at that address, and to no other memory: that is
///   [`BUFFER`](Self::BUFFER), or [`HALF`](Self::HALF), as the driver was told when the ring was started.
/// - [`completed`](Self::completed) returns something only of a descriptor that the card has written back,
///   after which it does not touch the buffer again; and it does not say so of one that was just posted.
/// - The buffer's first `len` bytes were written by the card, unless `error` is set: of a frame in several buffers, in
///   what is returned of its last one.
/// - A descriptor that is [`post_split`](Self::post_split) lets it write to the first [`HEADER`](Self::HEADER) bytes at
///   `header` as well, and to no other memory; all else is as for one that is posted. It has written as many of those as
///   [`header`](Self::header) says of one that is completed.
///
/// And they say it of the card as its driver sets it up: whoever implements
/// [`Operations`](crate::netdev::Operations) with this format
///
/// - tells the card the rings that [`start_ring`](crate::netdev::Operations::start_ring) gets, and no others;
/// - has stopped all of its DMA when [`stop`](crate::netdev::Operations::stop) returns, and that for a receive
///   ring when [`stop_rx`](crate::netdev::Operations::stop_rx) returns no error;
/// - lets the card write no more than [`Ring::buffer`](crate::netdev::Ring::buffer) into a buffer, whatever
///   [`set_mtu`](crate::netdev::Operations::set_mtu) and the others ask for;
/// - passes the tail of [`doorbell`](crate::netdev::Operations::doorbell) on as it is.
///
/// # Examples
///
/// ```
/// use net::desc::{Completed, RxDescriptor, Words};
///
/// struct Rx;
///
/// // SAFETY: By the manual: the card writes to the 2,048 bytes at word 0, and to no other memory. Then it sets
/// // bit 63 of word 1, which `post()` clears, with the bytes that it has written in the lowest 16.
/// unsafe impl RxDescriptor for Rx {
///     const BUFFER: usize = 2048;
///
///     fn post(addr: u64) -> Words {
///         [addr, 0]
///     }
///
///     fn completed(word: impl Fn(usize) -> u64) -> Option<Completed> {
///         let word = word(1);
///         (word >> 63 != 0).then_some(Completed {
///             len: (word & 0xffff) as usize,
///             last: word & 1 << 62 != 0,
///             error: word & 1 << 61 != 0,
///         })
///     }
/// }
/// ```
pub unsafe trait RxDescriptor {
    /// Bytes of a frame that the card writes into one buffer at most.
    const BUFFER: usize;

    /// Bytes of a frame that the card writes into half a page at most, if it can be kept to that.
    ///
    /// There is room for 1,536 with a usual configuration of the kernel; where there is less than the card wants, it
    /// gets whole pages. With halves, frames of the usual MTU take half the memory.
    const HALF: Option<usize> = None;

    /// Returns the descriptor that gives the card a buffer at `addr`.
    fn post(addr: u64) -> Words;

    /// Bytes of headers that the card writes into a buffer of their own at most, if it can: a multiple of 64, and no
    /// more than 256.
    ///
    /// Then a queue may have the headers of its packets there, and payload alone in the pages of its pool.
    const HEADER: Option<usize> = None;

    /// Returns the descriptor that gives the card a buffer at `addr`, and one at `header` for the headers in front.
    ///
    /// Left out by a card without [`HEADER`](Self::HEADER).
    fn post_split(_addr: u64, _header: u64) -> Words {
        [0; 2]
    }

    /// Returns the length of the headers, if the card has put them into the buffer that is for them; else all of the
    /// packet is in the other one.
    ///
    /// It is asked of a packet's first descriptor, and may return any number.
    fn header(_written: Words) -> Option<usize> {
        None
    }

    /// Whether the card says hashes, by [`details`](Self::details).
    const HASH: bool = false;

    /// Returns what the card has found out about a packet, by the descriptor of its last buffer.
    ///
    /// It is asked of what the stack gets only. Left out by a card that finds out nothing.
    fn details(_written: Words) -> Details {
        Details::default()
    }

    /// Returns what the card has written back, or nothing if it has not yet.
    ///
    /// `word` reads one of the words, each time from memory. The one that says that the descriptor is
    /// complete has to be read first: the others are as new as that one.
    fn completed(word: impl Fn(usize) -> u64) -> Option<Completed>;
}

/// The format of a card's transmit descriptors.
///
/// # Safety
///
/// The functions say what the card does, by its manual:
///
/// - A descriptor that is [`fill`](Self::fill)ed lets the card read the segment, and no other memory; that of a
///   [`context`](Self::context) lets it read none.
/// - [`sent`](Self::sent) is true only of a descriptor that the card has written back, after which it does
///   not read the segment again, nor those of the same frame before it; and not of one that was just filled. It
///   is asked of a frame's last descriptor.
///
/// And they say it of the card as its driver sets it up: see [`RxDescriptor`].
///
/// # Examples
///
/// ```
/// use net::desc::{Segment, TxDescriptor, Words};
///
/// struct Tx;
///
/// // SAFETY: By the manual: the card reads as many bytes at word 0 as the lowest 16 bits of word 1 say, and sets
/// // bit 63 of that, which `fill()` clears, when it does not read them again.
/// unsafe impl TxDescriptor for Tx {
///     fn fill(segment: &Segment) -> Words {
///         let last = u64::from(segment.last) << 62;
///         [segment.addr, last | (u64::from(segment.len) & 0xffff)]
///     }
///
///     fn sent(word: impl Fn(usize) -> u64) -> bool {
///         word(1) >> 63 != 0
///     }
/// }
/// ```
pub unsafe trait TxDescriptor {
    /// What the card does to a frame that the stack has left undone; nothing, if it is left out.
    const OFFLOADS: Option<Offloads> = None;

    /// Returns the descriptor that has the card send a segment, and report when it is done with a frame's last one.
    fn fill(segment: &Segment) -> Words;

    /// Returns the descriptor that tells the card what to do to the frames behind it that ask for it.
    ///
    /// It counts until the next one. Left out by a card without [`OFFLOADS`](Self::OFFLOADS).
    fn context(_offload: &Offload) -> Words {
        [0; 2]
    }

    /// Returns whether the card is done with the segment.
    ///
    /// `word` reads one of the words from memory.
    fn sent(word: impl Fn(usize) -> u64) -> bool;
}

/// What a card says of a buffer that it has finished. It may say anything; what is believed is for the
/// engine to decide.
#[derive(Clone, Copy, Debug, Default)]
pub struct Completed {
    /// Bytes that it has written into the buffer.
    pub len: usize,
    /// The frame ends in this buffer.
    pub last: bool,
    /// The frame is broken: CRC, symbol, length and the like.
    pub error: bool,
}

/// What a card found out about a received packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Details {
    /// The checksum of its transport header is right.
    pub verified: bool,
    /// The hash of its flow, by which the card has chosen the queue.
    pub hash: Option<Hash>,
    /// The VLAN tag that the card has taken out of it.
    pub vlan: Option<u16>,
}

/// The hash of a packet's flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hash {
    /// The hash.
    pub value: u32,
    /// It is one of the addresses of IPv6, and not of IPv4.
    pub ipv6: bool,
    /// It is one of the ports as well, of TCP or UDP, and not of the addresses only.
    pub ports: bool,
    /// The ports are those of UDP.
    pub udp: bool,
}

/// A piece of a frame to send that is in one piece of memory.
#[derive(Clone, Copy, Debug)]
pub struct Segment {
    /// Where the card finds it.
    pub addr: u64,
    /// Its bytes.
    pub len: u32,
    /// The frame begins here.
    pub first: bool,
    /// The frame ends here.
    pub last: bool,
    /// Bytes of the whole frame; of one that is to be divided, without its headers.
    pub frame_len: u32,
    /// What the card has to do to the frame.
    pub offload: Offload,
}

/// What a card does to a frame that the stack has left undone, as far as a card has limits there.
///
/// It has all of it or nothing: frames in several segments, checksums of TCP and UDP, TCP segmentation, VLAN tags;
/// over IPv4 and IPv6.
#[derive(Clone, Copy, Debug)]
pub struct Offloads {
    /// Bytes of a segment at most.
    pub segment: u32,
    /// Bytes of a frame at least, which the card fills up with zeroes to those of Ethernet.
    pub shortest: u32,
    /// Bytes before the network header at most.
    pub link: u16,
    /// Bytes of the network header at most.
    pub network: u16,
}

/// What has to be done to a frame before it is sent: nothing, by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offload {
    /// Bytes before the network header.
    pub link: u16,
    /// Bytes of the network header.
    pub network: u16,
    /// Fill in the checksum of the transport header.
    pub checksum: Option<Transport>,
    /// Divide the frame.
    pub segments: Option<Segments>,
    /// Insert a VLAN tag.
    pub vlan: Option<u16>,
}

/// A transport protocol with a checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// How a frame of TCP is divided into frames: each has the headers of the first one, corrected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segments {
    /// Bytes of the transport header.
    pub transport: u16,
    /// Bytes of payload of each frame but the last one.
    pub payload: u16,
    /// Over IPv6, which has no checksum in its header.
    pub ipv6: bool,
}
