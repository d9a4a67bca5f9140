// SPDX-License-Identifier: GPL-2.0

//! Shows that the checkers see Rust code as well; see `wrong_main.c`.

use core::hint::black_box;
use kernel::prelude::*;

/// KASAN.
#[no_mangle]
pub extern "C" fn wrong_rust_use_after_free() {
    let Ok(b) = KBox::new([0u8; 64], GFP_KERNEL) else {
        return;
    };
    let p = KBox::into_raw(b);

    // SAFETY: `p` comes from `into_raw()` and is not used as a box again.
    drop(unsafe { KBox::from_raw(p) });
    // SAFETY: None: the memory is free. This is what KASAN has to report.
    black_box(unsafe { p.cast::<u8>().read_volatile() });
}

/// RUST_DEBUG_ASSERTIONS.
#[no_mangle]
pub extern "C" fn wrong_rust_assertion() {
    debug_assert!(black_box(false), "as it should");
}
