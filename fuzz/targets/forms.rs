//! Each form of a secret in a sentence is hidden, and the sentence is untouched.
#![no_main]

use kubestep::mask::oracle::Known;
use kubestep::mask::{Masker, SHORTEST, Scope};
use libfuzzer_sys::fuzz_target;

const BEFORE: &[u8] = b"The tool said (";
const AFTER: &[u8] = b") and went on.";
const MASK: &str = "***";

/// A secret has dozens of forms, and the oracle looks at each of them everywhere.
const LONGEST: usize = 512;

fuzz_target!(|secret: &[u8]| {
    if !(SHORTEST..=LONGEST).contains(&secret.len()) {
        return;
    }
    let known = Known::new(&[secret.to_vec()], Scope::All);
    let masker = Masker::new(MASK);
    masker.add_bytes([secret]);
    let hidden = [BEFORE, MASK.as_bytes(), AFTER].concat();
    for form in known.all() {
        let sentence = [BEFORE, form, AFTER].concat();
        let found = masker.whole(&sentence);
        if found.bytes() == hidden {
            continue;
        }
        // A secret that the sentence itself holds, or that goes on in it, hides more, or has more than one mask.
        let expected = known.masked(&sentence, MASK.as_bytes());
        assert_eq!(show(found.bytes()), show(&expected), "{} of {}", show(form), show(secret));
        assert!(found.masks() > 0, "{} of {} is seen", show(form), show(secret));
    }
});

fn show(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}
