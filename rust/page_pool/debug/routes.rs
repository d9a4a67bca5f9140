// SPDX-License-Identifier: GPL-2.0

//! The routes on which a page can lose its last reference, for the self-test.

use super::selftest::{
    Fault,
    NO_MEMORY, //
};
use crate::{
    context::BhGuard,
    hook::{
        self,
        LastRef, //
    },
};
use core::{
    cell::Cell,
    ptr::NonNull, //
};
use kernel::{
    page::PAGE_SIZE,
    prelude::*,
    types::Opaque, //
};
use pp_bindings as bindings;

/// Takes over a page's last reference, and drops it in its way.
pub(super) type Route = fn(LastRef) -> Result<(), Fault>;

/// The routes of a single page.
pub(super) const ROUTES: [(&str, Route); 16] = [
    ("put_page", |page| {
        page.put();
        Ok(())
    }),
    ("put_page, bottom halves off", put_page_bh_off),
    ("put_page, interrupts off", put_page_irqs_off),
    ("put_page from irq_work", put_page_irq_work),
    ("speculative last put", speculative),
    ("folio_put_refs(2)", folio_put_refs),
    ("unpin_user_page", unpin_user_page),
    ("page_frag_free", |page| {
        page.frag_free();
        Ok(())
    }),
    ("__free_pages", |page| {
        page.free();
        Ok(())
    }),
    ("__free_pages, not last", free_pages_not_last),
    ("free_pages", |page| {
        page.free_address();
        Ok(())
    }),
    ("skb head_frag", skb_head_frag),
    ("skb frag", skb_frag),
    ("cloned skb", skb_clone),
    ("xdp_return_frame, page_order0", |page| {
        return_frame(page, bindings::xdp_mem_type_MEM_TYPE_PAGE_ORDER0)
    }),
    ("xdp_return_frame, page_shared", |page| {
        return_frame(page, bindings::xdp_mem_type_MEM_TYPE_PAGE_SHARED)
    }),
];

/// For a route that went another way than its name says.
fn as_named(ok: bool) -> Result<(), Fault> {
    if ok {
        Ok(())
    } else {
        Err("the page was not dropped as the route has it")
    }
}

fn put_page_bh_off(page: LastRef) -> Result<(), Fault> {
    let bh = BhGuard::new().map_err(|_| "bottom halves could not be turned off")?;
    page.put();
    drop(bh);
    Ok(())
}

fn put_page_irqs_off(page: LastRef) -> Result<(), Fault> {
    // SAFETY: They are turned on again just below, on this CPU; nothing in between sleeps.
    let flags = unsafe { bindings::rpp_local_irq_save() };
    page.put();
    // SAFETY: The flags are those of the call above, on this CPU.
    unsafe { bindings::rpp_local_irq_restore(flags) };
    Ok(())
}

struct PutWork {
    work: Opaque<bindings::irq_work>,
    page: Cell<Option<LastRef>>,
    hardirq: Cell<bool>,
}

/// Drops the page.
///
/// # Safety
///
/// - `work` is that of a [`PutWork`].
/// - Nobody else uses that meanwhile.
unsafe extern "C" fn put_work(work: *mut bindings::irq_work) {
    // CAST: `Opaque` is a transparent wrapper.
    let work = work.cast::<Opaque<bindings::irq_work>>();
    // SAFETY: By the safety requirement `work` is the field of a `PutWork`, which is valid, as who queued it
    // waits, and which nobody else uses meanwhile.
    let put = unsafe { &*kernel::container_of!(work, PutWork, work) };
    // SAFETY: It only reads the state of this CPU, and may be asked in any context.
    put.hardirq.set(unsafe { bindings::rpp_in_hardirq() });
    put.page.set(None);
}

fn put_page_irq_work(page: LastRef) -> Result<(), Fault> {
    let put = PutWork {
        work: Opaque::uninit(),
        page: Cell::new(Some(page)),
        hardirq: Cell::new(false),
    };
    // SAFETY: The work is valid, initialised first, and stays where it is until it was done, which the last call
    // waits for: process context, interrupts on. It uses nothing but `put`, which nobody else does meanwhile.
    unsafe {
        bindings::rpp_irq_work_init_hard(put.work.get(), Some(put_work));
        bindings::irq_work_queue(put.work.get());
        bindings::irq_work_sync(put.work.get());
    }
    as_named(put.hardirq.get())
}

/// Somebody who came by the page without owning it is the last to leave.
fn speculative(page: LastRef) -> Result<(), Fault> {
    let hits = hook::hits();
    // SAFETY: The page is valid, since we have a reference to it; so its count may be taken by anybody who comes
    // by.
    if !unsafe { bindings::rpp_get_page_unless_zero(page.as_ptr()) } {
        return Err("the page has no reference");
    }
    // SAFETY: There are two references, of which this is the one that was taken above. Ours stays.
    unsafe { bindings::rpp_put_page(page.as_ptr()) };
    let early = hook::hits() != hits;
    page.put();
    as_named(!early)
}

