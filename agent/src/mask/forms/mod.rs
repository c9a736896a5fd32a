//! Every secret to the set of its forms: the byte strings that tools print instead of the secret itself.
//!
//! The specification is `docs/masking.md`, section "Forms". A new form is one line in a table ([`escape::TABLE`]
//! for escapes, [`Writer::encodings`] for encodings) and one test with the output of the tool that prints it.

mod base;
mod escape;
mod lines;
mod markup;
mod structure;
mod words;

use std::collections::BTreeSet;
use std::num::NonZero;
use std::thread;

use escape::TABLE;
pub(super) use words::is_common;

/// The shortest secret that is masked, in bytes; a shorter one would strike ordinary text.
pub const SHORTEST: usize = 4;

/// The shortest derived form, for the same reason.
const SHORTEST_DERIVED: usize = 6;

/// The shortest line of a secret that is masked by itself.
const SHORTEST_LINE: usize = 8;

/// How a form is compared with a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Byte for byte.
    Literal,
    /// Folded, as the log is: any gap with a line end is one newline (`gap`).
    Lines,
}

/// Which forms are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Each of them.
    All,
    /// The value itself, and the value without the newlines at its end.
    Raw,
}

/// One form; its bytes stand in [`Forms::bytes`].
#[derive(Clone, Debug)]
pub(super) struct Form {
    /// Its name in the table.
    #[cfg_attr(not(test), expect(dead_code, reason = "what a test says when a form is missed"))]
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) start: usize,
    pub(super) length: usize,
    /// How many bytes after it belong to it where they stand there: only the end of an encoding has them.
    pub(super) end: usize,
}

/// Forms of any number of secrets, their bytes one after another.
#[derive(Default)]
pub(super) struct Forms {
    pub(super) bytes: Vec<u8>,
    pub(super) all: Vec<Form>,
}

/// So many values are worth a thread.
const WORTH_A_THREAD: usize = 100;

/// Forms are written no faster with more threads than this.
const MOST_THREADS: usize = 4;

impl Forms {
    /// All forms of these values.
    pub(super) fn of_all(values: &BTreeSet<Vec<u8>>, scope: Scope) -> Self {
        let threads = threads(values.len());
        // Long values are of one kind, and stand together: each thread takes every so many-th.
        let part = |first: usize| {
            let mut forms = Self::default();
            values.iter().skip(first).step_by(threads).for_each(|value| forms.add(value, scope));
            forms
        };
        let part = &part;
        thread::scope(|running| {
            let others: Vec<_> = (1..threads)
                .map(|first| (first, thread::Builder::new().spawn_scoped(running, move || part(first))))
                .collect();
            let mut all = part(0);
            for (first, thread) in others {
                // Where there is no thread left, this one has to do.
                let forms = thread.map_or_else(|_| Ok(part(first)), thread::ScopedJoinHandle::join);
                all.append(forms.unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            }
            all
        })
    }

    fn append(&mut self, other: Self) {
        let before = self.bytes.len();
        self.bytes.extend_from_slice(&other.bytes);
        self.all.extend(other.all.into_iter().map(|form| Form { start: form.start + before, ..form }));
    }

    /// Adds all forms of a value.
    pub(super) fn add(&mut self, value: &[u8], scope: Scope) {
        let common = is_common(value);
        let scope = if common { Scope::Raw } else { scope };
        let leaves = if scope == Scope::All { structure::leaves(value) } else { None };
        Writer::new(self, value).all(scope, leaves.is_some());
        for leaf in leaves.into_iter().flatten().filter(|leaf| !is_common(leaf)) {
            Writer::new(self, &leaf).all(scope, false);
        }
    }

    /// The bytes of a form.
    pub(super) fn of(&self, form: &Form) -> &[u8] {
        &self.bytes[form.start..form.start + form.length]
    }

    /// The bytes of a form with its end.
    #[cfg(any(test, fuzzing))]
    pub(super) fn with_end(&self, form: &Form) -> &[u8] {
        &self.bytes[form.start..form.start + form.length + form.end]
    }
}

fn threads(values: usize) -> usize {
    match (values / WORTH_A_THREAD).min(MOST_THREADS) {
        // How many processors there are is read from half a dozen files: not for a few values.
        0 | 1 => 1,
        worth => thread::available_parallelism().map_or(1, NonZero::get).min(worth),
    }
}

/// Writes the forms of one value.
struct Writer<'a> {
    forms: &'a mut Forms,
    value: &'a [u8],
    /// The number of its first form.
    first: usize,
}

