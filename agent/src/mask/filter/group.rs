//! One group of forms, and the filter that finds where one of them may begin.
//!
//! With `m` the length of the group's shortest form, every occurrence of a form has its first `m` bytes in the
//! text. Of these, the filter knows every `q` bytes in a row; so it is enough to look at `q` bytes of the text at
//! every `m - q + 1`st place: one of these places falls into the first `m` bytes, with its `q` bytes complete.
//! What is looked up there is some bits of a table (`table`); only where all are set is anything compared.

use std::ops::Range;

use crate::mask::forms::{Form, Forms, Kind};

use super::few::{self, Few};
use super::keys::{Keys, Verdict};
use super::table::{SPREAD, Table};
use super::{Found, Text, folded, periodic};

/// Forms that all have at least `m` bytes before their first gap.
pub(super) struct Group {
    /// The length of what every form begins with.
    pub(super) m: usize,
    /// How many bytes are looked at.
    pub(super) q: usize,
    /// Leaves `q` bytes of eight.
    mask: u64,
    table: Table,
    /// Takes the table's place.
    few: Option<Few>,
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
        let mut group = Self {
            m,
            q,
            mask: mask_of(q),
            table: Table::default(),
            few: None,
            heads: Vec::new(),
            heads_shift: 0,
            pieces: Vec::new(),
            beginnings: Vec::new(),
            literal,
            lines,
        };
        group.collect_beginnings(&forms.bytes, Kind::Literal);
        group.collect_beginnings(&forms.bytes, Kind::Lines);
        let literal = &group.literal;
        let are_short =
            (0..literal.len()).all(|index| literal.bytes(&forms.bytes, index).len() <= few::LONGEST);
        if group.lines.len() == 0 && are_short {
            let keys =
                group.beginnings.iter().map(|one| &group.literal.bytes(&forms.bytes, one.keys.start)[..m]);
            group.few = Few::new(keys);
        }
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
        let heads = count.next_power_of_two().max(64);
        self.heads_shift = 64 - heads.trailing_zeros();
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
        self.table = Table::new(found.iter().map(|piece| piece.bytes), self.mask, stride);
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

    /// Finds all forms of the group; ends early at a place from which on the text is undecided.
    pub(super) fn scan(&self, text: &Text<'_>, found: &mut Found) {
        let (bytes, stride) = (text.bytes, self.stride());
        if let Some(few) = &self.few {
            return self.scan_few(few, text, found);
        }
        let mut scan = periodic::Scan::default();
        let mut look = |at| {
            if at + self.q > bytes.len() { Some(bytes.len()) } else { self.look(text, at, &mut scan, found) }
        };
        // The place that is looked at next is the last at which a form can begin that is found there.
        if !self.table.scan(bytes, stride - 1, &mut look) {
            return;
        }
        if text.open {
            self.beginnings_at_the_end(text, found);
        }
    }

    fn scan_few(&self, few: &Few, text: &Text<'_>, found: &mut Found) {
        for candidate in few.candidates(text.bytes) {
            self.judge(text, candidate, found);
            if found.undecided < text.bytes.len() {
                return;
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
        scan.candidates.clear();
        for known in self.pieces_like(piece) {
            if known.bytes == piece && at >= known.offset as usize {
                let at = at - known.offset as usize;
                let beginning = known.beginning as usize;
                if self.stands_at(text, at, beginning) {
                    scan.candidates.push(Candidate { at, beginning });
                }
            }
        }
        if scan.candidates.is_empty() {
            // Most places by far.
            scan.forget();
            return Some(at + self.stride());
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
        // Most differ in their first bytes, and numbers compare faster than slices.
        let differs = key.len() >= 8 && load(text.bytes, at) != load(key, 0);
        !differs && (*kind == Kind::Literal || text.with_lines) && text.bytes[at..].starts_with(key)
    }

    /// Whether a form's first `m` bytes may stand across the place between these bytes. Where `m` bytes do, so do `q`
    /// of them that end there, or begin there, or stand across it themselves.
    pub(super) fn may_begin_across(&self, before: u64, after: u64) -> bool {
        let across = |shift: usize| before >> (8 * shift) | after << (64 - 8 * shift);
        let first = 8 - self.q;
        self.knows(before >> (8 * first))
            || self.knows(after)
            || self.m < 2 * self.q - 1 && (first + 1..8).any(|shift| self.knows(across(shift)))
    }

    /// Whether the first `q` of these bytes are a piece.
    fn knows(&self, bytes: u64) -> bool {
        let piece = bytes & self.mask;
        self.table.may_be(piece) && self.pieces_like(piece).iter().any(|known| known.bytes == piece)
    }

    /// The pieces with the same hash.
    fn pieces_like(&self, piece: u64) -> &[Piece] {
        let head = self.head(piece.wrapping_mul(SPREAD));
        &self.pieces[self.heads[head] as usize..self.heads[head + 1] as usize]
    }

    /// Notes what stands at a candidate's place.
    pub(super) fn judge(&self, text: &Text<'_>, candidate: Candidate, found: &mut Found) {
        let Beginning { kind, keys } = &self.beginnings[candidate.beginning];
        let rest = &text.bytes[candidate.at..];
        if *kind == Kind::Literal {
            found.begun.push(candidate.at..candidate.at + 1);
        }
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
            // The first bytes of every form are a piece.
            if rest.len() >= self.q && !self.table.may_be(load(bytes, *at)) {
                return false;
            }
            self.literal.goes_on(text.arena, rest) || text.with_lines && self.lines.goes_on(text.arena, rest)
        };
        if let Some(at) = (first..bytes.len()).find(begins) {
            found.undecided = found.undecided.min(at);
        }
    }
}

/// Leaves so many bytes of eight.
const fn mask_of(bytes: usize) -> u64 {
    if bytes < 8 { (1 << (8 * bytes)) - 1 } else { u64::MAX }
}

/// Eight bytes at a place; where the text ends sooner, zeros after it.
#[inline]
pub(super) fn load(bytes: &[u8], at: usize) -> u64 {
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
