// SPDX-License-Identifier: GPL-2.0

//! A network device: its queues, up and down.
//!
//! # Locks, outermost first
//!
//! * The device's lock, `netdev_lock()`, held by the core around open, stop and all that changes the
//!   configuration, often below `rtnl`. (The device is "ops locked".)
//! * [`Core::control`]: the same ground once more, so that the compiler can check it.
//! * A transmit queue's lock: owns the queue's transmit ring. Bottom halves off.
//!
//! A queue's receive ring has no lock. The poll owns it while NAPI is enabled; whoever has disabled NAPI owns
//! it otherwise.

use crate::{
    buffers::{
        Division,
        Kind, //
    },
    desc::RxDescriptor,
    ethtool::Visitor,
    frames::{
        MAX_BUFFERS,
        OVERHEAD, //
    },
    handle::NetDev,
    irq::Irq,
    link::LinkState,
    lockclass,
    moderation::{
        Moderation,
        Traffic, //
    },
    netdev::{
        CardStats,
        Config,
        Features,
        Operations,
        Rings,
        Rss,
        Side,
        RSS_KEY,
        RSS_QUEUES, //
    },
    poolstats::PoolStats,
    queue::{
        PollFn,
        Queue, //
    },
    rx,
    rxside::RxSide,
    steering::{
        self,
        Steering, //
    },
    txqueue::TxQueue,
    txside::TxSides, //
};
use core::{
    cell::UnsafeCell,
    ptr::NonNull, //
};
use kernel::{
    device::{
        Bound,
        Device, //
    },
    irq::{
        Handler,
        IrqRequest,
        IrqReturn, //
    },
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            AtomicFlag,
            Relaxed, //
        },
        Mutex, //
    },
    types::Opaque, //
};
use page_pool::stats::{
    Counter,
    Snapshot, //
};
use pp_bindings as bindings;

/// A queue pair with its rings.
///
/// # Invariants
///
/// - `core` is valid as long as this exists, and this is one of its channels.
/// - `polled` is accessed by the poll while NAPI is enabled, or else by who has disabled it and holds the device's
///   lock.
#[pin_data]
pub(crate) struct Channel<'bound, D: Operations> {
    #[pin]
    pub(crate) queue: Queue,
    core: NonNull<Core<'bound, D>>,
    polled: UnsafeCell<Polled<'bound, D>>,
    /// Microseconds between two interrupts, as the card was told last.
    pub(crate) interval: Atomic<u32>,
    pub(crate) tx: TxSides<'bound, D::Tx>,
    #[pin]
    pub(crate) pool: Mutex<PoolStats>,
}

/// What the poll owns.
pub(crate) struct Polled<'bound, D: Operations> {
    /// The receive ring.
    pub(crate) rx: Option<RxSide<'bound, D>>,
    moderation: Moderation,
}

impl<'bound, D: Operations + 'bound> Polled<'bound, D> {
    /// Has the card interrupt as often as the frames ask for that came by since the last time.
    #[inline]
    pub(crate) fn moderate(&mut self, channel: &Channel<'bound, D>) {
        let core = channel.core();
        if !D::HAS_SET_INTERVAL || !core.adaptive.load(Relaxed) {
            return;
        }
        let (rx, tx) = (&channel.queue.rx, channel.tx.stack.stats());
        let traffic = |packets: &Counter, bytes: &Counter| Traffic {
            packets: packets.get(),
            bytes: bytes.get(),
        };
        let traffic = [
            traffic(&rx.packets, &rx.bytes),
            traffic(&tx.packets, &tx.bytes),
        ];
        if let Some(us) = self.moderation.interval(traffic) {
            channel.set_interval(us.max(D::INTERVAL).min(D::INTERVAL_MAX));
        }
    }
}

// SAFETY: By the type invariant one CPU at a time accesses `polled`: NAPI is polled on one, and else there is the
// device's lock. What is in it is `Send`: memory and mappings, none of which belongs to a CPU. `queue`, `tx` and
// `pool` are `Sync` by themselves, and `core` is a shared reference to what is.
unsafe impl<'bound, D: Operations + 'bound> Sync for Channel<'bound, D> {}
// SAFETY: Another thread than the one that has made it may drop it: `queue`, `tx` and `pool` are `Send`, the
// memory and the mappings in `rx` belong to no CPU, and `core` is a shared reference to what is `Sync`.
unsafe impl<'bound, D: Operations + 'bound> Send for Channel<'bound, D> {}

