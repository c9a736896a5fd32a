//! A step's log on its way to the queue: frames are gathered while the queue takes those before, so that a fast log is
//! written in large pieces, and a slow one at once. What waits is bounded: the step's process waits with it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::backoff::Backoff;
use super::status::Status;
use crate::queue::{Lease, LogFrame, Queue, QueueError};

/// How many frames may wait. Each has at most 64 KiB.
const ROOM: usize = 16;

/// How many bytes are appended at once, more or less.
const PIECE: usize = 256 * 1024;

/// Where frames are put.
pub(super) type Frames = mpsc::Sender<LogFrame>;

/// A log that is being written.
pub(super) struct Upload {
    pub(super) queue: Arc<dyn Queue>,
    pub(super) lease: Lease,
    /// When the lease ends, by CLOCK_BOOTTIME, as far as is known.
    pub(super) until: tokio::sync::watch::Receiver<Duration>,
    pub(super) status: Status,
}

/// Why a log is not complete.
#[derive(Debug)]
pub(super) enum Incomplete {
    /// The lease is over: nothing more is taken from this holder.
    Stale,
    /// The queue could not be reached while the lease lasted, or has another log than was written.
    Engine(QueueError),
}

pub(super) fn channel() -> (Frames, mpsc::Receiver<LogFrame>) {
    mpsc::channel(ROOM)
}

impl Upload {
    /// Writes until nobody puts frames any more.
    pub(super) async fn run(self, mut frames: mpsc::Receiver<LogFrame>) -> Result<(), Incomplete> {
        let mut at = 0;
        while let Some(first) = frames.recv().await {
            let mut size = first.bytes.len();
            let mut piece = vec![first];
            while size < PIECE
                && let Ok(next) = frames.try_recv()
            {
                size += next.bytes.len();
                piece.push(next);
            }
            at = self.append(at, piece).await?;
        }
        Ok(())
    }

    async fn append(&self, at: u64, piece: Vec<LogFrame>) -> Result<u64, Incomplete> {
        let end = at + piece.iter().map(|frame| frame.size() as u64).sum::<u64>();
        let mut backoff = Backoff::default();
        loop {
            let answer = self.queue.append(&self.lease, at, piece.clone()).await;
            self.status.queue(&answer);
            match answer {
                Ok(length) => return Ok(length),
                Err(QueueError::LogAt { expected }) if expected == end && backoff.failures() > 0 => {
                    // It was written, and only the answer was lost.
                    return Ok(end);
                }
                Err(error @ QueueError::Engine { .. }) => {
                    let until = *self.until.borrow();
                    if !backoff.pause(until).await {
                        return Err(Incomplete::Engine(error));
                    }
                }
                Err(QueueError::LeaseOver(_) | QueueError::Unknown(_)) => return Err(Incomplete::Stale),
                Err(error) => return Err(Incomplete::Engine(error)),
            }
        }
    }
}
