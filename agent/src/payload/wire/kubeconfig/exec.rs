//! `exec` of a kubeconfig's user: kept as it is, where kubectl could run it in a step at all.

use std::os::unix::fs::PermissionsExt;

use super::leaves::secret_arguments;
use super::user::path;
use crate::payload::fields::{Field, Reader};
use crate::payload::problem::quoted;
use crate::payload::trust::PathList;
use crate::payload::wire::target::present;
use crate::payload::{Exec, Text};
use crate::secret::Secret;

const FIELDS: [&str; 7] =
    ["apiVersion", "command", "args", "env", "installHint", "interactiveMode", "provideClusterInfo"];

const V1: &str = "client.authentication.k8s.io/v1";
const OLDER: [&str; 2] = ["client.authentication.k8s.io/v1beta1", "client.authentication.k8s.io/v1alpha1"];

pub(super) fn read(inner: &Reader<'_>, field: &Field<'_>) -> Option<Exec> {
    let fields = inner.fields(field, &FIELDS)?;
    let required = |name: &str| fields.filled(name).or_else(|| fields.missing(name, inner));
    let api_version = required("apiVersion").and_then(|field| api_version(inner, field));
    let command = required("command").and_then(|field| command(inner, field));
    let arguments = fields.filled("args").map_or(Some(Vec::new()), |field| arguments(inner, field));
    let environment = fields.filled("env").map_or(Some(Vec::new()), |field| {
        inner.list(field)?.iter().map(|field| variable(inner, field)).collect()
    });
    let mode = match fields.filled("interactiveMode") {
        Some(field) => interactive_mode(inner, field).map(Some),
        None if api_version.as_deref() == Some(V1) => {
            let told =
                format!("needs interactiveMode under {V1}; without it kubectl does not run the plugin");
            inner.tell_with_hint(field, told, "add interactiveMode: Never");
            None
        }
        None => Some(None),
    };
    let provide = fields.filled("provideClusterInfo").map(|field| inner.truth(field));
    let hint = fields.filled("installHint").map(|field| inner.text(field));
    Some(Exec {
        api_version: api_version?,
        command: command?,
        arguments: arguments?,
        environment: environment?,
        interactive_mode: mode?,
        provide_cluster_info: present(provide)?,
        install_hint: present(hint)?,
        cluster_config: None,
    })
}

fn arguments(inner: &Reader<'_>, field: &Field<'_>) -> Option<Vec<Text>> {
    let texts: Option<Vec<String>> = inner.list(field)?.iter().map(|field| inner.text(field)).collect();
    let texts = texts?;
    let secret: Vec<usize> = secret_arguments(&texts.iter().map(String::as_str).collect::<Vec<_>>())
        .into_iter()
        .map(|(index, _)| index)
        .collect();
    let arguments = texts.into_iter().enumerate().map(|(index, text)| match secret.contains(&index) {
        true => Text::Secret(Secret::new(text)),
        false => Text::Plain(text),
    });
    Some(arguments.collect())
}

fn api_version(inner: &Reader<'_>, field: &Field<'_>) -> Option<String> {
    let version = inner.text(field)?;
    if version != V1 && !OLDER.contains(&version.as_str()) {
        let told = format!("expected {V1} or {}, found {}", OLDER[0], quoted(&version));
        inner.tell(field, told);
        return None;
    }
    Some(version)
}

/// kubectl looks a bare name up on its PATH, which is the script's; anything else is a path.
fn command(inner: &Reader<'_>, field: &Field<'_>) -> Option<String> {
    let written = inner.filled_text(field)?;
    if !written.contains('/') {
        // Which program a bare name is, only the script's PATH says, and that is the payload's to choose.
        return inner.may_name_program(field).then_some(written);
    }
    if inner.is_submitted() {
        return inner.path_there(field, &written, PathList::Tools).map(|_| written);
    }
    let path = path(inner, field, &written)?;
    if !inner.may_name(field, &path, PathList::Tools) {
        return None;
    }
    match std::fs::metadata(&path) {
        Ok(metadata) if metadata.is_file() && metadata.permissions().mode() & 0o111 != 0 => {}
        Ok(_) => {
            inner.tell(field, format!("{} is no program that can be run", quoted(&written)));
            return None;
        }
        Err(error) => {
            inner.unreadable(field, &written, &error);
            return None;
        }
    }
    path.to_str().map(str::to_owned)
}

fn variable(inner: &Reader<'_>, field: &Field<'_>) -> Option<(String, Secret)> {
    let fields = inner.fields(field, &["name", "value"])?;
    let name = fields.filled("name").or_else(|| fields.missing("name", inner))?;
    let value = fields.filled("value").map_or(Some(String::new()), |field| inner.text(field));
    Some((inner.text(name)?, Secret::new(value?)))
}

fn interactive_mode(inner: &Reader<'_>, field: &Field<'_>) -> Option<String> {
    let mode = inner.text(field)?;
    let (told, hint) = match mode.as_str() {
        "Never" | "IfAvailable" => return Some(mode),
        "Always" => (
            "must not be Always: a step has no terminal, and kubectl would not run the plugin".into(),
            "write interactiveMode: Never, if the plugin can do without a terminal",
        ),
        _ => (
            format!("expected Never or IfAvailable, found {}", quoted(&mode)),
            "a step has no terminal: Never is right",
        ),
    };
    inner.tell_with_hint(field, told, hint);
    None
}
