//! Counting reads what waits and nothing else, an older queue is brought up to date when it is opened, and one that was
//! removed is told so.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::super::Sqlite;
use super::super::schema::{APPLICATION, MIGRATIONS};
use super::super::store::{LOOK, Store, StoreError};
use super::open;
use crate::queue::tests::{Hands, claimer, envelope, runtime};
use crate::queue::{Depth, Queue, QueueError, State};

/// So many steps, in one transaction.
fn fill(store: &Store, steps: u32) {
    let rows = format!(
        "INSERT OR IGNORE INTO needs (number, needs) VALUES (1, '{{\"capabilities\":[],\"labels\":{{}}}}');
        WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {steps})
        INSERT INTO step (id, pool, needs, name, on_lost, on_failure, state, submitted_at)
        SELECT 'n' || n || '-{steps}', 'p', 1, 'deploy', 0, 0, 'queued', n FROM n"
    );
    store.database.execute_batch(&rows).expect("filled");
}

/// How many steps SQLite's machine takes for it.
fn cost(store: &mut Store, act: impl Fn(&mut Store)) -> u64 {
    // Once before, so that the statements are there.
    act(store);
    let steps = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&steps);
    let count = move || {
        counted.fetch_add(1, Ordering::Relaxed);
        false
    };
    store.database.progress_handler(1, Some(count)).expect("a handler");
    act(store);
    store.database.progress_handler(0, None::<fn() -> bool>).expect("no handler");
    steps.load(Ordering::Relaxed)
}

#[test]
fn counting_reads_a_short_index_entry_for_each_step_that_waits_and_nothing_of_those_that_ended() {
    let (folder, hands) = (tempfile::tempdir().expect("a folder"), Hands::new());
    let mut store = open(folder.path(), &hands);
    let depth = |store: &mut Store| drop(store.depth("p").expect("counted"));
    fill(&store, 10_000);
    let few = cost(&mut store, depth);
    let ended = "INSERT INTO step (id, pool, needs, name, on_lost, on_failure, state, submitted_at)
        SELECT 'e' || number, 'p', 1, 'deploy', 0, 0, 'ended', 1 FROM step";
    store.database.execute_batch(ended).expect("filled");
    assert_eq!(cost(&mut store, depth), few, "what has ended is read");
    fill(&store, 100_000);
    let found = store.depth("p").expect("counted");
    let milliseconds = u128::try_from(hands.clock().now().wall.as_millisecond()).expect("after 1970");
    assert_eq!(found.steps[2], (State::Queued, 110_000));
    assert_eq!(found.oldest.map(|age| age.as_millis()), Some(milliseconds - 1));
    let each = cost(&mut store, depth) / 110_000;
    assert!((1..=10).contains(&each), "{each} steps of SQLite's machine for each that waits");
    // No query that is asked for it goes to the table.
    for state in Depth::STATES {
        let (index, condition) = super::super::look::among(state);
        let plan =
            format!("EXPLAIN QUERY PLAN SELECT count(*) FROM step {index} WHERE pool = 'p' AND {condition}");
        let plan: String = store.database.query_row(&plan, [], |row| row.get(3)).expect("a plan");
        assert!(plan.contains("COVERING INDEX"), "{plan}");
    }
}

#[test]
fn no_change_of_a_step_makes_a_table_for_its_while() {
    let (folder, hands) = (tempfile::tempdir().expect("a folder"), Hands::new());
    let store = open(folder.path(), &hands);
    let temporary = |statement: &str| {
        let mut program = store.database.prepare(&format!("EXPLAIN {statement}")).expect("SQL");
        let words = program.query_map([], |row| row.get::<_, String>(1)).expect("explained");
        words.filter(|word| word.as_deref() == Ok("OpenEphemeral")).count()
    };
    // All columns that decide whether and where a step stands in an index.
    let change =
        "UPDATE step SET state = 'claimed', lease_until = 1, lease_boot = 'b', key = 'k', not_before = 1,
        not_after = 1, requeued_at = 1 WHERE number = 1";
    assert_eq!(temporary(change), 0);
    let insert = "INSERT INTO step (id, pool, needs, name, on_lost, on_failure, state, submitted_at)
        VALUES ('a', 'p', 1, 'deploy', 0, 0, 'waiting', 1)";
    assert_eq!(temporary(insert), 0);
    // What it is that is counted.
    assert_eq!(temporary("SELECT 1 FROM step WHERE name IN ('a', 'b', 'c')"), 1);
}

