//! Ways out of a process group, a session, a name: none is one out of the step.

use std::time::{Duration, Instant};

use super::{marked, marker, ways, with_mark};
use crate::harness::{Run, step};

/// Each leaves at least one process that would live for minutes.
const ESCAPES: [(&str, &str); 11] = [
    ("background", "sleep 300 &"),
    ("nohup", "nohup sleep 300 >/dev/null 2>&1 &"),
    ("setsid", "setsid sleep 300 &"),
    ("double fork", "(setsid bash -c 'sleep 300 & sleep 300 &' &)"),
    ("disowned and silent", "setsid bash -c 'exec </dev/null >/dev/null 2>&1; sleep 300' & disown"),
    ("TERM ignored", "setsid bash -c 'trap \"\" TERM HUP INT; while :; do sleep 1; done' &"),
    ("another name", "(exec -a '[kworker/0:1]' sleep 300) &"),
    ("its working directory and root", "(cd / && setsid sleep 300) &"),
    (
        "a daemon",
        "perl -MPOSIX -e 'fork and exit; setsid; fork and exit; chdir \"/\"; close STDIN; close STDOUT; close STDERR; sleep 300'",
    ),
    ("stopped", "setsid sleep 300 & kill -STOP $!"),
    (
        "in the supervisor's own group",
        "perl -e 'my $p = getppid; if (fork) { exit } setpgrp(0, getpgrp($p)) or die; sleep 300'",
    ),
];

#[test]
fn no_escape_outlives_a_script_that_ends() {
    for way in ways() {
        for (name, escape) in ESCAPES {
            let mark = marker();
            let payload = with_mark(&step(&format!("{escape}\nsleep 0.05\nexit 3")), &mark);
            let started = Instant::now();
            let done = way.apply(Run::new(payload + "limits: {grace: 300ms}\n")).code(3).any_output().check();
            assert!(marked(&mark).is_empty(), "{name} ({})", way.name);
            assert!(started.elapsed() < Duration::from_secs(10), "{name} ({}): it hung", way.name);
            let tree = &done.result["tree"];
            assert!(tree["leftoverCount"].as_u64().expect("a number") >= 1, "{name} ({}): {tree}", way.name);
            assert_eq!(tree["survivors"], serde_json::json!([]), "{name} ({})", way.name);
        }
    }
}

#[test]
fn no_escape_outlives_a_script_that_is_cancelled() {
    for way in ways() {
        let mark = marker();
        let all: String = ESCAPES.iter().map(|(_, escape)| format!("{escape}\n")).collect();
        let payload = with_mark(&step(&format!("{all}sleep 0.05; echo ready; sleep 300")), &mark);
        let run = way.apply(Run::new(payload + "limits: {grace: 500ms, timeout: 1s}\n"));
        let mut running = run.code(124).any_output().start();
        running.wait_for_stdout("ready\n");
        let found = marked(&mark).len();
        assert!(found > ESCAPES.len(), "{found} processes ({})", way.name);
        let done = running.check();
        assert!(marked(&mark).is_empty(), "({})", way.name);
        assert_eq!(done.result["tree"]["survivors"], serde_json::json!([]), "({})", way.name);
    }
}

#[test]
fn a_process_in_a_pid_namespace_of_its_own_ends_with_the_step() {
    if !rustix::process::geteuid().is_root() {
        crate::harness::skipped("only root can make a pid namespace here");
        return;
    }
    for method in ["auto", "sweep"] {
        let mark = marker();
        let script =
            "unshare --pid --fork --mount-proc bash -c 'setsid sleep 300 & setsid sleep 300' & sleep 0.1";
        let run = Run::new(with_mark(&step(script), &mark)).env("KUBESTEP_TREE", method);
        run.any_output().check();
        assert!(marked(&mark).is_empty(), "{method}");
    }
}

#[test]
fn the_method_stands_in_the_result() {
    for way in ways() {
        let done = way.apply(Run::new(step("sleep 0.2"))).check();
        let expected = if way.method == "sweep" || !super::has_cgroup() { "sweep" } else { "cgroup" };
        assert_eq!(done.result["tree"]["method"], expected, "{}", way.name);
        assert_eq!(done.result["tree"]["leftoverCount"], 0, "{}", way.name);
    }
    assert!(super::has_cgroup() || super::cgroups().is_empty());
}

#[test]
fn leftovers_are_named_masked_and_never_with_their_arguments() {
    let script =
        "cp /bin/sleep ./token-of-the-te; (exec -a x sleep 3141592) & ./token-of-the-te 3141593 & sleep 0.05";
    let payload = step(script).replace("{token: token-of-the-test}", "{token: token-of-the-te}");
    let done = Run::new(payload).loud().any_output().check();
    let tree = &done.result["tree"];
    assert_eq!(tree["leftoverCount"], 2);
    let names: Vec<&str> =
        tree["leftovers"].as_array().expect("a list").iter().filter_map(|one| one["name"].as_str()).collect();
    assert!(names.contains(&"sleep") && names.contains(&"********"), "{names:?}");
    let line = done.stderr.lines().find(|line| line.contains("left processes behind")).expect("it is said");
    assert!(line.contains("sleep (") && line.contains("******** (") && !line.contains("314159"), "{line}");
    assert!(!done.result.to_string().contains("314159"), "{}", done.result["tree"]);
}
