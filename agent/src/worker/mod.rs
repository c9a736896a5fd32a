//! The worker: takes steps from a queue, runs each in a process of its own, and tells the queue how it ended.
//!
//! `claims` takes steps and gives each a slot; `slot` has one step from its claim to its ending, with `child` (its
//! process), `upload` (its log) and `lease`; `standby` has the processes of steps to come; `drain` is how a worker ends. `frames` is what worker and process say to each
//! other, `job` how a step is to be run there, `seat` and `users` what a slot has of its own. `preflight` says which steps
//! this machine can run, `speak` what is told of it all.
//!
//! `status` is what its loop reports; whoever looks from outside is answered from it: `ready` says what must hold,
//! `metrics` what is counted, `listen` is the address for both, `notify` what systemd hears, `outside` has them all.

mod backoff;
mod child;
mod claims;
pub mod drain;
pub mod frames;
pub mod job;
mod lease;
pub mod listen;
pub mod metrics;
pub mod notify;
pub mod outside;
pub mod preflight;
pub mod ready;
pub mod seat;
mod slot;
mod speak;
mod standby;
pub mod status;
mod upload;
pub mod users;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use self::drain::{Drain, Wish};
use self::seat::{Seat, Template};
use self::speak::Speaker;
use self::standby::Standby;
use self::status::Status;
use crate::log::{Level, Log};
use crate::queue::{Claimer, Queue};

/// A worker, completely stated.
pub struct Worker {
    /// Where steps come from.
    pub queue: Arc<dyn Queue>,
    /// Who claims them.
    pub claimer: Claimer,
    /// One for each step that runs at a time.
    pub seats: Vec<Seat>,
    /// This program.
    pub program: PathBuf,
    /// What steps have in common; what is put in there holds for the next step.
    pub template: watch::Receiver<Template>,
    /// When there is nothing more to do.
    pub bounds: Bounds,
    /// What its operator wants; see [`drain::listen`].
    pub wishes: mpsc::UnboundedReceiver<Wish>,
    /// What is seen of it from outside.
    pub status: Status,
    /// Where its own lines go.
    pub log: Log,
}

/// When a worker ends by itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bounds {
    /// After so many steps.
    pub steps: Option<u64>,
    /// When nothing came for so long, and nothing runs.
    pub idle: Option<Duration>,
    /// How long running steps may go on after the first wish to end; `None`: as long as they take.
    pub drain: Option<Duration>,
}

/// What all parts of a worker share.
struct Shared {
    queue: Arc<dyn Queue>,
    standby: Standby,
    template: watch::Receiver<Template>,
    drain: watch::Receiver<Drain>,
    status: Status,
    speaker: Speaker,
}

impl Worker {
    /// Works until it is told to end or its bounds are reached. When this returns, nothing that it started runs any more.
    pub async fn run(self) -> Drain {
        let (sender, drain) = watch::channel(Drain::Open);
        let follow = tokio::spawn(drain::follow(self.wishes, sender, self.bounds.drain));
        let slots = self.seats.len();
        let shared = Arc::new(Shared {
            queue: self.queue,
            standby: Standby::new(self.program, slots),
            template: self.template,
            drain,
            status: self.status,
            speaker: Speaker(self.log),
        });
        let Claimer { worker, pool, capabilities, .. } = &self.claimer;
        shared.speaker.say(
            Level::Info,
            format!("worker {worker}: pool {pool}, slots {slots}, capabilities {}", words(capabilities)),
        );
        if self.seats.iter().any(|seat| seat.user().is_none()) {
            shared.speaker.warn(
                "SameUser",
                "steps run as this worker's own user: what it can read and signal, they can, too; use --step-user",
            );
        }
        let claims = claims::Claims::new(Arc::clone(&shared), self.claimer, self.seats, self.bounds);
        let done = claims.run().await;
        follow.abort();
        let drain = *shared.drain.borrow();
        shared.speaker.say(Level::Info, format!("worker ended after {done} steps"));
        shared.speaker.0.flush().await;
        drain
    }
}

/// Waits for a moment; without one, for ever.
async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

fn words(capabilities: &std::collections::BTreeSet<String>) -> String {
    capabilities.iter().map(String::as_str).collect::<Vec<_>>().join(" ")
}
