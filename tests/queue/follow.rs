//! A step is followed to its end, live, and is not ended with its follower.

use std::io::Read;
use std::process::Child;
use std::time::{Duration, Instant};

use kubestep::outcome::Reason;
use kubestep::queue::{Ending, LogStream};
use rustix::process::Signal;

use super::{Place, Told, ending, frame};
use crate::harness::run::{eventually, signal_pid};
use crate::harness::step;

/// The longest that a line may be on its way on a machine that does other things, too.
const SOON: Duration = Duration::from_secs(5);

fn is_on_the_queue(place: &Place, id: &str) -> bool {
    place.kubestep(&["queue", "show", id]).code == Some(0)
}

/// Submits a step as `a` and follows it; it is on the queue when this returns.
fn follower(place: &Place, flag: &str) -> Child {
    let path = place.payload(&step("true"));
    let mut command = place.command(&["submit", path.to_str().expect("UTF-8"), "--id", "a", flag]);
    let follower = command.spawn().expect("the program starts");
    eventually("it is submitted", SOON, || is_on_the_queue(place, "a"));
    follower
}

#[test]
fn a_followed_log_comes_live_whole_and_ends_as_run_would() {
    let place = Place::new();
    let mut follower = follower(&place, "--follow");
    let lease = place.begin();
    let mut stdout = follower.stdout.take().expect("piped");
    let (mut at, mut slowest) = (0, Duration::ZERO);
    for number in 0..100 {
        let line = format!("line {number}\n");
        let written = Instant::now();
        let frames = vec![frame(LogStream::Stdout, &line), frame(LogStream::Stderr, &format!("{number} "))];
        at = place.append(&lease, at, frames);
        let mut seen = vec![0; line.len()];
        stdout.read_exact(&mut seen).expect("it is still there");
        assert_eq!(String::from_utf8_lossy(&seen), line);
        slowest = slowest.max(written.elapsed());
    }
    assert!(slowest < SOON, "a line took {slowest:?}");
    place.finish(&lease, ending(Reason::ScriptFailed, 3));
    let told = Told::of(&follower.wait_with_output().expect("it ends"));
    let numbers: String = (0..100).map(|number| format!("{number} ")).collect();
    let expected = format!("kubestep: step a is on the queue\n{numbers}");
    assert_eq!(told, Told { code: Some(3), stdout: String::new(), stderr: expected });
}

#[test]
fn whoever_waits_exits_as_run_would_and_with_75_where_no_worker_told() {
    let place = Place::new();
    let late = step("true") + "notAfter: 2020-01-01T00:00:00Z\n";
    let told = place.submit(&late, &["--id", "late", "--wait"]);
    assert_eq!((told.code, told.stdout.as_str()), (Some(75), "late\n"));
    assert_eq!(told.stderr, "kubestep: Expired: notAfter came before a worker took it\n");
    let told = place.submit(&late, &["--id", "later", "--follow"]);
    assert_eq!((told.code, told.stdout.as_str()), (Some(75), ""));
    assert!(told.stderr.ends_with("kubestep: Expired: notAfter came before a worker took it\n"), "{told:?}");
    let json = place.submit(&late, &["--id", "late", "--wait", "-o", "json"]);
    let entry: serde_json::Value = serde_json::from_str(&json.stdout).expect("JSON");
    assert_eq!((json.code, &entry["ending"]["reason"]), (Some(75), &serde_json::json!("Expired")));

    let path = place.payload(&step("true"));
    let waiting = place
        .command(&["submit", path.to_str().expect("UTF-8"), "--id", "a", "--wait"])
        .spawn()
        .expect("the program starts");
    eventually("it is submitted", SOON, || is_on_the_queue(&place, "a"));
    let lease = place.begin();
    place.append(&lease, 0, vec![frame(LogStream::Stdout, "not shown")]);
    let (message, result) = ("one\ntwo\u{1b}[2J".into(), Some(serde_json::json!({"hint": "do it right"})));
    place.finish(&lease, Ending { reason: Reason::SetupFailed, exit_code: 69, message, result });
    let told = Told::of(&waiting.wait_with_output().expect("it ends"));
    let expected = "kubestep: SetupFailed: one\nkubestep: SetupFailed: two\u{fffd}[2J\n\
                    kubestep: hint: do it right\n";
    assert_eq!((told.code, told.stdout.as_str(), told.stderr.as_str()), (Some(69), "a\n", expected));
}

#[test]
fn a_signal_ends_the_following_and_says_how_to_end_the_step() {
    let place = Place::new();
    let path = place.payload(&(step("true") + "concurrencyKey: none\n"));
    let queue = format!("sqlite:{}", place.folder().join("state/queue").display());
    for (signal, code, flag) in
        [(Signal::INT, 130, "--follow"), (Signal::TERM, 143, "--wait"), (Signal::HUP, 129, "-f")]
    {
        let id = format!("s{code}");
        let words = ["submit", path.to_str().expect("UTF-8"), "--id", &id, flag, "--queue", &queue];
        let follower = place.command(&words).spawn().expect("the program starts");
        eventually("it is submitted", SOON, || is_on_the_queue(&place, &id));
        // The signal handlers are there when the wait begins, which is after the submission.
        std::thread::sleep(Duration::from_millis(200));
        signal_pid(i32::try_from(follower.id()).expect("a pid"), signal);
        let told = Told::of(&follower.wait_with_output().expect("it ends"));
        let expected =
            format!("kubestep: step {id} goes on; to end it: kubestep queue cancel {id} --queue {queue}\n");
        assert_eq!(told.code, Some(code), "{told:?}");
        assert!(told.stderr.ends_with(&expected), "{told:?}");
        assert!(is_on_the_queue(&place, &id));
    }
}

#[test]
fn a_reader_that_goes_away_ends_the_following_only() {
    let place = Place::new();
    let mut follower = follower(&place, "-f");
    drop(follower.stdout.take());
    let lease = place.begin();
    place.append(&lease, 0, vec![frame(LogStream::Stdout, "nobody reads this")]);
    let told = Told::of(&follower.wait_with_output().expect("it ends"));
    assert_eq!(told.code, Some(141), "{told:?}");
    assert!(told.stderr.contains("step a goes on"), "{told:?}");
    place.finish(&lease, ending(Reason::Completed, 0));
    assert_eq!(place.kubestep(&["queue", "logs", "a", "-f"]).stdout, "nobody reads this");
}

#[test]
fn a_follower_uses_no_processor_while_nothing_comes() {
    let place = Place::new();
    let mut follower = follower(&place, "-f");
    let lease = place.begin();
    std::thread::sleep(Duration::from_millis(500));
    let switches = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", follower.id())).expect("it lives");
        let count = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).expect("Linux");
            line.split_whitespace().last().and_then(|count| count.parse::<u64>().ok()).expect("a number")
        };
        count("voluntary_ctxt_switches") + count("nonvoluntary_ctxt_switches")
    };
    let before = switches();
    std::thread::sleep(Duration::from_secs(2));
    let woken = switches() - before;
    assert!(woken <= 4, "its first thread was woken {woken} times in 2 s");
    place.finish(&lease, ending(Reason::Completed, 0));
    assert_eq!(follower.wait().expect("it ends").code(), Some(0));
}
