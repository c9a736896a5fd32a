//! Codes that a tool cut into lines (`base64 -w 76`, `openssl base64`, `xxd -p`): they are put together again and
//! searched as if they had never been cut.
//!
//! A *seam* is a gap with a line end (`gap`), after at least [`NARROWEST`] bytes of a code's alphabet in a row.
//! What stands on both sides belongs together. A form is found across any number of seams, wherever in it they
//! fall.

use std::ops::Range;

use super::group::load;
use super::strangers::{NARROWEST, Strangers, is_of_code};
use super::{Found, LONGEST_BEGINNING, Patterns, Text};
use crate::mask::gap::{self, Gap};

/// A text in which codes may stand.
#[derive(Clone, Copy)]
struct Coded<'a> {
    bytes: &'a [u8],
    strangers: &'a Strangers,
    /// How many bytes of an alphabet stood before it.
    run_before: usize,
}

/// A run of a code's bytes with a seam after it, and all that is joined to it.
#[derive(Default)]
struct Chain {
    /// Where its lines stand in the text, each with the `=` after it.
    lines: Vec<Range<usize>>,
    /// Whether a form may begin on one side of a seam and go on at the other, within its first bytes.
    is_promising: bool,
}

/// Pieces of a text, put together.
#[derive(Default)]
struct Joined {
    bytes: Vec<u8>,
    /// For each piece, where it begins here and in the text.
    pieces: Vec<(usize, usize)>,
}

impl Joined {
    fn new(text: &[u8], lines: &[Range<usize>]) -> Self {
        let mut joined = Self::default();
        for line in lines {
            joined.pieces.push((joined.bytes.len(), line.start));
            joined.bytes.extend_from_slice(&text[line.clone()]);
        }
        joined
    }

    /// Where a byte of the joined text stands in the text.
    fn place(&self, at: usize) -> usize {
        let piece = self.pieces.partition_point(|(start, _)| *start <= at) - 1;
        let (start, place) = self.pieces[piece];
        place + at - start
    }
}

impl Patterns {
    /// Finds the forms that stand across seams. `found` has what stands in the text as it is.
    pub(super) fn find_wrapped(&self, text: &Text<'_>, run_before: usize, found: &mut Found) {
        let bytes = text.bytes;
        let strangers = Strangers::of(bytes);
        let coded = Coded { bytes, strangers: &strangers, run_before };
        let mut chain = Chain::default();
        let (mut from, mut run) = (0, run_before);
        while let Some(end) = strangers.end_of_long_run(from, run) {
            // The next run may begin after this one's first stranger.
            (from, run) = (end + 1, 0);
            let Some(seam) = gap_at(bytes, end) else { continue };
            self.follow(&mut chain, coded, end, seam);
            from = chain.end();
            let reaches_the_end = text.open && from == bytes.len();
            if chain.is_promising || reaches_the_end || found.has_begun_in(chain.before_its_last_seam()) {
                self.find_joined(text, &chain, found);
            }
            self.find_after_colours(text, &chain, coded, found);
        }
    }

    /// A colour at the end of a gap ends in bytes that a form may begin with, too: then its line begins a chain.
    fn find_after_colours(&self, text: &Text<'_>, chain: &Chain, coded: Coded<'_>, found: &mut Found) {
        let [_, between @ .., _] = chain.lines.as_slice() else { return };
        for line in between.iter().filter(|line| is_of_code(text.bytes[line.start - 1])) {
            let start = coded.strangers.run_before(line.start);
            if found.has_begun_in(start..line.start) || line.len() < LONGEST_BEGINNING {
                let mut other = Chain::default();
                if let Some(seam) = gap_at(text.bytes, line.end) {
                    self.follow(&mut other, coded, line.end, seam);
                    self.find_joined(text, &other, found);
                }
            }
        }
    }

    /// All lines of the chain whose first one ends at `end`.
    fn follow(&self, chain: &mut Chain, coded: Coded<'_>, mut end: usize, mut seam: Gap) {
        let bytes = coded.bytes;
        chain.lines.clear();
        chain.lines.push(coded.strangers.run_before(end)..end);
        chain.is_promising = false;
        loop {
            let next = end + seam.length;
            chain.is_promising |= self.may_begin_across(bytes, end, next);
            end = coded.strangers.first_from(next);
            let run = end - next;
            let padding = bytes[end..].iter().take(2).take_while(|byte| **byte == b'=').count();
            chain.lines.push(next..end + padding);
            // A colour before the run may count for its width.
            if padding > 0 || run < NARROWEST && (run == 0 || !has_width(coded, end)) {
                return;
            }
            match gap_at(bytes, end) {
                Some(gap) => seam = gap,
                None => return,
            }
        }
    }

    /// Whether the first bytes of a form may stand across the seam between these places.
    fn may_begin_across(&self, bytes: &[u8], end: usize, next: usize) -> bool {
        let Some(before) = bytes[..end].last_chunk() else { return true };
        let (before, after) = (u64::from_le_bytes(*before), load(bytes, next));
        self.groups.iter().any(|group| group.may_begin_across(before, after))
    }

    /// Puts a chain together and searches that.
    fn find_joined(&self, text: &Text<'_>, chain: &Chain, found: &mut Found) {
        let joined = Joined::new(text.bytes, &chain.lines);
        // Where the text ends in a seam, the last piece is empty.
        let open = text.open && chain.end() == text.bytes.len();
        let inner = Text { bytes: &joined.bytes, open, with_lines: false, ..*text };
        let mut inside = Found::new(joined.bytes.len());
        self.find_literal(&inner, &mut inside);
        found.places.extend(
            inside.places.iter().map(|place| joined.place(place.start)..joined.place(place.end - 1) + 1),
        );
        if inside.undecided < joined.bytes.len() {
            found.undecided = found.undecided.min(joined.place(inside.undecided));
        }
    }
}

impl Chain {
    /// Where the text goes on after it.
    fn end(&self) -> usize {
        self.lines.last().map_or(0, |line| line.end)
    }

    /// All but its last line.
    fn before_its_last_seam(&self) -> Range<usize> {
        let [first, .., before, _] = self.lines.as_slice() else {
            return self.lines.first().cloned().unwrap_or_default();
        };
        first.start..before.end
    }
}

/// The gap that begins at `end` and holds a line end, or may still get one.
fn gap_at(bytes: &[u8], end: usize) -> Option<Gap> {
    match bytes[end..] {
        // Nearly every one.
        [b'\n', next, ..] if !gap::begins(next) => Some(Gap { length: 1, breaks: true, open: false }),
        [first, ..] if gap::begins(first) => {
            let gap = Gap::of(&bytes[end..]);
            (gap.joins() || gap.open && gap.length <= gap::LONGEST).then_some(gap)
        }
        _ => None,
    }
}

/// Whether a whole line of a code may end at `end`.
fn has_width(coded: Coded<'_>, end: usize) -> bool {
    let start = coded.strangers.run_before(end);
    let run = end - start + if start == 0 { coded.run_before } else { 0 };
    run >= NARROWEST
}
