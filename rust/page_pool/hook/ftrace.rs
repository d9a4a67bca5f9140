// SPDX-License-Identifier: GPL-2.0

//! The hook on an unmodified kernel: ftrace direct calls in jump mode.
//!
//! `rust/helpers/hook.c` says how they work, and has the functions that replace the kernel's. Here those
//! are found, and the replacements attached to them.

use super::{
    LastRef,
    Site, //
};
use crate::platform::{
    AtomicBool,
    AtomicPtr,
    AtomicUsize,
    Ordering, //
};
use core::{
    cell::UnsafeCell,
    ptr::null_mut, //
};
use kernel::{
    error::to_result,
    prelude::*,
    task::Task, //
};
use pp_bindings as bindings;

/// The way in which the hook is attached, for the user.
pub(crate) const MODE: &str = "ftrace direct (jump)";

// CAST: Five.
const SITES: usize = bindings::rpp_hook_site_RPP_SITES as usize;

/// A function that is replaced.
struct Function {
    site: Site,
    /// The address of what replaces it.
    replacement: fn() -> c_ulong,
    /// Frees a page through it, and through none of the others before it.
    free: fn(LastRef),
    argument: Argument,
}

/// What its first argument says of a page that is freed.
#[derive(Clone, Copy, PartialEq)]
enum Argument {
    Page,
    Address,
    /// A batch.
    Folios,
}

fn release_pages(page: LastRef) {
    // SAFETY: The array has one page, whose reference `into_raw()` has given to us and the callee drops. The
    // callee may write to the array, which nobody uses after this.
    unsafe { bindings::rpp_put_pages(&mut page.into_raw(), 1) };
}

static FUNCTIONS: [Function; SITES] = [
    Function {
        site: Site {
            id: bindings::rpp_hook_site_RPP_SITE___FOLIO_PUT,
            name: c"__folio_put",
            asks: true,
        },
        replacement: || bindings::rpp_hook___folio_put as *const () as c_ulong,
        free: LastRef::put,
        argument: Argument::Page,
    },
    Function {
        site: Site {
            id: bindings::rpp_hook_site_RPP_SITE_FREE_UNREF_FOLIOS,
            name: c"free_unref_folios",
            asks: true,
        },
        replacement: || bindings::rpp_hook_free_unref_folios as *const () as c_ulong,
        free: release_pages,
        argument: Argument::Folios,
    },
    Function {
        site: Site {
            id: bindings::rpp_hook_site_RPP_SITE_PAGE_FRAG_FREE,
            name: c"page_frag_free",
            asks: true,
        },
        replacement: || bindings::rpp_hook_page_frag_free as *const () as c_ulong,
        free: LastRef::frag_free,
        argument: Argument::Address,
    },
    Function {
        site: Site {
            id: bindings::rpp_hook_site_RPP_SITE___FREE_PAGES,
            name: c"__free_pages",
            asks: true,
        },
        replacement: || bindings::rpp_hook___free_pages as *const () as c_ulong,
        free: LastRef::free,
        argument: Argument::Page,
    },
    Function {
        site: Site {
            id: bindings::rpp_hook_site_RPP_SITE_FREE_PAGES,
            name: c"free_pages",
            // It counts in __free_pages() as well, which does.
            asks: false,
        },
        replacement: || bindings::rpp_hook_free_pages as *const () as c_ulong,
        free: LastRef::free_address,
        argument: Argument::Address,
    },
];

// Each function has its own replacement; a mix-up would be fatal.
const _: () = {
    let mut i = 0;
    while i < SITES {
        // CAST: u32 fits.
        assert!(FUNCTIONS[i].site.id as usize == i);
        i += 1;
    }
};

pub(super) fn sites() -> impl Iterator<Item = &'static Site> {
    FUNCTIONS.iter().map(|function| &function.site)
}

/// A `struct ftrace_ops`. PERMANENT: "sysctl kernel.ftrace_enabled=0" must not turn the hook off. Not
/// RECURSION: a call that is skipped is a lost page.
struct Ops(UnsafeCell<bindings::ftrace_ops>);

// SAFETY: What is in the cell is passed to ftrace only, which has locks of its own; it is set up before, in a
// constant, and nobody else looks into it.
unsafe impl Sync for Ops {}

impl Ops {
    const fn new(func: bindings::ftrace_func_t) -> Self {
        // SAFETY: The structure has numbers, pointers and lists, for which zeroes are values: as a static variable
        // in C, of which only these are set.
        let mut ops: bindings::ftrace_ops = unsafe { core::mem::zeroed() };
        ops.func = func;
        // CAST: One of the lower bits.
        ops.flags = bindings::FTRACE_OPS_FL_PERMANENT as c_ulong;
        Self(UnsafeCell::new(ops))
    }
}

static OPS: [Ops; SITES] = [const { Ops::new(None) }; SITES];

impl Function {
    fn ops(&self) -> *mut bindings::ftrace_ops {
        // CAST: u32 fits.
        OPS[self.site.id as usize].0.get()
    }

