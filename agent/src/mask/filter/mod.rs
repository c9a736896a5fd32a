//! The immutable set of forms to hide: where they stand in a text, and from where on a text is undecided.
//!
//! `group` is the filter that finds candidates, `keys` compares there, `folded` compares forms of several lines,
//! `periodic` takes over where candidates are dense, `wrapped` puts codes together that were cut into lines, whose ends
//! `strangers` knows.

mod few;
mod folded;
mod group;
mod keys;
mod periodic;
mod strangers;
mod table;
mod wrapped;

use std::ops::Range;

use super::forms::{Form, Forms, Kind};

use group::Group;
pub(super) use strangers::run_at_end;

/// A set of forms, ready to search.
#[derive(Default)]
pub(super) struct Patterns {
    arena: Vec<u8>,
    groups: Vec<Group>,
}

/// A text to search.
#[derive(Clone, Copy)]
struct Text<'a> {
    bytes: &'a [u8],
    /// The bytes of all forms.
    arena: &'a [u8],
    /// Whether more may come after it.
    open: bool,
    /// Whether forms of several lines are looked for.
    with_lines: bool,
}

/// What a search has found.
pub(super) struct Found {
    /// Where forms stand. After [`Patterns::find`] in order, those that overlap joined into one.
    pub(super) places: Vec<Range<usize>>,
    /// Where the longest end of the text begins that a form could begin with; the text's length if none does.
    /// Forms that begin after it are not looked for.
    pub(super) undecided: usize,
    /// Where literal forms may begin, since their first bytes stand there.
    begun: Vec<Range<usize>>,
}

impl Found {
    pub(super) fn new(undecided: usize) -> Self {
        Self { places: Vec::new(), undecided, begun: Vec::new() }
    }

    /// Whether a literal form may begin there. Asked when `begun` is a union.
    fn has_begun_in(&self, range: Range<usize>) -> bool {
        let first = self.begun.partition_point(|begun| begun.end <= range.start);
        self.begun.get(first).is_some_and(|begun| begun.start < range.end)
    }
}

impl Patterns {
    /// Builds the set.
    pub(super) fn new(forms: Forms) -> Self {
        let mut by_length: Vec<(usize, Form)> =
            forms.all.iter().map(|form| (rigid(&forms, form), form.clone())).collect();
        by_length.sort_unstable_by_key(|(length, _)| *length);
        let [first, second] = split(&by_length);
        let parts = [&by_length[..first], &by_length[first..second], &by_length[second..]];
        let groups = parts.into_iter().filter(|part| !part.is_empty()).map(|part| {
            let (m, q) = sizes(part);
            let chosen: Vec<Form> = part.iter().map(|(_, form)| form.clone()).collect();
            Group::new(&forms, &chosen, m, q)
        });
        let groups = groups.collect();
        let mut arena = forms.bytes;
        arena.shrink_to_fit();
        Self { arena, groups }
    }

    /// How many different forms there are.
    pub(super) fn len(&self) -> usize {
        self.groups.iter().map(Group::len).sum()
    }

    /// Gives the bytes of each form.
    pub(super) fn each(&self, mut give: impl FnMut(&[u8])) {
        for keys in self.groups.iter().flat_map(|group| [group.keys(Kind::Literal), group.keys(Kind::Lines)])
        {
            (0..keys.len()).for_each(|index| give(keys.bytes(&self.arena, index)));
        }
    }

    /// Finds all forms in a text before which `run_before` bytes of a code's alphabet stood.
    pub(super) fn find(&self, bytes: &[u8], run_before: usize, open: bool) -> Found {
        let mut found = Found::new(bytes.len());
        let text = Text { bytes, arena: &self.arena, open, with_lines: true };
        if self.groups.is_empty() {
            return found;
        }
        self.find_literal(&text, &mut found);
        found.begun = union(std::mem::take(&mut found.begun));
        self.find_wrapped(&text, run_before, &mut found);
        found.places = union(found.places);
        found
    }

    fn find_literal(&self, text: &Text<'_>, found: &mut Found) {
        let mut undecided = found.undecided;
        for group in &self.groups {
            // Each group ends at its own first undecided place.
            found.undecided = text.bytes.len();
            group.scan(text, found);
            undecided = undecided.min(found.undecided);
        }
        found.undecided = undecided;
    }
}

/// Ranges in order, those that overlap joined into one.
fn union(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.sort_unstable_by_key(|range| range.start);
    let mut joined: Vec<Range<usize>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match joined.last_mut() {
            Some(last) if range.start < last.end => last.end = last.end.max(range.end),
            _ => joined.push(range),
        }
    }
    joined
}

/// How many bytes of a form are compared as they are: up to its first gap.
fn rigid(forms: &Forms, form: &Form) -> usize {
    let bytes = forms.of(form);
    match form.kind {
        Kind::Literal => bytes.len(),
        Kind::Lines => memchr::memchr(b'\n', bytes).unwrap_or(bytes.len()),
    }
}

/// Above this length a longer beginning makes nothing faster, and the index larger.
const LONGEST_BEGINNING: usize = 24;

/// The shortest length of a group, and how many bytes of it are looked at: few, so that strides are long, but
/// enough that ordinary text seldom holds them.
fn sizes(part: &[(usize, Form)]) -> (usize, usize) {
    let m = part[0].0.min(LONGEST_BEGINNING);
    let q = match part.len() {
        0..=4096 => 4,
        _ => 5,
    };
    (m, q.min(m))
}

/// Where to split forms, in order of their length, into up to three groups: each place that is looked at costs the
/// same, so few places are best.
fn split(by_length: &[(usize, Form)]) -> [usize; 2] {
    let cost = |part: &[(usize, Form)]| {
        if part.is_empty() {
            return 0.0;
        }
        if part.len() <= few::MOST {
            return few::COST * part.len() as f64;
        }
        let (m, q) = sizes(part);
        // A small index stays in the fastest cache.
        let place = if part.len() < 2500 { 0.8 } else { 1.0 };
        place / (m - q + 1) as f64
    };
    let places: Vec<usize> = std::iter::once(0)
        .chain((5..=LONGEST_BEGINNING).map(|length| by_length.partition_point(|(other, _)| *other < length)))
        .collect();
    let mut best = (cost(by_length), [0, 0]);
    for (index, first) in places.iter().enumerate() {
        for second in &places[index..] {
            let parts = [&by_length[..*first], &by_length[*first..*second], &by_length[*second..]];
            let all = parts.into_iter().map(cost).sum();
            if all < best.0 {
                best = (all, [*first, *second]);
            }
        }
    }
    best.1
}
