//! Where in a text runs of a code's alphabet end and begin: a bit for each byte that is of none, made for the whole text
//! at once in the widest instructions of the machine, so that every later question is one of whole words.

use fearless_simd::prelude::*;
use fearless_simd::{Level, dispatch, u8x16, u8x64};

/// The narrowest width that codes are cut at, in bytes (`mask-forms.md`).
pub(super) const NARROWEST: usize = 48;

/// The alphabets of base64, base64url and hex.
const ALPHABET: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        let b = byte as u8;
        table[byte] = b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'-' | b'_');
        byte += 1;
    }
    table
};

pub(super) fn is_of_code(byte: u8) -> bool {
    ALPHABET[usize::from(byte)]
}

/// How many bytes of an alphabet stand at the end of a text, as far as that matters.
pub(in crate::mask) fn run_at_end(text: &[u8]) -> usize {
    text.iter().rev().take(NARROWEST).take_while(|byte| is_of_code(**byte)).count()
}

/// A bit for each byte of a text: whether it is of no alphabet. Bits after the text's end are set.
pub(super) struct Strangers {
    words: Vec<u64>,
    length: usize,
}

impl Strangers {
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self { words: dispatch!(Level::new(), simd => strangers_in(simd, bytes)), length: bytes.len() }
    }

    /// The first one at or after a place; the text's end where there is none.
    pub(super) fn first_from(&self, at: usize) -> usize {
        let mut index = at / WORD;
        let mut word = self.words.get(index).map_or(0, |word| word >> (at % WORD) << (at % WORD));
        while word == 0 {
            index += 1;
            match self.words.get(index) {
                Some(next) => word = *next,
                None => return self.length,
            }
        }
        (index * WORD + word.trailing_zeros() as usize).min(self.length)
    }

    /// Where the run begins that ends at a place.
    pub(super) fn run_before(&self, end: usize) -> usize {
        let mut index = end / WORD;
        let mut word = self.words.get(index).map_or(0, |word| word & !(u64::MAX << (end % WORD)));
        while word == 0 {
            match index.checked_sub(1) {
                Some(before) => (index, word) = (before, self.words[before]),
                None => return 0,
            }
        }
        index * WORD + word.ilog2() as usize + 1
    }

    /// The end of the first run that is as long as the narrowest line and ends at or after `from`, before which `run`
    /// bytes of an alphabet stood. A run that the text ends in has no end.
    pub(super) fn end_of_long_run(&self, from: usize, run: usize) -> Option<usize> {
        let (first, off) = (from / WORD, from % WORD);
        // Where the word begins the run would have been that much shorter.
        let mut run = run.cast_signed() - off.cast_signed();
        let mut keep = u64::MAX << off;
        let words = self.words.get(first..).unwrap_or_default();
        for (index, word) in (first..).zip(words) {
            let strangers = word & keep;
            keep = u64::MAX;
            let next = strangers.trailing_zeros() as usize;
            if run + next.cast_signed() >= NARROWEST.cast_signed() && strangers != 0 {
                return Some(index * WORD + next).filter(|end| *end < self.length);
            }
            // Nearly never.
            if strangers & MIDDLE == 0 {
                if strangers == 0 {
                    run += WORD.cast_signed();
                    continue;
                }
                if let Some(end) = end_within(strangers) {
                    return Some(index * WORD + end).filter(|end| *end < self.length);
                }
            }
            run = strangers.leading_zeros() as isize;
        }
        None
    }
}

/// As many bytes as a number has bits.
const WORD: usize = 64;

/// How many bytes of a word a long run leaves on both sides of its middle, at most.
const SIDE: u32 = (WORD - NARROWEST) as u32;

/// What a long run covers that begins and ends in a word.
const MIDDLE: u64 = u64::MAX << SIDE >> (2 * SIDE) << SIDE;

