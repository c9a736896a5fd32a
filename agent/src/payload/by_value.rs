//! A payload as it goes to a queue: what its text sources, `script.file` and `…File` fields name on the submitter's machine
//! stands in it by value, so that no worker needs what the submitter has (payload.md 0).
//!
//! Promise: what was a secret for where it came from is one in `secrets`; of a kubeconfig only the context that is used
//! is sent. What only the worker can have (its folders, tools, variables, accounts) goes as it stands: the worker's
//! operator may allow it, and `asked` tells what it must. What no operator can allow is refused here, in the worker's
//! own words: a relative path of the worker's, a plugin without its path, a worker's account without a server to send it
//! to, a key file that names other hosts than its provider's, a `credential_source`.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::document::{Kind, Node, Scalar};
use super::fields::{Field, Reader};
use super::problem::{Place, Problem};
use super::trust::PathList;
use super::{MAX_BYTES, Origin, Step, Text};
use crate::secret::Secret;

/// A checked step, and the payload that says the same to a worker.
pub struct ByValue {
    /// What was read. What is the worker's to say (its variables, its pod's account) is empty in it.
    pub step: Step,
    /// The payload by value: JSON.
    pub document: Secret,
    /// What the worker's operator must allow, each with its field.
    pub asked: Vec<String>,
}

/// What was found on the way, for the document that is sent.
#[derive(Default)]
pub(super) struct Sent {
    /// By the node's address: the tree stands still while it is read.
    values: RefCell<HashMap<usize, Found>>,
    asked: RefCell<Vec<String>>,
}

/// A value that is sent in place of what was written.
struct Found {
    /// The field's name in what is sent, where it is another one.
    name: Option<&'static str>,
    text: Secret,
}

impl Reader<'_> {
    /// Whether the step runs on another machine, whose operator judges what the payload names there.
    pub(super) fn is_submitted(&self) -> bool {
        self.surroundings.origin == Origin::Submitted
    }

    /// This value is sent in place of the field's own, by this name where it changes.
    pub(super) fn send(&self, field: &Field<'_>, name: Option<&'static str>, bytes: &[u8]) {
        if !self.is_submitted() {
            return;
        }
        let text = std::str::from_utf8(bytes).ok().filter(|text| !text.contains('\0'));
        // Where no text is expected, base64 of it is (a PFX).
        let text = text.map_or_else(|| STANDARD.encode(bytes), str::to_owned);
        self.sent.values.borrow_mut().insert(address(field.node), Found { name, text: Secret::new(text) });
    }

    /// Notes what only the worker's operator can allow, by this key of the config's `[remote]`.
    pub(super) fn ask(&self, field: &Field<'_>, key: &str) {
        let asked = format!("{}: the worker's operator must allow it with [remote] {key} = […]", field.path);
        self.sent.asked.borrow_mut().push(asked);
    }

    /// Takes over what a reader inside of this one's field asks for.
    pub(super) fn ask_inside(&self, inner: &Self, field: &Field<'_>) {
        let asked = inner.sent.asked.take();
        self.sent.asked.borrow_mut().extend(asked.iter().map(|asked| format!("{}: {asked}", field.path)));
    }

    /// A path of the machine that runs the step; that it may not be named is told. On another machine nobody can look
    /// whether it is there.
    pub(super) fn path_there(&self, field: &Field<'_>, written: &str, list: PathList) -> Option<PathBuf> {
        if !self.is_submitted() {
            let path = self.absolute(written);
            return self.may_name(field, &path, list).then_some(path);
        }
        if !written.starts_with('/') {
            let hint = "name it by its absolute path on the worker, or send it by files";
            self.tell_with_hint(field, "a relative path means nothing on a worker", hint);
            return None;
        }
        self.ask(field, list.key());
        Some(written.into())
    }

    /// The payload that is sent, and what its worker's operator must allow; that it is too large is told.
    pub(super) fn by_value(&self, root: &Node, step: &Step) -> (Secret, Vec<String>) {
        let mut document = self.written(root);
        if let Value::Object(fields) = &mut document {
            add_secrets(fields, step);
        }
        let text = document.to_string();
        if text.len() > MAX_BYTES {
            let size = text.len();
            let told = format!(
                "with what it reads, the payload has {size} bytes; at most {MAX_BYTES} (4 MiB) go on a queue"
            );
            self.push(Problem::new(Place::DOCUMENT, "", told));
        }
        (Secret::new(text), self.sent.asked.take())
    }

    /// The node as JSON that is read as the same, with what was found in place of where it was found.
    pub(super) fn written(&self, node: &Node) -> Value {
        let values = self.sent.values.borrow();
        if let Some(found) = values.get(&address(node)) {
            return found.text.expose().into();
        }
        match &node.kind {
            Kind::Null | Kind::Tagged => Value::Null,
            Kind::Scalar(scalar) => written_scalar(scalar),
            Kind::Sequence(nodes) => nodes.iter().map(|node| self.written(node)).collect(),
            Kind::Mapping(entries) => {
                let (mut fields, mut renamed) = (Map::new(), Map::new());
                for (key, node) in entries {
                    match values.get(&address(node)).and_then(|found| found.name) {
                        Some(name) => renamed.insert(name.into(), self.written(node)),
                        None => fields.insert(key.name.clone(), self.written(node)),
                    };
                }
                // What comes from a file counts more than what stands beside it, as for kubectl.
                fields.extend(renamed);
                fields.into()
            }
        }
    }
}

fn address(node: &Node) -> usize {
    std::ptr::from_ref(node).addr()
}

/// Only `true`, `false` and whole numbers are more than texts without their quotes.
fn written_scalar(scalar: &Scalar) -> Value {
    let text = scalar.text.as_str();
    let whole = || text.parse::<i64>().ok().filter(|number| number.to_string() == text);
    match text {
        "true" | "false" if !scalar.quoted => (text == "true").into(),
        _ if !scalar.quoted => whole().map_or_else(|| text.into(), Value::from),
        _ => text.into(),
    }
}

/// A value in `files` or `environment` is a secret for its source; without one, `secrets` says so.
fn add_secrets(fields: &mut Map<String, Value>, step: &Step) {
    let texts = step.environment.values().chain(step.files.values());
    let secret: BTreeSet<&str> = texts
        .filter_map(|text| match text {
            Text::Secret(secret) => Some(secret.expose()),
            Text::Plain(_) => None,
        })
        .collect();
    if secret.is_empty() {
        return;
    }
    let secrets = fields.entry("secrets").or_insert_with(|| Value::Array(Vec::new()));
    if let Value::Array(secrets) = secrets {
        secrets.extend(secret.into_iter().map(Value::from));
    }
}
