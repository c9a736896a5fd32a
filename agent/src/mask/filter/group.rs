//! One group of forms, and the filter that finds where one of them may begin.
//!
//! With `m` the length of the group's shortest form, every occurrence of a form has its first `m` bytes in the
//! text. Of these, the filter knows every `q` bytes in a row; so it is enough to look at `q` bytes of the text at
//! every `m - q + 1`st place: one of these places falls into the first `m` bytes, with its `q` bytes complete.
//! What is looked up there is a bit or three of a table; only where all are set is anything compared.

use std::ops::Range;

use crate::mask::forms::{Form, Forms, Kind};

use super::keys::{Keys, Verdict};
use super::{Found, Text, folded, periodic};

/// Places that are looked up before anything depends on the answers.
const AT_ONCE: usize = 8;

/// An odd number without pattern (the golden ratio's): it spreads `q` bytes over the upper bits of a product.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// Forms that all have at least `m` bytes before their first gap.
pub(super) struct Group {
    /// The length of what every form begins with.
    pub(super) m: usize,
    /// How many bytes are looked at.
    pub(super) q: usize,
    /// Leaves `q` bytes of eight.
    mask: u64,
    /// One bit for each known piece, or three.
    bits: Vec<u64>,
    one_bit: bool,
    bits_shift: u32,
    /// For each hash, where its pieces begin; one more for the end.
    heads: Vec<u32>,
    heads_shift: u32,
    pieces: Vec<Piece>,
    beginnings: Vec<Beginning>,
    literal: Keys,
    lines: Keys,
}

/// `q` bytes that stand at an offset in the beginning of some forms.
#[derive(Clone, Copy, Default)]
struct Piece {
    bytes: u64,
    offset: u32,
    beginning: u32,
}

/// Forms of one kind with the same first `m` bytes.
#[derive(Clone)]
pub(super) struct Beginning {
    pub(super) kind: Kind,
    pub(super) keys: Range<usize>,
}

/// A place where a form may begin: its first `m` bytes stand there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) at: usize,
    pub(super) beginning: usize,
}

impl Group {
    /// A group of these forms, whose shortest has `m` bytes; `q` bytes are looked at.
    pub(super) fn new(forms: &Forms, chosen: &[Form], m: usize, q: usize) -> Self {
        let of = |kind| chosen.iter().filter(move |form| form.kind == kind).cloned();
        let (literal, lines) = (Keys::new(forms, of(Kind::Literal)), Keys::new(forms, of(Kind::Lines)));
        let mask = if q == 8 { u64::MAX } else { (1 << (8 * q)) - 1 };
        let mut group = Self {
            m,
            q,
            mask,
            bits: Vec::new(),
            one_bit: false,
            bits_shift: 0,
            heads: Vec::new(),
            heads_shift: 0,
            pieces: Vec::new(),
            beginnings: Vec::new(),
            literal,
            lines,
        };
        group.collect_beginnings(&forms.bytes, Kind::Literal);
        group.collect_beginnings(&forms.bytes, Kind::Lines);
        group.index(&forms.bytes);
        group
    }

    /// How many forms it has.
    pub(super) fn len(&self) -> usize {
        self.literal.len() + self.lines.len()
    }

    /// The distance between two places that are looked at.
    pub(super) fn stride(&self) -> usize {
        self.m - self.q + 1
    }

    pub(super) fn keys(&self, kind: Kind) -> &Keys {
        match kind {
            Kind::Literal => &self.literal,
            Kind::Lines => &self.lines,
        }
    }

    pub(super) fn beginning(&self, index: usize) -> &Beginning {
        &self.beginnings[index]
    }

    fn collect_beginnings(&mut self, arena: &[u8], kind: Kind) {
        let keys = match kind {
            Kind::Literal => &self.literal,
            Kind::Lines => &self.lines,
        };
        let mut start = 0;
        for index in 1..=keys.len() {
            let same = index < keys.len()
                && keys.bytes(arena, index)[..self.m] == keys.bytes(arena, start)[..self.m];
            if !same {
                self.beginnings.push(Beginning { kind, keys: start..index });
                start = index;
            }
        }
    }

