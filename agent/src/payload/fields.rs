//! Walking the tree: fields by name, texts, lists; every misfit becomes a problem, and reading goes on.
//!
//! Promise: where a reader answers `None` for a field that is there, the reason was told. A value is never repeated.
//! Which fields there are, and what makes a value right, is left to `wire`.

mod choice;

use std::cell::{Cell, RefCell};
use std::path::Path;

use super::Surroundings;
use super::by_value::Sent;
use super::document::{Kind, Node};
use super::problem::{Place, Problem, Problems, below, listed, quoted, suggestion};

/// Fields of the contract that arrive with later versions; by path.
const LATER: [&str; 3] = ["limits.memory", "limits.pids", "limits.cpu"];

/// Above any step's files together, and bearable for a worker.
const MAX_READ: usize = 64 * 1024 * 1024;

/// What a field of a later version says.
pub(super) const NOT_YET: &str = "this version of kubestep does not know it yet";

/// A value and the path to it.
#[derive(Clone)]
pub(super) struct Field<'n> {
    pub(super) path: String,
    /// Where its name stands; without one, where the value stands.
    pub(super) key: Place,
    pub(super) node: &'n Node,
}

impl<'n> Field<'n> {
    /// The text as it is written, unjudged, for what another field's meaning depends on.
    pub(super) fn plain(&self) -> Option<&'n str> {
        match &self.node.kind {
            Kind::Scalar(scalar) => Some(&scalar.text),
            Kind::Null | Kind::Sequence(_) | Kind::Mapping(_) | Kind::Tagged => None,
        }
    }
}

/// A mapping whose field names are known.
pub(super) struct Fields<'n> {
    mapping: Field<'n>,
    found: Vec<(&'n str, Field<'n>)>,
}

impl<'n> Fields<'n> {
    /// The field, where it stands in the payload.
    pub(super) fn get(&self, name: &str) -> Option<&Field<'n>> {
        self.found.iter().find(|(found, _)| *found == name).map(|(_, field)| field)
    }

    /// The field, unless it is empty: kubectl takes an empty one for absent.
    pub(super) fn filled(&self, name: &str) -> Option<&Field<'n>> {
        self.get(name).filter(|field| match &field.node.kind {
            Kind::Null => false,
            Kind::Scalar(scalar) => !scalar.text.is_empty(),
            Kind::Sequence(_) | Kind::Mapping(_) | Kind::Tagged => true,
        })
    }

    /// The field; that it is missing is told.
    pub(super) fn required(&self, name: &str, reader: &Reader<'_>) -> Option<&Field<'n>> {
        self.get(name).or_else(|| self.missing(name, reader))
    }

    /// Tells that a field is missing.
    pub(super) fn missing<T>(&self, name: &str, reader: &Reader<'_>) -> Option<T> {
        let path = below(&self.mapping.path, name);
        reader.push(Problem::new(self.mapping.node.place, path, "missing"));
        None
    }

    /// The known fields that are there.
    pub(super) fn found(&self) -> &[(&'n str, Field<'n>)] {
        &self.found
    }
}

/// Collects the problems while a payload is read.
pub(super) struct Reader<'a> {
    pub(super) surroundings: &'a Surroundings,
    /// The folder of a kubeconfig that is read, by which its relative paths go.
    inside: Option<&'a Path>,
    problems: RefCell<Vec<Problem>>,
    /// Fields whose secret stands in the payload itself.
    in_clear: RefCell<Vec<String>>,
    /// What text sources have read so far, in bytes.
    read: Cell<usize>,
    pub(super) sent: Sent,
}

impl<'a> Reader<'a> {
    pub(super) fn new(surroundings: &'a Surroundings) -> Self {
        Self {
            surroundings,
            inside: None,
            problems: RefCell::default(),
            in_clear: RefCell::default(),
            read: Cell::default(),
            sent: Sent::default(),
        }
    }

    /// A reader for a document that stands in a field of this one, and came from this folder. Its problems come
    /// back by [`Reader::absorb`].
    pub(super) fn inside<'b>(&'b self, folder: Option<&'b Path>) -> Reader<'b> {
        Reader {
            surroundings: self.surroundings,
            inside: folder,
            problems: RefCell::default(),
            in_clear: RefCell::default(),
            read: self.read.clone(),
            sent: Sent::default(),
        }
    }

