//! What happens when a worker, a step's process or a lease ends before its time.

use std::time::{Duration, Instant};

use kubestep::outcome::Reason;
use kubestep::queue::{Queue, State};
use rustix::process::Signal;

use super::{Place, envelope};
use crate::cleanup::alive;
use crate::harness::run::{eventually, first_child, names_in, signal_pid};
use crate::harness::step;

const WAITS: &str = "trap '' TERM; echo $$; while :; do sleep 0.01; done";

/// A worker that runs the step `a`; the pid of its script.
fn script(place: &Place) -> i32 {
    place.wait_for("a", "\n");
    place.text("a", kubestep::queue::LogStream::Stdout).trim().parse().expect("a pid")
}

fn assert_empty(place: &Place) {
    for name in ["tmp", "run"] {
        assert_eq!(names_in(&place.folder().join(name)), Vec::<String>::new(), "left in {name}");
    }
}

#[test]
fn a_killed_worker_takes_its_steps_with_it_and_they_are_lost_unless_they_may_be() {
    let place = Place::new();
    place.submit("a", &(step(WAITS) + "limits: {grace: 300ms}\n"));
    let worker = place.worker(&["--slots", "2"]);
    let script = script(&place);
    let mut again = envelope("b", &(step("echo ready; sleep 60") + "limits: {grace: 300ms}\n"));
    again.retry.on_lost = true;
    place.put(again);
    place.wait_for("b", "ready\n");
    worker.signal(Signal::KILL);
    eventually("the script is gone", Duration::from_secs(10), || !alive(script));
    eventually("nothing is left", Duration::from_secs(10), || {
        ["tmp", "run"].iter().all(|name| names_in(&place.folder().join(name)).is_empty())
    });
    assert_eq!(place.show("a").state, State::Running, "until its lease is over nobody knows");
    let later = place.later(61);
    let entry = place.runtime.block_on(later.show(&super::id("a"))).expect("known");
    assert_eq!(entry.ending.expect("it has ended").reason, Reason::Lost);
    assert_eq!(place.show("b").state, State::Queued, "it may be run again");
    // The next worker runs the one, and never the other.
    let mut next = place.worker(&["--max-steps", "1"]);
    place.cancel_when_running("b");
    assert_eq!(next.code(), Some(0), "{}", next.lines());
    assert_eq!((place.show("a").epoch, place.show("b").epoch), (1, 2));
}

#[test]
fn a_step_whose_process_is_killed_has_failed_and_its_tree_is_gone() {
    let place = Place::new();
    place.submit("a", &step(WAITS));
    let worker = place.worker(&[]);
    let script = script(&place);
    signal_pid(first_child(worker.pid()), Signal::KILL);
    let ending = place.ended("a");
    assert_eq!((ending.reason, ending.exit_code), (Reason::AgentFailed, 70));
    assert!(ending.message.contains("by signal 9"), "{}", ending.message);
    assert!(!alive(script), "its ending was told before its end");
    assert_empty(&place);
    place.submit("b", &step("exit 0"));
    assert_eq!(place.ended("b").reason, Reason::Completed, "{}", worker.lines());
}

#[test]
fn a_step_whose_process_and_supervisor_are_killed_is_swept() {
    let place = Place::new();
    place.submit("a", &step(WAITS));
    let worker = place.worker(&[]);
    let script = script(&place);
    let agent = first_child(worker.pid());
    let supervisor = first_child(agent);
    // Stopped first, so that neither sees the other's end.
    for (pid, signal) in [(supervisor, Signal::STOP), (agent, Signal::KILL), (supervisor, Signal::KILL)] {
        signal_pid(pid, signal);
    }
    let ending = place.ended("a");
    assert_eq!((ending.reason, ending.exit_code), (Reason::AgentFailed, 70));
    assert!(!alive(script), "its ending was told before its end");
    assert_empty(&place);
    drop(worker);
}

#[test]
fn a_stale_worker_ends_its_step_and_its_result_is_not_taken() {
    let place = Place::new();
    place.submit("a", &(step(WAITS) + "limits: {grace: 1h}\n"));
    let worker = place.worker(&[]);
    let script = script(&place);
    // Somebody whose clock is ahead finds the lease over.
    let later = place.later(61);
    let entry = place.runtime.block_on(later.show(&super::id("a"))).expect("known");
    assert_eq!(entry.ending.expect("it has ended").reason, Reason::Lost);
    let begun = Instant::now();
    eventually("the script is gone", Duration::from_secs(20), || !alive(script));
    assert!(begun.elapsed() < Duration::from_secs(18), "with the next heartbeat");
    worker.wait_for("its lease was over");
    assert_eq!(place.ended("a").reason, Reason::Lost);
    place.submit("b", &step("exit 0"));
    assert_eq!(place.ended("b").reason, Reason::Completed, "{}", worker.lines());
    assert_empty(&place);
}

#[test]
fn a_queue_that_cannot_be_used_is_asked_again_and_the_worker_lives() {
    let place = Place::new();
    let worker = place.worker(&[]);
    worker.wait_for("worker ");
    let folder = place.folder().join("state/queue");
    // Somebody holds the database for longer than the engine is patient.
    let database = rusqlite::Connection::open(folder.join("queue.db")).expect("opened");
    database.execute_batch("BEGIN EXCLUSIVE").expect("held");
    std::fs::write(folder.join("wake"), ".").expect("touched");
    worker.wait_for("the queue sqlite:");
    assert!(worker.lines().contains("; next try in "), "{}", worker.lines());
    database.execute_batch("ROLLBACK").expect("let go");
    place.submit("b", &step("exit 0"));
    assert_eq!(place.ended("b").reason, Reason::Completed, "{}", worker.lines());
}

impl Place {
    fn cancel_when_running(&self, name: &str) {
        eventually("it runs", super::SOON, || self.show(name).state == State::Running);
        self.cancel(name);
    }
}
