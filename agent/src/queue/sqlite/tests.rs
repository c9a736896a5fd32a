//! The embedded engine interrupted at any step of any act, raced, woken, damaged, and looked at by others.

mod depth;
mod executor;
mod killed;
mod logs;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use super::store::{Store, StoreError};
use super::{SAFETY_POLL, Sqlite};
use crate::outcome::Reason;
use crate::queue::clock::Clock;
use crate::queue::tests::{Hands, claimer, ending, envelope, frame, id, keyed, runtime};
use crate::queue::{Entry, Envelope, Filter, Lease, Listed, LogPosition, Queue, QueueError, Retry, State};

fn open(folder: &Path, hands: &Hands) -> Store {
    Store::open(&folder.join("queue"), hands.clock()).expect("a queue")
}

/// Submits it, and gives it to a worker.
fn hand_out(store: &mut Store, envelope: &Envelope) -> Lease {
    store.submit(envelope).expect("submitted");
    store.claim(&claimer("w")).expect("asked").expect("a step").lease
}

fn entries(store: &mut Store) -> Vec<Entry> {
    let listed = store.list(&Filter::default()).expect("a list");
    listed.into_iter().map(|listed| listed.entry.expect("whole")).collect()
}

/// Ends the act at each step of SQLite's machine in turn, as a crash would, until it is done without being ended.
/// Whoever opens the queue after that finds nothing of the act, or all of it.
fn end_at_every_step(
    folder: &Path,
    hands: &Hands,
    act: impl Fn(&mut Store) -> Result<(), StoreError>,
) -> u64 {
    let before = entries(&mut open(folder, hands));
    let after = after(folder, hands, &act);
    for step in (1_u64..100_000).step_by(7) {
        let mut store = open(folder, hands);
        // From there on, nothing more of the act is done, not even its rollback.
        let mut left = step;
        let interrupt = move || {
            left = left.saturating_sub(1);
            left == 0
        };
        store.database.progress_handler(1, Some(interrupt)).expect("a handler");
        let done = act(&mut store);
        // Not closed: what was written stays as it is.
        store.database.progress_handler(0, None::<fn() -> bool>).expect("no handler");
        drop(store);
        match done {
            Ok(()) => return step,
            Err(StoreError::Database(error)) => {
                assert_eq!(error.sqlite_error_code(), Some(rusqlite::ErrorCode::OperationInterrupted));
                let found = entries(&mut open(folder, hands));
                assert!(found == before || found == after, "ended at {step}: {found:?}");
                // It was ended between its commit and its answer.
                if found != before {
                    return step;
                }
            }
            Err(error) => panic!("{error}"),
        }
    }
    panic!("it is never done");
}

/// What the act makes of a copy of the queue, when nothing interrupts it.
fn after(folder: &Path, hands: &Hands, act: impl Fn(&mut Store) -> Result<(), StoreError>) -> Vec<Entry> {
    let copy = tempfile::tempdir().expect("a folder");
    drop(open(copy.path(), hands));
    // The last to close it has emptied the write-ahead log.
    fs::copy(folder.join("queue/queue.db"), copy.path().join("queue/queue.db")).expect("copied");
    let mut store = open(copy.path(), hands);
    act(&mut store).expect("done");
    entries(&mut store)
}

#[test]
fn an_act_that_is_interrupted_anywhere_is_done_wholly_or_not_at_all() {
    let (folder, hands) = (tempfile::tempdir().expect("a folder"), Hands::new());
    let folder = folder.path();
    let lease = |epoch| Lease { id: id("a"), epoch };
    let retry = Retry { on_lost: false, on_failure: 1 };
    let mut interrupted = 0;
    let mut each = |act: &dyn Fn(&mut Store) -> Result<(), StoreError>| {
        interrupted += end_at_every_step(folder, &hands, act);
    };
    each(&|store| store.submit(&Envelope { retry, ..keyed("a", "k") }).map(drop));
    each(&|store| store.submit(&keyed("b", "k")).map(drop));
    each(&|store| store.claim(&claimer("w")).map(|claimed| assert_eq!(claimed.expect("a").lease, lease(1))));
    each(&|store| store.heartbeat(&lease(1)).map(drop));
    each(&|store| store.release(&lease(1)));
    each(&|store| store.claim(&claimer("w")).map(|claimed| assert_eq!(claimed.expect("a").lease, lease(2))));
    each(&|store| store.started(&lease(2)).map(drop));
    each(&|store| store.finish(&lease(2), &ending(Reason::ScriptFailed, 1)).map(drop));
    each(&|store| store.claim(&claimer("w")).map(|claimed| assert_eq!(claimed.expect("a").lease, lease(3))));
    each(&|store| store.finish(&lease(3), &ending(Reason::ScriptFailed, 1)).map(drop));
    each(&|store| store.requeue(&id("a")).map(drop));
    each(&|store| store.cancel(&id("b")).map(drop));
    hands.pass(1);
    each(&|store| store.prune(Duration::ZERO).map(drop));
    assert!(interrupted > 500, "it was ended in the middle of acts ({interrupted})");
    let left = entries(&mut open(folder, &hands));
    assert_eq!(
        left.iter().map(|entry| (entry.id.as_str(), entry.state)).collect::<Vec<_>>(),
        [("a", State::Queued)]
    );
}

