//! Escapes: forms that differ from the value only where it holds certain bytes. One table.

use std::io::Write;
use std::sync::LazyLock;

use super::markup::{
    html_go, html_python, in_json, is_json, is_json_go, json, json_ascii, json_ascii_twice, json_go,
    json_go_in_json, json_in_shell, json_jq_twice, twice, xml_attribute,
};

/// An escape. Where a value holds no byte that it touches, its form is the value itself.
pub(super) struct Escape {
    pub(super) name: &'static str,
    pub(super) touches: fn(u8) -> bool,
    how: How,
}

/// What is written for what is touched; everything else is copied.
enum How {
    /// For one byte, of any value.
    Byte(fn(u8, &mut Vec<u8>)),
    /// For one character, of values that are text.
    Char(fn(char, &mut Vec<u8>)),
    /// For the whole value, which is text; whether there is a form at all.
    Text(fn(&str, &mut Vec<u8>) -> bool),
}

use How::{Byte, Char, Text};

const fn escape(name: &'static str, touches: fn(u8) -> bool, how: How) -> Escape {
    Escape { name, touches, how }
}

/// Every escape, by the tool that writes it.
pub(super) static TABLE: [Escape; 45] = [
    escape("percent, upper", is_reserved, Byte(percent_upper)),
    escape("percent, lower", is_reserved, Byte(percent_lower)),
    escape("percent, path", |b| is_reserved(b) && !b"/:@!$&'()*+,;=".contains(&b), Byte(percent_upper)),
    escape("percent, Go's path", |b| is_reserved(b) && !b"$&+=:@".contains(&b), Byte(percent_upper)),
    escape("percent, encodeURIComponent", |b| is_reserved(b) && !b"!'()*".contains(&b), Byte(percent_upper)),
    escape("form, quote_plus", is_reserved, Byte(form)),
    escape("form, WHATWG", |b| b == b'~' || is_reserved(b) && b != b'*', Byte(form)),
    escape("JSON, jq", |b| is_json(b) || b == 0x7f, Char(json_ascii)),
    escape("JSON twice, jq", |b| is_json(b) || b == 0x7f, Text(json_jq_twice)),
    escape("JSON, ASCII", |b| is_json(b) || b >= 0x7f, Char(json_ascii)),
    escape("JSON, UTF-8", is_json, Char(json)),
    escape("JSON with \\/", |b| is_json(b) || b == b'/', Char(json)),
    escape("JSON with \\/, ASCII", |b| is_json(b) || b == b'/' || b >= 0x7f, Char(json_ascii)),
    escape("JSON, Go", is_json_go, Char(json_go)),
    escape("JSON twice, UTF-8", is_json, Text(|text, out| twice(text, out, is_json, json))),
    escape("JSON twice, ASCII", |b| is_json(b) || b >= 0x7f, Text(json_ascii_twice)),
    escape("JSON twice, Go", is_json_go, Text(|text, out| twice(text, out, is_json_go, json_go))),
    escape("JSON, Go, in JSON", is_json_go, Text(json_go_in_json)),
    escape("XML, text", |b| b"&<>".contains(&b), Byte(xml_attribute)),
    escape("XML, attribute", |b| b"&<>\"'".contains(&b), Byte(xml_attribute)),
    escape("XML, attribute in double quotes", |b| b"&<>\"".contains(&b), Byte(xml_attribute)),
    escape("XML, attribute with line ends", |b| b"&<>\"\r\n\t".contains(&b), Byte(xml_attribute)),
    escape("HTML, Python", |b| b"&<>\"'".contains(&b), Byte(html_python)),
    escape("HTML, Go", |b| b"&<>\"'".contains(&b), Byte(html_go)),
    escape("XML, Go", |b| b"&<>\"'\r\n\t".contains(&b), Byte(html_go)),
    escape("shell, '\\''", |b| b == b'\'', Byte(|_, out| out.extend_from_slice(br"'\''"))),
    escape("shell, '\"'\"'", |b| b == b'\'', Byte(|_, out| out.extend_from_slice(b"'\"'\"'"))),
    escape("shell, double quotes", |b| b"$\"`\\".contains(&b), Byte(backslash)),
    escape("printf %q", |b| PRINTF_Q.contains(&b) || b == b'~', Text(printf_q)),
    escape(
        "printf %q, other locale",
        |b| PRINTF_Q.contains(&b) || b == b'~' || b >= 0x80,
        Text(printf_q_octal),
    ),
    escape("$'…'", |b| is_control(b) || b"'\\".contains(&b), Byte(ansi_c)),
    escape("$'…', other locale", |b| is_control(b) || b >= 0x80 || b"'\\".contains(&b), Byte(ansi_c)),
    escape("PowerShell, SQL, ''", |b| b == b'\'', Byte(|_, out| out.extend_from_slice(b"''"))),
    escape(
        "PowerShell, backtick",
        |b| b"`$\"".contains(&b),
        Byte(|b, out| out.extend_from_slice(&[b'`', b])),
    ),
    escape("PowerShell, \"\"", |b| b == b'"', Byte(|_, out| out.extend_from_slice(b"\"\""))),
    escape("cmd, caret", |b| b"^&|<>()%!\"".contains(&b), Byte(|b, out| out.extend_from_slice(&[b'^', b]))),
    escape("C, \\\"", |b| b == b'"', Byte(backslash)),
    escape("C, \\\" and \\\\", |b| b"\"\\".contains(&b), Byte(backslash)),
    escape("Go, %q", |b| is_control(b) || b >= 0x80 || b"\"\\".contains(&b), Char(go_quoted)),
    escape("Python, repr", |b| is_control(b) || b >= 0x80 || b"'\\".contains(&b), Text(python_repr)),
    escape("Python, repr of bytes", |b| is_control(b) || b >= 0x80 || b == b'\\', Byte(python_byte)),
    escape(
        "Python, repr of bytes with both quotes",
        |b| is_control(b) || b >= 0x80 || b"'\\".contains(&b),
        Byte(python_byte),
    ),
    escape("Python, repr in JSON", |b| is_control(b) || b"'\\".contains(&b), Text(python_repr_in_json)),
    escape("JSON in '…'", |b| is_json(b) || b == b'\'', Text(json_in_shell)),
    escape("Docker, Compose, $$", |b| b == b'$', Byte(|_, out| out.extend_from_slice(b"$$"))),
];