    fn target(&self) -> c_ulong {
        // SAFETY: It only sets a bit of the number, and goes to no address.
        unsafe { bindings::rpp_ftrace_jmp_set((self.replacement)()) }
    }

    /// Puts the replacement into the place of the function at `ip`.
    ///
    /// # Safety
    ///
    /// - `ip` is where this function has its nop, and the replacement goes on behind that.
    /// - It is not attached.
    /// - Process context.
    unsafe fn attach(&self, ip: c_ulong) -> Result {
        let name = self.site.name;
        // SAFETY: By the safety requirement `ip` is where this function has its nop, behind which the replacement
        // goes on, and it is not attached. Process context.
        unsafe { self.register(ip) }.inspect_err(|&e| {
            if e == EBUSY {
                pr_err!("{name}() cannot be hooked: a BPF program, a livepatch or another module has it\n");
            } else {
                pr_err!("{name}() cannot be hooked: {e:?}\n");
            }
        })
    }

    /// As [`attach`](Self::attach), and says nothing.
    ///
    /// # Safety
    ///
    /// As for [`attach`](Self::attach).
    unsafe fn register(&self, ip: c_ulong) -> Result {
        let ops = self.ops();
        // By address: a name could stand for several functions.
        // SAFETY: The ops are static, so they stay, and are not registered, by the safety requirement. It may
        // sleep: process context.
        to_result(unsafe { bindings::ftrace_set_filter_ip(ops, ip, 0, 1) })?;
        // SAFETY: The ops are static, filtered just now, and not registered. The replacement stays until it is
        // detached, and has the prototype of the function at `ip`, where it goes on, by the safety requirement.
        // Process context.
        let result = to_result(unsafe { bindings::register_ftrace_direct(ops, self.target()) });
        if result.is_err() {
            // SAFETY: The ops are static, and not registered, since that has failed. Process context.
            unsafe { bindings::ftrace_free_filter(ops) };
        }
        result
    }

    /// Puts the function back into its place.
    ///
    /// When it returns nobody executes the replacement.
    ///
    /// # Safety
    ///
    /// - It is [attached](Self::attach).
    /// - Process context.
    unsafe fn detach(&self) {
        // SAFETY: By the safety requirement the ops are registered, with this target, and this is process context.
        let result = to_result(unsafe {
            bindings::unregister_ftrace_direct(self.ops(), self.target(), true)
        });
        // Not for what is registered, unless ftrace shut itself down. Then the function jumps here for good, so
        // "here" must stay.
        if let Err(e) = result {
            let name = self.site.name;
            pr_err!("{name}() cannot be released: {e:?}. The module stays until a reboot.\n");
            loop {
                // SAFETY: It sleeps, and by the safety requirement we are in process context; no lock is held.
                unsafe { bindings::schedule_timeout_idle(c_long::MAX) };
            }
        }
    }
}

/// The replacements are in the places of the functions.
///
/// # Invariants
///
/// So many of [`FUNCTIONS`], from the first on, are attached, and dropping this detaches them.
pub(super) struct Attached(usize);

impl Attached {
    /// Finds the functions and replaces them.
    ///
    /// Process context.
    pub(super) fn new() -> Result<Self> {
        let ips = find()?;
        // The insn that ftrace patches. CAST: 5.
        let after = ips.map(|ip| ip.wrapping_add(bindings::MCOUNT_INSN_SIZE as c_ulong));
        // SAFETY: There is an address for each site, in their order, and they are only read. No function is
        // replaced yet, so no replacement goes on anywhere. Behind its first insn each can be entered, since that
        // is a nop.
        unsafe { bindings::rpp_hook_go_on(after.as_ptr()) };
        let mut this = Self(0);
        for (function, &ip) in FUNCTIONS.iter().zip(&ips) {
            // SAFETY: `ip` is where this function was found, and its replacement goes on behind, as was just set.
            // Each is attached once, for `Attached` exists once. Process context.
            unsafe { function.attach(ip) }?;
            // INVARIANT: One more is attached.
            this.0 += 1;
        }
        Ok(this)
    }
}

impl Drop for Attached {
    /// Waits for RCU tasks: once for each site, so under a second on an idle system, but behind a kernel thread
    /// that never sleeps for as long as that runs.
    ///
    /// After it nobody executes our code.
    fn drop(&mut self) {
        for function in FUNCTIONS.iter().take(self.0).rev() {
            // SAFETY: By the type invariant the function is attached, and it is detached once. The module's exit
            // and a failed `new()` are process context.
            unsafe { function.detach() };
        }
    }
}

/// Frees a page that is in no pool, as the kernel would have done.
///
/// # Safety
///
/// - The page's reference count is 0, and it is the caller's to free; it is of order 0.
/// - The hook is on.
pub(super) unsafe fn free(page: *mut bindings::page) {
    // SAFETY: By the safety requirement the page's count is 0, it is ours to free, and of order 0. The hook is on,
    // so it is known where the kernel's function goes on.
    unsafe { bindings::rpp_page_free(page) };
}

