// SPDX-License-Identifier: GPL-2.0

//! Received packets, on their way to the stack.
//!
//! What C drivers call as inlines of [`include/linux/skbuff.h`](srctree/include/linux/skbuff.h) is written out here, for
//! an skb that is new and linear: each is a store or two, and all compile into the driver.

use crate::{
    buffers::{
        Open,
        Packet,
        Stack, //
    },
    copies::copy,
    desc::{
        RxDescriptor,
        Words, //
    },
    napi::Napi,
    skb::{
        headers_mut,
        list_of, //
    },
    xdp::Buff,
};
use core::{
    marker::PhantomData,
    ptr::NonNull, //
};
use kernel::page::PAGE_SIZE;
use page_pool::Pressure;
use pp_bindings::{
    self as bindings,
    sk_buff__bindgen_ty_4__bindgen_ty_2__bindgen_ty_2__bindgen_ty_1 as Vlan, //
};

/// Packets up to this size are copied into an skb of their own, and their page is used again at once, where a page
/// for a few bytes in a socket's queue would be too much: when it is a whole one for each packet, when somebody keeps
/// many, or when the driver says so. (A copy is no cheaper than the way of half a page through the stack and back: an
/// skb's head wants to be allocated and freed.)
pub(crate) const COPYBREAK: usize = 256;

/// So many bytes are free in front of a copy.
const HEADROOM: u32 = bindings::RNET_HEADROOM;

/// The way of received packets to the stack.
///
/// What the stack is given is always new: nobody else has a reference to the skb, or to its data. What it sends is
/// another thing, for that may be shared (pktgen sends one skb many times) or have clones (of whoever
/// listens), and GRO assumes neither. So there is no way for a [`SkBuff`](crate::skb::SkBuff) to get there.
///
/// # Invariants
///
/// `napi` is the instance whose poll the current CPU is in for `'a`. It cannot be sent to another thread.
pub(crate) struct ToStack<'a> {
    napi: *mut bindings::napi_struct,
    /// As `skb_record_rx_queue()` notes it.
    queue: u16,
    /// What somebody wants to know of a packet.
    features: bindings::netdev_features_t,
    /// By how much more than its buffer a packet is charged for.
    surcharge: u32,
    /// Packets up to this size are copied.
    copybreak: usize,
    _poll: PhantomData<&'a ()>,
}

