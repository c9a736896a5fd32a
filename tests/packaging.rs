//! The worker's unit: systemd understands it, it closes what it says it closes, and what runs under it can.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use kubestep::limits::parse_duration;

use crate::harness::tools::repository;
use crate::harness::{Run, skipped, step};

/// What systemd 252 gives is 1.9 and 3.0; another version has other questions.
const EXPOSURE: [(&str, u32); 2] = [("", 25), ("step-user.conf", 35)];

fn packaging(name: &str) -> String {
    fs::read_to_string(repository().join("packaging").join(name)).expect("text")
}

/// A folder with the unit, its program in its place and, where one is named, a file that changes it.
fn unit(change: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let unit = folder.path().join("kubestep-worker.service");
    let text =
        packaging("kubestep-worker.service").replace("/usr/bin/kubestep", env!("CARGO_BIN_EXE_kubestep"));
    fs::write(&unit, text).expect("written");
    if !change.is_empty() {
        let changes = folder.path().join("kubestep-worker.service.d");
        fs::create_dir(&changes).expect("made");
        fs::write(changes.join(change), packaging(change)).expect("written");
    }
    (folder, unit)
}

fn analyze(arguments: &[&str], unit: &Path) -> Option<Output> {
    let output = Command::new("systemd-analyze").args(arguments).arg(unit).output();
    if output.is_err() {
        skipped("systemd-analyze is not installed");
    }
    output.ok()
}

fn words(output: &Output) -> String {
    let both = [&*output.stdout, &*output.stderr].concat();
    String::from_utf8_lossy(&both).into_owned()
}

#[test]
fn systemd_finds_no_fault_in_the_unit() {
    for (change, _) in EXPOSURE {
        let (_folder, unit) = unit(change);
        let Some(output) = analyze(&["verify", "--man=no"], &unit) else { return };
        assert!(output.status.success() && words(&output).is_empty(), "{change}: {}", words(&output));
    }
    let (_folder, unit) = unit("");
    fs::write(&unit, packaging("kubestep-worker.service") + "[Service]\nKillMode=gently\n").expect("written");
    let Some(output) = analyze(&["verify", "--man=no"], &unit) else { return };
    assert!(words(&output).contains("gently"), "a fault is found: {}", words(&output));
}

#[test]
fn the_unit_is_as_closed_as_it_says() {
    for (change, most) in EXPOSURE {
        let (_folder, unit) = unit(change);
        let threshold = format!("--threshold={most}");
        let Some(output) = analyze(&["security", "--offline=true", "--no-pager", &threshold], &unit) else {
            return;
        };
        assert!(output.status.success(), "{change}: {}", words(&output));
        let told = words(&output);
        let told = told.lines().last().unwrap_or_default();
        assert!(told.contains("Overall exposure level"), "{told}");
    }
}

/// The values of a setting, in order.
fn values(unit: &str, name: &str) -> Vec<String> {
    let given = unit.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    given.map(str::to_owned).collect()
}

/// `70min` as systemd writes it.
fn seconds(text: &str) -> u64 {
    let text = text.replace("min", "m");
    parse_duration(&text).expect("a duration").as_secs()
}

#[test]
fn systemd_waits_until_a_worker_that_drains_has_ended() {
    let unit = packaging("kubestep-worker.service");
    let config = packaging("worker.toml");
    let of = |name: &str| {
        let line =
            config.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" = \"")?.strip_suffix('"'));
        seconds(line.expect("it is there"))
    };
    // Then each step that still runs gets TERM and its grace, and what is left a few seconds more.
    let needed = of("drainTimeout") + of("grace") + 30;
    let given = seconds(&values(&unit, "TimeoutStopSec")[0]);
    assert!(given >= needed, "{given} s for {needed} s");
    assert_eq!(values(&unit, "KillMode"), ["mixed"], "TERM is the worker's alone");
    let watchdog = seconds(&values(&unit, "WatchdogSec")[0]);
    assert!(watchdog >= 2 * kubestep::worker::status::STANDSTILL.as_secs(), "a slow turn is no death");
}