/// Finding the functions. Their addresses are not exported; an ordinary ftrace callback gets them while a scratch
/// page is freed through each, which also proves that the function is called on that route.
///
/// Only the task that frees the page looks at the other fields, in the callback or outside.
struct Probe {
    task: AtomicPtr<c_void>,
    /// The argument by which the function is known, or what the batch holds that is the argument.
    argument: AtomicPtr<c_void>,
    folios: AtomicBool,
    /// The answer; 0 for none.
    ip: AtomicUsize,
}

static PROBE: Probe = Probe {
    task: AtomicPtr::new(null_mut()),
    argument: AtomicPtr::new(null_mut()),
    folios: AtomicBool::new(false),
    ip: AtomicUsize::new(0),
};

static PROBE_OPS: Ops = Ops::new(Some(bindings::rpp_hook_probe));

/// Notes that one of the functions was called, in the context of `task` and with `argument`; it is at `ip`.
///
/// Called by the callback only.
#[no_mangle]
extern "C" fn rpp_hook_probed(
    task: *const c_void,
    ip: c_ulong,
    argument: *const c_void,
    on_stack: bool,
) {
    // The outermost call of ours is the one that a route ends in.
    if task != PROBE.task.load(Ordering::Relaxed) || PROBE.ip.load(Ordering::Relaxed) != 0 {
        return;
    }
    let wanted = PROBE.argument.load(Ordering::Relaxed);
    let ours = if PROBE.folios.load(Ordering::Relaxed) {
        let batch = argument.cast::<bindings::folio_batch>();
        // release_pages() has its batch on the stack.
        // SAFETY: By the contract with the callback `argument` is an address on the stack of this task. That ends
        // with registers, so as many bytes as are read are there, whatever they are; nothing is followed.
        on_stack && unsafe { (*batch).nr == 1 && (*batch).folios[0] == wanted.cast() }
    } else {
        argument == wanted
    };
    if ours {
        PROBE.ip.store(ip, Ordering::Relaxed);
    }
}

/// Frees a page through `function`, and returns where that is.
///
/// The probe is registered.
fn probe(function: &Function) -> Result<c_ulong> {
    let page = LastRef::alloc().ok_or(ENOMEM)?;
    PROBE.argument.store(
        match function.argument {
            Argument::Page | Argument::Folios => page.as_ptr().cast(),
            Argument::Address => page.address(),
        },
        Ordering::Relaxed,
    );
    PROBE
        .folios
        .store(function.argument == Argument::Folios, Ordering::Relaxed);
    PROBE.ip.store(0, Ordering::Relaxed);
    PROBE
        .task
        .store(Task::current_raw().cast(), Ordering::Relaxed);
    (function.free)(page);
    PROBE.task.store(null_mut(), Ordering::Relaxed);

    match PROBE.ip.load(Ordering::Relaxed) {
        0 => {
            pr_err!(
                "a page was freed and {}() was not called: this kernel frees pages in another way\n",
                function.site.name
            );
            Err(ENXIO)
        }
        ip => Ok(ip),
    }
}

/// Finds the functions.
///
/// Process context.
fn find() -> Result<[c_ulong; SITES]> {
    let ops = PROBE_OPS.0.get();
    let result = probe_all(ops);
    // SAFETY: The ops are static, and not registered: `probe_all()` has not done it, or undone it.
    unsafe { bindings::ftrace_free_filter(ops) };
    let ips = result?;

    // Each function has its own replacement; a mix-up would be fatal.
    for (i, ip) in ips.iter().enumerate() {
        if let Some(j) = ips.iter().take(i).position(|other| other == ip) {
            let (one, other) = (FUNCTIONS[i].site.name, FUNCTIONS[j].site.name);
            pr_err!("{one}() and {other}() are one function here\n");
            return Err(ENXIO);
        }
    }
    Ok(ips)
}

fn probe_all(ops: *mut bindings::ftrace_ops) -> Result<[c_ulong; SITES]> {
    for (i, site) in sites().enumerate() {
        let name = site.name;
        // SAFETY: The ops are static, and not registered. The name is a static string, of so many bytes, which are
        // only read. Process context. CAST: A few.
        to_result(unsafe {
            bindings::ftrace_set_filter(
                ops,
                name.as_char_ptr().cast_mut(),
                name.count_bytes() as c_int,
                c_int::from(i == 0),
            )
        })
        .inspect_err(|e| pr_err!("ftrace does not know {name}(): {e:?}\n"))?;
    }
    // SAFETY: The ops are static, have a filter and a callback, and are not registered. The callback may be called
    // in any context, and stays until it is unregistered.
    to_result(unsafe { bindings::register_ftrace_function(ops) }).inspect_err(|e| {
        pr_err!("ftrace refuses a probe (is kernel.ftrace_enabled 0?): {e:?}\n");
    })?;
    let mut ips = [0; SITES];
    let result = FUNCTIONS
        .iter()
        .zip(&mut ips)
        .try_for_each(|(function, ip)| {
            *ip = probe(function)?;
            Ok(())
        });
    // SAFETY: The ops are static, and were registered above. Process context; when it returns, nobody is in the
    // callback.
    unsafe { bindings::unregister_ftrace_function(ops) };
    result.map(|()| ips)
}
