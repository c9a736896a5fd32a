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
    let last = &text[text.len().saturating_sub(NARROWEST)..];
    last.iter().rev().take_while(|byte| ALPHABET[usize::from(**byte)]).count()
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
        // Three blocks are as long as the narrowest line, so that wherever it begins it has two whole ones.
        while let Some(place) = clean_pair(&text.bytes[from..]).map(|place| from + place) {
            from = self.find_chain(text, run_before, place, found);
        }
    }

    /// Puts together the run of a code's bytes around `place` and what is joined to it, and searches that; gives
    /// where the rest begins.
    fn find_chain(&self, text: &Text<'_>, run_before: usize, place: usize, found: &mut Found) -> usize {
        let bytes = text.bytes;
        let mut end = place + run_at_start(&bytes[place..]);
        let Some(seam) = seam_at(bytes, end, run_before) else { return (end + 1).min(bytes.len()) };
        let start =
            bytes[..end].iter().rposition(|byte| !ALPHABET[usize::from(*byte)]).map_or(0, |at| at + 1);
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

/// A part of a text that is looked at in one step, in bytes.
const BLOCK: usize = NARROWEST / 3;

/// Below every byte of an alphabet; of what ordinary text has between words, nearly all is.
const LEAST: u8 = b'+';

/// The first place from which two blocks hold nothing but bytes of an alphabet.
fn clean_pair(bytes: &[u8]) -> Option<usize> {
    let (blocks, _) = bytes.as_chunks::<BLOCK>();
    let mut before = false;
    for (index, block) in blocks.iter().enumerate() {
        // Without an early end, all bytes are compared at once.
        let clean = block.iter().fold(true, |clean, byte| clean & (*byte >= LEAST));
        if clean & before {
            let place = (index - 1) * BLOCK;
            if run_at_start(&bytes[place..place + 2 * BLOCK]) == 2 * BLOCK {
                return Some(place);
            }
        }
        before = clean;
    }
    None
}

/// How many bytes of an alphabet a text begins with.
fn run_at_start(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| ALPHABET[usize::from(**byte)]).count()
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
    missing <= run_before && narrowest.iter().rev().all(|byte| ALPHABET[usize::from(*byte)])
}