#[test]
fn of_many_claimers_one_gets_each_step() {
    const STEPS: usize = 60;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("queue");
    let clock = Clock::machine().expect("clocks");
    let mut store = Store::open(&path, clock.clone()).expect("a queue");
    for number in 0..STEPS {
        let plain = envelope(&format!("s{number}"));
        let key = (number % 2 == 0).then(|| "k".to_owned());
        store.submit(&Envelope { concurrency_key: key, ..plain }).expect("submitted");
    }
    let work = |name: &'static str| {
        let (path, clock) = (path.clone(), clock.clone());
        std::thread::spawn(move || {
            let mut store = Store::open(&path, clock).expect("a queue");
            let mut did = Vec::new();
            while let Some(claimed) = store.claim(&claimer(name)).expect("asked") {
                store.started(&claimed.lease).expect("started");
                store.finish(&claimed.lease, &ending(Reason::Completed, 0)).expect("ended");
                did.push(claimed.lease.id);
            }
            did
        })
    };
    let workers: Vec<_> = ["a", "b", "c"].map(work).into_iter().collect();
    let did: Vec<_> = workers.into_iter().flat_map(|worker| worker.join().expect("it ends")).collect();
    assert_eq!(did.iter().collect::<BTreeSet<_>>().len(), did.len(), "a step ran twice");
    // A worker ends when nothing is free, which may be while another one has the key's only free step.
    let over = entries(&mut store).into_iter().filter(|entry| entry.state == State::Ended).count();
    assert_eq!(over, did.len());
    assert_eq!(over, STEPS, "whoever has the key's last step goes on with the next");
}

#[test]
fn a_claim_that_waits_is_woken() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("queue");
    let clock = Clock::machine().expect("clocks");
    let waiting = Sqlite::open(&path, clock.clone()).expect("a queue");
    let other = Sqlite::open(&path, clock).expect("a queue");
    runtime().block_on(async {
        let begun = tokio::time::Instant::now();
        let claim = waiting.claim(claimer("w"), Duration::from_secs(60));
        let submit = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            other.submit(envelope("now")).await.expect("submitted");
        };
        let (claimed, ()) = tokio::join!(claim, submit);
        assert_eq!(claimed.expect("asked").expect("a step").lease.id, id("now"));
        let soon = Some(jiff::Timestamp::now() + Duration::from_millis(300));
        other.submit(Envelope { not_before: soon, ..envelope("soon") }).await.expect("submitted");
        let claimed = waiting.claim(claimer("w"), Duration::from_secs(60)).await;
        assert_eq!(claimed.expect("asked").expect("a step").lease.id, id("soon"));
        assert!(begun.elapsed() < SAFETY_POLL, "not by the poll");
        let none = waiting.claim(claimer("w"), Duration::from_millis(10)).await;
        assert!(none.expect("asked").is_none());
    });
}

#[test]
fn a_claim_that_nobody_waits_for_gives_its_step_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let queue =
        Sqlite::open(&folder.path().join("queue"), Clock::machine().expect("clocks")).expect("a queue");
    let runtime = runtime();
    runtime.block_on(queue.submit(envelope("a"))).expect("submitted");
    let lock = queue.0.executor.hold();
    let given_up = runtime.block_on(async {
        let claim = queue.claim(claimer("w"), Duration::from_secs(60));
        tokio::time::timeout(Duration::from_millis(50), claim).await
    });
    assert!(given_up.is_err(), "it waits for the lock");
    drop(lock);
    let claimed = loop {
        let entry = runtime.block_on(queue.show(&id("a"))).expect("known");
        if entry.epoch == 1 {
            break entry;
        }
    };
    assert_eq!(claimed.state, State::Queued);
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder").flatten();
    entries
        .flat_map(|entry| if entry.path().is_dir() { files(&entry.path()) } else { vec![entry.path()] })
        .collect()
}

