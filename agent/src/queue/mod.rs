//! The queue: steps go in by [`Queue::submit`], workers take them by [`Queue::claim`], each ends exactly once.
//!
//! `envelope` is what is submitted, `lease` what a claim gives, `entry` what is told of a step, `frame` a log's bytes,
//! `clock` what time it is; `sqlite` is the embedded engine. docs/queue.md has the guarantees.
//!
//! The trait is shaped for a server across a network (NATS JetStream), too. So: nothing is ordered across pools; what
//! a claim selects by may be found out after the step was taken and given back; every act can be repeated after an
//! answer that was lost; and a holder is known by its lease's epoch alone, which only ever grows.

pub mod clock;
mod entry;
mod envelope;
mod frame;
mod lease;
pub mod sqlite;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

pub use entry::{Depth, Ending, Entry, Filter, Finished, Listed, LogChunk, LogPosition, State, Submitted};
pub use envelope::{Envelope, Needs, PoolError, Retry, StepId, StepIdError, checked_pool};
pub use frame::{LogFrame, LogStream, MAX_FRAME, frames};
pub use lease::{Beat, Claimed, Claimer, Lease};

/// How long a lease lasts from its claim and from each heartbeat.
pub const LEASE: Duration = Duration::from_secs(60);

/// How often a holder renews its lease.
pub const HEARTBEAT: Duration = Duration::from_secs(15);

/// How long before its lease's end a holder must have ended what it started.
pub const MARGIN: Duration = Duration::from_secs(15);

/// The most often that a step may be tried again after a failure.
pub const MAX_RETRIES: u8 = 3;

/// What an act of the queue comes to.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, QueueError>> + Send + 'a>>;

/// An act that the queue does not do, or could not.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// No step has this id.
    #[error("no step {0} is on the queue")]
    Unknown(StepId),
    /// Another step has this id already.
    #[error("another step has the id {0}")]
    IdTaken(StepId),
    /// The lease is over, or somebody else has a newer one: whoever hears this must stop what it started.
    #[error("the lease of step {0} is over")]
    LeaseOver(StepId),
    /// The step is in a state in which this cannot be done.
    #[error("step {id} is {state}")]
    Unfit {
        /// Which step.
        id: StepId,
        /// What it is.
        state: State,
    },
    /// A log goes on at another place than the one given: something in between is missing, or was written before.
    #[error("the log goes on at byte {expected}")]
    LogAt {
        /// The log's length in bytes.
        expected: u64,
    },
    /// The queue cannot be reached, read or written.
    #[error("the queue {place} {what}")]
    Engine {
        /// The queue's URL without its secrets.
        place: String,
        /// What cannot be done.
        what: String,
        /// Why.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
}

/// A queue of steps. Every method can be called again when its answer did not arrive.
///
/// # Errors
/// Every method: [`QueueError::Engine`]; those that take a lease: [`QueueError::LeaseOver`], after which nothing that
/// this holder says is believed any more; those that take an id: [`QueueError::Unknown`].
pub trait Queue: Send + Sync {
    /// Puts a step on the queue. The same step under the same id is [`Submitted::Already`] there, another one
    /// [`QueueError::IdTaken`].
    fn submit(&self, envelope: Envelope) -> Answer<'_, Submitted>;

    /// Takes the oldest step that the claimer can run, and waits for one. `None`: there was none for `wait`.
    ///
    /// Dropping the future gives back what was about to be claimed.
    fn claim(&self, claimer: Claimer, wait: Duration) -> Answer<'_, Option<Claimed>>;

    /// Renews a lease. It is renewed when this returns, and not before.
    fn heartbeat<'a>(&'a self, lease: &'a Lease) -> Answer<'a, Beat>;

    /// Waits until somebody wants the step of this lease to be cancelled, well before the next heartbeat says so. It
    /// may wait for ever: a heartbeat tells as well. Cancel-safe.
    fn cancelled<'a>(&'a self, lease: &'a Lease) -> Answer<'a, ()>;

    /// Records that the step begins: from here on, it is never run again by itself. To be called, and confirmed,
    /// before anything of the step is started. Where the step has been cancelled the answer says so, and it must not.
    fn started<'a>(&'a self, lease: &'a Lease) -> Answer<'a, Beat>;

    /// Gives a step back that has not started.
    fn release<'a>(&'a self, lease: &'a Lease) -> Answer<'a, ()>;

    /// Appends frames to the log of this lease's run of the step, at byte `at`, and gives the log's new length. Where
    /// `at` is not the log's length this is [`QueueError::LogAt`], so that a repetition writes nothing twice.
    fn append<'a>(&'a self, lease: &'a Lease, at: u64, frames: Vec<LogFrame>) -> Answer<'a, u64>;

    /// Ends a step as its holder tells. Only the newest lease can, once; the same holder may repeat it.
    fn finish<'a>(&'a self, lease: &'a Lease, ending: Ending) -> Answer<'a, Finished>;

    /// Cancels a step: at once where nobody holds it, else with the holder's next heartbeat. Gives its state.
    fn cancel<'a>(&'a self, id: &'a StepId) -> Answer<'a, State>;

    /// Puts a step that has ended on the queue again, whatever its ending was.
    fn requeue<'a>(&'a self, id: &'a StepId) -> Answer<'a, State>;

    /// Removes a step that nobody holds: its payload is overwritten, its log removed.
    fn delete<'a>(&'a self, id: &'a StepId) -> Answer<'a, ()>;

    /// Removes the steps that ended longer ago than `age`, as [`Queue::delete`] does; gives their number.
    fn prune(&self, age: Duration) -> Answer<'_, u64>;

    /// Tells of the steps, the oldest first. A damaged record of a pool or state that is asked for may be left out.
    fn list(&self, filter: Filter) -> Answer<'_, Vec<Listed>>;

    /// Tells of a step.
    fn show<'a>(&'a self, id: &'a StepId) -> Answer<'a, Entry>;

    /// How many steps of a pool are in each state, and for how long the oldest has been queued. An engine may
    /// count them when it is asked, but never reads what has ended.
    fn depth<'a>(&'a self, pool: &'a str) -> Answer<'a, Depth>;

    /// Proves that the queue can be written, by writing what changes nothing.
    fn probe(&self) -> Answer<'_, ()>;

    /// Reads a step's log from a position on: whole frames, about `most` bytes, but at least one frame where one is.
    fn log<'a>(&'a self, id: &'a StepId, from: LogPosition, most: usize) -> Answer<'a, LogChunk>;

    /// As [`Queue::log`]; where there is nothing more yet, it waits for something, or for the log's end. Neither came
    /// for `wait`: a chunk without frames.
    fn tail<'a>(
        &'a self,
        id: &'a StepId,
        from: LogPosition,
        most: usize,
        wait: Duration,
    ) -> Answer<'a, LogChunk>;

    /// Waits for a step's ending. `None`: it did not end for `wait`.
    fn ended<'a>(&'a self, id: &'a StepId, wait: Duration) -> Answer<'a, Option<Entry>>;
}
