// SPDX-License-Identifier: GPL-2.0

//! How many of a pool's pages somebody keeps, by samples.
//!
//! Of a page that two packets share one packet is enough to keep it. Nobody can tell which of the two that is, so a
//! socket that nobody reads, among flows that behave, pins nearly twice what it is charged for. When many pages
//! are kept, a packet is charged for all of its page: who hoards then gets half as many.
//!
//! Compiles in the kernel and on the host.

/// The samples that an estimate forgets in: a few more than are needed to tell an eighth from none.
const WINDOW: u32 = 64;
/// What counts as all pages.
const ALL: u32 = 1 << 16;
/// With more kept than this they are many.
const MANY: u32 = ALL / 8;

/// An estimate of how many pages are kept: none, to begin with.
///
/// # Examples
///
/// ```
/// use page_pool::kept::Kept;
///
/// let mut kept = Kept::default();
/// for n in 0..1000 {
///     kept.sample(2560, |page| page % 4 == 0);
/// }
/// assert!(kept.many());
/// for n in 0..1000 {
///     kept.sample(2560, |page| page % 32 == 0);
/// }
/// assert!(!kept.many());
/// ```
#[derive(Default)]
pub struct Kept {
    /// How many of [`ALL`].
    estimate: u32,
    /// Where the next sample is taken, in fractions of the pages.
    at: u32,
}

impl Kept {
    /// Looks at one of so many pages: `is_kept` says whether it is.
    ///
    /// All pages get their turn, and neighbours, which may have come and gone together, not one after the other.
    #[inline]
    pub fn sample(&mut self, pages: usize, is_kept: impl FnOnce(usize) -> bool) {
        // The golden ratio: whatever the number of pages, each gap is divided by the next ones.
        self.at = self.at.wrapping_add(0x9e37_79b9);
        // CAST: usize is u64 here; the product is less than `pages` times 2^32, of which there are at most 2^30.
        let page = (pages as u64).wrapping_mul(u64::from(self.at)) >> 32;
        // CAST: As above.
        let new = if is_kept(page as usize) {
            ALL / WINDOW
        } else {
            0
        };
        let gone = self.estimate / WINDOW;
        self.estimate = self.estimate.wrapping_sub(gone).wrapping_add(new);
    }

    /// Returns whether more than an eighth of the pages is kept.
    #[inline]
    pub fn many(&self) -> bool {
        self.estimate > MANY
    }
}

#[cfg(any(test, CONFIG_KUNIT))]
#[cfg_attr(CONFIG_KUNIT, kernel::prelude::kunit_tests(rust_page_pool_kept))]
mod tests {
    use super::*;

    /// All pages are looked at, none much more often than others.
    #[test]
    fn samples_are_spread() {
        const PAGES: usize = 100;
        let (mut kept, mut seen) = (Kept::default(), [0u32; PAGES]);
        for _ in 0..10 * PAGES {
            kept.sample(PAGES, |page| {
                seen[page] += 1;
                false
            });
        }
        assert!(seen.iter().all(|n| (8..=12).contains(n)));
        assert!(!kept.many());
    }

    /// An eighth is where it begins to be many, whether the pages lie together or not; and it ends again.
    #[test]
    fn many_is_more_than_an_eighth() {
        const PAGES: usize = 2560;
        let after = |kept: &mut Kept, number: usize| {
            for _ in 0..10 * WINDOW {
                kept.sample(PAGES, |page| page < number);
            }
            kept.many()
        };
        let mut kept = Kept::default();
        assert!(!after(&mut kept, PAGES / 16));
        assert!(after(&mut kept, PAGES / 5));
        assert!(after(&mut kept, PAGES));
        assert!(!after(&mut kept, PAGES / 16));
        assert!(!after(&mut kept, 0));
    }

    /// Sampling cannot go wrong, whatever there is.
    #[test]
    fn no_pages() {
        let mut kept = Kept::default();
        for pages in [0, 1, 1 << 30] {
            kept.sample(pages, |page| {
                assert!(page < pages || page == 0);
                true
            });
        }
        assert!(!kept.many());
    }
}
