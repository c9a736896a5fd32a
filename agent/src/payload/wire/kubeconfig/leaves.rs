//! The secrets of a whole kubeconfig, those of other contexts too: whoever gave it to the step does not want them
//! in its log. Files that other users name are not read.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::CONTENT;
use crate::payload::Part;
use crate::payload::document::{Kind, Node};
use crate::payload::trust::glob;
use crate::payload::url::loose_userinfo;
use crate::payload::wire::inherit::{SECRET_NAMES, leaves};

pub(super) fn of(root: &Node) -> Vec<Part> {
    let mut parts = Vec::new();
    for user in list(root, "users", "user") {
        for name in ["token", "password"] {
            add(&mut parts, name, user.get(name).and_then(Node::text));
        }
        let data = user.get("client-key-data").and_then(Node::text);
        add(&mut parts, "client-key-data", data);
        add(&mut parts, "client-key-data", data.and_then(decoded).as_deref());
        for variable in user.get("exec").and_then(|exec| exec.get("env")).map_or(&[][..], Node::elements) {
            let name = variable.get("name").and_then(Node::text).unwrap_or_default();
            add(&mut parts, &format!("exec.env.{name}"), variable.get("value").and_then(Node::text));
        }
        let arguments = user.get("exec").and_then(|exec| exec.get("args")).map_or(&[][..], Node::elements);
        let arguments: Vec<&str> = arguments.iter().map(|node| node.text().unwrap_or_default()).collect();
        for (_, secret) in secret_arguments(&arguments) {
            add(&mut parts, "exec.args", Some(secret));
        }
        if let Some(Kind::Mapping(config)) =
            user.get("auth-provider").and_then(|provider| provider.get("config")).map(|config| &config.kind)
        {
            for (key, value) in config.iter().filter(|(key, _)| is_secret_name(&key.name)) {
                add(&mut parts, &format!("auth-provider.config.{}", key.name), value.text());
            }
        }
    }
    for cluster in list(root, "clusters", "cluster") {
        let userinfo = cluster.get("proxy-url").and_then(Node::text).and_then(loose_userinfo);
        for leaf in leaves(userinfo) {
            add(&mut parts, "proxy-url", Some(leaf.expose()));
        }
    }
    parts
}

fn list<'n>(root: &'n Node, name: &str, item: &'static str) -> impl Iterator<Item = &'n Node> + use<'n> {
    root.get(name).map_or(&[][..], Node::elements).iter().filter_map(move |entry| entry.get(item))
}

fn add(parts: &mut Vec<Part>, name: &str, text: Option<&str>) {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return };
    if !parts.iter().any(|part| part.secret.expose() == text) {
        parts.push(Part::new(&format!("{CONTENT}: {name}"), text));
    }
}

fn decoded(text: &str) -> Option<String> {
    let packed: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    String::from_utf8(STANDARD.decode(packed).ok()?).ok()
}

/// The values of flags that sound like a secret (`--client-secret X`, `--token=X`), and which argument each is in.
/// The command line is visible to every process while the plugin runs; the log is ours to keep clean.
pub(super) fn secret_arguments<'a>(arguments: &[&'a str]) -> Vec<(usize, &'a str)> {
    let mut found = Vec::new();
    for (index, text) in arguments.iter().enumerate().filter(|(_, text)| text.starts_with('-')) {
        match text.split_once('=') {
            Some((flag, value)) if is_secret_name(flag) => found.push((index, value)),
            // A flag that is followed by another one has no value.
            None if is_secret_name(text) => {
                let next = arguments.get(index + 1).filter(|next| !next.starts_with('-'));
                found.extend(next.map(|next| (index + 1, *next)));
            }
            _ => {}
        }
    }
    found.retain(|(_, value)| !value.is_empty());
    found
}

fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_uppercase().replace('-', "_");
    SECRET_NAMES.iter().any(|pattern| glob(pattern, &name))
}
