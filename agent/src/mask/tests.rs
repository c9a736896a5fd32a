//! The masker's promises: every secret, every cut, nothing held that cannot begin one.

use super::{Hidden, Masker, TooShort};
use crate::secret::Secret;

fn masker(secrets: &[&str]) -> Masker {
    let masker = Masker::new("***");
    let secrets: Vec<Secret> = secrets.iter().map(|text| Secret::new((*text).to_owned())).collect();
    for answer in masker.add(&secrets) {
        answer.expect("long enough");
    }
    masker
}

fn whole(masker: &Masker, text: &str) -> String {
    String::from_utf8(masker.whole(text.as_bytes()).bytes().to_vec()).expect("text")
}

/// The same text in one piece, and cut at every pair of places, is masked alike.
fn assert_masked(secrets: &[&str], text: &str, expected: &str) {
    let masker = masker(secrets);
    assert_eq!(whole(&masker, text), expected, "in one piece");
    let bytes = text.as_bytes();
    for first in 0..=bytes.len() {
        for second in first..=bytes.len() {
            let mut stream = masker.stream();
            let mut out = Vec::new();
            for piece in [&bytes[..first], &bytes[first..second], &bytes[second..]] {
                out.extend_from_slice(stream.push(piece).bytes());
            }
            out.extend_from_slice(stream.finish().bytes());
            assert_eq!(String::from_utf8(out).expect("text"), expected, "cut at {first} and {second}");
        }
    }
}

#[test]
fn a_secret_is_masked_wherever_the_text_is_cut() {
    assert_masked(&["hunter22"], "a hunter22 b hunter2 hunterhunter22", "a *** b hunter2 hunter***");
}

#[test]
fn overlapping_secrets_become_one_mask_and_adjacent_ones_two() {
    assert_masked(&["abcdef", "defghi"], "xabcdefghiy", "x***y");
    assert_masked(&["abcd", "efgh"], "xabcdefghy", "x******y");
    assert_masked(&["abab"], "xabababy", "x***y");
    assert_masked(&["abcd", "abcdefgh"], "abcdefgh abcdefg", "*** ***efg");
    assert_masked(&["bcdef", "abcdefgh", "ghij"], "abcdefghij", "***");
}

#[test]
fn the_newline_at_a_secrets_end_need_not_be_there() {
    assert_masked(&["token-1\n"], "token-1 token-1\n.", "*** ***.");
}

#[test]
fn nothing_is_held_that_cannot_begin_a_secret() {
    let masker = masker(&["hunter22"]);
    let mut stream = masker.stream();
    assert_eq!(stream.push(b"prompt> ").bytes(), b"prompt> ");
    assert_eq!(stream.push(b"50%\rhun").bytes(), b"50%\r");
    assert_eq!(stream.push(b"gry").bytes(), b"hungry");
    assert_eq!(stream.push(b"hunter22hunter").bytes(), b"***");
    assert_eq!(stream.finish().bytes(), b"hunter");
}

#[test]
fn a_secret_that_comes_in_later_holds_for_the_bytes_that_are_still_held() {
    let masker = masker(&["hunter22"]);
    let mut stream = masker.stream();
    assert_eq!(stream.push(b"hunt").bytes(), b"");
    let late = Secret::new("ntABCD".into());
    assert_eq!(masker.add([&late]), [Ok(Hidden::Everywhere)]);
    assert_eq!(stream.push(b"ABCD!").bytes(), b"hu***!");
}

#[test]
fn a_secret_of_fewer_than_four_bytes_is_not_masked_and_says_so() {
    let masker = Masker::new("***");
    let (short, long) = (Secret::new("abc".into()), Secret::new("abcd".into()));
    assert_eq!(masker.add([&short, &long]), [Err(TooShort), Ok(Hidden::Everywhere)]);
    assert_eq!(whole(&masker, "abc abcd"), "abc ***");
}

#[test]
fn a_code_in_lines_may_begin_with_the_last_byte_of_what_looks_like_a_colour() {
    let code = "gMDAwMGErKzBhxWEwYSthK2EwYTB9xTAwYTB3MCswMGFhMDAvKys9YWEwL2E";
    let (first, second) = code.split_at(50);
    let before = "YQIwAgACAAIwAgACAAIwAgACAAIwAgACAAIwAgACAAIwAgACAA";
    let text = format!("{before}\n\u{1b}[{first}\n{second}");
    let expected = format!("{before}\n\u{1b}[***");
    assert_eq!(whole(&masker(&[code]), &text), expected.as_str());
}

#[test]
fn masks_are_counted_once_each() {
    let masker = masker(&["abcdef", "defghi"]);
    assert_eq!(masker.whole(b"abcdefghi abcdef").masks(), 2);
}

#[test]
fn bytes_that_are_no_text_pass_unchanged() {
    let masker = masker(&["hunter22"]);
    let bytes = [0xff, 0, 0xfe, b'h', b'u', 0x80];
    assert_eq!(masker.whole(&bytes).bytes(), bytes);
}

mod oracle;
mod property;
