// SPDX-License-Identifier: GPL-2.0

//! What the PCI core tells a driver between probe and unbind: sleep, shutdown, resets and errors.
//!
//! The kernel's own abstraction of PCI drivers has no such callbacks. So [`Bus`] is registered in its place: it adds them,
//! and leaves the rest to it.
//!
//! The configuration space is the PCI core's, which saves it and restores it; but for an error on the bus, which comes
//! unforeseen.
//!
//! C headers: [`include/linux/pm.h`](srctree/include/linux/pm.h), [`include/linux/pci.h`](srctree/include/linux/pci.h)

use super::pci::{
    Adapter,
    Device,
    Driver, //
};
use crate::updown::Sleep;
use core::mem::MaybeUninit;
use kernel::{
    bindings,
    device::{
        self,
        CoreInternal, //
    },
    driver::{
        DriverLayout,
        RegistrationOps, //
    },
    pci,
    prelude::*,
    types::Opaque, //
};

/// The kernel's abstraction, for our drivers.
type Inner<T> = pci::Adapter<Adapter<T>>;

/// Lets the PCI core know a [`Driver`], with more than the kernel's abstraction has.
pub struct Bus<T: Driver>(Adapter<T>);

// SAFETY: All three are those of the kernel's abstraction, for which it promises the same.
unsafe impl<T: Driver + 'static> DriverLayout for Bus<T> {
    type DriverType = <Inner<T> as DriverLayout>::DriverType;
    type DriverData<'bound> = <Inner<T> as DriverLayout>::DriverData<'bound>;
    const DEVICE_DRIVER_OFFSET: usize = <Inner<T> as DriverLayout>::DEVICE_DRIVER_OFFSET;
}

// SAFETY: `unregister()` is that of the kernel's abstraction, whose `register()` has succeeded if ours has.
unsafe impl<T: Driver + 'static> RegistrationOps for Bus<T> {
    unsafe fn register(
        driver: &Opaque<Self::DriverType>,
        name: &'static CStr,
        module: &'static ThisModule,
    ) -> Result {
        // SAFETY: The structure is valid and not registered yet, so nobody else accesses it. The tables are constants, in
        // memory that stays; `register()` sets other fields.
        unsafe {
            (*driver.get()).driver.pm = &Self::PM;
            (*driver.get()).err_handler = &Self::ERRORS;
            (*driver.get()).shutdown = Some(Self::shutdown);
        }
        // SAFETY: The requirement is that of the caller's.
        unsafe { Inner::<T>::register(driver, name, module) }
    }

    unsafe fn unregister(driver: &Opaque<Self::DriverType>) {
        // SAFETY: The requirement is that of the caller's, and what was registered is the kernel's abstraction.
        unsafe { Inner::<T>::unregister(driver) }
    }
}

/// Returns what belongs to a device.
///
/// # Safety
///
/// `dev` is bound to the driver `T`, and is not unbound as long as the result is used.
unsafe fn bound<'a, T: Driver + 'static>(dev: *mut bindings::device) -> &'a Device<'a, T> {
    // CAST: `Device` is a transparent wrapper.
    // SAFETY: By the safety requirement the device is valid for `'a`.
    let dev = unsafe { &*dev.cast::<device::Device<CoreInternal<'_>>>() };
    // SAFETY: By the safety requirement the device is bound, so its data were set by the kernel's abstraction, which has a
    // `Device<T>` there by `Adapter<T>`.
    unsafe { dev.drvdata_borrow::<Device<'_, T>>() }.get_ref()
}

/// Puts a device to sleep.
///
/// # Safety
///
/// `pdev` is bound to `T`, and locked.
unsafe fn sleep<T: Driver + 'static>(pdev: *mut bindings::pci_dev, reason: Sleep) {
    // SAFETY: By the safety requirement the device is bound, and stays so as long as it is locked.
    unsafe { bound::<T>(&raw mut (*pdev).dev) }
        .registration
        .sleep(reason);
}

/// Ends a reason for which it sleeps.
///
/// # Safety
///
/// `pdev` is bound to `T`, and locked.
unsafe fn wake<T: Driver + 'static>(pdev: *mut bindings::pci_dev, reason: Sleep) {
    // SAFETY: By the safety requirement the device is bound, and stays so as long as it is locked.
    unsafe { bound::<T>(&raw mut (*pdev).dev) }
        .registration
        .wake(reason);
}