#[test]
fn the_workers_user_is_one_that_systemd_makes() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir(folder.path().join("etc")).expect("made");
    let output = Command::new("systemd-sysusers")
        .arg(format!("--root={}", folder.path().display()))
        .arg(repository().join("packaging/kubestep.sysusers"))
        .output();
    let Ok(output) = output else { return skipped("systemd-sysusers is not installed") };
    if !rustix::process::geteuid().is_root() {
        return skipped("only root can make users");
    }
    assert!(output.status.success(), "{}", words(&output));
    let users = fs::read_to_string(folder.path().join("etc/passwd")).expect("users");
    let user = users.lines().find(|line| line.starts_with("kubestep:")).expect("the user");
    assert!(user.contains(":/var/lib/kubestep:"), "{user}");
    assert_eq!(values(&packaging("kubestep-worker.service"), "User"), ["kubestep"]);
}

/// Every call that a set of systemd's allows.
fn calls(set: &str, sets: &BTreeMap<String, Vec<String>>) -> BTreeSet<String> {
    let members = sets.get(set).unwrap_or_else(|| panic!("no set {set}"));
    let of = |member: &String| match member.starts_with('@') {
        true => calls(member, sets),
        false => BTreeSet::from([member.clone()]),
    };
    members.iter().flat_map(of).collect()
}

/// What the unit's filter lets through.
fn allowed() -> Option<BTreeSet<String>> {
    let output = Command::new("systemd-analyze").args(["--no-pager", "syscall-filter"]).output();
    let Ok(output) = output else {
        skipped("systemd-analyze is not installed");
        return None;
    };
    let (mut sets, mut current) = (BTreeMap::<String, Vec<String>>::new(), String::new());
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        if line.starts_with('@') {
            current = line.trim().to_owned();
        } else if let Some(member) = line.strip_prefix("    ").filter(|member| !member.starts_with('#')) {
            sets.entry(current.clone()).or_default().push(member.trim().to_owned());
        }
    }
    // systemd itself needs these, and always allows them.
    let mut allowed = calls("@default", &sets);
    for filter in values(&packaging("kubestep-worker.service"), "SystemCallFilter") {
        let forbids = filter.starts_with('~');
        for set in filter.trim_start_matches('~').split(' ') {
            let calls = calls(set, &sets);
            allowed = if forbids { &allowed - &calls } else { &allowed | &calls };
        }
    }
    Some(allowed)
}

/// The calls in strace's words: `1234 openat(AT_FDCWD, …`.
fn traced(text: &str) -> BTreeSet<String> {
    let call = |line: &str| -> Option<String> {
        let rest = line.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start();
        let name = rest.split_once('(')?.0;
        let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        is_name.then(|| name.to_owned())
    };
    text.lines().filter_map(call).collect()
}

#[test]
fn a_worker_and_its_step_make_no_call_that_the_unit_forbids() {
    if Command::new("strace").arg("-V").output().is_err() {
        return skipped("strace is not installed");
    }
    let Some(allowed) = allowed() else { return };
    let script = "kubectl version --client >/dev/null; jq -n 1; echo a > a; cp -p a b; sed -i s/a/b/ b; \
        tar cf t a b; tar xpf t; (sleep 0.1 & wait); nice -n 1 true; ulimit -c 0; mktemp >/dev/null; chown $(id -u) a; \
        seq 5000"; // A log this long is synced by itself.
    let run = Run::new(step(script));
    // Writes the payload.
    drop(run.command());
    let start = |words: &[&str]| {
        let mut command = Command::new(words[0]);
        command.args(&words[1..]);
        run.surround(&mut command);
        let output = command.output().expect("it starts");
        assert!(output.status.success(), "{}", self::words(&output));
    };
    let (program, payload) = (env!("CARGO_BIN_EXE_kubestep"), run.payload_path().display().to_string());
    start(&[program, "submit", &payload]);
    let trace = run.folder().join("trace");
    let trace_text = trace.display().to_string();
    let strace = ["strace", "-f", "-qq", "-o", &trace_text];
    start(&[&strace[..], &[program, "worker", "--once", "--listen", "127.0.0.1:0"]].concat());
    let made = traced(&fs::read_to_string(&trace).expect("a trace"));
    for call in ["execve", "flock", "inotify_add_watch", "listen", "fdatasync", "fchown"] {
        assert!(made.contains(call), "{call} is not in {made:?}");
    }
    let forbidden: Vec<&String> = made.difference(&allowed).collect();
    assert!(forbidden.is_empty(), "{forbidden:?}");
    assert!(!allowed.contains("mount") && !allowed.contains("ptrace") && !allowed.contains("bpf"));
}
