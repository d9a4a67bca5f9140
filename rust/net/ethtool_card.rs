// SPDX-License-Identifier: GPL-2.0

//! What `ethtool` wants of the card itself: registers, EEPROM, LEDs, tests, what is in its flash, and what the log is told
//! of it.
//!
//! C header: [`include/linux/ethtool.h`](srctree/include/linux/ethtool.h)

use crate::{
    netdev::Operations,
    vtable::{
        core_of,
        Table, //
    },
};
use kernel::{
    error::from_result,
    prelude::*,
    sync::atomic::Relaxed, //
};
use pp_bindings as bindings;

/// The format of what `ethtool -d` shows: for each register its offset and its value, of 32 bits each, in the CPU's
/// order. (`ethtool` knows others by the names of their drivers.)
const REGISTERS_VERSION: u32 = 1;

impl<'bound, D: Operations + 'bound> Table<'bound, D> {
    /// # Safety
    ///
    /// See the invariants of [`Table`].
    pub(crate) unsafe extern "C" fn get_msglevel(dev: *mut bindings::net_device) -> u32 {
        // SAFETY: By the invariant of `Table` the device is valid, and its private area holds a pointer to its
        // core, whose driver is `D`. It is registered, so the core outlives this call.
        unsafe { core_of::<D>(dev) }.messages.load(Relaxed)
    }

    /// # Safety
    ///
    /// See the invariants of [`Table`].
    pub(crate) unsafe extern "C" fn set_msglevel(dev: *mut bindings::net_device, messages: u32) {
        // SAFETY: By the invariant of `Table` the device is valid, and its private area holds a pointer to its
        // core, whose driver is `D`. It is registered, so the core outlives this call.
        unsafe { core_of::<D>(dev) }
            .messages
            .store(messages, Relaxed);
    }

    /// # Safety
    ///
    /// - See the invariants of [`Table`].
    /// - `info` is valid and initialised, and nobody else's.
    pub(crate) unsafe extern "C" fn get_drvinfo(
        dev: *mut bindings::net_device,
        info: *mut bindings::ethtool_drvinfo,
    ) {
        // SAFETY: By the invariant of `Table` the device is valid, and its private area holds a pointer to its
        // core, whose driver is `D`. It is registered, so the core outlives this call. By the safety requirement
        // `info` is valid, initialised, and nobody else's.
        let (core, info) = unsafe { (core_of::<D>(dev), &mut *info) };
        // The rest is what the core knows.
        if let Ok(version) = core.ops.firmware() {
            let room = info.fw_version.iter_mut().rev().skip(1).rev();
            for (to, from) in room.zip(version.to_bytes()) {
                *to = *from;
            }
        }
    }

    /// # Safety
    ///
    /// - See the invariants of [`Table`].
    /// - The device's lock is held.
    pub(crate) unsafe extern "C" fn get_regs_len(dev: *mut bindings::net_device) -> c_int {
        // SAFETY: By the invariant of `Table` the device is valid, and its private area holds a pointer to its
        // core, whose driver is `D`. It is registered, so the core outlives this call.
        let core = unsafe { core_of::<D>(dev) };
        let mut n: c_int = 0;
        core.ops.registers(&mut |_, _| n = n.wrapping_add(8));
        n
    }

    /// # Safety
    ///
    /// - See the invariants of [`Table`].
    /// - The device's lock is held.
    /// - `regs` is valid and initialised, and nobody else's. There is room at `to` for as many bytes as it says, and for 32-bit
    ///   words, initialised and nobody else's.
    pub(crate) unsafe extern "C" fn get_regs(
        dev: *mut bindings::net_device,
        regs: *mut bindings::ethtool_regs,
        to: *mut c_void,
    ) {
        // SAFETY: By the invariant of `Table` the device is valid, and its private area holds a pointer to its
        // core, whose driver is `D`. It is registered, so the core outlives this call. By the safety requirement
        // `regs` is valid, initialised, and nobody else's.
        let (core, regs) = unsafe { (core_of::<D>(dev), &mut *regs) };
        regs.version = REGISTERS_VERSION;
        // CAST: u32 fits.
        let room = regs.len as usize / 4;
        // SAFETY: By the safety requirement there is room for so many words, initialised and nobody else's.
        let words = unsafe { core::slice::from_raw_parts_mut(to.cast::<u32>(), room) };
        let mut pairs = words.chunks_exact_mut(2);
        core.ops.registers(&mut |offset, value| {
            if let Some(pair) = pairs.next() {
                pair.copy_from_slice(&[offset, value]);
            }
        });
    }

    /// # Safety
    ///
    /// See the invariants of [`Table`].
    pub(crate) unsafe extern "C" fn get_eeprom_len(dev: *mut bindings::net_device) -> c_int {
        // SAFETY: By the invariant of `Table` the device is valid, and its private area holds a pointer to its
        // core, whose driver is `D`. It is registered, so the core outlives this call. CAST: A few KiB.
        unsafe { core_of::<D>(dev) }.features.eeprom.wrapping_mul(2) as c_int
    }

    /// # Safety
    ///
    /// - See the invariants of [`Table`].
    /// - The device's lock is held.
    /// - `eeprom` is valid and initialised, and nobody else's. There is room for as many bytes as it says, initialised and
    ///   nobody else's.
    pub(crate) unsafe extern "C" fn get_eeprom(
        dev: *mut bindings::net_device,
        eeprom: *mut bindings::ethtool_eeprom,
        bytes: *mut u8,
    ) -> c_int {
        // SAFETY: By the invariant of `Table` the device is valid, and its private area holds a pointer to its
        // core, whose driver is `D`. It is registered, so the core outlives this call. By the safety requirement
        // `eeprom` is valid, initialised, and nobody else's.
        let (core, eeprom) = unsafe { (core_of::<D>(dev), &mut *eeprom) };
        // SAFETY: The parent is bound, so it is valid.
        eeprom.magic = unsafe { bindings::rnet_eeprom_magic(crate::dma::raw(core.parent)) };
        // CAST: u32 fits.
        // SAFETY: By the safety requirement there is room for so many bytes, initialised and nobody else's.
        let bytes = unsafe { core::slice::from_raw_parts_mut(bytes, eeprom.len as usize) };
        from_result(|| {
            // (The core has checked that there are so many.)
            for (byte, at) in bytes.iter_mut().zip(eeprom.offset..) {
                *byte = core.ops.eeprom(at / 2)?.to_le_bytes()[at as usize % 2];
            }
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// - See the invariants of [`Table`].
    /// - The device's lock is held.
    pub(crate) unsafe extern "C" fn set_phys_id(
        dev: *mut bindings::net_device,
        state: bindings::ethtool_phys_id_state,
    ) -> c_int {
        // SAFETY: By the invariant of `Table` the device is valid, and its private area holds a pointer to its
        // core, whose driver is `D`. It is registered, so the core outlives this call.
        let core = unsafe { core_of::<D>(dev) };
        // Between two blinks the lock is not held, and the device may have fallen asleep.
        if !core.is_present() {
            return ENODEV.to_errno();
        }
        match state {
            // How often it is to be turned on in a second.
            bindings::ethtool_phys_id_state_ETHTOOL_ID_ACTIVE => return 2,
            bindings::ethtool_phys_id_state_ETHTOOL_ID_ON => core.ops.set_led(Some(true)),
            bindings::ethtool_phys_id_state_ETHTOOL_ID_OFF => core.ops.set_led(Some(false)),
            _ => core.ops.set_led(None),
        }
        0
    }

    /// # Safety
    ///
    /// - See the invariants of [`Table`].
    /// - The device's lock is held.
    /// - `test` is valid and initialised, and nobody else's. There is room for as many results as `get_sset_count()` said,
    ///   initialised and nobody else's.
    pub(crate) unsafe extern "C" fn self_test(
        dev: *mut bindings::net_device,
        test: *mut bindings::ethtool_test,
        results: *mut u64,
    ) {
        // SAFETY: By the invariant of `Table` the device is valid, and its private area holds a pointer to its
        // core, whose driver is `D`. It is registered, so the core outlives this call. By the safety requirement
        // `test` is valid, initialised, and nobody else's.
        let (core, test) = unsafe { (core_of::<D>(dev), &mut *test) };
        let failures =
            core.self_test(test.flags & bindings::ethtool_test_flags_ETH_TEST_FL_OFFLINE != 0);
        if failures.contains(&true) {
            test.flags |= bindings::ethtool_test_flags_ETH_TEST_FL_FAILED;
        }
        let failures = failures.map(u64::from);
        // SAFETY: By the safety requirement there is room for so many results, of which `get_sset_count()` says as many as
        // there are names.
        unsafe { results.copy_from_nonoverlapping(failures.as_ptr(), failures.len()) };
    }
}
