//! JSON to the same nodes. `serde_json::Value` swallows duplicate keys, so the tree is built by a visitor.
//!
//! JSON fields have a path and no place; a syntax error has its line and column.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;

use super::{Budget, Key, Kind, Node, Problem, Scalar, duplicate, element, whole};
use crate::payload::problem::{Place, below};

pub(super) fn read(text: &str) -> Result<Node, Box<Problem>> {
    let state = State::default();
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = Value { state: &state, path: String::new(), depth: 0 };
    let read = value.deserialize(&mut reader).and_then(|node| reader.end().map(|()| node));
    let told = state.problem.into_inner();
    read.map_err(|error| told.unwrap_or_else(|| syntax(&error)))
}

/// In our own words: serde_json's could repeat source text.
fn syntax(error: &serde_json::Error) -> Box<Problem> {
    let told = match error.classify() {
        Category::Eof => "the JSON ends before its last bracket or quote is closed",
        Category::Io | Category::Syntax | Category::Data => "not valid JSON from here on",
    };
    let (line, column) = (error.line(), error.column().max(1));
    if line == 0 {
        return whole(told);
    }
    Box::new(
        Problem::new(Place::At { line, column }, "", told).with_hint("what begins with { is read as JSON"),
    )
}

#[derive(Default)]
struct State {
    budget: RefCell<Budget>,
    /// Serde's errors are texts; a whole problem waits here for the end of reading.
    problem: RefCell<Option<Box<Problem>>>,
}

impl State {
    fn refuse<E: Error>(&self, problem: Box<Problem>) -> E {
        self.problem.replace(Some(problem));
        E::custom("")
    }
}

struct Value<'a> {
    state: &'a State,
    path: String,
    depth: usize,
}

impl Value<'_> {
    fn place<E: Error>(&self) -> Result<Place, E> {
        let mut budget = self.state.budget.borrow_mut();
        let place = Place::Nth(budget.nodes);
        budget.node(place, self.depth).map_err(|problem| self.state.refuse(problem))?;
        Ok(place)
    }

    fn scalar<E: Error>(&self, text: String, quoted: bool, inexact: bool) -> Result<Node, E> {
        Ok(Node { place: self.place()?, kind: Kind::Scalar(Scalar { text, quoted, inexact }) })
    }

    fn child(&self, path: String) -> Self {
        Self { state: self.state, path, depth: self.depth + 1 }
    }
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = Node;

    fn deserialize<D: serde::Deserializer<'de>>(self, reader: D) -> Result<Node, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Node, E> {
        Ok(Node::null(self.place()?))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Node, E> {
        self.scalar(value.to_string(), false, false)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Node, E> {
        self.scalar(value.to_string(), false, false)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Node, E> {
        self.scalar(value.to_string(), false, false)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Node, E> {
        self.scalar(value.to_string(), false, true)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Node, E> {
        self.scalar(value.into(), true, false)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let place = self.place()?;
        let mut nodes = Vec::new();
        while let Some(node) = access.next_element_seed(self.child(element(&self.path, nodes.len())))? {
            nodes.push(node);
        }
        Ok(Node { place, kind: Kind::Sequence(nodes) })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let place = self.place()?;
        let mut entries: Vec<(Key, Node)> = Vec::new();
        let mut seen = HashSet::new();
        while let Some(name) = access.next_key::<String>()? {
            if !seen.insert(name.clone()) {
                return Err(self.state.refuse(duplicate(place, &self.path, &name)));
            }
            let node = access.next_value_seed(self.child(below(&self.path, &name)))?;
            entries.push((Key { place: node.place, name }, node));
        }
        Ok(Node { place, kind: Kind::Mapping(entries) })
    }
}
