// SPDX-License-Identifier: GPL-2.0

//! The shipping `rust/page_pool/core/rings.rs`, and mistakes.

pub(crate) use crate::shipping_rings::{Returns, Rings, ENTRIES, MANY_ENTRIES};

use crate::{
    platform::AllocError,
    pool::{Mistake, Pool},
    shipping_rings,
};
use std::ops::{Deref, DerefMut};

/// The shipping one, and mistakes.
pub(crate) struct Sources(shipping_rings::Sources);

impl Sources {
    pub(crate) fn new(cpus: usize) -> Result<Self, AllocError> {
        shipping_rings::Sources::new(cpus).map(Self)
    }

    pub(crate) fn look<T>(&mut self, rings: &Rings<T>, listed: u64) {
        let listed = if Pool::makes(Mistake::ListIsNotIdle) {
            0
        } else {
            listed
        };
        self.0.look(rings, listed);
    }
}

impl Deref for Sources {
    type Target = shipping_rings::Sources;

    fn deref(&self) -> &shipping_rings::Sources {
        &self.0
    }
}

impl DerefMut for Sources {
    fn deref_mut(&mut self) -> &mut shipping_rings::Sources {
        &mut self.0
    }
}