    fn index(&mut self, arena: &[u8]) {
        let stride = self.stride();
        let count = self.beginnings.len() * stride;
        // One head for a piece, and at least 16 bits: one in two hundred triples of bits is set by chance. What the
        // fastest cache holds anyway is taken.
        let heads = count.next_power_of_two().max(64);
        let words = (count * 16 / 64).next_power_of_two().max(512);
        self.heads_shift = 64 - heads.trailing_zeros();
        self.bits_shift = 64 - words.trailing_zeros();
        self.bits = vec![0; words];
        self.one_bit = count * 32 <= words * 64;
        let mut starts = vec![0_u32; heads + 1];
        let mut found = Vec::with_capacity(count);
        for (number, beginning) in (0_u32..).zip(&self.beginnings) {
            let bytes = &self.keys(beginning.kind).bytes(arena, beginning.keys.start)[..self.m];
            for offset in 0..stride {
                let piece = load(bytes, offset) & self.mask;
                let offset = u32::try_from(offset).expect("a stride is short");
                let hash = piece.wrapping_mul(SPREAD);
                starts[self.head(hash) + 1] += 1;
                found.push(Piece { bytes: piece, offset, beginning: number });
            }
        }
        for piece in &found {
            let hash = piece.bytes.wrapping_mul(SPREAD);
            let word = (hash >> self.bits_shift) as usize;
            self.bits[word] |= self.marks(hash);
        }
        for index in 1..starts.len() {
            starts[index] += starts[index - 1];
        }
        self.heads.clone_from(&starts);
        self.pieces = vec![Piece::default(); found.len()];
        for piece in found {
            let next = &mut starts[self.head(piece.bytes.wrapping_mul(SPREAD))];
            self.pieces[*next as usize] = piece;
            *next += 1;
        }
    }

    fn head(&self, hash: u64) -> usize {
        (hash >> self.heads_shift) as usize
    }

    /// The bits that are set for these bytes.
    #[inline]
    fn marks(&self, hash: u64) -> u64 {
        if self.one_bit { marks::<true>(hash) } else { marks::<false>(hash) }
    }

    /// Whether all bits of these bytes are set.
    #[inline]
    fn may_be(&self, bytes: u64) -> bool {
        let hash = (bytes & self.mask).wrapping_mul(SPREAD);
        let marks = self.marks(hash);
        self.bits[(hash >> self.bits_shift) as usize] & marks == marks
    }

    /// Whether any of the places of a window is worth a look.
    #[inline]
    fn any_may_be<const ONE: bool>(&self, window: &[u8], stride: usize) -> bool {
        let (bits, shift, mask) = (self.bits.as_slice(), self.bits_shift, self.mask);
        let mut any = false;
        for index in 0..AT_ONCE {
            // Nothing here can panic, so nothing has to be kept for that: it is the innermost loop.
            let eight =
                window.get(index * stride..).and_then(<[u8]>::first_chunk).copied().unwrap_or_default();
            let hash = (u64::from_le_bytes(eight) & mask).wrapping_mul(SPREAD);
            let word = bits.get((hash >> shift) as usize).copied().unwrap_or_default();
            let marks = marks::<ONE>(hash);
            any |= word & marks == marks;
        }
        any
    }

    /// Finds all forms of the group; ends early at a place from which on the text is undecided.
    pub(super) fn scan(&self, text: &Text<'_>, found: &mut Found) {
        let (bytes, stride) = (text.bytes, self.stride());
        let mut scan = periodic::Scan::default();
        // The place that is looked at next is the last at which a form can begin that is found there.
        let mut at = stride - 1;
        let span = (AT_ONCE - 1) * stride + 8;
        while let Some(window) = bytes.get(at..at + span) {
            let end = at + AT_ONCE * stride;
            let any = if self.one_bit {
                self.any_may_be::<true>(window, stride)
            } else {
                self.any_may_be::<false>(window, stride)
            };
            if !any {
                at = end;
                continue;
            }
            while at < end && at + self.q <= bytes.len() {
                match self.look(text, at, &mut scan, found) {
                    Some(next) => at = next,
                    None => return,
                }
            }
        }
        while at + self.q <= bytes.len() {
            match self.look(text, at, &mut scan, found) {
                Some(next) => at = next,
                None => return,
            }
        }
        if text.open {
            self.beginnings_at_the_end(text, found);
        }
    }

