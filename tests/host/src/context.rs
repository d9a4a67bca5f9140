// SPDX-License-Identifier: GPL-2.0

//! Stands for `rust/page_pool/context.rs`.

use std::marker::PhantomData;

/// A thread stands for a CPU, and is asked for no proof: it says which one it is.
#[derive(Clone, Copy)]
pub(crate) struct BhDisabled<'a>(usize, PhantomData<&'a ()>);

impl BhDisabled<'_> {
    /// On that CPU.
    pub(crate) fn on(cpu: usize) -> Self {
        Self(cpu, PhantomData)
    }

    /// As there.
    pub(crate) fn cpu(&self) -> usize {
        self.0
    }
}