impl<'bound, D: Operations + 'bound> Channel<'bound, D> {
    /// # Safety
    ///
    /// - As for [`Queue::new`], where `poll` expects a queue that is a part of a `Channel<D>`. The device has `queues`
    ///   queues, and with `XDP_TX` twice as many transmit queues.
    /// - `core` is valid until the result is dropped, which is one of its channels and pinned.
    unsafe fn new(
        dev: NonNull<bindings::net_device>,
        index: u32,
        queues: u32,
        poll: PollFn,
        core: NonNull<Core<'bound, D>>,
    ) -> impl PinInit<Self, Error> {
        // INVARIANT: By the safety requirement.
        try_pin_init!(Self {
            // SAFETY: By the safety requirements `dev` is valid until the result is dropped, is not registered,
            // and has a queue of that number. The queue becomes a part of a `Channel<D>`, which is what `poll`
            // expects.
            queue <- unsafe { Queue::new(dev, index, poll) },
            core,
            polled: UnsafeCell::new(Polled {
                rx: None,
                moderation: Moderation::default(),
            }),
            interval: Atomic::new(0),
            tx: {
                // SAFETY: By the safety requirements, as above.
                let stack = unsafe { TxQueue::new(dev, index) };
                let beyond = queues.wrapping_add(index);
                // SAFETY: As above; of the transmit queues there are twice as many, if this is asked for.
                let xdp = D::XDP_TX.map(|_| unsafe { TxQueue::new(dev, beyond) });
                TxSides::new(stack, xdp)
            },
            pool <- {
                let (name, class) = lockclass::pool_stats();
                Mutex::new(PoolStats::default(), name, class)
            },
        })
    }

    #[inline]
    pub(crate) fn core(&self) -> &Core<'bound, D> {
        // SAFETY: By the type invariant `core` is valid as long as `self`; nobody uses a channel before its core
        // is initialised. A core is pinned and only shared, so nobody has a mutable reference to it.
        unsafe { self.core.as_ref() }
    }

    /// Returns what the poll owns.
    ///
    /// # Safety
    ///
    /// - The caller is the poll, or has disabled NAPI and holds the device's lock.
    /// - It does not call this again before it is done with the result.
    #[inline]
    #[expect(clippy::mut_from_ref)]
    pub(crate) unsafe fn polled(&self) -> &mut Polled<'bound, D> {
        // SAFETY: The pointer is that of our own cell. By the type invariant and the safety requirement nobody
        // else accesses it, and the caller has no other reference from here.
        unsafe { &mut *self.polled.get() }
    }

    /// Has the card leave so many microseconds between two interrupts, if it was told otherwise before.
    #[inline]
    pub(crate) fn set_interval(&self, us: u32) {
        if self.interval.load(Relaxed) != us {
            self.interval.store(us, Relaxed);
            self.core().ops.set_interval(self.index(), us);
        }
    }

    pub(crate) fn index(&self) -> usize {
        // CAST: u32 fits.
        self.queue.index as usize
    }

    /// Rings the doorbell of one of the queue's rings.
    #[inline]
    pub(crate) fn doorbell(&self, side: Side, tail: u32) {
        self.core().ops.doorbell(side, self.index(), tail);
    }
}

/// What can be changed of a device's queues.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) rings: Rings,
    /// How many there are, of those that the device has: the first ones.
    pub(crate) queues: usize,
    /// Which of them have the headers of received packets in buffers of their own: a bit for each.
    pub(crate) split: u32,
}

/// What the device's lock protects.
pub(crate) struct Control<'bound, D: Operations> {
    /// Between [`Core::open`] and [`Core::stop`], the interrupts, by vector.
    pub(crate) irqs: KVec<Irq<'bound, Vector<'bound, D>>>,
    /// The hardware runs, and the rings are in place. Of a device that is open this is wrong only
    /// when a restart failed.
    pub(crate) up: bool,
    pub(crate) shape: Shape,
    pub(crate) rss: Rss,
    /// Microseconds between two interrupts, unless they follow the length of frames.
    pub(crate) interval: u32,
    /// How many counters there are, which is asked once.
    pub(crate) counters: usize,
    /// The link.
    pub(crate) link: LinkState,
    /// The XDP program, whose reference is ours.
    program: *mut bindings::bpf_prog,
}

