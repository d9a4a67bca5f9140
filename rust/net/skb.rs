// SPDX-License-Identifier: GPL-2.0

//! Network packets of the stack.
//!
//! C header: [`include/linux/skbuff.h`](srctree/include/linux/skbuff.h)

use crate::{
    buffers::{
        Open,
        Packet,
        Stack, //
    },
    desc::{
        Offload,
        RxDescriptor,
        Segments,
        Transport,
        Words, //
    },
    napi::{
        Budget,
        Napi, //
    },
    xdp::Buff,
};
use core::{
    marker::PhantomData,
    ptr::NonNull, //
};
use kernel::{
    error::to_result,
    page::PAGE_SIZE,
    prelude::*, //
};
use page_pool::Pressure;
use pp_bindings as bindings;

/// Why a packet was not delivered; what `perf trace` and drop monitors show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DropReason {
    /// The device is not ready: down, or being reset.
    DevReady,
    /// No memory, or no room left for a DMA mapping.
    NoMemory,
    /// The packet cannot be what the device needs.
    DevHeader,
}

impl DropReason {
    fn raw(self) -> u32 {
        match self {
            Self::DevReady => bindings::skb_drop_reason_SKB_DROP_REASON_DEV_READY,
            Self::NoMemory => bindings::skb_drop_reason_SKB_DROP_REASON_NOMEM,
            Self::DevHeader => bindings::skb_drop_reason_SKB_DROP_REASON_DEV_HDR,
        }
    }
}

/// Packets up to this size are copied into an skb of their own, and their page is used again at once, where a page
/// for a few bytes in a socket's queue would be too much: when it is a whole one for each packet, when somebody keeps
/// many, or when the driver says so. (A copy is no cheaper than the way of half a page through the stack and back: an
/// skb's head wants to be allocated and freed.)
pub(crate) const COPYBREAK: usize = 256;

/// A `struct sk_buff` that we own.
///
/// Dropping it frees the packet with the reason that fits a driver that is going down; anybody who
/// knows better says so with [`SkBuff::free`], and a packet that did its duty is
/// [`SkBuff::consume`]d.
///
/// # Invariants
///
/// The pointer is valid, and the reference is ours.
#[repr(transparent)]
pub(crate) struct SkBuff(NonNull<bindings::sk_buff>);

// SAFETY: The value owns a reference to the skb, which belongs to no CPU: it may be sent and freed on another one
// than that which has made it.
unsafe impl Send for SkBuff {}

impl SkBuff {
    /// Takes over the ownership of an skb.
    ///
    /// # Safety
    ///
    /// - `skb` is valid.
    /// - Its reference is given to us, until [`into_raw`](Self::into_raw).
    #[inline]
    pub(crate) unsafe fn from_raw(skb: NonNull<bindings::sk_buff>) -> Self {
        // INVARIANT: By the safety requirement.
        Self(skb)
    }

    #[inline]
    pub(crate) fn as_raw(&self) -> *mut bindings::sk_buff {
        self.0.as_ptr()
    }

    /// Gives up the ownership.
    #[inline]
    pub(crate) fn into_raw(self) -> *mut bindings::sk_buff {
        let ptr = self.0.as_ptr();
        core::mem::forget(self);
        ptr
    }

