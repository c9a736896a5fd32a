//! Text sources: a string, or exactly one of `{value}`, `{fromEnv}`, `{fromFile}`.
//!
//! Promise: what comes out was read completely, within [`MAX_FILE_BYTES`], from a place that the payload may name
//! (`trust`). No content of a source is ever part of a problem, nor any name that stands where a source is expected.

use std::ffi::OsStr;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::Text;
use super::document::Kind;
use super::fields::{Field, Reader};
use super::problem::{quoted, suggestion};
use crate::secret::Secret;

/// The largest file that a text source reads.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

const KINDS: [&str; 3] = ["value", "fromEnv", "fromFile"];
const EXPECTED: &str = "expected a text, or exactly one of value, fromEnv, fromFile";

/// Where a text came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Given {
    /// It stands in the payload.
    Here,
    /// `fromEnv`.
    Variable,
    /// `fromFile`.
    File,
}

/// What a text source holds. No `Debug`: it may be a secret.
pub(super) struct Source {
    pub(super) bytes: Vec<u8>,
    pub(super) given: Given,
    /// The file that they came from, as `fromFile` names it.
    pub(super) path: Option<PathBuf>,
}

impl Source {
    fn here(text: String) -> Self {
        Self { bytes: text.into_bytes(), given: Given::Here, path: None }
    }
}