// SAFETY: The program is a pointer to what belongs to no CPU: the reference may be dropped on any, in any context.
// The interrupts may be released by any task, and the rest is numbers.
unsafe impl<'bound, D: Operations + 'bound> Send for Control<'bound, D> {}

/// Everything that belongs to a device.
#[pin_data]
pub(crate) struct Core<'bound, D: Operations + 'bound> {
    // Go before the device: their NAPI instances are its.
    pub(crate) channels: KVec<Pin<KBox<Channel<'bound, D>>>>,
    pub(crate) ops: D,
    pub(crate) features: Features,
    pub(crate) buffers: Kind,
    pub(crate) parent: &'bound Device<Bound>,
    pub(crate) vectors: KVec<IrqRequest<'bound>>,
    #[pin]
    pub(crate) control: Mutex<Control<'bound, D>>,
    /// The interrupt handlers may do something. A line may be shared, so they are called at any time.
    pub(crate) listening: AtomicFlag,
    /// The rules that send packets to queues, and the VLANs there are.
    pub(crate) steering: Steering,
    /// The time between interrupts follows the length of frames. Written under the device's lock.
    pub(crate) adaptive: AtomicFlag,
    /// Why it sleeps, if it does: see [`Sleep`](crate::updown::Sleep). Written under the device's lock.
    pub(crate) asleep: Atomic<u32>,
    /// What the kernel's log is told: `ethtool -s msglvl`.
    pub(crate) messages: Atomic<u32>,
    /// The vector that is tested, and 1; 0 when its interrupt has come.
    pub(crate) tested: Atomic<u32>,
    /// Restarts the device after a transmit timeout.
    #[pin]
    pub(crate) reset: Opaque<bindings::delayed_work>,
    /// Looks at the link after an interrupt about it.
    #[pin]
    watch: Opaque<bindings::delayed_work>,
    pub(crate) dev: NetDev,
}

// SAFETY: All fields are `Sync` but the works, which are only passed to the functions of the workqueue; those may be
// called on any CPU, at the same time as well.
unsafe impl<'bound, D: Operations + 'bound> Sync for Core<'bound, D> {}
// SAFETY: All fields may be dropped by another task than the one that has made them: memory, a device, interrupts,
// and works, none of which belongs to a CPU or a task.
unsafe impl<'bound, D: Operations + 'bound> Send for Core<'bound, D> {}

/// A function of a work.
pub(crate) type WorkFn = unsafe extern "C" fn(*mut bindings::work_struct);

/// What a [`Core`] is made of.
pub(crate) struct Parts<'bound, D> {
    /// The device that does the DMA.
    pub(crate) parent: &'bound Device<Bound>,
    /// Its interrupts, one for each queue.
    pub(crate) vectors: KVec<IrqRequest<'bound>>,
    /// The last one is not a queue's.
    pub(crate) other_vector: bool,
    pub(crate) ops: D,
    pub(crate) features: Features,
    pub(crate) buffers: Kind,
}