    /// Returns the length of the packet, in bytes.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        // SAFETY: By the type invariant the skb is valid, and nobody writes the field while it is with the driver.
        // CAST: u32 fits.
        unsafe { (*self.0.as_ptr()).len as usize }
    }

    /// Returns the length of the packet's linear part, in bytes.
    ///
    /// That is all of it but for a device that sends frames in several pieces: the core sees to that.
    #[inline]
    pub(crate) fn head_len(&self) -> usize {
        // SAFETY: By the type invariant the skb is valid, and nobody writes the field while it is with the driver.
        // CAST: u32 fits.
        let rest = unsafe { (*self.0.as_ptr()).data_len as usize };
        self.len().saturating_sub(rest)
    }

    /// Returns the list of what is behind the packet's linear part.
    pub(crate) fn shared_info(&self) -> *const bindings::skb_shared_info {
        // SAFETY: By the type invariant the skb is valid, and nobody writes the fields while it is with the driver: the
        // list is at the end of its head, which is an offset on machines of 64 bits. CAST: u32 fits.
        unsafe { (*self.0.as_ptr()).head.add((*self.0.as_ptr()).end as usize) }.cast()
    }

    /// Returns what the device has to do to the packet, and prepares its headers for that.
    ///
    /// Before it is mapped. Context: any.
    pub(crate) fn offload(&mut self) -> Result<Offload> {
        let mut raw = bindings::rnet_offload {
            flags: 0,
            link: 0,
            network: 0,
            transport: 0,
            payload: 0,
            vlan: 0,
        };
        // SAFETY: By the type invariant the skb is valid and ours. It may write to the headers: it makes them ours
        // first. What the flags say of the rest is in `raw`.
        to_result(unsafe { bindings::rnet_skb_offload(self.0.as_ptr(), &mut raw) })?;
        let is = |flag| u32::from(raw.flags) & flag != 0;
        Ok(Offload {
            link: raw.link,
            network: raw.network,
            checksum: if is(bindings::RNET_OFFLOAD_TCP) {
                Some(Transport::Tcp)
            } else {
                is(bindings::RNET_OFFLOAD_UDP).then_some(Transport::Udp)
            },
            segments: is(bindings::RNET_OFFLOAD_SEGMENTS).then_some(Segments {
                transport: raw.transport,
                payload: raw.payload,
                ipv6: is(bindings::RNET_OFFLOAD_IPV6),
            }),
            vlan: is(bindings::RNET_OFFLOAD_VLAN).then_some(raw.vlan),
        })
    }

    /// Returns how many packets it was on the wire, and how many bytes.
    pub(crate) fn on_wire(&self) -> (u32, u32) {
        let (mut packets, mut bytes) = (0, 0);
        // SAFETY: By the type invariant the skb is valid; it is only read, and the other two are our own.
        unsafe { bindings::rnet_skb_on_wire(self.0.as_ptr(), &mut packets, &mut bytes) };
        (packets, bytes)
    }

    /// Returns the address of the start of the packet's linear part.
    #[inline]
    pub(crate) fn data(&self) -> *mut u8 {
        // SAFETY: By the type invariant the skb is valid, and nobody writes the field while it is with the driver.
        unsafe { (*self.0.as_ptr()).data.cast() }
    }

    /// Appends zeroes up to `len` bytes.
    pub(crate) fn pad(self, len: u32) -> Result<Self> {
        // SAFETY: By the type invariant the skb is valid, and on failure still ours. It gets another buffer if
        // there is no room, which it must not if others have references: of those that the core sends only
        // pktgen's have, and those have room.
        if unsafe { bindings::rnet_skb_pad(self.0.as_ptr(), len) } != 0 {
            self.free(DropReason::NoMemory);
            return Err(ENOMEM);
        }
        Ok(self)
    }

    /// Frees a packet that was not delivered.
    pub(crate) fn free(self, reason: DropReason) {
        // SAFETY: By the type invariant the reference is ours, and `into_raw()` gives it to the callee, which
        // looks by itself in which context it is.
        unsafe { bindings::dev_kfree_skb_any_reason(self.into_raw(), reason.raw()) };
    }

    /// Frees a packet that was sent.
    ///
    /// `budget` proves that the per-CPU cache of NAPI may be used.
    #[inline]
    pub(crate) fn consume(self, budget: Budget<'_>) {
        // SAFETY: By the type invariant the reference is ours, and `into_raw()` gives it to the callee. By that of
        // `Budget` we are in a poll of that budget, or it is 0, for which any context will do.
        unsafe { bindings::napi_consume_skb(self.into_raw(), budget.get()) };
    }
}

impl Drop for SkBuff {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the reference is ours, and `self`, which goes away, gives it to the callee
        // once; that one looks by itself in which context it is.
        unsafe { bindings::dev_kfree_skb_any_reason(self.0.as_ptr(), DropReason::DevReady.raw()) };
    }
}

/// The way of received packets to the stack.
///
/// What the stack is given is always new: nobody else has a reference to the skb, or to its data. What it sends is
/// another thing, for that may be shared (pktgen sends one skb many times) or have clones (of whoever
/// listens), and GRO assumes neither. So there is no way for a [`SkBuff`] to get there.
///
/// # Invariants
///
/// The instance in there is that whose poll the current CPU is in for `'a`. It cannot be sent to another thread.
pub(crate) struct ToStack<'a> {
    packet: bindings::rnet_packet,
    /// What somebody wants to know of a packet.
    wanted: u32,
    /// Packets up to this size are copied.
    copybreak: usize,
    _poll: PhantomData<&'a ()>,
}

impl<'a> ToStack<'a> {
    #[inline]
    pub(crate) fn new(napi: &Napi<'a>) -> Self {
        let queue = napi.queue();
        let packet = bindings::rnet_packet {
            napi: queue.napi(),
            data: core::ptr::null_mut(),
            len: 0,
            metasize: 0,
            queue: queue.index,
            flags: 0,
            surcharge: 0,
            hash: 0,
            vlan: 0,
        };
        let features = queue.features();
        let wants = |feature, flags| if features & feature != 0 { flags } else { 0 };
        // INVARIANT: By that of `Napi`; a raw pointer is not sent.
        Self {
            packet,
            wanted: bindings::RNET_PACKET_VLAN
                | wants(bindings::RNET_F_RXCSUM, bindings::RNET_PACKET_CSUM_OK)
                | wants(bindings::RNET_F_RXHASH, bindings::RNET_PACKET_HASH)
                | bindings::RNET_PACKET_HASH_PORTS,
            copybreak: COPYBREAK,
            _poll: PhantomData,
        }
    }

