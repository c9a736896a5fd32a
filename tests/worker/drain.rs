//! How a worker ends: what each signal does to it and to the steps that it runs.

use std::time::Duration;

use kubestep::outcome::Reason;
use kubestep::queue::{Ending, LogStream, State};
use rustix::process::Signal;

use super::{Place, Worker};
use crate::harness::step;

/// A worker that runs the step `a`, which says `ready`; the step `b` waits behind it.
fn busy(script: &str, more: &str, flags: &[&str]) -> (Place, Worker) {
    let place = Place::new();
    place.submit("a", &(step(script) + more));
    place.submit("b", &step("exit 0"));
    let worker = place.worker(flags);
    place.wait_for("a", "ready\n");
    (place, worker)
}

/// Ends when a file is there.
const UNTIL: &str = "echo ready; until [ -e \"$GO\" ]; do sleep 0.02; done; echo done";
const FOREVER: &str = "trap 'echo got TERM; exit 0' TERM; echo ready; while :; do sleep 0.01; done";
const STUBBORN: &str = "trap 'echo got TERM' TERM; echo ready; while :; do sleep 0.01; done";

fn cancelled(ending: &Ending) {
    assert_eq!((ending.reason, ending.exit_code), (Reason::Cancelled, 143));
    assert_eq!(ending.message, "cancelled, since its worker ends");
}

#[test]
fn the_first_term_or_int_lets_running_steps_end_and_takes_no_new_ones() {
    for signal in [Signal::TERM, Signal::INT] {
        let folder = tempfile::tempdir().expect("a folder");
        let go = folder.path().join("go");
        let more = format!("environment: {{GO: {}}}\n", go.display());
        let (place, mut worker) = busy(UNTIL, &more, &["--slots", "1"]);
        worker.signal(signal);
        worker.wait_for("no new steps");
        std::thread::sleep(Duration::from_millis(200));
        assert_eq!(place.show("a").state, State::Running);
        std::fs::write(&go, "").expect("written");
        assert_eq!(place.ended("a").reason, Reason::Completed);
        assert_eq!(worker.code(), Some(0), "{}", worker.lines());
        assert_eq!(place.text("a", LogStream::Stdout), "ready\ndone\n");
        assert_eq!(place.show("b").state, State::Queued, "nothing new was taken");
    }
}

#[test]
fn an_idle_worker_ends_at_once() {
    let place = Place::new();
    let mut worker = place.worker(&[]);
    worker.wait_for("worker ");
    worker.signal(Signal::TERM);
    assert_eq!(worker.code(), Some(0), "{}", worker.lines());
}

#[test]
fn the_second_cancels_and_the_third_kills() {
    let (place, mut worker) = busy(STUBBORN, "limits: {grace: 1h}\n", &[]);
    worker.signal(Signal::TERM);
    worker.wait_for("no new steps");
    worker.signal(Signal::TERM);
    place.wait_for("a", "got TERM\n");
    assert_eq!(place.show("a").state, State::Running, "it has its grace");
    worker.signal(Signal::INT);
    let ending = place.ended("a");
    cancelled(&ending);
    assert_eq!(ending.result.expect("a document")["script"]["signal"], 9);
    assert_eq!(worker.code(), Some(1), "{}", worker.lines());
}

#[test]
fn quit_cancels_at_once_and_a_drain_has_an_end() {
    for (signal, flags) in [(Signal::QUIT, &[][..]), (Signal::TERM, &["--drain-timeout", "300ms"][..])] {
        let (place, mut worker) = busy(FOREVER, "", flags);
        worker.signal(signal);
        cancelled(&place.ended("a"));
        assert_eq!(place.text("a", LogStream::Stdout), "ready\ngot TERM\n");
        assert_eq!(worker.code(), Some(1), "{}", worker.lines());
        assert_eq!(place.show("b").state, State::Queued);
    }
}