impl Reader<'_> {
    /// A text source's bytes: certificates may come as files that are no text.
    pub(super) fn source(&self, field: &Field<'_>) -> Option<Source> {
        let mut source = self.read_source(field)?;
        if source.given == Given::File {
            cut_newline(&mut source.bytes);
        }
        Some(self.sent(field, source))
    }

    /// The same with every byte of a file: what is binary may end in a byte that looks like a newline.
    pub(super) fn uncut_source(&self, field: &Field<'_>) -> Option<Source> {
        Some(self.sent(field, self.read_source(field)?))
    }

    /// A queue gets the value of what does not stand in the payload.
    fn sent(&self, field: &Field<'_>, source: Source) -> Source {
        if source.given != Given::Here {
            self.send(field, None, &source.bytes);
        }
        source
    }

    fn read_source(&self, field: &Field<'_>) -> Option<Source> {
        let Kind::Mapping(entries) = &field.node.kind else {
            if let Kind::Scalar(_) | Kind::Tagged = &field.node.kind {
                return Some(Source::here(self.text(field)?));
            }
            self.tell(field, EXPECTED);
            return None;
        };
        let [(key, node)] = entries.as_slice() else {
            self.tell(field, EXPECTED);
            return None;
        };
        if !KINDS.contains(&key.name.as_str()) {
            // Only what was meant is named: an unknown name here may be a secret with wrong punctuation.
            let told = suggestion(&key.name, &KINDS)
                .map_or(EXPECTED.into(), |meant| format!("{EXPECTED}; did you mean {}?", quoted(meant)));
            self.tell(field, told);
            return None;
        }
        let inner = Field { path: format!("{}.{}", field.path, key.name), key: key.place, node };
        match key.name.as_str() {
            "value" => Some(Source::here(self.text(&inner)?)),
            "fromEnv" => self.variable(&inner),
            _ => {
                let written = self.filled_text(&inner)?;
                let bytes = self.file(&inner, &written, MAX_FILE_BYTES)?;
                Some(Source { bytes, given: Given::File, path: Some(self.absolute(&written)) })
            }
        }
    }

    fn variable(&self, field: &Field<'_>) -> Option<Source> {
        let name = self.filled_text(field)?;
        if !self.may_read_variable(field, &name) {
            return None;
        }
        let Some(value) = self.surroundings.environment.get(OsStr::new(&name)) else {
            self.tell(field, format!("the variable {} is not set", quoted(&name)));
            return None;
        };
        let value = value.as_bytes();
        self.spend(field, value.len()).then(|| Source {
            bytes: value.to_vec(),
            given: Given::Variable,
            path: None,
        })
    }

    /// The whole of a file that the payload may name.
    pub(super) fn file(&self, field: &Field<'_>, written: &str, most: u64) -> Option<Vec<u8>> {
        let opened = self.open(field, written)?;
        let mut bytes = Vec::new();
        match opened.take(most + 1).read_to_end(&mut bytes) {
            Err(error) => self.unreadable(field, written, &error),
            Ok(_) if bytes.len() as u64 > most => {
                let told =
                    format!("cannot read {}: larger than {} MiB", quoted(written), most / (1024 * 1024));
                self.tell(field, told);
            }
            Ok(_) => return self.spend(field, bytes.len()).then_some(bytes),
        }
        None
    }

    pub(super) fn unreadable(&self, field: &Field<'_>, written: &str, error: &io::Error) {
        let told = format!("cannot read {}: {}", quoted(written), reason(error));
        if error.kind() == io::ErrorKind::NotFound && !written.starts_with('/') {
            let hint = format!("relative paths start at {}", self.start());
            self.tell_with_hint(field, told, &hint);
        } else {
            self.tell(field, told);
        }
    }

    /// Bytes that must be a text.
    pub(super) fn utf8(&self, field: &Field<'_>, bytes: Vec<u8>) -> Option<String> {
        match String::from_utf8(bytes) {
            Ok(text) if text.contains('\0') => {
                self.tell(
                    field,
                    "holds a NUL character, which neither files, variables nor requests can carry",
                );
            }
            Ok(text) => return Some(text),
            Err(error) => {
                let at = error.utf8_error().valid_up_to();
                self.tell(field, format!("expected a text, found what is not UTF-8 (at byte {at})"));
            }
        }
        None
    }

    /// A text from a source.
    pub(super) fn source_text(&self, field: &Field<'_>) -> Option<(String, Given)> {
        let source = self.source(field)?;
        Some((self.utf8(field, source.bytes)?, source.given))
    }

    /// A text, which is a secret where it came from one of `secret`.
    pub(super) fn judged_text(&self, field: &Field<'_>, secret: &[Given]) -> Option<Text> {
        let (text, given) = self.source_text(field)?;
        // An empty text hides nothing, and a masker cannot look for it.
        let is_secret = secret.contains(&given) && !text.is_empty();
        Some(if is_secret { Text::Secret(Secret::new(text)) } else { Text::Plain(text) })
    }

    /// A secret; never empty.
    pub(super) fn secret(&self, field: &Field<'_>) -> Option<Secret> {
        let (text, given) = self.source_text(field)?;
        if text.is_empty() {
            self.tell(field, "must not be empty");
            return None;
        }
        if given == Given::Here {
            self.note_in_clear(field);
        }
        Some(Secret::new(text))
    }
}

fn cut_newline(bytes: &mut Vec<u8>) {
    if bytes.ends_with(b"\n") {
        bytes.pop();
        if bytes.ends_with(b"\r") {
            bytes.pop();
        }
    }
}

/// The reason in words that do not change between systems.
fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "no such file".into(),
        io::ErrorKind::PermissionDenied => "permission denied".into(),
        io::ErrorKind::IsADirectory => "it is a folder".into(),
        io::ErrorKind::NotADirectory => "a part of the path is no folder".into(),
        kind => kind.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::{cut_newline, reason};
    use std::io;

    #[test]
    fn one_newline_is_cut_and_no_more() {
        for (given, kept) in
            [("a\n", "a"), ("a\r\n", "a"), ("a\n\n", "a\n"), ("a", "a"), ("a\r", "a\r"), ("", "")]
        {
            let mut bytes = given.as_bytes().to_vec();
            cut_newline(&mut bytes);
            assert_eq!(bytes, kept.as_bytes(), "{given:?}");
        }
    }

    #[test]
    fn an_unreadable_file_says_so_without_an_error_number() {
        assert_eq!(reason(&io::Error::from(io::ErrorKind::PermissionDenied)), "permission denied");
    }
}
