//! What is done about steps whose agent and supervisor were killed at once: their processes are killed, their
//! folders and cgroups removed.
//!
//! Which step is dead, its lock decides. Which processes are its own, its cgroup does; where it had none, whoever
//! was started with its kubeconfig, which stands in a folder with a name of 16 random letters, and whoever descends
//! from one of those. A process that has left its session, its parents and its environment is not found: only a
//! cgroup holds such a one.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::cgroup::Cgroup;
use super::process::{self, Process};
use crate::limits::KILL_PATIENCE;
use crate::workspace::remains::{self, Remains};

/// One dead step.
pub struct Dead {
    /// Its folder in memory.
    pub private: PathBuf,
    /// Its folder on disk, its name and its beginning, where it came to that.
    pub step: Option<DeadStep>,
    /// Its processes that still lived.
    pub processes: usize,
    /// Whether it is gone now; nothing was done for a mere look.
    pub removed: io::Result<()>,
}

/// What the lock of a dead step says.
pub struct DeadStep {
    /// The step's name.
    pub name: String,
    /// RFC 3339, UTC.
    pub since: String,
    /// Its folder on disk.
    pub work: PathBuf,
}

/// Removes what dead steps left.
#[must_use]
pub fn sweep(roots: &[PathBuf]) -> Vec<Dead> {
    remains::find(roots).remains.iter().map(|one| dead(one, || end(one))).collect()
}

/// Waits until the step of an agent that died is over, which its supervisor sees to, and sweeps. Where that takes longer
/// than `patience`, what is left is for a later sweep.
pub fn follow(roots: &[PathBuf], agent: i32, patience: Duration) {
    let end = Instant::now() + patience;
    // The look itself must not be held on to: who sweeps holds what it found.
    let lives = || remains::find(roots).living.iter().any(|one| one.owner.agent == agent);
    while lives() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(5));
    }
    drop(sweep(roots));
}

/// Waits until no process of a user is left, who has nothing but the step of an agent that died; for as long as
/// `patience`, after which those that still are get KILL. What is left of the step's folders is for a later sweep.
pub fn follow_user(uid: u32, patience: Duration) {
    let end = Instant::now() + patience;
    loop {
        let mut left = process::all();
        left.retain(|one| one.is_alive() && one.real_user() == Some(uid));
        if left.is_empty() {
            return;
        }
        if Instant::now() > end {
            return left.iter().for_each(|one| one.signal(Signal::KILL));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Says what [`sweep`] would remove.
#[must_use]
pub fn look(roots: &[PathBuf]) -> Vec<Dead> {
    remains::find(roots).remains.iter().map(|one| dead(one, || Ok(()))).collect()
}

fn dead(remains: &Remains, act: impl FnOnce() -> io::Result<()>) -> Dead {
    let step = remains.owner.as_ref().map(|owner| DeadStep {
        name: owner.step.clone(),
        since: owner.since.clone(),
        work: owner.work.clone(),
    });
    let processes = processes(remains).len();
    Dead { private: remains.private.clone(), step, processes, removed: act() }
}

fn end(remains: &Remains) -> io::Result<()> {
    let cgroup = cgroup(remains);
    if let Some(cgroup) = &cgroup {
        // One that was never made, or of another boot, cannot be killed and has nobody in it.
        drop(cgroup.kill());
    }
    let end = Instant::now() + KILL_PATIENCE;
    loop {
        let left = processes(remains);
        if left.is_empty() {
            break;
        }
        if Instant::now() > end {
            return Err(io::Error::other(format!("{} of its processes outlive KILL", left.len())));
        }
        left.iter().for_each(|process| process.signal(Signal::KILL));
        std::thread::sleep(Duration::from_millis(2));
    }
    cgroup.map_or(Ok(()), |cgroup| cgroup.remove())?;
    remains.remove()
}

fn cgroup(remains: &Remains) -> Option<Cgroup> {
    remains.owner.as_ref().and_then(|owner| owner.cgroup.clone()).map(Cgroup::named)
}

/// Everybody of the dead step who lives.
fn processes(remains: &Remains) -> Vec<Process> {
    if !remains.is_of_this_boot() {
        return Vec::new();
    }
    let Some(owner) = &remains.owner else { return Vec::new() };
    let members: BTreeSet<i32> =
        cgroup(remains).map(|cgroup| cgroup.members()).unwrap_or_default().into_iter().collect();
    let mark = mark(&remains.private);
    let own = rustix::process::getpid().as_raw_nonzero().get();
    let (mut found, mut numbers) = (Vec::new(), members);
    let mut others: Vec<Process> = process::all();
    others.retain(|one| one.is_alive() && one.number() != own && one.start >= owner.start_time);
    // Until nobody is added: a child can stand before its parent in the list.
    loop {
        let (ours, rest): (Vec<Process>, Vec<Process>) = others.into_iter().partition(|one| {
            numbers.contains(&one.number()) || numbers.contains(&one.parent) || carries(one, &mark)
        });
        if ours.is_empty() {
            return found;
        }
        numbers.extend(ours.iter().map(Process::number));
        found.extend(ours);
        others = rest;
    }
}

/// What the environment of every process of a step has, unless it was taken away: a payload cannot set it.
fn mark(private: &Path) -> Vec<u8> {
    format!("KUBECONFIG={}/kubeconfig", private.display()).into_bytes()
}

fn carries(process: &Process, mark: &[u8]) -> bool {
    let environment = fs::read(format!("/proc/{}/environ", process.number())).unwrap_or_default();
    environment.split(|byte| *byte == 0).any(|variable| variable == mark)
}
