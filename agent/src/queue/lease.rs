//! Who takes a step, and what it gets: the step, and a lease with an end.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::envelope::{Needs, StepId};
use crate::secret::Secret;

/// Who wants a step.
#[derive(Clone, Debug, Default)]
pub struct Claimer {
    /// The worker's name, for people. Two workers of one name are told apart by their epochs.
    pub worker: String,
    /// Whose steps.
    pub pool: String,
    /// What it has.
    pub capabilities: BTreeSet<String>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

impl Claimer {
    /// Whether it has what a step needs.
    #[must_use]
    pub fn meets(&self, needs: &Needs) -> bool {
        needs.capabilities.is_subset(&self.capabilities)
            && needs.labels.iter().all(|(name, value)| self.labels.get(name) == Some(value))
    }
}

/// The right to run a step until some time. Nobody else has it with the same epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Which step.
    pub id: StepId,
    /// Which claim of it: each has a larger one than all before.
    pub epoch: u64,
}

/// A step that was claimed.
#[derive(Debug)]
pub struct Claimed {
    /// The right to it.
    pub lease: Lease,
    /// When the lease ends, by CLOCK_BOOTTIME of the claimer's machine. What was started must have ended
    /// [`super::MARGIN`] earlier.
    pub until: Duration,
    /// Since it was submitted, requeued, or its `notBefore` came, whatever was last, by the wall clock.
    pub waited: Duration,
    /// `metadata.name`.
    pub name: String,
    /// The payload document.
    pub payload: Secret,
}

/// What a renewal tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beat {
    /// When the lease ends now, by CLOCK_BOOTTIME.
    pub until: Duration,
    /// Somebody wants the step to be cancelled.
    pub cancel: bool,
}
