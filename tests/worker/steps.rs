//! Steps that a worker runs: which, as whom, and what is told of them.

use std::path::Path;
use std::time::{Duration, Instant};

use kubestep::outcome::Reason;
use kubestep::queue::{LogStream, Needs, State};
use rustix::process::Signal;

use super::{Place, SOON, envelope};
use crate::harness::cluster::cluster;
use crate::harness::run::{children, eventually, names_in, signal_pid};
use crate::harness::{Run, step};

#[test]
fn a_step_runs_on_a_real_cluster_and_its_masked_log_is_there_in_order() {
    let Some(cluster) = cluster() else { return };
    let token = cluster.read("adminToken").trim().to_owned();
    let ca = serde_json::json!(cluster.read("ca"));
    let script =
        "echo first; kubectl get namespace default -o name; echo $TOKEN_IN_THE_LOG; echo last; exit 3";
    let payload = cluster
        .step(&format!("{{token: {token}}}"), script)
        .replace(&format!("{{fromFile: {}}}", cluster.fact("ca")), &ca.to_string());
    let payload = format!("{payload}environment: {{TOKEN_IN_THE_LOG: {token}}}\n");
    let place = Place::new();
    place.submit("real", &payload);
    let mut worker = place.worker(&["--once", "--log-format", "json", "--name", "w-1"]);
    let ending = place.ended("real");
    assert_eq!((ending.reason, ending.exit_code), (Reason::ScriptFailed, 3));
    let result = ending.result.expect("a document");
    assert_eq!((&result["kind"], &result["exitCode"]), (&"StepResult".into(), &3.into()));
    assert_eq!(place.text("real", LogStream::Stderr), "");
    assert_eq!(place.text("real", LogStream::Stdout), "first\nnamespace/default\n********\nlast\n");
    assert_eq!(worker.code(), Some(0));
    let entry = place.show("real");
    assert_eq!((entry.worker.as_deref(), entry.epoch), (Some("w-1"), 1));
    assert!(entry.started_at.is_some() && entry.ended_at >= entry.started_at);

    let lines = worker.lines();
    let lines: Vec<serde_json::Value> =
        lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let of_step: Vec<_> = lines.iter().filter(|line| line["step"] == "real").collect();
    assert_eq!(of_step.len(), 2, "{lines:?}");
    assert!(of_step[0]["message"].as_str().expect("text").ends_with("started"));
    assert_eq!((&of_step[1]["reason"], &of_step[1]["exitCode"]), (&"ScriptFailed".into(), &3.into()));
    assert!(of_step[1]["time"].as_str().expect("a time").contains('T'));
    assert!(lines.iter().any(|line| line["code"] == "SameUser"));
    let all = format!("{lines:?}");
    assert!(!all.contains(&token) && !all.contains("first"), "the step's log is not the worker's: {all}");
}

#[test]
fn a_worker_takes_what_it_can_run_and_leaves_the_rest() {
    let place = Place::new();
    let labelled = |label: &str| Needs { labels: [("zone".into(), label.into())].into(), ..Needs::default() };
    let needs = |tool: &str| Needs { capabilities: [tool.into()].into(), ..Needs::default() };
    let payload = step("echo ran");
    let mut there = envelope("tool-there", &payload);
    there.needs = needs("xargs");
    let mut missing = envelope("tool-missing", &payload);
    missing.needs = needs("no-such-tool");
    let (mut ours, mut others) = (envelope("our-zone", &payload), envelope("other-zone", &payload));
    (ours.needs, others.needs) = (labelled("eu"), labelled("us"));
    let mut pool = envelope("other-pool", &payload);
    pool.pool = "gpu".into();
    for one in [there, missing, ours, others, pool] {
        place.put(one);
    }
    let mut worker = place.worker(&["--label", "zone=eu", "--idle-exit", "300ms"]);
    assert_eq!(worker.code(), Some(0), "{}", worker.lines());
    for (name, state) in [
        ("tool-there", State::Ended),
        ("our-zone", State::Ended),
        ("tool-missing", State::Queued),
        ("other-zone", State::Queued),
        ("other-pool", State::Queued),
    ] {
        assert_eq!(place.show(name).state, state, "{name}: {}", worker.lines());
    }
    assert_eq!(place.ended("tool-there").reason, Reason::Completed);
}

