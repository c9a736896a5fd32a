//! Nothing is left behind, whoever dies first.

use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;

use crate::harness::run::{eventually, names_in, signal_pid};
use crate::harness::{Run, Running, step};

fn script_pid(running: &mut Running) -> i32 {
    running.wait_for_stdout("ready\n");
    let pid = std::fs::read_to_string(running.folder().join("home/pid")).expect("the script wrote it");
    pid.trim().parse().expect("a pid")
}

/// A zombie is dead, once its last thread is: it only waits for whoever adopted it. Until then it holds its files and their
/// locks, though its first thread may be dead.
pub(crate) fn alive(pid: i32) -> bool {
    let threads = names_in(Path::new(&format!("/proc/{pid}/task"))).len();
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.contains(") Z ") || threads > 1)
}

const WAITS: &str = "trap '' TERM; echo $$ >\"$HOME/pid\"; echo ready; while :; do sleep 0.05; done";

#[test]
fn when_the_agent_is_killed_the_script_and_the_workspace_go_within_a_second() {
    let mut running = Run::new(step(WAITS)).start();
    let script = script_pid(&mut running);
    let folder = running.folder().to_owned();
    assert_eq!(names_in(&folder.join("run")).len(), 1, "the workspace is there while the script runs");
    running.signal(Signal::KILL);
    eventually("script and folders are gone", Duration::from_secs(1), || {
        !alive(script) && names_in(&folder.join("run")).is_empty() && names_in(&folder.join("tmp")).is_empty()
    });
    let (status, _) = running.end();
    assert_eq!(status.code(), None);
}

#[test]
fn when_the_supervisor_is_killed_the_agent_does_its_work_and_says_so() {
    let mut running = Run::new(step(WAITS)).code(70).any_output().start();
    let script = script_pid(&mut running);
    signal_pid(running.supervisor(), Signal::KILL);
    let done = running.check();
    assert_eq!(done.result["reason"], "AgentFailed");
    assert_eq!(done.stderr, "kubestep: error: the supervisor process was ended\n");
    assert!(!alive(script), "the script lives");
}

#[test]
fn what_a_script_closes_against_its_owner_goes_too() {
    let script = "mkdir -p a/b \"$TMPDIR/c\"; touch a/b/file; chmod 0 a/b a \"$TMPDIR/c\"";
    let by_way_of = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    if rustix::process::geteuid().is_root() {
        crate::secrets::as_nobody(Run::new(step(script)), &by_way_of).check();
    } else {
        Run::new(step(script)).check();
    }
}
