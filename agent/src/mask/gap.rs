//! What may stand between two lines of a secret: blanks, line ends and ANSI sequences, up to a bound.
//!
//! [`fold`] is the one reading of a text that both a secret and a log get: a gap that holds a line end counts as
//! one newline, whatever else is in it. A gap without a line end counts as what it is.

/// The longest gap, in bytes (`mask-forms.md`): a bound, so that little is held back.
pub(super) const LONGEST: usize = 256;

/// A run of blanks, line ends and complete ANSI sequences.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gap {
    /// Its length; a run that is longer than a gap may be is one byte more than that.
    pub(super) length: usize,
    /// Whether it holds a line end.
    pub(super) breaks: bool,
    /// Whether the text ends in it, so that it may go on.
    pub(super) open: bool,
}

impl Gap {
    /// The gap that begins at `text`'s first byte.
    pub(super) fn of(text: &[u8]) -> Self {
        let (mut length, mut breaks) = (0, false);
        while length <= LONGEST {
            match text.get(length) {
                None => return Self { length, breaks, open: true },
                Some(b' ' | b'\t') => length += 1,
                Some(b'\n' | b'\r') => {
                    breaks = true;
                    length += 1;
                }
                Some(0x1b) => match sequence(&text[length..]) {
                    Sequence::Complete(bytes) => length += bytes,
                    Sequence::CutOff if text.len() <= LONGEST => {
                        return Self { length: text.len(), breaks, open: true };
                    }
                    Sequence::CutOff | Sequence::None => return Self { length, breaks, open: false },
                },
                Some(_) => return Self { length, breaks, open: false },
            }
        }
        Self { length: LONGEST + 1, breaks, open: false }
    }

    /// Whether it stands for one newline between two lines.
    pub(super) fn joins(&self) -> bool {
        self.breaks && self.length <= LONGEST
    }

    /// How many bytes count as what they are, where it does not join: of a run that is too long one byte, since
    /// from the next on it may be short enough.
    pub(super) fn literal(&self) -> usize {
        if self.length > LONGEST { 1 } else { self.length.max(1) }
    }
}

/// Whether a gap can begin with this byte.
pub(super) fn begins(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x1b)
}

enum Sequence {
    Complete(usize),
    CutOff,
    None,
}

/// An ANSI control sequence (ECMA-48: `ESC [`, parameters, intermediates, a final byte).
fn sequence(text: &[u8]) -> Sequence {
    match text.get(1) {
        None => return Sequence::CutOff,
        Some(b'[') => {}
        Some(_) => return Sequence::None,
    }
    let text = &text[..text.len().min(LONGEST)];
    let parameters = text[2..].iter().take_while(|byte| matches!(byte, 0x30..=0x3f)).count();
    let intermediates = text[2 + parameters..].iter().take_while(|byte| matches!(byte, 0x20..=0x2f)).count();
    match text.get(2 + parameters + intermediates) {
        // No colour is as long as a gap may be: such a thing is no sequence.
        None if text.len() == LONGEST => Sequence::None,
        None => Sequence::CutOff,
        Some(0x40..=0x7e) => Sequence::Complete(2 + parameters + intermediates + 1),
        Some(_) => Sequence::None,
    }
}

/// A secret as its lines: gaps with a line end become one newline, those at both ends go.
pub(super) fn fold(text: &[u8]) -> Vec<u8> {
    let end = text.iter().rposition(|byte| !begins(*byte)).map_or(0, |last| last + 1);
    let text = &text[..end];
    let mut folded = Vec::with_capacity(text.len());
    let mut at = Gap::of(text).length.min(text.len());
    while at < text.len() {
        let plain = text[at..].iter().position(|byte| begins(*byte)).unwrap_or(text.len() - at);
        folded.extend_from_slice(&text[at..at + plain]);
        at += plain;
        if at == text.len() {
            break;
        }
        let gap = Gap::of(&text[at..]);
        if gap.joins() {
            folded.push(b'\n');
            at += gap.length;
        } else {
            let literal = gap.literal().min(text.len() - at);
            folded.extend_from_slice(&text[at..at + literal]);
            at += literal;
        }
    }
    folded
}

#[cfg(test)]
mod tests {
    use super::{Gap, fold};

    #[test]
    fn a_gap_is_blanks_line_ends_and_whole_sequences() {
        assert_eq!(Gap::of(b" \t\x1b[0;31m\r\n x"), Gap { length: 12, breaks: true, open: false });
        assert_eq!(Gap::of(b"  \x1bx"), Gap { length: 2, breaks: false, open: false });
        assert_eq!(Gap::of(b" \x1b[3"), Gap { length: 4, breaks: false, open: true });
        assert_eq!(Gap::of(b"x"), Gap { length: 0, breaks: false, open: false });
    }

    #[test]
    fn folding_leaves_blanks_inside_of_lines_alone() {
        assert_eq!(fold(b"\n  a  b \r\n\t c\n\n"), b"a  b\nc");
        assert_eq!(fold(b"a\x1bb"), b"a\x1bb");
    }
}
