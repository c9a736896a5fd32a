//! How a tree ends: in time, whoever is stopped, traced or holds a pipe; and that nobody polls meanwhile.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::{marked, marker, ways, with_mark};
use crate::harness::run::{eventually, signal_pid};
use crate::harness::{Run, skipped, step};

/// Beyond a grace: the promise, and what a loaded test machine adds.
const SLACK: Duration = Duration::from_millis(1500);

#[test]
fn a_tree_that_ignores_term_is_gone_soon_after_its_grace() {
    for way in ways().into_iter().filter(|way| !way.name.contains("namespace")) {
        let mark = marker();
        let ignores = "trap '' TERM; for i in {1..20}; do setsid sleep 300 & done; echo ready; while :; do sleep 1; done";
        let payload = with_mark(&step(ignores), &mark) + "limits: {grace: 500ms}\n";
        let mut running = way.apply(Run::new(payload)).code(143).any_output().start();
        running.wait_for_stdout("ready\n");
        let stopped = Instant::now();
        running.signal(Signal::TERM);
        eventually("the tree is empty", Duration::from_millis(500) + SLACK, || marked(&mark).is_empty());
        assert!(stopped.elapsed() >= Duration::from_millis(500), "{}", way.name);
        running.check();
    }
}

#[test]
fn term_reaches_every_group_and_what_is_written_then_is_not_lost() {
    for way in ways() {
        let script = "setsid bash -c 'trap \"echo last words; exit\" TERM; touch \"$HOME/up\"; while :; do sleep 0.01; done' & \
            while [ ! -e \"$HOME/up\" ]; do sleep 0.01; done";
        let done = way.apply(Run::new(step(script) + "limits: {grace: 20s}\n")).any_output().check();
        assert_eq!(done.stdout, "last words\n", "{}", way.name);
        assert_eq!(done.result["tree"]["leftovers"][0]["name"], "bash", "{}", way.name);
    }
}

#[test]
fn a_stopped_script_and_a_traced_one_end_with_the_step() {
    for way in ways().into_iter().filter(|way| !way.name.contains("namespace")) {
        let payload = step("echo ready; kill -STOP $$; sleep 300") + "limits: {grace: 30s}\n";
        let mut running = way.apply(Run::new(payload)).code(143).stdout("ready\n").any_output().start();
        running.wait_for_stdout("ready\n");
        running.signal(Signal::TERM);
        let stopped = Instant::now();
        running.check();
        assert!(stopped.elapsed() < Duration::from_secs(10), "CONT follows TERM ({})", way.name);
    }
    if Command::new("strace").arg("-V").stdout(Stdio::null()).status().is_err() {
        skipped("strace is not installed");
        return;
    }
    let mark = marker();
    let script = "strace -f -o /dev/null setsid sleep 300 & sleep 0.3; echo ready; sleep 300";
    let payload = with_mark(&step(script), &mark) + "limits: {grace: 300ms}\n";
    let mut running = Run::new(payload).code(143).any_output().start();
    running.wait_for_stdout("ready\n");
    running.signal(Signal::TERM);
    running.check();
    assert!(marked(&mark).is_empty());
}

#[test]
fn a_pipe_that_a_stranger_holds_open_does_not_hold_the_step() {
    // A process of the test opens the script's stdout through /proc, and keeps it beyond the step's end.
    let mut running = Run::new(step(
        "echo $$ >\"$HOME/pid\"; echo ready; while [ ! -e \"$HOME/go\" ]; do sleep 0.01; done; echo end",
    ))
    .any_output()
    .start();
    running.wait_for_stdout("ready\n");
    let pid = std::fs::read_to_string(running.folder().join("home/pid")).expect("written");
    let held =
        std::fs::OpenOptions::new().write(true).open(format!("/proc/{}/fd/1", pid.trim())).expect("opened");
    std::fs::write(running.folder().join("home/go"), "").expect("written");
    let done = running.check();
    assert_eq!(done.stdout, "ready\nend\n");
    drop(held);
}

