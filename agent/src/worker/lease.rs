//! A lease while its step runs: renewed in time, and heard when it is over or the step is cancelled.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::backoff::Backoff;
use super::frames::Down;
use super::status::Status;
use crate::queue::{HEARTBEAT, Lease, MARGIN, Queue, QueueError};

/// The longest pause between two tries to renew a lease: well below what is left of it.
const RETRY: Duration = Duration::from_secs(4);

/// What is heard of a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// Somebody wants the step to be cancelled.
    Cancelled,
    /// It could not be renewed, so many times in a row. It lasts for now.
    Missed(u32),
    /// It is over.
    Over,
}

/// What renews a lease.
pub(super) struct Keeper {
    pub(super) queue: Arc<dyn Queue>,
    pub(super) lease: Lease,
    /// Its end, by CLOCK_BOOTTIME.
    pub(super) until: watch::Sender<Duration>,
    pub(super) status: Status,
    pub(super) orders: mpsc::UnboundedSender<Down>,
    pub(super) news: mpsc::UnboundedSender<News>,
}

impl Keeper {
    /// Renews it until it is over, or this is dropped.
    pub(super) async fn run(self) {
        let mut backoff = Backoff::default();
        let mut pause = HEARTBEAT;
        loop {
            tokio::time::sleep(pause).await;
            let answer = self.queue.heartbeat(&self.lease).await;
            self.status.queue(&answer);
            match answer {
                Ok(beat) => {
                    (pause, backoff) = (HEARTBEAT, Backoff::default());
                    self.until.send_replace(beat.until);
                    // Nobody hears what is said of a step that has just ended; so below.
                    let _ = self.orders.send(Down::Lease(beat.until.saturating_sub(MARGIN)));
                    if beat.cancel {
                        let _ = self.news.send(News::Cancelled);
                    }
                }
                Err(QueueError::LeaseOver(_) | QueueError::Unknown(_)) => {
                    let _ = self.news.send(News::Over);
                    return;
                }
                Err(_) => {
                    pause = backoff.next().min(RETRY);
                    let _ = self.news.send(News::Missed(backoff.failures()));
                }
            }
        }
    }
}

/// Waits for a cancellation. Where that is not possible, a heartbeat tells.
pub(super) async fn listen(queue: Arc<dyn Queue>, lease: Lease, news: mpsc::UnboundedSender<News>) {
    let heard = match queue.cancelled(&lease).await {
        Ok(()) => News::Cancelled,
        Err(QueueError::LeaseOver(_) | QueueError::Unknown(_)) => News::Over,
        Err(error) => {
            tracing::debug!("cancellations are heard by heartbeats only: {error}");
            return;
        }
    };
    let _ = news.send(heard);
}
