//! Codes that a tool cut into lines (`base64 -w 76`, `openssl base64`, `xxd -p`): they are put together again and
//! searched as if they had never been cut.
//!
//! A *seam* is a gap with a line end (`gap`), after at least [`NARROWEST`] bytes of a code's alphabet in a row.
//! What stands on both sides belongs together. A form is found across any number of seams, wherever in it they
//! fall.

use super::{Found, Patterns, Text};
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

/// How many bytes of an alphabet stand at the end of a text, as far as that matters.
pub(in crate::mask) fn run_at_end(text: &[u8]) -> usize {
    whole_run_at_end(&text[text.len().saturating_sub(NARROWEST)..])
}

/// Pieces of a text, put together.
#[derive(Default)]
struct Joined {
    bytes: Vec<u8>,
    /// For each piece, where it begins here and in the text.
    pieces: Vec<(usize, usize)>,
    /// Where the text goes on after the last piece.
    end: usize,
}

impl Joined {
    fn push(&mut self, text: &[u8], start: usize, end: usize) {
        self.pieces.push((self.bytes.len(), start));
        self.bytes.extend_from_slice(&text[start..end]);
        self.end = end;
    }

    /// Where a byte of the joined text stands in the text.
    fn place(&self, at: usize) -> usize {
        let piece = self.pieces.partition_point(|(start, _)| *start <= at) - 1;
        let (start, place) = self.pieces[piece];
        place + at - start
    }
}

impl Patterns {
    /// Finds the forms that stand across seams.
    pub(super) fn find_wrapped(&self, text: &Text<'_>, run_before: usize, found: &mut Found) {
        let mut from = self.find_chain(text, run_before, 0, found);
        while let Some(place) = long_run(text.bytes, from) {
            from = self.find_chain(text, run_before, place, found);
        }
    }

    /// Puts together the run of a code's bytes around `place` and what is joined to it, and searches that; gives
    /// where the rest begins.
    fn find_chain(&self, text: &Text<'_>, run_before: usize, place: usize, found: &mut Found) -> usize {
        let bytes = text.bytes;
        let mut end = place + run_at_start(&bytes[place..]);
        let Some(seam) = seam_at(bytes, end, run_before) else { return (end + 1).min(bytes.len()) };
        let start = end - whole_run_at_end(&bytes[..end]);
        let mut joined = Joined::default();
        joined.push(bytes, start, end);
        let mut next = end + seam.length;
        loop {
            let run = run_at_start(&bytes[next..]);
            end = next + run;
            let padding = bytes[end..].iter().take(2).take_while(|byte| **byte == b'=').count();
            joined.push(bytes, next, end + padding);
            match seam_at(bytes, end, run_before) {
                Some(seam) if run > 0 && padding == 0 => next = end + seam.length,
                _ => break,
            }
        }
        // Where the text ends in a seam, the last piece is empty.
        let open = text.open && joined.end == bytes.len();
        let inner = Text { bytes: &joined.bytes, open, with_lines: false, ..*text };
        let mut inside = Found::new(joined.bytes.len());
        self.find_literal(&inner, &mut inside);
        found.places.extend(
            inside.places.iter().map(|place| joined.place(place.start)..joined.place(place.end - 1) + 1),
        );
        if inside.undecided < joined.bytes.len() {
            found.undecided = found.undecided.min(joined.place(inside.undecided));
        }
        (joined.end + 1).min(bytes.len())
    }
}

/// A part of a text that is looked at in one step, in bytes: of the narrowest line, wherever it begins, one whole
/// block at a multiple of twice this length.
const BLOCK: usize = NARROWEST / 3;

/// The first place at or after `from` that stands in a run of a code's bytes as long as the narrowest line.
fn long_run(bytes: &[u8], from: usize) -> Option<usize> {
    let (pairs, rest) = bytes[from..].as_chunks::<{ 2 * BLOCK }>();
    for (index, pair) in pairs.iter().enumerate() {
        let place = from + index * 2 * BLOCK;
        if pair.first_chunk().is_some_and(may_be_code) && is_long(bytes, place) {
            return Some(place);
        }
    }
    let last = bytes.len() - rest.len();
    (rest.len() >= BLOCK && is_long(bytes, last)).then_some(last)
}

/// Whether the block at `place` stands in a run as long as the narrowest line.
fn is_long(bytes: &[u8], place: usize) -> bool {
    let (before, after) = bytes.split_at(place);
    if !after.first_chunk().is_some_and(is_code) {
        return false;
    }
    let known = BLOCK + run_at_end(before);
    known >= NARROWEST || known + run_at_start(&after[BLOCK..]) >= NARROWEST
}

/// Whether no byte is one that no alphabet has: below `+`, as nearly all are that ordinary text has between words,
/// or no ASCII. All bytes at once, as the digits of a number.
#[inline]
fn may_be_code(block: &[u8; BLOCK]) -> bool {
    const HIGH: u128 = u128::from_ne_bytes([0x80; BLOCK]);
    const TO_HIGH: u128 = u128::from_ne_bytes([0x80 - b'+'; BLOCK]);
    let bytes = u128::from_ne_bytes(*block);
    // Only a byte that is no ASCII carries into the next one, and with such a byte the answer is no.
    bytes.wrapping_add(TO_HIGH) & !bytes & HIGH == HIGH
}

/// Whether all bytes are of a code's alphabet. Compared as numbers, many at once.
#[inline]
fn is_code(bytes: &[u8; BLOCK]) -> bool {
    bytes.iter().fold(true, |all, byte| {
        let letter = (byte | 0x20).wrapping_sub(b'a') < 26;
        let digit = byte.wrapping_sub(b'0') < 10;
        // `+` and `-`; `/` is the one before the digits.
        let sign = (*byte == b'+') | (*byte == b'-') | (*byte == b'/') | (*byte == b'_');
        all & (letter | digit | sign)
    })
}

/// How many bytes of an alphabet a text begins with.
fn run_at_start(bytes: &[u8]) -> usize {
    let (blocks, _) = bytes.as_chunks::<BLOCK>();
    let whole = blocks.iter().take_while(|block| is_code(block)).count() * BLOCK;
    whole + bytes[whole..].iter().take_while(|byte| ALPHABET[usize::from(**byte)]).count()
}

/// How many bytes of an alphabet a text ends with.
fn whole_run_at_end(bytes: &[u8]) -> usize {
    let (_, blocks) = bytes.as_rchunks::<BLOCK>();
    let whole = blocks.iter().rev().take_while(|block| is_code(block)).count() * BLOCK;
    let rest = &bytes[..bytes.len() - whole];
    whole + rest.iter().rev().take_while(|byte| ALPHABET[usize::from(**byte)]).count()
}

/// The seam that begins at `end`, or what may still become one.
fn seam_at(bytes: &[u8], end: usize, run_before: usize) -> Option<Gap> {
    if !bytes.get(end).is_some_and(|byte| gap::begins(*byte)) || !has_width(bytes, end, run_before) {
        return None;
    }
    let gap = Gap::of(&bytes[end..]);
    (gap.joins() || gap.open && gap.length <= gap::LONGEST).then_some(gap)
}

/// Whether a whole line of a code may end at `end`.
fn has_width(bytes: &[u8], end: usize, run_before: usize) -> bool {
    let narrowest = &bytes[end.saturating_sub(NARROWEST)..end];
    let missing = NARROWEST - narrowest.len();
    missing <= run_before && run_at_end(narrowest) == narrowest.len()
}