    /// Looks at one place; gives the next one, or `None` where the rest is undecided.
    fn look(
        &self,
        text: &Text<'_>,
        at: usize,
        scan: &mut periodic::Scan,
        found: &mut Found,
    ) -> Option<usize> {
        let piece = load(text.bytes, at) & self.mask;
        if !self.may_be(piece) {
            return Some(at + self.stride());
        }
        let hash = piece.wrapping_mul(SPREAD);
        let head = self.head(hash);
        scan.candidates.clear();
        for known in &self.pieces[self.heads[head] as usize..self.heads[head + 1] as usize] {
            if known.bytes == piece && at >= known.offset as usize {
                let at = at - known.offset as usize;
                let beginning = known.beginning as usize;
                if self.stands_at(text, at, beginning) {
                    scan.candidates.push(Candidate { at, beginning });
                }
            }
        }
        let next = match scan.run(self, text.bytes, at) {
            Some(run) => run.find(self, text, scan, found),
            None => {
                for candidate in &scan.candidates {
                    self.judge(text, *candidate, found);
                }
                at + self.stride()
            }
        };
        (found.undecided == text.bytes.len()).then_some(next)
    }

    fn stands_at(&self, text: &Text<'_>, at: usize, beginning: usize) -> bool {
        let Beginning { kind, keys } = &self.beginnings[beginning];
        let key = &self.keys(*kind).bytes(text.arena, keys.start)[..self.m];
        (*kind == Kind::Literal || text.with_lines) && text.bytes[at..].starts_with(key)
    }

    /// Notes what stands at a candidate's place.
    pub(super) fn judge(&self, text: &Text<'_>, candidate: Candidate, found: &mut Found) {
        let Beginning { kind, keys } = &self.beginnings[candidate.beginning];
        let rest = &text.bytes[candidate.at..];
        let Verdict { longest, open } = match kind {
            Kind::Literal => self.literal.judge(text.arena, keys.clone(), rest),
            Kind::Lines => folded::judge(&self.lines, text.arena, keys.clone(), rest),
        };
        if longest > 0 {
            found.places.push(candidate.at..candidate.at + longest);
        }
        if open && text.open {
            found.undecided = found.undecided.min(candidate.at);
        }
    }

    /// The last bytes are too few for a form, but one may begin there.
    fn beginnings_at_the_end(&self, text: &Text<'_>, found: &mut Found) {
        let bytes = text.bytes;
        let first = (bytes.len() + 1).saturating_sub(self.m);
        let begins = |at: &usize| {
            let rest = &bytes[*at..];
            self.literal.goes_on(text.arena, rest) || text.with_lines && self.lines.goes_on(text.arena, rest)
        };
        if let Some(at) = (first..bytes.len()).find(begins) {
            found.undecided = found.undecided.min(at);
        }
    }
}

/// Some of the 64 bits of a word: one where there is room enough, else three.
#[inline]
fn marks<const ONE: bool>(hash: u64) -> u64 {
    // The upper bits choose the word; these are others.
    let first = 1 << ((hash >> 20) & 63);
    if ONE { first } else { first | 1 << ((hash >> 8) & 63) | 1 << ((hash >> 14) & 63) }
}

/// Eight bytes at a place; where the text ends sooner, zeros after it.
#[inline]
fn load(bytes: &[u8], at: usize) -> u64 {
    let rest = &bytes[at..];
    match rest.first_chunk() {
        Some(eight) => u64::from_le_bytes(*eight),
        None => {
            let mut eight = [0; 8];
            eight[..rest.len()].copy_from_slice(rest);
            u64::from_le_bytes(eight)
        }
    }
}
