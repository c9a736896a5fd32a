//! What the trait promises, asked of any engine. Each part begins with an empty queue and clocks of its own.

mod depth;
mod logs;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{Hands, claimer, ending, envelope, frame, id, keyed};
use crate::outcome::Reason;
use crate::queue::{
    Claimed, Claimer, Ending, Envelope, Filter, Finished, LEASE, Lease, Listed, Needs, Queue, QueueError,
    Retry, State, Submitted,
};

pub(super) const PARTS: usize = 14;

/// Asks everything.
pub(super) async fn check(mut make: impl FnMut(&Hands) -> Box<dyn Queue>) {
    let mut new = || {
        let hands = Hands::new();
        (make(&hands), hands)
    };
    submitting(&*new().0).await;
    order_and_selection(&*new().0).await;
    keys(&*new().0).await;
    let (queue, hands) = new();
    times(&*queue, &hands).await;
    let (queue, hands) = new();
    leases(&*queue, &hands).await;
    let (queue, hands) = new();
    lost(&*queue, &hands).await;
    let (queue, hands) = new();
    clocks_that_step(&*queue, &hands).await;
    let (queue, hands) = new();
    cancelling(&*queue, &hands).await;
    endings(&*new().0).await;
    failures(&*new().0).await;
    let (queue, hands) = new();
    removal(&*queue, &hands).await;
    let (queue, hands) = new();
    logs::logs(&*queue, &hands).await;
    let (queue, hands) = new();
    logs::waits(&*queue, &hands).await;
    let (queue, hands) = new();
    depth::check(&*queue, &hands).await;
}

async fn submit(queue: &dyn Queue, envelope: Envelope) {
    assert_eq!(queue.submit(envelope).await.expect("submitted"), Submitted::New);
}

async fn try_claim(queue: &dyn Queue, claimer: Claimer) -> Option<Claimed> {
    queue.claim(claimer, Duration::ZERO).await.expect("asked")
}

async fn claim(queue: &dyn Queue, worker: &str) -> Lease {
    try_claim(queue, claimer(worker)).await.expect("a step").lease
}

async fn begin(queue: &dyn Queue, worker: &str) -> Lease {
    let lease = claim(queue, worker).await;
    assert!(!queue.started(&lease).await.expect("started").cancel);
    lease
}

async fn state(queue: &dyn Queue, name: &str) -> State {
    queue.show(&id(name)).await.expect("known").state
}

async fn reason(queue: &dyn Queue, name: &str) -> Option<Reason> {
    queue.show(&id(name)).await.expect("known").ending.map(|ending| ending.reason)
}

fn is_over<T>(answer: &Result<T, QueueError>) -> bool {
    matches!(answer, Err(QueueError::LeaseOver(_)))
}

fn done() -> Ending {
    ending(Reason::Completed, 0)
}

async fn submitting(queue: &dyn Queue) {
    submit(queue, envelope("a")).await;
    assert_eq!(queue.submit(envelope("a")).await.expect("the same"), Submitted::Already);
    let other = Envelope { payload: crate::secret::Secret::new("another".into()), ..envelope("a") };
    assert!(matches!(queue.submit(other).await, Err(QueueError::IdTaken(_))));
    let entry = queue.show(&id("a")).await.expect("known");
    assert_eq!((entry.state, entry.epoch, entry.ending), (State::Queued, 0, None));
    let claimed = try_claim(queue, claimer("w")).await.expect("a step");
    assert_eq!((claimed.payload.expose(), claimed.name.as_str()), ("payload of a", "deploy"));
    queue.finish(&claimed.lease, done()).await.expect("ended");
    assert_eq!(queue.submit(envelope("a")).await.expect("it was here"), Submitted::Already);
    assert!(try_claim(queue, claimer("w")).await.is_none(), "what has ended does not run again");
    assert!(matches!(queue.show(&id("b")).await, Err(QueueError::Unknown(_))));
    assert!(matches!(queue.cancel(&id("b")).await, Err(QueueError::Unknown(_))));
}

fn names(listed: &[Listed]) -> Vec<&str> {
    listed.iter().filter_map(|listed| Some(listed.entry.as_ref()?.id.as_str())).collect()
}