fn folio_put_refs(page: LastRef) -> Result<(), Fault> {
    let page = page.into_raw();
    // SAFETY: One reference was ours and is another's to drop since `into_raw()`, one is taken, and both are given
    // up: the page is not used after this.
    unsafe {
        bindings::rpp_get_page(page);
        bindings::rpp_folio_put_refs(page, 2);
    }
    Ok(())
}

fn unpin_user_page(page: LastRef) -> Result<(), Fault> {
    let raw = page.as_ptr();
    // SAFETY: The page is ours, so it is valid; it is of order 0, and its count has room for a pin.
    unsafe { bindings::rpp_pin_page(raw) };
    page.put();
    // SAFETY: The references that are dropped are those of the pin, taken above. They are all that there are, so
    // the page is valid until then, and not used after.
    unsafe { bindings::unpin_user_page(raw) };
    Ok(())
}

/// This one is hooked before the drop, so it has to leave a page that has users.
fn free_pages_not_last(page: LastRef) -> Result<(), Fault> {
    let hits = hook::hits();
    // SAFETY: The page is ours, so it is valid, and of order 0. One reference is taken and dropped, and ours
    // stays.
    unsafe {
        bindings::rpp_get_page(page.as_ptr());
        bindings::__free_pages(page.as_ptr(), 0);
    }
    let early = hook::hits() != hits;
    page.put();
    as_named(!early)
}

/// A packet with one user.
struct Skb(NonNull<bindings::sk_buff>);

impl Skb {
    /// Makes one without data, in whose fragment is the page.
    fn with_frag(page: LastRef) -> Result<Self, Fault> {
        const BYTES: u32 = 64;
        // SAFETY: It may sleep: process context. It asks for nothing else, and whether the result is null is
        // looked at below.
        let skb = unsafe {
            bindings::__alloc_skb(BYTES, bindings::RPP_GFP_KERNEL, 0, bindings::NUMA_NO_NODE)
        };
        let skb = NonNull::new(skb).ok_or(NO_MEMORY)?;
        // SAFETY: The skb is valid and new, so it is ours, without fragments, and linear. The page is valid; its
        // reference is given to the skb, and so many bytes are in it.
        unsafe { bindings::rpp_skb_add_rx_frag(skb.as_ptr(), page.into_raw(), BYTES as c_int) };
        Ok(Self(skb))
    }

    fn consume(self) {}
}

impl Drop for Skb {
    fn drop(&mut self) {
        // SAFETY: The skb is valid and ours; `self`, which goes away, gives it up once. The callee looks by itself
        // in which context it is.
        unsafe {
            bindings::dev_kfree_skb_any_reason(
                self.0.as_ptr(),
                bindings::skb_drop_reason_SKB_CONSUMED,
            )
        };
    }
}

fn skb_head_frag(page: LastRef) -> Result<(), Fault> {
    // SAFETY: The address is that of a page of order 0 that is ours, all of which may be used, and nobody uses
    // what is in it. The reference goes to the skb, if there is one.
    let skb = unsafe { bindings::build_skb(page.address(), PAGE_SIZE as u32) };
    let skb = Skb(NonNull::new(skb).ok_or(NO_MEMORY)?);
    // It is the skb's now.
    page.into_raw();
    skb.consume();
    Ok(())
}

fn skb_frag(page: LastRef) -> Result<(), Fault> {
    Skb::with_frag(page)?.consume();
    Ok(())
}

fn skb_clone(page: LastRef) -> Result<(), Fault> {
    let hits = hook::hits();
    let skb = Skb::with_frag(page)?;
    // SAFETY: The skb is valid, and only read but for its count of clones. It may sleep: process context.
    let clone = unsafe { bindings::skb_clone(skb.0.as_ptr(), bindings::RPP_GFP_KERNEL) };
    let clone = Skb(NonNull::new(clone).ok_or(NO_MEMORY)?);
    skb.consume();
    let early = hook::hits() != hits;
    clone.consume();
    as_named(!early)
}

/// As a driver makes it: the frame lies in the headroom of its page.
fn return_frame(page: LastRef, kind: bindings::xdp_mem_type) -> Result<(), Fault> {
    let frame = page.address().cast::<bindings::xdp_frame>();
    page.into_raw();
    // SAFETY: The headroom of the page has room for the frame, is aligned, and ours; all zeroes are a frame. Its
    // data are behind it, in the same page, whose reference is given away with the frame. Process context.
    unsafe {
        frame.write(core::mem::zeroed());
        (*frame).data = frame.add(1).cast();
        (*frame).len = 60;
        (*frame).set_mem_type(kind);
        (*frame).frame_sz = PAGE_SIZE as u32;
        bindings::xdp_return_frame(frame);
    }
    Ok(())
}
