//! YAML events to nodes, without recursion.
//!
//! saphyr's own words never carry source text but for one message (a single character of it), which is replaced.

use std::collections::{HashMap, HashSet};

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};

use super::{Budget, Cost, Key, Kind, MAX_DEPTH, Node, Problem, Scalar, Step, duplicate, path_of, whole};
use crate::payload::problem::Place;

type Outcome<T> = Result<T, Box<Problem>>;

pub(super) fn read(text: &str, second: &'static str) -> Outcome<Node> {
    let mut builder = Builder { second, ..Builder::default() };
    let mut parser: Parser<'_, StrInput<'_>> = Parser::new_from_str(text);
    while let Some(next) = parser.next_event() {
        let (event, span) = next.map_err(|error| syntax(text, &error))?;
        builder.take(event, place(span))?;
    }
    Ok(builder.root.unwrap_or(Node::null(Place::DOCUMENT)))
}

fn place(span: Span) -> Place {
    Place::At { line: span.start.line(), column: span.start.col() + 1 }
}

fn syntax(text: &str, error: &ScanError) -> Box<Problem> {
    let (line, column) = (error.marker().line(), error.marker().col() + 1);
    // The scanner may stop a line before the tab, or notice it only a line later, and seldom calls it one. On these
    // other lines only a tab that comes first is blamed: a script's lines are spaces, then tabs, and right.
    let source = |number: usize| text.lines().nth(number.wrapping_sub(1)).unwrap_or_default();
    let here = source(line);
    let candidates = [
        (line, here[..here.len() - here.trim_start().len()].contains('\t')),
        (line + 1, error.info().contains("tab") && source(line + 1).starts_with('\t')),
        (line.saturating_sub(1), source(line.saturating_sub(1)).starts_with('\t')),
    ];
    if let Some((line, _)) = candidates.into_iter().find(|(_, is_blamed)| *is_blamed) {
        let told = "a tab in the indentation; YAML is indented with spaces";
        return Box::new(Problem::new(Place::At { line, column: 1 }, "", told));
    }
    let place = Place::At { line, column };
    if error.info().starts_with("unexpected character") {
        let told = "not valid YAML: a value must not begin with %, @ or `";
        return Box::new(Problem::new(place, "", told).with_hint("put it in quotes"));
    }
    Box::new(Problem::new(place, "", format!("not valid YAML: {}", error.info())))
}

#[derive(Default)]
struct Builder {
    /// Said of a second document.
    second: &'static str,
    open: Vec<Frame>,
    root: Option<Node>,
    documents: usize,
    anchors: HashMap<usize, (Node, Cost)>,
    budget: Budget,
}

/// A sequence or mapping that has not ended.
struct Frame {
    place: Place,
    anchor: usize,
    foreign: bool,
    cost: Cost,
    content: Content,
}

enum Content {
    Sequence(Vec<Node>),
    Mapping { entries: Vec<(Key, Node)>, seen: HashSet<String>, key: Option<Key> },
}