    /// Takes over what was wrong in `field`'s document.
    pub(super) fn absorb(&self, inner: &Reader<'_>, field: &Field<'_>) {
        self.read.set(inner.read.get());
        self.ask_inside(inner, field);
        let mut problems = inner.problems.take();
        problems.sort_by_key(|problem| problem.place);
        for problem in problems {
            self.tell_inside(field, problem);
        }
    }

    /// Tells what is wrong in `field`'s document. Its place is not the payload's, so it becomes part of the words.
    pub(super) fn tell_inside(&self, field: &Field<'_>, problem: Problem) {
        let at = match problem.place {
            Place::At { line, column } => format!("at {line}:{column} of the kubeconfig"),
            Place::Nth(_) => "in the kubeconfig".into(),
        };
        let path = if problem.path.is_empty() { String::new() } else { format!("{}: ", problem.path) };
        let told = format!("{at}: {path}{}", problem.message);
        self.push(Problem { hint: problem.hint, ..Problem::new(field.node.place, &field.path, told) });
    }

    /// Where relative paths start.
    pub(super) fn folder(&self) -> &Path {
        self.inside.unwrap_or(&self.surroundings.folder)
    }

    /// Whether the document came from a file, so that its relative paths mean something.
    pub(super) fn is_in_a_folder(&self) -> bool {
        self.inside.is_some()
    }

