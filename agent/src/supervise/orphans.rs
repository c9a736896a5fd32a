//! What the agent does when a supervisor of its own is gone: the tree has come to the agent, which is a subreaper
//! too, and is killed and reaped here.
//!
//! The agent has other children: those that it started itself are in its session, and other supervisors are known.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions};
use tokio::time::Instant;

use super::cgroup::Cgroup;
use super::control::{Left, Named};
use super::process::{self, Process};
use crate::limits::KILL_PATIENCE;

/// The supervisors of this process: which children the kernel gave to it, and which are its own, is a question
/// about the whole process.
static SUPERVISORS: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

/// A supervisor that is known as long as this lives.
pub(super) struct Known(i32);

impl Known {
    pub(super) fn new(pid: i32) -> Self {
        supervisors(|known| known.insert(pid));
        Self(pid)
    }

    pub(super) fn pid(&self) -> i32 {
        self.0
    }
}

impl Drop for Known {
    fn drop(&mut self) {
        supervisors(|known| known.remove(&self.0));
    }
}

fn supervisors<T>(act: impl FnOnce(&mut BTreeSet<i32>) -> T) -> T {
    act(&mut SUPERVISORS.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Kills what this process has started outside of any supervisor: a tool that is being tried when the step is
/// stopped, and that nobody waits for any more.
pub fn end_others() {
    let known = supervisors(|known| known.clone());
    let own = rustix::process::getpid().as_raw_nonzero().get();
    process::signal_by_group(&process::descendants(own, &known), Signal::KILL);
}

/// Kills and reaps whoever came to us from the supervisor `dead`; gives who would not die.
pub(super) async fn end(dead: i32, cgroup: Option<PathBuf>) -> Left {
    let cgroup = cgroup.map(Cgroup::named);
    let end = Instant::now() + KILL_PATIENCE;
    let mut seen = BTreeSet::new();
    loop {
        if let Some(cgroup) = &cgroup {
            // There may be none.
            drop(cgroup.kill());
        }
        let orphans = orphans(dead, cgroup.as_ref());
        if orphans.is_empty() {
            break;
        }
        if Instant::now() > end {
            let named = orphans.iter().map(|one| Named { pid: one.number(), name: one.name.clone() });
            return Left { count: orphans.len(), named: named.collect() };
        }
        process::signal_by_group(&orphans, Signal::KILL);
        // The kernel tells a subreaper of adopted children by SIGCHLD only, which tokio keeps to itself.
        tokio::time::sleep(Duration::from_millis(2)).await;
        seen.extend(orphans.iter().map(Process::number));
        seen.iter().for_each(|pid| reap(*pid));
    }
    seen.iter().for_each(|pid| reap(*pid));
    if let Some(cgroup) = &cgroup {
        // Not worth a word beside the supervisor's death; the next sweep has the lock for it.
        drop(cgroup.remove());
    }
    Left::default()
}

/// By its number alone: the others are waited for by whoever started them.
fn reap(orphan: i32) {
    let _ = rustix::process::waitpid(Pid::from_raw(orphan), WaitOptions::NOHANG);
}

fn orphans(dead: i32, cgroup: Option<&Cgroup>) -> Vec<Process> {
    let own = rustix::process::getpid().as_raw_nonzero().get();
    let session = process::own().session;
    let mut others = supervisors(|known| known.clone());
    others.remove(&dead);
    let mut orphans = process::descendants(own, &others);
    let members = cgroup.map(Cgroup::members).unwrap_or_default();
    orphans.extend(members.into_iter().filter_map(Process::read).filter(Process::is_alive));
    // What the agent started itself stays in its session; a tree has sessions of its own.
    orphans.retain(|one| one.session != session && one.number() != dead);
    orphans
}
