// SPDX-License-Identifier: GPL-2.0

//! A device's interrupts, under the names that users of C drivers know.

use kernel::{
    irq::{
        Flags,
        Handler,
        IrqRequest,
        Registration, //
    },
    prelude::*,
    str::CString, //
};

/// An interrupt that is requested; dropping it releases it.
///
/// # Invariants
///
/// `_name` owns what `registration` is named by.
pub(crate) struct Irq<'bound, H: Handler> {
    // Goes before its name.
    registration: Pin<KBox<Registration<'bound, H>>>,
    _name: CString,
}

impl<'bound, H: Handler + 'bound> Irq<'bound, H> {
    /// Requests an interrupt, which `/proc/interrupts` shows by `name`.
    ///
    /// Process context.
    ///
    /// # Safety
    ///
    /// The result is not forgotten.
    pub(crate) unsafe fn new(
        request: IrqRequest<'bound>,
        name: CString,
        handler: H,
    ) -> Result<Self> {
        // SAFETY: The string ends with a zero and does not change. It is on the heap, stays there when `name` is
        // moved, and is dropped after the registration, which is the first field of `Self`.
        let text = unsafe { CStr::from_char_ptr(name.as_char_ptr()) };
        // SAFETY: By the safety requirement the result is not forgotten, and the registration, which becomes a
        // part of it, is dropped with it.
        let registration =
            unsafe { Registration::new(request, Flags::SHARED, text, Ok::<_, Error>(handler)) };
        Ok(Self {
            registration: KBox::pin_init(registration, GFP_KERNEL)?,
            _name: name,
        })
    }

    /// Returns when no handler runs that was running before.
    pub(crate) fn synchronize(&self) {
        self.registration.synchronize();
    }
}
