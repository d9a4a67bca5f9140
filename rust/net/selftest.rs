// SPDX-License-Identifier: GPL-2.0

//! The tests of `ethtool -t`: the link, and with "offline", for which the interface is stopped, registers, EEPROM and
//! interrupts.

use crate::{
    device::{
        Control,
        Core, //
    },
    netdev::{
        Operations,
        Test, //
    },
};
use kernel::{
    prelude::*,
    sync::atomic::Relaxed,
    time::{
        delay::fsleep,
        Delta, //
    }, //
};

/// The names of the tests: those of the C drivers, as far as they are the same.
pub(crate) const TESTS: [&str; 4] = [
    "Register test  (offline)",
    "Eeprom test    (offline)",
    "Interrupt test (offline)",
    "Link test   (on/offline)",
];

/// What came of each: whether it has failed.
pub(crate) type Failures = [bool; TESTS.len()];

/// How long an interrupt may take, in milliseconds, and a link, in tenths of a second: as with the C drivers.
const INTERRUPT_MS: usize = 50;
const LINK_TENTHS: usize = 50;

impl<'bound, D: Operations + 'bound> Core<'bound, D> {
    /// Tests the card: the link alone, or everything while the interface is down for it; it comes up as it was.
    ///
    /// Process context, under the device's lock.
    pub(crate) fn self_test(&self, offline: bool) -> Failures {
        // Before a reset, after which it takes its time.
        let link = D::HAS_LINK && self.ops.link().is_none();
        if !offline {
            return [false, false, false, link];
        }
        let mut guard = self.control.lock();
        let control = &mut *guard;
        let open = !control.irqs.is_empty();
        if control.up {
            control.up = false;
            self.quiesce(control);
        } else {
            self.ops.stop();
        }
        let registers = self.ops.test(Test::Registers).is_err();
        self.ops.stop();
        // There is none to test, if it cannot be read.
        let eeprom = self.features.eeprom != 0 && self.ops.test(Test::Eeprom).is_err();
        let interrupts = self.test_irqs(control).is_err();
        // Of an interface that was down nobody has looked for one.
        let link = link && self.no_link(control);
        self.ops.stop();
        drop(guard);
        if open {
            self.again();
        }
        [registers, eeprom, interrupts, link]
    }

    /// Has the card raise the interrupt of each vector.
    fn test_irqs(&self, control: &mut Control<'bound, D>) -> Result {
        let open = !control.irqs.is_empty();
        if !open {
            control.irqs = self.request_irqs(control.shape.queues)?;
        }
        let result = self.ops.start(&self.config(control.shape.queues));
        let result =
            result.and_then(|()| (0..self.vectors.len()).try_for_each(|v| self.test_irq_of(v)));
        self.ops.stop();
        if !open {
            self.free_irqs(control);
        }
        result
    }

    /// Has the card look for a link, and returns whether there is none.
    fn no_link(&self, control: &Control<'bound, D>) -> bool {
        let started = self.ops.start(&self.config(control.shape.queues));
        let started = started.and_then(|()| control.link.start(&self.ops));
        let came = || {
            fsleep(Delta::from_millis(100));
            self.ops.link().is_some()
        };
        started.is_err() || !(0..LINK_TENTHS).any(|_| came())
    }

    /// Has the card raise the interrupt of a vector, and waits for it.
    fn test_irq_of(&self, vector: usize) -> Result {
        // CAST: A few dozen.
        self.tested.store(vector as u32 + 1, Relaxed);
        self.ops.unmask(vector);
        let mut result = self.ops.test(Test::Interrupt(vector));
        if result.is_ok() {
            let came = || {
                fsleep(Delta::from_millis(1));
                self.tested.load(Relaxed) == 0
            };
            if !(0..INTERRUPT_MS).any(|_| came()) {
                pr_err!("{}: no interrupt on vector {}\n", self.name(), vector);
                result = Err(ETIMEDOUT);
            }
        }
        self.tested.store(0, Relaxed);
        result
    }
}
