// SPDX-License-Identifier: GPL-2.0

//! How a pool goes through random events beside a model of it.

use page_pool::pool::Mistake;
use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{TestError, TestRunner},
};
use std::{cell::Cell, fmt::Debug, ops::Range};

/// A pool and its model.
pub(crate) trait History {
    type Event: Clone + Debug;

    /// How often the event comes, one after the other.
    fn times(event: &Self::Event) -> usize;

    /// Whether the system has a page left. (There may be as many orphans as there are pages.)
    fn can_go_on(&self) -> bool;

    /// Lets one event happen to both.
    fn step(&mut self, event: Self::Event);

    /// Compares them.
    fn check(&self);
}

/// Runs histories of so many events, each of which begins with `start`; returns how many steps there were.
pub(crate) fn run<H: History>(
    runner: &mut TestRunner,
    event: impl Strategy<Value = H::Event>,
    events: Range<usize>,
    start: impl Fn() -> H,
) -> Result<u64, TestError<Vec<H::Event>>> {
    let steps = Cell::new(0);
    runner.run(&vec(event, events), |events| {
        let mut history = start();
        for event in events {
            for _ in 0..H::times(&event) {
                if !history.can_go_on() {
                    break;
                }
                history.step(event.clone());
                count(&steps, 1);
            }
            history.check();
        }
        Ok(())
    })?;
    Ok(steps.get())
}

pub(crate) fn count(counter: &Cell<u64>, n: usize) {
    counter.set(counter.get() + n as u64);
}

/// Shows what the histories got to. None of it may be a rarity, unless the number of histories was chosen.
pub(crate) fn show<const N: usize>(reached: [(&str, u64); N]) {
    println!("{reached:?}");
    if std::env::var_os("PROPTEST_CASES").is_none() {
        assert!(reached.iter().all(|&(_, n)| n > 100), "{reached:?}");
    }
}

/// Wants each mistake to be found.
pub(crate) fn all_found<E>(
    mistakes: &[Mistake],
    run: impl Fn(Option<Mistake>) -> Result<u64, TestError<E>>,
) {
    for &mistake in mistakes {
        let found = run(Some(mistake));
        assert!(matches!(found, Err(TestError::Fail(..))), "{mistake:?}");
    }
}
