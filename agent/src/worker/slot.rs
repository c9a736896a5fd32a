//! One step in one slot, from its claim to its ending.
//!
//! Promise: nothing of a step is started before the queue has confirmed that it begins; what its process says of its end
//! is told to the queue only while the lease is this one's; and when this function returns, nothing of the step runs.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::backoff::Backoff;
use super::child::{Child, Said};
use super::drain::Drain;
use super::frames::{Cancel, Down};
use super::lease::{self, News};
use super::seat::Seat;
use super::speak::About;
use super::upload::{self, Incomplete, Upload};
use super::{Shared, until};
use crate::log::Level;
use crate::outcome::Reason;
use crate::queue::{Claimed, Ending, Lease, MARGIN, QueueError};
use crate::secret::Secret;
use crate::supervise::aftermath;

/// How long a step's process may take to end its tree when there is no grace. Then it is killed, and its supervisor
/// does it.
const KILL_PATIENCE: Duration = Duration::from_secs(10);

/// How long the supervisor of a process that died may take.
const AFTERMATH_PATIENCE: Duration = Duration::from_secs(10);

/// A step that has begun.
struct Step<'a> {
    shared: &'a Shared,
    lease: Lease,
    about: About,
    until: watch::Sender<Duration>,
    /// What renews the lease, and listens for a cancellation, as long as this lives.
    tasks: JoinSet<()>,
    /// What the process was told to end for.
    told: Vec<Cancel>,
    begun: Instant,
}

/// Runs a step that was claimed.
pub(super) async fn run(shared: &Shared, seat: &Seat, claimed: Claimed) {
    let Claimed { lease, until, name, payload, .. } = claimed;
    let about = About::new(&lease, &name);
    if *shared.drain.borrow() >= Drain::Finish {
        return release(shared, &lease, &about, "given back, since this worker ends").await;
    }
    let Some(until) = begin(shared, &lease, &about, until).await else { return };
    shared.speaker.step(Level::Info, &about, "started");
    let _running = shared.status.started();
    let (until, tasks, told) = (watch::channel(until).0, JoinSet::new(), Vec::new());
    let mut step = Step { shared, lease, about, until, tasks, told, begun: Instant::now() };
    match step.serve(seat, payload).await {
        Some(ending) => step.finish(ending).await,
        None => shared.speaker.step(
            Level::Warning,
            &step.about,
            "ended; its lease was over, so nothing is told of it",
        ),
    }
}

/// Has the queue record that the step begins; gives the lease's end. `None`: it must not begin.
async fn begin(shared: &Shared, lease: &Lease, about: &About, until: Duration) -> Option<Duration> {
    let mut backoff = Backoff::default();
    loop {
        let answer = shared.queue.started(lease).await;
        shared.status.queue(&answer);
        match answer {
            Ok(beat) if beat.cancel => {
                release(shared, lease, about, "cancelled before it began").await;
                return None;
            }
            Ok(beat) => return Some(beat.until),
            Err(error) => {
                let may_pass = matches!(error, QueueError::Engine { .. });
                if may_pass && backoff.pause(until.saturating_sub(MARGIN)).await {
                    continue;
                }
                // Nothing was started. Should the record have been made all the same, the step is `Lost`.
                shared.speaker.step(
                    Level::Error,
                    about,
                    &format!("not begun: {}", crate::causes::with_causes(&error)),
                );
                return None;
            }
        }
    }
}

async fn release(shared: &Shared, lease: &Lease, about: &About, why: &str) {
    match shared.queue.release(lease).await {
        Ok(()) => shared.speaker.step(Level::Info, about, why),
        // It goes back when its lease is over.
        Err(error) => shared.speaker.step(Level::Warning, about, &format!("{why}; but: {error}")),
    }
}