/// For each byte, the escapes that touch it, one a bit.
static TOUCHED: LazyLock<[u64; 256]> = LazyLock::new(|| {
    std::array::from_fn(|byte| {
        let byte = u8::try_from(byte).expect("there are 256");
        let touch = |(number, escape): (usize, &Escape)| u64::from((escape.touches)(byte)) << number;
        TABLE.iter().enumerate().map(touch).sum()
    })
});

/// The escapes whose forms of this value are not the value itself, one a bit.
pub(super) fn touched(value: &[u8]) -> u64 {
    let table = &*TOUCHED;
    value.iter().fold(0, |all, byte| all | table[usize::from(*byte)])
}

impl Escape {
    /// Writes the form, as the table's entry of this number; whether there is one.
    pub(super) fn write(&self, number: usize, value: &[u8], text: Option<&str>, out: &mut Vec<u8>) -> bool {
        // A look into a table, where a call for each byte would cost more than all else.
        let table = &*TOUCHED;
        let touches = |byte: u8| table[usize::from(byte)] >> number & 1 == 1;
        match (&self.how, text) {
            (Byte(one), _) => {
                bytewise(value, touches, *one, out);
                true
            }
            (Char(one), Some(text)) => {
                charwise(text, touches, *one, out);
                true
            }
            (Text(all), Some(text)) => all(text, out),
            (Char(_) | Text(_), None) => false,
        }
    }
}

pub(super) fn bytewise(
    value: &[u8],
    touches: impl Fn(u8) -> bool,
    one: fn(u8, &mut Vec<u8>),
    out: &mut Vec<u8>,
) {
    let mut rest = value;
    while let Some(plain) = rest.iter().position(|byte| touches(*byte)) {
        out.extend_from_slice(&rest[..plain]);
        one(rest[plain], out);
        rest = &rest[plain + 1..];
    }
    out.extend_from_slice(rest);
}

pub(super) fn charwise(
    text: &str,
    touches: impl Fn(u8) -> bool,
    one: fn(char, &mut Vec<u8>),
    out: &mut Vec<u8>,
) {
    let mut rest = text;
    while let Some(plain) = rest.bytes().position(&touches) {
        let (before, after) = rest.split_at(plain);
        out.extend_from_slice(before.as_bytes());
        let mut characters = after.chars();
        characters.next().into_iter().for_each(|character| one(character, out));
        rest = characters.as_str();
    }
    out.extend_from_slice(rest.as_bytes());
}

/// A vector takes every write.
macro_rules! put {
    ($out:expr, $($what:tt)*) => { _ = write!($out, $($what)*) };
}
pub(super) use put;

