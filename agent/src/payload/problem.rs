//! What is wrong with a payload, in words: place, field path, what was expected, what to do.
//!
//! Promise: no value of a secret and no line of the source is ever part of a problem. Names are quoted and cut.
//! What is wrong is judged by the modules that read; this one only says it.

use std::fmt;

/// How many problems are told; nobody reads more, and a hostile payload can have 100000.
const TOLD: usize = 100;

/// How much of a name is repeated in a message.
const SHOWN: usize = 60;

/// Where a node stands. Ordered as the document is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// JSON: only the order of the nodes is known.
    Nth(usize),
    /// Both counted from 1.
    At {
        /// The line.
        line: usize,
        /// The column, in characters.
        column: usize,
    },
}

impl Place {
    /// The document as a whole.
    pub(super) const DOCUMENT: Self = Self::Nth(0);
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub(super) place: Place,
    pub(super) path: String,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

impl Problem {
    pub(super) fn new(place: Place, path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { place, path: path.into(), message: message.into(), hint: None }
    }

    pub(super) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The line, from 1; JSON fields have none.
    #[must_use]
    pub fn line(&self) -> Option<usize> {
        match self.place {
            Place::At { line, .. } => Some(line),
            Place::Nth(_) => None,
        }
    }

    /// The column in characters, from 1; JSON fields have none.
    #[must_use]
    pub fn column(&self) -> Option<usize> {
        match self.place {
            Place::At { column, .. } => Some(column),
            Place::Nth(_) => None,
        }
    }

    /// The field, such as `target.auth.token`; empty for the document as a whole.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What is wrong, and what was expected.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to do about it, where there is something to say.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Place::At { line, column } = self.place {
            write!(f, "{line}:{column}: ")?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "; hint: {hint}"),
            None => Ok(()),
        }
    }
}

/// Everything that is wrong with one payload, in document order; never empty.
#[derive(Clone, Debug)]
pub struct Problems {
    source: String,
    list: Vec<Problem>,
}

impl Problems {
    /// `list` must not be empty.
    pub(super) fn new(source: &str, mut list: Vec<Problem>) -> Self {
        debug_assert!(!list.is_empty(), "problems without a problem");
        list.sort_by_key(|problem| problem.place);
        Self { source: source.into(), list }
    }

    /// The problems, in document order.
    #[must_use]
    pub fn list(&self) -> &[Problem] {
        &self.list
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.list.iter().take(TOLD).enumerate() {
            let line_break = if index == 0 { "" } else { "\n" };
            // A place follows its file name without a space, as editors and terminals expect it.
            let space = if matches!(problem.place, Place::At { .. }) { "" } else { " " };
            write!(f, "{line_break}{}:{space}{problem}", self.source)?;
        }
        if self.list.len() > TOLD {
            write!(f, "\n{}: and {} more problems", self.source, self.list.len() - TOLD)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// A name as it may be repeated: in quotes, without control characters, and cut.
pub(super) fn quoted(name: &str) -> String {
    let mut shown = String::from("\"");
    for (index, character) in name.chars().enumerate() {
        if index == SHOWN {
            shown.push('…');
            break;
        }
        if character == '"' || character == '\\' || character.is_control() {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown.push('"');
    shown
}

/// The path of a field below another one.
pub(super) fn below(path: &str, name: &str) -> String {
    let plain = !name.is_empty()
        && name.len() <= SHOWN
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    match (plain, path.is_empty()) {
        (true, true) => name.into(),
        (true, false) => format!("{path}.{name}"),
        (false, _) => format!("{path}[{}]", quoted(name)),
    }
}

/// The known name that was probably meant.
pub(super) fn suggestion<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let lower = name.to_lowercase();
    let near = known.iter().map(|candidate| {
        let distance = strsim::osa_distance(&lower, &candidate.to_lowercase());
        (distance, *candidate)
    });
    // A third of the letters: `tokn` is `token`, while `port` is not `host`.
    near.filter(|(distance, candidate)| *distance <= (candidate.len() / 3).min(3)).min().map(|(_, name)| name)
}

/// The names in a row, for "expected one of …".
pub(super) fn listed(names: &[&str]) -> String {
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::{Place, Problem, Problems, below, quoted, suggestion};

    #[test]
    fn problems_are_told_in_document_order_one_a_line() {
        let late = Problem::new(Place::At { line: 12, column: 5 }, "target.auth.tokn", "unknown field");
        let early = Problem::new(Place::At { line: 2, column: 1 }, "", "wrong").with_hint("do it right");
        let problems = Problems::new("deploy.yaml", vec![late, early]);
        let told =
            "deploy.yaml:2:1: wrong; hint: do it right\ndeploy.yaml:12:5: target.auth.tokn: unknown field";
        assert_eq!(problems.to_string(), told);
    }

    #[test]
    fn nobody_gets_more_than_a_hundred_problems_to_read() {
        let problem = Problem::new(Place::DOCUMENT, "a", "wrong");
        let told = Problems::new("x", vec![problem; 102]).to_string();
        assert_eq!(told.lines().count(), 101);
        assert_eq!(told.lines().last(), Some("x: and 2 more problems"));
    }

    #[test]
    fn a_name_is_quoted_cut_and_free_of_control_characters() {
        assert_eq!(quoted("a\u{1b}[31m\"b"), r#""a\u{1b}[31m\"b""#);
        assert_eq!(quoted(&"x".repeat(61)), format!("\"{}…\"", "x".repeat(60)));
    }

    #[test]
    fn a_path_keeps_odd_names_apart() {
        assert_eq!(below("files", "k8s/app.yaml"), r#"files["k8s/app.yaml"]"#);
        assert_eq!(below("", "kind"), "kind");
    }

    #[test]
    fn only_a_near_name_is_suggested() {
        assert_eq!(suggestion("tokn", &["token", "inCluster"]), Some("token"));
        assert_eq!(suggestion("incluster", &["token", "inCluster"]), Some("inCluster"));
        assert_eq!(suggestion("port", &["host", "kind"]), None);
    }
}
