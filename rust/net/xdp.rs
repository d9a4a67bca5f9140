// SPDX-License-Identifier: GPL-2.0

//! XDP: a program that decides about a packet before the stack sees it.
//!
//! C header: [`include/net/xdp.h`](srctree/include/net/xdp.h)

use crate::{
    buffers::{
        Open,
        Packet,
        Stack, //
    },
    desc::Words,
    dma::{
        Desc,
        Transmit, //
    },
    frames::ETH_HLEN,
    napi::Napi, //
};
use core::{
    cell::Cell,
    marker::PhantomData,
    ptr::NonNull, //
};
use kernel::prelude::*;
use page_pool::Pressure;
use pp_bindings as bindings;

/// The smallest frame, without its checksum.
pub(crate) const ETH_ZLEN: usize = bindings::ETH_ZLEN as usize;

/// What is to be done with a packet that a program has seen.
pub(crate) enum Action<B> {
    /// To the stack, with so many bytes of metadata in front.
    Pass(B, u32),
    /// Back out of the device that it came from.
    Tx(B),
    /// Nothing: the program dropped it, and it is back in the pool.
    Drop,
    /// Nothing: it is on its way to another device, CPU or socket.
    Redirect,
    /// Nothing: the program or the redirection failed, and it is back in the pool.
    Aborted,
    /// Nothing: it was to be redirected, but whoever gets those packets keeps too many of the pool's
    /// pages. It is back in the pool.
    Refused,
}

/// A packet as a program knows it, and what the card has said of it.
///
/// Who has the first knows where the second is: a program that asks hands over what it was called with, which is the
/// address of either.
///
/// # Invariants
///
/// While a program runs on `buff`, `desc` is that of the packet's last buffer, which is as the card has left it.
#[repr(C)]
pub(crate) struct Context {
    buff: bindings::xdp_buff,
    desc: *const Words,
}

impl Context {
    /// Makes one without a packet, for buffers of `size` bytes of a queue.
    #[inline(always)]
    fn new(size: usize, rxq: *mut bindings::xdp_rxq_info) -> Self {
        let none = core::ptr::null_mut();
        // INVARIANT: No program runs on it.
        Self {
            buff: bindings::xdp_buff {
                data: none,
                data_end: none,
                data_meta: none,
                data_hard_start: none,
                rxq,
                txq: core::ptr::null_mut(),
                __bindgen_anon_1: bindings::xdp_buff__bindgen_ty_1 {
                    __bindgen_anon_1: bindings::xdp_buff__bindgen_ty_1__bindgen_ty_1 {
                        // CAST: At most a page.
                        frame_sz: size as u32,
                        flags: 0,
                    },
                },
            },
            desc: core::ptr::null(),
        }
    }

    /// Puts the packet of a buffer in.
    #[inline(always)]
    fn set(&mut self, buf: &impl Packet) {
        let start = buf.start();
        let data = start.wrapping_add(buf.offset());
        self.buff.data_hard_start = start.cast();
        self.buff.data = data.cast();
        self.buff.data_end = data.wrapping_add(buf.len()).cast();
        self.buff.data_meta = data.cast();
    }

    /// Returns what the card has said of the packet that a program was called with, and the features of its device.
    ///
    /// # Safety
    ///
    /// `xdp` is what a program was called with by [`Program`], and it still runs.
    pub(crate) unsafe fn asked(xdp: *const bindings::xdp_md) -> (Words, u64) {
        // SAFETY: By the safety requirement it is the address of the first field of one, and by the type invariant the
        // descriptor is there; its queue is registered, and so that of a device.
        // (The program may read the packet's fields meanwhile, and others write the features: hence no reference.)
        unsafe {
            let context = xdp.cast::<Self>();
            let dev = (*(*context).buff.rxq).dev;
            let features = (&raw const (*dev).features).read_volatile();
            (Desc::at((*context).desc).read(), features)
        }
    }
}

/// The XDP program of a device during one NAPI poll.
///
/// Read once for each poll. Another program may be attached meanwhile; this one stays valid, since
/// it is freed an RCU grace period later and a poll is a part of a softirq.
///
/// # Invariants
///
/// - `prog` is valid for `'a`.
/// - `context` is for buffers of the queue that is polled, one of `dev` that is registered.
/// - The current CPU is in the poll of that queue.
pub(crate) struct Program<'a> {
    prog: NonNull<bindings::bpf_prog>,
    dev: *mut bindings::net_device,
    redirected: &'a Cell<bool>,
    /// For one packet after the other: what is the same for all is written once.
    context: Context,
}

