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
        let bytes = text.bytes;
        let mut from = 0;
        while let Some(newline) = memchr::memchr(b'\n', &bytes[from..]).map(|at| from + at) {
            from = newline + 1;
            if let Some(seam) = seam_around(bytes, newline, run_before) {
                from = self.find_chain(text, run_before, seam, found);
            }
        }
        // A gap at the end may still become one.
        let ends = bytes.last().is_some_and(|byte| gap::begins(*byte)) || cut_sequence(bytes) < bytes.len();
        if text.open && from < bytes.len() && ends {
            let end = end_of_run(bytes, cut_sequence(bytes));
            let gap = Gap::of(&bytes[end..]);
            if end >= from && gap.open && has_width(bytes, end, run_before) {
                self.find_chain(text, run_before, (end, bytes.len()), found);
            }
        }
    }

    /// Puts together what belongs to the seam, and what is joined to it after that; gives where the rest begins.
    fn find_chain(
        &self,
        text: &Text<'_>,
        run_before: usize,
        (mut end, mut next): (usize, usize),
        found: &mut Found,
    ) -> usize {
        let bytes = text.bytes;
        let start =
            bytes[..end].iter().rposition(|byte| !ALPHABET[usize::from(*byte)]).map_or(0, |at| at + 1);
        let mut joined = Joined::default();
        joined.push(bytes, start, end);
        loop {
            let run = bytes[next..].iter().take_while(|byte| ALPHABET[usize::from(**byte)]).count();
            end = next + run;
            let padding = bytes[end..].iter().take(2).take_while(|byte| **byte == b'=').count();
            joined.push(bytes, next, end + padding);
            let seam = (run > 0 && padding == 0 && end < bytes.len() && has_width(bytes, end, run_before))
                .then(|| Gap::of(&bytes[end..]))
                .filter(|gap| gap.joins() || gap.open && gap.length <= gap::LONGEST);
            match seam {
                Some(gap) => next = end + gap.length,
                None => break,
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
        joined.end
    }
}

/// The seam that a newline stands in: where what is before it ends, and where what is after it begins.
fn seam_around(bytes: &[u8], newline: usize, run_before: usize) -> Option<(usize, usize)> {
    let end = end_of_run(bytes, newline);
    if !has_width(bytes, end, run_before) {
        return None;
    }
    let gap = Gap::of(&bytes[end..]);
    let holds = gap.length > newline - end && (gap.joins() || gap.open && gap.length <= gap::LONGEST);
    holds.then_some((end, end + gap.length))
}

/// Where the run of a code's bytes ends that may stand before a gap which reaches to `at`.
fn end_of_run(bytes: &[u8], at: usize) -> usize {
    let earliest = at.saturating_sub(gap::LONGEST);
    let mut end = at;
    while end > earliest {
        if gap::begins(bytes[end - 1]) {
            end -= 1;
        } else if let Some(start) = sequence_before(&bytes[earliest..end]) {
            end = earliest + start;
        } else {
            break;
        }
    }
    end
}

/// Where the ANSI sequence begins that ends here, if one does: read backwards, since nearly no line has one.
fn sequence_before(bytes: &[u8]) -> Option<usize> {
    let (last, before) = bytes.split_last()?;
    let bracket = before.iter().rposition(|byte| !matches!(byte, 0x20..=0x3f))?;
    let is_sequence =
        matches!(last, 0x40..=0x7e) && bytes[bracket] == b'[' && bracket > 0 && bytes[bracket - 1] == 0x1b;
    is_sequence.then(|| bracket - 1)
}

/// Where the incomplete ANSI sequence begins that the text ends in; the text's length without one.
fn cut_sequence(bytes: &[u8]) -> usize {
    let earliest = bytes.len().saturating_sub(gap::LONGEST);
    let escape = memchr::memrchr(0x1b, &bytes[earliest..]).map(|at| earliest + at);
    escape.filter(|at| Gap::of(&bytes[*at..]).open).unwrap_or(bytes.len())
}

/// Whether a whole line of a code may end at `end`.
fn has_width(bytes: &[u8], end: usize, run_before: usize) -> bool {
    let narrowest = &bytes[end.saturating_sub(NARROWEST)..end];
    let missing = NARROWEST - narrowest.len();
    missing <= run_before && narrowest.iter().rev().all(|byte| ALPHABET[usize::from(*byte)])
}
