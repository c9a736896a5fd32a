//! The embedded queue beside a bare client of the same database: claims and endings with nothing run between, and
//! what a claim costs in a queue that is long. `scripts/bench worker` runs it; prints one line of JSON.
//!
//! The bare client does the two transactions that any queue in a table has to do (take the oldest, end it), in a table of
//! its own with the same pragmas, so that both sync as often.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, TransactionBehavior, params};
use serde_json::{Value, json};

use kubestep::outcome::Reason;
use kubestep::queue::clock::Clock;
use kubestep::queue::sqlite::Sqlite;
use kubestep::queue::{Claimer, Ending, Envelope, Needs, Queue, Retry, StepId};
use kubestep::secret::Secret;

const SIZES: [u32; 5] = [10, 100, 1_000, 10_000, 100_000];

fn main() {
    // `cargo test` calls it, too, and wants nothing of it.
    if !std::env::args().any(|argument| argument == "--measure") {
        return;
    }
    let count = 2_000;
    let folder = tempfile::Builder::new().prefix("kubestep-bench-").tempdir().expect("a folder");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut ours = Vec::new();
    let mut bare = Vec::new();
    for round in 0..9 {
        ours.push(runtime.block_on(queue(&folder.path().join(format!("queue-{round}")), count)));
        bare.push(table(&folder.path().join(format!("bare-{round}.db")), count));
    }
    let flat = runtime.block_on(lengths(&folder.path().join("long")));
    let line = json!({"perSecond": per_second(ours, count), "barePerSecond": per_second(bare, count), "claims": flat});
    std::io::Write::write_all(&mut std::io::stdout(), format!("{line}\n").as_bytes()).expect("written");
}

fn per_second(mut times: Vec<Duration>, count: u32) -> f64 {
    times.sort();
    f64::from(count) / times[times.len() / 2].as_secs_f64()
}

fn payload() -> String {
    format!("apiVersion: kubestep/v1\nkind: Step\n# {}\n", "x".repeat(1_000))
}

fn envelope(number: u32) -> Envelope {
    Envelope {
        id: StepId::try_from(format!("step-{number}")).expect("an id"),
        pool: "default".into(),
        name: "bench".into(),
        payload: Secret::new(payload()),
        needs: Needs::default(),
        concurrency_key: None,
        not_before: None,
        not_after: None,
        retry: Retry::default(),
    }
}

async fn fill(queue: &Sqlite, numbers: std::ops::Range<u32>) {
    for number in numbers {
        queue.submit(envelope(number)).await.expect("submitted");
    }
}

fn ending() -> Ending {
    Ending { reason: Reason::Completed, exit_code: 0, message: "done".into(), result: None }
}

/// Claims one and ends it.
async fn once(queue: &Sqlite, claimer: &Claimer) {
    let claimed = queue.claim(claimer.clone(), Duration::ZERO).await.expect("claimed").expect("there is one");
    queue.finish(&claimed.lease, ending()).await.expect("ended");
}

fn claimer() -> Claimer {
    Claimer { worker: "bench".into(), pool: "default".into(), ..Claimer::default() }
}

async fn queue(folder: &Path, count: u32) -> Duration {
    let queue = Sqlite::open(folder, Clock::machine().expect("a clock")).expect("opened");
    fill(&queue, 0..count).await;
    let claimer = claimer();
    let began = Instant::now();
    for _ in 0..count {
        once(&queue, &claimer).await;
    }
    began.elapsed()
}

fn table(path: &Path, count: u32) -> Duration {
    let mut database = Connection::open(path).expect("opened");
    database
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
            CREATE TABLE step (number INTEGER PRIMARY KEY, payload TEXT, state TEXT, epoch INTEGER DEFAULT 0, ending TEXT);
            CREATE INDEX ready ON step (number) WHERE state = 'queued';",
        )
        .expect("made");
    for _ in 0..count {
        database
            .execute("INSERT INTO step (payload, state) VALUES (?1, 'queued')", [payload()])
            .expect("inserted");
    }
    let told = serde_json::to_string(&ending()).expect("JSON");
    let began = Instant::now();
    for _ in 0..count {
        let change = database.transaction_with_behavior(TransactionBehavior::Immediate).expect("begun");
        let number: i64 = change
            .prepare_cached(
                "UPDATE step SET state = 'claimed', epoch = epoch + 1 WHERE number =
                    (SELECT number FROM step WHERE state = 'queued' ORDER BY number LIMIT 1) RETURNING number, payload",
            )
            .and_then(|mut query| query.query_row([], |row| row.get::<_, String>(1).and_then(|_| row.get(0))))
            .expect("claimed");
        change.commit().expect("on the disk");
        let change = database.transaction_with_behavior(TransactionBehavior::Immediate).expect("begun");
        change
            .prepare_cached("UPDATE step SET state = 'ended', ending = ?2 WHERE number = ?1")
            .and_then(|mut query| query.execute(params![number, told]))
            .expect("ended");
        change.commit().expect("on the disk");
    }
    began.elapsed()
}

/// The median claim in a queue of each length, in microseconds.
async fn lengths(folder: &Path) -> Vec<Value> {
    let queue = Sqlite::open(folder, Clock::machine().expect("a clock")).expect("opened");
    let (mut number, claimer) = (0, claimer());
    let mut found = Vec::new();
    for size in SIZES {
        fill(&queue, number..size.max(number)).await;
        number = size.max(number);
        let mut times: Vec<Duration> = Vec::new();
        for _ in 0..100 {
            let began = Instant::now();
            let claimed =
                queue.claim(claimer.clone(), Duration::ZERO).await.expect("claimed").expect("there is one");
            times.push(began.elapsed());
            queue.release(&claimed.lease).await.expect("given back");
        }
        times.sort();
        found.push(json!({"queued": size, "microseconds": times[times.len() / 2].as_secs_f64() * 1e6}));
    }
    found
}
