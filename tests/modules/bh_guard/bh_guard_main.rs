// SPDX-License-Identifier: GPL-2.0

//! Where there is a [`BhGuard`], where it is refused, and that its end leaves interrupts off.
//!
//! A softirq waits each time, for without one `local_bh_enable()` turns nothing on. All is done while the
//! module is loaded, which fails if something is not as it should be.

use kernel::{
    interrupt::local_interrupt_disable,
    new_spinlock_irq,
    prelude::*, //
};
use page_pool::context::BhGuard;
use pin_init::stack_pin_init;

extern "C" {
    fn bh_guard_irqs_off() -> bool;
    fn bh_guard_bh_off() -> bool;
    fn bh_guard_raise();
    fn bh_guard_ran() -> bool;
    fn bh_guard_runs() -> bool;
    fn bh_guard_end();
    fn bh_guard_in_hardirq(f: extern "C" fn() -> bool) -> bool;
    fn bh_guard_in_open_hardirq(f: extern "C" fn() -> bool) -> bool;
}

fn irqs_off() -> bool {
    // SAFETY: May be asked in any context.
    unsafe { bh_guard_irqs_off() }
}

fn bh_off() -> bool {
    // SAFETY: May be asked in any context.
    unsafe { bh_guard_bh_off() }
}

/// Lets a softirq wait.
fn raise() {
    // SAFETY: Any context. The module ends after `bh_guard_end()` only.
    unsafe { bh_guard_raise() };
}

/// Whether it has run.
fn ran() -> bool {
    // SAFETY: May be asked in any context.
    unsafe { bh_guard_ran() }
}

/// Whether it runs, if nobody turns bottom halves off and on.
fn runs() -> bool {
    // SAFETY: Spins, with interrupts on, until it has run, or for some seconds.
    unsafe { bh_guard_runs() }
}

/// Whether a guard is refused here, without a trace.
fn refuses() -> bool {
    let before = (irqs_off(), bh_off());
    BhGuard::new().err() == Some(EDEADLK) && before == (irqs_off(), bh_off())
}

/// The same while a softirq waits.
fn refused() -> bool {
    raise();
    refuses() && !ran()
}

extern "C" fn refused_in_handler() -> bool {
    irqs_off() && refused()
}

/// (Nothing is raised here: what does that turns interrupts off and on, which lockdep forbids a handler.)
extern "C" fn refused_in_open_handler() -> bool {
    !irqs_off() && refuses()
}

/// What was found.
#[derive(Default)]
struct Checks {
    failed: bool,
}

impl Checks {
    fn that(&mut self, ok: bool, what: &str) {
        self.failed |= !ok;
        pr_info!("{}: {}\n", if ok { "ok" } else { "not ok" }, what);
    }

    fn granted(&mut self) -> Result {
        let outer = BhGuard::new()?;
        raise();
        let inner = BhGuard::new()?;
        drop(outer);
        self.that(bh_off() && !ran(), "off until the last guard is dropped");
        drop(inner);
        self.that(!bh_off() && !irqs_off(), "then on");
        self.that(runs(), "and what waited runs");
        Ok(())
    }

    fn refused(&mut self) {
        let off = local_interrupt_disable();
        self.that(refused(), "refused with interrupts off");
        self.that(irqs_off() && !ran(), "which are still off");
        drop(off);
        self.that(!irqs_off() && runs(), "then on, and what waited runs");

        stack_pin_init!(let lock = new_spinlock_irq!(0u32));
        let held = lock.lock();
        self.that(refused(), "refused under a SpinLockIrq");
        self.that(irqs_off() && !ran(), "with interrupts still off");
        drop(held);
        self.that(!irqs_off() && runs(), "on without it, and what waited runs");

        // SAFETY: Process context; the function may be called in any.
        let refused = unsafe { bh_guard_in_hardirq(refused_in_handler) };
        self.that(refused, "refused in a hard interrupt");
        self.that(runs(), "after which what waited runs");
        // SAFETY: As above.
        let refused = unsafe { bh_guard_in_open_hardirq(refused_in_open_handler) };
        self.that(refused, "refused in one that has interrupts on");
    }

    fn dropped_with_interrupts_off(&mut self) -> Result {
        let guard = BhGuard::new()?;
        let off = local_interrupt_disable();
        raise();
        drop(guard);
        self.that(!bh_off(), "dropped with interrupts off");
        self.that(irqs_off() && !ran(), "they stay off");
        drop(off);
        self.that(!irqs_off() && runs(), "later on, and what waited runs");

        stack_pin_init!(let lock = new_spinlock_irq!(0u32));
        let guard = BhGuard::new()?;
        let held = lock.lock();
        raise();
        drop(guard);
        self.that(!bh_off(), "dropped under a SpinLockIrq");
        self.that(irqs_off() && !ran(), "interrupts stay off");
        drop(held);
        self.that(!irqs_off() && runs(), "on after it, and what waited runs");
        Ok(())
    }
}

module! {
    type: Module,
    name: "bh_guard",
    authors: ["Rust page pool developers"],
    description: "Contexts in which bottom halves may be turned off, for tests",
    license: "GPL",
}

struct Module;

impl kernel::Module for Module {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let mut checks = Checks::default();
        let result = checks
            .granted()
            .and_then(|()| checks.dropped_with_interrupts_off());
        checks.refused();
        // SAFETY: Process context. Nobody raises it after this.
        unsafe { bh_guard_end() };
        result?;
        if checks.failed {
            return Err(EINVAL);
        }
        Ok(Self)
    }
}
