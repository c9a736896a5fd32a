//! The embedded engine: one folder of one machine, with a SQLite database, a log file for each run of a step, and a file
//! that is touched when there may be something to claim.
//!
//! `store` opens it, `acts` has what changes a step (each act is one transaction, on the disk before it is told), `due`
//! what time changes, `look` what is told, `logs` the log files, `wake` how one hears of changes. All of that is synchronous;
//! `executor` does it where it holds nobody up, and `waits` has the acts that wait.

mod acts;
mod due;
mod executor;
mod logs;
mod look;
mod schema;
mod store;
#[cfg(test)]
mod tests;
mod waits;
mod wake;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use self::executor::Executor;
use self::store::{Store, StoreError};
use super::clock::Clock;
use super::{
    Answer, Beat, Claimed, Claimer, Depth, Ending, Entry, Envelope, Filter, Finished, Lease, Listed,
    LogChunk, LogFrame, LogPosition, Queue, QueueError, State, StepId, Submitted,
};

/// How long an act waits for another process' transaction.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest that a waiting claim goes without looking.
const SAFETY_POLL: Duration = Duration::from_secs(30);

/// A queue in a folder.
#[derive(Clone)]
pub struct Sqlite(Arc<Inner>);

struct Inner {
    place: String,
    executor: Executor,
    folder: std::path::PathBuf,
    free: wake::Ring,
    cancelled: wake::Ring,
}

impl Sqlite {
    /// Opens the queue in `folder`; makes both where they are not there.
    ///
    /// # Errors
    /// [`QueueError::Engine`]: the folder cannot be used, is open to others or on a network, or holds something else.
    pub fn open(folder: &Path, clock: Clock) -> Result<Self, QueueError> {
        let place = format!("sqlite:{}", folder.display());
        let store = Store::open(folder, clock).map_err(|error| error.told(&place))?;
        Ok(Self(Arc::new(Inner {
            place,
            executor: Executor::new(store),
            folder: folder.to_owned(),
            free: wake::Ring::default(),
            cancelled: wake::Ring::default(),
        })))
    }

    /// Does what may take long.
    fn act<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Answer<'_, T> {
        Box::pin(async move {
            let done = self.0.executor.on_thread(act, |_, _| {}).await;
            done.map_err(|error| error.told(&self.0.place))
        })
    }

    /// Does what is short: see `executor`.
    fn act_at_once<T: Send + 'static>(
        &self,
        act: impl Fn(&mut Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Answer<'_, T> {
        self.act_at_once_or_undo(act, |_, _| {})
    }

    /// Where nobody waits for the answer any more, `undo` gets it.
    fn act_at_once_or_undo<T: Send + 'static>(
        &self,
        act: impl Fn(&mut Store) -> Result<T, StoreError> + Send + 'static,
        undo: impl FnOnce(&mut Store, T) + Send + 'static,
    ) -> Answer<'_, T> {
        Box::pin(async move {
            let done = self.0.executor.at_once(act, undo).await;
            done.map_err(|error| error.told(&self.0.place))
        })
    }
}

impl Queue for Sqlite {
    fn submit(&self, envelope: Envelope) -> Answer<'_, Submitted> {
        self.act_at_once(move |store| store.submit(&envelope))
    }

    fn claim(&self, claimer: Claimer, wait: Duration) -> Answer<'_, Option<Claimed>> {
        Box::pin(self.wait_and_claim(claimer, wait))
    }

    fn heartbeat<'a>(&'a self, lease: &'a Lease) -> Answer<'a, Beat> {
        let lease = lease.clone();
        self.act_at_once(move |store| store.heartbeat(&lease))
    }

    fn cancelled<'a>(&'a self, lease: &'a Lease) -> Answer<'a, ()> {
        Box::pin(self.wait_for_cancel(lease))
    }

    fn started<'a>(&'a self, lease: &'a Lease) -> Answer<'a, Beat> {
        let lease = lease.clone();
        self.act_at_once(move |store| store.started(&lease))
    }

    fn release<'a>(&'a self, lease: &'a Lease) -> Answer<'a, ()> {
        let lease = lease.clone();
        self.act_at_once(move |store| store.release(&lease))
    }

    fn append<'a>(&'a self, lease: &'a Lease, at: u64, frames: Vec<LogFrame>) -> Answer<'a, u64> {
        let lease = lease.clone();
        self.act_at_once(move |store| store.append(&lease, at, &frames))
    }

    fn finish<'a>(&'a self, lease: &'a Lease, ending: Ending) -> Answer<'a, Finished> {
        let lease = lease.clone();
        self.act_at_once(move |store| store.finish(&lease, &ending))
    }

    fn cancel<'a>(&'a self, id: &'a StepId) -> Answer<'a, State> {
        let id = id.clone();
        self.act(move |store| store.cancel(&id))
    }

    fn requeue<'a>(&'a self, id: &'a StepId) -> Answer<'a, State> {
        let id = id.clone();
        self.act(move |store| store.requeue(&id))
    }

    fn delete<'a>(&'a self, id: &'a StepId) -> Answer<'a, ()> {
        let id = id.clone();
        self.act(move |store| store.delete(&id))
    }

    fn prune(&self, age: Duration) -> Answer<'_, u64> {
        self.act(move |store| store.prune(age))
    }

    fn list(&self, filter: Filter) -> Answer<'_, Vec<Listed>> {
        self.act(move |store| store.list(&filter))
    }

    fn show<'a>(&'a self, id: &'a StepId) -> Answer<'a, Entry> {
        let id = id.clone();
        self.act(move |store| store.show(&id))
    }

    fn depth<'a>(&'a self, pool: &'a str) -> Answer<'a, Depth> {
        let pool = pool.to_owned();
        self.act(move |store| store.depth(&pool))
    }

    fn probe(&self) -> Answer<'_, ()> {
        self.act(Store::probe)
    }

    fn log<'a>(&'a self, id: &'a StepId, from: LogPosition, most: usize) -> Answer<'a, LogChunk> {
        let id = id.clone();
        self.act(move |store| store.log(&id, from, most))
    }
    fn tail<'a>(
        &'a self,
        id: &'a StepId,
        from: LogPosition,
        most: usize,
        wait: Duration,
    ) -> Answer<'a, LogChunk> {
        Box::pin(self.wait_for_log(id, from, most, wait))
    }

    fn ended<'a>(&'a self, id: &'a StepId, wait: Duration) -> Answer<'a, Option<Entry>> {
        Box::pin(self.wait_for_end(id, wait))
    }
}
