//! Five hundred steps, eight at a time, cancelled and killed: nothing is left of any of them.

use std::collections::BTreeMap;
use std::time::Duration;

use rustix::process::Signal;

use super::{cgroups, marked, marker, with_mark};
use crate::harness::run::{children, eventually, names_in, signal_pid};
use crate::harness::{Run, step};

const STEPS: usize = 500;
const AT_A_TIME: usize = 8;

const SCRIPT: &str = "setsid sleep 300 & (setsid bash -c 'trap \"\" TERM; sleep 300 & sleep 300' &); \
    touch \"$TMPDIR/file\"; sleep 0.0INDEX; echo line; exit 0";

fn one(index: usize, shared: &std::path::Path) {
    let payload = step(&SCRIPT.replace("INDEX", &index.to_string()));
    let mark = shared.file_name().expect("named").to_string_lossy().into_owned();
    let run = Run::new(with_mark(&payload, &mark) + "limits: {grace: 50ms}\n");
    let run =
        run.env("XDG_RUNTIME_DIR", shared.display().to_string()).env("TMPDIR", shared.display().to_string());
    let running = run.any_output().start();
    std::thread::sleep(Duration::from_millis((index * 13 % 60) as u64));
    match index % 10 {
        0 | 1 => running.signal(Signal::TERM),
        2 | 3 => running.signal(Signal::KILL),
        4 => {
            let supervisor = children(running.pid()).into_iter().next();
            supervisor.into_iter().for_each(|pid| signal_pid(pid, Signal::KILL));
        }
        _ => {}
    }
    drop(running.end());
}

fn descriptors() -> usize {
    names_in(std::path::Path::new("/proc/self/fd")).len()
}

#[test]
#[ignore = "takes minutes; scripts/test --long runs it"]
fn five_hundred_steps_leave_nothing() {
    let folder = tempfile::Builder::new().prefix(&marker()).tempdir().expect("a folder");
    let shared = folder.path().to_owned();
    let (before, groups) = (descriptors(), cgroups());
    let mut workers = BTreeMap::new();
    for worker in 0..AT_A_TIME {
        let shared = shared.clone();
        let work = move || (worker..STEPS).step_by(AT_A_TIME).for_each(|index| one(index, &shared));
        workers.insert(worker, std::thread::spawn(work));
    }
    workers.into_values().for_each(|worker| worker.join().expect("every step went as it should"));
    let mark = shared.file_name().expect("named").to_string_lossy().into_owned();
    Run::new(step("exit 0")).env("XDG_RUNTIME_DIR", shared.display().to_string()).check();
    eventually("no process is left", Duration::from_secs(5), || marked(&mark).is_empty());
    assert!(names_in(&shared).is_empty(), "{:?}", names_in(&shared));
    assert!(cgroups().into_iter().all(|group| groups.contains(&group)), "{:?}", cgroups());
    assert!(descriptors() <= before + 2, "{before} descriptors before, {} after", descriptors());
}
