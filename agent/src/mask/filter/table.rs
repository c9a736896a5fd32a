//! The table that most of a text is looked up in, and nothing else: some bits for each known piece of `q` bytes.

#[cfg(target_arch = "x86_64")]
use fearless_simd::prelude::*;
#[cfg(target_arch = "x86_64")]
use fearless_simd::{Avx512, Level, u8x64};

use super::group::load;

/// Places that are looked up before anything depends on the answers.
const AT_ONCE: usize = 8;

/// An odd number without pattern (the golden ratio's): it spreads `q` bytes over the upper bits of a product.
pub(super) const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// The sizes that a table may have, in words, and the most pieces for each but the last: one for the fastest cache,
/// where they have much room, and one for each slower one. They are known when this is compiled, so that no lookup has
/// a bound to check. One in some hundred places is looked at in vain, and mostly far fewer.
const SIZES: [(usize, usize); 5] =
    [(1 << 12, 8_000), (1 << 13, 22_000), (1 << 15, 175_000), (1 << 18, 1_400_000), (1 << 21, usize::MAX)];

/// What is done at a place; see [`Table::scan`].
pub(super) type Look<'a> = dyn FnMut(usize) -> Option<usize> + 'a;

/// Three bits for each piece, in the same word.
#[derive(Default)]
pub(super) struct Table {
    bits: Vec<u64>,
    shift: u32,
    /// Leaves `q` bytes of eight.
    mask: u64,
    stride: usize,
}

impl Table {
    pub(super) fn new(pieces: impl ExactSizeIterator<Item = u64>, mask: u64, stride: usize) -> Self {
        let mut sizes = SIZES.into_iter().filter(|(_, most)| pieces.len() <= *most);
        let words = sizes.next().map_or(0, |(words, _)| words);
        let shift = 64 - words.trailing_zeros();
        let mut bits = vec![0; words];
        for piece in pieces {
            let hash = piece.wrapping_mul(SPREAD);
            bits[(hash >> shift) as usize] |= marks(hash);
        }
        Self { bits, shift, mask, stride }
    }

    /// Has a look at each place, `at` or a number of strides after it, where a known piece may stand: it gives the place
    /// to go on at, or nothing. `false`: it gave nothing.
    pub(super) fn scan(&self, bytes: &[u8], at: usize, look: &mut Look<'_>) -> bool {
        // With these instructions the places of a group are looked up side by side.
        #[cfg(target_arch = "x86_64")]
        {
            let level = Level::new();
            if let Some(avx512) = level.as_avx512() {
                return avx512.vectorize(
                    #[inline(always)]
                    || self.scan_in_groups(avx512, bytes, at, look),
                );
            }
            if let Some(avx2) = level.as_avx2() {
                return avx2.vectorize(
                    #[inline(always)]
                    || self.scan_in_groups(OneByOne, bytes, at, look),
                );
            }
        }
        self.scan_in_groups(OneByOne, bytes, at, look)
    }

    #[inline(always)]
    fn scan_in_groups(&self, loads: impl Loads, bytes: &[u8], at: usize, look: &mut Look<'_>) -> bool {
        match self.bits.len() {
            0x1000 => self.scan_with::<0x1000>(loads, bytes, at, look),
            0x2000 => self.scan_with::<0x2000>(loads, bytes, at, look),
            0x8000 => self.scan_with::<0x8000>(loads, bytes, at, look),
            0x4_0000 => self.scan_with::<0x4_0000>(loads, bytes, at, look),
            _ => self.scan_with::<0x20_0000>(loads, bytes, at, look),
        }
    }

    /// As [`Table::scan`], for a table of so many words.
    #[inline(always)]
    fn scan_with<const WORDS: usize>(
        &self,
        loads: impl Loads,
        bytes: &[u8],
        at: usize,
        look: &mut Look<'_>,
    ) -> bool {
        macro_rules! strides {
            ($($stride:literal)*) => {
                match self.stride {
                    $($stride => self.scan_at::<$stride, WORDS>(loads, bytes, at, look),)*
                    // A form that is not looked for would be shown.
                    other => unreachable!("no beginning is long enough for a stride of {other}"),
                }
            };
        }
        strides!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21)
    }

    /// As [`Table::scan`], for such a stride, too.
    #[inline(always)]
    fn scan_at<const STRIDE: usize, const WORDS: usize>(
        &self,
        loads: impl Loads,
        bytes: &[u8],
        mut at: usize,
        look: &mut Look<'_>,
    ) -> bool {
        let bits = self.bits.first_chunk().expect("as many words as that");
        loop {
            at = self.skip::<STRIDE, WORDS>(loads, bits, bytes, at);
            while at < bytes.len() && !self.may_be(load(bytes, at)) {
                at += STRIDE;
            }
            if at >= bytes.len() {
                return true;
            }
            match look(at) {
                Some(next) => at = next,
                None => return false,
            }
        }
    }

    /// Skips places in groups; gives the first one of a group in which one may be worth a look, or of the last, short one.
    #[inline(always)]
    fn skip<const STRIDE: usize, const WORDS: usize>(
        &self,
        loads: impl Loads,
        bits: &[u64; WORDS],
        bytes: &[u8],
        mut at: usize,
    ) -> usize {
        let mask = self.mask;
        while let Some(group) = loads.group::<STRIDE>(bytes, at) {
            let mut any = false;
            for eight in group {
                let hash = (eight & mask).wrapping_mul(SPREAD);
                let word = bits[(hash >> (64 - WORDS.trailing_zeros())) as usize];
                let marks = marks(hash);
                any |= word & marks == marks;
            }
            if any {
                break;
            }
            at += AT_ONCE * STRIDE;
        }
        at
    }

    /// Whether all bits of these bytes are set.
    #[inline]
    pub(super) fn may_be(&self, bytes: u64) -> bool {
        let hash = (bytes & self.mask).wrapping_mul(SPREAD);
        let marks = marks(hash);
        self.bits[(hash >> self.shift) as usize] & marks == marks
    }
}