impl<'a> Writer<'a> {
    fn new(forms: &'a mut Forms, value: &'a [u8]) -> Self {
        let first = forms.all.len();
        Self { forms, value, first }
    }

    fn all(mut self, scope: Scope, structured: bool) {
        self.raw("raw");
        let end =
            self.value.iter().rposition(|byte| !matches!(byte, b'\n' | b'\r')).map_or(0, |last| last + 1);
        if end < self.value.len() {
            // Newlines at a secret's end are no part of what must not be seen, and tools add and cut them.
            self.value = &self.value[..end];
            self.raw("raw without newlines at its end");
        }
        if scope == Scope::Raw || self.value.len() < SHORTEST {
            return;
        }
        if self.value.contains(&b'\n') || self.value.contains(&b'\r') {
            self.several_lines(structured);
        }
        self.encodings();
        self.escapes();
    }

    fn raw(&mut self, name: &'static str) {
        if self.value.len() >= SHORTEST {
            self.push(name, Kind::Literal, self.value);
        }
    }

    fn escapes(&mut self) {
        let touched = escape::touched(self.value);
        let text = std::str::from_utf8(self.value).ok();
        for (number, escape) in TABLE.iter().enumerate() {
            if touched >> number & 1 == 0 {
                continue;
            }
            let start = self.begin();
            if escape.write(number, self.value, text, &mut self.forms.bytes) {
                self.end(escape.name, start);
            }
        }
    }

    /// Where the next form begins.
    fn begin(&self) -> usize {
        self.forms.bytes.len()
    }

    /// Takes what was written since `start` as a form, unless it would strike ordinary text; where it has
    /// several lines, also as lines.
    fn end(&mut self, name: &'static str, start: usize) {
        let written = &self.forms.bytes[start..];
        if !self.is_form(written) {
            self.forms.bytes.truncate(start);
            return;
        }
        let lines = written.contains(&b'\n').then(|| lines::folded(written)).flatten();
        self.take(name, Kind::Literal, start, written.len());
        if let Some(lines) = lines {
            self.push(name, Kind::Lines, &lines);
        }
    }

    /// Takes what was written since `start`, of which all after `length` bytes is an end, unless the value has
    /// that form already: tools agree on most texts.
    fn take(&mut self, name: &'static str, kind: Kind, start: usize, length: usize) {
        let end = self.forms.bytes.len() - start - length;
        let is_same = |other: &Form| {
            (other.kind, other.length, other.end) == (kind, length, end)
                && self.forms.bytes[other.start..][..length + end] == self.forms.bytes[start..]
        };
        if self.forms.all[self.first..].iter().any(is_same) {
            self.forms.bytes.truncate(start);
        } else {
            self.forms.all.push(Form { name, kind, start, length, end });
        }
    }

    /// Whether it is another form than the value, and would not strike ordinary text.
    fn is_form(&self, written: &[u8]) -> bool {
        written.len() >= SHORTEST_DERIVED && !is_one_byte_repeated(written) && written != self.value
    }

    fn push(&mut self, name: &'static str, kind: Kind, bytes: &[u8]) {
        let start = self.begin();
        self.forms.bytes.extend_from_slice(bytes);
        self.take(name, kind, start, bytes.len());
    }
}

fn is_one_byte_repeated(bytes: &[u8]) -> bool {
    bytes.windows(2).all(|pair| pair[0] == pair[1])
}

#[cfg(test)]
mod tests;
