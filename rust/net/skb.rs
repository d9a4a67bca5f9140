// SPDX-License-Identifier: GPL-2.0

//! Network packets of the stack.
//!
//! C header: [`include/linux/skbuff.h`](srctree/include/linux/skbuff.h)

use crate::{
    desc::{
        Offload,
        Segments,
        Transport, //
    },
    dma::Transmit,
    napi::Budget, //
};
use core::ptr::NonNull;
use kernel::{
    error::to_result,
    prelude::*, //
};
use pp_bindings::{
    self as bindings,
    sk_buff__bindgen_ty_4__bindgen_ty_2 as Headers, //
};

// CAST: 14.
const ETH_HLEN: u16 = bindings::ETH_HLEN as u16;

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
        // SAFETY: By the type invariant the skb is valid.
        unsafe { list_of(self.0.as_ptr()) }
    }

    /// Returns the fields that clones have as well.
    #[inline]
    fn headers(&self) -> &Headers {
        // SAFETY: By the type invariant the skb is valid, and nobody writes the fields while it is with the driver. The
        // group has two names, and all of its bits are numbers.
        unsafe { &*(&raw const (*self.0.as_ptr()).__bindgen_anon_4).cast() }
    }

    /// Returns for which transmit queue the packet is.
    #[inline]
    pub(crate) fn queue(&self) -> u16 {
        // SAFETY: By the type invariant the skb is valid, and nobody writes the field while it is with the driver.
        unsafe { (*self.0.as_ptr()).queue_mapping }
    }

    /// Returns how far behind the packet's start something is that is `at` bytes behind its head.
    #[inline]
    fn offset(&self, at: u16) -> u32 {
        // CAST: A head has no more bytes than a u32 says.
        let headroom = (self.data() as usize).wrapping_sub(self.head() as usize) as u32;
        u32::from(at).wrapping_sub(headroom)
    }

    #[inline]
    fn head(&self) -> *const u8 {
        // SAFETY: By the type invariant the skb is valid, and nobody writes the field while it is with the driver.
        unsafe { (*self.0.as_ptr()).head }
    }

    /// Returns how long the headers are in front of what a checksum is asked for, if one is: that of the link, and the
    /// network's. What is nonsense is very long.
    #[inline]
    fn checksum_start(&self) -> Option<(u32, u32)> {
        let headers = self.headers();
        if headers.ip_summed() != bindings::RNET_CHECKSUM_PARTIAL {
            return None;
        }
        let link = self.offset(headers.network_header);
        // SAFETY: It is asked for, so this half of the union is in use.
        let start = unsafe { headers.__bindgen_anon_1.__bindgen_anon_1.csum_start };
        Some((link, self.offset(start).wrapping_sub(link)))
    }

    /// Returns whether the device finds the headers short enough, if it is to do something to them.
    pub(crate) fn is_within(&self, link: u16, network: u16) -> bool {
        self.checksum_start()
            .is_none_or(|(l, n)| l <= link.into() && n <= network.into())
    }

    /// Returns how the device is to divide the packet, if it is: the bytes of each frame, and how many there will be.
    #[inline]
    fn gso(&self) -> Option<(u16, u16)> {
        // SAFETY: By the type invariant the skb is valid, and so is its list; nobody writes the fields while it is with
        // the driver.
        let (size, segs) = unsafe {
            let list = self.shared_info();
            ((*list).gso_size, (*list).gso_segs)
        };
        (size != 0).then_some((size, segs))
    }

    /// Returns what the device has to do to the packet, and prepares its headers for that.
    ///
    /// Before it is mapped. Context: any.
    pub(crate) fn offload(&mut self) -> Result<Offload> {
        let headers = self.headers();
        let mut offload = Offload::default();
        // SAFETY: All bits of both halves of the union are numbers.
        let vlan = unsafe { headers.__bindgen_anon_2.__bindgen_anon_1 };
        // As `skb_vlan_tag_present()`.
        // SAFETY: As above.
        if unsafe { headers.__bindgen_anon_2.vlan_all } != 0 {
            offload.vlan = Some(vlan.vlan_tci);
            offload.link = ETH_HLEN;
        }
        let Some((link, network)) = self.checksum_start() else {
            return Ok(offload);
        };
        // No card finds that short enough which is longer than a u16 says.
        let short = |len| u16::try_from(len).unwrap_or(u16::MAX);
        (offload.link, offload.network) = (short(link), short(network));
        // SAFETY: A checksum is asked for, so this half of the union is in use.
        let at = unsafe { headers.__bindgen_anon_1.__bindgen_anon_1.csum_offset };
        // The core asks for nothing but what the features say, TCP and UDP.
        offload.checksum = Some(if at == bindings::RNET_TCP_CHECKSUM {
            Transport::Tcp
        } else {
            Transport::Udp
        });
        if let Some((payload, _)) = self.gso() {
            let mut ipv6 = false;
            // SAFETY: By the type invariant the skb is valid and ours. It is one that is to be divided: the headers are
            // in its head, and made ours before they are written to.
            let transport = unsafe { bindings::rnet_skb_prepare_tso(self.0.as_ptr(), &mut ipv6) };
            to_result(transport.min(0))?;
            offload.segments = Some(Segments {
                // CAST: At most 60.
                transport: transport as u16,
                payload,
                ipv6,
            });
        }
        Ok(offload)
    }

    /// Tells who asked for it when the packet was sent, which is now: before the device is told.
    #[inline]
    pub(crate) fn tx_timestamp(&self) {
        // SAFETY: By the type invariant the skb is valid.
        unsafe { bindings::rnet_skb_tx_timestamp(self.0.as_ptr()) };
    }

    /// Returns how many packets it was on the wire, and how many bytes.
    pub(crate) fn on_wire(&self) -> (u32, u32) {
        // CAST: A packet has no more bytes than a u32 says.
        let len = self.len() as u32;
        let Some((_, segments)) = self.gso() else {
            return (1, len);
        };
        let packets = u32::from(segments.max(1));
        let transport = self.headers().transport_header;
        // SAFETY: By the type invariant the skb is valid, and one that was divided, whose TCP header is in its head: the
        // upper half of this byte is its length, in words of 32 bits. CAST: u16 fits.
        let words = unsafe { *self.head().add(transport as usize).add(12) } >> 4;
        let headers = self.offset(transport).wrapping_add(u32::from(words) * 4);
        let more = packets.wrapping_sub(1).wrapping_mul(headers);
        (packets, len.wrapping_add(more))
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

// SAFETY: The memory is the linear part of an skb, and the list that of its fragments. By the type invariant a
// reference to the skb is the value's: as long as it is, the data can be read and stay where they are.
unsafe impl Transmit for SkBuff {
    #[inline]
    fn memory(&self) -> (*mut u8, usize) {
        (self.data(), self.head_len())
    }

    fn rest(&self) -> *const bindings::skb_shared_info {
        self.shared_info()
    }
}

impl Drop for SkBuff {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the reference is ours, and `self`, which goes away, gives it to the callee
        // once; that one looks by itself in which context it is.
        unsafe { bindings::dev_kfree_skb_any_reason(self.0.as_ptr(), DropReason::DevReady.raw()) };
    }
}

/// Returns the list of what is behind an skb's linear part.
///
/// # Safety
///
/// `skb` is valid, and nobody writes to what it says about its head.
#[inline(always)]
pub(crate) unsafe fn list_of(skb: *const bindings::sk_buff) -> *mut bindings::skb_shared_info {
    // SAFETY: By the safety requirement. The list is at the end of the skb's head, which is an offset on machines of 64
    // bits. CAST: u32 fits.
    unsafe { (*skb).head.add((*skb).end as usize) }.cast()
}

/// Returns the fields of an skb that its clones have as well.
#[inline(always)]
pub(crate) fn headers_mut(skb: &mut bindings::sk_buff) -> &mut Headers {
    // SAFETY: The group has two names, and all of its bits are numbers.
    unsafe { &mut *(&raw mut skb.__bindgen_anon_4).cast() }
}
