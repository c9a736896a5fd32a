//! A group with so few beginnings that each is looked for by itself: faster than to look at every place, where
//! they are too short for a stride.

use memchr::memmem::{Finder, FinderBuilder};

use super::group::Candidate;

/// The most beginnings.
pub(super) const MOST: usize = 6;

/// The longest form, in bytes: each place is compared by itself, without the help of `periodic`.
pub(super) const LONGEST: usize = 64;

/// What one beginning costs, of what it costs to look at every place.
pub(super) const COST: f64 = 0.06;

/// Searchers for some beginnings.
pub(super) struct Few {
    finders: Vec<Finder<'static>>,
}

impl Few {
    /// Searchers for these beginnings. There are none where they are many, or where one may stand at every place or
    /// two, since each place found costs much.
    pub(super) fn new<'a>(beginnings: impl ExactSizeIterator<Item = &'a [u8]>) -> Option<Self> {
        if beginnings.len() > MOST {
            return None;
        }
        let finders = beginnings.map(|beginning| {
            let finder = FinderBuilder::new().build_forward(beginning).into_owned();
            (!overlaps_itself(beginning)).then_some(finder)
        });
        Some(Self { finders: finders.collect::<Option<_>>()? })
    }

    /// Where they stand, in order.
    pub(super) fn candidates<'a>(&'a self, text: &'a [u8]) -> impl Iterator<Item = Candidate> + 'a {
        let next = move |beginning: usize, from: usize| {
            let at = self.finders[beginning].find(&text[from..])? + from;
            Some(Candidate { at, beginning })
        };
        let mut waiting: Vec<Candidate> =
            (0..self.finders.len()).filter_map(|beginning| next(beginning, 0)).collect();
        std::iter::from_fn(move || {
            let (index, first) =
                waiting.iter().copied().enumerate().min_by_key(|(_, candidate)| candidate.at)?;
            match next(first.beginning, first.at + 1) {
                Some(candidate) => waiting[index] = candidate,
                None => drop(waiting.swap_remove(index)),
            }
            Some(first)
        })
    }
}

/// Whether a second occurrence may begin in the first half of one.
fn overlaps_itself(bytes: &[u8]) -> bool {
    (1..=bytes.len() / 2).any(|period| bytes[period..] == bytes[..bytes.len() - period])
}

#[cfg(test)]
mod tests {
    use super::Few;

    #[test]
    fn places_come_in_order_and_overlap() {
        let few = Few::new([b"abca".as_slice(), b"cab#"].into_iter()).expect("two are few");
        let found: Vec<_> = few.candidates(b"abcabca cab#").map(|one| (one.at, one.beginning)).collect();
        assert_eq!(found, [(0, 0), (3, 0), (8, 1)]);
    }

    #[test]
    fn what_may_stand_at_every_place_is_not_looked_for_here() {
        assert!(Few::new([b"aaaa".as_slice()].into_iter()).is_none());
        assert!(Few::new([b"abab".as_slice()].into_iter()).is_none());
    }
}
