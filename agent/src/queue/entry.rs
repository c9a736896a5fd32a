//! What a queue tells of a step: its state, its ending, its log.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::envelope::{Needs, StepId};
use super::frame::LogFrame;
use crate::outcome::Reason;

/// What becomes of a step that was submitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Submitted {
    /// It is on the queue now.
    New,
    /// It was there before: the same step, whatever became of it.
    Already,
}

/// Where a step is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// Its `notBefore` has not come.
    Waiting,
    /// Another step with its concurrency key comes first.
    Held,
    /// The next worker that can run it gets it.
    Queued,
    /// A worker has it, and has not begun.
    Claimed,
    /// A worker runs it.
    Running,
    /// It is over.
    Ended,
}

impl State {
    /// Each with its word.
    pub const WORDS: [(&'static str, Self); 6] = [
        ("waiting", Self::Waiting),
        ("held", Self::Held),
        ("queued", Self::Queued),
        ("claimed", Self::Claimed),
        ("running", Self::Running),
        ("ended", Self::Ended),
    ];

    /// Its word.
    #[must_use]
    pub fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, state)| *state == self).map_or("", |(word, _)| word)
    }

    /// The state of this word.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(known, _)| *known == word).map(|(_, state)| *state)
    }

    /// Whether a worker has the step.
    #[must_use]
    pub fn is_out(self) -> bool {
        matches!(self, Self::Claimed | Self::Running)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// How a step ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ending {
    /// Why.
    pub reason: Reason,
    /// What `kubestep run` would exit with; 75 for what the queue says itself.
    pub exit_code: u8,
    /// What happened, masked.
    pub message: String,
    /// The result document, masked; a step that no worker finished has none.
    pub result: Option<serde_json::Value>,
}

impl Ending {
    /// What `kubestep submit --wait` exits with where no worker told an ending (payload.md 4).
    pub const UNTOLD: u8 = 75;

    pub(super) fn lost() -> Self {
        Self::untold(Reason::Lost, "its worker was lost while it ran; whether it took effect is not known")
    }

    pub(super) fn expired() -> Self {
        Self::untold(Reason::Expired, "notAfter came before a worker took it")
    }

    pub(super) fn damaged() -> Self {
        Self::untold(Reason::Rejected, "its record on the queue is damaged")
    }

    /// Cancelled while no worker ran it: as TERM would end it.
    pub(super) fn cancelled() -> Self {
        let message = "cancelled before it began".into();
        Self { reason: Reason::Cancelled, exit_code: 143, message, result: None }
    }

    fn untold(reason: Reason, message: &str) -> Self {
        Self { reason, exit_code: Self::UNTOLD, message: message.into(), result: None }
    }

    /// Whether `retry.onFailure` is meant: the step itself failed, and nobody wanted its end.
    pub(super) fn is_failure(&self) -> bool {
        match self.reason {
            Reason::ScriptFailed
            | Reason::SetupFailed
            | Reason::AgentFailed
            | Reason::TimedOut
            | Reason::OutputLimit => true,
            Reason::Completed
            | Reason::Refused
            | Reason::Cancelled
            | Reason::LogClosed
            | Reason::Lost
            | Reason::Rejected
            | Reason::Expired => false,
        }
    }
}

/// What becomes of a step that its holder has finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finished {
    /// It is over.
    Ended,
    /// It failed, and is tried again.
    Again,
}

/// What is told of a step. Never its payload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Its name on the queue.
    pub id: StepId,
    /// Its pool.
    pub pool: String,
    /// `metadata.name`.
    pub name: String,
    /// Where it is.
    pub state: State,
    /// What its worker must have.
    pub needs: Needs,
    /// Its concurrency key.
    pub concurrency_key: Option<String>,
    /// Its newest claim's epoch; 0: it was never claimed.
    pub epoch: u64,
    /// How often it failed and was tried again.
    pub failures: u8,
    /// Its newest claim's worker.
    pub worker: Option<String>,
    /// Whether its holder has been asked to cancel it.
    pub cancel: bool,
    /// When it was submitted.
    pub submitted_at: jiff::Timestamp,
    /// When its newest run began.
    pub started_at: Option<jiff::Timestamp>,
    /// When it ended.
    pub ended_at: Option<jiff::Timestamp>,
    /// How it ended; of a step that is tried again, the newest failure.
    pub ending: Option<Ending>,
}

/// Which steps are told of.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Those of one pool.
    pub pool: Option<String>,
    /// Those in one state.
    pub state: Option<State>,
    /// Those behind this one, by [`Listed::number`]; 0 is before the first.
    pub after: u64,
    /// At most so many; `None`: all.
    pub most: Option<usize>,
}

/// A row of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its place in the order of submission; of a later step it is larger. The next page begins after it.
    pub number: u64,
    /// What is told of it; `None`: its record is damaged, and what is left of it cannot be told.
    pub entry: Option<Entry>,
}

/// How much a pool has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Depth {
    /// How many steps are in each state but `ended`, in the order of [`Depth::STATES`].
    pub steps: Vec<(State, u64)>,
    /// For how long the step that has waited longest could have been claimed: since it was submitted, requeued, or its
    /// `notBefore` came, whatever was last. `None`: none is queued.
    pub oldest: Option<Duration>,
}

impl Depth {
    /// The states that are counted.
    pub const STATES: [State; 5] =
        [State::Waiting, State::Held, State::Queued, State::Claimed, State::Running];
}

/// A place in a step's log: each claim writes its own part, and offsets are bytes in that part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LogPosition {
    /// Which claim's part; 0 is before the first.
    pub epoch: u64,
    /// Bytes from its beginning.
    pub offset: u64,
}

/// A piece of a step's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogChunk {
    /// Whole frames, in order.
    pub frames: Vec<LogFrame>,
    /// Where the log goes on.
    pub next: LogPosition,
    /// Nothing more will come: the step has ended, and this was the last of its log.
    pub end: bool,
}
