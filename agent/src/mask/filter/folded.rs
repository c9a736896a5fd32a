//! A text as its lines, read only as far as somebody looks: the view in which keys of several lines are compared.

use crate::mask::gap::{self, Gap};

use super::keys::{Keys, Verdict};

/// How much is read first, in bytes; most candidates are none, and differ sooner.
const FIRST: usize = 64;

/// A text from a place on, folded as `gap::fold` does it.
struct Folded<'a> {
    text: &'a [u8],
    bytes: Vec<u8>,
    /// How much of the text has been read.
    read: usize,
    /// After each gap: how many bytes were there, and how much had been read.
    joints: Vec<(usize, usize)>,
    /// The gap that the text ends in.
    last: Option<Gap>,
}

impl Folded<'_> {
    /// Reads on until there are `wanted` bytes, or no more.
    fn read_to(&mut self, wanted: usize) {
        while self.bytes.len() < wanted && self.read < self.text.len() && self.last.is_none() {
            let rest = &self.text[self.read..];
            let most = rest.len().min(wanted - self.bytes.len());
            let plain = rest[..most].iter().position(|byte| gap::begins(*byte)).unwrap_or(most);
            self.bytes.extend_from_slice(&rest[..plain]);
            self.read += plain;
            if plain == most {
                continue;
            }
            let gap = Gap::of(&rest[plain..]);
            if gap.open {
                self.last = Some(gap);
            } else if gap.joins() {
                self.read += gap.length;
                self.bytes.push(b'\n');
                self.joints.push((self.bytes.len(), self.read));
            } else {
                self.bytes.extend_from_slice(&rest[plain..plain + gap.literal()]);
                self.read += gap.literal();
            }
        }
    }

    /// How much of the text the first `length` folded bytes are.
    fn raw(&self, length: usize) -> usize {
        let joint = self.joints.iter().rev().find(|(folded, _)| *folded <= length);
        joint.map_or(length, |(folded, read)| read + length - folded)
    }

    fn has_ended(&self) -> bool {
        self.read == self.text.len() || self.last.is_some()
    }
}

/// What of these keys stands at the beginning of `text`; lengths are the text's own.
pub(super) fn judge(keys: &Keys, arena: &[u8], range: std::ops::Range<usize>, text: &[u8]) -> Verdict {
    let mut folded = Folded { text, bytes: Vec::new(), read: 0, joints: Vec::new(), last: None };
    let mut wanted = FIRST;
    loop {
        folded.read_to(wanted);
        let verdict = keys.judge(arena, range.clone(), &folded.bytes);
        if verdict.open && !folded.has_ended() {
            wanted *= 4;
            continue;
        }
        let longest = folded.raw(verdict.longest);
        // The gap at the end may become a joint, or stay what it is.
        let open = verdict.open
            && folded.last.is_none_or(|_| {
                let length = folded.bytes.len();
                folded.bytes.push(b'\n');
                let joint = keys.judge(arena, range.clone(), &folded.bytes).open;
                folded.bytes.truncate(length);
                folded.bytes.extend_from_slice(&text[folded.read..]);
                joint || keys.judge(arena, range.clone(), &folded.bytes).open
            });
        return Verdict { longest, open };
    }
}
