//! Acts that wait: each looks, and looks again whenever something may have changed, until it finds something or its time
//! is over. A watch is made before the look that it follows, so that nothing is missed in between.

use std::time::Duration;

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
        let watch = self.watch(None)?;
        loop {
            let asked = claimer.clone();
            let claimed = self.act_or_undo(
                move |store| store.claim(&asked),
                |store, claimed| {
                    // Should that fail, the lease ends by itself.
                    drop(claimed.map(|claimed| store.release(&claimed.lease)));
                },
            );
            if let Some(claimed) = claimed.await? {
                return Ok(Some(claimed));
            }
            if !self.pause(&watch, end).await? {
                return Ok(None);
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
                    watch = Some(self.watch(Some(number.await?))?);
                }
                Some(watch) => {
                    if !self.pause(watch, end).await? {
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
        let watch = self.watch(None)?;
        loop {
            let entry = self.show(id).await?;
            if entry.state == State::Ended {
                return Ok(Some(entry));
            }
            if !self.pause(&watch, end).await? {
                return Ok(None);
            }
        }
    }

    /// It has no end: nothing that time does cancels a step.
    pub(super) async fn wait_for_cancel(&self, lease: &Lease) -> Result<(), QueueError> {
        let io = |error| StoreError::Io(error).told(&self.0.place);
        let watch = Watch::new(&self.0.folder, Bell::Cancelled, None).map_err(io)?;
        loop {
            let asked = lease.clone();
            if self.act(move |store| store.is_cancelled(&asked)).await? {
                return Ok(());
            }
            watch.touched().await.map_err(io)?;
        }
    }

    fn watch(&self, log_of: Option<i64>) -> Result<Watch, QueueError> {
        let watch = Watch::new(&self.0.folder, Bell::Free, log_of);
        watch.map_err(|error| StoreError::Io(error).told(&self.0.place))
    }

    /// Waits until something may have changed: somebody has touched the queue, or the time has come at which time itself
    /// changes something, and that is done. `false`: the end came first.
    async fn pause(&self, watch: &Watch, end: Instant) -> Result<bool, QueueError> {
        let now = Instant::now();
        if now >= end {
            return Ok(false);
        }
        let next = self.act(|store| store.next_change()).await?.unwrap_or(SAFETY_POLL);
        match timeout_at(end.min(now + next.min(SAFETY_POLL)), watch.touched()).await {
            Ok(touched) => touched.map_err(|error| StoreError::Io(error).told(&self.0.place))?,
            Err(_) => self.act(|store| store.settle()).await?,
        }
        Ok(true)
    }
}