pub(super) fn put_char(c: char, out: &mut Vec<u8>) {
    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

fn backslash(b: u8, out: &mut Vec<u8>) {
    out.extend_from_slice(&[b'\\', b]);
}

fn is_control(b: u8) -> bool {
    b < 0x20 || b == 0x7f
}

fn is_reserved(b: u8) -> bool {
    !(b.is_ascii_alphanumeric() || b"-._~".contains(&b))
}

fn percent_upper(b: u8, out: &mut Vec<u8>) {
    put!(out, "%{b:02X}");
}

fn percent_lower(b: u8, out: &mut Vec<u8>) {
    put!(out, "%{b:02x}");
}

fn form(b: u8, out: &mut Vec<u8>) {
    if b == b' ' { out.push(b'+') } else { percent_upper(b, out) }
}

/// What bash's `printf %q` puts a backslash before (its `sh_backslash_quote`). A `#` at the beginning is not
/// among them: what follows its backslash is the same.
const PRINTF_Q: &[u8] = b" !\"$&'()*,;<>?[\\]^`{|}";

fn printf_q(text: &str, out: &mut Vec<u8>) -> bool {
    if text.bytes().any(is_control) {
        // Then it writes $'…'.
        return false;
    }
    let mut before = 0;
    for byte in text.bytes() {
        // A tilde is one for a home folder only where a word or a path begins.
        let is_home = byte == b'~' && matches!(before, b':' | b'=');
        if is_home || PRINTF_Q.contains(&byte) {
            out.push(b'\\');
        }
        out.push(byte);
        before = byte;
    }
    true
}

/// Where the locale does not know the characters, all of the word is written as $'…'.
fn printf_q_octal(text: &str, out: &mut Vec<u8>) -> bool {
    if text.is_ascii() {
        return false;
    }
    bytewise(text.as_bytes(), |b| is_control(b) || b >= 0x80 || b"'\\".contains(&b), ansi_c, out);
    true
}

fn ansi_c(b: u8, out: &mut Vec<u8>) {
    let letter = match b {
        7 => b'a',
        8 => b'b',
        0x1b => b'E',
        0x0c => b'f',
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        0x0b => b'v',
        b'\'' | b'\\' => b,
        _ => return put!(out, "\\{b:03o}"),
    };
    backslash(letter, out);
}

fn go_quoted(c: char, out: &mut Vec<u8>) {
    let letter = match c {
        '\u{7}' => 'a',
        '\u{8}' => 'b',
        '\u{c}' => 'f',
        '\n' => 'n',
        '\r' => 'r',
        '\t' => 't',
        '\u{b}' => 'v',
        '"' | '\\' => c,
        c if c.is_ascii_control() => return put!(out, "\\x{:02x}", u32::from(c)),
        c if is_unprintable(c) => return put!(out, "\\u{:04x}", u32::from(c)),
        c => return put_char(c, out),
    };
    put!(out, "\\{letter}");
}

/// Go and Python escape what is not printable; of that, what a secret may hold.
fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{a0}' | '\u{ad}' | '\u{2000}'..='\u{200f}' | '\u{2028}'..='\u{202f}' | '\u{feff}')
}

/// Python takes double quotes, and escapes no single one, where a text holds single ones alone.
fn python_repr(text: &str, out: &mut Vec<u8>) -> bool {
    let quote_escaped = text.contains('\'') && text.contains('"');
    let touches = |b| is_control(b) || b >= 0x80 || b == b'\\' || b == b'\'' && quote_escaped;
    charwise(text, touches, python_char, out);
    true
}

fn python_char(c: char, out: &mut Vec<u8>) {
    match c {
        '\\' | '\'' => put!(out, "\\{c}"),
        '\n' => out.extend_from_slice(br"\n"),
        '\r' => out.extend_from_slice(br"\r"),
        '\t' => out.extend_from_slice(br"\t"),
        c if is_unprintable(c) && u32::from(c) < 0x100 => put!(out, "\\x{:02x}", u32::from(c)),
        c if is_unprintable(c) => put!(out, "\\u{:04x}", u32::from(c)),
        c => put_char(c, out),
    }
}

fn python_repr_in_json(text: &str, out: &mut Vec<u8>) -> bool {
    in_json(text, out, |text, once| _ = python_repr(text, once))
}

fn python_byte(b: u8, out: &mut Vec<u8>) {
    match b {
        b'\\' | b'\'' => backslash(b, out),
        b'\n' => out.extend_from_slice(br"\n"),
        b'\r' => out.extend_from_slice(br"\r"),
        b'\t' => out.extend_from_slice(br"\t"),
        b => put!(out, "\\x{b:02x}"),
    }
}
