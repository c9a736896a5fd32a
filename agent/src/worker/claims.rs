//! Taking steps from the queue: one at a time, and only where a slot is free, so that no step waits for this worker that
//! another one could run.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, Interval};

use super::backoff::Backoff;
use super::drain::Drain;
use super::seat::Seat;
use super::status::TURN;
use super::{Bounds, Shared, slot, until};
use crate::causes::with_causes;
use crate::log::Level;
use crate::queue::{Claimed, Claimer, QueueError};

/// How long one claim waits. It is repeated at once; the bound only shows that the queue still answers.
const WAIT: Duration = Duration::from_secs(60);

type Claim = Pin<Box<dyn Future<Output = Result<Option<Claimed>, QueueError>> + Send>>;

/// A worker's slots, and the steps in them.
pub(super) struct Claims {
    shared: Arc<Shared>,
    claimer: Claimer,
    bounds: Bounds,
    seats: Vec<Seat>,
    free: Vec<usize>,
    running: JoinSet<()>,
    /// Which slot a task has.
    taken: HashMap<Id, usize>,
    /// How many steps were claimed.
    done: u64,
    backoff: Backoff,
    /// Since when nothing runs and nothing came.
    idle_since: Instant,
    turns: Interval,
}

/// What happened.
enum Event {
    Claimed(Result<Option<Claimed>, QueueError>),
    Ended(Result<(Id, ()), JoinError>),
    /// Nothing: the loop turns, and that is seen from outside.
    Turn,
    Drained,
    Idle,
}

impl Claims {
    pub(super) fn new(shared: Arc<Shared>, claimer: Claimer, seats: Vec<Seat>, bounds: Bounds) -> Self {
        let free = (0..seats.len()).rev().collect();
        let (running, taken, backoff, idle_since) =
            (JoinSet::new(), HashMap::new(), Backoff::default(), Instant::now());
        let turns = tokio::time::interval(TURN);
        Self { shared, claimer, bounds, seats, free, running, taken, done: 0, backoff, idle_since, turns }
    }

    /// Works until the worker drains or its bounds are reached, and all of its steps have ended. Gives their number.
    pub(super) async fn run(mut self) -> u64 {
        let mut drain = self.shared.drain.clone();
        let mut claim: Option<Claim> = None;
        loop {
            let is_open = *drain.borrow_and_update() == Drain::Open;
            let wants = is_open && self.bounds.steps.is_none_or(|most| self.done < most);
            self.shared.standby.want(wants);
            if !wants {
                self.shared.status.draining();
                // What was about to be claimed is given back.
                claim = None;
                if self.running.is_empty() {
                    return self.done;
                }
            } else if !self.free.is_empty() && claim.is_none() {
                claim = Some(self.claim(Duration::ZERO));
            }
            match self.next(&mut claim, &mut drain).await {
                Event::Turn => {
                    self.shared.status.turn();
                    if self.running.is_empty() {
                        self.shared.standby.clear();
                    }
                }
                Event::Claimed(Ok(claimed)) => {
                    claim = None;
                    self.backoff.reset();
                    claimed.into_iter().for_each(|claimed| self.start(claimed));
                }
                Event::Claimed(Err(error)) => {
                    let pause = self.backoff.next();
                    self.complain(&error, pause);
                    claim = Some(self.claim(pause));
                }
                Event::Ended(ended) => self.ended(ended),
                Event::Drained => self.shared.speaker.say(Level::Info, drain.borrow().words()),
                Event::Idle => {
                    self.shared.speaker.say(Level::Info, "nothing came for as long as it may be idle");
                    return self.done;
                }
            }
        }
    }

    async fn next(&mut self, claim: &mut Option<Claim>, drain: &mut watch::Receiver<Drain>) -> Event {
        let idle = self.bounds.idle.filter(|_| self.running.is_empty()).map(|idle| self.idle_since + idle);
        tokio::select! {
            Ok(()) = drain.changed() => Event::Drained,
            Some(ended) = self.running.join_next_with_id() => Event::Ended(ended),
            claimed = async {
                match claim {
                    Some(claim) => claim.await,
                    None => std::future::pending().await,
                }
            } => {
                self.shared.status.queue(&claimed);
                Event::Claimed(claimed)
            }
            _ = self.turns.tick() => Event::Turn,
            () = until(idle) => Event::Idle,
        }
    }

    /// A claim; after a pause it does not wait, so that it is known at once whether the queue answers again.
    fn claim(&self, pause: Duration) -> Claim {
        let (queue, claimer) = (Arc::clone(&self.shared.queue), self.claimer.clone());
        Box::pin(async move {
            let wait = if pause.is_zero() { WAIT } else { Duration::ZERO };
            tokio::time::sleep(pause).await;
            queue.claim(claimer, wait).await
        })
    }

    fn start(&mut self, claimed: Claimed) {
        // A claim is only made where a slot is free, and there is one claim at a time.
        let Some(number) = self.free.pop() else { return };
        self.done += 1;
        self.shared.status.claimed(&claimed);
        let (shared, seat) = (Arc::clone(&self.shared), self.seats[number].clone());
        let task = self.running.spawn(async move { slot::run(&shared, &seat, claimed).await });
        self.taken.insert(task.id(), number);
    }

    fn ended(&mut self, ended: Result<(Id, ()), JoinError>) {
        let id = match ended {
            Ok((id, ())) => id,
            Err(error) => {
                self.shared.speaker.say(Level::Error, "a fault of the worker ended a step's supervision");
                error.id()
            }
        };
        self.free.extend(self.taken.remove(&id));
        self.idle_since = Instant::now();
    }

    fn complain(&self, error: &QueueError, pause: Duration) {
        let message = format!("{}; next try in {:.1} s", with_causes(error), pause.as_secs_f64());
        self.shared.speaker.warn("QueueUnreachable", message);
    }
}