impl<'a> Program<'a> {
    /// Returns the program of the queue that is being polled, if it has one, for buffers of `size` bytes.
    #[inline]
    pub(crate) fn of(napi: &Napi<'a>, size: usize) -> Option<Self> {
        let queue = napi.queue();
        // INVARIANT: A program that a poll has read stays valid until that poll's end, and whoever polls
        // has registered the queue.
        Some(Self {
            prog: NonNull::new(queue.program())?,
            dev: queue.device(),
            redirected: napi.redirected(),
            context: Context::new(size, queue.rxq()),
        })
    }

    /// Tells what the program may ask of the packets that it is [run](Self::run) over from here on.
    #[inline(always)]
    pub(crate) fn about(&mut self, desc: Desc<'_>) {
        self.context.desc = desc.place();
    }

    /// Runs the program over a packet, and carries out what needs no driver.
    ///
    /// What is too short for an Ethernet header is no packet: the kernel takes that header for granted after a
    /// program.
    ///
    /// `_napi` proves that the transmit queue is not locked: a redirected frame may be sent by the same
    /// device.
    ///
    /// # Safety
    ///
    /// If programs of this device may ask, this one has heard [about](Self::about) the packet's descriptor, which is as the
    /// card has left it until this returns.
    #[inline]
    pub(crate) unsafe fn run<'id, O: Open<'id>>(
        &mut self,
        _napi: &Napi<'_>,
        pool: &mut O,
        mut buf: O::Cpu,
    ) -> Action<O::Cpu> {
        if buf.len() < ETH_HLEN {
            pool.recycle(buf);
            return Action::Aborted;
        }
        self.context.set(&buf);
        // SAFETY: By the type invariant the program is valid, the queue is registered, and this is its poll:
        // bottom halves are off, and the core has set up what programs want. The context describes a packet in a buffer
        // that is ours, from its start on.
        let act =
            unsafe { bindings::rnet_xdp_run(self.prog.as_ptr(), (&raw mut self.context).cast()) };
        let xdp = &self.context.buff;
        match act {
            bindings::xdp_action_XDP_DROP => {
                pool.recycle(buf);
                Action::Drop
            }
            bindings::xdp_action_XDP_PASS => {
                // The program may have moved both ends, and put metadata in front.
                let meta = span(xdp.data_meta, xdp.data);
                // SAFETY: `xdp` was made of `buf`, and the program that has run on it keeps what it moves inside
                // of the buffer. What it takes from the headroom it writes, or has what that held before.
                unsafe { set_range(&mut buf, xdp) };
                // CAST: At most XDP_METADATA_MAX.
                Action::Pass(buf, meta as u32)
            }
            bindings::xdp_action_XDP_TX => {
                // SAFETY: `xdp` was made of `buf`, and the program that has run on it keeps what it moves inside
                // of the buffer. What it takes from the headroom it writes, or has what that held before.
                unsafe { set_range(&mut buf, xdp) };
                Action::Tx(buf)
            }
            bindings::xdp_action_XDP_REDIRECT => self.redirect(pool, buf),
            _ => {
                self.exception(act);
                pool.recycle(buf);
                Action::Aborted
            }
        }
    }

    fn redirect<'id, O: Open<'id>>(&mut self, pool: &mut O, buf: O::Cpu) -> Action<O::Cpu> {
        // The frame is the page: it cannot be copied instead, as a packet for the stack is.
        if pool.pressure() == Pressure::High {
            self.exception(bindings::xdp_action_XDP_REDIRECT);
            pool.recycle(buf);
            return Action::Refused;
        }
        let page = pool.to_stack(buf);
        let xdp = &raw mut self.context.buff;
        // SAFETY: The program has just asked for this, on this CPU. `xdp` describes the packet in the page, whose
        // reference goes to the callee if it succeeds, and stays with `page` if not.
        if !unsafe { self.hand_over(xdp) } {
            return Action::Aborted;
        }
        // The reference is the frame's from here on.
        page.given();
        Action::Redirect
    }

    /// Gives a packet away as the program says, and returns whether that could be done.
    ///
    /// # Safety
    ///
    /// The program has just said so, on this CPU, and `xdp` describes the packet. Its pages are the caller's, and
    /// somebody else's after `true`.
    #[inline(always)]
    unsafe fn hand_over(&self, xdp: *mut bindings::xdp_buff) -> bool {
        // SAFETY: By the type invariant this is a poll of `dev`, whose program is valid. The other requirements are those
        // of the caller's.
        if unsafe { bindings::xdp_do_redirect(self.dev, xdp, self.prog.as_ptr()) } != 0 {
            self.exception(bindings::xdp_action_XDP_REDIRECT);
            return false;
        }
        self.redirected.set(true);
        true
    }

