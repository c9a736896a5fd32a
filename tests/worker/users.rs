//! Steps that run as users of their own: what they cannot read, and whom they cannot signal.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use kubestep::outcome::Reason;
use kubestep::queue::LogStream;

use super::Place;
use crate::harness::{Run, skipped, step};

const USERS: &str = "61001-61002";

/// A place whose state folder a step user can reach its own folder in; `None` skips.
fn place() -> Option<Place> {
    if !rustix::process::geteuid().is_root() {
        skipped("only root can run steps as other users");
        return None;
    }
    let run = Run::new("").env("A_SECRET_OF_THE_WORKER", "worker-secret-value");
    for folder in [run.folder(), &run.folder().join("state")] {
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o711)).expect("ours");
    }
    Some(Place::of(run))
}

/// What a step must not be able to do, each with its name; `told` is what another slot's step says of itself.
fn tries(place: &Place, pid: i32, told: &[&str]) -> [(&'static str, String); 14] {
    let (work, kubeconfig, agent, script) = (told[0], told[1], told[2], told[3]);
    let queue = place.folder().join("state/queue");
    let database = queue.join("queue.db").display().to_string();
    let config = place.folder().join("config.toml").display().to_string();
    [
        ("database", format!("cat {database}")),
        ("queue", format!("ls {}", queue.display())),
        ("state", format!("ls {}", place.folder().join("state").display())),
        ("config", format!("cat {config}")),
        ("environ", format!("cat /proc/{pid}/environ")),
        ("memory", format!("head -c1 /proc/{pid}/mem")),
        ("own-agent", "cat /proc/$PPID/environ".into()),
        ("work", format!("cat {work}/mine")),
        ("kubeconfig", format!("cat {kubeconfig}")),
        ("other-environ", format!("cat /proc/{script}/environ")),
        ("other-home", "ls $HOME/../../61001".into()),
        ("kill-worker", format!("kill -0 {pid}")),
        ("kill-agent", format!("kill -0 {agent}")),
        ("kill-script", format!("kill -0 {script}")),
    ]
}

#[test]
fn a_step_reads_nothing_of_the_workers_nor_of_another_slots_and_signals_neither() {
    let Some(place) = place() else { return };
    let config = place.folder().join("config.toml");
    std::fs::write(&config, "mask = '[hidden]'\n").expect("written");
    std::fs::set_permissions(&config, std::fs::Permissions::from_mode(0o600)).expect("ours");
    // The one holds still, and says where it is; the other tries.
    place.submit(
        "a",
        &step("echo secret-of-a >mine; pwd; echo $KUBECONFIG; echo $PPID; echo $$; echo ready; sleep 30"),
    );
    let flags = ["--slots", "2", "--step-user", USERS, "--config", &config.display().to_string()];
    let worker = place.worker(&flags);
    place.wait_for("a", "ready\n");
    let told = place.text("a", LogStream::Stdout);
    let told: Vec<&str> = told.lines().collect();
    let pid = worker.pid();
    let tries = tries(&place, pid, &told);
    let script: String = tries
        .iter()
        .map(|(name, line)| format!("{line} >/dev/null 2>&1 && echo can {name} || echo cannot {name}\n"))
        .collect();
    let script = format!(
        "{script}id -u; id -g; id -G; echo $HOME; ls -A $HOME; env | grep -c SECRET_OF_THE_WORKER; \
         grep CapEff /proc/self/status; touch $HOME/left; echo end"
    );
    place.submit("b", &step(&script));
    let ending = place.ended("b");
    assert_eq!(ending.reason, Reason::Completed, "{} {}", ending.message, worker.lines());
    let seen = place.text("b", LogStream::Stdout);
    let mut lines = seen.lines();
    for (name, _) in &tries {
        assert_eq!(lines.next(), Some(format!("cannot {name}").as_str()), "{seen}");
    }
    let home = place.folder().join("state/users/61002/home").display().to_string();
    let rest: Vec<&str> = lines.collect();
    assert_eq!(rest, ["61002", "61002", "61002", &home, "0", "CapEff:\t0000000000000000", "end"], "{seen}");
    assert!(!worker.lines().contains("SameUser"), "{}", worker.lines());
    // What the test itself tries would work for the worker's own user: the tries are good ones.
    let database = place.folder().join("state/queue/queue.db");
    for path in [&database, &Path::new(told[0]).join("mine"), Path::new(told[1]), &config] {
        assert!(std::fs::read(path).is_ok(), "{}", path.display());
    }
    // The next step of the slot finds nothing of this one.
    place.submit("c", &step("ls -A $HOME; pwd; echo end"));
    assert_eq!(place.ended("c").reason, Reason::Completed);
    let told = place.text("c", LogStream::Stdout);
    assert!(told.lines().count() == 2 && told.ends_with("end\n"), "{told}");
    assert_eq!(place.cancel("a"), kubestep::queue::State::Running);
    assert_eq!(place.ended("a").reason, Reason::Cancelled);
}

#[test]
fn a_killed_step_of_another_user_is_cleaned_up_too() {
    let Some(place) = place() else { return };
    place.submit("a", &step("trap '' TERM; echo $$; while :; do sleep 0.01; done"));
    let worker = place.worker(&["--step-user", "61001"]);
    place.wait_for("a", "\n");
    let script: i32 = place.text("a", LogStream::Stdout).trim().parse().expect("a pid");
    let agent = crate::harness::run::first_child(worker.pid());
    crate::harness::run::signal_pid(agent, rustix::process::Signal::KILL);
    assert_eq!(place.ended("a").reason, Reason::AgentFailed);
    assert!(!crate::cleanup::alive(script));
}

#[test]
fn a_closed_folder_is_told_before_anything_runs() {
    let Some(place) = place() else { return };
    std::fs::set_permissions(place.folder(), std::fs::Permissions::from_mode(0o700)).expect("ours");
    let output = place.command(&["--step-user", "61001"]).output().expect("it runs");
    let told = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(70), "{told}");
    assert!(told.contains("is closed to other users"), "{told}");
}