async fn order_and_selection(queue: &dyn Queue) {
    let helm = Needs { capabilities: BTreeSet::from(["helm".to_owned()]), labels: BTreeMap::new() };
    let east = BTreeMap::from([("region".to_owned(), "east".to_owned())]);
    let east = Needs { labels: east, ..Needs::default() };
    submit(queue, Envelope { needs: helm.clone(), ..envelope("helm") }).await;
    submit(queue, Envelope { needs: east.clone(), ..envelope("east") }).await;
    submit(queue, Envelope { pool: "other".into(), ..envelope("elsewhere") }).await;
    submit(queue, envelope("first")).await;
    submit(queue, envelope("second")).await;
    assert_eq!(claim(queue, "plain").await.id, id("first"));
    let capable = Claimer { capabilities: helm.capabilities, ..claimer("capable") };
    assert_eq!(try_claim(queue, capable.clone()).await.expect("a step").lease.id, id("helm"));
    assert_eq!(try_claim(queue, capable.clone()).await.expect("a step").lease.id, id("second"));
    assert!(try_claim(queue, capable).await.is_none());
    let west = BTreeMap::from([("region".to_owned(), "west".to_owned())]);
    assert!(try_claim(queue, Claimer { labels: west, ..claimer("west") }).await.is_none());
    let east = Claimer { labels: east.labels, ..claimer("east") };
    assert_eq!(try_claim(queue, east).await.expect("a step").lease.id, id("east"));
    let all = queue.list(Filter::default()).await.expect("a list");
    assert_eq!(names(&all), ["helm", "east", "elsewhere", "first", "second"]);
    let page = Filter { after: all[1].number, most: Some(2), ..Filter::default() };
    assert_eq!(names(&queue.list(page).await.expect("a list")), ["elsewhere", "first"]);
    let queued = Filter { state: Some(State::Queued), ..Filter::default() };
    assert_eq!(queue.list(queued).await.expect("a list").len(), 1);
    let pool = Filter { pool: Some("p".into()), ..Filter::default() };
    assert_eq!(queue.list(pool).await.expect("a list").len(), 4);
}

async fn keys(queue: &dyn Queue) {
    for name in ["a1", "a2", "a3"] {
        submit(queue, keyed(name, "a")).await;
    }
    submit(queue, keyed("b1", "b")).await;
    assert_eq!((state(queue, "a1").await, state(queue, "a2").await), (State::Queued, State::Held));
    let first = begin(queue, "w").await;
    assert_eq!(first.id, id("a1"));
    assert_eq!(claim(queue, "w").await.id, id("b1"), "another key is free");
    assert!(try_claim(queue, claimer("w")).await.is_none());
    queue.finish(&first, done()).await.expect("ended");
    let second = claim(queue, "w").await;
    assert_eq!(second.id, id("a2"));
    queue.release(&second).await.expect("given back");
    assert_eq!(state(queue, "a3").await, State::Held, "who gives a step back keeps its place");
    queue.cancel(&id("a2")).await.expect("cancelled");
    assert_eq!(claim(queue, "w").await.id, id("a3"));
    assert_eq!(queue.requeue(&id("a1")).await.expect("again"), State::Held);
}

async fn times(queue: &dyn Queue, hands: &Hands) {
    let now = hands.read().wall;
    let minute = Duration::from_secs(60);
    submit(queue, Envelope { not_before: Some(now + minute), ..keyed("later", "k") }).await;
    submit(queue, Envelope { not_after: Some(now + minute), ..keyed("soon", "k") }).await;
    submit(queue, Envelope { not_after: Some(now + minute), ..envelope("late") }).await;
    assert_eq!((state(queue, "later").await, state(queue, "soon").await), (State::Waiting, State::Queued));
    let soon = claim(queue, "w").await;
    assert_eq!(soon.id, id("soon"));
    hands.pass(60);
    queue.heartbeat(&soon).await.expect_err("its lease is over");
    assert_eq!(reason(queue, "late").await, Some(Reason::Expired), "who was not taken in time is told so");
    assert_eq!(reason(queue, "soon").await, Some(Reason::Expired), "it went back too late");
    hands.pass(5);
    let later = try_claim(queue, claimer("w")).await.expect("a step");
    assert_eq!((later.lease.id, later.waited), (id("later"), Duration::from_secs(5)), "from its time on");
}

