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
    /// The longest other key that it begins with.
    parent: u32,
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
            one.cmp(other).then_with(|| forms.of(a).cmp(forms.of(b)))
        });
        sortable.dedup_by(|(one, a), (other, b)| one == other && forms.of(a) == forms.of(b));
        let mut keys = Self { sorted: Vec::with_capacity(sortable.len()), first: Vec::with_capacity(257) };
        let narrow = |number: usize| u32::try_from(number).expect("Masker::add bounds the forms' bytes");
        for (index, (_, form)) in sortable.iter().enumerate() {
            let bytes = forms.of(form);
            let mut parent = if index == 0 { NONE } else { narrow(index - 1) };
            while parent != NONE && !bytes.starts_with(keys.bytes(&forms.bytes, parent as usize)) {
                parent = keys.sorted[parent as usize].parent;
            }
            keys.sorted.push(Key { start: narrow(form.start), length: narrow(form.length), parent });
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

    /// What of these keys stands at the beginning of `rest`.
    pub(super) fn judge(&self, arena: &[u8], range: Range<usize>, rest: &[u8]) -> Verdict {
        let after = range.start + self.place(arena, range.clone(), rest);
        let open = after < range.end && self.bytes(arena, after).starts_with(rest);
        let mut longest = 0;
        // A key that `rest` begins with is the last one before it in order, or one that this one begins with.
        let mut index = if after > range.start { after - 1 } else { NONE as usize };
        while index != NONE as usize {
            let key = self.bytes(arena, index);
            if rest.starts_with(key) {
                longest = key.len();
                break;
            }
            index = self.sorted[index].parent as usize;
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

/// The first bytes as a number that orders as they do.
fn beginning(bytes: &[u8]) -> u128 {
    let mut first = [0; 16];
    let length = bytes.len().min(16);
    first[..length].copy_from_slice(&bytes[..length]);
    u128::from_be_bytes(first)
}
