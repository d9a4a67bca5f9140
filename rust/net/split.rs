// SPDX-License-Identifier: GPL-2.0

//! Received packets whose headers are in buffers of their own: the pages of the pool have payload, and nothing else.
//!
//! A segment of TCP that fills a page can be mapped into user space, as `TCP_ZEROCOPY_RECEIVE` does: what is in the page is
//! that segment's, all of it. It comes home as other pages do, when the last user lets go.
//!
//! There is no XDP here: a program would want a packet in one piece.

use crate::{
    buffers::{
        Open,
        Packet,
        Stack, //
    },
    deliver::Parcel,
    desc::{
        RxDescriptor,
        Words, //
    },
    descs::{
        Descs,
        BATCH, //
    },
    frames::{
        Bounds,
        Next,
        ETH_HLEN, //
    },
    heads::{
        lengths,
        Heads, //
    },
    netdev::{
        Operations,
        Side, //
    },
    poll::Poll, //
};
use page_pool::Pressure;

/// So much of a packet that the card has not divided goes into the head of its skb: what the stack reads of it. (As
/// much as C drivers take.)
const HEAD: usize = 256;

/// A packet, as the card has left it: where its headers are, and what is in each of its buffers.
struct Received<'a> {
    /// The first descriptor.
    first: usize,
    /// The length of its headers, if they are in a buffer of their own.
    header: Option<usize>,
    /// How many bytes are in its first buffer for payload.
    len: usize,
    /// How many are in each of the others.
    more: &'a [usize],
    /// What the card has said in its last descriptor.
    words: Words,
}

/// Hands the packets of a poll to the stack, and returns how many there were.
///
/// # Safety
///
/// The pool is that of the queue that is polled, and `heads` that of `descs`.
#[inline(never)]
pub(crate) unsafe fn receive<'id, T: Operations, O: Open<'id>, H: Heads>(
    descs: &mut Descs<T::Rx>,
    heads: &H,
    pool: &mut O,
    posted: &mut O::Ring<'_>,
    poll: &mut Poll<'_, '_, '_, T>,
    bounds: Bounds,
) -> usize {
    // CAST: u32 fits.
    let queue = poll.napi.queue().index as usize;
    let ops = poll.ops;
    let mut done = 0usize;
    while done < poll.budget {
        // A descriptor without a buffer still says what it said in the last round.
        if descs.posted() == 0 {
            break;
        }
        let first = descs.next;
        let desc = descs.ring.at(first);
        let Some(written) = T::Rx::completed(|word| desc.load(word)) else {
            break;
        };
        let words = desc.read();
        let header = T::Rx::header(words);
        match descs.packet(&written, bounds.first, bounds.buffer) {
            Some(len) if is_packet::<T::Rx>(header, len) => {
                let packet = Received {
                    first,
                    header,
                    len,
                    more: &[],
                    words,
                };
                // SAFETY: `completed()` has returned something.
                unsafe { pass(&packet, descs, heads, pool, posted, poll) };
            }
            _ => {
                // SAFETY: The requirements are those of the caller's.
                if !unsafe { several(header, descs, heads, pool, posted, poll, bounds) } {
                    break;
                }
            }
        }
        done = done.wrapping_add(1);
        if descs.lack.missing >= descs.lack.left.wrapping_add(BATCH) {
            let post = |index, addr| heads.post::<T::Rx>(index, addr);
            descs.more(pool, posted, post, |tail| {
                ops.doorbell(Side::Rx, queue, tail)
            });
        }
    }
    done
}

/// Does what is to be done about what is no packet in a single buffer: a longer one, or none.
///
/// `false`: there is more to come of it, and it stays where it is.
///
/// # Safety
///
/// As for [`receive`].
#[cold]
#[inline(never)]
unsafe fn several<'id, T: Operations, O: Open<'id>, H: Heads>(
    header: Option<usize>,
    descs: &mut Descs<T::Rx>,
    heads: &H,
    pool: &mut O,
    posted: &mut O::Ring<'_>,
    poll: &mut Poll<'_, '_, '_, T>,
    bounds: Bounds,
) -> bool {
    let first = descs.next;
    let next = descs.received(bounds);
    let (buffers, error) = match &next {
        Next::Unfinished => return false,
        Next::Packet(parts) => {
            let lens = parts.lens();
            match lens.split_first() {
                Some((&len, more)) if is_packet::<T::Rx>(header, len) => {
                    let packet = Received {
                        first,
                        header,
                        len,
                        more,
                        words: descs.ring.at(descs.ring.ahead(first, more.len())).read(),
                    };
                    // SAFETY: The device has finished these descriptors: `received()` has asked.
                    unsafe { pass(&packet, descs, heads, pool, posted, poll) };
                    return true;
                }
                _ => (lens.len(), true),
            }
        }
        Next::Bad(buffers, error) => (*buffers, *error),
    };
    // SAFETY: The device has finished so many descriptors, by the contract of the format.
    unsafe { poll.discard(descs, pool, posted, buffers, error) };
    true
}

