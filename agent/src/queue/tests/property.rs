//! Whatever is done in whatever order, at whatever time: the embedded engine does as the one in memory, and of a key one
//! step is out at most.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::{Just, ProptestConfig, Strategy, prop_oneof, proptest};

use super::memory::Memory;
use super::{Hands, claimer, ending, envelope, id, runtime, sqlite};
use crate::outcome::Reason;
use crate::queue::{Envelope, Filter, Lease, Queue, Retry, State};

/// Something that is done; a number names a step, or a lease that was given.
#[derive(Clone, Debug)]
enum Act {
    Submit { step: u8, key: u8, retry: Retry, before: Option<u8>, after: Option<u8> },
    Claim,
    Heartbeat(u8),
    Started(u8),
    Release(u8),
    Finish(u8, Reason),
    Cancel(u8),
    Requeue(u8),
    Delete(u8),
    Prune(u8),
    Pass(u8),
    WallSteps(i8),
    Boot,
}

fn act() -> impl Strategy<Value = Act> {
    let reason = prop_oneof![Just(Reason::Completed), Just(Reason::ScriptFailed), Just(Reason::Cancelled)];
    let seconds = || proptest::option::weighted(0.2, 0_u8..120);
    let submit = (0_u8..12, 0_u8..4, proptest::bool::ANY, 0_u8..3, seconds(), seconds());
    prop_oneof![
        6 => submit.prop_map(|(step, key, on_lost, on_failure, before, after)| {
            Act::Submit { step, key, retry: Retry { on_lost, on_failure }, before, after }
        }),
        6 => Just(Act::Claim),
        2 => (0_u8..16).prop_map(Act::Heartbeat),
        4 => (0_u8..16).prop_map(Act::Started),
        1 => (0_u8..16).prop_map(Act::Release),
        4 => (0_u8..16, reason).prop_map(|(lease, reason)| Act::Finish(lease, reason)),
        1 => (0_u8..12).prop_map(Act::Cancel),
        1 => (0_u8..12).prop_map(Act::Requeue),
        1 => (0_u8..12).prop_map(Act::Delete),
        1 => (0_u8..120).prop_map(Act::Prune),
        3 => (0_u8..70).prop_map(Act::Pass),
        1 => (-100_i8..100).prop_map(Act::WallSteps),
        1 => Just(Act::Boot),
    ]
}

/// Does it, and tells what came of it; a lease that was given is kept.
async fn done(queue: &dyn Queue, act: &Act, hands: &Hands, leases: &mut Vec<Lease>) -> String {
    let none = Lease { id: id("none"), epoch: 1 };
    let step = |number: &u8| id(&format!("s{number}"));
    let lease = |number: &u8| leases.iter().rev().nth(usize::from(*number)).unwrap_or(&none);
    let at = |seconds: Option<u8>| seconds.map(|s| hands.read().wall + Duration::from_secs(s.into()));
    match act {
        Act::Submit { step, key, retry, before, after } => {
            let concurrency_key = (*key > 0).then(|| format!("k{key}"));
            let (not_before, not_after, retry) = (at(*before), at(*after), *retry);
            let plain = envelope(&format!("s{step}"));
            let envelope = Envelope { concurrency_key, not_before, not_after, retry, ..plain };
            format!("{:?}", queue.submit(envelope).await)
        }
        Act::Claim => {
            let claimed = queue.claim(claimer("w"), Duration::ZERO).await.expect("asked");
            let told = format!("{claimed:?}");
            leases.extend(claimed.map(|claimed| claimed.lease));
            told
        }
        Act::Heartbeat(number) => format!("{:?}", queue.heartbeat(lease(number)).await),
        Act::Started(number) => format!("{:?}", queue.started(lease(number)).await),
        Act::Release(number) => format!("{:?}", queue.release(lease(number)).await),
        Act::Finish(number, reason) => {
            format!("{:?}", queue.finish(lease(number), ending(*reason, 1)).await)
        }
        Act::Cancel(number) => format!("{:?}", queue.cancel(&step(number)).await),
        Act::Requeue(number) => format!("{:?}", queue.requeue(&step(number)).await),
        Act::Delete(number) => format!("{:?}", queue.delete(&step(number)).await),
        Act::Prune(age) => format!("{:?}", queue.prune(Duration::from_secs((*age).into())).await),
        Act::Pass(_) | Act::WallSteps(_) | Act::Boot => String::new(),
    }
}

fn time_passes(act: &Act, hands: &Hands) {
    match act {
        Act::Pass(seconds) => hands.pass((*seconds).into()),
        Act::WallSteps(seconds) => {
            hands.turn(|now| now.wall += jiff::SignedDuration::from_secs((*seconds).into()))
        }
        Act::Boot => hands.turn(|now| {
            now.boot_id = format!("{}+", now.boot_id).into();
            now.boot = Duration::from_secs(1);
        }),
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_embedded_engine_does_as_the_oracle(acts in proptest::collection::vec(act(), 1..60)) {
        let folder = tempfile::tempdir().expect("a folder");
        let hands = Hands::new();
        let (oracle, engine) = (Memory::new(hands.clock()), sqlite(folder.path(), &hands));
        let (mut known, mut given) = (Vec::new(), Vec::new());
        runtime().block_on(async {
            for act in &acts {
                time_passes(act, &hands);
                let expected = done(&oracle, act, &hands, &mut known).await;
                assert_eq!(done(&engine, act, &hands, &mut given).await, expected, "{act:?}");
                let entries = engine.list(Filter::default()).await.expect("a list");
                assert_eq!(entries, oracle.list(Filter::default()).await.expect("a list"), "after {act:?}");
                let depth = engine.depth("p").await.expect("counted");
                assert_eq!(depth, oracle.depth("p").await.expect("counted"), "after {act:?}");
                let entries = entries.into_iter().map(|listed| listed.entry.expect("whole"));
                let entries: Vec<_> = entries.collect();
                let out = entries.iter().filter(|entry| entry.state.is_out() || entry.state == State::Queued);
                let keys: Vec<_> = out.filter_map(|entry| entry.concurrency_key.clone()).collect();
                assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), keys.len(), "a key is out twice");
            }
            let after = engine.list(Filter::default()).await.expect("a list");
            let after = after.get(after.len() / 3).map_or(0, |listed| listed.number);
            for (_, state) in State::WORDS {
                for pool in [None, Some("p".to_owned())] {
                    let filter = Filter { pool, state: Some(state), after, most: Some(3) };
                    let listed = engine.list(filter.clone()).await.expect("a list");
                    assert_eq!(listed, oracle.list(filter).await.expect("a list"), "{state}");
                }
            }
        });
    }
}