// The core calls all of these for a device that is bound, with its `struct device` locked, so that it stays bound. (But for
// Xen's pcifront, which tells of errors without the lock.)
impl<T: Driver + 'static> Bus<T> {
    /// Sleep of the system, to memory or to disk. The device does not wake it.
    const PM: bindings::dev_pm_ops = bindings::dev_pm_ops {
        suspend: Some(Self::suspend),
        resume: Some(Self::resume),
        freeze: Some(Self::suspend),
        thaw: Some(Self::resume),
        poweroff: Some(Self::suspend),
        restore: Some(Self::resume),
        // SAFETY: All fields are optional callbacks, for which zeroes are `None`.
        ..unsafe { MaybeUninit::zeroed().assume_init() }
    };

    /// Resets that somebody asks for in sysfs, and errors on the bus. See Documentation/PCI/pci-error-recovery.rst.
    const ERRORS: bindings::pci_error_handlers = bindings::pci_error_handlers {
        error_detected: Some(Self::error_detected),
        slot_reset: Some(Self::slot_reset),
        resume: Some(Self::error_is_over),
        reset_prepare: Some(Self::reset_prepare),
        reset_done: Some(Self::reset_done),
        // SAFETY: All fields are optional callbacks, for which zeroes are `None`.
        ..unsafe { MaybeUninit::zeroed().assume_init() }
    };

    /// # Safety
    ///
    /// `dev` is bound to `T`, and locked.
    unsafe extern "C" fn suspend(dev: *mut bindings::device) -> c_int {
        // SAFETY: By the safety requirement the device is bound, and stays so as long as it is locked.
        unsafe { bound::<T>(dev) }.registration.sleep(Sleep::System);
        0
    }

    /// # Safety
    ///
    /// `dev` is bound to `T`, and locked.
    unsafe extern "C" fn resume(dev: *mut bindings::device) -> c_int {
        // SAFETY: By the safety requirement the device is bound, and stays so as long as it is locked.
        unsafe { bound::<T>(dev) }.registration.wake(Sleep::System);
        0
    }

    /// Before a reboot, power-off or `kexec`: whoever comes next finds a card that does nothing, and nothing wakes it.
    ///
    /// # Safety
    ///
    /// `pdev` is bound to `T`, and locked.
    unsafe extern "C" fn shutdown(pdev: *mut bindings::pci_dev) {
        // SAFETY: The requirement is that of the caller's.
        unsafe { sleep::<T>(pdev, Sleep::Off) };
    }

    /// # Safety
    ///
    /// `pdev` is bound to `T`, and locked.
    unsafe extern "C" fn reset_prepare(pdev: *mut bindings::pci_dev) {
        // SAFETY: The requirement is that of the caller's.
        unsafe { sleep::<T>(pdev, Sleep::Reset) };
    }

    /// # Safety
    ///
    /// `pdev` is bound to `T`, and locked.
    unsafe extern "C" fn reset_done(pdev: *mut bindings::pci_dev) {
        // SAFETY: The requirement is that of the caller's.
        unsafe { wake::<T>(pdev, Sleep::Reset) };
    }

    /// # Safety
    ///
    /// `pdev` is bound to `T`, and locked.
    unsafe extern "C" fn error_detected(
        pdev: *mut bindings::pci_dev,
        channel: bindings::pci_channel_state_t,
    ) -> bindings::pci_ers_result_t {
        if channel == bindings::pci_channel_io_normal {
            return bindings::pci_ers_result_PCI_ERS_RESULT_CAN_RECOVER;
        }
        // SAFETY: The requirement is that of the caller's.
        unsafe { sleep::<T>(pdev, Sleep::Error) };
        if channel == bindings::pci_channel_io_perm_failure {
            bindings::pci_ers_result_PCI_ERS_RESULT_DISCONNECT
        } else {
            bindings::pci_ers_result_PCI_ERS_RESULT_NEED_RESET
        }
    }

    /// Also for a device that did not sleep: somebody else on the bus wanted the reset.
    ///
    /// # Safety
    ///
    /// `pdev` is bound to `T`, and locked.
    unsafe extern "C" fn slot_reset(pdev: *mut bindings::pci_dev) -> bindings::pci_ers_result_t {
        // SAFETY: The device is valid, as it is bound, and nobody else accesses its configuration space. What is restored
        // was saved by `save_state()` when it was probed, or by the PCI core since.
        let present = unsafe {
            let present = bindings::pci_device_is_present(pdev);
            if present {
                bindings::pci_restore_state(pdev);
            }
            present
        };
        // SAFETY: The requirement is that of the caller's.
        unsafe { sleep::<T>(pdev, Sleep::Error) };
        if present {
            bindings::pci_ers_result_PCI_ERS_RESULT_RECOVERED
        } else {
            bindings::pci_ers_result_PCI_ERS_RESULT_DISCONNECT
        }
    }

    /// # Safety
    ///
    /// `pdev` is bound to `T`, and locked.
    unsafe extern "C" fn error_is_over(pdev: *mut bindings::pci_dev) {
        // SAFETY: The requirement is that of the caller's.
        unsafe { wake::<T>(pdev, Sleep::Error) };
    }
}

/// Saves the configuration space of a device that is set up, for an error that makes it forget that.
pub(super) fn save_state(pdev: &pci::Device<device::Core<'_>>) {
    // CAST: `Device` is a transparent wrapper of `struct pci_dev`.
    let pdev = core::ptr::from_ref(pdev).cast_mut().cast();
    // SAFETY: The device is valid as long as it is borrowed; it is being probed, so nobody else accesses what is saved.
    unsafe { bindings::pci_save_state(pdev) };
}
