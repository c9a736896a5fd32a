//! How a step ends: every code and reason of the contract, and what a stop does.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::harness::run::eventually;
use crate::harness::{Run, step};

#[track_caller]
fn ends(script: &str, code: i32, reason: &str, message: &str) {
    let error = if code == 0 { String::new() } else { format!("kubestep: error: {message}\n") };
    let done = Run::new(step(script)).code(code).stderr(&error).check();
    assert_eq!(done.result["reason"], reason);
    assert_eq!(done.result["message"], message);
}

#[test]
fn a_script_that_ends_by_itself_gives_its_own_code() {
    ends("exit 0", 0, "Completed", "the script completed");
    ends("exit 3", 3, "ScriptFailed", "the script exited with code 3");
    ends("exit 65", 65, "ScriptFailed", "the script exited with code 65");
    ends("exit 255", 255, "ScriptFailed", "the script exited with code 255");
}

#[test]
fn a_script_that_a_signal_ends_gives_128_and_the_signal() {
    ends("kill -KILL $$", 137, "ScriptFailed", "the script was ended by signal 9");
    let done = Run::new(step("kill -TERM $$")).code(143).any_output().check();
    assert_eq!(done.result["reason"], "ScriptFailed");
    assert_eq!(done.result["script"], serde_json::json!({"exitCode": null, "signal": 15}));
}

#[test]
fn a_time_out_gives_term_and_124() {
    let payload = step("trap 'echo got TERM; exit 0' TERM; echo ready; while :; do sleep 0.01; done");
    let payload = format!("{payload}limits: {{timeout: 300ms}}\n");
    let done = Run::new(payload).code(124).any_output().check();
    assert_eq!(done.stdout, "ready\ngot TERM\n");
    // bash may say before it that its sleep was terminated.
    assert!(done.stderr.ends_with("kubestep: error: limits.timeout has passed\n"), "{}", done.stderr);
    assert_eq!(done.result["reason"], "TimedOut");
    assert_eq!(done.result["script"]["exitCode"], 0);
}

#[test]
fn a_signal_to_the_agent_cancels_the_step() {
    for (signal, code, name) in
        [(Signal::HUP, 129, "HUP"), (Signal::INT, 130, "INT"), (Signal::TERM, 143, "TERM")]
    {
        let mut running = Run::new(step("echo ready; sleep 60"))
            .code(code)
            .stdout("ready\n")
            .stderr(&format!("kubestep: error: cancelled by {name}\n"))
            .start();
        running.wait_for_stdout("ready\n");
        running.signal(signal);
        let done = running.check();
        assert_eq!(done.result["reason"], "Cancelled");
    }
}

#[test]
fn a_script_that_ignores_term_is_killed_after_its_grace() {
    let payload = step("trap '' TERM; echo ready; while :; do sleep 0.01; done") + "limits: {grace: 300ms}\n";
    let mut running = Run::new(payload).code(143).any_output().start();
    running.wait_for_stdout("ready\n");
    let stopped = Instant::now();
    running.signal(Signal::TERM);
    let done = running.check();
    let took = stopped.elapsed();
    assert!(took >= Duration::from_millis(300), "the grace was cut to {took:?}");
    assert_eq!(done.result["script"], serde_json::json!({"exitCode": null, "signal": 9}));
}

#[test]
fn a_second_signal_kills_at_once() {
    let payload =
        step("trap 'echo got TERM' TERM; echo ready; while :; do sleep 0.01; done") + "limits: {grace: 1h}\n";
    let mut running = Run::new(payload).code(130).any_output().start();
    running.wait_for_stdout("ready\n");
    running.signal(Signal::INT);
    running.wait_for_stdout("got TERM\n");
    running.signal(Signal::TERM);
    let done = running.check();
    assert_eq!(done.result["reason"], "Cancelled");
    assert_eq!(done.result["message"], "cancelled by INT", "the first reason is the one told");
}

#[test]
fn a_leftover_of_the_script_neither_outlives_nor_holds_the_step() {
    let done = Run::new(step("sleep 300 & echo $!")).any_output().check();
    let pid = done.stdout.trim();
    assert!(!std::path::Path::new("/proc").join(pid).exists(), "the leftover {pid} lives");
}

#[test]
fn the_phases_and_the_tools_are_in_the_result() {
    let done = Run::new(step("exit 0")).check();
    let names: Vec<&str> = done.result["phases"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|phase| phase["name"].as_str())
        .collect();
    assert_eq!(names, ["plan", "workspace", "credential", "namespace", "script", "log"]);
    let kubectl =
        done.result["tools"].as_array().expect("a list").iter().find(|tool| tool["name"] == "kubectl");
    let version = kubectl.expect("it was found")["version"].as_str().expect("it told its version").to_owned();
    assert!(version.starts_with("1."), "{version}");
    assert_eq!(
        done.result["target"],
        serde_json::json!({"server": "https://127.0.0.1:1", "namespace": "default", "auth": "token"})
    );
}

#[test]
fn a_stop_while_a_tool_is_tried_ends_that_too() {
    let run = Run::new(step("echo started")).code(143).any_output();
    let stand_in = run.folder().join("stand-in-kubectl");
    std::fs::write(&stand_in, "#!/bin/bash\necho $$ >\"${0%/*}/pid\"; sleep 300 & wait\n").expect("written");
    std::fs::set_permissions(&stand_in, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("ours");
    let pid_file = run.folder().join("pid");
    let payload = step("echo started") + "tools: {kubectl: stand-in-kubectl}\n";
    let running = run.payload(payload).start();
    let mut tried = String::new();
    eventually("the tool is tried", Duration::from_secs(10), || {
        tried = std::fs::read_to_string(&pid_file).unwrap_or_default();
        tried.ends_with('\n')
    });
    running.signal(Signal::TERM);
    running.check();
    let tool: i32 = tried.trim().parse().expect("a pid");
    eventually("the tool is gone", Duration::from_secs(1), || !crate::cleanup::alive(tool));
}
