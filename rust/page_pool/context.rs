// SPDX-License-Identifier: GPL-2.0

//! Proof of the context that the pool's NAPI side needs.

use core::marker::PhantomData;
use kernel::prelude::*;

/// Proof that bottom halves are off on this CPU for as long as `'a`.
///
/// It is what makes this CPU the only producer of its return ring: neither another task nor a
/// softirq can come between. NAPI poll has one by nature; process context gets one from a
/// [`BhGuard`].
///
/// # Invariants
///
/// Bottom halves are off on the current CPU while a value of this type exists. It cannot be sent to
/// another thread.
///
/// Interrupts may be on or off, and that may change meanwhile (a lock is taken and released). While they
/// are on, one can come between, which uses the list and not the ring; while they are off, nothing can.
#[derive(Clone, Copy)]
pub struct BhDisabled<'a>(PhantomData<(&'a (), *mut ())>);

impl BhDisabled<'_> {
    /// Asserts that bottom halves are off.
    ///
    /// # Safety
    ///
    /// The caller runs with bottom halves off (in softirq, or between `local_bh_disable()` and
    /// `local_bh_enable()`) and keeps them off for the lifetime that it chooses.
    #[inline]
    pub unsafe fn assert() -> Self {
        // INVARIANT: By the safety requirement.
        Self(PhantomData)
    }

    /// Returns the number of the CPU that we are bound to.
    ///
    /// In hard interrupt context it is that of no CPU, since nothing may be put into a ring there.
    #[inline]
    pub(crate) fn cpu(&self) -> usize {
        // SAFETY: By the type invariant bottom halves are off, so the task does not migrate, and the number stays
        // that of this CPU. May be asked in any context. CAST: u32 fits.
        unsafe { pp_bindings::rpp_cpu() as usize }
    }
}

/// Keeps bottom halves off while it lives. Process or softirq context, interrupts on; elsewhere there is
/// none, see [`new`](Self::new).
///
/// Guards may be dropped in any order, because the kernel counts; also while interrupts are off, and
/// then they stay off.
///
/// As with a spinlock, the caller does not sleep while it has one; and one that is forgotten
/// (`mem::forget()`) leaves them off: softirqs stall on that CPU until the task sleeps, and the
/// scheduler complains about it.
///
/// # Examples
///
/// ```
/// use kernel::prelude::*;
/// use page_pool::{context::BhGuard, PagePool};
///
/// /// Takes a page, and gives it back.
/// fn try_pool(pool: &mut PagePool<'_>) -> Result {
///     let bh = BhGuard::new()?;
///     pool.enter(&bh.token(), |mut pool| {
///         let buf = pool.alloc()?;
///         pool.recycle_unused(buf);
///         Ok(())
///     })
/// }
/// ```
#[must_use = "bottom halves are on again when this is dropped"]
pub struct BhGuard(PhantomData<*mut ()>);

impl BhGuard {
    /// Turns bottom halves off on this CPU.
    ///
    /// Fails with `EDEADLK` where interrupts are off, and in a hard interrupt or NMI: when they are on
    /// again softirqs run, with interrupts on, under whatever lock the caller has; an interrupt that
    /// wants that lock would wait for ever.
    #[inline]
    pub fn new() -> Result<Self> {
        // A handler may have turned interrupts on, so that they are is not enough.
        // SAFETY: Both only read the state of this CPU, and may be asked in any context.
        if unsafe { pp_bindings::rpp_irqs_disabled() || pp_bindings::rpp_in_hardirq() } {
            return Err(EDEADLK);
        }
        // SAFETY: We are in no hard interrupt and interrupts are on, as was just checked. It is undone once, when
        // the result is dropped, by the same task or softirq: the guard is not `Send`.
        unsafe { pp_bindings::rpp_local_bh_disable() };
        Ok(Self(PhantomData))
    }

    /// Returns the proof, for as long as the guard is held.
    #[inline]
    pub fn token(&self) -> BhDisabled<'_> {
        // SAFETY: Bottom halves are off on this CPU until `self` is dropped, and the result borrows `self`.
        unsafe { BhDisabled::assert() }
    }
}

impl Drop for BhGuard {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: It only reads the state of this CPU, and may be asked in any context.
        if unsafe { pp_bindings::rpp_irqs_disabled() } {
            // They were turned off after `new()`, and whoever did it relies on that. The softirqs that
            // wait run when the next interrupt on this CPU ends, which is the tick's at the latest (it
            // goes on in an idle CPU that has some; a busy CPU of nohz_full may have none for long),
            // at the next `local_bh_enable()`, or in ksoftirqd when it is woken.
            // SAFETY: Balances the call in `new()`: the guard is not `Send`, so we are in the task or
            // softirq that made it, and in no hard interrupt. Interrupts are off.
            unsafe { pp_bindings::rpp_local_bh_enable_irqs_off() };
        } else {
            // SAFETY: Balances the call in `new()`: the guard is not `Send`, so we are in the task or softirq that
            // made it, and in no hard interrupt. Interrupts are on.
            unsafe { pp_bindings::rpp_local_bh_enable() };
        }
    }
}