async fn leases(queue: &dyn Queue, hands: &Hands) {
    submit(queue, envelope("a")).await;
    hands.pass(7);
    let claimed = try_claim(queue, claimer("one")).await.expect("a step");
    assert_eq!((claimed.until, claimed.waited), (hands.read().boot + LEASE, Duration::from_secs(7)));
    hands.pass(59);
    let beat = queue.heartbeat(&claimed.lease).await.expect("renewed");
    assert_eq!(beat.until, hands.read().boot + LEASE);
    hands.pass(59);
    assert!(try_claim(queue, claimer("two")).await.is_none());
    hands.pass(1);
    for answer in [queue.heartbeat(&claimed.lease).await, queue.started(&claimed.lease).await] {
        assert!(is_over(&answer), "what is over stays over, though nobody else has it");
    }
    assert!(is_over(&queue.finish(&claimed.lease, done()).await));
    assert!(is_over(&queue.release(&claimed.lease).await));
    let again = claim(queue, "two").await;
    assert!(again.epoch > claimed.lease.epoch, "not started: it went back");
    assert!(is_over(&queue.started(&claimed.lease).await), "the stale holder is not the new one");
    queue.started(&again).await.expect("started");
    let renewed = queue.started(&again).await.expect("may be repeated");
    assert_eq!(renewed.until, hands.read().boot + LEASE);
    assert!(matches!(queue.release(&again).await, Err(QueueError::Unfit { state: State::Running, .. })));
    assert_eq!(queue.show(&id("a")).await.expect("known").worker.as_deref(), Some("two"));
}

async fn lost(queue: &dyn Queue, hands: &Hands) {
    submit(queue, keyed("a", "k")).await;
    let again = Retry { on_lost: true, on_failure: 0 };
    submit(queue, Envelope { retry: again, ..envelope("b") }).await;
    submit(queue, keyed("c", "k")).await;
    let (a, b) = (begin(queue, "w").await, begin(queue, "w").await);
    hands.pass(60);
    assert_eq!(reason(queue, "a").await, Some(Reason::Lost));
    assert!(is_over(&queue.finish(&a, done()).await), "a late result is refused");
    assert_eq!(reason(queue, "a").await, Some(Reason::Lost));
    assert_eq!(state(queue, "b").await, State::Queued, "it may be lost");
    assert!(is_over(&queue.finish(&b, done()).await));
    assert_eq!(claim(queue, "w").await.id, id("b"));
    let c = claim(queue, "w").await;
    assert_eq!(c.id, id("c"), "a lost step frees its key");
    hands.turn(|now| {
        now.boot_id = "boot-2".into();
        now.boot = Duration::from_secs(1);
    });
    assert!(is_over(&queue.started(&c).await), "no lease outlives the boot");
    assert_eq!(state(queue, "c").await, State::Queued);
}

async fn clocks_that_step(queue: &dyn Queue, hands: &Hands) {
    submit(queue, envelope("a")).await;
    let lease = begin(queue, "w").await;
    let day = Duration::from_secs(24 * 3600);
    hands.turn(|now| now.wall += day);
    queue.heartbeat(&lease).await.expect("a wall clock that leaps ends no lease");
    hands.turn(|now| now.wall -= 2 * day);
    queue.heartbeat(&lease).await.expect("nor one that goes back");
    hands.turn(|now| now.boot += LEASE);
    assert!(is_over(&queue.heartbeat(&lease).await), "nor does it prolong one");
}

async fn cancelling(queue: &dyn Queue, hands: &Hands) {
    for name in ["queued", "claimed", "running", "back", "gone"] {
        submit(queue, envelope(name)).await;
    }
    assert_eq!(queue.cancel(&id("queued")).await.expect("cancelled"), State::Ended);
    assert_eq!(queue.cancel(&id("queued")).await.expect("may be repeated"), State::Ended);
    let claimed = claim(queue, "w").await;
    let running = begin(queue, "w").await;
    let back = claim(queue, "w").await;
    let gone = claim(queue, "w").await;
    for lease in [&claimed, &back, &gone] {
        assert_eq!(queue.cancel(&lease.id).await.expect("asked"), State::Claimed);
    }
    let within = |wait| tokio::time::timeout(Duration::from_millis(wait), queue.cancelled(&running));
    assert!(within(20).await.is_err(), "nobody has cancelled it");
    let (heard, asked) = tokio::join!(within(5000), queue.cancel(&running.id));
    assert_eq!(asked.expect("asked"), State::Running);
    heard.expect("in time").expect("answered");
    assert!(queue.started(&claimed).await.expect("answered").cancel, "it must not begin");
    assert_eq!(state(queue, "claimed").await, State::Claimed);
    assert!(queue.heartbeat(&running).await.expect("answered").cancel);
    queue.release(&back).await.expect("given back");
    assert_eq!(reason(queue, "back").await, Some(Reason::Cancelled));
    let cancelled = ending(Reason::Cancelled, 143);
    for lease in [&claimed, &running] {
        assert_eq!(queue.finish(lease, cancelled.clone()).await.expect("ended"), Finished::Ended);
    }
    assert!(is_over(&queue.cancelled(&running).await));
    hands.pass(60);
    assert_eq!(reason(queue, "gone").await, Some(Reason::Cancelled), "nobody gets it again");
}