#[test]
fn a_supervisor_that_is_stopped_does_not_hold_a_stop() {
    let payload = step("trap '' TERM; echo ready; while :; do sleep 0.05; done") + "limits: {grace: 100ms}\n";
    let mut running = Run::new(payload).code(70).any_output().start();
    running.wait_for_stdout("ready\n");
    signal_pid(running.supervisor(), Signal::STOP);
    running.signal(Signal::TERM);
    let stopped = Instant::now();
    let done = running.check();
    assert_eq!(done.result["reason"], "AgentFailed");
    assert!(stopped.elapsed() < Duration::from_secs(10), "{:?}", stopped.elapsed());
}

#[test]
fn hup_that_was_ignored_at_the_start_stays_ignored() {
    let script = "echo ready; while [ ! -e \"$HOME/go\" ]; do sleep 0.01; done; echo end";
    let mut running = Run::new(step(script)).by_way_of(&["nohup"]).stdout("ready\nend\n").start();
    running.wait_for_stdout("ready\n");
    running.signal(Signal::HUP);
    std::fs::write(running.folder().join("home/go"), "").expect("written");
    running.check();
}

#[test]
fn ps_lists_the_steps_that_run() {
    let mut running =
        Run::new(step("echo ready; while [ ! -e \"$HOME/go\" ]; do sleep 0.01; done")).any_output().start();
    running.wait_for_stdout("ready\n");
    let ps = |output: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kubestep"));
        command.args(["ps", "-o", output]).env("XDG_RUNTIME_DIR", running.folder().join("run"));
        String::from_utf8(
            command.env("TMPDIR", running.folder().join("tmp")).output().expect("it runs").stdout,
        )
        .expect("text")
    };
    let listed: Vec<serde_json::Value> = serde_json::from_str(&ps("json")).expect("JSON");
    let ours = listed.iter().find(|one| one["pid"] == running.pid()).expect("it is listed");
    assert_eq!(ours["step"], "test");
    assert_eq!(ours["supervisor"], running.supervisor());
    let table = ps("text");
    let mut lines = table.lines();
    assert_eq!(
        lines.next().expect("a head").split_whitespace().collect::<Vec<_>>(),
        ["PID", "STEP", "SINCE", "WORKSPACE"]
    );
    assert!(
        lines.any(|line| line.starts_with(&running.pid().to_string()) && line.contains("  test  ")),
        "{table}"
    );
    std::fs::write(running.folder().join("home/go"), "").expect("written");
    running.check();
}

#[test]
fn nobody_polls_while_a_script_sleeps() {
    if Command::new("strace").arg("-V").stdout(Stdio::null()).status().is_err() {
        skipped("strace is not installed");
        return;
    }
    let mut running =
        Run::new(step("echo ready; while [ ! -e \"$HOME/go\" ]; do sleep 1; done")).any_output().start();
    running.wait_for_stdout("ready\n");
    // What the start leaves to do is done by then: the move into a cgroup, the look for dead steps.
    std::thread::sleep(Duration::from_millis(500));
    for pid in [running.pid(), running.supervisor()] {
        let traced = Command::new("timeout")
            .args(["-s", "INT", "2", "strace", "-f", "-c", "-p", &pid.to_string()])
            .output()
            .expect("it runs");
        let table = String::from_utf8_lossy(&traced.stderr).into_owned();
        if !table.contains("attached") {
            skipped("strace may not attach here");
            break;
        }
        let calls: u32 = table
            .lines()
            .filter(|line| line.contains('.'))
            .filter_map(|line| line.split_whitespace().nth(3)?.parse::<u32>().ok())
            .sum();
        // A sleep of bash's that ends meanwhile is reaped by bash; the interruption by strace itself may be seen.
        assert!(calls <= 12, "{calls} calls in two seconds:\n{table}");
    }
    std::fs::write(running.folder().join("home/go"), "").expect("written");
    running.check();
}
