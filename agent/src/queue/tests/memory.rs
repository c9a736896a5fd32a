//! An engine in memory: no tables, no transactions, no indices, so that it can be read. It is the oracle.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::queue::clock::{Clock, Moment};
use crate::queue::{
    Answer, Beat, Claimed, Claimer, Depth, Ending, Entry, Envelope, Filter, Finished, LEASE, Lease, Listed,
    LogChunk, LogFrame, LogPosition, Queue, QueueError, State, StepId, Submitted, frames,
};

type Told<T> = Result<T, QueueError>;

pub(super) struct Memory {
    clock: Clock,
    steps: Mutex<Vec<Step>>,
    submitted: AtomicU64,
}

struct Step {
    number: u64,
    envelope: Envelope,
    entry: Entry,
    until: Duration,
    boot: String,
    requeued_at: Option<jiff::Timestamp>,
    logs: BTreeMap<u64, Vec<u8>>,
}

impl Step {
    fn waited(&self, now: &Moment) -> Duration {
        let since = [self.envelope.not_before, self.requeued_at].into_iter().flatten();
        let since = since.fold(self.entry.submitted_at, jiff::Timestamp::max);
        now.wall.duration_since(since).try_into().unwrap_or_default()
    }
}

impl Memory {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, steps: Mutex::default(), submitted: AtomicU64::default() }
    }

    /// Nothing in here waits.
    fn act<'a, T: Send + 'a>(
        &'a self,
        act: impl FnOnce(&mut Vec<Step>, &Moment) -> Told<T>,
    ) -> Answer<'a, T> {
        let mut steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        settle(&mut steps, &now);
        let answer = act(&mut steps, &now);
        Box::pin(async move { answer })
    }
}

fn settle(steps: &mut [Step], now: &Moment) {
    for at in 0..steps.len() {
        let step = &steps[at];
        if step.entry.state.is_out() && (step.until <= now.boot || step.boot != *now.boot_id) {
            let (running, cancel) = (step.entry.state == State::Running, step.entry.cancel);
            match (running, cancel) {
                (false, true) => end(steps, at, Ending::cancelled(), now),
                (true, false) if step.envelope.retry.on_lost => steps[at].entry.state = State::Queued,
                (false, false) => steps[at].entry.state = State::Queued,
                (true, _) => end(steps, at, Ending::lost(), now),
            }
        }
    }
    for at in 0..steps.len() {
        let step = &steps[at];
        let idle = !step.entry.state.is_out() && step.entry.state != State::Ended;
        if idle && step.envelope.not_after.is_some_and(|time| time <= now.wall) {
            end(steps, at, Ending::expired(), now);
        }
    }
    let mut due: Vec<usize> = (0..steps.len()).collect();
    due.sort_by_key(|at| steps[*at].envelope.not_before);
    for at in due {
        let step = &steps[at];
        let come = step.envelope.not_before.is_none_or(|time| time <= now.wall);
        if step.entry.state == State::Waiting && come {
            admit(steps, at);
        }
    }
}

fn taken(steps: &[Step], key: Option<&String>) -> bool {
    let busy = |step: &Step| step.entry.state == State::Queued || step.entry.state.is_out();
    key.is_some() && steps.iter().any(|step| step.entry.concurrency_key.as_ref() == key && busy(step))
}

fn admit(steps: &mut [Step], at: usize) -> State {
    let taken = taken(steps, steps[at].entry.concurrency_key.as_ref());
    steps[at].entry.state = if taken { State::Held } else { State::Queued };
    steps[at].entry.state
}

fn promote(steps: &mut [Step], key: Option<&String>) {
    if taken(steps, key) {
        return;
    }
    let mut held = steps.iter_mut().filter(|step| step.entry.state == State::Held);
    if let Some(next) = held.find(|step| step.entry.concurrency_key.as_ref() == key) {
        next.entry.state = State::Queued;
    }
}