/// How the bytes at a group's places come from the text.
trait Loads: Copy {
    /// Eight bytes at each of the places, `at` and in strides after it; `None` where the text ends too soon for that.
    fn group<const STRIDE: usize>(self, bytes: &[u8], at: usize) -> Option<[u64; AT_ONCE]>;
}

/// One after another.
#[derive(Clone, Copy)]
struct OneByOne;

impl Loads for OneByOne {
    #[inline(always)]
    fn group<const STRIDE: usize>(self, bytes: &[u8], at: usize) -> Option<[u64; AT_ONCE]> {
        let window = bytes.get(at..at + (AT_ONCE - 1) * STRIDE + 8)?;
        let mut group = [0; AT_ONCE];
        for (index, eight) in group.iter_mut().enumerate() {
            *eight = eight_at(window, index * STRIDE);
        }
        Some(group)
    }
}

/// So many bytes of a text are at hand for one of these instructions.
#[cfg(target_arch = "x86_64")]
const AT_HAND: usize = 128;

#[cfg(target_arch = "x86_64")]
impl Loads for Avx512 {
    #[inline(always)]
    fn group<const STRIDE: usize>(self, bytes: &[u8], at: usize) -> Option<[u64; AT_ONCE]> {
        if (AT_ONCE - 1) * STRIDE + 8 > AT_HAND {
            return OneByOne.group::<STRIDE>(bytes, at);
        }
        let (first, second) = bytes.get(at..at + AT_HAND)?.split_at(AT_HAND / 2);
        let (first, second) = (u8x64::from_slice(self, first), u8x64::from_slice(self, second));
        let places = u8x64::from_slice(self, const { &places::<STRIDE>() });
        let picked: [u8; 8 * AT_ONCE] = first.concat_swizzle_dyn(second, places).into();
        let mut group = [0; AT_ONCE];
        for (index, eight) in group.iter_mut().enumerate() {
            *eight = eight_at(&picked, index * 8);
        }
        Some(group)
    }
}

/// Where the bytes of a group stand.
#[cfg(target_arch = "x86_64")]
const fn places<const STRIDE: usize>() -> [u8; 8 * AT_ONCE] {
    let mut places = [0; 8 * AT_ONCE];
    let mut index = 0;
    while index < places.len() {
        places[index] = (index / 8 * STRIDE + index % 8) as u8;
        index += 1;
    }
    places
}

/// Eight bytes that are there: nothing here can panic, so nothing has to be kept for that in the innermost loop.
#[inline(always)]
fn eight_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes.get(at..).and_then(<[u8]>::first_chunk).copied().unwrap_or_default())
}

/// Three of the 64 bits of a word.
#[inline]
fn marks(hash: u64) -> u64 {
    // The upper bits choose the word; these are others, and still depend on four bytes.
    1 << ((hash >> 36) & 63) | 1 << ((hash >> 30) & 63) | 1 << ((hash >> 24) & 63)
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::{prop_assert_eq, proptest};

    use super::super::group::load;
    use super::Table;

    proptest! {
        #[test]
        fn every_place_that_may_be_one_is_looked_at_and_no_other(
            text in vec(0..4_u8, 0..600),
            pieces in vec(vec(0..4_u8, 4), 1..40),
            stride in 1..=21_usize,
            first in 0..30_usize,
        ) {
            let mask = u64::from(u32::MAX);
            let table = Table::new(pieces.iter().map(|piece| load(piece, 0)), mask, stride);
            let wanted: Vec<usize> =
                (first..text.len()).step_by(stride).filter(|at| table.may_be(load(&text, *at))).collect();
            let mut seen = Vec::new();
            let whole = table.scan(&text, first, &mut |at| {
                seen.push(at);
                Some(at + stride)
            });
            prop_assert_eq!((&seen, whole), (&wanted, true));
            // Where a look gives nothing, that is the last one.
            let mut looks = 0;
            let whole = table.scan(&text, first, &mut |_| {
                looks += 1;
                None
            });
            prop_assert_eq!((looks, whole), (wanted.len().min(1), wanted.is_empty()));
        }
    }
}
