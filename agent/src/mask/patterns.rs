//! The immutable set of byte strings to hide: where they stand in a text, and where a text's end could still
//! become one.

use std::ops::Range;

use aho_corasick::AhoCorasick;

/// A set of patterns, ready to search.
#[derive(Default)]
pub(super) struct Patterns {
    /// Sorted, so that all patterns with a common beginning stand together.
    values: Vec<Vec<u8>>,
    longest: usize,
    begins: FirstBytes,
    /// `None` where there is nothing to find.
    automaton: Option<AhoCorasick>,
}

/// Which bytes a pattern can begin with.
struct FirstBytes([bool; 256]);

impl Default for FirstBytes {
    fn default() -> Self {
        Self([false; 256])
    }
}

impl Patterns {
    /// Builds the set; no value is empty.
    pub(super) fn new(mut values: Vec<Vec<u8>>) -> Self {
        values.sort_unstable();
        let mut begins = FirstBytes::default();
        for value in &values {
            begins.0[usize::from(value[0])] = true;
        }
        let longest = values.iter().map(Vec::len).max().unwrap_or(0);
        let automaton = (!values.is_empty())
            .then(|| AhoCorasick::new(&values).expect("the patterns are smaller than the automaton's limit"));
        Self { values, longest, begins, automaton }
    }

    pub(super) fn values(&self) -> &[Vec<u8>] {
        &self.values
    }

    /// The places of all patterns, those that overlap joined into one; in order.
    pub(super) fn find(&self, text: &[u8]) -> Vec<Range<usize>> {
        let Some(automaton) = &self.automaton else { return Vec::new() };
        let mut found: Vec<Range<usize>> =
            automaton.find_overlapping_iter(text).map(|hit| hit.start()..hit.end()).collect();
        found.sort_unstable_by_key(|place| place.start);
        let mut joined: Vec<Range<usize>> = Vec::with_capacity(found.len());
        for place in found {
            match joined.last_mut() {
                Some(last) if place.start < last.end => last.end = last.end.max(place.end),
                _ => joined.push(place),
            }
        }
        joined
    }

    /// Where the longest end of `text` that a pattern could begin with starts; the text's length if none does.
    pub(super) fn undecided_from(&self, text: &[u8]) -> usize {
        let earliest = text.len().saturating_sub(self.longest.saturating_sub(1));
        (earliest..text.len())
            .find(|&at| self.begins.0[usize::from(text[at])] && self.longer_than(&text[at..]))
            .unwrap_or(text.len())
    }

    /// Whether a pattern begins with `beginning` and goes on after it.
    fn longer_than(&self, beginning: &[u8]) -> bool {
        let after = self.values.partition_point(|value| value.as_slice() <= beginning);
        self.values.get(after).is_some_and(|value| value.starts_with(beginning))
    }
}