fn end(steps: &mut [Step], at: usize, ending: Ending, now: &Moment) {
    let entry = &mut steps[at].entry;
    (entry.state, entry.ending, entry.ended_at) = (State::Ended, Some(ending), Some(now.wall));
    let key = entry.concurrency_key.clone();
    promote(steps, key.as_ref());
}

fn find(steps: &[Step], id: &StepId) -> Told<usize> {
    steps.iter().position(|step| step.entry.id == *id).ok_or_else(|| QueueError::Unknown(id.clone()))
}

fn held(steps: &[Step], lease: &Lease) -> Told<usize> {
    let at = find(steps, &lease.id)?;
    let good = steps[at].entry.epoch == lease.epoch && steps[at].entry.state.is_out();
    if good { Ok(at) } else { Err(QueueError::LeaseOver(lease.id.clone())) }
}

fn unfit(step: &Step) -> QueueError {
    QueueError::Unfit { id: step.entry.id.clone(), state: step.entry.state }
}

fn entry(envelope: &Envelope, now: &Moment) -> Entry {
    Entry {
        id: envelope.id.clone(),
        pool: envelope.pool.clone(),
        name: envelope.name.clone(),
        state: State::Waiting,
        needs: envelope.needs.clone(),
        concurrency_key: envelope.concurrency_key.clone(),
        epoch: 0,
        failures: 0,
        worker: None,
        cancel: false,
        submitted_at: now.wall,
        started_at: None,
        ended_at: None,
        ending: None,
    }
}

