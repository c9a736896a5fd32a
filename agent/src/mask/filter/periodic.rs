//! Where candidates are dense: a run of text with a short period, in which a form that has that period itself may
//! begin at every place. Comparing at each would take the square of its length; here each form is compared once.
//!
//! In a run, places that lie a period apart see the same text, up to the run's end. So a form that has the run's
//! period throughout stands at all of them that leave it room, and these places overlap: they are one. A form
//! that leaves the period after `t` bytes can stand only where the run has exactly `t` bytes left.

use super::group::{Candidate, Group};
use super::{Found, Text};
use crate::mask::forms::Kind;
use crate::mask::gap;

/// A run shorter than this is dealt with place by place.
const SHORTEST: usize = 48;

/// What a scan remembers from place to place.
#[derive(Default)]
pub(super) struct Scan {
    /// What was found at the place that is looked at.
    pub(super) candidates: Vec<Candidate>,
    last: Option<Candidate>,
}

/// `start..end` of a text repeats itself every `period` bytes.
pub(super) struct Run {
    start: usize,
    end: usize,
    period: usize,
}

impl Scan {
    /// Nothing was found at the place that is looked at.
    pub(super) fn forget(&mut self) {
        self.last = None;
    }

    /// The run around the place `at`, if the candidates there come at a short period.
    pub(super) fn run(&mut self, group: &Group, text: &[u8], at: usize) -> Option<Run> {
        let before = std::mem::replace(&mut self.last, self.candidates.last().copied());
        let first = self.candidates.first()?;
        let second = self.candidates[1..].iter().find(|other| other.beginning == first.beginning);
        let other = second.copied().or(before.filter(|other| other.beginning == first.beginning))?;
        let period = first.at.abs_diff(other.at);
        if period == 0 || period > group.stride() {
            return None;
        }
        let start = at + 1 - group.stride();
        let end = repeats_until(text, start, period);
        (end - start >= SHORTEST + group.m + period).then_some(Run { start, end, period })
    }
}

/// Where the text that begins at `start` stops to repeat itself.
fn repeats_until(text: &[u8], start: usize, period: usize) -> usize {
    const AT_ONCE: usize = 64;
    let mut end = (start + period).min(text.len());
    while end + AT_ONCE <= text.len()
        && text[end..end + AT_ONCE] == text[end - period..end - period + AT_ONCE]
    {
        end += AT_ONCE;
    }
    while end < text.len() && text[end] == text[end - period] {
        end += 1;
    }
    end
}

/// How many bytes two texts begin with in common.
fn in_common(one: &[u8], other: &[u8]) -> usize {
    const AT_ONCE: usize = 64;
    let pairs = one.chunks(AT_ONCE).zip(other.chunks(AT_ONCE));
    let same = pairs.take_while(|(one, other)| one == other).map(|(one, _)| one.len()).sum::<usize>();
    let rest = one[same..].iter().zip(&other[same..]);
    same + rest.take_while(|(one, other)| one == other).count()
}

impl Run {
    /// Notes all that begins in the run and has its first `m` bytes there; gives the place to look at next. The
    /// candidates are those of the run's first places, of which there are at least as many as its period is long.
    pub(super) fn find(&self, group: &Group, text: &Text<'_>, scan: &Scan, found: &mut Found) -> usize {
        found.begun.push(self.start..self.end);
        let folds = text.bytes[self.start..self.start + self.period].iter().any(|byte| gap::begins(*byte));
        let places = (self.end - self.start) / self.period;
        let forms = |candidate: &Candidate| group.beginning(candidate.beginning).keys.len();
        for candidate in scan.candidates.iter().filter(|one| one.at < self.start + self.period) {
            match group.beginning(candidate.beginning).kind {
                // Lines are not compared byte for byte here: each place by itself.
                Kind::Lines if folds => self.find_each(group, text, *candidate, found),
                _ if forms(candidate) > places => self.find_each(group, text, *candidate, found),
                _ => self.find_one(group, text, *candidate, found),
            }
        }
        self.end - group.q + 1
    }

    /// Place by place.
    fn find_each(&self, group: &Group, text: &Text<'_>, candidate: Candidate, found: &mut Found) {
        for at in (candidate.at..=self.end - group.m).step_by(self.period) {
            group.judge(text, Candidate { at, ..candidate }, found);
        }
    }

    /// Form by form.
    fn find_one(&self, group: &Group, text: &Text<'_>, candidate: Candidate, found: &mut Found) {
        let beginning = group.beginning(candidate.beginning);
        let keys = group.keys(beginning.kind);
        let run = &text.bytes[candidate.at..self.end];
        let ends_with_text = self.end == text.bytes.len();
        // A place in step with the candidate, at or after it, of those that leave at most `room` bytes.
        let first_with = |room: usize| {
            let skipped = run.len().saturating_sub(room);
            candidate.at + skipped.next_multiple_of(self.period)
        };
        for index in beginning.keys.clone() {
            let ends = [Some(keys.bytes(text.arena, index)), keys.with_end(text.arena, index)];
            for key in ends.into_iter().flatten() {
                let common = in_common(key, run);
                if common == key.len() {
                    let steps = (run.len() - key.len()) / self.period;
                    found.places.push(candidate.at..candidate.at + steps * self.period + key.len());
                }
                // Where the run has just as many bytes left as the form shares with it, it may stand; where the
                // text ends there, it may come to stand at every later place too, of which the first counts.
                let room = if common == key.len() { key.len() - 1 } else { common };
                let at = first_with(room);
                let fits = self.end >= at + group.m && (ends_with_text || self.end - at == room);
                if fits && (common < key.len() || ends_with_text) {
                    group.judge(text, Candidate { at, ..candidate }, found);
                }
            }
        }
    }
}
