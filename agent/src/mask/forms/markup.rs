//! What JSON, XML and HTML writers make of a character: the escapes of `escape`'s table that are documents' own.

use std::io::Write;

use super::escape::{bytewise, charwise, put, put_char};

pub(super) fn is_json(b: u8) -> bool {
    b < 0x20 || b == b'"' || b == b'\\'
}

pub(super) fn is_json_go(b: u8) -> bool {
    // 0xe2 begins U+2028 and U+2029, which Go escapes.
    is_json(b) || b"<>&".contains(&b) || b == 0xe2
}

pub(super) fn json(c: char, out: &mut Vec<u8>) {
    match c {
        '"' | '\\' | '/' => put!(out, "\\{c}"),
        '\n' => out.extend_from_slice(b"\\n"),
        '\r' => out.extend_from_slice(b"\\r"),
        '\t' => out.extend_from_slice(b"\\t"),
        '\u{8}' => out.extend_from_slice(b"\\b"),
        '\u{c}' => out.extend_from_slice(b"\\f"),
        c if c < ' ' => put!(out, "\\u{:04x}", u32::from(c)),
        c => put_char(c, out),
    }
}

pub(super) fn json_ascii(c: char, out: &mut Vec<u8>) {
    if c.is_ascii() && c != '\u{7f}' {
        return json(c, out);
    }
    for unit in c.encode_utf16(&mut [0; 2]) {
        put!(out, "\\u{unit:04x}");
    }
}

pub(super) fn json_go(c: char, out: &mut Vec<u8>) {
    match c {
        '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => put!(out, "\\u{:04x}", u32::from(c)),
        c => json(c, out),
    }
}

pub(super) fn twice(
    text: &str,
    out: &mut Vec<u8>,
    touches: impl Fn(u8) -> bool,
    one: fn(char, &mut Vec<u8>),
) -> bool {
    in_json(text, out, |text, once| charwise(text, touches, one, once))
}

/// What `inner` writes, as a JSON string.
pub(super) fn in_json(text: &str, out: &mut Vec<u8>, inner: impl FnOnce(&str, &mut Vec<u8>)) -> bool {
    let mut once = Vec::new();
    inner(text, &mut once);
    bytewise(&once, is_json, |b, out| json(char::from(b), out), out);
    true
}

pub(super) fn json_ascii_twice(text: &str, out: &mut Vec<u8>) -> bool {
    twice(text, out, |b| is_json(b) || b >= 0x7f, json_ascii)
}

pub(super) fn json_jq_twice(text: &str, out: &mut Vec<u8>) -> bool {
    twice(text, out, |b| is_json(b) || b == 0x7f, json_ascii)
}

pub(super) fn json_go_in_json(text: &str, out: &mut Vec<u8>) -> bool {
    twice(text, out, is_json_go, json_go)
}

pub(super) fn json_in_shell(text: &str, out: &mut Vec<u8>) -> bool {
    let mut once = Vec::new();
    charwise(text, is_json, json, &mut once);
    bytewise(&once, |b| b == b'\'', |_, out| out.extend_from_slice(br"'\''"), out);
    true
}

pub(super) fn xml_attribute(b: u8, out: &mut Vec<u8>) {
    match b {
        b'"' => out.extend_from_slice(b"&quot;"),
        b'\'' => out.extend_from_slice(b"&apos;"),
        b'\n' => out.extend_from_slice(b"&#10;"),
        b'\r' => out.extend_from_slice(b"&#13;"),
        b'\t' => out.extend_from_slice(b"&#9;"),
        b => xml(b, out),
    }
}

pub(super) fn xml(b: u8, out: &mut Vec<u8>) {
    match b {
        b'&' => out.extend_from_slice(b"&amp;"),
        b'<' => out.extend_from_slice(b"&lt;"),
        b'>' => out.extend_from_slice(b"&gt;"),
        b => out.push(b),
    }
}

pub(super) fn html_python(b: u8, out: &mut Vec<u8>) {
    match b {
        b'"' => out.extend_from_slice(b"&quot;"),
        b'\'' => out.extend_from_slice(b"&#x27;"),
        b => xml(b, out),
    }
}

pub(super) fn html_go(b: u8, out: &mut Vec<u8>) {
    match b {
        b'"' | b'\'' => put!(out, "&#{b};"),
        b'\n' | b'\r' | b'\t' => put!(out, "&#x{b:X};"),
        b => xml(b, out),
    }
}
