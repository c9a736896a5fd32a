//! A step from `kubestep submit --follow` to its end on a worker: what `run` would have shown, and its exit code.

use std::process::{Command, Stdio};
use std::time::Duration;

use kubestep::queue::State;
use rustix::process::Signal;

use super::Place;
use crate::harness::run::eventually;
use crate::harness::step;

impl Place {
    /// The command `submit --follow` of this payload.
    fn follow(&self, payload: &str, id: &str) -> Command {
        let file = self.folder().join(format!("{id}.yaml"));
        std::fs::write(&file, payload).expect("written");
        let mut command = Command::new(env!("CARGO_BIN_EXE_kubestep"));
        command.args(["submit", "--follow", "--id", id]).arg(file).stdin(Stdio::null());
        self.run.surround(&mut command);
        command
    }
}

#[test]
fn a_followed_step_shows_and_exits_as_run_would() {
    let place = Place::new();
    let _worker = place.worker(&["--slots", "2"]);
    let payload = step("echo out; sleep 0.1; echo err >&2; echo $MINE; exit 7")
        + "environment: {MINE: hunter22-of-the-test}\nsecrets: [hunter22-of-the-test]\n";
    let output = place.follow(&payload, "a").output().expect("it runs");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(7), "{err}");
    assert!(out.ends_with("out\n********\n") && !out.contains("hunter22"), "{out}");
    assert!(err.contains("err\n") && err.contains("kubestep: step test on "), "{err}");
    assert!(
        err.contains("kubestep: error: the script exited with code 7\n") && !err.contains("hunter22"),
        "{err}"
    );

    let mut cancelled =
        place.follow(&step("echo ready; sleep 60"), "b").stdout(Stdio::null()).spawn().expect("it starts");
    eventually("b is there", super::SOON, || place.known("b") && place.show("b").state == State::Running);
    place.wait_for("b", "ready\n");
    place.cancel("b");
    assert_eq!(cancelled.wait().expect("ours").code(), Some(143));
}

#[test]
fn a_worker_that_dies_leaves_its_follower_with_75_and_what_was_said() {
    let place = Place::new();
    let worker = place.worker(&[]);
    let follower =
        place.follow(&step("echo ready; sleep 60"), "a").stdout(Stdio::piped()).spawn().expect("starts");
    eventually("a is there", super::SOON, || place.known("a"));
    place.wait_for("a", "ready\n");
    worker.signal(Signal::KILL);
    std::thread::sleep(Duration::from_millis(300));
    // Somebody whose clock is ahead finds the lease over.
    place.settle_later();
    let output = follower.wait_with_output().expect("ours");
    assert_eq!(output.status.code(), Some(75));
    assert!(String::from_utf8_lossy(&output.stdout).ends_with("ready\n"));
}

impl Place {
    fn known(&self, name: &str) -> bool {
        use kubestep::queue::Queue;
        self.runtime.block_on(self.queue.show(&super::id(name))).is_ok()
    }

    fn settle_later(&self) {
        use kubestep::queue::Queue;
        let later = self.later(61);
        let entry = self.runtime.block_on(later.show(&super::id("a"))).expect("known");
        assert_eq!(entry.state, State::Ended);
    }
}
