//! Codes that a tool cut into lines (`base64 -w 76`, `openssl base64`, `xxd -p`): they are put together again and
//! searched as if they had never been cut.
//!
//! A *seam* is a gap with a line end (`gap`), after at least [`NARROWEST`] bytes of a code's alphabet in a row.
//! What stands on both sides belongs together. A form is found across any number of seams, wherever in it they
//! fall.

use std::ops::Range;

use fearless_simd::prelude::*;
use fearless_simd::{Level, dispatch, u8x64};

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

/// A text in which codes may stand.
#[derive(Clone, Copy)]
struct Coded<'a> {
    bytes: &'a [u8],
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
        let coded = Coded { bytes: text.bytes, run_before };
        let bytes = text.bytes;
        let mut chain = Chain::default();
        let (mut from, mut run) = (0, run_before);
        while let Some(end) = end_of_long_run(bytes, from, run) {
            // The next run may begin after this one's first stranger.
            (from, run) = (end + 1, 0);
            let Some(seam) = gap_at(bytes, end) else { continue };
            self.follow(&mut chain, coded, end, seam);
            from = chain.end();
            let reaches_the_end = text.open && from == bytes.len();
            if chain.is_promising || reaches_the_end || found.has_begun_in(chain.before_its_last_seam()) {
                self.find_joined(text, &chain, found);
            }
            self.find_after_colours(text, &chain, run_before, found);
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
                    self.follow(&mut other, Coded { bytes: text.bytes, run_before }, line.end, seam);
                    self.find_joined(text, &other, found);
                }
            }
        }
    }

    /// All lines of the chain whose first one ends at `end`.
    fn follow(&self, chain: &mut Chain, coded: Coded<'_>, mut end: usize, mut seam: Gap) {
        let bytes = coded.bytes;
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

/// The end of the first run of a code's bytes that is as long as the narrowest line and ends at or after `from`, before
/// which `run` such bytes stood. A run that the text ends in has no end.
fn end_of_long_run(bytes: &[u8], from: usize, run: usize) -> Option<usize> {
    dispatch!(Level::new(), simd => end_of_long_run_in(simd, bytes, from, run))
}

#[inline(always)]
fn end_of_long_run_in<S: Simd>(simd: S, bytes: &[u8], from: usize, mut run: usize) -> Option<usize> {
    let (words, rest) = bytes[from..].as_chunks();
    for (index, word) in words.iter().enumerate() {
        let strangers = strangers_in(simd, word);
        if let Some(end) = end_in_word(strangers, run) {
            return Some(from + index * WORD + end);
        }
        run = if strangers == 0 { run + WORD } else { strangers.leading_zeros() as usize };
    }
    let mut last = [b' '; WORD];
    last[..rest.len()].copy_from_slice(rest);
    end_in_word(strangers_in(simd, &last), run)
        .filter(|end| *end < rest.len())
        .map(|end| bytes.len() - rest.len() + end)
}

/// As many bytes as a number has bits.
const WORD: usize = 64;

/// Where in a word a long run ends, of which `run` bytes may stand before it. A bit is a byte of no alphabet.
#[inline(always)]
fn end_in_word(strangers: u64, run: usize) -> Option<usize> {
    // A run between two strangers that is long covers the word's middle.
    const SIDE: u32 = (WORD - NARROWEST) as u32;
    const MIDDLE: u64 = u64::MAX << SIDE >> (2 * SIDE) << SIDE;
    let first = strangers.trailing_zeros() as usize;
    if first < WORD && run + first >= NARROWEST {
        return Some(first);
    }
    if strangers & MIDDLE != 0 || strangers == 0 {
        return None;
    }
    let last_before = (strangers & !(u64::MAX << SIDE)).checked_ilog2()? as usize;
    let next = (strangers >> SIDE << SIDE).trailing_zeros() as usize;
    (next < WORD && next - last_before > NARROWEST).then_some(next)
}

/// A bit for each byte that is of no alphabet.
#[inline(always)]
fn strangers_in<S: Simd>(simd: S, word: &[u8; WORD]) -> u64 {
    let bytes = u8x64::from_slice(simd, word);
    let letter = ((bytes | 0x20) - b'a').simd_lt(26);
    // `/` is the one before the digits.
    let digit = (bytes - b'/').simd_lt(11);
    let sign = bytes.simd_eq(b'+') | bytes.simd_eq(b'-') | bytes.simd_eq(b'_');
    !(letter | digit | sign).to_bitmask()
}

/// A part of a text that is looked at in one step, in bytes.
const BLOCK: usize = 16;

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
        if !is_code(block) {
            return index * BLOCK + strangers(block).trailing_zeros() as usize / 8;
        }
    }
    bytes.len() - rest.len() + rest.iter().take_while(|byte| is_of_code(**byte)).count()
}

/// How many bytes of an alphabet a text ends with.
fn whole_run_at_end(bytes: &[u8]) -> usize {
    let (rest, blocks) = bytes.as_rchunks();
    for (index, block) in blocks.iter().rev().enumerate() {
        if !is_code(block) {
            return index * BLOCK + strangers(block).leading_zeros() as usize / 8;
        }
    }
    bytes.len() - rest.len() + rest.iter().rev().take_while(|byte| is_of_code(**byte)).count()
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
    let narrowest = &coded.bytes[end.saturating_sub(NARROWEST)..end];
    let missing = NARROWEST - narrowest.len();
    missing <= coded.run_before && run_at_end(narrowest) == narrowest.len()
}