impl Queue for Memory {
    fn submit(&self, envelope: Envelope) -> Answer<'_, Submitted> {
        self.act(|steps, now| {
            if let Some(known) = steps.iter().find(|step| step.entry.id == envelope.id) {
                let known = &known.envelope;
                let same = known.payload.expose() == envelope.payload.expose() && known.pool == envelope.pool;
                return if same { Ok(Submitted::Already) } else { Err(QueueError::IdTaken(envelope.id)) };
            }
            let (entry, boot) = (entry(&envelope, now), String::new());
            let due = envelope.not_before.is_none_or(|time| time <= now.wall);
            let number = self.submitted.fetch_add(1, Ordering::Relaxed) + 1;
            let (until, logs, requeued_at) = (Duration::ZERO, BTreeMap::new(), None);
            steps.push(Step { number, envelope, entry, until, boot, requeued_at, logs });
            if due {
                let last = steps.len() - 1;
                admit(steps, last);
            }
            Ok(Submitted::New)
        })
    }

    fn claim(&self, claimer: Claimer, _: Duration) -> Answer<'_, Option<Claimed>> {
        self.act(|steps, now| {
            let fits = |step: &&mut Step| {
                let entry = &step.entry;
                entry.state == State::Queued && entry.pool == claimer.pool && claimer.meets(&entry.needs)
            };
            let Some(step) = steps.iter_mut().find(fits) else { return Ok(None) };
            step.entry.state = State::Claimed;
            step.entry.epoch += 1;
            step.entry.worker = Some(claimer.worker);
            (step.entry.cancel, step.entry.ending, step.entry.started_at) = (false, None, None);
            (step.until, step.boot) = (now.boot + LEASE, now.boot_id.to_string());
            let lease = Lease { id: step.entry.id.clone(), epoch: step.entry.epoch };
            let (name, payload) = (step.entry.name.clone(), step.envelope.payload.clone());
            let waited = step.waited(now);
            Ok(Some(Claimed { lease, until: step.until, waited, name, payload }))
        })
    }

    fn heartbeat<'a>(&'a self, lease: &'a Lease) -> Answer<'a, Beat> {
        self.act(|steps, now| {
            let at = held(steps, lease)?;
            steps[at].until = now.boot + LEASE;
            Ok(Beat { until: steps[at].until, cancel: steps[at].entry.cancel })
        })
    }

    fn cancelled<'a>(&'a self, lease: &'a Lease) -> Answer<'a, ()> {
        Box::pin(async move {
            // Nobody waits for long in a test.
            while !self.act(|steps, _| held(steps, lease).map(|at| steps[at].entry.cancel)).await? {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            Ok(())
        })
    }

    fn started<'a>(&'a self, lease: &'a Lease) -> Answer<'a, Beat> {
        self.act(|steps, now| {
            let at = held(steps, lease)?;
            steps[at].until = now.boot + LEASE;
            let (until, entry) = (steps[at].until, &mut steps[at].entry);
            if !entry.cancel {
                entry.state = State::Running;
                entry.started_at = entry.started_at.or(Some(now.wall));
            }
            Ok(Beat { until, cancel: entry.cancel })
        })
    }

    fn release<'a>(&'a self, lease: &'a Lease) -> Answer<'a, ()> {
        self.act(|steps, now| {
            let at = held(steps, lease)?;
            match (steps[at].entry.state, steps[at].entry.cancel) {
                (State::Claimed, false) => steps[at].entry.state = State::Queued,
                (State::Claimed, true) => end(steps, at, Ending::cancelled(), now),
                _ => return Err(unfit(&steps[at])),
            }
            Ok(())
        })
    }

    fn append<'a>(&'a self, lease: &'a Lease, at: u64, frames: Vec<LogFrame>) -> Answer<'a, u64> {
        self.act(|steps, _| {
            let step = held(steps, lease)?;
            let log = steps[step].logs.entry(lease.epoch).or_default();
            let expected = log.len() as u64;
            if at != expected {
                return Err(QueueError::LogAt { expected });
            }
            frames.iter().for_each(|frame| frame.write(log));
            Ok(log.len() as u64)
        })
    }

    fn finish<'a>(&'a self, lease: &'a Lease, ending: Ending) -> Answer<'a, Finished> {
        self.act(|steps, now| {
            let at = find(steps, &lease.id)?;
            let step = &steps[at];
            let idle = step.entry.epoch == lease.epoch && !step.entry.state.is_out();
            if idle && step.entry.ending.as_ref() == Some(&ending) {
                let ended = step.entry.state == State::Ended;
                return Ok(if ended { Finished::Ended } else { Finished::Again });
            }
            let at = held(steps, lease)?;
            let step = &mut steps[at];
            let left = step.entry.failures < step.envelope.retry.on_failure;
            let in_time = step.envelope.not_after.is_none_or(|time| time > now.wall);
            if ending.is_failure() && !step.entry.cancel && left && in_time {
                step.entry.failures += 1;
                (step.entry.state, step.entry.ending) = (State::Queued, Some(ending));
                return Ok(Finished::Again);
            }
            end(steps, at, ending, now);
            Ok(Finished::Ended)
        })
    }

    fn cancel<'a>(&'a self, id: &'a StepId) -> Answer<'a, State> {
        self.act(|steps, now| {
            let at = find(steps, id)?;
            match steps[at].entry.state {
                State::Ended => {}
                state if state.is_out() => steps[at].entry.cancel = true,
                _ => end(steps, at, Ending::cancelled(), now),
            }
            Ok(steps[at].entry.state)
        })
    }

    fn requeue<'a>(&'a self, id: &'a StepId) -> Answer<'a, State> {
        self.act(|steps, now| {
            let at = find(steps, id)?;
            let step = &mut steps[at];
            if step.entry.state != State::Ended {
                return Err(unfit(step));
            }
            step.envelope.not_after = None;
            step.requeued_at = Some(now.wall);
            let entry = &mut step.entry;
            (entry.failures, entry.cancel, entry.ending, entry.ended_at) = (0, false, None, None);
            Ok(admit(steps, at))
        })
    }

    fn delete<'a>(&'a self, id: &'a StepId) -> Answer<'a, ()> {
        self.act(|steps, _| {
            let at = find(steps, id)?;
            if steps[at].entry.state.is_out() {
                return Err(unfit(&steps[at]));
            }
            let key = steps.remove(at).entry.concurrency_key;
            promote(steps, key.as_ref());
            Ok(())
        })
    }

    fn prune(&self, age: Duration) -> Answer<'_, u64> {
        self.act(|steps, now| {
            let before = steps.len();
            let old = |step: &Step| step.entry.ended_at.is_some_and(|ended| ended <= now.wall - age);
            steps.retain(|step| !(step.entry.state == State::Ended && old(step)));
            Ok((before - steps.len()) as u64)
        })
    }

    fn list(&self, filter: Filter) -> Answer<'_, Vec<Listed>> {
        self.act(|steps, _| {
            let pool = |entry: &Entry| filter.pool.as_ref().is_none_or(|pool| *pool == entry.pool);
            let state = |entry: &Entry| filter.state.is_none_or(|state| state == entry.state);
            let wanted = |step: &&Step| step.number > filter.after && pool(&step.entry) && state(&step.entry);
            let listed = |step: &Step| Listed { number: step.number, entry: Some(step.entry.clone()) };
            let most = filter.most.unwrap_or(usize::MAX);
            Ok(steps.iter().filter(wanted).take(most).map(listed).collect())
        })
    }

    fn show<'a>(&'a self, id: &'a StepId) -> Answer<'a, Entry> {
        self.act(|steps, _| find(steps, id).map(|at| steps[at].entry.clone()))
    }

    fn depth<'a>(&'a self, pool: &'a str) -> Answer<'a, Depth> {
        self.act(|steps, now| {
            let ours = || steps.iter().filter(|step| step.entry.pool == pool);
            let count = |state| (state, ours().filter(|step| step.entry.state == state).count() as u64);
            let queued = ours().filter(|step| step.entry.state == State::Queued);
            let oldest = queued.map(|step| step.waited(now)).max();
            Ok(Depth { steps: Depth::STATES.into_iter().map(count).collect(), oldest })
        })
    }

    fn probe(&self) -> Answer<'_, ()> {
        self.act(|_, _| Ok(()))
    }

    fn log<'a>(&'a self, id: &'a StepId, from: LogPosition, _: usize) -> Answer<'a, LogChunk> {
        self.act(|steps, _| {
            let step = &steps[find(steps, id)?];
            let mut at = LogPosition { epoch: from.epoch.max(1), ..from };
            loop {
                let log = step.logs.get(&at.epoch).map_or(&[][..], |log| &log[at.offset as usize..]);
                let (found, size) = frames(log);
                at.offset += size as u64;
                let last = at.epoch >= step.entry.epoch;
                if size > 0 || last {
                    let end = size == 0 && last && step.entry.state == State::Ended;
                    return Ok(LogChunk { frames: found, next: at, end });
                }
                at = LogPosition { epoch: at.epoch + 1, offset: 0 };
            }
        })
    }
    fn tail<'a>(
        &'a self,
        id: &'a StepId,
        from: LogPosition,
        most: usize,
        wait: Duration,
    ) -> Answer<'a, LogChunk> {
        Box::pin(async move {
            let end = Instant::now() + wait;
            loop {
                let chunk = self.log(id, from, most).await?;
                if chunk.end || !chunk.frames.is_empty() || Instant::now() >= end {
                    return Ok(chunk);
                }
                sleep(Duration::from_millis(1)).await;
            }
        })
    }

    fn ended<'a>(&'a self, id: &'a StepId, wait: Duration) -> Answer<'a, Option<Entry>> {
        Box::pin(async move {
            let end = Instant::now() + wait;
            loop {
                let entry = self.show(id).await?;
                if entry.state == State::Ended || Instant::now() >= end {
                    return Ok(Some(entry).filter(|entry| entry.state == State::Ended));
                }
                sleep(Duration::from_millis(1)).await;
            }
        })
    }
}