impl<'a> ToStack<'a> {
    #[inline]
    pub(crate) fn new(napi: &Napi<'a>) -> Self {
        let queue = napi.queue();
        // INVARIANT: By that of `Napi`; a raw pointer is not sent.
        Self {
            napi: queue.napi(),
            // CAST: A device has few queues.
            queue: (queue.index as u16).wrapping_add(1),
            features: queue.features(),
            surcharge: 0,
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
        self.surcharge = surcharge as u32;
        if O::Cpu::SIZE < PAGE_SIZE && surcharge == 0 {
            self.copybreak = copybreak;
        }
    }

    /// Hands a received packet to the stack, whose last descriptor was `words`.
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
    pub(crate) fn receive<'id, D: RxDescriptor, O: Open<'id>>(
        &mut self,
        pool: &mut O,
        buf: O::Cpu,
        meta: u32,
        words: Words,
    ) -> bool {
        // CAST: Less than a page, and an offset in one.
        let (len, meta) = (buf.len() as u32, meta.min(buf.offset() as u32));
        let skb = if buf.len() <= self.copybreak || pool.pressure() != Pressure::None {
            // SAFETY: The buffer is ours: there are `len` bytes of packet in it, and `meta` bytes in front of them.
            let skb = unsafe { copy_of(buf.as_ptr(), len, meta) };
            pool.recycle(buf);
            let Some(skb) = skb else {
                return false;
            };
            skb
        } else {
            let (start, offset) = (buf.start(), buf.offset());
            let page = pool.to_stack(buf);
            // SAFETY: The packet is in a buffer of that size, which leaves its end to `struct skb_shared_info`. Its
            // reference goes to the skb if there is one, and stays with `page` if not. We are in a poll, so bottom
            // halves are off. CAST: At most a page.
            let skb = unsafe { bindings::napi_build_skb(start.cast(), O::Cpu::SIZE as u32) };
            let Some(mut new) = NonNull::new(skb) else {
                return false;
            };
            page.given();
            // SAFETY: It has just been made, and nobody else knows it.
            let skb = unsafe { new.as_mut() };
            // It is empty, and linear: nothing for skb_reserve() and __skb_put() to look at.
            // CAST: An offset in a page.
            skb.tail = (offset as u32).wrapping_add(len);
            skb.data = start.wrapping_add(offset);
            skb.len = len;
            skb.truesize = skb.truesize.wrapping_add(self.surcharge);
            if O::Stack::PAGE_POOL {
                skb.set_pp_recycle(1);
            }
            new
        };
        // SAFETY: The skb was just made, of the packet.
        unsafe { self.deliver::<D>(skb, meta, words) };
        true
    }

    /// Hands a new packet to GRO.
    ///
    /// # Safety
    ///
    /// `skb` is valid and ours, nobody else knows it, and it is a packet that starts with an Ethernet header, with
    /// `meta` bytes of metadata in front of it.
    #[inline(always)]
    unsafe fn deliver<D: RxDescriptor>(
        &self,
        mut skb: NonNull<bindings::sk_buff>,
        meta: u32,
        words: Words,
    ) {
        // SAFETY: By the safety requirement.
        unsafe { self.note::<D>(skb.as_mut(), words) };
        // SAFETY: By the safety requirement the skb is valid and ours, and has a head.
        unsafe {
            if meta != 0 {
                // CAST: At most XDP_METADATA_MAX.
                (*list_of(skb.as_ptr())).meta_len = meta as u8;
            }
            skb.as_mut().queue_mapping = self.queue;
        }
        // SAFETY: As above; the device is that of the instance, which is valid by the type invariant. There is an Ethernet
        // header.
        unsafe {
            let protocol = bindings::eth_type_trans(skb.as_ptr(), (*self.napi).dev);
            headers_mut(skb.as_mut()).protocol = protocol;
        }
        // SAFETY: By the type invariant we are in the poll of that instance. The skb is given away.
        unsafe { self.gro(skb) };
    }

    /// # Safety
    ///
    /// `skb` is valid, and given to the callee.
    #[inline(always)]
    unsafe fn gro(&self, skb: NonNull<bindings::sk_buff>) {
        // SAFETY: By the type invariant the instance is valid, and we are in its poll.
        unsafe { bindings::gro_receive_skb(&raw mut (*self.napi).gro, skb.as_ptr()) };
    }

    /// Notes what the device has found out about a packet, as far as somebody wants it. (The core adds the NAPI instance.)
    #[inline(always)]
    fn note<D: RxDescriptor>(&self, skb: &mut bindings::sk_buff, words: Words) {
        let details = D::details(words);
        let wanted = |feature| self.features & feature != 0;
        let headers = headers_mut(skb);
        if details.verified && wanted(bindings::RNET_F_RXCSUM) {
            headers.set_ip_summed(bindings::RNET_CHECKSUM_UNNECESSARY);
        }
        if let Some(hash) = details.hash.filter(|_| wanted(bindings::RNET_F_RXHASH)) {
            headers.hash = hash.value;
            headers.set_l4_hash(hash.ports.into());
        }
        if let Some(tag) = details.vlan {
            headers.__bindgen_anon_2.__bindgen_anon_1 = Vlan {
                vlan_proto: bindings::RNET_VLAN_PROTO,
                vlan_tci: tag,
            };
        }
    }

    /// Hands a new packet to GRO, whose last descriptor was `words`.
    #[inline]
    pub(crate) fn receive_parcel<D: RxDescriptor>(&mut self, parcel: Parcel, words: Words) {
        let skb = core::mem::ManuallyDrop::new(parcel).skb;
        // SAFETY: By the type invariant it is valid and ours, and begins with an Ethernet header. It is given away.
        unsafe { self.deliver::<D>(skb, 0, words) };
    }

    /// As [`receive`](Self::receive), of a packet that may be in several buffers, and has its metadata with it.
    ///
    /// `pressure` is that of the pool before the packet was taken from it.
    pub(crate) fn receive_several<D: RxDescriptor>(
        &mut self,
        mut buff: Buff<'_>,
        pressure: Pressure,
        words: Words,
    ) -> bool {
        if pressure != Pressure::None {
            let Some((skb, meta)) = copy_of_several(&buff) else {
                return false;
            };
            // SAFETY: The skb was just made, of the packet.
            unsafe { self.deliver::<D>(skb, meta, words) };
            return true;
        }
        // SAFETY: By the type invariant we are in the poll of this instance, and of the queue of that packet. Its
        // buffers go to the skb if there is one, and stay with `buff` if not.
        let skb = unsafe { bindings::xdp_build_skb_from_buff(buff.as_raw()) };
        let Some(mut skb) = NonNull::new(skb) else {
            return false;
        };
        buff.given();
        // SAFETY: It has just been made, and nobody else knows it.
        let new = unsafe { skb.as_mut() };
        new.truesize = new.truesize.wrapping_add(self.surcharge);
        self.note::<D>(new, words);
        // SAFETY: The skb is valid, and given away.
        unsafe { self.gro(skb) };
        true
    }
}

/// A new packet whose headers are copied, and whose payload is in pages, or copied as well. Dropped, it is freed.
///
/// # Invariants
///
/// - The skb is valid and ours, and nobody else knows it. It begins with an Ethernet header.
/// - From `written` on there is room for as many bytes of payload as it was made for.
pub(crate) struct Parcel {
    skb: NonNull<bindings::sk_buff>,
    written: u32,
}

impl Parcel {
    /// Makes one of `len` bytes of headers at `data`, with room for `rest` bytes of payload that are copied.
    ///
    /// # Safety
    ///
    /// There are `len` bytes at `data`, which are an Ethernet header at least, and less than a page.
    #[inline]
    pub(crate) unsafe fn new(data: *const u8, len: usize, rest: usize) -> Option<Self> {
        // CAST: Less than a page, and less than the longest frame.
        let (len, rest) = (len as u32, rest as u32);
        let skb = if rest == 0 {
            // SAFETY: By the safety requirement.
            unsafe { copy_of(data, len, 0) }?
        } else {
            // SAFETY: By the safety requirement.
            unsafe { copy_with_room(data, len, 0, rest) }?
        };
        // INVARIANT: It is new; the room begins behind the headers.
        Some(Self { skb, written: len })
    }