    /// As [`run`](Self::run), over a packet that is in several buffers.
    ///
    /// Those go back by themselves if the packet goes nowhere. `pressure` is that of the pool that they are from, before they
    /// were taken from it.
    ///
    /// # Safety
    ///
    /// As for [`run`](Self::run).
    pub(crate) unsafe fn run_several<'b>(
        &self,
        _napi: &Napi<'_>,
        mut buff: Buff<'b>,
        pressure: Pressure,
    ) -> Action<Buff<'b>> {
        // INVARIANT: By the safety requirement.
        buff.context.desc = self.context.desc;
        let raw = (&raw mut buff.context).cast();
        // SAFETY: By the type invariants the program is valid, and this is the poll of the queue that the packet came
        // from: bottom halves are off, and the core has set up what programs want. The buffers are ours.
        let act = unsafe { bindings::rnet_xdp_run(self.prog.as_ptr(), raw) };
        match act {
            bindings::xdp_action_XDP_DROP => Action::Drop,
            // The packet has its metadata with it.
            bindings::xdp_action_XDP_PASS => Action::Pass(buff, 0),
            bindings::xdp_action_XDP_TX => Action::Tx(buff),
            bindings::xdp_action_XDP_REDIRECT if pressure == Pressure::High => {
                self.exception(act);
                Action::Refused
            }
            bindings::xdp_action_XDP_REDIRECT => {
                // SAFETY: The program has just asked for this, on this CPU. The packet's buffers go to the callee if it
                // succeeds, and stay with `buff` if not.
                if !unsafe { self.hand_over(raw) } {
                    return Action::Aborted;
                }
                buff.given();
                Action::Redirect
            }
            _ => {
                self.exception(act);
                Action::Aborted
            }
        }
    }

    /// Makes a failure visible in the `xdp_exception` tracepoint.
    #[cold]
    fn exception(&self, act: u32) {
        let prog = self.prog.as_ptr();
        // SAFETY: By the type invariant program and device are valid for longer than these calls, which only
        // report their names and numbers.
        unsafe {
            if act > bindings::xdp_action_XDP_REDIRECT {
                bindings::bpf_warn_invalid_xdp_action(self.dev, prog, act);
            }
            bindings::rnet_xdp_exception(self.dev, prog, act);
        }
    }

    /// Reports that a packet could not be sent back although the program wanted it.
    pub(crate) fn tx_failed(&self) {
        self.exception(bindings::xdp_action_XDP_TX);
    }
}

/// Takes over where the program left the packet.
///
/// # Safety
///
/// - `xdp` was made of `buf`, and a program has run on it since.
/// - The bytes that are the packet now have been written: by the device, the program, or who had the page before.
#[inline]
unsafe fn set_range(buf: &mut impl Packet, xdp: &bindings::xdp_buff) {
    let offset = (xdp.data as usize).wrapping_sub(xdp.data_hard_start as usize);
    let len = (xdp.data_end as usize).wrapping_sub(xdp.data as usize);
    // SAFETY: By the safety requirement all bytes from `data` to `data_end` have been written. What does not fit
    // into the buffer the callee cuts.
    unsafe { buf.set_range(offset, len) };
}

/// A received packet that may be in several buffers, as XDP and its helpers know it. Dropped, they go back to their
/// pool, as what comes from the stack does.
///
/// # Invariants
///
/// - `context` describes a packet in a buffer with headroom, which leaves its end to `struct skb_shared_info`; that lists what
///   is behind it, if a flag says so.
/// - A reference to each page is the value's. They go back as the memory model of its `rxq` says.
/// - That is the one of a queue, and registered, and this is its poll, for `'a`.
pub(crate) struct Buff<'a> {
    context: Context,
    _poll: PhantomData<&'a ()>,
}

impl<'a> Buff<'a> {
    /// Makes a packet of one buffer.
    ///
    /// # Safety
    ///
    /// The pool is that of the queue that is polled.
    pub(crate) unsafe fn new<'id, O: Open<'id>>(
        napi: &Napi<'a>,
        pool: &mut O,
        buf: O::Cpu,
    ) -> Self {
        let mut context = Context::new(O::Cpu::SIZE, napi.queue().rxq());
        context.set(&buf);
        // INVARIANT: It is a buffer of layout `HEAD`, as the engine wants them. The reference is ours from here on, and
        // by the safety requirement a page of the pool whose model the queue has. Who polls has registered it.
        pool.to_stack(buf).given();
        Self {
            context,
            _poll: PhantomData,
        }
    }