/// Where in a word a long run ends that begins in it, too. A bit is a byte of no alphabet; the middle has none.
fn end_within(strangers: u64) -> Option<usize> {
    let last_before = (strangers & !(u64::MAX << SIDE)).checked_ilog2()? as usize;
    let next = (strangers >> SIDE << SIDE).trailing_zeros() as usize;
    (next < WORD && next - last_before > NARROWEST).then_some(next)
}

#[inline(always)]
fn strangers_in<S: Simd>(simd: S, bytes: &[u8]) -> Vec<u64> {
    let (whole, rest) = bytes.as_chunks();
    let mut words = vec![u64::MAX; whole.len() + 1];
    // No closure: it would be compiled for every machine.
    for (strangers, word) in words.iter_mut().zip(whole) {
        *strangers = strangers_of(simd, word);
    }
    let mut last = [b' '; WORD];
    last[..rest.len()].copy_from_slice(rest);
    words[whole.len()] = strangers_of(simd, &last);
    words
}

/// For each lower half of a byte, the classes of upper halves with which it is of an alphabet; and each upper half's class.
/// So two looks at sixteen bytes tell what a byte is, however many signs there are.
const HALVES: ([u8; 16], [u8; 16]) = {
    let (mut lower, mut upper) = ([0; 16], [0; 16]);
    let mut class = 0;
    let mut half = 0;
    while half < 8 {
        let mut any = false;
        let mut other = 0;
        while other < 16 {
            if ALPHABET[half * 16 + other] {
                lower[other] |= 1 << class;
                any = true;
            }
            other += 1;
        }
        if any {
            upper[half] = 1 << class;
            class += 1;
        }
        half += 1;
    }
    (lower, upper)
};

#[inline(always)]
fn strangers_of<S: Simd>(simd: S, word: &[u8; WORD]) -> u64 {
    let bytes = u8x64::from_slice(simd, word);
    let lower = u8x64::block_splat(u8x16::from_slice(simd, &HALVES.0));
    let upper = u8x64::block_splat(u8x16::from_slice(simd, &HALVES.1));
    let lower = lower.swizzle_dyn_within_blocks(bytes & 0x0f);
    let upper = upper.swizzle_dyn_within_blocks(bytes >> 4);
    (lower & upper).simd_eq(0).to_bitmask()
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::{Strategy, prop_oneof};
    use proptest::{prop_assert_eq, proptest};

    use super::{NARROWEST, Strangers, is_of_code};

    /// Runs and gaps of all lengths that matter, across words.
    fn text() -> impl Strategy<Value = Vec<u8>> {
        let part = prop_oneof![
            "[a-zA-Z0-9+/_-]{0,70}",
            "[ \n=]{1,3}",
            "[a-z]{47,49}",
            "[@\\[`{.,:]{1}",
            "\\PC{0,3}"
        ];
        vec(part, 0..8).prop_map(|parts| parts.concat().into_bytes())
    }

    /// As [`Strangers::end_of_long_run`], byte by byte.
    fn end_of_long_run(bytes: &[u8], from: usize, mut run: usize) -> Option<usize> {
        for (at, byte) in bytes.iter().enumerate().skip(from) {
            if !is_of_code(*byte) && run >= NARROWEST {
                return Some(at);
            }
            run = if is_of_code(*byte) { run + 1 } else { 0 };
        }
        None
    }

    proptest! {
        #[test]
        fn words_answer_as_bytes_do(bytes in text(), before in 0..60_usize) {
            let strangers = Strangers::of(&bytes);
            for at in 0..=bytes.len() {
                let run = bytes[at..].iter().take_while(|byte| is_of_code(**byte)).count();
                prop_assert_eq!(strangers.first_from(at), at + run);
                let run = bytes[..at].iter().rev().take_while(|byte| is_of_code(**byte)).count();
                prop_assert_eq!(strangers.run_before(at), at - run);
                for before in [0, before] {
                    prop_assert_eq!(
                        strangers.end_of_long_run(at, before),
                        end_of_long_run(&bytes, at, before),
                        "{} {}", at, before
                    );
                }
            }
        }
    }
}