async fn endings(queue: &dyn Queue) {
    submit(queue, envelope("a")).await;
    let lease = begin(queue, "w").await;
    let told = ending(Reason::ScriptFailed, 3);
    assert_eq!(queue.finish(&lease, told.clone()).await.expect("ended"), Finished::Ended);
    assert_eq!(queue.finish(&lease, told.clone()).await.expect("may be repeated"), Finished::Ended);
    assert!(is_over(&queue.finish(&lease, done()).await), "but nothing else may be told");
    assert!(is_over(&queue.heartbeat(&lease).await));
    let entry = queue.show(&id("a")).await.expect("known");
    assert_eq!((entry.state, entry.ending), (State::Ended, Some(told)));
    assert_eq!(queue.requeue(&id("a")).await.expect("again"), State::Queued);
    let unfit = queue.requeue(&id("a")).await;
    assert!(matches!(unfit, Err(QueueError::Unfit { state: State::Queued, .. })));
    assert!(is_over(&queue.finish(&lease, done()).await));
    assert!(claim(queue, "w").await.epoch > lease.epoch);
}

async fn failures(queue: &dyn Queue) {
    let retry = Retry { on_lost: false, on_failure: 1 };
    submit(queue, Envelope { retry, ..envelope("a") }).await;
    let failed = ending(Reason::ScriptFailed, 1);
    let first = begin(queue, "w").await;
    assert_eq!(queue.finish(&first, failed.clone()).await.expect("told"), Finished::Again);
    assert_eq!(queue.finish(&first, failed.clone()).await.expect("may be repeated"), Finished::Again);
    let second = begin(queue, "w").await;
    assert!(is_over(&queue.finish(&first, failed.clone()).await));
    assert_eq!(queue.finish(&second, failed.clone()).await.expect("told"), Finished::Ended, "once only");
    assert_eq!(queue.show(&id("a")).await.expect("known").failures, 1);
    submit(queue, Envelope { retry, ..envelope("b") }).await;
    let refused = begin(queue, "w").await;
    let told = queue.finish(&refused, ending(Reason::Refused, 65)).await;
    assert_eq!(told.expect("told"), Finished::Ended, "a wrong payload stays wrong");
    submit(queue, Envelope { retry, ..envelope("c") }).await;
    let cancelled = begin(queue, "w").await;
    queue.cancel(&id("c")).await.expect("asked");
    assert_eq!(queue.finish(&cancelled, failed).await.expect("told"), Finished::Ended, "nobody wants it");
}

async fn removal(queue: &dyn Queue, hands: &Hands) {
    for name in ["old", "new", "out"] {
        submit(queue, envelope(name)).await;
    }
    let old = begin(queue, "w").await;
    queue.append(&old, 0, vec![frame("x")]).await.expect("written");
    queue.finish(&old, done()).await.expect("ended");
    hands.pass(50);
    let new = begin(queue, "w").await;
    queue.finish(&new, done()).await.expect("ended");
    let out = claim(queue, "w").await;
    assert!(matches!(queue.delete(&out.id).await, Err(QueueError::Unfit { .. })), "somebody has it");
    assert_eq!(queue.prune(Duration::from_secs(50)).await.expect("pruned"), 1);
    assert!(matches!(queue.show(&old.id).await, Err(QueueError::Unknown(_))));
    queue.delete(&new.id).await.expect("removed");
    assert!(matches!(queue.delete(&new.id).await, Err(QueueError::Unknown(_))));
    assert_eq!(queue.list(Filter::default()).await.expect("a list").len(), 1);
    submit(queue, keyed("k1", "k")).await;
    submit(queue, keyed("k2", "k")).await;
    queue.delete(&id("k1")).await.expect("removed");
    assert_eq!(state(queue, "k2").await, State::Queued, "a step that is removed frees its key");
    assert!(
        is_over(&queue.finish(&old, done()).await)
            || matches!(queue.finish(&old, done()).await, Err(QueueError::Unknown(_)))
    );
}
