//! Fields to checked values: the payload's top level. Every problem is collected, none ends the reading.
//!
//! Promise: a [`Step`] comes out only when nothing at all was wrong. `target`, `auth`, `script` and `inherit` below
//! know the fields of their part; places and types are `fields`' business, text sources `source`'s.

mod aks;
mod auth;
mod client_certificate;
mod eks;
mod gke;
mod inherit;
mod kubeconfig;
mod limits;
mod operator;
mod queueing;
mod script;
mod target;

use std::collections::BTreeMap;
use std::path::PathBuf;

pub use inherit::is_inherited_by_default;

use super::fields::{Field, Fields, Reader};
use super::gke::GoogleCredentials;
use super::problem::{Problems, quoted, suggestion};
use super::trust::PathList;
use super::{Auth, ByValue, Credentials, Step, Surroundings, TOOL_NAMES, document};
use crate::secret::Secret;

const FIELDS: [&str; 18] = [
    "apiVersion",
    "kind",
    "metadata",
    "target",
    "script",
    "files",
    "environment",
    "inheritEnvironment",
    "secrets",
    "requires",
    "tools",
    "credentials",
    "outputKubeConfig",
    "limits",
    "notBefore",
    "notAfter",
    "concurrencyKey",
    "retry",
];

/// Reads and checks a payload. `name` is what problems call it, such as its file name.
///
/// # Errors
/// All that is wrong with the payload, at once.
pub fn load(text: &[u8], name: &str, surroundings: &Surroundings) -> Result<Step, Problems> {
    let root =
        document::read(text, &document::STEP).map_err(|problem| Problems::new(name, vec![*problem]))?;
    let reader = Reader::new(surroundings);
    let step = step(&reader, &Field { path: String::new(), key: root.place, node: &root });
    reader.finish(step, name)
}

/// Reads and checks a payload of [`Origin::Submitted`](super::Origin::Submitted), and makes of it the one that says the
/// same to a worker. `name` is as for [`load`].
///
/// # Errors
/// All that is wrong with the payload, at once; what no worker could do is among it.
pub fn load_by_value(text: &[u8], name: &str, surroundings: &Surroundings) -> Result<ByValue, Problems> {
    let root =
        document::read(text, &document::STEP).map_err(|problem| Problems::new(name, vec![*problem]))?;
    let reader = Reader::new(surroundings);
    let step = step(&reader, &Field { path: String::new(), key: root.place, node: &root });
    let read = step.map(|step| {
        let (document, asked) = reader.by_value(&root, &step);
        ByValue { step, document, asked }
    });
    reader.finish(read, name)
}

fn step(reader: &Reader<'_>, root: &Field<'_>) -> Option<Step> {
    let fields = reader.fields(root, &FIELDS)?;
    word(reader, &fields, "apiVersion", "kubestep/v1");
    word(reader, &fields, "kind", "Step");
    let metadata = fields.required("metadata", reader).and_then(|field| metadata(reader, field));
    let target = fields.required("target", reader).and_then(|field| target::read(reader, field));
    let script = fields.required("script", reader).and_then(|field| script::read(reader, field));
    let files = optional(&fields, "files", |field| script::files(reader, field));
    let environment = optional(&fields, "environment", |field| script::environment(reader, field));
    let inherited = inherit::read(reader, fields.get("inheritEnvironment"));
    let secrets = optional(&fields, "secrets", |field| secrets(reader, field));
    let requires = optional(&fields, "requires", |field| requires(reader, field));
    let tools = optional(&fields, "tools", |field| tools(reader, field));
    let credentials = optional(&fields, "credentials", |field| credentials(reader, field, target.as_ref()));
    let output_kubeconfig = optional(&fields, "outputKubeConfig", |field| reader.truth(field));
    let limits = limits::limits(reader, fields.get("limits"));
    let queueing = queueing::read(reader, &fields);

    let ((name, labels), target, script) = (metadata?, target?, script?);
    let operator = operator::read(reader, &target.target.auth);
    let mut step = Step {
        name,
        labels,
        target: target.target,
        script: script.script,
        files: files?,
        environment: environment?,
        inherited: inherited?,
        secrets: secrets?,
        requires: requires?,
        tools: tools?,
        credentials: credentials?,
        operator,
        output_kubeconfig: output_kubeconfig?,
        limits: limits?,
        queueing: queueing?,
        parts: target.parts,
        in_clear: reader.in_clear(),
    };
    inherit::add_proxy_parts(&mut step);
    script::refuse_secret_arguments(reader, &step, &script.arguments);
    Some(step)
}

/// What an optional field holds, or nothing of its kind.
fn optional<'n, T: Default>(
    fields: &Fields<'n>,
    name: &str,
    read: impl FnOnce(&Field<'n>) -> Option<T>,
) -> Option<T> {
    fields.get(name).map_or_else(|| Some(T::default()), read)
}

