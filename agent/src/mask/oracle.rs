//! The oracle: slow, obvious, with the whole text in memory. It knows the forms, and none of the ways in which the
//! engine finds them. For the tests and the fuzz targets (`fuzz/`) alone.

use super::forms::{Form, Forms, Kind, Scope};
use super::gap::{Gap, fold};

/// What the fuzz targets may know of a set of forms.
pub struct Known(Forms);

impl Known {
    /// All forms of some values.
    #[must_use]
    pub fn new(values: &[Vec<u8>], scope: Scope) -> Self {
        Self(forms(values, scope))
    }

    /// Each form as it may be printed, with its end.
    #[must_use]
    pub fn all(&self) -> Vec<&[u8]> {
        // What has a gap that is too long is folded to what no text is folded to.
        let is_printed =
            |form: &&Form| form.kind == Kind::Literal || fold(self.0.of(form)) == self.0.of(form);
        self.0.all.iter().filter(is_printed).map(|form| self.0.with_end(form)).collect()
    }

    /// The text with every form masked.
    #[must_use]
    pub fn masked(&self, text: &[u8], mask: &[u8]) -> Vec<u8> {
        masked(&self.0, text, mask)
    }
}

/// All forms of some values.
pub(super) fn forms(values: &[Vec<u8>], scope: Scope) -> Forms {
    let mut forms = Forms::default();
    values.iter().filter(|value| value.len() >= 4).for_each(|value| forms.add(value, scope));
    forms
}

/// The text with every form masked.
pub(super) fn masked(forms: &Forms, text: &[u8], mask: &[u8]) -> Vec<u8> {
    let mut joined: Vec<(usize, usize)> = Vec::new();
    let mut places: Vec<(usize, usize)> = Vec::new();
    let of = |byte: u8| forms.all.iter().filter(move |form| forms.of(form)[0] == byte);
    let by_first: Vec<Vec<&Form>> = (0..=u8::MAX).map(|byte| of(byte).collect()).collect();
    for start in 0..text.len() {
        for form in &by_first[usize::from(text[start])] {
            places.extend(ends(forms, form, text, start).map(|end| (start, end)));
        }
    }
    places.sort_unstable();
    for (start, end) in places {
        match joined.last_mut() {
            Some(last) if start < last.1 => last.1 = last.1.max(end),
            _ => joined.push((start, end)),
        }
    }
    let (mut out, mut at) = (Vec::new(), 0);
    for (start, end) in joined {
        out.extend_from_slice(&text[at..start]);
        out.extend_from_slice(mask);
        at = end;
    }
    out.extend_from_slice(&text[at..]);
    out
}

/// Where a form ends that begins at `start`.
fn ends(forms: &Forms, form: &Form, text: &[u8], start: usize) -> impl Iterator<Item = usize> {
    let (key, ended) = (forms.of(form), forms.with_end(form));
    let literal = |key| [plain(key, text, start), wrapped(key, text, start)];
    let ends = match form.kind {
        Kind::Literal => [literal(key), literal(ended)].concat(),
        Kind::Lines => vec![lines(key, text, start)],
    };
    ends.into_iter().flatten()
}

fn plain(key: &[u8], text: &[u8], start: usize) -> Option<usize> {
    text[start..].starts_with(key).then_some(start + key.len())
}

fn is_code(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+/-_".contains(&byte)
}

/// A code may be cut after 48 bytes of its alphabet in a row, but for its `=`, of which there are two at most.
fn wrapped(key: &[u8], text: &[u8], start: usize) -> Option<usize> {
    let code = key.iter().take_while(|byte| is_code(**byte)).count();
    if key.len() - code > 2 || key[code..].iter().any(|byte| *byte != b'=') {
        return None;
    }
    let mut at = start;
    for (index, byte) in key.iter().enumerate() {
        if text.get(at) != Some(byte) {
            let is_wide = at >= 48 && text[at - 48..at].iter().all(|byte| is_code(*byte));
            let gap = Gap::of(&text[at..]);
            if index == 0 || !is_wide || !gap.joins() || text.get(at + gap.length) != Some(byte) {
                return None;
            }
            at += gap.length;
        }
        at += 1;
    }
    Some(at)
}

/// A gap with a line end is a newline; another one is what it is.
fn lines(key: &[u8], text: &[u8], start: usize) -> Option<usize> {
    let (mut at, mut index, mut literal_until) = (start, 0, start);
    while index < key.len() {
        if at == text.len() {
            return None;
        }
        let gap = Gap::of(&text[at..]);
        if gap.length > 0 && at >= literal_until {
            if gap.joins() {
                if key[index] != b'\n' {
                    return None;
                }
                at += gap.length;
                index += 1;
                continue;
            }
            literal_until = at + gap.literal();
        }
        if key[index] != text[at] {
            return None;
        }
        at += 1;
        index += 1;
    }
    Some(at)
}
