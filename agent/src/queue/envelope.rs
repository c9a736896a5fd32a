//! What is submitted: a payload, and what the queue has to know without reading it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::secret::Secret;

/// A step's name on the queue: chosen by whoever submits, never used twice.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StepId(String);

/// Why a text is no id.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("expected 1 to {LONGEST_ID} letters, digits, dashes and underscores")]
pub struct StepIdError;

impl TryFrom<String> for StepId {
    type Error = StepIdError;

    fn try_from(text: String) -> Result<Self, StepIdError> {
        if is_word(&text, LONGEST_ID) { Ok(Self(text)) } else { Err(StepIdError) }
    }
}

impl From<StepId> for String {
    fn from(id: StepId) -> Self {
        id.0
    }
}

impl StepId {
    /// The id's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The longest id, in bytes.
const LONGEST_ID: usize = 128;

/// The longest name of a pool, in bytes.
const LONGEST_POOL: usize = 64;

/// Why a text is no pool's name.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("expected 1 to {LONGEST_POOL} letters, digits, dashes and underscores")]
pub struct PoolError;

/// A pool's name, which is a part of a NATS subject, as an id is.
///
/// # Errors
/// [`PoolError`].
pub fn checked_pool(name: &str) -> Result<&str, PoolError> {
    if is_word(name, LONGEST_POOL) { Ok(name) } else { Err(PoolError) }
}

/// Whether a text can be a part of a NATS subject and of a key: no dot, no star, nothing that a shell would touch.
fn is_word(text: &str, longest: usize) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=longest).contains(&text.len()) && text.bytes().all(fits)
}

/// What a worker must have to run a step.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Needs {
    /// All of these, such as `helm`.
    pub capabilities: BTreeSet<String>,
    /// These labels, with these values.
    pub labels: BTreeMap<String, String>,
}

/// When a step may be run again by itself. By default: never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retry {
    /// After its worker was lost while it ran.
    pub on_lost: bool,
    /// How often after a failure; at most [`super::MAX_RETRIES`].
    pub on_failure: u8,
}

/// A step as it is submitted.
#[derive(Clone, Debug)]
pub struct Envelope {
    /// Its name on the queue.
    pub id: StepId,
    /// Which workers it is for.
    pub pool: String,
    /// `metadata.name`, for people.
    pub name: String,
    /// The payload document. It holds secrets in clear.
    pub payload: Secret,
    /// What its worker must have.
    pub needs: Needs,
    /// Of the steps with the same key one is out at a time, in the order in which they came due.
    pub concurrency_key: Option<String>,
    /// No worker gets it earlier.
    pub not_before: Option<jiff::Timestamp>,
    /// No worker gets it at this time or later: it is `Expired`.
    pub not_after: Option<jiff::Timestamp>,
    /// When it may be run again.
    pub retry: Retry,
}
