//! How a tree is held together: by a cgroup or by the sweep of /proc; and which of them this machine offers.

use serde::{Deserialize, Serialize};

use super::cgroup;

/// What the operator wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Choice {
    /// A cgroup where one can be made, for every script that lives longer than a moment.
    #[default]
    Auto,
    /// A cgroup from the script's birth on, or no step.
    Cgroup,
    /// No cgroup.
    Sweep,
}

/// What a tree was held together by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, schemars::JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Method {
    /// Its own cgroup, version 2.
    Cgroup,
    /// Its descent, as /proc tells it.
    Sweep,
}

/// Which method a step would have here, and why.
#[must_use]
pub fn method(choice: Choice) -> (Method, String) {
    match (choice, cgroup::parent()) {
        (Choice::Sweep, _) => (Method::Sweep, "the operator wants no cgroup".into()),
        (_, Ok(parent)) => (Method::Cgroup, format!("one can be made in {}", parent.display())),
        (Choice::Cgroup, Err(why)) => {
            (Method::Cgroup, format!("the operator wants it, but none can be made: {why}"))
        }
        (Choice::Auto, Err(why)) => (Method::Sweep, format!("no cgroup can be made: {why}")),
    }
}
