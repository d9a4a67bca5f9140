// SPDX-License-Identifier: GPL-2.0

//! How NAPI takes a pool's [buffers](crate::frags), gives them back, and lets them go.

use crate::{
    context::BhDisabled,
    frags::Frag,
    layout::Layout,
    owned::Owned,
    pages,
    slots::{
        self,
        Slot, //
    },
    supply::Side,
    AllocError, //
};
use core::ptr::NonNull;
use pp_bindings as bindings;

impl Side<'_> {
    /// Takes a buffer.
    ///
    /// From the cache it costs no call, no atomic operation, no lock, and does not touch `struct page`.
    #[inline(always)]
    pub(crate) fn alloc(&mut self, bh: BhDisabled<'_>) -> Result<Frag, AllocError> {
        match self.napi().cache.pop() {
            Some(frag) => {
                self.shared.stats.alloc_fast.inc();
                Ok(frag)
            }
            None => self.again().refill(bh),
        }
    }

    /// Gives a buffer back, directly into the cache.
    #[inline(always)]
    pub(crate) fn recycle<L: Layout>(&mut self, frag: Frag, bh: BhDisabled<'_>) {
        // SAFETY: We are the pool's NAPI side.
        if L::BUFFERS > 1 && unsafe { frag.other.may_be_out() } {
            return self.again().recycle_single(frag, bh);
        }
        self.put(frag, bh);
    }

    /// As [`recycle`](Self::recycle), of a buffer whose page's other one may be out, and may have been put.
    #[cold]
    #[inline(never)]
    fn recycle_single(mut self, frag: Frag, bh: BhDisabled<'_>) {
        if let Some(other) = self.rejoin(&frag) {
            self.put(other, bh);
        }
        frag.other.set(frag.first().state.is_lent());
        self.put(frag, bh);
    }

    /// Takes the other buffer of the page back, if it is out and was put.
    fn rejoin(&mut self, frag: &Frag) -> Option<Frag> {
        let page = frag.page();
        if !frag.first().state.is_lent() {
            return None;
        }
        // SAFETY: One reference to the page is ours, that of `frag`, so it is valid.
        let home = unsafe {
            slots::is_only_reference(page)
                && (slots::is_clean(page, self.shared.returns.flags_mask())
                    || bindings::rpp_page_clean(page))
        };
        if !home {
            return None;
        }
        // SAFETY: One reference to the page is ours.
        unsafe { slots::get(page, 1) };
        frag.first().state.rejoin();
        // SAFETY: By the invariants of `frag`, which is one of two buffers, the slots are in a table that is there, for
        // which the pointer is good. The other buffer was out, and nobody has a reference to the page but we: so it
        // is nobody's.
        Some(unsafe { Frag::new(Slot::other(frag.raw())) })
    }

    /// Puts a buffer into the cache.
    #[inline(always)]
    fn put(&mut self, frag: Frag, bh: BhDisabled<'_>) {
        match self.napi().cache.push(frag) {
            Ok(()) => self.shared.stats.recycle_cached.inc(),
            Err(frag) => self.again().spill(frag, bh),
        }
    }

    /// Takes back a buffer that was [let go](Frag::let_go), with its reference.
    ///
    /// `false`: nothing has happened. It is not out, or of another pool.
    ///
    /// # Safety
    ///
    /// - `raw` is from [`Frag::into_raw`], of some pool. The caller has the reference to `page` that
    ///   went with it, and gives it up if this returns `true`.
    /// - Nobody, and no device, accesses the buffer.
    #[inline]
    pub(crate) unsafe fn take_back<L: Layout>(
        &mut self,
        raw: NonNull<Slot>,
        page: *mut bindings::page,
        bh: BhDisabled<'_>,
    ) -> bool {
        // The pool that it was let go of may be gone, and another one in its place.
        let slot = self.shared.slot_at(raw.as_ptr());
        let Some(slot) = slot.filter(|slot| slot.page() == page) else {
            return false;
        };
        let out = if L::BUFFERS == 1 {
            slot.state.take_back()
        } else {
            // SAFETY: The slot is in the table of this pool, whose pages have two buffers. Its page is the very one
            // that the buffer was let go of with, since a reference to that is there; so the pointer is one into this
            // table. It is only shared: its fields are atomics. We are its NAPI side.
            unsafe { Slot::first(raw).as_ref().state.take_one_back() }
        };
        if !out {
            return false;
        }
        // SAFETY: As above it is a pointer into the table of this pool. The buffer was out, and with its reference it
        // is ours.
        self.put(unsafe { Frag::new(raw) }, bh);
        true
    }

    /// Gives a buffer up, to whoever has the page's other one.
    pub(crate) fn drop_single(&mut self, frag: Frag) {
        let page = frag.page();
        frag.let_go(self.shared.geometry.buffers);
        // SAFETY: The reference was the buffer's, and is given up here. If it was the last one the hook takes over.
        unsafe { pages::put(page) };
    }

    /// Takes the page of a buffer, with one reference, if it is all ours: it has one buffer, or the other one was
    /// put.
    pub(crate) fn own_page(&mut self, frag: Frag) -> Result<Owned, Frag> {
        if self.shared.geometry.buffers == 1 {
            // SAFETY: The slot is in the table of this pool, in state `Pool`, and the buffer is all of its page.
            return Ok(unsafe { Owned::new(frag.into_raw()) });
        }
        // SAFETY: One reference to the page is ours, that of the buffer, so it is valid.
        if !frag.first().state.is_lent() || !unsafe { slots::is_only_reference(frag.page()) } {
            return Err(frag);
        }
        frag.first().state.rejoin();
        // SAFETY: The slot is in the table of this pool, of a page of two buffers, and so is the first one, in state
        // `Pool`. One buffer was ours, and of the other one nobody has a reference.
        Ok(unsafe { Owned::new(Slot::first(frag.into_raw())) })
    }
}
