//! The embedded engine: one folder of one machine, with a SQLite database, a log file for each run of a step, and a file
//! that is touched when there may be something to claim.
//!
//! `store` opens it, `acts` has what changes a step (each act is one transaction, on the disk before it is told), `due`
//! what time changes, `look` what is told, `logs` the log files, `wake` how one hears of changes. All of that is synchronous;
//! this file hands it to threads that may block, and `waits` has the acts that wait.

mod acts;
mod due;
mod logs;
mod look;
mod schema;
mod store;
#[cfg(test)]
mod tests;
mod waits;
mod wake;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

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
    store: Mutex<Store>,
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
            store: Mutex::new(store),
            folder: folder.to_owned(),
            free: wake::Ring::default(),
            cancelled: wake::Ring::default(),
        })))
    }

    /// Does it on a thread that may block.
    fn act<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Answer<'_, T> {
        self.act_or_undo(act, |_, _| {})
    }

    /// Where nobody waits for the answer any more, `undo` gets it.
    fn act_or_undo<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut Store) -> Result<T, StoreError> + Send + 'static,
        undo: impl FnOnce(&mut Store, T) + Send + 'static,
    ) -> Answer<'_, T> {
        let (inner, place) = (Arc::clone(&self.0), self.0.place.clone());
        Box::pin(async move {
            let (tell, told) = oneshot::channel();
            tokio::task::spawn_blocking(move || {
                // A panic within a transaction has rolled it back.
                let mut store = inner.store.lock().unwrap_or_else(PoisonError::into_inner);
                let done = store.still_there().and_then(|()| act(&mut store));
                if let Err(Ok(unheard)) = tell.send(done) {
                    undo(&mut store, unheard);
                }
            });
            let answer = told.await.unwrap_or(Err(StoreError::Panic));
            answer.map_err(|error| error.told(&place))
        })
    }
}

impl Queue for Sqlite {
    fn submit(&self, envelope: Envelope) -> Answer<'_, Submitted> {
        self.act(move |store| store.submit(&envelope))
    }

    fn claim(&self, claimer: Claimer, wait: Duration) -> Answer<'_, Option<Claimed>> {
        Box::pin(self.wait_and_claim(claimer, wait))
    }

    fn heartbeat<'a>(&'a self, lease: &'a Lease) -> Answer<'a, Beat> {
        let lease = lease.clone();
        self.act(move |store| store.heartbeat(&lease))
    }

    fn cancelled<'a>(&'a self, lease: &'a Lease) -> Answer<'a, ()> {
        Box::pin(self.wait_for_cancel(lease))
    }

    fn started<'a>(&'a self, lease: &'a Lease) -> Answer<'a, Beat> {
        let lease = lease.clone();
        self.act(move |store| store.started(&lease))
    }

    fn release<'a>(&'a self, lease: &'a Lease) -> Answer<'a, ()> {
        let lease = lease.clone();
        self.act(move |store| store.release(&lease))
    }

    fn append<'a>(&'a self, lease: &'a Lease, at: u64, frames: Vec<LogFrame>) -> Answer<'a, u64> {
        let lease = lease.clone();
        self.act(move |store| store.append(&lease, at, &frames))
    }

    fn finish<'a>(&'a self, lease: &'a Lease, ending: Ending) -> Answer<'a, Finished> {
        let lease = lease.clone();
        self.act(move |store| store.finish(&lease, &ending))
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