impl<'bound, D: Operations + 'bound> Core<'bound, D> {
    /// # Safety
    ///
    /// `reset` restarts the device by a work that is the [`reset`](Self#structfield.reset) of a `Core<D>`.
    pub(crate) unsafe fn new(
        parts: Parts<'bound, D>,
        poll: PollFn,
        reset: WorkFn,
    ) -> Result<Pin<KBox<Self>>> {
        // CAST: A few dozen.
        let vectors = parts.vectors.len() as u32;
        let for_queues = vectors.saturating_sub(parts.other_vector.into());
        let queues = parts.features.queues.min(for_queues).max(1);
        let rings = parts.features.rings;
        let fits = |n| parts.features.fit(n) == Some(n);
        // Of a frame the last buffer may have nothing but the CRC.
        const { assert!(D::Rx::BUFFER > 0) };
        const { assert!(D::RULES <= steering::MAX) };
        let buffers = parts.features.rx_frame.div_ceil(D::Rx::BUFFER);
        if !fits(rings.rx) || !fits(rings.tx) || buffers >= MAX_BUFFERS {
            return Err(EINVAL);
        }
        let core = KBox::pin_init(
            try_pin_init!(&this in Self {
                // XDP may have as many for itself.
                dev: NetDev::new(queues, queues << u32::from(D::XDP_TX.is_some()))?,
                channels: {
                    let mut channels = KVec::with_capacity(queues as usize, GFP_KERNEL)?;
                    for index in 0..queues {
                        // SAFETY: The device is valid, not registered, and has that queue. It goes after the
                        // channels, also when this fails, and so does the core, which is pinned at `this` and
                        // initialised before any callback comes. `poll` is that of `Table<D>`, which expects a
                        // channel of this core.
                        let channel = unsafe { Channel::new(dev.as_non_null(), index, queues, poll, this) };
                        channels.push(KBox::pin_init(channel, GFP_KERNEL)?, GFP_KERNEL)?;
                    }
                    channels
                },
                ops: parts.ops,
                features: parts.features,
                buffers: parts.buffers,
                parent: parts.parent,
                vectors: parts.vectors,
                control <- {
                    let (name, class) = lockclass::control();
                    let control = Control {
                        irqs: KVec::new(),
                        up: false,
                        rss: random_rss(queues as usize),
                        interval: D::INTERVAL,
                        // CAST: u32 fits.
                        shape: Shape { rings, queues: queues as usize, split: 0 },
                        counters: 0,
                        link: LinkState::new(features.link_modes),
                        program: core::ptr::null_mut(),
                    };
                    Mutex::new(control, name, class)
                },
                listening: AtomicFlag::new(false),
                steering: Steering::new(),
                adaptive: AtomicFlag::new(D::HAS_SET_INTERVAL),
                reset <- Opaque::ffi_init(|work| {
                    // SAFETY: `work` is valid to be written and pinned with the core. By the safety requirement `reset`
                    // expects it as a part of a `Core<D>`, which waits for it in `end()` before it goes.
                    unsafe { bindings::rnet_work_setup(work, Some(reset)) }
                }),
                watch <- Opaque::ffi_init(|work| {
                    // SAFETY: As above.
                    unsafe { bindings::rnet_work_setup(work, Some(watch_work::<D>)) }
                }),
                asleep: Atomic::new(0),
                messages: Atomic::new(bindings::RNET_MSG_DEFAULT),
                tested: Atomic::new(0),
            }? Error),
            GFP_KERNEL,
        )?;
        core.control.lock().counters = Visitor::count(|visitor| core.counters(visitor));
        Ok(core)
    }

    /// Returns the channel of a queue.
    #[inline]
    pub(crate) fn channel(&self, queue: usize) -> Option<&Channel<'bound, D>> {
        self.channels.get(queue).map(|channel| &**channel)
    }

    /// Has somebody look at the link, and tell the core and the log of it.
    ///
    /// Any context.
    pub(crate) fn link_changed(&self) {
        // SAFETY: The work was set up by `new()` and is there as long as the core. It may be scheduled in any context,
        // also when it is already or runs: then it runs once more. What is scheduled `end()` cancels before the core goes.
        unsafe { bindings::rnet_work_schedule(self.watch.get(), 0) };
    }

    /// Looks at the link, of a device that is up.
    pub(crate) fn update_link(&self, control: &mut Control<'bound, D>) {
        let messages = self.messages.load(Relaxed);
        control.link.update(&self.ops, &self.dev, messages);
    }

    /// Returns how many queues are used, which may change at any time.
    #[inline]
    pub(crate) fn used_queues(&self) -> usize {
        // SAFETY: The device is valid as long as the core. The field is written under the device's lock; who reads it
        // does so at any time, hence the single access. CAST: u32 fits.
        unsafe { (&raw const (*self.dev.as_raw()).real_num_tx_queues).read_volatile() as usize }
    }

    /// Returns how many vectors are not a queue's.
    pub(crate) fn other_vectors(&self) -> u32 {
        // CAST: A few dozen at most.
        self.vectors.len().saturating_sub(self.channels.len()) as u32
    }

    /// Returns what the card counts.
    pub(crate) fn card_stats(&self) -> CardStats {
        if D::HAS_STATISTICS {
            self.ops.statistics()
        } else {
            CardStats::default()
        }
    }

    /// Returns what a page is divided into for frames of an MTU.
    pub(crate) fn division(&self, mtu: u32) -> Division {
        if self.buffers == Kind::None {
            return Division::Whole;
        }
        // CAST: u32 fits.
        match const { rx::half::<D::Rx>() } {
            Some(half) if (mtu as usize).saturating_add(OVERHEAD) <= half => Division::Half,
            _ => Division::Whole,
        }
    }

    /// Returns how long frames are at most that are received with an MTU, in bytes: what fits into a buffer in any case.
    pub(crate) fn frame(&self, mtu: u32) -> usize {
        match self.division(mtu) {
            Division::Half => rx::half::<D::Rx>().unwrap_or(0),
            // CAST: u32 fits.
            _ => D::Rx::BUFFER.max((mtu as usize).saturating_add(OVERHEAD)),
        }
    }

    /// Returns whether packets are in one buffer each with an MTU, as XDP programs want it that do not say otherwise.
    fn in_one(&self, mtu: u32) -> bool {
        self.frame(mtu) <= D::Rx::BUFFER
    }

    /// Receives frames of another MTU: at once, or with new rings if those want other buffers, or get other frames.
    ///
    /// An error leaves the old one in force. Under the device's lock.
    pub(crate) fn change_mtu(&self, mtu: u32) -> Result {
        let old = self.dev.mtu();
        let program = self.control.lock().program;
        // SAFETY: What is attached is a program, whose reference is ours, or null. That changes under the device's lock.
        if unsafe { wants_one_buffer(program) } && !self.in_one(mtu) {
            pr_info!("{}: XDP without frags: MTU too large\n", self.name());
            return Err(EINVAL);
        }
        let same = self.division(mtu) == self.division(old) && self.frame(mtu) == self.frame(old);
        if !same {
            // The card hears of it when it is started on the new rings, and not before: it still has the old ones.
            self.dev.set_mtu(mtu);
            return self.restart(None).inspect_err(|_| self.dev.set_mtu(old));
        }
        if D::HAS_SET_MTU {
            self.ops.set_mtu(mtu)?;
        }
        self.dev.set_mtu(mtu);
        Ok(())
    }

    /// Returns the interface's name, as it is now.
    ///
    /// Under the device's lock, or `rtnl`.
    pub(crate) fn name(&self) -> &CStr {
        // SAFETY: The device is valid, and its name ends with a zero. It is changed under both locks, of which the
        // caller holds one as long as it uses the result.
        unsafe { CStr::from_char_ptr((&raw const (*self.dev.as_raw()).name).cast()) }
    }

    /// Returns what the hardware is started with.
    pub(crate) fn config(&self, queues: usize) -> Config {
        Config {
            mac: self.dev.mac(),
            mtu: self.dev.mtu(),
            // CAST: No more than were asked for.
            queues: queues as u32,
            // CAST: A few dozen.
            other_vector: (self.other_vectors() != 0).then_some(self.channels.len() as u32),
        }
    }

    /// Tells the card once more which packets the core wants.
    ///
    /// Under the device's lock.
    pub(crate) fn sync_rx_mode(&self) {
        if D::HAS_SET_RX_MODE {
            // SAFETY: The device is valid, and `D` has set the callback. It takes the lock of the address lists
            // with bottom halves off, which we do not hold; we are in process context, with the device's lock
            // held.
            unsafe { bindings::rnet_sync_rx_mode(self.dev.as_raw()) };
        }
    }

    /// Has the card leave so many microseconds between two interrupts; or as many as the frames ask for, if that is to be
    /// `adaptive`.
    ///
    /// Process context, under the device's lock.
    pub(crate) fn moderate(&self, adaptive: bool, interval: u32) {
        let mut control = self.control.lock();
        control.interval = interval;
        self.adaptive.store(adaptive, Relaxed);
        if adaptive {
            return;
        }
        // Polls that have seen it adaptive are done after this: they are RCU readers.
        // SAFETY: It sleeps, and we are in process context, with no spinlock held and in no RCU read-side section.
        unsafe { bindings::synchronize_net() };
        if control.up {
            let used = self.channels.iter().take(control.shape.queues);
            used.for_each(|c| c.set_interval(interval));
        }
    }

    /// Notes that the interrupt has come that is waited for: see `selftest.rs`.
    ///
    /// Hard interrupt.
    #[cold]
    fn test_irq(&self, vector: usize) -> IrqReturn {
        // CAST: A few dozen.
        let ours = self.tested.load(Relaxed) == vector as u32 + 1;
        if !ours || !self.ops.interrupt(vector).ours {
            return IrqReturn::None;
        }
        self.tested.store(0, Relaxed);
        IrqReturn::Handled
    }

    /// Schedules a restart in so many milliseconds.
    ///
    /// Any context.
    pub(crate) fn restart_later(&self, ms: u32) {
        // SAFETY: The work was set up by `new()` and is there as long as the core. It may be scheduled in any
        // context, also when it is already; what is scheduled `end()` cancels before the core goes.
        unsafe { bindings::rnet_work_schedule(self.reset.get(), ms) };
    }

    /// Attaches an XDP program, if it takes the packets that there may be; or returns why not.
    ///
    /// Under the device's lock. The reference is ours from here on, unless the result is an error.
    ///
    /// # Safety
    ///
    /// `program` is a program, whose reference is given to us, or null.
    pub(crate) unsafe fn attach(
        &self,
        program: *mut bindings::bpf_prog,
    ) -> Result<(), &'static CStr> {
        // SAFETY: The requirement is that of the caller's.
        if unsafe { wants_one_buffer(program) } && !self.in_one(self.dev.mtu()) {
            return Err(TOO_LARGE);
        }
        if !program.is_null() && self.control.lock().shape.split != 0 {
            return Err(SPLIT);
        }
        self.set_program(program);
        Ok(())
    }

    /// Returns how many queues have a private flag.
    pub(crate) fn flags(&self) -> usize {
        self.channels.len().min(SPLIT_FLAGS.len())
    }

    /// Has the queues whose bits are set put headers into buffers of their own.
    ///
    /// Under the device's lock.
    pub(crate) fn split(&self, queues: u32) -> Result {
        let control = self.control.lock();
        let (shape, program) = (control.shape, control.program);
        drop(control);
        if queues == shape.split {
            return Ok(());
        }
        // CAST: A few dozen at most. (The core's older interface lets any bit pass.)
        if queues.checked_shr(self.flags() as u32).unwrap_or(0) != 0 {
            return Err(EINVAL);
        }
        if queues != 0 && self.buffers == Kind::None {
            pr_info!(
                "{}: no pool whose pages could have payload alone\n",
                self.name()
            );
            return Err(EOPNOTSUPP);
        }
        if queues != 0 && !program.is_null() {
            pr_info!(
                "{}: an XDP program is attached, which wants packets in one piece\n",
                self.name()
            );
            return Err(EBUSY);
        }
        self.restart(Some(Shape {
            split: queues,
            ..shape
        }))
    }

    /// Attaches an XDP program, or none, for packets that come after this.
    ///
    /// Under the device's lock, or not registered. The reference is ours from here on.
    pub(crate) fn set_program(&self, program: *mut bindings::bpf_prog) {
        let mut control = self.control.lock();
        self.channels
            .iter()
            .for_each(|c| c.queue.set_program(program));
        let old = core::mem::replace(&mut control.program, program);
        if !old.is_null() {
            // A poll that has read it may still run it: the program is freed after an RCU grace period.
            // SAFETY: `old` is a program, as it is not null, and the reference to it was ours since it was
            // attached. No queue leads to it any more, and who still runs it is an RCU reader.
            unsafe { bindings::bpf_prog_put(old) };
        }
    }

    /// Names and values of all counters: ours, summed up over the queues, the pools', the driver's.
    pub(crate) fn counters(&self, visitor: &mut Visitor<'_>) {
        use crate::stats::{
            DROPS,
            VERDICTS, //
        };

        let sum = |value: &dyn Fn(&Channel<'bound, D>) -> u64| {
            self.channels
                .iter()
                .fold(0u64, |sum, c| sum.wrapping_add(value(c)))
        };
        visitor.counter("polls", sum(&|c| c.queue.rx.polls.get()));
        for (i, name) in VERDICTS.iter().enumerate() {
            visitor.counter(name, sum(&|c| c.queue.rx.xdp[i].get()));
        }
        for (i, name) in DROPS.iter().enumerate() {
            visitor.counter(name, sum(&|c| c.queue.rx.dropped[i].get()));
        }
        let mut pools = Snapshot::default();
        for channel in &self.channels {
            let values = channel.pool.lock().snapshot();
            for (sum, n) in pools.iter_mut().zip(values) {
                *sum = sum.wrapping_add(n);
            }
        }
        for (name, value) in page_pool::Stats::NAMES.iter().zip(pools) {
            visitor.counter(name, value);
        }
        if D::HAS_COUNTERS {
            self.ops.counters(visitor);
        }
    }

    /// Ends what may still come.
    ///
    /// The device is not registered any more.
    pub(crate) fn end(&self) {
        // A reset that was still to come finds the device not running, and so does a look at the link.
        // SAFETY: The works were set up by `new()`. It may sleep, as we are in process context, and we do not hold
        // the device's lock, nor `control`, which the works take.
        unsafe {
            bindings::cancel_delayed_work_sync(self.reset.get());
            bindings::cancel_delayed_work_sync(self.watch.get());
        }
    }
}