/// A field that can hold one word only.
fn word(reader: &Reader<'_>, fields: &Fields<'_>, name: &str, expected: &str) {
    let Some(field) = fields.required(name, reader) else { return };
    let Some(found) = reader.text(field) else { return };
    if found != expected {
        reader.tell(field, format!("expected {}, found {}", quoted(expected), quoted(&found)));
    }
}

fn metadata(reader: &Reader<'_>, field: &Field<'_>) -> Option<(String, BTreeMap<String, String>)> {
    let fields = reader.fields(field, &["name", "labels"])?;
    let name = fields.required("name", reader).and_then(|field| {
        let name = reader.text(field)?;
        if is_step_name(&name) {
            return Some(name);
        }
        let told = format!(
            "{} is no step name; expected 1 to 128 letters, digits, dots, dashes and underscores, \
             with a letter or digit at both ends",
            quoted(&name)
        );
        reader.tell(field, told);
        None
    });
    let labels = optional(&fields, "labels", |field| {
        let entries = reader.entries(field)?;
        let labels = entries.into_iter().map(|(name, field)| Some((name.to_owned(), reader.text(&field)?)));
        // Not a short-circuiting collect: every label's problem is to be told.
        let labels: Vec<_> = labels.collect();
        labels.into_iter().collect()
    });
    Some((name?, labels?))
}

/// `^[A-Za-z0-9]([A-Za-z0-9._-]{0,126}[A-Za-z0-9])?$`
fn is_step_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    bytes.len() <= 128
        && edge(bytes.first())
        && edge(bytes.last())
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

fn secrets(reader: &Reader<'_>, field: &Field<'_>) -> Option<Vec<Secret>> {
    let read: Vec<_> = reader.list(field)?.iter().map(|field| reader.secret(field)).collect();
    read.into_iter().collect()
}

/// The tool of that name; that there is none is told.
fn tool(reader: &Reader<'_>, field: &Field<'_>, name: &str) -> Option<&'static str> {
    let found = TOOL_NAMES.iter().find(|known| **known == name).copied();
    if found.is_none() {
        let told = match suggestion(name, &TOOL_NAMES) {
            Some(meant) => format!("unknown tool {}; did you mean {}?", quoted(name), quoted(meant)),
            None => format!("unknown tool {}; expected {}", quoted(name), TOOL_NAMES.join(", ")),
        };
        reader.tell(field, told);
    }
    found
}

fn requires(reader: &Reader<'_>, field: &Field<'_>) -> Option<Vec<&'static str>> {
    let elements = reader.list(field)?;
    let read = elements.iter().map(|field| tool(reader, field, &reader.text(field)?));
    let read: Vec<_> = read.collect();
    let mut names: Vec<&'static str> = Vec::new();
    for name in read {
        let name = name?;
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Some(names)
}

fn tools(reader: &Reader<'_>, field: &Field<'_>) -> Option<BTreeMap<&'static str, PathBuf>> {
    let entries = reader.entries(field)?;
    let read = entries.iter().map(|(name, field)| {
        let name = tool(reader, field, name);
        let written = reader.filled_text(field)?;
        let path = reader.path_there(field, &written, PathList::Tools)?;
        if reader.is_submitted() {
            return Some((name?, path));
        }
        match std::fs::metadata(&path) {
            Ok(metadata) if metadata.is_file() => Some((name?, path)),
            Ok(_) => {
                reader.tell(
                    field,
                    format!("expected a program, found another kind of file at {}", quoted(&written)),
                );
                None
            }
            Err(error) => {
                reader.unreadable(field, &written, &error);
                None
            }
        }
    });
    let read: Vec<_> = read.collect();
    read.into_iter().collect()
}

/// Who runs the plugin; an account without one has no choice.
fn credentials(reader: &Reader<'_>, field: &Field<'_>, target: Option<&target::Read>) -> Option<Credentials> {
    let found = match reader.text(field)?.as_str() {
        "broker" => Credentials::Broker,
        "exec" => Credentials::Exec,
        other => {
            reader.tell(field, format!("expected broker or exec, found {}", quoted(other)));
            return None;
        }
    };
    let auth = target.map(|read| &read.target.auth);
    if let Some(auth) = auth.filter(|auth| !auth.is_cloud()) {
        let told = format!("auth.{} has no plugin, so that there is nothing to choose", auth.method());
        reader.tell_with_hint(field, told, "leave credentials out");
        return None;
    }
    if let Some(told) = auth.filter(|_| found == Credentials::Exec).and_then(only_brokered) {
        reader.tell_with_hint(field, told, "leave credentials out: the agent then logs in itself");
        return None;
    }
    Some(found)
}

/// Why no plugin can do it, so that the agent has to.
fn only_brokered(auth: &Auth) -> Option<&'static str> {
    match auth {
        Auth::Aks(aks) if aks.admin => Some("auth.aks.admin uses no plugin that kubectl could run"),
        Auth::Gke(gke)
            if gke.impersonate.is_some()
                && matches!(gke.credentials, GoogleCredentials::VmServiceAccount) =>
        {
            Some(
                "gke-gcloud-auth-plugin ignores auth.gke.impersonateServiceAccount with auth.gke.vmServiceAccount",
            )
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
