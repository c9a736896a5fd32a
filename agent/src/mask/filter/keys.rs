//! Forms in order: which of them stands at the beginning of a text, and whether one could still come to stand
//! there when the text goes on.

use std::ops::Range;

use crate::mask::forms::{Form, Forms};

/// No key.
const NONE: u32 = u32::MAX;

/// A form; its bytes stand in the arena that all keys share.
#[derive(Clone, Copy)]
struct Key {
    start: u32,
    length: u32,
    /// How many bytes after it belong to it where they stand there.
    end: u32,
    /// The longest other key that it begins with.
    parent: u32,
    /// The longest key with an end that it begins with, which may be it itself.
    ended: u32,
}

/// Keys in order, so that all with a common beginning stand together.
pub(super) struct Keys {
    sorted: Vec<Key>,
    /// For each first byte, where its keys begin; one more for the end.
    first: Vec<u32>,
}

/// What stands at the beginning of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    /// The length of the longest key that stands there; 0 where none does.
    pub(super) longest: usize,
    /// Whether the whole text is the beginning of a longer key.
    pub(super) open: bool,
}

impl Keys {
    /// Sorts these forms; of equal ones, one stays.
    pub(super) fn new(forms: &Forms, chosen: impl Iterator<Item = Form>) -> Self {
        let mut sortable: Vec<(u128, Form)> = chosen.map(|form| (beginning(forms.of(&form)), form)).collect();
        // Nearly all differ in their first bytes, and numbers compare faster than slices.
        sortable.sort_unstable_by(|(one, a), (other, b)| {
            one.cmp(other).then_with(|| extents(forms, a).cmp(&extents(forms, b)))
        });
        sortable.dedup_by(|(one, a), (other, b)| one == other && extents(forms, a) == extents(forms, b));
        let mut keys = Self { sorted: Vec::with_capacity(sortable.len()), first: Vec::with_capacity(257) };
        let narrow = |number: usize| u32::try_from(number).expect("Masker::add bounds the forms' bytes");
        for (index, (_, form)) in sortable.iter().enumerate() {
            let bytes = forms.of(form);
            let mut parent = if index == 0 { NONE } else { narrow(index - 1) };
            while parent != NONE && !bytes.starts_with(keys.bytes(&forms.bytes, parent as usize)) {
                parent = keys.sorted[parent as usize].parent;
            }
            let (start, length, end) = (narrow(form.start), narrow(form.length), narrow(form.end));
            let before = keys.sorted.get(parent as usize).map_or(NONE, |key| key.ended);
            let ended = if end > 0 { narrow(index) } else { before };
            keys.sorted.push(Key { start, length, end, parent, ended });
        }
        for byte in 0..=256_u128 {
            let before = sortable.partition_point(|(beginning, _)| beginning >> 120 < byte);
            keys.first.push(narrow(before));
        }
        keys
    }

    pub(super) fn len(&self) -> usize {
        self.sorted.len()
    }

    /// The bytes of a key.
    pub(super) fn bytes<'a>(&self, arena: &'a [u8], index: usize) -> &'a [u8] {
        let Key { start, length, .. } = self.sorted[index];
        &arena[start as usize..][..length as usize]
    }

    /// The bytes of a key with its end; of a key without one, nothing.
    pub(super) fn with_end<'a>(&self, arena: &'a [u8], index: usize) -> Option<&'a [u8]> {
        let Key { start, length, end, .. } = *self.sorted.get(index).filter(|key| key.end > 0)?;
        Some(&arena[start as usize..][..(length + end) as usize])
    }

    /// What of these keys stands at the beginning of `rest`.
    pub(super) fn judge(&self, arena: &[u8], range: Range<usize>, rest: &[u8]) -> Verdict {
        let after = range.start + self.place(arena, range.clone(), rest);
        let mut open = after < range.end && self.bytes(arena, after).starts_with(rest);
        // A key that `rest` begins with is the last one before it in order, or one that this one begins with.
        let mut index = if after > range.start { after - 1 } else { NONE as usize };
        while index != NONE as usize && !rest.starts_with(self.bytes(arena, index)) {
            index = self.sorted[index].parent as usize;
        }
        let mut longest = if index == NONE as usize { 0 } else { self.bytes(arena, index).len() };
        // `rest` begins with all that this key begins with, too: the end of a shorter one may reach further.
        while let Some(key) = self.sorted.get(index) {
            if let Some(ended) = self.with_end(arena, key.ended as usize) {
                let stands = rest.starts_with(ended);
                longest = if stands { longest.max(ended.len()) } else { longest };
                open |= !stands && ended.starts_with(rest);
            }
            index = self.sorted.get(key.ended as usize).map_or(NONE, |key| key.parent) as usize;
        }
        Verdict { longest, open }
    }

    /// Whether a key begins with `rest` and goes on after it.
    pub(super) fn goes_on(&self, arena: &[u8], rest: &[u8]) -> bool {
        let first = usize::from(rest[0]);
        let range = self.first[first] as usize..self.first[first + 1] as usize;
        if rest.len() == 1 {
            return !range.is_empty();
        }
        let after = range.start + self.place(arena, range.clone(), rest);
        after < range.end && self.bytes(arena, after).starts_with(rest)
    }

    /// How many of these keys are not greater than `rest`.
    fn place(&self, arena: &[u8], range: Range<usize>, rest: &[u8]) -> usize {
        self.sorted[range].partition_point(|key| &arena[key.start as usize..][..key.length as usize] <= rest)
    }
}

/// What a form is known by.
fn extents<'a>(forms: &'a Forms, form: &Form) -> (&'a [u8], &'a [u8]) {
    let after = &forms.bytes[form.start + form.length..];
    (forms.of(form), &after[..form.end])
}

/// The first bytes as a number that orders as they do.
fn beginning(bytes: &[u8]) -> u128 {
    let mut first = [0; 16];
    let length = bytes.len().min(16);
    first[..length].copy_from_slice(&bytes[..length]);
    u128::from_be_bytes(first)
}
