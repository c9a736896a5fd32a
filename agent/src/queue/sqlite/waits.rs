//! Acts that wait: each looks, and looks again whenever something may have changed, until it finds something or its time
//! is over. One listens before one looks, so that nothing is missed in between.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::store::StoreError;
use super::wake::{Bell, Watch};
use super::{SAFETY_POLL, Sqlite};
use crate::queue::{Claimed, Claimer, Entry, Lease, LogChunk, LogPosition, Queue, QueueError, State, StepId};

impl Sqlite {
    pub(super) async fn wait_and_claim(
        &self,
        claimer: Claimer,
        wait: Duration,
    ) -> Result<Option<Claimed>, QueueError> {
        let end = Instant::now() + wait;
        let mut free = None;
        loop {
            let asked = claimer.clone();
            let claimed = self.act_at_once_or_undo(
                move |store| store.claim(&asked),
                |store, claimed| {
                    // Should that fail, the lease ends by itself.
                    drop(claimed.map(|claimed| store.release(&claimed.lease)));
                },
            );
            if let Some(claimed) = claimed.await? {
                return Ok(Some(claimed));
            }
            match &mut free {
                // Only where the first look found nothing: where there is always something, nobody has to listen.
                None if Instant::now() < end => free = Some(self.listen(Bell::Free)?),
                None => return Ok(None),
                Some(free) => {
                    if !self.pause(free, end).await? {
                        return Ok(None);
                    }
                }
            }
        }
    }

    pub(super) async fn wait_for_log(
        &self,
        id: &StepId,
        from: LogPosition,
        most: usize,
        wait: Duration,
    ) -> Result<LogChunk, QueueError> {
        let end = Instant::now() + wait;
        let mut watch: Option<Watch> = None;
        loop {
            let chunk = self.log(id, from, most).await?;
            if chunk.end || !chunk.frames.is_empty() {
                return Ok(chunk);
            }
            match &watch {
                // Only where the first look found nothing: a log that is coming needs no watch.
                None => {
                    let named = id.clone();
                    let number = self.act(move |store| {
                        // Whose lease is over has ended, though nobody else may have looked since.
                        store.settle()?;
                        store.number(&named)
                    });
                    let made = Watch::new(&self.0.folder, Bell::Free, Some(number.await?));
                    watch = Some(made.map_err(|error| self.told(error))?);
                }
                Some(watch) => {
                    let touched = async || watch.touched().await.map_err(|error| self.told(error));
                    if !self.pause_for(touched(), end).await? {
                        return Ok(chunk);
                    }
                }
            }
        }
    }

    pub(super) async fn wait_for_end(
        &self,
        id: &StepId,
        wait: Duration,
    ) -> Result<Option<Entry>, QueueError> {
        let end = Instant::now() + wait;
        let mut free = self.listen(Bell::Free)?;
        loop {
            let entry = self.show(id).await?;
            if entry.state == State::Ended {
                return Ok(Some(entry));
            }
            if !self.pause(&mut free, end).await? {
                return Ok(None);
            }
        }
    }

    /// It has no end: nothing that time does cancels a step.
    pub(super) async fn wait_for_cancel(&self, lease: &Lease) -> Result<(), QueueError> {
        let mut cancelled = self.listen(Bell::Cancelled)?;
        loop {
            let asked = lease.clone();
            if self.act_at_once(move |store| store.is_cancelled(&asked)).await? {
                return Ok(());
            }
            self.rung(&mut cancelled, Bell::Cancelled).await?;
        }
    }

    fn listen(&self, bell: Bell) -> Result<watch::Receiver<()>, QueueError> {
        let ring = match bell {
            Bell::Free => &self.0.free,
            Bell::Cancelled => &self.0.cancelled,
        };
        ring.listen(&self.0.folder, bell).map_err(|error| self.told(error))
    }

    /// Waits for a bell. Where it cannot be heard any more it is listened to anew, since it may just have rung.
    async fn rung(&self, told: &mut watch::Receiver<()>, bell: Bell) -> Result<(), QueueError> {
        if told.changed().await.is_err() {
            *told = self.listen(bell)?;
        }
        Ok(())
    }

    fn told(&self, error: std::io::Error) -> QueueError {
        // A file that is not there is the whole queue, mostly.
        let error =
            if error.kind() == std::io::ErrorKind::NotFound { StoreError::Gone } else { error.into() };
        error.told(&self.0.place)
    }

    /// Waits until a step may have become free or have ended; see [`Sqlite::pause_for`].
    async fn pause(&self, free: &mut watch::Receiver<()>, end: Instant) -> Result<bool, QueueError> {
        self.pause_for(self.rung(free, Bell::Free), end).await
    }

    /// Waits until something may have changed: somebody has touched the queue, or the time has come at which time itself
    /// changes something, and that is done. `false`: the end came first.
    async fn pause_for(
        &self,
        touched: impl Future<Output = Result<(), QueueError>>,
        end: Instant,
    ) -> Result<bool, QueueError> {
        let now = Instant::now();
        if now >= end {
            return Ok(false);
        }
        let next = self.act_at_once(|store| store.next_change()).await?.unwrap_or(SAFETY_POLL);
        match timeout_at(end.min(now + next.min(SAFETY_POLL)), touched).await {
            Ok(touched) => touched?,
            Err(_) => self.act(|store| store.settle()).await?,
        }
        Ok(true)
    }
}