/// The names of the queues' private flags.
pub(crate) const SPLIT_FLAGS: [&str; 8] = [
    "split-headers-0",
    "split-headers-1",
    "split-headers-2",
    "split-headers-3",
    "split-headers-4",
    "split-headers-5",
    "split-headers-6",
    "split-headers-7",
];

/// Why a program is refused: as other drivers say it.
const TOO_LARGE: &CStr = c"MTU too large to enable XDP without frags";
const SPLIT: &CStr = c"a queue has headers in buffers of their own: see ethtool --show-priv-flags";

/// Returns whether an XDP program wants each packet in one buffer.
///
/// # Safety
///
/// `program` is one, or null.
unsafe fn wants_one_buffer(program: *mut bindings::bpf_prog) -> bool {
    // SAFETY: It is not null where it is asked, so by the safety requirement it is a program, which has its other half.
    !program.is_null() && unsafe { !(*(*program).aux).xdp_has_frags }
}

/// Spreads flows evenly over so many queues, by a random key, which is the same for all devices.
///
/// Process context.
fn random_rss(queues: usize) -> Rss {
    let mut rss = Rss {
        key: [0; RSS_KEY],
        queues: [0; RSS_QUEUES],
    };
    // SAFETY: There is room for so many bytes, which are fewer than the core has. It may sleep: process context.
    unsafe { bindings::netdev_rss_key_fill(rss.key.as_mut_ptr().cast(), rss.key.len()) };
    rss.spread(queues);
    rss
}

