//! What the worker's loop reports, as it goes: written with a short lock or an atomic, never awaited, never failing. Health,
//! metrics and systemd are answered from it, so that whoever asks cannot disturb the loop.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::metrics::Counters;
use crate::causes::with_causes;
use crate::queue::{Claimed, Ending, QueueError};

/// The loop calls [`Status::turn`] at least this often, also while nothing happens.
pub const TURN: Duration = Duration::from_secs(10);

/// A loop that has not turned for so long stands.
pub const STANDSTILL: Duration = TURN.saturating_mul(3);

/// What is known of a worker; clones are the same.
#[derive(Clone)]
pub struct Status(Arc<Inner>);

struct Inner {
    pool: Arc<str>,
    now: Mutex<Now>,
    counters: Counters,
    /// Whether it takes no more steps.
    drains: watch::Sender<bool>,
}

/// What may change.
struct Now {
    slots: usize,
    running: usize,
    preflight: Result<(), String>,
    queue: Result<(), String>,
    turned: Instant,
}

/// A worker at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// How many steps may run at once.
    pub slots: usize,
    /// How many run.
    pub running: usize,
    /// It takes no more steps.
    pub draining: bool,
    /// Whether the preflight has passed; why not, in one line.
    pub preflight: Result<(), String>,
    /// What the newest act of the queue came to; why it failed, in one line. `Ok` before the first one.
    pub queue: Result<(), String>,
    /// Since the loop's last turn.
    pub since_turn: Duration,
}

impl Snapshot {
    /// Whether the loop turns.
    #[must_use]
    pub fn is_turning(&self) -> bool {
        self.since_turn < STANDSTILL
    }
}

impl Status {
    /// A worker that has just been started, with so many slots.
    #[must_use]
    pub fn new(pool: &str, slots: usize) -> Self {
        let pool: Arc<str> = pool.into();
        let counters = Counters::new(Arc::clone(&pool));
        counters.slots(0, slots);
        let preflight = Err("the preflight has not run yet".to_owned());
        let now = Now { slots, running: 0, preflight, queue: Ok(()), turned: Instant::now() };
        Self(Arc::new(Inner { pool, now: Mutex::new(now), counters, drains: watch::Sender::new(false) }))
    }

    /// Whose steps it takes.
    #[must_use]
    pub fn pool(&self) -> &str {
        &self.0.pool
    }

    /// The loop turns: to be called whenever it has anything to do, and each [`TURN`] when it has not.
    pub fn turn(&self) {
        self.now().turned = Instant::now();
    }

    /// The preflight ran; `Err` says in one line what is wrong.
    pub fn preflight(&self, result: Result<(), String>) {
        self.now().preflight = result;
    }

    /// Notes what an act of the queue came to. Only [`QueueError::Engine`] speaks against the queue: whoever is refused
    /// has been answered.
    pub fn queue<T>(&self, answer: &Result<T, QueueError>) {
        let noted = match answer {
            Err(error @ QueueError::Engine { .. }) => {
                self.0.counters.queue_failed();
                Err(one_line(&with_causes(error)))
            }
            Ok(_) | Err(_) => Ok(()),
        };
        self.now().queue = noted;
    }

    /// A step was claimed. How long it waited is counted for its first claim alone: later ones wait for other reasons.
    pub fn claimed(&self, claimed: &Claimed) {
        if claimed.lease.epoch == 1 {
            self.0.counters.claimed(claimed.waited);
        }
    }

    /// A step begins; its slot is in use until the guard is dropped.
    #[must_use]
    pub fn started(&self) -> Running {
        self.change_running(|running| running + 1);
        Running(self.clone())
    }

    /// The queue has taken a step's ending.
    pub fn ended(&self, ending: &Ending) {
        self.0.counters.ended(ending);
    }

    /// A heartbeat was not confirmed.
    pub fn heartbeat_missed(&self) {
        self.0.counters.heartbeat_missed();
    }

    /// A step had to be ended here since its lease was over.
    pub fn lease_lost(&self) {
        self.0.counters.lease_lost();
    }

    /// No more steps are taken.
    pub fn draining(&self) {
        self.0.drains.send_replace(true);
    }

    /// Waits until no more steps are taken.
    pub async fn drains(&self) {
        // It cannot fail: the sender lives as long as this does.
        drop(self.0.drains.subscribe().wait_for(|drains| *drains).await);
    }

    /// How it is now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let now = self.now();
        Snapshot {
            slots: now.slots,
            running: now.running,
            draining: *self.0.drains.borrow(),
            preflight: now.preflight.clone(),
            queue: now.queue.clone(),
            since_turn: now.turned.elapsed(),
        }
    }

    /// As if the loop had turned last so long ago.
    #[cfg(test)]
    pub(super) fn stand_for(&self, time: Duration) {
        self.now().turned = Instant::now().checked_sub(time).expect("the machine has run for longer");
    }

    pub(super) fn counters(&self) -> &Counters {
        &self.0.counters
    }

    fn change_running(&self, change: impl FnOnce(usize) -> usize) {
        let mut now = self.now();
        now.running = change(now.running);
        self.0.counters.slots(now.running, now.slots);
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        // Nothing that holds it can panic half-way: each change is one assignment.
        self.0.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A slot that is in use.
pub struct Running(Status);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.change_running(|running| running.saturating_sub(1));
    }
}

/// What is told stands on a line of its own, whatever an error's text holds.
pub(super) fn one_line(text: &str) -> String {
    text.replace(char::is_control, " ")
}

#[cfg(test)]
mod tests {
    use super::{Snapshot, Status};
    use crate::queue::{QueueError, StepId};
    use std::time::Duration;

    fn engine(what: &str) -> Result<(), QueueError> {
        let source: Box<dyn std::error::Error + Send + Sync> = "disk\nfull".into();
        Err(QueueError::Engine { place: "sqlite:/q".into(), what: what.into(), source: Some(source) })
    }

    #[test]
    fn a_worker_that_has_just_been_started_is_not_ready_and_turns() {
        let snapshot = Status::new("p", 2).snapshot();
        assert!(snapshot.preflight.is_err() && snapshot.is_turning());
        assert_eq!((snapshot.slots, snapshot.running, snapshot.draining), (2, 0, false));
    }

    #[test]
    fn a_slot_is_in_use_until_its_guard_is_dropped() {
        let status = Status::new("p", 2);
        let (one, two) = (status.started(), status.started());
        assert_eq!(status.snapshot().running, 2);
        drop(one);
        assert_eq!(status.snapshot().running, 1);
        drop(two);
        assert_eq!(status.snapshot().running, 0);
    }

    #[test]
    fn the_newest_act_of_the_queue_counts_and_a_refusal_is_an_answer() {
        let status = Status::new("p", 1);
        status.queue(&engine("cannot be read or written"));
        let told = "the queue sqlite:/q cannot be read or written: disk full".to_owned();
        assert_eq!(status.snapshot().queue, Err(told));
        let id = StepId::try_from("a".to_owned()).expect("an id");
        status.queue::<()>(&Err(QueueError::LeaseOver(id)));
        assert_eq!(status.snapshot().queue, Ok(()));
        status.queue(&engine("is gone"));
        status.queue(&Ok(()));
        assert_eq!(status.snapshot().queue, Ok(()));
    }

    #[test]
    fn a_loop_that_has_not_turned_for_half_a_minute_stands() {
        let status = Status::new("p", 1);
        let at = |since_turn| Snapshot { since_turn, ..status.snapshot() };
        assert!(at(Duration::from_secs(29)).is_turning());
        assert!(!at(Duration::from_secs(30)).is_turning());
    }
}
