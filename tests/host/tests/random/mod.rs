// SPDX-License-Identifier: GPL-2.0

//! How random tests are run: the same histories each time, or others with `PROPTEST_RNG_SEED`, and more
//! of them with `PROPTEST_CASES`.

use proptest::test_runner::{Config, RngSeed, TestRunner};

pub(crate) fn runner(cases: u32) -> TestRunner {
    TestRunner::new(config(cases))
}

/// For what should fail: the first failure will do.
#[allow(dead_code, reason = "not every test has mistakes to find")]
pub(crate) fn finder(cases: u32) -> TestRunner {
    TestRunner::new(Config {
        max_shrink_iters: 0,
        ..config(cases)
    })
}

fn config(cases: u32) -> Config {
    let mut config = Config::default();
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = cases;
    }
    if config.rng_seed == RngSeed::Random {
        config.rng_seed = RngSeed::Fixed(1);
    }
    // The seed is all it takes, and the sources are read-only to some.
    config.failure_persistence = None;
    config
}