impl Step<'_> {
    /// Runs the process to its end. `None`: the lease was over before.
    async fn serve(&mut self, seat: &Seat, payload: Secret) -> Option<Ending> {
        let job = match seat.job(&self.shared.template.borrow()) {
            Ok(job) => job,
            Err(error) => return Some(failed(format!("the step's surroundings cannot be made: {error}"))),
        };
        let (frames, log) = upload::channel();
        let (sender, said) = mpsc::unbounded_channel();
        let blank = self.shared.standby.take(seat.user());
        let child = match blank.and_then(|blank| Child::begin(blank, frames, sender)) {
            Ok(child) => child,
            Err(error) => return Some(failed(format!("the step's process cannot be started: {error}"))),
        };
        for frame in
            [Down::Job(job), Down::Payload(payload), Down::Lease(self.until.borrow().saturating_sub(MARGIN))]
        {
            child.send(frame);
        }
        let (queue, lease) = (Arc::clone(&self.shared.queue), self.lease.clone());
        let upload =
            Upload { queue, lease, until: self.until.subscribe(), status: self.shared.status.clone() };
        let upload = tokio::spawn(upload.run(log));
        let (news, heard) = mpsc::unbounded_channel();
        self.watch(&child, news);
        let pid = child.pid();
        let (result, is_ours) = self.hear(child, seat, said, heard).await;
        if result.is_err() {
            self.settle(seat, pid).await;
        }
        let complete = upload.await;
        if !is_ours || matches!(complete, Ok(Err(Incomplete::Stale))) {
            return None;
        }
        if let Ok(Err(Incomplete::Engine(error))) = complete {
            self.shared.speaker.step(
                Level::Warning,
                &self.about,
                &format!("its log is not complete: {error}"),
            );
        }
        Some(result.unwrap_or_else(failed))
    }

    /// Starts what renews the lease and what listens for a cancellation.
    fn watch(&mut self, child: &Child, news: mpsc::UnboundedSender<News>) {
        let (queue, lease) = (Arc::clone(&self.shared.queue), self.lease.clone());
        self.tasks.spawn(lease::listen(Arc::clone(&queue), lease.clone(), news.clone()));
        let status = self.shared.status.clone();
        let keeper =
            lease::Keeper { queue, lease, until: self.until.clone(), status, orders: child.orders(), news };
        self.tasks.spawn(keeper.run());
    }

    /// Hears the process until its end; gives the ending or what is wrong with it, and whether the lease is still ours.
    async fn hear(
        &mut self,
        mut child: Child,
        seat: &Seat,
        mut said: mpsc::UnboundedReceiver<Said>,
        mut heard: mpsc::UnboundedReceiver<News>,
    ) -> (Result<Ending, String>, bool) {
        let mut drain = self.shared.drain.clone();
        self.drain(*drain.borrow_and_update(), &child);
        let (mut result, mut is_ours, mut kill_at) = (None, true, None);
        let fault = loop {
            tokio::select! {
                word = said.recv() => match word {
                    Some(Said::Phase(name)) => tracing::debug!("{}: {name}", self.about.id),
                    Some(Said::Result(ending)) => {
                        result = Some(*ending);
                        self.shared.standby.prepare(seat.user());
                    }
                    Some(Said::Gone(fault)) => break fault,
                    None => break None,
                },
                Some(news) = heard.recv() => match news {
                    News::Cancelled => self.order(Cancel::Queue, &child),
                    News::Missed(times) => self.missed(times),
                    News::Over => {
                        is_ours = false;
                        self.shared.status.lease_lost();
                        self.order(Cancel::LeaseOver, &child);
                    }
                },
                Ok(()) = drain.changed() => self.drain(*drain.borrow_and_update(), &child),
                () = until(kill_at) => {
                    child.kill();
                    kill_at = None;
                }
            }
            if kill_at.is_none() && self.told.iter().any(|cancel| cancel.is_at_once()) {
                kill_at = Some(Instant::now() + KILL_PATIENCE);
            }
        };
        if fault.is_some() {
            child.kill();
        }
        let status = child.end().await;
        (judged(result, fault, status), is_ours)
    }

    fn missed(&self, times: u32) {
        self.shared.status.heartbeat_missed();
        let message = format!("its lease could not be renewed, {times} times in a row");
        self.shared.speaker.step(Level::Warning, &self.about, &message);
    }

    /// Tells the process what the end of the worker means for it.
    fn drain(&mut self, drain: Drain, child: &Child) {
        match drain {
            Drain::Open | Drain::Finish => {}
            Drain::Cancel => self.order(Cancel::Drain, child),
            Drain::Kill => self.order(Cancel::DrainAtOnce, child),
        }
    }

    /// Tells the process to end, once for each reason.
    fn order(&mut self, cancel: Cancel, child: &Child) {
        if !self.told.contains(&cancel) {
            self.told.push(cancel);
            child.send(Down::Cancel(cancel));
        }
    }

    /// Waits until the tree of a process that died is gone, too.
    async fn settle(&self, seat: &Seat, pid: i32) {
        let (roots, user) = (seat.roots(&self.shared.template.borrow()), seat.user().map(|user| user.uid));
        let wait = move || match user {
            Some(uid) => aftermath::follow_user(uid, AFTERMATH_PATIENCE),
            None => aftermath::follow(&roots, pid, AFTERMATH_PATIENCE),
        };
        // A panic in there leaves what the next sweep finds.
        drop(tokio::task::spawn_blocking(wait).await);
    }

    /// Tells the queue how it ended.
    async fn finish(&self, ending: Ending) {
        let mut backoff = Backoff::default();
        let error = loop {
            let answer = self.shared.queue.finish(&self.lease, ending.clone()).await;
            self.shared.status.queue(&answer);
            match answer {
                Ok(finished) => {
                    self.shared.status.ended(&ending);
                    return self.shared.speaker.ended(&self.about, &ending, finished, self.begun.elapsed());
                }
                Err(error @ QueueError::Engine { .. }) => {
                    let until = *self.until.borrow();
                    if !backoff.pause(until).await {
                        break error;
                    }
                }
                Err(error) => break error,
            }
        };
        let message = format!("ended, but that could not be told: {}", crate::causes::with_causes(&error));
        self.shared.speaker.step(Level::Error, &self.about, &message);
    }
}

/// The ending that is told, or why the process is not believed.
fn judged(
    result: Option<Ending>,
    fault: Option<std::io::Error>,
    status: std::io::Result<std::process::ExitStatus>,
) -> Result<Ending, String> {
    use std::os::unix::process::ExitStatusExt;
    match (result, fault) {
        (Some(Ending { reason: Reason::Lost | Reason::Rejected | Reason::Expired, .. }), None) => {
            Err("the step's process told an ending that only a queue can tell".into())
        }
        (Some(ending), None) => Ok(ending),
        (_, Some(fault)) => Err(format!("the step's process said what none says: {fault}")),
        (None, None) => {
            let how = status.ok().and_then(|status| {
                let signal = status.signal().map(|signal| format!("by signal {signal}"));
                signal.or_else(|| status.code().map(|code| format!("with code {code}")))
            });
            let how = how.unwrap_or_else(|| "in an unknown way".into());
            Err(format!("the step's process ended {how} and told no result; what it had started was ended"))
        }
    }
}

fn failed(message: String) -> Ending {
    Ending { reason: Reason::AgentFailed, exit_code: 70, message, result: None }
}
