// SPDX-License-Identifier: GPL-2.0

//! The last reference to a page, and how to drop it.

use core::{
    mem::ManuallyDrop,
    ptr::{
        null_mut,
        NonNull, //
    },
};
use kernel::prelude::*;
use pp_bindings as bindings;

/// The only reference to a page. Dropping it is one of the ways to drop it; there are others.
///
/// # Invariants
///
/// The page is of order 0, of the kernel's own memory and so with an address, and its reference count is 1.
/// That reference is ours, and nobody else uses what is in the page.
pub(crate) struct LastRef(NonNull<bindings::page>);

impl LastRef {
    /// Allocates a page.
    ///
    /// Process context.
    pub(crate) fn alloc() -> Option<Self> {
        let mut page = null_mut();
        // SAFETY: It may sleep: process context, by the contract of this function. There is room for one page, and
        // the place is null before.
        unsafe {
            bindings::rpp_alloc_pages_bulk(null_mut(), bindings::RPP_GFP_KERNEL, 1, &mut page)
        };
        // INVARIANT: It is new, and ours; or there is none.
        NonNull::new(page).map(Self)
    }

    /// Takes over a reference.
    ///
    /// # Safety
    ///
    /// `page` is as the type invariant says.
    pub(crate) unsafe fn from_raw(page: NonNull<bindings::page>) -> Self {
        // INVARIANT: By the safety requirement.
        Self(page)
    }

    /// Returns the page, whose reference is still ours.
    pub(crate) fn as_ptr(&self) -> *mut bindings::page {
        self.0.as_ptr()
    }

    /// Gives the reference away.
    pub(crate) fn into_raw(self) -> *mut bindings::page {
        ManuallyDrop::new(self).as_ptr()
    }

    /// Returns the address of the first byte of the page.
    pub(crate) fn address(&self) -> *mut c_void {
        let mut address = null_mut();
        // SAFETY: By the type invariant the page is valid and has an address. There is one page in the array,
        // which is only read, and room for one address.
        unsafe { bindings::rpp_page_addresses(&self.as_ptr(), 1, &mut address) };
        address
    }

    /// As `put_page()` does.
    pub(crate) fn put(self) {}

    /// As `page_frag_free()` does.
    pub(crate) fn frag_free(self) {
        let address = self.address();
        self.into_raw();
        // SAFETY: The address is that of a page of order 0, of the kernel's own memory. By the type invariant
        // there was one reference to it, which `into_raw()` has given to us and the callee drops.
        unsafe { bindings::page_frag_free(address) };
    }

    /// As `__free_pages()` does.
    pub(crate) fn free(self) {
        // SAFETY: By the type invariant the page is of order 0, and there is one reference to it, which
        // `into_raw()` gives to us and the callee drops.
        unsafe { bindings::__free_pages(self.into_raw(), 0) };
    }

    /// As `free_pages()` does.
    pub(crate) fn free_address(self) {
        let address = self.address();
        self.into_raw();
        // SAFETY: The address is that of a page of order 0, of the kernel's own memory. By the type invariant
        // there was one reference to it, which `into_raw()` has given to us and the callee drops.
        unsafe { bindings::free_pages(address as c_ulong, 0) };
    }
}

impl Drop for LastRef {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the page is valid and the reference ours; `self`, which goes away, gives
        // it up once.
        unsafe { bindings::rpp_put_page(self.as_ptr()) };
    }
}
