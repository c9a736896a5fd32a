//! Processes that multiply, or that never stay: each ends itself after some seconds, should nobody do it.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::{Way, marked, marker, ways, with_mark};
use crate::harness::{Run, step};

/// One that forks, leaves group and session, and ends, over and over.
const HOPPER: &str = "perl -MPOSIX -e '$SIG{TERM} = \"IGNORE\"; my $end = time + 20; \
    while (time < $end) { my $pid = fork; exit if $pid; POSIX::setsid() }' &";

/// COUNT of them at once, born in a row of doublings, each of which hops every PAUSE seconds.
const BOMB: &str = "perl -MPOSIX -e '$SIG{TERM} = \"IGNORE\"; $SIG{CHLD} = \"IGNORE\"; my $end = time + 20; \
    for (1 .. DOUBLINGS) { fork; POSIX::setsid() } \
    while (time < $end) { my $pid = fork; exit if $pid; POSIX::setsid(); select undef, undef, undef, PAUSE }' &";

/// One at a time: beside a thousand processes, nobody else has the time that it is given.
static TURN: Mutex<()> = Mutex::new(());

fn is_beaten(bomb: &str, way: Way, name: &str) {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let mark = marker();
    let payload = with_mark(&step(&format!("{bomb}\nsleep 0.5; echo ready; sleep 60")), &mark);
    let mut running =
        way.apply(Run::new(payload + "limits: {grace: 100ms}\n")).code(143).any_output().start();
    running.wait_for_stdout("ready\n");
    let stopped = Instant::now();
    // unshare does not hand signals on.
    let agent = if way.name.contains("namespace") { running.supervisor() } else { running.pid() };
    crate::harness::run::signal_pid(agent, Signal::TERM);
    let done = running.check();
    let took = stopped.elapsed();
    assert!(took < Duration::from_secs(8), "{name} ({}): {took:?}", way.name);
    assert!(marked(&mark).is_empty(), "{name} ({}): {} live", way.name, marked(&mark).len());
    // A thousand on two busy cores can take longer than the two seconds after which survivors are named; the
    // kill goes on while the workspace is closed, and what counts is that nobody lives when the step is over.
    if name != "thousand" {
        assert_eq!(done.result["tree"]["survivors"], serde_json::json!([]), "{name} ({})", way.name);
    }
}

#[test]
fn a_hopper_is_caught() {
    ways().into_iter().for_each(|way| is_beaten(HOPPER, way, "hopper"));
}

#[test]
fn a_bomb_of_a_hundred_is_beaten() {
    let bomb = BOMB.replace("DOUBLINGS", "7").replace("PAUSE", "0.05");
    ways().into_iter().for_each(|way| is_beaten(&bomb, way, "bomb"));
}

#[test]
#[ignore = "takes minutes; scripts/test --long runs it"]
fn a_bomb_of_a_thousand_is_beaten() {
    let bomb = BOMB.replace("DOUBLINGS", "10").replace("PAUSE", "0.5");
    ways().into_iter().for_each(|way| is_beaten(&bomb, way, "thousand"));
}