#[test]
fn a_payload_that_names_what_is_the_workers_is_refused() {
    let place = Place::of(Run::new("").env("A_SECRET_OF_THE_WORKER", "not for steps"));
    let payload =
        step("echo started").replace("token: token-of-the-test", "token: {fromEnv: A_SECRET_OF_THE_WORKER}");
    place.submit("variable", &payload);
    place.submit("file", &step("x").replace("token: token-of-the-test", "token: {fromFile: /etc/hostname}"));
    place.submit("no-step", "kind: Pod");
    let config = place.folder().join("config.toml");
    std::fs::write(&config, "[maxima]\ntimeout = '1m'\n").expect("written");
    place.submit("too-long", &(step("x") + "limits: {timeout: 2m}\n"));
    let mut worker = place.worker(&["--max-steps", "4", "--config", &config.display().to_string()]);
    assert_eq!(worker.code(), Some(0), "{}", worker.lines());
    for name in ["variable", "file", "no-step", "too-long"] {
        let ending = place.ended(name);
        assert_eq!((ending.reason, ending.exit_code), (Reason::Refused, 65), "{name}: {}", ending.message);
    }
}

#[test]
fn slots_run_beside_each_other_and_steps_of_one_key_do_not() {
    let place = Place::new();
    // Each waits for the other's file, so they end only if they run at the same time.
    let meet = |own: &str, other: &str| {
        let folder = place.folder().display();
        step(&format!("touch {folder}/{own}; until [ -e {folder}/{other} ]; do sleep 0.02; done"))
    };
    place.submit("a", &meet("a", "b"));
    place.submit("b", &meet("b", "a"));
    let mark = place.folder().join("alone").display().to_string();
    let alone = step(&format!("mkdir {mark} && sleep 0.2 && rmdir {mark}"));
    for name in ["c", "d", "e"] {
        let mut keyed = envelope(name, &alone);
        keyed.concurrency_key = Some("shop".into());
        place.put(keyed);
    }
    let mut worker = place.worker(&["--slots", "2", "--max-steps", "5"]);
    for name in ["a", "b", "c", "d", "e"] {
        assert_eq!(place.ended(name).reason, Reason::Completed, "{name}");
    }
    assert_eq!(worker.code(), Some(0), "{}", worker.lines());
    for name in ["tmp", "run"] {
        assert_eq!(names_in(&place.folder().join(name)), Vec::<String>::new(), "left in {name}");
    }
}

#[test]
fn a_cancelled_step_ends_well_before_a_heartbeat() {
    let place = Place::new();
    place.submit("a", &step("trap 'echo got TERM; exit 0' TERM; echo ready; while :; do sleep 0.01; done"));
    let worker = place.worker(&[]);
    place.wait_for("a", "ready\n");
    let cancelled = Instant::now();
    assert_eq!(place.cancel("a"), State::Running);
    let ending = place.ended("a");
    let took = cancelled.elapsed();
    assert!(took < Duration::from_secs(3), "{took:?}");
    assert_eq!((ending.reason, ending.exit_code), (Reason::Cancelled, 143));
    assert_eq!(ending.message, "cancelled on its queue");
    assert_eq!(place.text("a", LogStream::Stdout), "ready\ngot TERM\n");
    // And the next one runs.
    place.submit("b", &step("exit 0"));
    assert_eq!(place.ended("b").reason, Reason::Completed, "{}", worker.lines());
}

#[test]
fn a_long_log_arrives_whole_and_a_failure_is_tried_again() {
    let place = Place::new();
    place.submit("long", &step("seq 1 300000; echo end >&2"));
    let mut again = envelope("again", &step("echo try; exit 7"));
    again.retry.on_failure = 2;
    place.put(again);
    let mut worker = place.worker(&["--max-steps", "4"]);
    assert_eq!(worker.code(), Some(0), "{}", worker.lines());
    let expected: String = (1..=300_000).map(|number| format!("{number}\n")).collect();
    assert!(place.text("long", LogStream::Stdout) == expected, "the log has gaps or doubles");
    assert_eq!(place.text("long", LogStream::Stderr), "end\n");
    assert_eq!(place.ended("again").exit_code, 7);
    assert_eq!((place.show("again").failures, place.show("again").epoch), (2, 3));
    assert_eq!(place.text("again", LogStream::Stdout), "try\ntry\ntry\n");
}

