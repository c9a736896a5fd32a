//! A disk that is full under the queue, and a queue whose folder goes away.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use kubestep::outcome::Reason;
use kubestep::queue::{LogStream, State};
use rustix::process::Signal;

use super::{LEASE_OVER, Load, tell};
use crate::cleanup::alive;
use crate::harness::run::eventually;
use crate::harness::{Run, skipped, step};
use crate::worker::Place;

/// A small disk of its own, in memory.
struct Disk(PathBuf);

impl Disk {
    /// `None`: nothing can be mounted here.
    fn new(folder: &Path) -> Option<Self> {
        std::fs::create_dir_all(folder).expect("made");
        let mount = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=6m,mode=0700", "tmpfs"])
            .arg(folder)
            .stderr(std::process::Stdio::null())
            .status();
        mount.is_ok_and(|status| status.success()).then(|| Self(folder.to_owned()))
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }

    /// Takes all that is free, to the last byte.
    fn fill(&self) {
        let mut file =
            std::fs::OpenOptions::new().create(true).append(true).open(self.filler()).expect("opens");
        for size in [65_536, 4096, 1] {
            while file.write_all(&vec![0; size]).is_ok() {}
        }
    }

    fn free(&self) {
        std::fs::remove_file(self.filler()).expect("removed");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let umount = std::process::Command::new("umount").arg("--lazy").arg(&self.0).status();
        drop(umount);
    }
}

fn on_a_small_disk() -> Option<(Disk, Load)> {
    let run = Run::new("");
    let Some(disk) = Disk::new(&run.folder().join("state/queue")) else {
        skipped("no file system can be mounted here");
        return None;
    };
    Some((disk, Load::of(Place::of(run))))
}

#[test]
#[ignore = "takes minutes; scripts/test --long runs it"]
fn a_disk_that_is_full_for_a_while_costs_no_step_and_no_line() {
    let Some((disk, mut load)) = on_a_small_disk() else { return };
    for number in 0..16 {
        load.submit(&format!("s{number}"), false, "0.1");
    }
    let worker = load.place.worker(&["--slots", "4"]);
    eventually("steps run", super::super::SOON, || load.in_state(State::Running) == 4);
    for _ in 0..3 {
        disk.fill();
        std::thread::sleep(Duration::from_secs(3));
        disk.free();
        std::thread::sleep(Duration::from_millis(500));
    }
    load.wait_for_all(LEASE_OVER, &worker);
    let endings = load.check();
    assert_eq!(endings.get("Completed"), Some(&16), "{endings:?}\n{}", worker.lines());
    tell("a disk full for a while", &endings);
}

#[test]
#[ignore = "takes minutes; scripts/test --long runs it"]
fn a_disk_that_is_full_past_a_lease_loses_what_runs_and_nothing_else() {
    let Some((disk, mut load)) = on_a_small_disk() else { return };
    load.submit("long", false, "10");
    load.submit("waits", false, "0.01");
    let worker = load.place.worker(&[]);
    eventually("it runs", super::super::SOON, || load.place.show("long").state == State::Running);
    disk.fill();
    // What cannot renew its lease has ended its step before the lease is over, and says so.
    std::thread::sleep(Duration::from_secs(65));
    disk.free();
    load.wait_for_all(LEASE_OVER, &worker);
    let endings = load.check();
    tell("a disk full past a lease", &endings);
    assert_eq!(load.place.ended("waits").reason, Reason::Completed, "{}", worker.lines());
}

#[test]
#[ignore = "takes minutes; scripts/test --long runs it"]
fn a_queue_that_is_removed_ends_what_runs_and_makes_no_worker_spin() {
    let load = Load::new();
    load.place.submit(
        "a",
        &(step("trap '' TERM; echo $$; while :; do sleep 0.05; done") + "limits: {grace: 1h}\n"),
    );
    let mut worker = load.place.worker(&["--slots", "2"]);
    load.place.wait_for("a", "\n");
    let script: i32 = load.place.text("a", LogStream::Stdout).trim().parse().expect("a pid");
    let folder = load.place.folder().join("state/queue");
    std::fs::remove_dir_all(&folder).expect("removed");
    let (begun, before) = (Instant::now(), processor_time(worker.pid()));
    eventually("the script is gone", Duration::from_secs(61), || !alive(script));
    let used = processor_time(worker.pid()) - before;
    assert!(used < Duration::from_secs(3), "{used:?} in {:?}", begun.elapsed());
    assert!(worker.lines().contains("the queue sqlite:"), "{}", worker.lines());
    assert!(!folder.join("queue.db").exists(), "nobody makes another queue in silence");
    worker.signal(Signal::TERM);
    assert!(worker.code().is_some());
}

/// What a process has used of processors.
fn processor_time(pid: i32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it lives");
    let fields: Vec<&str> = stat.rsplit(") ").next().expect("Linux").split(' ').collect();
    let ticks: u64 = fields[11..13].iter().map(|ticks| ticks.parse::<u64>().expect("a number")).sum();
    Duration::from_millis(ticks * 10)
}
