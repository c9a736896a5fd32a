//! The table that most of a text is looked up in, and nothing else: some bits for each known piece of `q` bytes.

#[cfg(target_arch = "x86_64")]
use fearless_simd::{Level, Simd as _};

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
                    || self.scan_in_groups(bytes, at, look),
                );
            }
            if let Some(avx2) = level.as_avx2() {
                return avx2.vectorize(
                    #[inline(always)]
                    || self.scan_in_groups(bytes, at, look),
                );
            }
        }
        self.scan_in_groups(bytes, at, look)
    }

    #[inline(always)]
    fn scan_in_groups(&self, bytes: &[u8], at: usize, look: &mut Look<'_>) -> bool {
        match self.bits.len() {
            0x1000 => self.scan_with::<0x1000>(bytes, at, look),
            0x2000 => self.scan_with::<0x2000>(bytes, at, look),
            0x8000 => self.scan_with::<0x8000>(bytes, at, look),
            0x4_0000 => self.scan_with::<0x4_0000>(bytes, at, look),
            _ => self.scan_with::<0x20_0000>(bytes, at, look),
        }
    }

    /// As [`Table::scan`], for a table of so many words.
    #[inline(always)]
    fn scan_with<const WORDS: usize>(&self, bytes: &[u8], at: usize, look: &mut Look<'_>) -> bool {
        let Some(bits) = self.bits.first_chunk() else { return true };
        macro_rules! strides {
            ($($stride:literal)*) => {
                match self.stride {
                    $($stride => self.scan_at::<$stride, WORDS>(bits, bytes, at, look),)*
                    _ => true,
                }
            };
        }
        strides!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21)
    }

    /// As [`Table::scan`], for such a stride, too.
    #[inline(always)]
    fn scan_at<const STRIDE: usize, const WORDS: usize>(
        &self,
        bits: &[u64; WORDS],
        bytes: &[u8],
        mut at: usize,
        look: &mut Look<'_>,
    ) -> bool {
        loop {
            at = self.skip::<STRIDE, WORDS>(bits, bytes, at);
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
        bits: &[u64; WORDS],
        bytes: &[u8],
        mut at: usize,
    ) -> usize {
        let mask = self.mask;
        while let Some(window) = bytes.get(at..at + (AT_ONCE - 1) * STRIDE + 8) {
            let mut any = false;
            for index in 0..AT_ONCE {
                // Nothing here can panic, so nothing has to be kept for that: it is the innermost loop.
                let eight =
                    window.get(index * STRIDE..).and_then(<[u8]>::first_chunk).copied().unwrap_or_default();
                let hash = (u64::from_le_bytes(eight) & mask).wrapping_mul(SPREAD);
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

/// Three of the 64 bits of a word.
#[inline]
fn marks(hash: u64) -> u64 {
    // The upper bits choose the word; these are others, and still depend on four bytes.
    1 << ((hash >> 36) & 63) | 1 << ((hash >> 30) & 63) | 1 << ((hash >> 24) & 63)
}
