//! Where an act is done. Handing it to another thread and back takes longer than the act itself where the disk is fast
//! (docs/queue.md has the figures), so a short one is done on the caller's thread, as long as nothing makes it wait: the
//! store is free, no other process writes, and the disk has lately been quick. All others are done on threads that
//! may block.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::ErrorCode;
use tokio::sync::oneshot;
use tokio::task::coop::consume_budget;

use super::store::{Store, StoreError};

/// An act that took longer has waited for the disk.
const QUICK: Duration = Duration::from_millis(2);

/// For how long a disk is taken to be slow after two such acts in a row: one alone may have copied the write-ahead log
/// into the database.
const SLOW_FOR: Duration = Duration::from_millis(200);

/// Does a store's acts, one after another.
pub(super) struct Executor(Arc<Mutex<Desk>>);

struct Desk {
    store: Store,
    was_slow: bool,
    slow_until: Option<Instant>,
}

impl Executor {
    pub(super) fn new(store: Store) -> Self {
        Self(Arc::new(Mutex::new(Desk { store, was_slow: false, slow_until: None })))
    }

    /// Does it on a thread that may block. Where nobody waits for the answer any more, `undo` gets it.
    pub(super) async fn on_thread<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut Store) -> Result<T, StoreError> + Send + 'static,
        undo: impl FnOnce(&mut Store, T) + Send + 'static,
    ) -> Result<T, StoreError> {
        let desk = Arc::clone(&self.0);
        let (tell, told) = oneshot::channel();
        tokio::task::spawn_blocking(move || {
            // A panic within a transaction has rolled it back.
            let mut desk = desk.lock().unwrap_or_else(PoisonError::into_inner);
            let done = desk.act(true, act);
            if let Err(Ok(unheard)) = tell.send(done) {
                undo(&mut desk.store, unheard);
            }
        });
        told.await.unwrap_or(Err(StoreError::Panic))
    }

    /// Does a short act at once, or where that would wait on a thread. It may be begun twice: what a lock that somebody
    /// holds has stopped has done nothing.
    pub(super) async fn at_once<T: Send + 'static>(
        &self,
        act: impl Fn(&mut Store) -> Result<T, StoreError> + Send + 'static,
        undo: impl FnOnce(&mut Store, T) + Send + 'static,
    ) -> Result<T, StoreError> {
        // Others have their turn, even where nothing ever waits.
        consume_budget().await;
        let done = self.0.try_lock().ok().and_then(|mut desk| desk.try_at_once(&act));
        match done {
            Some(done) => done,
            None => self.on_thread(act, undo).await,
        }
    }

    #[cfg(test)]
    pub(super) fn hold(&self) -> impl Sized + '_ {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Desk {
    /// `None`: it would have had to wait.
    fn try_at_once<T>(
        &mut self,
        act: impl FnOnce(&mut Store) -> Result<T, StoreError>,
    ) -> Option<Result<T, StoreError>> {
        let began = Instant::now();
        if self.slow_until.is_some_and(|until| began < until) {
            return None;
        }
        let done = self.act(false, act);
        let ended = Instant::now();
        let slow = ended - began > QUICK;
        self.slow_until = (slow && self.was_slow).then(|| ended + SLOW_FOR);
        self.was_slow = slow;
        match done {
            Err(StoreError::WouldWait) => None,
            Err(StoreError::Database(error))
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) =>
            {
                None
            }
            done => Some(done),
        }
    }

    fn act<T>(
        &mut self,
        may_wait: bool,
        act: impl FnOnce(&mut Store) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.store.may_wait(may_wait)?;
        self.store.still_there()?;
        act(&mut self.store)
    }
}