    /// Appends a copy of `len` bytes at `data`.
    ///
    /// # Safety
    ///
    /// There are so many bytes, and all that is copied is no more than was announced.
    pub(crate) unsafe fn copy(&mut self, data: *const u8, len: usize) {
        // SAFETY: By the safety requirement the bytes are there, and by the type invariant there is the room. CAST: A packet
        // is not longer than an i32 says.
        unsafe {
            bindings::skb_store_bits(
                self.skb.as_ptr(),
                self.written as i32,
                data.cast(),
                len as i32,
            )
        };
        // INVARIANT: So many bytes less.
        self.written = self.written.wrapping_add(len as u32);
    }

    /// Appends `len` bytes at `data`, in a buffer of `size`, or returns `false`: there is no room in the list.
    ///
    /// # Safety
    ///
    /// There are so many bytes, in a page of which a reference goes to the skb if this succeeds; it is one of a
    /// `struct page_pool` if `page_pool` says so.
    #[inline]
    pub(crate) unsafe fn add(
        &mut self,
        data: *const u8,
        len: usize,
        size: usize,
        page_pool: bool,
    ) -> bool {
        // SAFETY: By the type invariant the skb is ours. The rest is our caller's promise. CAST: At most a page, both.
        unsafe {
            if page_pool {
                self.skb.as_mut().set_pp_recycle(1);
            }
            let data = data.cast_mut().cast();
            bindings::rnet_skb_add(self.skb.as_ptr(), data, len as u32, size as u32)
        }
    }
}

impl Drop for Parcel {
    fn drop(&mut self) {
        // SAFETY: By the type invariant it is valid and ours, and `self`, which goes away, gives it up once. In a poll.
        unsafe {
            bindings::dev_kfree_skb_any_reason(
                self.skb.as_ptr(),
                bindings::skb_drop_reason_SKB_DROP_REASON_NOMEM,
            )
        };
    }
}

/// Makes an skb with a copy of a packet, and of the `meta` bytes in front of it.
///
/// Not `napi_alloc_skb()`: it takes what is no small head from fragments of order-3 pages, and one packet that is kept
/// keeps the 32 KiB. Slab objects do not: what is free beside them is used again.
///
/// # Safety
///
/// There are `len` bytes at `data`, and `meta` bytes in front of them.
#[inline(never)]
unsafe fn copy_of(data: *const u8, len: u32, meta: u32) -> Option<NonNull<bindings::sk_buff>> {
    let size = HEADROOM.wrapping_add(meta).wrapping_add(len);
    // SAFETY: There are no conditions; in a poll such flags will do.
    let skb = unsafe {
        bindings::__alloc_skb(
            size,
            bindings::RNET_GFP,
            // CAST: Two bits.
            (bindings::SKB_ALLOC_RX | bindings::SKB_ALLOC_NAPI) as i32,
            bindings::NUMA_NO_NODE,
        )
    };
    let mut skb = NonNull::new(skb)?;
    // SAFETY: It was just made, with room for so many bytes. The rest is our caller's promise.
    unsafe { place(skb.as_mut(), data, len, meta) };
    Some(skb)
}

/// As [`copy_of`], of a packet that may be in several buffers; and returns how many bytes of metadata it has.
fn copy_of_several(buff: &Buff<'_>) -> Option<(NonNull<bindings::sk_buff>, u32)> {
    // CAST: Less than a page, each.
    let (len, meta) = (buff.head_len() as u32, buff.meta() as u32);
    let rest = buff
        .pieces()
        .iter()
        .fold(0u32, |sum, piece| sum.wrapping_add(piece.len));
    // SAFETY: So many are in the first buffer of the packet.
    let skb = unsafe { copy_with_room(buff.data(), len, meta, rest) }?;
    let mut at = len;
    for piece in buff.pieces() {
        // A page, since the packet was received.
        let (page, mut start) = (piece.netmem as *mut bindings::page, core::ptr::null_mut());
        // SAFETY: The page is valid, and one address is written. So many bytes at that offset in it are the packet's;
        // and there is room for them, since that is the sum of the lengths. CAST: A packet is not longer than an i32 says.
        unsafe {
            bindings::rpp_page_addresses(&page, 1, &mut start);
            let from = start.byte_add(piece.offset as usize);
            bindings::skb_store_bits(skb.as_ptr(), at as i32, from, piece.len as i32);
        }
        at = at.wrapping_add(piece.len);
    }
    Some((skb, meta))
}

/// As [`copy_of`], with room for `rest` bytes more, which count already.
///
/// # Safety
///
/// As for [`copy_of`]. The rest is written before anybody sees the skb.
unsafe fn copy_with_room(
    data: *const u8,
    len: u32,
    meta: u32,
    rest: u32,
) -> Option<NonNull<bindings::sk_buff>> {
    let mut error = 0;
    // SAFETY: There are no conditions; in a poll such flags will do.
    let skb = unsafe {
        bindings::alloc_skb_with_frags(
            // CAST: u32 fits.
            HEADROOM.wrapping_add(meta).wrapping_add(len) as usize,
            rest as usize,
            0,
            &mut error,
            bindings::RNET_GFP,
        )
    };
    let mut skb = NonNull::new(skb)?;
    // SAFETY: It was just made, with room for so many bytes. The rest is our caller's promise.
    let new = unsafe {
        place(skb.as_mut(), data, len, meta);
        skb.as_mut()
    };
    new.data_len = rest;
    new.len = new.len.wrapping_add(rest);
    Some(skb)
}

/// Copies a packet into the head of an skb, behind [`HEADROOM`], with the `meta` bytes in front of it.
///
/// # Safety
///
/// - There are `len` bytes at `data`, and `meta` bytes in front of them.
/// - The skb is new, and its head has the room.
unsafe fn place(skb: &mut bindings::sk_buff, data: *const u8, len: u32, meta: u32) {
    let offset = HEADROOM.wrapping_add(meta);
    // CAST: u32 fits.
    let (before, all) = (meta as usize, meta.wrapping_add(len) as usize);
    // SAFETY: By the safety requirements both are valid for so many bytes, and the skb's head is new.
    unsafe {
        copy(data.sub(before), skb.head.add(HEADROOM as usize), all);
    }
    skb.data = skb.head.wrapping_add(offset as usize);
    skb.tail = offset.wrapping_add(len);
    skb.len = len;
}
