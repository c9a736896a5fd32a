//! `limits`: how long a script may run and how much it may write, within what the operator allows to a remote payload.

use std::time::Duration;

use super::super::fields::{Field, Reader};
use super::super::problem::{quoted, suggestion};
use crate::limits::{Limits, OutputPolicy, parse_duration, parse_size, size_words};

/// The policies by name.
const POLICIES: [(&str, OutputPolicy); 2] =
    [("truncate", OutputPolicy::Truncate), ("fail", OutputPolicy::Fail)];

pub(super) fn limits(reader: &Reader<'_>, field: Option<&Field<'_>>) -> Option<Limits> {
    let policy = &reader.surroundings.policy;
    let default = defaults(reader);
    let Some(field) = field else { return Some(default) };
    let fields = reader.fields(field, &["timeout", "grace", "login", "output", "outputPolicy"])?;
    let timeout = fields.get("timeout").map(|field| {
        let timeout = duration(reader, field, policy.max_timeout)?;
        if timeout.is_zero() {
            reader.tell_with_hint(
                field,
                "must be longer than 0s",
                "leave it out for a script without a time limit",
            );
            return None;
        }
        Some(timeout)
    });
    let grace = fields.get("grace").map(|field| duration(reader, field, policy.max_grace));
    let login = fields.get("login").map(|field| {
        let login = duration(reader, field, policy.max_login)?;
        if login.is_zero() {
            reader.tell(field, "must be longer than 0s");
        }
        (!login.is_zero()).then_some(login)
    });
    let output = fields.get("output").map(|field| size(reader, field, policy.max_output));
    let output_policy = fields.get("outputPolicy").map(|field| output_policy(reader, field));
    Some(Limits {
        timeout: timeout.map_or(Some(default.timeout), |timeout| timeout.map(Some))?,
        grace: grace.unwrap_or(Some(default.grace))?,
        login: login.unwrap_or(Some(default.login))?,
        output: output.unwrap_or(Some(default.output))?,
        output_policy: output_policy.unwrap_or(Some(default.output_policy))?,
    })
}

/// A remote payload that says nothing gets no more than one that asks.
fn defaults(reader: &Reader<'_>) -> Limits {
    let policy = &reader.surroundings.policy;
    let default = Limits::default();
    Limits {
        timeout: policy.default_timeout.into_iter().chain(reader.bound(policy.max_timeout)).min(),
        grace: reader.bound(policy.max_grace).map_or(default.grace, |most| most.min(default.grace)),
        login: reader.bound(policy.max_login).map_or(default.login, |most| most.min(default.login)),
        output: reader.bound(policy.max_output).map_or(default.output, |most| most.min(default.output)),
        output_policy: default.output_policy,
    }
}

fn duration(reader: &Reader<'_>, field: &Field<'_>, most: Option<Duration>) -> Option<Duration> {
    let duration =
        parse_duration(&reader.text(field)?).map_err(|error| reader.tell(field, error.to_string()));
    let words = |most: Duration| format!("{}s", most.as_secs_f64());
    duration.ok().filter(|duration| reader.may_be(field, *duration, most, words))
}

fn size(reader: &Reader<'_>, field: &Field<'_>, most: Option<u64>) -> Option<u64> {
    let size = parse_size(&reader.text(field)?).map_err(|error| reader.tell(field, error.to_string()));
    size.ok().filter(|size| reader.may_be(field, *size, most, size_words))
}

fn output_policy(reader: &Reader<'_>, field: &Field<'_>) -> Option<OutputPolicy> {
    let word = reader.text(field)?;
    let found = POLICIES.iter().find(|(name, _)| *name == word).map(|(_, policy)| *policy);
    if found.is_none() {
        let meant = suggestion(&word, &POLICIES.map(|(name, _)| name));
        let meant = meant.map_or_else(String::new, |meant| format!("; did you mean {}?", quoted(meant)));
        reader.tell(field, format!("expected truncate or fail, found {}{meant}", quoted(&word)));
    }
    found
}