    /// Appends a buffer.
    ///
    /// If there is no room in the list the packet is without it.
    ///
    /// # Safety
    ///
    /// The pool is the same.
    pub(crate) unsafe fn add<'id, O: Open<'id>>(&mut self, pool: &mut O, buf: O::Cpu) {
        let (data, len) = (buf.as_ptr().cast_mut(), buf.len());
        let page = pool.to_stack(buf);
        // CAST: Both are at most a page.
        let (len, size) = (len as u32, O::Cpu::SIZE as u32);
        // SAFETY: By the type invariant the list is in the first buffer, which is ours. There are `len` bytes at
        // `data`, in a page whose reference goes to the list if the callee succeeds, and stays with `page` if not.
        if unsafe { bindings::rnet_xdp_add(self.as_raw(), data.cast(), len, size) } {
            // INVARIANT: It is in the list, ours, and by the safety requirement of the same kind.
            page.given();
        }
    }

    #[inline]
    pub(crate) fn as_raw(&mut self) -> *mut bindings::xdp_buff {
        &mut self.context.buff
    }

    /// Returns the address of the first byte of the packet.
    pub(crate) fn data(&self) -> *const u8 {
        self.context.buff.data.cast()
    }

    /// Returns the length of what is in the first buffer, in bytes.
    pub(crate) fn head_len(&self) -> usize {
        span(self.context.buff.data, self.context.buff.data_end)
    }

    /// Returns how many bytes of metadata are in front of the packet.
    pub(crate) fn meta(&self) -> usize {
        span(self.context.buff.data_meta, self.context.buff.data)
    }

    /// Returns what is in the other buffers.
    pub(crate) fn pieces(&self) -> &[bindings::skb_frag_t] {
        // SAFETY: A union of two names for the same fields.
        let (size, flags) = unsafe {
            let raw = &self.context.buff.__bindgen_anon_1.__bindgen_anon_1;
            (raw.frame_sz, raw.flags)
        };
        if flags & bindings::xdp_buff_flags_XDP_FLAGS_HAS_FRAGS == 0 {
            return &[];
        }
        // SAFETY: By the type invariant the list is at the end of the first buffer, which is ours.
        let list = unsafe { &*list_at(self.context.buff.data_hard_start.cast(), size) };
        list.frags.get(..list.nr_frags.into()).unwrap_or_default()
    }

    /// Gives up the buffers, which are somebody else's now.
    pub(crate) fn given(self) {
        core::mem::forget(self);
    }

    /// Makes a frame to be sent of it, if the program has left the room for that.
    pub(crate) fn into_frame(mut self) -> Option<Frame> {
        // SAFETY: By the type invariant it is a packet in a buffer with headroom, which is ours, of a queue that is
        // registered.
        let frame = NonNull::new(unsafe { bindings::rnet_xdp_frame(self.as_raw()) })?;
        self.given();
        // INVARIANT: The frame is in the first buffer, and has what was the packet's.
        Some(Frame(frame))
    }
}

impl Drop for Buff<'_> {
    fn drop(&mut self) {
        // SAFETY: By the type invariants the references are ours, and `self`, which goes away, gives them up once. The
        // queue is registered, and this is its poll.
        unsafe { bindings::xdp_return_buff(self.as_raw()) };
    }
}

/// Returns where the list of the other buffers is, in one of `size` bytes.
fn list_at(start: *const u8, size: u32) -> *const bindings::skb_shared_info {
    // CAST: u32 fits.
    let offset = (size as usize).wrapping_sub(bindings::RPP_SKB_TAIL);
    start.wrapping_add(offset).cast()
}

/// Returns how many bytes there are from one address to another; none if that is in front of it.
#[inline(always)]
fn span(from: *mut c_void, to: *mut c_void) -> usize {
    (to as usize).saturating_sub(from as usize)
}

/// A frame to be sent, of this device or another one.
///
/// # Invariants
///
/// The pointer is valid, and the frame is ours.
#[repr(transparent)]
pub(crate) struct Frame(NonNull<bindings::xdp_frame>);

// SAFETY: A frame and its page belong to no CPU: it may be returned on another one than that on which it was
// redirected.
unsafe impl Send for Frame {}

