//! Workers that are killed with -9 at any moment: their steps are lost or run by others, and none is run twice.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use super::entries;
use crate::outcome::Reason;
use crate::queue::State;
use crate::queue::clock::Clock;
use crate::queue::sqlite::store::Store;
use crate::queue::tests::{claimer, ending, envelope};

/// A clock on which a lease lasts half a second: workers that are killed are found lost soon.
fn fast_clock() -> Clock {
    let machine = Clock::machine().expect("clocks");
    Clock::new(move || {
        let mut now = machine.now();
        now.boot *= 120;
        now
    })
}

/// The worker of the test below, in a process of its own: the queue's folder comes by standard input.
#[test]
#[ignore = "started by workers_that_are_killed_lose_steps_and_run_none_twice"]
fn worker() {
    let mut folder = String::new();
    std::io::stdin().read_line(&mut folder).expect("a line");
    let folder = Path::new(folder.trim());
    if !folder.is_absolute() {
        drop(writeln!(std::io::stderr(), "nothing to do: another test starts this one"));
        return;
    }
    let mut store = Store::open(&folder.join("queue"), fast_clock()).expect("a queue");
    let mut ran = fs::OpenOptions::new().append(true).create(true).open(folder.join("ran")).expect("opens");
    while let Some(claimed) = store.claim(&claimer("w")).expect("asked") {
        if store.started(&claimed.lease).is_ok() {
            ran.write_all(format!("{}\n", claimed.lease.id).as_bytes()).expect("written");
            // Its lease may have ended meanwhile: then the step is lost.
            drop(store.finish(&claimed.lease, &ending(Reason::Completed, 0)));
        }
    }
}

#[test]
fn workers_that_are_killed_lose_steps_and_run_none_twice() {
    const STEPS: usize = 300;
    let folder = tempfile::tempdir().expect("a folder");
    let mut store = Store::open(&folder.path().join("queue"), fast_clock()).expect("a queue");
    for number in 0..STEPS {
        store.submit(&envelope(&format!("s{number}"))).expect("submitted");
    }
    let start = || {
        let program = std::env::current_exe().expect("this test");
        let mut child = std::process::Command::new(program)
            .args(["--exact", "queue::sqlite::tests::killed::worker", "--ignored"])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::null())
            .spawn()
            .expect("it starts");
        let path = format!("{}\n", folder.path().display());
        child.stdin.take().expect("a pipe").write_all(path.as_bytes()).expect("written");
        child
    };
    for round in 0..12 {
        let mut workers = [start(), start()];
        std::thread::sleep(Duration::from_millis(20 + 10 * round));
        for worker in &mut workers {
            worker.kill().expect("killed");
            worker.wait().expect("reaped");
        }
    }
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    while entries(&mut store).iter().any(|entry| entry.state != State::Ended) {
        assert!(std::time::Instant::now() < deadline, "a step has no ending");
        start().wait().expect("reaped");
    }
    let ran = fs::read_to_string(folder.path().join("ran")).expect("steps ran");
    let ran: Vec<&str> = ran.lines().collect();
    let once: BTreeSet<&str> = ran.iter().copied().collect();
    assert_eq!(once.len(), ran.len(), "a step ran twice");
    for entry in entries(&mut store) {
        let reason = entry.ending.expect("ended").reason;
        match reason {
            Reason::Completed => assert!(once.contains(entry.id.as_str()), "{} never ran", entry.id),
            reason => assert_eq!(reason, Reason::Lost, "{}", entry.id),
        }
    }
    let check: String =
        store.database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("checked");
    assert_eq!(check, "ok");
}