/// What the handler of an interrupt knows.
///
/// # Invariants
///
/// `core` is valid as long as this exists.
pub(crate) struct Vector<'bound, D: Operations> {
    core: NonNull<Core<'bound, D>>,
    vector: usize,
}

// SAFETY: What is shared is a reference to the core, which is `Sync`, and a number.
unsafe impl<'bound, D: Operations + 'bound> Sync for Vector<'bound, D> {}
// SAFETY: What is sent is a shared reference to the core, which is `Sync`, and a number.
unsafe impl<'bound, D: Operations + 'bound> Send for Vector<'bound, D> {}

impl<'bound, D: Operations + 'bound> Vector<'bound, D> {
    /// # Safety
    ///
    /// `core` is valid until the result is dropped, and pinned.
    pub(crate) unsafe fn new(core: NonNull<Core<'bound, D>>, vector: usize) -> Self {
        // INVARIANT: By the safety requirement.
        Self { core, vector }
    }
}

impl<'bound, D: Operations + 'bound> Handler for Vector<'bound, D> {
    fn handle(&self) -> IrqReturn {
        // SAFETY: By the type invariant the core is valid as long as `self`. It is pinned and only shared, so
        // nobody has a mutable reference to it.
        let core = unsafe { self.core.as_ref() };
        if !core.listening.load(Relaxed) {
            return core.test_irq(self.vector);
        }
        let events = core.ops.interrupt(self.vector);
        if !events.ours {
            return IrqReturn::None;
        }
        if events.link {
            core.link_changed();
        }
        match core.channels.get(self.vector) {
            Some(channel) if events.packets => channel.queue.schedule(),
            _ => core.ops.unmask(self.vector),
        }
        IrqReturn::Handled
    }
}

/// # Safety
///
/// `work` is a part of the `watch` of a `Core<D>`.
unsafe extern "C" fn watch_work<D: Operations>(work: *mut bindings::work_struct) {
    // SAFETY: By the safety requirement it is the field of a `struct delayed_work`.
    let work = unsafe { kernel::container_of!(work, bindings::delayed_work, work) };
    // CAST: `Opaque` is a transparent wrapper.
    let work = work.cast::<Opaque<bindings::delayed_work>>();
    // SAFETY: By the safety requirement the delayed work is the field of a `Core<D>`, which is pinned and only
    // shared. It waits for its work, in `end()`, before it goes.
    let core = unsafe { &*kernel::container_of!(work, Core<'_, D>, watch) };
    let control = &mut *core.control.lock();
    if control.up {
        core.update_link(control);
    }
}
