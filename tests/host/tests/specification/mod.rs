// SPDX-License-Identifier: GPL-2.0

//! What becomes of what a card says of its buffers, whatever the format that it says it in.

use net::{
    desc::Completed,
    frames::{Bounds, Frames, Next, ETH_HLEN, MAX_BUFFERS},
};

/// What a card says of a buffer that it has finished.
pub(crate) struct Said {
    pub(crate) len: usize,
    pub(crate) last: bool,
    pub(crate) error: bool,
}

/// What becomes of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// It is the last one of a packet, with so many bytes in each.
    Packet(Vec<usize>),
    /// It is the last one of a frame that is no packet: one error.
    Error,
    /// It is of a frame that is no packet, and goes on.
    Fragment,
}

/// The specification: a frame ends with EOP. It is a packet if it is in no more buffers than it needs, and one for the
/// CRC, without an error, and of lengths that can be; and one error if not. What has not ended is not taken, unless it
/// is too long already.
pub(crate) fn specified(words: &[u64], bounds: Bounds, said: fn(u64) -> Said) -> Vec<Part> {
    let Bounds {
        first,
        buffer,
        frame,
    } = bounds;
    let most = match frame.div_ceil(buffer) {
        0 | 1 => 1,
        full => (full + 1).min(MAX_BUFFERS),
    };
    let mut parts = Vec::new();
    for words in words.split_inclusive(|&word| said(word).last) {
        let last = said(words[words.len() - 1]);
        if !last.last && words.len() < most {
            break;
        }
        let lens: Vec<_> = words.iter().map(|&word| said(word).len).collect();
        let fit = lens[0] >= first && lens.iter().all(|&len| len <= buffer);
        let short = words.len() <= most && lens.iter().sum::<usize>() <= frame.max(buffer);
        if last.last && !last.error && fit && short {
            parts.push(Part::Packet(lens));
            continue;
        }
        parts.extend(words[1..].iter().map(|_| Part::Fragment));
        parts.push(if last.last {
            Part::Error
        } else {
            Part::Fragment
        });
    }
    parts
}

/// Takes what comes next, as `RxRing::poll()` does, and returns how many buffers that were; `None` if it is not to be
/// taken yet. `done` tells of a buffer, counted from the next one.
pub(crate) fn take(
    frames: &mut Frames,
    bounds: Bounds,
    parts: &mut Vec<Part>,
    done: impl Fn(usize) -> Option<Completed>,
) -> Option<usize> {
    if let Some(len) = frames.packet(&done(0)?, bounds.first, bounds.buffer) {
        parts.push(Part::Packet(vec![len]));
        return Some(1);
    }
    match frames.next(bounds, &done) {
        Next::Packet(packet) => {
            parts.push(Part::Packet(packet.lens().to_vec()));
            Some(packet.lens().len())
        }
        Next::Bad(buffers, error) => {
            parts.extend((1..buffers).map(|_| Part::Fragment));
            parts.push(if error { Part::Error } else { Part::Fragment });
            Some(buffers)
        }
        Next::Unfinished => {
            assert!((1..bounds.buffers()).any(|n| done(n).is_none()));
            None
        }
    }
}

/// Takes all.
pub(crate) fn sorted(words: &[u64], bounds: Bounds, done: fn(u64) -> Completed) -> Vec<Part> {
    let (mut frames, mut parts, mut at) = (Frames::default(), Vec::new(), 0);
    while let Some(taken) = take(&mut frames, bounds, &mut parts, |n| {
        words.get(at + n).map(|&word| done(word))
    }) {
        at += taken;
    }
    parts
}
