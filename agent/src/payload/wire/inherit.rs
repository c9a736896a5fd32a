//! `inheritEnvironment` and the default list: what a script gets of the agent's own environment (payload.md 2).
//!
//! Promise: `KUBECONFIG`, `KUBESTEP_*` and what systemd tells the agent are never among it; what is named like a secret
//! is one; a proxy's userinfo is one, with its parts. Values that are not UTF-8 are left out: the masker could not find
//! them.

use std::collections::BTreeMap;
use std::ffi::OsStr;

use crate::limits::SYSTEMD_VARIABLES;
use crate::payload::fields::{Field, Reader};
use crate::payload::trust::{glob, glob_os};
use crate::payload::url::{loose_userinfo, userinfo_leaves};
use crate::payload::{Part, Step, Text};
use crate::secret::Secret;

/// Inherited always, where set.
const DEFAULT: [&str; 14] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LANGUAGE",
    "LC_*",
    "TZ",
    "TERM",
    "COLORTERM",
    "NO_COLOR",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

/// Inherited always, in both letter cases; where both are set, the lower case one wins, as in curl.
const PROXIES: [&str; 4] = ["http_proxy", "https_proxy", "all_proxy", "no_proxy"];

/// What is masked for its name; compared in capitals.
pub(super) const SECRET_NAMES: [&str; 6] =
    ["*SECRET*", "*TOKEN*", "*PASSW*", "*CREDENTIAL*", "*PRIVATE*", "*_KEY"];

/// Whether a variable of the agent's is inherited without being asked for.
#[must_use]
pub fn is_inherited_by_default(name: &str) -> bool {
    DEFAULT.iter().any(|pattern| glob(pattern, name))
        || PROXIES.iter().any(|proxy| proxy.eq_ignore_ascii_case(name))
}

pub(super) fn read(reader: &Reader<'_>, field: Option<&Field<'_>>) -> Option<BTreeMap<String, Text>> {
    let mut inherited = BTreeMap::new();
    let environment = &*reader.environment_there();
    for pattern in DEFAULT {
        take(&mut inherited, environment, pattern);
    }
    let mut is_right = true;
    if let Some(field) = field {
        for element in reader.list(field)? {
            let pattern =
                reader.filled_text(&element).filter(|pattern| may_inherit(reader, &element, pattern));
            match pattern {
                Some(pattern) => take(&mut inherited, environment, &pattern),
                None => is_right = false,
            }
        }
    }
    agree_on_proxies(&mut inherited, environment);
    is_right.then_some(inherited)
}

type Environment = BTreeMap<std::ffi::OsString, std::ffi::OsString>;

fn may_inherit(reader: &Reader<'_>, field: &Field<'_>, pattern: &str) -> bool {
    let told = if pattern == "KUBECONFIG" {
        "KUBECONFIG is never inherited: the step has its own"
    } else if pattern.starts_with("KUBESTEP_") {
        "KUBESTEP_ variables are the agent's own settings, and never inherited"
    } else if SYSTEMD_VARIABLES.contains(&pattern) {
        "by this variable systemd speaks with the agent; it is never inherited"
    } else if !pattern.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'*')) {
        "expected the name of a variable; * stands for any characters"
    } else {
        if reader.is_submitted() {
            reader.ask(field, "environment");
            return true;
        }
        return reader.may_read_variable(field, pattern);
    };
    reader.tell(field, told);
    false
}

fn take(inherited: &mut BTreeMap<String, Text>, environment: &Environment, pattern: &str) {
    for (name, value) in environment.iter().filter(|(name, _)| glob_os(pattern, name)) {
        let (Some(name), Some(value)) = (name.to_str(), value.to_str()) else { continue };
        // A glob never means these; an exact name was refused.
        if name == "KUBECONFIG" || name.starts_with("KUBESTEP_") || SYSTEMD_VARIABLES.contains(&name) {
            continue;
        }
        inherited.insert(name.into(), judged(name, value));
    }
}

/// A variable of the agent's; one named like a secret is one.
pub(super) fn judged(name: &str, value: &str) -> Text {
    let capitals = name.to_uppercase();
    let is_secret = SECRET_NAMES.iter().any(|pattern| glob(pattern, &capitals))
        || is_proxy(name) && loose_userinfo(value).is_some();
    if is_secret && !value.is_empty() {
        Text::Secret(Secret::new(value.into()))
    } else {
        Text::Plain(value.into())
    }
}

/// Programs read one letter case or the other, and some both: they must not disagree.
fn agree_on_proxies(inherited: &mut BTreeMap<String, Text>, environment: &Environment) {
    for lower in PROXIES {
        let upper = lower.to_uppercase();
        let value = environment.get(OsStr::new(lower)).or_else(|| environment.get(OsStr::new(&upper)));
        if let Some(value) = value.and_then(|value| value.to_str()) {
            inherited.insert(lower.into(), judged(lower, value));
            inherited.insert(upper, judged(lower, value));
        }
    }
}

fn is_proxy(name: &str) -> bool {
    PROXIES.contains(&name.to_lowercase().as_str())
}

/// What of a userinfo is masked by itself.
pub(super) fn leaves(userinfo: Option<&str>) -> Vec<Secret> {
    userinfo.map(userinfo_leaves).unwrap_or_default().into_iter().map(Secret::new).collect()
}

/// The userinfo of the step's proxy variables, inherited or its own, is masked by itself as well.
pub(super) fn add_proxy_parts(step: &mut Step) {
    for (place, variables) in [("inherited", &step.inherited), ("environment", &step.environment)] {
        for (name, text) in variables.iter().filter(|(name, _)| is_proxy(name)) {
            let leaves = leaves(loose_userinfo(text.expose()));
            step.parts
                .extend(leaves.into_iter().map(|secret| Part { field: format!("{place}.{name}"), secret }));
        }
    }
}