impl Builder {
    fn take(&mut self, event: Event<'_>, place: Place) -> Outcome<()> {
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                match self.documents {
                    1 => Ok(()),
                    _ => Err(Box::new(Problem::new(place, "", self.second))),
                }
            }
            Event::Alias(anchor) => self.alias(anchor, place),
            Event::Scalar(text, style, anchor, tag) => {
                let kind = scalar(text.into_owned(), style, tag.as_deref());
                let bytes = if let Kind::Scalar(scalar) = &kind { scalar.text.len() } else { 0 };
                self.budget.node(place, self.open.len())?;
                self.add(Node { place, kind }, anchor, Cost { bytes, nodes: 1, depth: 0 })
            }
            Event::SequenceStart(anchor, tag) => {
                let foreign = tag.is_some_and(|tag| !core(&tag, &["seq"]));
                self.start(place, anchor, foreign, Content::Sequence(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                let foreign = tag.is_some_and(|tag| !core(&tag, &["map"]));
                let content = Content::Mapping { entries: Vec::new(), seen: HashSet::new(), key: None };
                self.start(place, anchor, foreign, content)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
        }
    }

    fn start(&mut self, place: Place, anchor: usize, foreign: bool, content: Content) -> Outcome<()> {
        if let Some(Frame { content: Content::Mapping { key: None, .. }, .. }) = self.open.last() {
            return Err(self.no_key(place));
        }
        self.open.push(Frame {
            place,
            anchor,
            foreign,
            cost: Cost { bytes: 0, nodes: 1, depth: 0 },
            content,
        });
        self.budget.node(place, self.open.len())
    }

    fn end(&mut self) -> Outcome<()> {
        let Some(frame) = self.open.pop() else {
            return Err(whole("not valid YAML: an end without a start"));
        };
        let kind = match frame.content {
            _ if frame.foreign => Kind::Tagged,
            Content::Sequence(nodes) => Kind::Sequence(nodes),
            Content::Mapping { entries, .. } => Kind::Mapping(entries),
        };
        self.add(Node { place: frame.place, kind }, frame.anchor, frame.cost)
    }

    fn alias(&mut self, anchor: usize, place: Place) -> Outcome<()> {
        let Some((node, cost)) = self.anchors.get(&anchor) else {
            return Err(Box::new(Problem::new(place, self.path(), "an alias inside of its own anchor")));
        };
        if self.open.len() + cost.depth > MAX_DEPTH {
            let told = format!("an alias that nests more than {MAX_DEPTH} levels deep");
            return Err(Box::new(Problem::new(place, "", told)));
        }
        // Counted before it is copied: a bomb must not get its memory first.
        self.budget.copy(place, *cost)?;
        let (node, cost) = (node.clone(), *cost);
        self.add(node, 0, cost)
    }

    fn add(&mut self, node: Node, anchor: usize, cost: Cost) -> Outcome<()> {
        if anchor != 0 {
            self.budget.copy(node.place, cost)?;
            self.anchors.insert(anchor, (node.clone(), cost));
        }
        let Some(frame) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        frame.cost.add(cost);
        match &mut frame.content {
            Content::Sequence(nodes) => nodes.push(node),
            Content::Mapping { entries, seen, key } => match key.take() {
                Some(key) => entries.push((key, node)),
                None => {
                    let place = node.place;
                    let Kind::Scalar(scalar) = node.kind else { return Err(self.no_key(place)) };
                    if !seen.insert(scalar.text.clone()) {
                        return Err(duplicate(place, &self.path(), &scalar.text));
                    }
                    *key = Some(Key { place, name: scalar.text });
                }
            },
        }
        Ok(())
    }

    /// Templates that were not filled in (`{{ x }}`) end up here.
    fn no_key(&self, place: Place) -> Box<Problem> {
        let problem = Problem::new(place, self.path(), "expected a field name, found another kind of value");
        Box::new(problem.with_hint("a value that begins with { or [ needs quotes"))
    }

    fn path(&self) -> String {
        path_of(self.open.iter().filter_map(|frame| match &frame.content {
            Content::Sequence(nodes) => Some(Step::Element(nodes.len())),
            Content::Mapping { key, .. } => key.as_ref().map(|key| Step::Field(&key.name)),
        }))
    }
}

fn core(tag: &Tag, kinds: &[&str]) -> bool {
    tag.is_yaml_core_schema() && kinds.contains(&tag.suffix.as_str())
}

fn scalar(text: String, style: ScalarStyle, tag: Option<&Tag>) -> Kind {
    let plain = style == ScalarStyle::Plain;
    match tag {
        Some(tag) if core(tag, &["str"]) => Kind::Scalar(Scalar { text, quoted: true, inexact: false }),
        Some(tag) if !core(tag, &["int", "float", "bool", "null"]) => Kind::Tagged,
        _ if plain && matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL") => Kind::Null,
        _ => Kind::Scalar(Scalar { text, quoted: !plain, inexact: false }),
    }
}