#[test]
fn the_config_is_read_again_at_hup_and_a_wrong_one_is_not_taken() {
    let place = Place::of(Run::new("").env("ALLOWED_ONE", "value-of-the-worker"));
    let config = place.folder().join("config.toml");
    std::fs::write(&config, "").expect("written");
    let worker = place.worker(&["--config", &config.display().to_string()]);
    let payload = step("echo started") + "environment: {MINE: {fromEnv: ALLOWED_ONE}}\n";
    place.submit("before", &payload);
    assert_eq!(place.ended("before").reason, Reason::Refused);
    std::fs::write(&config, "[remote]\nenvironment = ['ALLOWED_*']\n").expect("written");
    worker.signal(Signal::HUP);
    worker.wait_for("the config was read again: what steps may do");
    place.submit("after", &payload);
    assert_eq!(place.ended("after").reason, Reason::Completed);
    std::fs::write(&config, "[remote]\nenvironement = []\n").expect("written");
    worker.signal(Signal::HUP);
    worker.wait_for("not taken");
    place.submit("still", &payload);
    assert_eq!(place.ended("still").reason, Reason::Completed);
}

#[test]
fn settings_are_printed_with_where_they_come_from_and_wrong_ones_are_refused() {
    let place = Place::of(Run::new("").env("KUBESTEP_POOL", "shop"));
    let output = place.command(&["--slots", "3", "--print-config"]).output().expect("it runs");
    assert!(output.status.success());
    let told = String::from_utf8(output.stdout).expect("text");
    assert!(
        told.contains("slots = 3  # --slots\n") && told.contains("pool = \"shop\"  # KUBESTEP_POOL\n"),
        "{told}"
    );
    let queue = format!("queue = \"sqlite:{}\"\n", place.folder().join("state/queue").display());
    assert!(told.contains(&queue), "{told}");
    for (flags, code, words) in [
        (&["--queue", "nats://user:hunter22@nats.example"][..], 64, "later"),
        (&["--idle-exit", "soon"], 64, "idleExit: expected a duration"),
        (&["--step-user", "root"], 64, "the step user: steps must not run as root"),
        (&["--pool", "a b"], 64, "pool: expected 1 to 64 letters"),
        (&["--slots", "0"], 64, "0 is not in 1..=1024"),
        (&["--queue", "sqlite:/proc/no-queue"], 70, "sqlite:/proc/no-queue"),
    ] {
        let output = place.command(flags).output().expect("it runs");
        let told = String::from_utf8(output.stderr).expect("text");
        assert_eq!(output.status.code(), Some(code), "{flags:?}: {told}");
        assert!(told.contains(words) && !told.contains("hunter22"), "{told}");
    }
    let unfit = place.command(&[]).env("PATH", "/nowhere").output().expect("it runs");
    let told = String::from_utf8(unfit.stderr).expect("text");
    assert_eq!(unfit.status.code(), Some(69), "{told}");
    assert!(told.contains("no step can run here") && told.contains("kubectl"), "{told}");
}

#[test]
fn a_process_that_waits_for_a_step_is_replaced_when_it_dies_and_ends_with_the_worker() {
    let place = Place::new();
    let mut worker = place.worker(&["--slots", "1"]);
    let waiting = |why: &str, not: Option<i32>| {
        let mut found = None;
        eventually(why, SOON, || {
            found = children(worker.pid()).into_iter().find(|pid| Some(*pid) != not);
            found.is_some()
        });
        found.expect("one")
    };
    place.submit("a", &step("echo ran"));
    assert_eq!(place.ended("a").reason, Reason::Completed);
    let first = waiting("one waits after a step", None);
    signal_pid(first, Signal::KILL);
    place.submit("b", &step("echo ran"));
    assert_eq!(place.ended("b").reason, Reason::Completed);
    let second = waiting("another one waits", Some(first));
    worker.signal(Signal::TERM);
    assert_eq!(worker.code(), Some(0));
    eventually("it ends with the worker", SOON, || !Path::new(&format!("/proc/{second}")).exists());
}