#[test]
fn nobody_else_reads_the_queue_and_what_is_pruned_is_overwritten() {
    let (folder, hands) = (tempfile::tempdir().expect("a folder"), Hands::new());
    let mut store = open(folder.path(), &hands);
    let payload = crate::secret::Secret::new("hunter22-".repeat(2000));
    let lease = hand_out(&mut store, &Envelope { payload, ..envelope("a") });
    store.append(&lease, 0, &[frame("hunter22 was masked, this is a line")]).expect("written");
    store.finish(&lease, &ending(Reason::Completed, 0)).expect("ended");
    let holds = |path: &std::path::PathBuf| {
        fs::read(path).expect("read").windows(8).any(|bytes| bytes == b"hunter22")
    };
    let kept = files(folder.path());
    assert!(kept.iter().any(holds) && kept.len() >= 4, "{kept:?}");
    for path in &kept {
        assert_eq!(fs::metadata(path).expect("there").permissions().mode() & 0o777, 0o600, "{path:?}");
    }
    let queue = folder.path().join("queue");
    assert_eq!(fs::metadata(&queue).expect("there").permissions().mode() & 0o777, 0o700);
    assert_eq!(store.prune(Duration::ZERO).expect("pruned"), 1);
    assert_eq!(files(folder.path()).iter().find(|path| holds(path)), None);

    fs::set_permissions(&queue, fs::Permissions::from_mode(0o750)).expect("set");
    assert!(matches!(Store::open(&queue, hands.clock()), Err(StoreError::Open { .. })));
}

#[test]
fn what_is_no_queue_of_ours_is_not_touched() {
    let (folder, hands) = (tempfile::tempdir().expect("a folder"), Hands::new());
    let told = |change: &str| {
        let database = rusqlite::Connection::open(folder.path().join("queue/queue.db")).expect("opens");
        database.execute_batch(change).expect("changed");
        drop(database);
        Store::open(&folder.path().join("queue"), hands.clock()).map(drop)
    };
    drop(open(folder.path(), &hands));
    assert!(matches!(told("PRAGMA user_version = 99"), Err(StoreError::Newer)));
    assert!(matches!(told("PRAGMA application_id = 1"), Err(StoreError::Foreign)));
    fs::write(folder.path().join("queue/queue.db"), "no database at all, but a text").expect("written");
    for name in ["queue.db-wal", "queue.db-shm"] {
        drop(fs::remove_file(folder.path().join("queue").join(name)));
    }
    let queue = Sqlite::open(&folder.path().join("queue"), hands.clock());
    assert!(matches!(queue, Err(QueueError::Engine { .. })));
}

#[test]
fn a_damaged_record_is_rejected_and_the_next_one_runs() {
    let (folder, hands) = (tempfile::tempdir().expect("a folder"), Hands::new());
    let mut store = open(folder.path(), &hands);
    let labels = std::collections::BTreeMap::from([("a".to_owned(), "b".to_owned())]);
    let needs = crate::queue::Needs { labels, ..Default::default() };
    store.submit(&Envelope { needs, ..envelope("needs") }).expect("submitted");
    store.submit(&envelope("payload")).expect("submitted");
    store.submit(&envelope("empty")).expect("submitted");
    store.submit(&envelope("good")).expect("submitted");
    let damage = "UPDATE needs SET needs = '{' WHERE needs LIKE '%b%' AND number = 1;
        UPDATE payload SET payload = x'ff' WHERE step = 2;
        DELETE FROM payload WHERE step = 3;";
    store.database.execute_batch(damage).expect("damaged");
    let claimed = store.claim(&claimer("w")).expect("asked").expect("a step");
    assert_eq!(claimed.lease.id, id("good"));
    for name in ["needs", "payload", "empty"] {
        let ending = store.show(&id(name)).expect("known").ending.expect("ended");
        assert_eq!((ending.reason, ending.exit_code), (Reason::Rejected, 75), "{name}");
    }
    let damage = "UPDATE step SET ending = '{', ended_at = 9223372036854775807 WHERE id = 'payload'";
    store.database.execute_batch(damage).expect("damaged");
    assert_eq!(entries(&mut store).len(), 4, "what can be read of it is told");
    store.database.execute_batch("UPDATE step SET id = 'no id' WHERE id = 'needs'").expect("damaged");
    let mut page = |after| store.list(&Filter { after, most: Some(1), ..Filter::default() }).expect("a list");
    let damaged = page(0).remove(0);
    assert_eq!(damaged, Listed { number: 1, entry: None }, "it is told, and can be passed");
    assert_eq!(page(damaged.number).remove(0).entry.expect("whole").id, id("payload"));
}

#[test]
fn a_log_whose_end_was_torn_off_is_read_up_to_there() {
    let (folder, hands) = (tempfile::tempdir().expect("a folder"), Hands::new());
    let mut store = open(folder.path(), &hands);
    let lease = hand_out(&mut store, &envelope("a"));
    let length = store.append(&lease, 0, &[frame("one"), frame("two")]).expect("written");
    let file = fs::OpenOptions::new().write(true).open(folder.path().join("queue/logs/1-1")).expect("opens");
    file.set_len(length - 1).expect("torn");
    let chunk = store.log(&id("a"), LogPosition::default(), 1).expect("read");
    assert_eq!((chunk.frames, chunk.end), (vec![frame("one")], false));
    store.finish(&lease, &ending(Reason::AgentFailed, 70)).expect("ended");
    let rest = store.log(&id("a"), chunk.next, 1).expect("read");
    assert_eq!((rest.frames.len(), rest.end), (0, true));
}
