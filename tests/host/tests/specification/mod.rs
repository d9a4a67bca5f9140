// SPDX-License-Identifier: GPL-2.0

//! What becomes of what a card says of its buffers, whatever the format that it says it in.

use net::frames::Part;
use std::ops::RangeInclusive;

/// What a card says of a buffer that it has finished.
pub(crate) struct Said {
    pub(crate) len: usize,
    pub(crate) last: bool,
    pub(crate) error: bool,
}

/// The specification: a frame ends with EOP. It is a packet if it is in one buffer, without an error
/// and of a length that can be, and one error if not.
pub(crate) fn specified(
    words: &[u64],
    lengths: RangeInclusive<usize>,
    said: fn(u64) -> Said,
) -> Vec<Part> {
    let mut parts = Vec::new();
    for frame in words.split_inclusive(|&word| said(word).last) {
        let last = said(frame[frame.len() - 1]);
        parts.extend(frame[1..].iter().map(|_| Part::Fragment));
        parts.push(if !last.last {
            Part::Fragment
        } else if frame.len() > 1 || last.error || !lengths.contains(&last.len) {
            Part::Error
        } else {
            Part::Packet(last.len)
        });
    }
    parts
}
