//! Codes that a tool cut into lines (`base64 -w 76`, `openssl base64`, `xxd -p`): they are put together again and
//! searched as if they had never been cut.
//!
//! A *seam* is a gap with a line end (`gap`), after at least [`NARROWEST`] bytes of a code's alphabet in a row.
//! What stands on both sides belongs together. A form is found across any number of seams, wherever in it they
//! fall.

use std::ops::Range;

use super::group::load;
use super::{Found, LONGEST_BEGINNING, Patterns, Text};
use crate::mask::gap::{self, Gap};

/// The narrowest width that codes are cut at, in bytes (`mask-forms.md`).
const NARROWEST: usize = 48;

/// The alphabets of base64, base64url and hex.
const ALPHABET: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        let b = byte as u8;
        table[byte] = b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'-' | b'_');
        byte += 1;
    }
    table
};

fn is_of_code(byte: u8) -> bool {
    ALPHABET[usize::from(byte)]
}

/// How many bytes of an alphabet stand at the end of a text, as far as that matters.
pub(in crate::mask) fn run_at_end(text: &[u8]) -> usize {
    whole_run_at_end(&text[text.len().saturating_sub(NARROWEST)..])
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
        let mut chain = Chain::default();
        let mut end = run_at_start(bytes);
        loop {
            let mut next = end;
            if let Some(seam) = first_seam(bytes, end, run_before) {
                self.follow(&mut chain, bytes, end, seam, run_before);
                next = chain.end();
                let reaches_the_end = text.open && next == bytes.len();
                if chain.is_promising || reaches_the_end || found.has_begun_in(chain.before_its_last_seam()) {
                    self.find_joined(text, &chain, found);
                }
                self.find_after_colours(text, &chain, run_before, found);
            }
            match long_run(bytes, next.saturating_add(1).min(bytes.len())) {
                Some(place) => end = place + run_at_start(&bytes[place..]),
                None => return,
            }
        }
    }

    /// A colour at the end of a gap ends in bytes that a form may begin with, too: then its line begins a chain.
    fn find_after_colours(&self, text: &Text<'_>, chain: &Chain, run_before: usize, found: &mut Found) {
        let [_, between @ .., _] = chain.lines.as_slice() else { return };
        for line in between.iter().filter(|line| is_of_code(text.bytes[line.start - 1])) {
            let start = line.start - whole_run_at_end(&text.bytes[..line.start]);
            if found.has_begun_in(start..line.start) || line.len() < LONGEST_BEGINNING {
                let mut other = Chain::default();
                if let Some(seam) = gap_at(text.bytes, line.end) {
                    self.follow(&mut other, text.bytes, line.end, seam, run_before);
                    self.find_joined(text, &other, found);
                }
            }
        }
    }

    /// All lines of the chain whose first one ends at `end`.
    fn follow(&self, chain: &mut Chain, bytes: &[u8], mut end: usize, mut seam: Gap, run_before: usize) {
        chain.lines.clear();
        chain.lines.push(end - whole_run_at_end(&bytes[..end])..end);
        chain.is_promising = false;
        loop {
            let next = end + seam.length;
            chain.is_promising |= self.may_begin_across(bytes, end, next);
            let run = run_at_start(&bytes[next..]);
            end = next + run;
            let padding = bytes[end..].iter().take(2).take_while(|byte| **byte == b'=').count();
            chain.lines.push(next..end + padding);
            // A colour before the run may count for its width.
            if padding > 0 || run < NARROWEST && (run == 0 || !has_width(bytes, end, run_before)) {
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

/// A part of a text that is looked at in one step, in bytes: of the narrowest line, wherever it begins, two whole
/// blocks one after the other.
const BLOCK: usize = NARROWEST / 3;

/// Blocks that are looked at before anything depends on the answers.
const AT_ONCE: usize = 8;

/// A place at or after `from` in a run of a code's bytes, if there is one as long as the narrowest line: in the first
/// such run, or in one before it that is shorter.
fn long_run(bytes: &[u8], from: usize) -> Option<usize> {
    let (groups, rest) = bytes[from..].as_chunks::<{ AT_ONCE * BLOCK }>();
    let mut last = true;
    for (index, group) in groups.iter().enumerate() {
        let (mut any, mut before) = (false, last);
        for block in group.as_chunks().0 {
            let now = may_be_code(block);
            any |= before & now;
            before = now;
        }
        last = before;
        if any && let Some(place) = wide_in(bytes, from + index * AT_ONCE * BLOCK, group.len()) {
            return Some(place);
        }
    }
    wide_in(bytes, bytes.len() - rest.len(), rest.len())
}

/// The first block that is of a code, as the one before it is.
fn wide_in(bytes: &[u8], start: usize, length: usize) -> Option<usize> {
    (start..start + length / BLOCK * BLOCK).step_by(BLOCK).find(|place| {
        let (before, after) = bytes.split_at(*place);
        after.first_chunk().is_some_and(is_code) && before.last_chunk().is_none_or(is_code)
    })
}

/// Whether no byte is below `+`, as nearly all are that ordinary text has between words.
#[inline]
fn may_be_code(bytes: &[u8; BLOCK]) -> bool {
    bytes.iter().fold(true, |all, byte| all & (*byte >= b'+'))
}

/// Whether all bytes are of a code's alphabet.
#[inline]
fn is_code(bytes: &[u8; BLOCK]) -> bool {
    bytes.iter().fold(true, |all, byte| all & is_code_byte(*byte))
}

/// For each byte all bits, if it is of no alphabet.
#[inline]
fn strangers(bytes: &[u8; BLOCK]) -> u128 {
    let mut strangers = [0; BLOCK];
    for (stranger, byte) in strangers.iter_mut().zip(bytes) {
        *stranger = u8::from(is_code_byte(*byte)).wrapping_sub(1);
    }
    u128::from_le_bytes(strangers)
}

/// Compared as a number, which can be done for many bytes at once.
#[inline]
fn is_code_byte(byte: u8) -> bool {
    let letter = (byte | 0x20).wrapping_sub(b'a') < 26;
    let digit = byte.wrapping_sub(b'0') < 10;
    // `+` and `-`; `/` is the one before the digits.
    let sign = (byte == b'+') | (byte == b'-') | (byte == b'/') | (byte == b'_');
    letter | digit | sign
}

/// How many bytes of an alphabet a text begins with.
fn run_at_start(bytes: &[u8]) -> usize {
    let (blocks, rest) = bytes.as_chunks();
    for (index, block) in blocks.iter().enumerate() {
        let strangers = strangers(block);
        if strangers != 0 {
            return index * BLOCK + strangers.trailing_zeros() as usize / 8;
        }
    }
    bytes.len() - rest.len() + rest.iter().take_while(|byte| is_of_code(**byte)).count()
}

/// How many bytes of an alphabet a text ends with.
fn whole_run_at_end(bytes: &[u8]) -> usize {
    let (rest, blocks) = bytes.as_rchunks();
    for (index, block) in blocks.iter().rev().enumerate() {
        let strangers = strangers(block);
        if strangers != 0 {
            return index * BLOCK + strangers.leading_zeros() as usize / 8;
        }
    }
    bytes.len() - rest.len() + rest.iter().rev().take_while(|byte| is_of_code(**byte)).count()
}

/// The seam that begins at `end`, where a run of a code ends, or what may still become one.
fn first_seam(bytes: &[u8], end: usize, run_before: usize) -> Option<Gap> {
    if !bytes.get(end).is_some_and(|byte| gap::begins(*byte)) || !has_width(bytes, end, run_before) {
        return None;
    }
    gap_at(bytes, end)
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
fn has_width(bytes: &[u8], end: usize, run_before: usize) -> bool {
    let narrowest = &bytes[end.saturating_sub(NARROWEST)..end];
    let missing = NARROWEST - narrowest.len();
    // Where it has not, its first bytes mostly tell.
    let may_have = narrowest.first_chunk().is_none_or(is_code);
    missing <= run_before && may_have && run_at_end(narrowest) == narrowest.len()
}
