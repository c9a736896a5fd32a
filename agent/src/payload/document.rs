//! Text to a tree of placed nodes: YAML from `saphyr-parser`'s events, JSON (first byte `{`) through `serde_json`.
//!
//! Promise: scalars stay as they are written (`1.20`, `0644`), every node knows its place, and neither size, depth,
//! number of nodes nor aliases are without bound. Only what makes the rest unreadable ends here: a syntax error, a
//! duplicate key, a second document, an exceeded budget. What fields mean is left to `wire`.

mod json;
mod yaml;

use super::problem::{Place, Problem, below};
use super::{MAX_BYTES, problem};

/// No payload nests deeper than a dozen levels.
const MAX_DEPTH: usize = 64;
/// Far above any step (one node a value), and small enough that a tree of them stays below 20 MB.
const MAX_NODES: usize = 100_000;
/// What anchors and aliases together may copy.
const MAX_COPIED: usize = 2 * MAX_BYTES;

/// A value, and where it stands.
#[derive(Clone)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) kind: Kind,
}

#[derive(Clone)]
pub(super) enum Kind {
    /// Empty, `~` or `null`.
    Null,
    Scalar(Scalar),
    Sequence(Vec<Node>),
    Mapping(Vec<(Key, Node)>),
    /// A value with a tag of somebody's own; never read further.
    Tagged,
}

#[derive(Clone)]
pub(super) struct Scalar {
    pub(super) text: String,
    /// Only a plain `true` is a boolean.
    pub(super) quoted: bool,
    /// JSON's fractions come through a float, so that they are not as written.
    pub(super) inexact: bool,
}

#[derive(Clone)]
pub(super) struct Key {
    pub(super) place: Place,
    pub(super) name: String,
}

impl Node {
    fn null(place: Place) -> Self {
        Self { place, kind: Kind::Null }
    }

    /// What stands under a name, where this is a mapping that has it.
    pub(super) fn get(&self, name: &str) -> Option<&Self> {
        match &self.kind {
            Kind::Mapping(entries) => entries.iter().find(|(key, _)| key.name == name).map(|(_, node)| node),
            Kind::Null | Kind::Scalar(_) | Kind::Sequence(_) | Kind::Tagged => None,
        }
    }

    /// The elements, where this is a list.
    pub(super) fn elements(&self) -> &[Self] {
        match &self.kind {
            Kind::Sequence(elements) => elements,
            Kind::Null | Kind::Scalar(_) | Kind::Mapping(_) | Kind::Tagged => &[],
        }
    }

    /// The text, where this is one that is not empty.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar(scalar) if !scalar.text.is_empty() => Some(&scalar.text),
            Kind::Scalar(_) | Kind::Null | Kind::Sequence(_) | Kind::Mapping(_) | Kind::Tagged => None,
        }
    }
}

/// What a document is to be, in the words of its problems.
pub(super) struct Words {
    /// Why there is not a second one.
    second: &'static str,
    /// Said of an empty one.
    empty: &'static str,
    /// Said of one that is no mapping.
    other: &'static str,
}

pub(super) const STEP: Words = Words {
    second: "a second document; a payload is one step",
    empty: "the document is empty; expected a step (apiVersion, kind, metadata, target, script)",
    other: "expected a step, which is a mapping (apiVersion, kind, metadata, target, script)",
};

pub(super) const KUBECONFIG: Words = Words {
    second: "a second document; kubectl reads one",
    empty: "the document is empty; expected clusters, contexts, users and current-context",
    other: "expected a mapping (clusters, contexts, users, current-context)",
};

/// Reads a document.
pub(super) fn read(bytes: &[u8], words: &Words) -> Result<Node, Box<Problem>> {
    if bytes.len() > MAX_BYTES {
        let size = bytes.len();
        return Err(whole(format!("the payload has {size} bytes; at most {MAX_BYTES} (4 MiB) are read")));
    }
    let text = utf8(bytes)?;
    if let Some(at) = text.find('\0') {
        return Err(Box::new(Problem::new(place_of(text, at), "", "a NUL byte, which no payload may hold")));
    }
    let root = match text.trim_start().starts_with('{') {
        true => json::read(text)?,
        false => yaml::read(text, words.second)?,
    };
    match root.kind {
        Kind::Mapping(_) => Ok(root),
        Kind::Null => Err(whole(words.empty)),
        Kind::Scalar(_) | Kind::Sequence(_) | Kind::Tagged => Err(whole(words.other)),
    }
}

fn utf8(bytes: &[u8]) -> Result<&str, Box<Problem>> {
    // Windows editors write a byte order mark; it means nothing in UTF-8.
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        let before = std::str::from_utf8(&bytes[..at]).unwrap_or_default();
        let problem = Problem::new(place_of(before, at), "", format!("not UTF-8 at byte {at}"));
        match bytes {
            [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => {
                Box::new(problem.with_hint("this is UTF-16; save it as UTF-8"))
            }
            _ => Box::new(problem),
        }
    })
}

fn place_of(text: &str, at: usize) -> Place {
    let before = &text[..at];
    let start = before.rfind('\n').map_or(0, |index| index + 1);
    let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
    Place::At { line, column: before[start..].chars().count() + 1 }
}

fn whole(message: impl Into<String>) -> Box<Problem> {
    Box::new(Problem::new(Place::DOCUMENT, "", message))
}

fn duplicate(place: Place, path: &str, name: &str) -> Box<Problem> {
    Box::new(Problem::new(place, below(path, name), "stands here for the second time"))
}

/// Counts what a document may cost.
#[derive(Default)]
struct Budget {
    nodes: usize,
    copied: usize,
}

impl Budget {
    fn node(&mut self, place: Place, depth: usize) -> Result<(), Box<Problem>> {
        self.nodes += 1;
        let told = match (self.nodes > MAX_NODES, depth > MAX_DEPTH) {
            (true, _) => format!("more than {MAX_NODES} values"),
            (_, true) => format!("nested more than {MAX_DEPTH} levels deep"),
            (false, false) => return Ok(()),
        };
        Err(Box::new(Problem::new(place, "", told)))
    }

    fn copy(&mut self, place: Place, cost: Cost) -> Result<(), Box<Problem>> {
        self.copied += cost.bytes;
        self.nodes += cost.nodes;
        match self.copied > MAX_COPIED || self.nodes > MAX_NODES {
            true => Err(Box::new(Problem::new(
                place,
                "",
                "aliases copy more than 8 MiB or 100000 values; write fewer of them",
            ))),
            false => Ok(()),
        }
    }
}

/// What a node and everything below it cost to copy.
#[derive(Clone, Copy, Default)]
struct Cost {
    bytes: usize,
    nodes: usize,
    depth: usize,
}

impl Cost {
    /// `node`'s children cost `self` so far.
    fn add(&mut self, child: Self) {
        self.bytes += child.bytes;
        self.nodes += child.nodes;
        self.depth = self.depth.max(child.depth + 1);
    }
}

/// The path of a list's element.
fn element(path: &str, index: usize) -> String {
    format!("{path}[{index}]")
}

/// The path of the innermost open node.
fn path_of<'a>(steps: impl Iterator<Item = Step<'a>>) -> String {
    steps.fold(String::new(), |path, step| match step {
        Step::Field(name) => problem::below(&path, name),
        Step::Element(index) => element(&path, index),
    })
}

/// One level of a path.
enum Step<'a> {
    Field(&'a str),
    Element(usize),
}

#[cfg(test)]
mod tests;
