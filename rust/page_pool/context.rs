// SPDX-License-Identifier: GPL-2.0

//! Proof of the context that the pool's NAPI side needs.

use core::marker::PhantomData;

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

    /// The number of the CPU that we are bound to; that of no CPU in hard interrupt context, where
    /// nothing may be put into a ring.
    #[inline]
    pub(crate) fn cpu(&self) -> usize {
        // SAFETY: With bottom halves off the task does not migrate. CAST: u32 fits.
        unsafe { pp_bindings::rpp_cpu() as usize }
    }
}

/// Keeps bottom halves off while it lives. Process or softirq context, interrupts on.
pub struct BhGuard(PhantomData<*mut ()>);

impl BhGuard {
    /// Turns bottom halves off on this CPU.
    #[inline]
    pub fn new() -> Self {
        // SAFETY: May be called from any context that has interrupts on.
        unsafe { pp_bindings::rpp_local_bh_disable() };
        Self(PhantomData)
    }

    /// The proof, for as long as the guard is held.
    #[inline]
    pub fn token(&self) -> BhDisabled<'_> {
        // SAFETY: They are off until `self` is dropped, and the result borrows `self`.
        unsafe { BhDisabled::assert() }
    }
}

impl Default for BhGuard {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for BhGuard {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: Balances the call in `new()`; the guard is not `Send`.
        unsafe { pp_bindings::rpp_local_bh_enable() };
    }
}
