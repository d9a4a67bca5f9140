// SPDX-License-Identifier: GPL-2.0

//! What a person sees in `/sys/kernel/debug/rust_page_pool/`.

use super::{
    report,
    selftest::Report, //
};
use crate::{
    hook,
    registry,
    shared::{
        Shared,
        TOTALS, //
    },
    stats, //
};
use kernel::{
    debugfs::{
        Dir,
        File, //
    },
    fmt,
    prelude::*,
    str::BStr,
    uaccess::UserSliceReader, //
};

/// The files, as long as they exist.
#[pin_data]
pub(crate) struct Files {
    _dir: Dir,
    #[pin]
    _pools: File<()>,
    #[pin]
    _outstanding: File<()>,
    #[pin]
    _limits: File<()>,
    #[pin]
    _totals: File<u64>,
    #[pin]
    _selftest: File<Report>,
}

impl Files {
    pub(crate) fn new(report: Report) -> impl PinInit<Self, Error> {
        let dir = Dir::new(c"rust_page_pool");
        let parent = dir.clone();
        try_pin_init!(Self {
            _pools <- parent.read_callback_file(c"pools", (), &|(), f| pools(f)),
            _outstanding <- parent.read_callback_file(c"outstanding", (), &|(), f| outstanding(f)),
            _limits <- parent.read_write_callback_file(
                c"limits",
                (),
                &|(), f| each(f, show_limit),
                &|(), reader| set_limit(reader),
            ),
            // The self-test has one page escape, on purpose.
            _totals <- parent.read_callback_file(c"totals", TOTALS.escaped.get(), &totals),
            _selftest <- parent.read_callback_file(c"selftest", report, &selftest),
            _dir: dir,
        })
    }
}

/// How the hook is attached, what came by there, and the result of each route at load.
fn selftest(report: &Report, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_fmt(fmt!("mode {}\n", hook::MODE))?;
    for site in hook::sites() {
        f.write_fmt(fmt!("site {} hits {}\n", site.name, site.hits()))?;
    }
    for row in &report.rows {
        writeln!(
            f,
            "{} {}",
            if row.fault.is_none() { "ok" } else { "not ok" },
            row.name
        )?;
    }
    Ok(())
}

/// What all pools together have mapped and unmapped, and what went wrong with their pages, since the module was
/// loaded.
///
/// `control` is what the audit found of what escaped in the self-test: one page.
fn totals(before: &u64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    writeln!(f, "mapped {}", TOTALS.mapped.get())?;
    writeln!(f, "unmapped {}", TOTALS.unmapped.get())?;
    writeln!(f, "escaped {}", TOTALS.escaped.get().wrapping_sub(*before))?;
    writeln!(f, "control {before}")?;
    writeln!(f, "unbalanced {}", TOTALS.unbalanced.get())
}

/// All pools, with their counters.
fn pools(f: &mut fmt::Formatter<'_>) -> fmt::Result {
    each(f, show)
}

/// Who has the pages that are with the stack.
fn outstanding(f: &mut fmt::Formatter<'_>) -> fmt::Result {
    each(f, report::show)
}

/// Writes a heading and what `show` writes, for each pool.
fn each(
    f: &mut fmt::Formatter<'_>,
    show: impl Fn(&Shared, &mut fmt::Formatter<'_>) -> fmt::Result,
) -> fmt::Result {
    let mut result = Ok(());
    registry::for_each_pool(|pool| {
        if result.is_ok() {
            let name = BStr::from_bytes(pool.name.to_bytes());
            result = f
                .write_fmt(fmt!("pool {} {name}\n", pool.id))
                .and_then(|()| show(pool, f));
        }
    });
    result
}

fn show_limit(pool: &Shared, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    writeln!(f, "  limit {}", pool.owned().1)
}

/// "POOL LIMIT" puts another limit in force, for no more pages than the pool was made for.
fn set_limit(reader: &mut UserSliceReader) -> Result {
    let mut text = [0u8; 32];
    let text = text.get_mut(..reader.len()).ok_or(EINVAL)?;
    reader.read_slice(text)?;
    let mut numbers = core::str::from_utf8(text)
        .map_err(|_| EINVAL)?
        .split_whitespace()
        .map(|word| word.parse::<u32>().map_err(|_| EINVAL));
    let (Some(id), Some(limit), None) = (numbers.next(), numbers.next(), numbers.next()) else {
        return Err(EINVAL);
    };
    let (id, limit) = (id?, limit?);
    let mut result = Err(ENOENT);
    registry::for_each_pool(|pool| {
        if u32::from(pool.id) == id {
            result = pool.set_limit(limit);
        }
    });
    result
}

fn show(pool: &Shared, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let (owned, max) = pool.owned();
    writeln!(f, "  mode {:?}", pool.mode)?;
    let (out, lost) = pool.outstanding();
    writeln!(
        f,
        "  pages {owned} of {max}, outstanding {out}, of these lost {lost}"
    )?;
    for (name, value) in stats::NAMES.iter().zip(pool.snapshot()) {
        writeln!(f, "  {name} {value}")?;
    }
    Ok(())
}
