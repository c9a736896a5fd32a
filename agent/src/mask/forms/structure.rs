//! Structured secrets: a document that is secret as a whole, and in its secret leaves, but not line by line, since
//! every log would lose its `apiVersion: v1`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use saphyr_parser::{Event, Parser, StrInput};
use serde_json::{Map, Value};

/// The shortest leaf of a document of unknown kind that is a secret by itself.
const SHORTEST_LEAF: usize = 8;

/// Where documents are nested deeper than this they are no credentials.
const DEEPEST: usize = 32;

/// Above this many bytes a text is no credential, and is not read as a document.
const LONGEST: usize = 1024 * 1024;

/// Names whose values are secret, in kubeconfigs and key files, in lower case without `-` and `_`.
const SECRET_NAMES: [&str; 14] = [
    "token",
    "accesstoken",
    "refreshtoken",
    "idtoken",
    "password",
    "clientkeydata",
    "clientsecret",
    "secretaccesskey",
    "sessiontoken",
    "privatekey",
    "privatekeyid",
    "assertion",
    "subjecttoken",
    "apikey",
];

/// The secret leaves of a document; `None` where the value is no such document.
pub(super) fn leaves(value: &[u8]) -> Option<Vec<Vec<u8>>> {
    let text = std::str::from_utf8(value).ok().filter(|text| text.len() <= LONGEST)?;
    let document = document(text)?;
    let mut leaves = Leaves { found: Vec::new() };
    let kind = |name: &str| document.get(name).and_then(Value::as_str).unwrap_or_default();
    if kind("kind") == "Secret" {
        leaves.all(document.get("stringData").unwrap_or(&Value::Null), 0);
        leaves.all(document.get("data").unwrap_or(&Value::Null), 0);
    } else if is_kubeconfig(&document) || document.contains_key("private_key") || is_key(kind("type")) {
        leaves.named(&Value::Object(document), 0);
    } else {
        leaves.all(&Value::Object(document), 0);
    }
    Some(leaves.found)
}

fn is_kubeconfig(document: &Map<String, Value>) -> bool {
    document.contains_key("users") && (document.contains_key("clusters") || document.contains_key("contexts"))
}

/// Google's kinds of credentials.
fn is_key(kind: &str) -> bool {
    ["service_account", "authorized_user", "external_account", "impersonated_service_account"].contains(&kind)
}

fn document(text: &str) -> Option<Map<String, Value>> {
    let beginning = text.trim_start();
    if beginning.starts_with('{') {
        return serde_json::from_str(beginning).ok();
    }
    // YAML takes nearly every text; only a Kubernetes document is meant.
    let is_field = |line: &str| line.starts_with("apiVersion:") || line.starts_with("kind:");
    if !text.lines().any(is_field) {
        return None;
    }
    match yaml(text)? {
        Value::Object(document) => Some(document),
        _ => None,
    }
}

/// A YAML document as a JSON value, every scalar a text. Aliases are left out: no credential has one.
fn yaml(text: &str) -> Option<Value> {
    let mut parser: Parser<'_, StrInput<'_>> = Parser::new_from_str(text);
    let mut open: Vec<(Value, Option<String>)> = Vec::new();
    while let Some(event) = parser.next_event() {
        let value = match event.ok()?.0 {
            Event::Scalar(text, ..) => match open.last_mut() {
                Some((Value::Object(_), key @ None)) => {
                    *key = Some(text.into_owned());
                    continue;
                }
                _ => Value::String(text.into_owned()),
            },
            Event::MappingStart(..) | Event::SequenceStart(..) if open.len() >= DEEPEST => return None,
            Event::MappingStart(..) => {
                open.push((Value::Object(Map::new()), None));
                continue;
            }
            Event::SequenceStart(..) => {
                open.push((Value::Array(Vec::new()), None));
                continue;
            }
            Event::MappingEnd | Event::SequenceEnd => open.pop()?.0,
            Event::Alias(_) => Value::Null,
            _ => continue,
        };
        match open.last_mut() {
            None => return Some(value),
            Some((Value::Object(entries), key)) => drop(entries.insert(key.take()?, value)),
            Some((Value::Array(entries), _)) => entries.push(value),
            Some(_) => return None,
        }
    }
    None
}

struct Leaves {
    found: Vec<Vec<u8>>,
}

impl Leaves {
    /// Every text that is long enough.
    fn all(&mut self, value: &Value, depth: usize) {
        match value {
            Value::String(text) if text.len() >= SHORTEST_LEAF => self.leaf(text),
            Value::Array(entries) if depth < DEEPEST => {
                entries.iter().for_each(|entry| self.all(entry, depth + 1));
            }
            Value::Object(entries) if depth < DEEPEST => {
                entries.values().for_each(|entry| self.all(entry, depth + 1));
            }
            _ => {}
        }
    }

    /// The values of secret names, and of the environment of `exec` plugins.
    fn named(&mut self, value: &Value, depth: usize) {
        match value {
            Value::Object(entries) if depth < DEEPEST => {
                for (name, entry) in entries {
                    match entry {
                        Value::String(text) if is_secret(name) => self.leaf(text),
                        Value::Array(variables) if name == "env" => self.environment(variables),
                        entry => self.named(entry, depth + 1),
                    }
                }
            }
            Value::Array(entries) if depth < DEEPEST => {
                entries.iter().for_each(|entry| self.named(entry, depth + 1));
            }
            _ => {}
        }
    }

    fn environment(&mut self, variables: &[Value]) {
        let values = variables.iter().filter_map(|variable| variable.get("value")?.as_str());
        values.filter(|text| text.len() >= SHORTEST_LEAF).for_each(|text| self.leaf(text));
    }

    /// The text, and what it is base64 of: `client-key-data` is a key.
    fn leaf(&mut self, text: &str) {
        self.found.push(text.as_bytes().to_vec());
        let compact: String = text.split_ascii_whitespace().collect();
        match STANDARD.decode(compact) {
            Ok(decoded) if decoded.len() >= SHORTEST_LEAF => self.found.push(decoded),
            _ => {}
        }
    }
}

fn is_secret(name: &str) -> bool {
    let plain: String = name.chars().filter(|c| !matches!(c, '-' | '_')).collect();
    SECRET_NAMES.contains(&plain.to_ascii_lowercase().as_str())
}
