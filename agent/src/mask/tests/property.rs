//! The engine against the oracle, byte for byte, on texts made of pieces of secrets, however they are cut.

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};

use crate::mask::{Masker, Scope, oracle};

const MASK: &[u8] = b"*#*";

/// Secrets that share beginnings, nest, overlap and repeat themselves; binary, UTF-8, of several lines.
fn secret() -> impl Strategy<Value = Vec<u8>> {
    let short = vec(prop_oneof![Just(b'a'), Just(b'b')], 4..40);
    let periodic = (vec(any::<u8>(), 1..5), 2..60_usize).prop_map(|(part, times)| part.repeat(times));
    let text = "[a-c<>&'\"$\\\\/ é]{4,20}".prop_map(String::into_bytes);
    let lines = vec("[ ]{0,2}[ab0-9+/=]{0,60}", 2..6).prop_map(|lines| lines.join("\n").into_bytes());
    let code = "[A-Za-z0-9+/]{8,200}={0,2}".prop_map(String::into_bytes);
    prop_oneof![short, periodic, text, lines, code, vec(any::<u8>(), 4..80)]
}

/// What a text is made of.
#[derive(Clone, Debug)]
enum Piece {
    /// A part of a form of a secret.
    Part {
        form: Index,
        from: Index,
        to: Index,
    },
    /// A form.
    Whole(Index),
    /// A form with something in it at every so many bytes.
    Cut {
        form: Index,
        width: usize,
        first: usize,
        gap: Vec<u8>,
    },
    Repeated {
        byte: u8,
        times: usize,
    },
    Noise(Vec<u8>),
}

fn gap() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        Just(b"\n".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"  ".to_vec()),
        Just(b"\x1b[0m".to_vec()),
        Just(b"\x1b[".to_vec()),
        Just(vec![b' '; 250]),
    ];
    vec(part, 0..4).prop_map(|parts| parts.concat())
}

fn piece() -> impl Strategy<Value = Piece> {
    let part = (any::<Index>(), any::<Index>(), any::<Index>()).prop_map(|(form, from, to)| Piece::Part {
        form,
        from,
        to,
    });
    let cut = (any::<Index>(), 1..130_usize, 0..130_usize, gap())
        .prop_map(|(form, width, first, gap)| Piece::Cut { form, width, first, gap });
    let repeated = (prop_oneof![Just(b'a'), Just(b'b'), Just(b'\n'), any::<u8>()], 1..300_usize)
        .prop_map(|(byte, times)| Piece::Repeated { byte, times });
    prop_oneof![
        3 => part,
        3 => any::<Index>().prop_map(Piece::Whole),
        3 => cut,
        1 => repeated,
        1 => vec(any::<u8>(), 0..20).prop_map(Piece::Noise),
        1 => gap().prop_map(Piece::Noise),
    ]
}

fn text(pieces: &[Piece], secrets: &[Vec<u8>], scope: Scope) -> Vec<u8> {
    let forms = oracle::forms(secrets, scope);
    // A secret may be too short to have a form.
    let form = |index: &Index| match forms.all.len() {
        0 => b"".as_slice(),
        count => forms.with_end(&forms.all[index.index(count)]),
    };
    let mut text = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Part { form: index, from, to } => {
                let form = form(index);
                let (from, to) = (from.index(form.len() + 1), to.index(form.len() + 1));
                text.extend_from_slice(&form[from.min(to)..from.max(to)]);
            }
            Piece::Whole(index) => text.extend_from_slice(form(index)),
            Piece::Cut { form: index, width, first, gap } => {
                let form = form(index);
                let (before, rest) = form.split_at((*first).min(form.len()));
                text.extend_from_slice(before);
                for line in rest.chunks(*width) {
                    text.extend_from_slice(gap);
                    text.extend_from_slice(line);
                }
            }
            Piece::Repeated { byte, times } => text.extend(std::iter::repeat_n(*byte, *times)),
            Piece::Noise(bytes) => text.extend_from_slice(bytes),
        }
    }
    text
}

fn streamed(masker: &Masker, text: &[u8], cuts: &[usize]) -> Vec<u8> {
    let (mut stream, mut out, mut at) = (masker.stream(), Vec::new(), 0);
    for cut in cuts {
        out.extend_from_slice(stream.push(&text[at..*cut]).bytes());
        at = *cut;
    }
    out.extend_from_slice(stream.push(&text[at..]).bytes());
    out.extend_from_slice(stream.finish().bytes());
    out
}

fn check(cases: u32, most_secrets: usize, most_pieces: usize) {
    let scope = prop_oneof![Just(Scope::All), Just(Scope::Raw)];
    let case =
        (vec(secret(), 1..most_secrets), vec(piece(), 1..most_pieces), vec(any::<Index>(), 0..12), scope);
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let checked = TestRunner::new(config).run(&case, |(secrets, pieces, cuts, scope)| {
        let text = text(&pieces, &secrets, scope);
        let expected = oracle::masked(&oracle::forms(&secrets, scope), &text, MASK);
        let masker = Masker::with_scope(std::str::from_utf8(MASK).expect("text"), scope);
        masker.add_bytes(secrets.iter().map(Vec::as_slice));
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
        cuts.sort_unstable();
        let show = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        for (how, cuts) in [("whole", Vec::new()), ("cut", cuts), ("bytes", (1..text.len()).collect())] {
            let found = streamed(&masker, &text, &cuts);
            proptest::prop_assert_eq!(show(&found), show(&expected), "{} of {:?}", how, show(&text));
            proptest::prop_assert_eq!(&found, &expected, "{}", how);
        }
        Ok(())
    });
    if let Err(error) = checked {
        panic!("{error}");
    }
}

#[test]
fn every_text_is_masked_as_the_oracle_says_however_it_is_cut() {
    check(150, 6, 8);
}

#[test]
#[ignore = "takes minutes"]
fn a_great_many_texts_are_masked_as_the_oracle_says() {
    check(30_000, 6, 8);
    check(1_000, 40, 40);
}
