//! A cluster of a kubeconfig: judged as a payload's own target is.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use serde_json::Value;

use super::user;
use crate::payload::document::{Kind, Node};
use crate::payload::fields::{Field, Fields, Reader};
use crate::payload::wire::target::{self, Connection, present};
use crate::secret::Secret;

/// `disable-compression` changes how fast answers come, and nothing else: it is not taken over.
const FIELDS: [&str; 9] = [
    "server",
    "tls-server-name",
    "insecure-skip-tls-verify",
    "certificate-authority",
    "certificate-authority-data",
    "proxy-url",
    "disable-compression",
    "api-version",
    "extensions",
];

/// The extension that exec plugins get as their own configuration.
const EXEC_EXTENSION: &str = "client.authentication.k8s.io/exec";

pub(super) struct Cluster {
    pub(super) connection: Connection,
    pub(super) exec_config: Option<Secret>,
}

pub(super) fn read(inner: &Reader<'_>, field: &Field<'_>) -> Option<Cluster> {
    let fields = inner.fields(field, &FIELDS)?;
    let server = fields.filled("server").or_else(|| fields.missing("server", inner));
    let server = server.and_then(|field| target::server(inner, field));
    let authority = authority(inner, &fields);
    let insecure = fields.filled("insecure-skip-tls-verify").map(|field| {
        let insecure = inner.truth(field)?;
        if insecure && authority.is_some() {
            inner.tell(field, "must not be true together with certificate-authority; kubectl refuses both");
            return None;
        }
        Some(insecure)
    });
    let tls_server_name = fields.filled("tls-server-name").map(|field| target::tls_server_name(inner, field));
    let proxy = fields
        .filled("proxy-url")
        .map(|field| target::proxy(inner, field, Secret::new(inner.filled_text(field)?)));
    let connection = Connection {
        server: Some(server?),
        certificate_authority: present(authority)?,
        insecure_skip_tls_verify: insecure.unwrap_or(Some(false))?,
        tls_server_name: present(tls_server_name)?,
        proxy: present(proxy)?,
    };
    Some(Cluster { connection, exec_config: exec_config(&fields) })
}

/// The CA, from the document or a file; `None` without one.
fn authority(inner: &Reader<'_>, fields: &Fields<'_>) -> Option<Option<String>> {
    let (file, data) = (fields.filled("certificate-authority"), fields.filled("certificate-authority-data"));
    match (file, data) {
        (None, None) => None,
        (Some(field), Some(_)) => {
            inner.tell(field, "must not stand beside certificate-authority-data; kubectl refuses both");
            Some(None)
        }
        (Some(field), None) => {
            let read = user::file_as(inner, field, "certificate-authority-data");
            Some(read.and_then(|bytes| target::authority(inner, field, &bytes)))
        }
        (None, Some(field)) => {
            Some(data_of(inner, field).and_then(|bytes| target::authority(inner, field, &bytes)))
        }
    }
}

/// What a field with base64 holds.
pub(super) fn data_of(inner: &Reader<'_>, field: &Field<'_>) -> Option<Vec<u8>> {
    let text = inner.filled_text(field)?;
    let packed: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let decoded = STANDARD.decode(packed).ok();
    if decoded.is_none() {
        inner.tell(field, "expected base64 of PEM, found something else");
    }
    decoded
}

fn exec_config(fields: &Fields<'_>) -> Option<Secret> {
    let extensions = fields.get("extensions")?.node.elements().iter();
    let mut own = extensions
        .filter(|entry| entry.get("name").and_then(Node::text) == Some(EXEC_EXTENSION))
        .filter_map(|entry| entry.get("extension"));
    own.next().map(|config| Secret::new(json(config).to_string()))
}

/// A value as kubectl's reader types it: what is not in quotes may be a number or a truth.
fn json(node: &Node) -> Value {
    match &node.kind {
        Kind::Null | Kind::Tagged => Value::Null,
        Kind::Scalar(scalar) if scalar.quoted => Value::from(scalar.text.as_str()),
        Kind::Scalar(scalar) => {
            let text = scalar.text.as_str();
            let whole = || text.parse::<i64>().map(Value::from);
            let fraction = || text.parse::<f64>().map(Value::from);
            let truth = || text.parse::<bool>().map(Value::from);
            whole().or_else(|_| fraction()).or_else(|_| truth()).unwrap_or_else(|_| Value::from(text))
        }
        Kind::Sequence(elements) => elements.iter().map(json).collect(),
        Kind::Mapping(entries) => entries.iter().map(|(key, node)| (key.name.clone(), json(node))).collect(),
    }
}