/// Returns whether there can be such headers; or, where there are none apart, whether `len` bytes may begin with one of
/// Ethernet.
fn is_packet<D: RxDescriptor>(header: Option<usize>, len: usize) -> bool {
    match (header, const { lengths::<D>() }) {
        (Some(header), Some(lengths)) => lengths.contains(&header),
        _ => len >= ETH_HLEN,
    }
}

/// Hands a packet to the stack: its payload in its pages, or copied if somebody keeps many.
///
/// # Safety
///
/// - The device has finished the packet's descriptors, which are the next ones.
/// - The rest as for [`receive`].
#[inline(always)]
unsafe fn pass<'id, T: Operations, O: Open<'id>, H: Heads>(
    packet: &Received<'_>,
    descs: &mut Descs<T::Rx>,
    heads: &H,
    pool: &mut O,
    posted: &mut O::Ring<'_>,
    poll: &mut Poll<'_, '_, '_, T>,
) {
    let &Received {
        header, len, more, ..
    } = packet;
    let payload = more.iter().fold(len, |sum, len| sum.wrapping_add(*len));
    poll.count(payload.wrapping_add(header.unwrap_or(0)));
    let copy = pool.pressure() != Pressure::None;
    // SAFETY: By the safety requirement the device has finished it.
    let Some(buf) = (unsafe { descs.take(posted) }) else {
        return poll.no_skb();
    };
    // SAFETY: By the contract of the format the device has written the first `len` bytes, since it has reported no error in
    // the last buffer, and does not touch this one again. They fit, since `packet()` or `received()` has looked.
    let buf = unsafe { pool.sync_for_cpu(buf, len) };
    let (head, head_len, skip) = match header {
        Some(len) => (heads.at(packet.first), len, 0),
        None => (buf.as_ptr(), len.min(HEAD), len.min(HEAD)),
    };
    let room = if copy { payload.wrapping_sub(skip) } else { 0 };
    // SAFETY: The device has written so many bytes there: as many as it says of the headers, which are no more than there is
    // room for, since `is_packet()` has looked; or no more than are in this buffer.
    let mut skb = unsafe { Parcel::new(head, head_len, room) };
    let left = len.wrapping_sub(skip);
    // SAFETY: So many bytes of the buffer are left. With those of the others they are `room`, if they are copied.
    unsafe { append(&mut skb, buf, skip, left, copy, pool) };
    for &len in more {
        // SAFETY: As above.
        let Some(buf) = (unsafe { descs.take(posted) }) else {
            // What was to be copied from there is missing.
            skb = None;
            break;
        };
        // SAFETY: As above, both.
        unsafe {
            let buf = pool.sync_for_cpu(buf, len);
            append(&mut skb, buf, 0, len, copy, pool);
        }
    }
    match skb {
        Some(skb) => poll.stack.receive_parcel::<T::Rx>(skb, packet.words),
        None => poll.no_skb(),
    }
}

/// Appends `len` bytes of a buffer, from `skip` on, to a packet: in their page, or as a copy. If there is no packet the
/// buffer goes back.
///
/// # Safety
///
/// So many bytes of it were received. Copies are no more than was announced.
#[inline(always)]
unsafe fn append<'id, O: Open<'id>>(
    skb: &mut Option<Parcel>,
    buf: O::Cpu,
    skip: usize,
    len: usize,
    copy: bool,
    pool: &mut O,
) {
    let at = buf.as_ptr().wrapping_add(skip);
    match skb {
        Some(skb) if len != 0 && !copy => {
            let page = pool.to_stack(buf);
            // SAFETY: By the safety requirement. It is in a page whose reference goes to the skb if there is room in its
            // list, and stays with `page` if not.
            if unsafe { skb.add(at, len, O::Cpu::SIZE, O::Stack::PAGE_POOL) } {
                page.given();
            }
        }
        Some(skb) if len != 0 => {
            // SAFETY: By the safety requirement.
            unsafe { skb.copy(at, len) };
            pool.recycle(buf);
        }
        _ => pool.recycle(buf),
    }
}
