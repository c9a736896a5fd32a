//! The kubeconfig that is sent to a queue: one context with its cluster and its user, and what their files hold in place of
//! the files' names. Nobody else's credentials leave the submitter.

use serde_json::{Value, json};

use super::{Document, Named};
use crate::payload::document::Node;
use crate::payload::fields::{Field, Reader};

/// The context alone, as JSON; `None` where one of its parts is missing.
pub(super) fn alone(inner: &Reader<'_>, document: &Document<'_>, context: &Field<'_>) -> Option<String> {
    let is_it = |named: &&Named<'_>| std::ptr::eq(named.field.node, context.node);
    let name = document.contexts.iter().find(is_it)?.name;
    let part = |kind: &str, list: &[Named<'_>]| -> Option<Value> {
        let name = context.node.get(kind).and_then(Node::text)?;
        let named = list.iter().find(|named| named.name == name)?;
        Some(json!([{"name": name, kind: inner.written(named.field.node)}]))
    };
    let alone = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "contexts": [{"name": name, "context": inner.written(context.node)}],
        "clusters": part("cluster", &document.clusters)?,
        "users": part("user", &document.users)?,
    });
    Some(alone.to_string())
}