    /// The same in words.
    pub(super) fn start(&self) -> &'static str {
        if self.inside.is_some() { "the kubeconfig's folder" } else { "the payload's folder" }
    }

    pub(super) fn push(&self, problem: Problem) {
        self.problems.borrow_mut().push(problem);
    }

    /// Notes that a field's secret stands in the payload itself.
    pub(super) fn note_in_clear(&self, field: &Field<'_>) {
        self.in_clear.borrow_mut().push(field.path.clone());
    }

    /// The fields so noted.
    pub(super) fn in_clear(&self) -> Vec<String> {
        self.in_clear.borrow().clone()
    }

    /// Tells what is wrong with a field.
    pub(super) fn tell(&self, field: &Field<'_>, message: impl Into<String>) {
        self.push(Problem::new(field.node.place, &field.path, message));
    }

    /// Tells what is wrong with a field, and what to do.
    pub(super) fn tell_with_hint(&self, field: &Field<'_>, message: impl Into<String>, hint: &str) {
        self.push(Problem::new(field.node.place, &field.path, message).with_hint(hint));
    }

    /// The step, or everything that is wrong.
    pub(super) fn finish<T>(self, read: Option<T>, source: &str) -> Result<T, Problems> {
        let mut problems = self.problems.into_inner();
        match read {
            Some(read) if problems.is_empty() => Ok(read),
            Some(_) | None => {
                if problems.is_empty() {
                    // Guards the promise above: a payload is never refused in silence.
                    problems.push(Problem::new(Place::DOCUMENT, "", "the payload could not be read"));
                }
                Err(Problems::new(source, problems))
            }
        }
    }

    /// Counts what files and variables bring in: a payload of thousands of them must not fill the memory.
    pub(super) fn spend(&self, field: &Field<'_>, bytes: usize) -> bool {
        let before = self.read.get();
        self.read.set(before.saturating_add(bytes));
        let is_within = self.read.get() <= MAX_READ;
        if !is_within && before <= MAX_READ {
            self.tell(field, "files and variables of this payload hold more than 64 MiB together");
        }
        is_within
    }

    fn misfit(&self, field: &Field<'_>, expected: &str) {
        let found = match &field.node.kind {
            Kind::Tagged => {
                let told = format!("expected {expected}, found a tag of its own, which is not supported");
                return self.tell_with_hint(field, told, "remove the word that begins with !");
            }
            Kind::Null => "nothing",
            Kind::Scalar(_) => "a single value",
            Kind::Sequence(_) => "a list",
            Kind::Mapping(_) => "a mapping",
        };
        self.tell(field, format!("expected {expected}, found {found}"));
    }

    /// A text as it is written. It may be empty, and holds no NUL.
    pub(super) fn text(&self, field: &Field<'_>) -> Option<String> {
        let Kind::Scalar(scalar) = &field.node.kind else {
            self.misfit(field, "a text");
            return None;
        };
        if scalar.inexact {
            self.tell_with_hint(field, "expected a text, found a number with a fraction", "put it in quotes");
            return None;
        }
        if scalar.text.contains('\0') {
            self.tell(field, "holds a NUL character, which neither files, variables nor requests can carry");
            return None;
        }
        Some(scalar.text.clone())
    }

    /// A text that is not empty.
    pub(super) fn filled_text(&self, field: &Field<'_>) -> Option<String> {
        let text = self.text(field)?;
        if text.is_empty() {
            self.tell(field, "must not be empty");
            return None;
        }
        Some(text)
    }

    /// `true` or `false`, without quotes.
    pub(super) fn truth(&self, field: &Field<'_>) -> Option<bool> {
        match &field.node.kind {
            Kind::Scalar(scalar) if !scalar.quoted && scalar.text == "true" => Some(true),
            Kind::Scalar(scalar) if !scalar.quoted && scalar.text == "false" => Some(false),
            Kind::Scalar(_) => {
                self.tell(field, "expected true or false, without quotes");
                None
            }
            Kind::Null | Kind::Sequence(_) | Kind::Mapping(_) | Kind::Tagged => {
                self.misfit(field, "true or false");
                None
            }
        }
    }

    /// The elements of a list.
    pub(super) fn list<'n>(&self, field: &Field<'n>) -> Option<Vec<Field<'n>>> {
        let Kind::Sequence(nodes) = &field.node.kind else {
            self.misfit(field, "a list");
            return None;
        };
        let element = |(index, node): (usize, &'n Node)| Field {
            path: format!("{}[{index}]", field.path),
            key: node.place,
            node,
        };
        Some(nodes.iter().enumerate().map(element).collect())
    }

    /// The entries of a mapping whose names are the payload's own.
    pub(super) fn entries<'n>(&self, field: &Field<'n>) -> Option<Vec<(&'n str, Field<'n>)>> {
        let Kind::Mapping(entries) = &field.node.kind else {
            self.misfit(field, "a mapping");
            return None;
        };
        let mut found = Vec::with_capacity(entries.len());
        for (key, node) in entries {
            if key.name == "<<" {
                let told = "merge keys are not supported";
                let problem = Problem::new(key.place, below(&field.path, "<<"), told);
                self.push(problem.with_hint("write the fields out"));
            } else {
                found.push((
                    key.name.as_str(),
                    Field { path: below(&field.path, &key.name), key: key.place, node },
                ));
            }
        }
        Some(found)
    }

    /// How many entries a mapping has, known or not.
    pub(super) fn entries_count(&self, field: &Field<'_>) -> usize {
        match &field.node.kind {
            Kind::Mapping(entries) => entries.len(),
            Kind::Null | Kind::Scalar(_) | Kind::Sequence(_) | Kind::Tagged => 0,
        }
    }

    /// The fields of a mapping; unknown ones are told.
    pub(super) fn fields<'n>(&self, field: &Field<'n>, known: &[&str]) -> Option<Fields<'n>> {
        let mut fields = self.all_fields(field)?;
        fields.found.retain(|(name, entry)| {
            let is_known = known.contains(name);
            if !is_known {
                self.unknown(name, entry, known);
            }
            is_known
        });
        Some(fields)
    }

    /// The fields of a mapping that may have more than we know.
    pub(super) fn all_fields<'n>(&self, field: &Field<'n>) -> Option<Fields<'n>> {
        Some(Fields { mapping: field.clone(), found: self.entries(field)? })
    }

    fn unknown(&self, name: &str, entry: &Field<'_>, known: &[&str]) {
        let problem = |told: String| Problem::new(entry.key, &entry.path, told);
        if LATER.contains(&entry.path.as_str()) {
            return self.push(problem("unknown field".into()).with_hint(NOT_YET));
        }
        self.push(problem(match suggestion(name, known) {
            Some(meant) => format!("unknown field; did you mean {}?", quoted(meant)),
            None if known.is_empty() => "unknown field; expected none here".into(),
            None => format!("unknown field; expected {}", listed(known)),
        }));
    }
}