    /// Hears from the pool by how much more than its buffer a packet is to be charged for, because somebody keeps many
    /// pages; and from the driver up to which size it wants packets to be copied if nobody does.
    #[inline]
    pub(crate) fn prepare<'id, O: Open<'id>>(&mut self, pool: &mut O, copybreak: usize) {
        let surcharge = pool.surcharge();
        // CAST: Less than a page.
        self.packet.surcharge = surcharge as u32;
        if O::Cpu::SIZE < PAGE_SIZE && surcharge == 0 {
            self.copybreak = copybreak;
        }
    }

    /// Notes what the device has found out about the next packet, by a descriptor.
    #[inline(always)]
    pub(crate) fn note<D: RxDescriptor>(&mut self, words: Words) {
        let packet = &mut self.packet;
        let details = D::details(words);
        packet.flags = 0;
        if details.verified {
            packet.flags |= bindings::RNET_PACKET_CSUM_OK;
        }
        if let Some(hash) = details.hash {
            packet.hash = hash.value;
            packet.flags |= bindings::RNET_PACKET_HASH;
            if hash.ports {
                packet.flags |= bindings::RNET_PACKET_HASH_PORTS;
            }
        }
        if let Some(tag) = details.vlan {
            packet.vlan = tag.into();
            packet.flags |= bindings::RNET_PACKET_VLAN;
        }
        packet.flags &= self.wanted;
    }

    /// Hands a received packet to the stack, of which [`note()`](Self::note) has heard.
    ///
    /// It starts with the Ethernet header. `false`: there is no memory for an skb, and the packet is lost.
    ///
    /// The buffer itself becomes the head of the skb, and its page comes back to the pool when the last user of it,
    /// whoever that is, drops the page. A small packet may be [copied](COPYBREAK), and `buf` goes back into the pool at
    /// once. As the pool nears its limit every packet is copied: who hoards packets then takes no more pages from the
    /// device, and nobody else loses a packet.
    ///
    /// `meta` is the number of bytes of XDP metadata in front of the packet, no more than there are in
    /// the buffer. The packet keeps them either way.
    #[inline(always)]
    pub(crate) fn receive<'id, O: Open<'id>>(
        &mut self,
        pool: &mut O,
        buf: O::Cpu,
        meta: u32,
    ) -> bool {
        let packet = &mut self.packet;
        packet.data = buf.as_ptr().cast_mut().cast();
        // CAST: Less than a page.
        packet.len = buf.len() as u32;
        if meta != 0 {
            // CAST: An offset in a page.
            packet.metasize = meta.min(buf.offset() as u32);
            packet.flags |= bindings::RNET_PACKET_META;
        }
        if buf.len() <= self.copybreak || pool.pressure() != Pressure::None {
            // SAFETY: By the type invariant we are in the poll of this instance. The buffer is ours and is only
            // read: there are `len` bytes of packet in it from `data` on, and `metasize` bytes in front of them.
            let error = unsafe { bindings::rnet_receive_copy(packet) };
            pool.recycle(buf);
            return error >= 0;
        }

        let page = pool.to_stack(buf);
        packet.flags |= O::Stack::FLAGS;
        // SAFETY: By the type invariant we are in the poll of this instance. `len` bytes from `data` on and
        // `metasize` in front are in a buffer of that size, which leaves its end to `struct skb_shared_info`, in a
        // page of the kind that the flags say. Its reference goes to the skb if the callee succeeds, and stays with
        // `page` if not. CAST: At most a page.
        if unsafe { bindings::rnet_receive_page(packet, O::Cpu::SIZE as u32) } < 0 {
            return false;
        }
        page.given();
        true
    }

    /// As [`receive`](Self::receive), of a packet that may be in several buffers, and has its metadata with it.
    /// [`note()`](Self::note) has heard of it as well.
    ///
    /// `pressure` is that of the pool before the packet was taken from it.
    pub(crate) fn receive_several(&mut self, mut buff: Buff<'_>, pressure: Pressure) -> bool {
        let packet = &mut self.packet;
        // CAST: Less than a page.
        packet.len = buff.head_len() as u32;
        if pressure != Pressure::None {
            // SAFETY: By the type invariant we are in the poll of this instance. The packet is only read.
            return unsafe { bindings::rnet_receive_buff_copy(packet, buff.as_raw()) } >= 0;
        }
        // SAFETY: By the type invariant we are in the poll of this instance, and of the queue of that packet. Its
        // buffers go to the skb if the callee succeeds, and stay with `buff` if not.
        let error = unsafe { bindings::rnet_receive_buff(packet, buff.as_raw()) };
        if error >= 0 {
            buff.given();
        }
        error >= 0
    }
}
