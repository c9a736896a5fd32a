//! The masker against the oracle: secrets, a text made of their forms, and cuts that the fuzzer chooses.
#![no_main]

use arbitrary::Arbitrary;
use kubestep::mask::oracle::Known;
use kubestep::mask::{Masker, Scope};
use libfuzzer_sys::fuzz_target;

const MASK: &str = "*#*";

/// The oracle takes the square of the text's length.
const LONGEST: usize = 4096;

#[derive(Arbitrary, Debug)]
struct Case {
    secrets: Vec<Vec<u8>>,
    pieces: Vec<Piece>,
    cuts: Vec<u16>,
    raw: bool,
}

#[derive(Arbitrary, Debug)]
enum Piece {
    /// A form, or a part of it.
    Form {
        number: u16,
        from: u8,
        leave_out: u8,
    },
    /// A form with something in it at every so many bytes.
    Cut {
        number: u16,
        width: u8,
        gap: Vec<u8>,
    },
    Repeated {
        byte: u8,
        times: u8,
    },
    Bytes(Vec<u8>),
}

fuzz_target!(|case: Case| {
    let scope = if case.raw { Scope::Raw } else { Scope::All };
    let known = Known::new(&case.secrets, scope);
    let text = text(&case.pieces, &known.all());
    let expected = known.masked(&text, MASK.as_bytes());
    let masker = Masker::with_scope(MASK, scope);
    masker.add_bytes(case.secrets.iter().map(Vec::as_slice));
    let mut cuts: Vec<usize> = case.cuts.iter().map(|cut| usize::from(*cut) % (text.len() + 1)).collect();
    cuts.sort_unstable();
    let (mut stream, mut found, mut at) = (masker.stream(), Vec::new(), 0);
    for cut in cuts.into_iter().chain([text.len()]) {
        found.extend_from_slice(stream.push(&text[at..cut]).bytes());
        at = cut;
    }
    found.extend_from_slice(stream.finish().bytes());
    assert_eq!(show(&found), show(&expected), "of {}", show(&text));
});

fn text(pieces: &[Piece], forms: &[&[u8]]) -> Vec<u8> {
    let form = |number: u16| match forms.len() {
        0 => b"".as_slice(),
        count => forms[usize::from(number) % count],
    };
    let mut text = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Form { number, from, leave_out } => {
                let form = form(*number);
                let end = form.len().saturating_sub(usize::from(*leave_out));
                text.extend_from_slice(&form[usize::from(*from).min(end)..end]);
            }
            Piece::Cut { number, width, gap } => {
                for line in form(*number).chunks(usize::from(*width).max(1)) {
                    text.extend_from_slice(line);
                    text.extend_from_slice(gap);
                }
            }
            Piece::Repeated { byte, times } => text.extend(std::iter::repeat_n(*byte, usize::from(*times))),
            Piece::Bytes(bytes) => text.extend_from_slice(bytes),
        }
    }
    text.truncate(LONGEST);
    text
}

fn show(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}
