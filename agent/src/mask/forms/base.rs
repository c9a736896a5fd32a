//! Encodings of the whole value: base64, hex, UTF-16.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use super::{Kind, Writer};

/// What is the same in every encoding that holds the value at an alignment.
struct Names {
    core: [&'static str; 3],
    url: [&'static str; 3],
    /// Whether what only the end of an encoding has, filled up and padded, belongs to the core. It does not
    /// where what may be seen after the core stands for zeros.
    has_end: bool,
    /// Above this many bytes the end is looked for at the first alignment alone.
    longest_ended: usize,
}

const PLAIN: Names = Names {
    core: ["base64 core, alignment 0", "base64 core, alignment 1", "base64 core, alignment 2"],
    url: ["base64url core, alignment 0", "base64url core, alignment 1", "base64url core, alignment 2"],
    has_end: true,
    // `user:password`; a longer secret loses nothing by two bits.
    longest_ended: 256,
};

const NEWLINE: Names = Names {
    core: [
        "base64 core with newline, alignment 0",
        "base64 core with newline, alignment 1",
        "base64 core with newline, alignment 2",
    ],
    url: [
        "base64url core with newline, alignment 0",
        "base64url core with newline, alignment 1",
        "base64url core with newline, alignment 2",
    ],
    has_end: true,
    longest_ended: 0,
};

const WIDE: Names = Names {
    core: [
        "base64 core of UTF-16LE, alignment 0",
        "base64 core of UTF-16LE, alignment 1",
        "base64 core of UTF-16LE, alignment 2",
    ],
    url: [
        "base64url core of UTF-16LE, alignment 0",
        "base64url core of UTF-16LE, alignment 1",
        "base64url core of UTF-16LE, alignment 2",
    ],
    has_end: false,
    longest_ended: 0,
};

impl Writer<'_> {
    pub(super) fn encodings(&mut self) {
        let value = self.value;
        // Room for what may stand before the value: an encoding's alignment is the number of bytes before it.
        let mut padded = vec![0; 2];
        padded.extend_from_slice(value);
        let mut code = Vec::new();
        self.base64(&PLAIN, &padded, &mut code);
        padded.push(b'\n');
        self.base64(&NEWLINE, &padded, &mut code);
        self.hex("hex, lower", b"0123456789abcdef");
        self.hex("hex, upper", b"0123456789ABCDEF");
        if let Ok(text) = std::str::from_utf8(value) {
            padded.truncate(2);
            padded.extend(text.encode_utf16().flat_map(u16::to_le_bytes));
            let start = self.begin();
            self.forms.bytes.extend_from_slice(&padded[2..]);
            self.end("UTF-16LE", start);
            // The last character's upper half is zero, but for texts that do not end in Latin letters.
            let has_end = padded.last() != Some(&0);
            self.base64(&Names { has_end, ..WIDE }, &padded, &mut code);
        }
    }

    /// `padded` is the value with two bytes before it.
    fn base64(&mut self, names: &Names, padded: &[u8], code: &mut Vec<u8>) {
        for alignment in 0..3 {
            let bytes = &padded[2 - alignment..];
            code.clear();
            code.resize(bytes.len().div_ceil(3) * 4, 0);
            let written =
                STANDARD_NO_PAD.encode_slice(bytes, code).expect("it has the room of the padded code");
            code.truncate(written);
            // Characters that hold a bit of what stands before are left out, and so is one that has to be
            // filled up with what comes after.
            let first = [0, 2, 3][alignment];
            let core = bytes.len() * 8 / 6;
            let has_end =
                names.has_end && written > core && (alignment == 0 || bytes.len() <= names.longest_ended);
            code.resize(if has_end { written.next_multiple_of(4) } else { core }, b'=');
            self.alphabets(names.core[alignment], names.url[alignment], &code[first..], core - first);
        }
    }

    /// A code whose first `core` bytes are its core.
    fn alphabets(&mut self, standard: &'static str, url: &'static str, code: &[u8], core: usize) {
        let start = self.begin();
        self.forms.bytes.extend_from_slice(code);
        self.code(standard, start, core);
        if code.iter().any(|byte| matches!(byte, b'+' | b'/')) {
            let start = self.begin();
            self.forms.bytes.extend(code.iter().map(|byte| match byte {
                b'+' => b'-',
                b'/' => b'_',
                other => *other,
            }));
            self.code(url, start, core);
        }
    }

    /// Takes the code that was written since `start`. Where its core is no form, it may be one with its end.
    fn code(&mut self, name: &'static str, start: usize, core: usize) {
        let written = &self.forms.bytes[start..];
        if self.is_form(&written[..core]) {
            self.take(name, Kind::Literal, start, core);
        } else {
            self.end(name, start);
        }
    }

    fn hex(&mut self, name: &'static str, digits: &[u8; 16]) {
        let start = self.begin();
        let pairs = self.value.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        self.forms.bytes.extend(pairs.map(|digit| digits[usize::from(digit)]));
        self.end(name, start);
    }
}
