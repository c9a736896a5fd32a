//! Agent and supervisor killed together, at any moment: what is left goes with the next step, and only that.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;

use super::{marked, marker, ways, with_mark};
use crate::cleanup::alive;
use crate::harness::run::{children, eventually, first_child, names_in, signal_pid};
use crate::harness::{Run, step};

/// `kubestep sweep` with a run's folders.
fn sweep(folder: &Path, flags: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_kubestep"))
        .arg("sweep")
        .args(flags)
        .env_clear()
        .env("XDG_RUNTIME_DIR", folder.join("run"))
        .env("TMPDIR", folder.join("tmp"))
        .output()
        .expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// Kills both at once: neither can do anything for the other.
fn kill_both(agent: i32) {
    signal_pid(agent, Signal::STOP);
    let supervisors = children(agent);
    supervisors.iter().for_each(|pid| signal_pid(*pid, Signal::STOP));
    let both = || supervisors.iter().chain([&agent]);
    both().for_each(|pid| signal_pid(*pid, Signal::KILL));
    eventually("both are dead", Duration::from_secs(5), || !both().any(|pid| alive(*pid)));
}

fn left(folder: &Path) -> Vec<String> {
    ["run", "tmp"]
        .iter()
        .flat_map(|name| names_in(&folder.join(name)))
        .filter(|name| name.contains("kubestep-"))
        .collect()
}

#[test]
fn what_is_left_when_everything_is_killed_at_once_is_swept_and_only_that() {
    for way in ways().into_iter().filter(|way| way.name.split(',').count() == 1) {
        let (mark, other) = (marker(), marker());
        let script = "setsid sleep 300 & (setsid bash -c 'sleep 300 & sleep 300' &); mkdir -p a/b; touch a/b/c; echo ready; sleep 300";
        let mut running = way.apply(Run::new(with_mark(&step(script), &mark))).any_output().start();
        running.wait_for_stdout("ready\n");
        std::thread::sleep(Duration::from_millis(200));
        // Strangers: a living step, a process and folders with names like ours.
        let mut living = Run::new(with_mark(
            &step("echo ready; while [ ! -e \"$HOME/go\" ]; do sleep 0.01; done"),
            &other,
        ));
        living = living.env("XDG_RUNTIME_DIR", running.folder().join("run").display().to_string());
        let mut living = living.any_output().start();
        living.wait_for_stdout("ready\n");
        let mut stranger = stranger(running.folder());
        kill_both(running.pid());
        let folder = running.folder().to_owned();
        let told = sweep(&folder, &["--dry-run"]);
        assert!(told.starts_with("would remove ") && told.contains("of the step test since"), "{told}");
        assert!(!marked(&mark).is_empty(), "a look changes nothing ({})", way.name);
        let told = sweep(&folder, &[]);
        assert!(
            told.starts_with("removed ") && told.lines().count() == 1 && told.contains("processes"),
            "{told}"
        );
        assert!(marked(&mark).is_empty(), "({})", way.name);
        assert!(stranger.try_wait().expect("ours").is_none(), "the stranger lives");
        assert_eq!(marked(&other).len().min(1), 1, "the other step lives");
        assert_eq!(names_in(&folder.join("tmp")), ["kubestep-0123456789abcdef-work", "kubestep-stranger"]);
        assert!(sweep(&folder, &[]).is_empty(), "nothing is left");
        stranger.kill().expect("ours");
        stranger.wait().expect("ours");
        std::fs::write(living.folder().join("home/go"), "").expect("written");
        living.check();
        drop(running.end());
    }
}

/// A process with the supervisor's name, and folders that look like a step's.
fn stranger(folder: &Path) -> Child {
    for name in
        ["run/kubestep-0123456789abcdef", "tmp/kubestep-0123456789abcdef-work", "tmp/kubestep-stranger"]
    {
        std::fs::create_dir(folder.join(name)).expect("made");
    }
    Command::new("bash")
        .args(["-c", "exec -a 'kubestep __tree' sleep 300"])
        .current_dir(folder.join("tmp/kubestep-stranger"))
        .stdin(Stdio::null())
        .spawn()
        .expect("it starts")
}

#[test]
fn the_next_run_sweeps_too() {
    let mark = marker();
    let mut running = Run::new(with_mark(&step("echo ready; sleep 300"), &mark)).any_output().start();
    running.wait_for_stdout("ready\n");
    let folder = running.folder().to_owned();
    kill_both(running.pid());
    assert!(!left(&folder).is_empty());
    let next = Run::new(step("exit 0")).env("XDG_RUNTIME_DIR", folder.join("run").display().to_string());
    next.check();
    assert!(left(&folder).is_empty() && marked(&mark).is_empty(), "{:?}", left(&folder));
    drop(running.end());
}

#[test]
fn the_supervisors_death_leaves_no_escaped_process_and_no_zombie() {
    for way in ways().into_iter().filter(|way| way.name.split(',').count() == 1) {
        let mark = marker();
        let script = "setsid sleep 300 & (setsid bash -c 'trap \"\" TERM; sleep 300 & sleep 300' &); sleep 0.1; echo ready; sleep 300";
        let mut running = way.apply(Run::new(with_mark(&step(script), &mark))).code(70).any_output().start();
        running.wait_for_stdout("ready\n");
        signal_pid(running.supervisor(), Signal::KILL);
        let done = running.check();
        assert!(marked(&mark).is_empty(), "({})", way.name);
        assert_eq!(done.result["tree"]["survivors"], serde_json::json!([]), "({})", way.name);
    }
}

/// The agent's session and process group are 0 there: they belong to processes outside of its namespace.
#[test]
fn the_supervisors_death_is_survived_in_a_pid_namespace_too() {
    let Some(way) = ways().into_iter().find(|way| way.name == "sweep, in a pid namespace") else { return };
    let mark = marker();
    let script = "setsid sleep 300 & sleep 0.1; echo ready; sleep 300";
    let mut running = way.apply(Run::new(with_mark(&step(script), &mark))).code(70).any_output().start();
    running.wait_for_stdout("ready\n");
    // Process 1 there is the agent's parent.
    let agent = first_child(first_child(running.pid()));
    signal_pid(first_child(agent), Signal::KILL);
    let done = running.check();
    assert_eq!(done.result["reason"], "AgentFailed");
    assert!(marked(&mark).is_empty());
}

#[test]
fn process_one_outlives_an_agent_that_is_killed_until_its_supervisor_has_removed_all() {
    let Some(way) = ways().into_iter().find(|way| way.name == "sweep, in a pid namespace") else { return };
    let mark = marker();
    let script = "setsid sleep 300 & sleep 0.1; echo ready; sleep 300";
    let mut running = way.apply(Run::new(with_mark(&step(script), &mark))).any_output().start();
    running.wait_for_stdout("ready\n");
    let folder = running.folder().to_owned();
    signal_pid(first_child(first_child(running.pid())), Signal::KILL);
    let (status, _done) = running.end();
    assert_eq!(status.code(), Some(137));
    assert_eq!(left(&folder), Vec::<String>::new());
    assert!(marked(&mark).is_empty());
}

#[test]
fn the_agents_death_leaves_no_escaped_process() {
    for way in ways().into_iter().filter(|way| !way.name.contains("namespace")) {
        let mark = marker();
        let script = "trap '' TERM; setsid sleep 300 & (setsid bash -c 'trap \"\" TERM; sleep 300 & sleep 300' &); sleep 0.1; echo ready; sleep 300";
        let mut running = way.apply(Run::new(with_mark(&step(script), &mark))).any_output().start();
        running.wait_for_stdout("ready\n");
        let folder = running.folder().to_owned();
        running.signal(Signal::KILL);
        eventually("all is gone", Duration::from_secs(2), || {
            marked(&mark).is_empty() && left(&folder).is_empty()
        });
        drop(running.end());
    }
}

/// Kills with -9 after `after`, the agent alone or both, and sees that nothing is left after a sweep.
fn kill_after(after: Duration, both: bool) {
    let mark = marker();
    let payload = with_mark(&step("setsid sleep 300 & mkdir -p a/b; sleep 300"), &mark);
    let running = Run::new(payload).any_output().start();
    std::thread::sleep(after);
    if both {
        kill_both(running.pid())
    } else {
        running.signal(Signal::KILL)
    }
    let folder = running.folder().to_owned();
    if both {
        sweep(&folder, &[]);
    }
    let gone = || marked(&mark).is_empty() && left(&folder).is_empty();
    eventually(&format!("nothing is left after {after:?}, both: {both}"), Duration::from_secs(3), gone);
    drop(running.end());
}

fn at_random_moments(count: u64) {
    // No chance is needed for every moment to be met: the steps of this row have no common measure with anything.
    for index in 0..count {
        let micros = (index * 7919) % 60_000;
        kill_after(Duration::from_micros(micros), index % 2 == 0);
    }
}

#[test]
fn killed_at_twenty_moments_nothing_is_left() {
    at_random_moments(20);
}

#[test]
#[ignore = "takes minutes; scripts/test --long runs it"]
fn killed_at_a_hundred_moments_nothing_is_left() {
    at_random_moments(100);
}
