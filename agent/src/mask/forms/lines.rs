//! Forms of a value that has several lines.

use super::{Kind, SHORTEST_LINE, Writer, is_common, is_one_byte_repeated};
use crate::mask::gap;

/// What lines are indented with, where a value has no line that is long enough to be looked for.
const INDENTS: [&str; 4] = ["  ", "    ", "        ", "\t"];

/// Above this many bytes a value with short lines only is not indented: nobody has such a secret.
const LONGEST_INDENTED: usize = 4096;

impl Writer<'_> {
    /// `\n` as `\r\n`, joined, indented, with gaps; and each line by itself, but for structured secrets.
    pub(super) fn several_lines(&mut self, structured: bool) {
        let lines: Vec<&[u8]> = self.value.split(|byte| *byte == b'\n').map(without_return).collect();
        self.joined("lines end in CR LF", &lines, b"\r\n");
        self.joined("lines end in LF", &lines, b"\n");
        self.joined("lines joined by a blank", &lines, b" ");
        self.words();
        match folded(self.value) {
            Some(folded) => self.push("lines with gaps", Kind::Lines, &folded),
            None if self.value.len() <= LONGEST_INDENTED => self.indented(&lines),
            None => {}
        }
        if !structured {
            for line in &lines {
                self.line(line.trim_ascii());
            }
        }
    }

    fn joined(&mut self, name: &'static str, lines: &[&[u8]], by: &[u8]) {
        let last = lines.iter().rposition(|line| !line.is_empty()).map_or(0, |last| last + 1);
        let start = self.begin();
        self.forms.bytes.extend_from_slice(&lines[..last].join(by));
        self.end(name, start);
    }

    /// What a shell makes of `echo $VALUE`: words, one blank between.
    fn words(&mut self) {
        let words: Vec<&[u8]> =
            self.value.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).collect();
        self.joined("words joined by a blank", &words, b" ");
    }

    fn indented(&mut self, lines: &[&[u8]]) {
        for end in ["\n", "\r\n"] {
            for indent in INDENTS {
                self.joined("indented lines", lines, format!("{end}{indent}").as_bytes());
            }
            self.joined("blank lines between lines", lines, end.repeat(2).as_bytes());
        }
    }

    fn line(&mut self, line: &[u8]) {
        let is_frame = line.starts_with(b"-----") && line.ends_with(b"-----");
        if line.len() < SHORTEST_LINE || is_frame || is_common(line) || is_one_byte_repeated(line) {
            return;
        }
        self.push("a line by itself", Kind::Literal, line);
    }
}

fn without_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// A text with several lines as the filter looks for it: folded, from its first line that is long enough to be
/// looked for. Where there is none, or nothing after it, `None`.
pub(super) fn folded(text: &[u8]) -> Option<Vec<u8>> {
    let folded = gap::fold(text);
    let mut start = 0;
    for line in folded.split(|byte| *byte == b'\n') {
        if line.len() >= SHORTEST_LINE {
            return (start + line.len() < folded.len()).then(|| folded[start..].to_vec());
        }
        start += line.len() + 1;
    }
    None
}