#[test]
fn a_queue_of_the_first_version_loses_nothing_when_it_is_opened() {
    let (folder, hands) = (tempfile::tempdir().expect("a folder"), Hands::new());
    let path = folder.path().join("queue");
    drop(open(folder.path(), &hands));
    fs::remove_file(path.join("queue.db")).expect("removed");
    let old = rusqlite::Connection::open(path.join("queue.db")).expect("opens");
    old.execute_batch(MIGRATIONS[0]).expect("the first tables");
    old.pragma_update(None, "application_id", APPLICATION).expect("marked");
    old.pragma_update(None, "user_version", 1).expect("marked");
    old.execute_batch(
        "INSERT INTO needs (needs) VALUES ('{\"capabilities\":[],\"labels\":{}}');
        INSERT INTO step (id, pool, needs, name, payload, on_lost, on_failure, state, submitted_at) VALUES
            ('a', 'p', 1, 'deploy', x'61', 0, 0, 'queued', 1), ('b', 'p', 1, 'deploy', x'61', 0, 0, 'queued', 2),
            ('c', 'p', 1, 'deploy', x'61', 0, 0, 'ended', 3);",
    )
    .expect("filled");
    drop(old);
    use_private_mode(&path);
    let mut store = open(folder.path(), &hands);
    let counts = |store: &mut Store| {
        store.depth("p").expect("counted").steps.iter().map(|(_, n)| *n).collect::<Vec<_>>()
    };
    assert_eq!(counts(&mut store), [0, 0, 2, 0, 0]);
    let claimed = store.claim(&claimer("w")).expect("asked").expect("a step");
    assert_eq!(claimed.payload.expose(), "a");
    assert_eq!(counts(&mut store), [0, 0, 1, 1, 0]);
    let (version, payloads): (usize, usize) = store
        .database
        .query_row(
            "SELECT user_version, (SELECT count(*) FROM payload) FROM pragma_user_version",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .expect("asked");
    assert_eq!((version, payloads), (MIGRATIONS.len(), 3));
}

fn use_private_mode(path: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path.join("queue.db"), fs::Permissions::from_mode(0o600)).expect("private");
}

#[test]
fn whoever_writes_on_a_queue_that_was_removed_is_told_so() {
    let (folder, hands) = (tempfile::tempdir().expect("a folder"), Hands::new());
    let path = folder.path().join("queue");
    let queue = Sqlite::open(&path, hands.clock()).expect("a queue");
    let gone = |answer: Result<(), QueueError>| {
        let error = answer.expect_err("it is not there").to_string();
        assert!(error.ends_with("was removed, or another one stands in its place"), "{error}");
    };
    runtime().block_on(async {
        queue.submit(envelope("a")).await.expect("submitted");
        queue.probe().await.expect("writable");
        let claimed =
            queue.claim(claimer("w"), std::time::Duration::ZERO).await.expect("asked").expect("a step");
        fs::rename(path.join("logs"), path.join("elsewhere")).expect("moved");
        gone(queue.probe().await);
        fs::remove_dir_all(&path).expect("removed");
        gone(queue.probe().await);
        gone(queue.heartbeat(&claimed.lease).await.map(drop));
        gone(queue.submit(envelope("b")).await.map(drop));
        // Somebody made a new one there: what this one has open is not it.
        drop(Sqlite::open(&path, hands.clock()).expect("a queue"));
        gone(queue.probe().await);
        gone(queue.depth("p").await.map(drop));
    });
    let mut store = open(folder.path(), &hands);
    std::thread::sleep(LOOK);
    assert!(matches!(store.still_there(), Ok(())));
    fs::rename(&path, folder.path().join("moved")).expect("moved");
    drop(open(folder.path(), &hands));
    std::thread::sleep(LOOK);
    assert!(matches!(store.still_there(), Err(StoreError::Gone)));
}

#[test]
fn a_probe_writes_and_changes_nothing() {
    let (folder, hands) = (tempfile::tempdir().expect("a folder"), Hands::new());
    let mut store = open(folder.path(), &hands);
    store.submit(&envelope("a")).expect("submitted");
    let size = || fs::metadata(folder.path().join("queue/queue.db-wal")).expect("a log").len();
    let (before, entries) = (size(), super::entries(&mut store));
    store.probe().expect("writable");
    assert!(size() > before, "nothing was written");
    assert_eq!(super::entries(&mut store), entries);
    // What can only be read is told.
    store.database.pragma_update(None, "query_only", true).expect("read only");
    assert!(matches!(store.probe(), Err(StoreError::Database(_))));
}