impl Frame {
    /// Takes over the ownership of a frame.
    ///
    /// # Safety
    ///
    /// - `frame` is valid.
    /// - It is given to us, unless the result is [forgotten](Self::forget).
    #[inline]
    pub(crate) unsafe fn from_raw(frame: NonNull<bindings::xdp_frame>) -> Self {
        // INVARIANT: By the safety requirement.
        Self(frame)
    }

    /// Gives up the ownership.
    #[inline]
    pub(crate) fn forget(self) {
        core::mem::forget(self);
    }

    /// Appends zeroes up to the smallest size of an Ethernet frame.
    ///
    /// If there is no room for them, or it is in several pieces, the frame stays as it is.
    #[inline]
    pub(crate) fn pad(&mut self) {
        let len = self.head_len();
        if len < ETH_ZLEN && self.is_whole() {
            let (end, data) = (self.end(), self.data());
            if (end as usize).saturating_sub(data as usize) < ETH_ZLEN {
                return;
            }
            // SAFETY: By the type invariant the frame is ours, and so is its memory. Up to `end` there is only
            // data, and the bytes that are written end before it: that was just checked.
            unsafe { data.add(len).write_bytes(0, ETH_ZLEN.wrapping_sub(len)) };
            // SAFETY: By the type invariant the frame is valid and ours, so nobody else accesses the field.
            unsafe { (*self.0.as_ptr()).len = bindings::ETH_ZLEN };
        }
    }

    /// Returns the address of the start of the packet.
    #[inline]
    pub(crate) fn data(&self) -> *mut u8 {
        // SAFETY: By the type invariant the frame is valid and ours, so nobody writes the field meanwhile.
        unsafe { (*self.0.as_ptr()).data.cast() }
    }

    /// Returns the length of what is in the first piece, in bytes.
    #[inline]
    pub(crate) fn head_len(&self) -> usize {
        // SAFETY: By the type invariant the frame is valid and ours, so nobody writes the field meanwhile. CAST:
        // u32 fits.
        unsafe { (*self.0.as_ptr()).len as usize }
    }

    /// Returns the length of the frame, in bytes.
    pub(crate) fn len(&self) -> usize {
        let list = self.shared_info();
        if list.is_null() {
            return self.head_len();
        }
        // SAFETY: By the type invariant the frame is valid and ours, and so is its list. It is one of a frame, so this
        // half of the union is in use. CAST: u32 fits.
        let rest = unsafe { (*list).__bindgen_anon_2.__bindgen_anon_1.xdp_frags_size } as usize;
        self.head_len().wrapping_add(rest)
    }

    /// Returns where the room for its data ends, and the list of its other pieces is.
    fn end(&self) -> *const bindings::skb_shared_info {
        // SAFETY: By the type invariant the frame is valid and ours, so nobody writes the fields meanwhile.
        let (headroom, size) =
            unsafe { ((*self.0.as_ptr()).headroom, (*self.0.as_ptr()).frame_sz) };
        // The frame itself is in front of what is left of its headroom. CAST: u32 fits.
        let before = (headroom as usize).wrapping_add(size_of::<bindings::xdp_frame>());
        list_at(self.data().wrapping_sub(before), size)
    }

    /// Returns whether the frame is in one piece.
    #[inline]
    pub(crate) fn is_whole(&self) -> bool {
        // SAFETY: By the type invariant the frame is valid and ours, so nobody writes the field meanwhile.
        let flags = unsafe { (*self.0.as_ptr()).flags };
        flags & bindings::xdp_buff_flags_XDP_FLAGS_HAS_FRAGS == 0
    }

    /// Returns the list of the pieces behind the first one; null if there are none.
    pub(crate) fn shared_info(&self) -> *const bindings::skb_shared_info {
        if self.is_whole() {
            return core::ptr::null();
        }
        self.end()
    }
}

// SAFETY: The memory is the first buffer of a frame, and the list that of the others. By the type invariant the frame
// is the value's: as long as it is, the data can be read and stay where they are.
unsafe impl Transmit for Frame {
    #[inline]
    fn memory(&self) -> (*mut u8, usize) {
        (self.data(), self.head_len())
    }

    fn rest(&self) -> *const bindings::skb_shared_info {
        self.shared_info()
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the frame is valid and ours, and `self`, which goes away, gives it up
        // once. Not in a hard interrupt nor with interrupts off: netpoll leaves frames in the ring.
        unsafe { bindings::xdp_return_frame(self.0.as_ptr()) };
    }
}
