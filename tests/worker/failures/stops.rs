//! A worker that stands still past its lease, a wall clock that steps, a record that is damaged.

use std::time::{Duration, Instant};

use kubestep::outcome::Reason;
use kubestep::queue::{LogStream, State};
use rustix::process::Signal;

use super::{Dice, LEASE_OVER, Load, envelope, tell};
use crate::cleanup::alive;
use crate::harness::run::eventually;
use crate::harness::tools::tool;
use crate::harness::{Run, step};
use crate::worker::Place;

#[test]
#[ignore = "takes minutes; scripts/test --long runs it"]
fn a_worker_that_stands_still_past_its_lease_ends_its_step_before_anybody_else_could_run_it() {
    let mut load = Load::new();
    let stop = load.notes.join("stop");
    let script = format!("trap '' TERM; echo $$; while [ ! -e {} ]; do sleep 0.05; done", stop.display());
    let forever = step(&script) + "limits: {grace: 1h}\n";
    let mut again = envelope("stuck", &forever);
    again.retry.on_lost = true;
    load.place.put(again);
    let stopped = load.place.worker(&[]);
    load.place.wait_for("stuck", "\n");
    let script: i32 = load.place.text("stuck", LogStream::Stdout).trim().parse().expect("a pid");
    stopped.signal(Signal::STOP);
    let begun = Instant::now();
    eventually("the script is gone", Duration::from_secs(58), || !alive(script));
    let gone = begun.elapsed();
    assert!(gone > Duration::from_secs(20), "its lease held until then, after {gone:?}");
    assert_eq!(load.place.show("stuck").state, State::Running, "gone before its lease was over");
    load.submit("behind", false, "0");
    let other = load.place.worker(&[]);
    // It is run again, when its lease is over: by somebody else, and not beside its first run.
    eventually("its second run begins", LEASE_OVER, || {
        load.place.show("stuck").epoch == 2 && load.place.show("stuck").state == State::Running
    });
    stopped.signal(Signal::CONT);
    stopped.wait_for("its lease was over");
    assert_eq!(load.place.show("stuck").state, State::Running, "the stale worker's word changed nothing");
    std::fs::write(stop, "").expect("written");
    assert_eq!(load.place.ended("stuck").reason, Reason::Completed);
    load.wait_for_all(LEASE_OVER, &other);
    drop(other);
    load.submit("after", false, "0");
    load.wait_for_all(LEASE_OVER, &stopped);
    tell("a worker that stood still", &load.check());
}

#[test]
#[ignore = "takes minutes; scripts/test --long runs it"]
fn a_wall_clock_that_steps_loses_nothing() {
    let Some(faketime) = tool("libfaketime", "") else { return };
    let test = "a clock that steps";
    let mut dice = Dice::new(test);
    let run = Run::new("");
    let wall = run.folder().join("wall");
    std::fs::write(&wall, "+0").expect("written");
    let run = run
        .env("LD_PRELOAD", faketime.display().to_string())
        .env("FAKETIME_TIMESTAMP_FILE", wall.display().to_string())
        .env("FAKETIME_NO_CACHE", "1")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    let mut load = Load::of(Place::of(run));
    for number in 0..80 {
        load.submit(&format!("s{number}"), false, "0.02");
    }
    let worker = load.place.worker(&["--slots", "2"]);
    let begun = Instant::now();
    let mut steps = 0;
    while load.left() > 0 {
        assert!(begun.elapsed() < LEASE_OVER, "{} left: {}", load.left(), worker.lines());
        // A day ahead or back, as a machine does whose clock is set.
        let seconds = dice.below(2 * 86_400);
        std::fs::write(&wall, format!("{:+}", i64::try_from(seconds).expect("small") - 86_400))
            .expect("written");
        steps += 1;
        std::thread::sleep(Duration::from_millis(100 + dice.below(400)));
    }
    assert!(steps > 5, "the clock was set {steps} times");
    let endings = load.check();
    assert_eq!(endings.get("Completed"), Some(&80), "{endings:?}");
    // The worker did see another wall clock than ours.
    let noted = load.place.show("s79").ended_at.expect("ended");
    let apart = (noted.as_second() - jiff::Timestamp::now().as_second()).abs();
    assert!(
        apart > 60
            || load
                .place
                .show("s40")
                .ended_at
                .is_some_and(|other| { (other.as_second() - jiff::Timestamp::now().as_second()).abs() > 60 }),
        "libfaketime does its part"
    );
    tell(test, &endings);
}

#[test]
#[ignore = "takes minutes; scripts/test --long runs it"]
fn a_damaged_record_is_rejected_and_all_others_run() {
    let mut load = Load::new();
    let worker = load.place.worker(&["--slots", "2"]);
    let database =
        rusqlite::Connection::open(load.place.folder().join("state/queue/queue.db")).expect("opens");
    database.busy_timeout(Duration::from_secs(10)).expect("set");
    let damage: [&[u8]; 3] = [b"\xff\x00\xff", b"{", b""];
    let update = "UPDATE payload SET payload = ?1 WHERE step = (SELECT number FROM step WHERE id = ?2)";
    let mut damaged = Vec::new();
    for number in 0..60 {
        let name = format!("s{number}");
        // Held back until it is damaged.
        let payload = step(&load.script(&name, "0.002"));
        let mut envelope = envelope(&name, &payload);
        envelope.not_before = Some(jiff::Timestamp::now() + Duration::from_millis(300));
        load.place.put(envelope);
        if number % 5 == 0 {
            let bytes = damage[number / 5 % damage.len()];
            database.execute(update, rusqlite::params![bytes, name]).expect("damaged");
            damaged.push(name);
        } else {
            load.steps.insert(name, false);
        }
    }
    load.wait_for_all(LEASE_OVER, &worker);
    for name in &damaged {
        let ending = load.place.ended(name);
        let is_told =
            matches!((ending.reason, ending.exit_code), (Reason::Rejected, 75) | (Reason::Refused, 65));
        assert!(is_told, "{name}: {ending:?}");
        assert_eq!(load.noted(name, "start"), 0, "{name} was run");
    }
    let endings = load.check();
    assert_eq!(endings.get("Completed"), Some(&48), "{endings:?}");
    tell("damaged records", &endings);
}
