// SPDX-License-Identifier: GPL-2.0

//! The shipping `rust/page_pool/returns.rs`, and mistakes.

pub(crate) use crate::shipping_returns::{Returns, Rings};

use crate::{
    platform::AllocError,
    pool::{Mistake, Pool},
    shipping_returns,
};
use std::ops::{Deref, DerefMut};

/// The shipping one, and mistakes.
pub(crate) struct Sources(shipping_returns::Sources);

impl Sources {
    pub(crate) fn new(cpus: usize) -> Result<Self, AllocError> {
        shipping_returns::Sources::new(cpus).map(Self)
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
    type Target = shipping_returns::Sources;

    fn deref(&self) -> &shipping_returns::Sources {
        &self.0
    }
}

impl DerefMut for Sources {
    fn deref_mut(&mut self) -> &mut shipping_returns::Sources {
        &mut self.0
    }
}
