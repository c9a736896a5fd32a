//! Acts that find something in their way are done all the same, on another thread, and hold nobody up meanwhile.

use std::time::{Duration, Instant};

use rusqlite::{Connection, TransactionBehavior};

use super::super::Sqlite;
use super::super::store::StoreError;
use super::{hand_out, open};
use crate::outcome::Reason;
use crate::queue::tests::{Hands, claimer, ending, envelope, frame, id, runtime};
use crate::queue::{Finished, Queue, State};

#[test]
fn an_act_that_must_wait_for_another_process_is_done_once_and_the_others_go_on() {
    let (folder, hands) = (tempfile::tempdir().expect("a folder"), Hands::new());
    let queue = Sqlite::open(&folder.path().join("queue"), hands.clock()).expect("a queue");
    runtime().block_on(async {
        queue.submit(envelope("a")).await.expect("submitted");
        let mut other = Connection::open(folder.path().join("queue/queue.db")).expect("opens");
        let lock = other.transaction_with_behavior(TransactionBehavior::Immediate).expect("locked");
        let began = Instant::now();
        let claim = queue.claim(claimer("w"), Duration::ZERO);
        let free = async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            let turned = began.elapsed();
            lock.rollback().expect("free");
            turned
        };
        let (claimed, turned) = tokio::join!(claim, free);
        assert!(turned < Duration::from_secs(2), "the runtime went on: {turned:?}");
        let lease = claimed.expect("asked").expect("a step").lease;
        assert_eq!((lease.id, lease.epoch), (id("a"), 1));
        assert!(began.elapsed() >= Duration::from_millis(200));
    });
}

#[test]
fn what_must_not_wait_leaves_a_long_log_to_another_thread_and_has_done_nothing() {
    let (folder, hands) = (tempfile::tempdir().expect("a folder"), Hands::new());
    let mut store = open(folder.path(), &hands);
    let lease = hand_out(&mut store, &envelope("a"));
    let frames: Vec<_> = (0..200).map(|_| frame(&"x".repeat(10_000))).collect();
    store.append(&lease, 0, &frames).expect("appended");
    store.may_wait(false).expect("set");
    let refused = store.finish(&lease, &ending(Reason::Completed, 0));
    assert!(matches!(refused, Err(StoreError::WouldWait)), "{refused:?}");
    assert_eq!(store.show(&id("a")).expect("known").state, State::Claimed);
    store.may_wait(true).expect("set");
    assert_eq!(store.finish(&lease, &ending(Reason::Completed, 0)).expect("ended"), Finished::Ended);
}
