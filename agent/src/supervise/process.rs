//! Processes as /proc shows them, and signals that reach exactly the process that was looked at.
//!
//! A pid is only a number: it can come back for a stranger. So a process is known by its pid and its start time,
//! and before a signal is sent both are compared again, with the process held by a pidfd.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// A process at one moment.
#[derive(Clone, Debug)]
pub(super) struct Process {
    pub(super) pid: Pid,
    pub(super) parent: i32,
    pub(super) group: i32,
    pub(super) session: i32,
    pub(super) name: String,
    /// In clock ticks since boot.
    pub(super) start: u64,
    state: u8,
    threads: u64,
}

impl Process {
    /// Reads one; `None` where there is none.
    pub(super) fn read(pid: i32) -> Option<Self> {
        let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
        Self::parse(pid, &stat)
    }

    /// proc(5), stat. The name, field 2, may hold anything, brackets too: fields are counted behind its end.
    fn parse(pid: i32, stat: &[u8]) -> Option<Self> {
        let from = stat.iter().position(|byte| *byte == b'(')?;
        let to = stat.iter().rposition(|byte| *byte == b')')?;
        let name = String::from_utf8_lossy(stat.get(from + 1..to)?).into_owned();
        let rest = std::str::from_utf8(&stat[to + 1..]).ok()?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().take(20).collect();
        let number = |index: usize| fields.get(index)?.parse::<i32>().ok();
        Some(Self {
            pid: Pid::from_raw(pid)?,
            parent: number(1)?,
            group: number(2)?,
            session: number(3)?,
            name,
            start: fields.get(19)?.parse().ok()?,
            state: *fields.first()?.as_bytes().first()?,
            threads: fields.get(17)?.parse().ok()?,
        })
    }

    /// A zombie is over, unless only its first thread is.
    pub(super) fn is_alive(&self) -> bool {
        !matches!(self.state, b'Z' | b'X') || self.threads > 1
    }

    pub(super) fn is_stopped(&self) -> bool {
        matches!(self.state, b'T' | b't')
    }

    /// Whose it is; its files in /proc may be root's (proc(5), status).
    pub(super) fn real_user(&self) -> Option<u32> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.number())).ok()?;
        let users = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
        users.split_ascii_whitespace().next()?.parse().ok()
    }

    pub(super) fn number(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Pid and start time: the same for no two processes of one boot.
    pub(super) fn identity(&self) -> (i32, u64) {
        (self.number(), self.start)
    }

    /// The same process as it is now.
    fn now(&self) -> Option<Self> {
        Self::read(self.number()).filter(|now| now.start == self.start)
    }

    /// Signals this process, and no other that may have its number by now.
    pub(super) fn signal(&self, signal: Signal) {
        let Ok(handle) = pidfd_open(self.pid, PidfdFlags::empty()) else { return };
        // From here on the handle means one process; if that is still ours, it is the one that gets the signal.
        if self.now().is_some() {
            // That it is gone already is what the signal was for; another user's is outside the promise.
            let _ = pidfd_send_signal(handle, signal);
        }
    }
}

/// The session and the process group of this process.
pub(super) struct Own {
    pub(super) session: i32,
    pub(super) group: i32,
}

/// Both are 0 where they belong to a process outside of our PID namespace, as in a container into which the agent
/// was put from outside. A `Pid` cannot be 0, so the calls of rustix that give them are of no use here.
pub(super) fn own() -> Own {
    let own = Process::read(rustix::process::getpid().as_raw_nonzero().get());
    own.map_or(Own { session: 0, group: 0 }, |own| Own { session: own.session, group: own.group })
}

/// Every process there is.
pub(super) fn all() -> Vec<Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter_map(Process::read).collect()
}

/// The living descendants of `root`, which is not one of them; whatever descends from `except` is left out.
pub(super) fn descendants(root: i32, except: &BTreeSet<i32>) -> Vec<Process> {
    let mut children: BTreeMap<i32, Vec<Process>> = BTreeMap::new();
    for process in all() {
        children.entry(process.parent).or_default().push(process);
    }
    let (mut found, mut parents) = (Vec::new(), vec![root]);
    while let Some(parent) = parents.pop() {
        for child in children.remove(&parent).unwrap_or_default() {
            if !except.contains(&child.number()) {
                parents.push(child.number());
                found.push(child);
            }
        }
    }
    found.retain(Process::is_alive);
    found
}

/// The children of this process' first thread, to which the kernel gives orphans; quicker than [`descendants`].
pub(super) fn own_children() -> Vec<i32> {
    let own = rustix::process::getpid().as_raw_nonzero();
    let list = fs::read_to_string(format!("/proc/{own}/task/{own}/children")).unwrap_or_default();
    list.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

/// Signals whole process groups, which the kernel does at once: no process of a group that forks meanwhile gets
/// away. Those that stand in our own group are signalled one by one.
pub(super) fn signal_by_group(members: &[Process], signal: Signal) {
    let own_group = own().group;
    let mut done = BTreeSet::from([own_group, 0]);
    for member in members {
        if member.group == own_group {
            member.signal(signal);
            continue;
        }
        if done.contains(&member.group) {
            continue;
        }
        // A group's number is taken as long as one member is there, and this one is.
        let is_there = member.now().is_some_and(|now| now.group == member.group);
        if let (true, Some(group)) = (is_there, Pid::from_raw(member.group)) {
            let _ = rustix::process::kill_process_group(group, signal);
            done.insert(member.group);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Process, descendants};
    use rustix::process::Signal;
    use std::collections::BTreeSet;
    use std::process::{Command, Stdio};

    #[test]
    fn a_name_with_brackets_and_blanks_moves_no_field() {
        let stat = b"7 (a) R 1 (b) S 3 4 5 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 2 0 12345 1 1";
        let process = Process::parse(7, stat).expect("a line of stat");
        assert_eq!(process.name, "a) R 1 (b");
        assert_eq!((process.parent, process.group, process.session), (3, 4, 5));
        assert_eq!((process.threads, process.start), (2, 12345));
        assert!(Process::parse(7, b"7 (a").is_none() && Process::parse(7, b"7 (a) S 1").is_none());
    }

    #[test]
    fn a_signal_does_not_reach_a_process_that_has_the_number_but_not_the_start() {
        let mut child = Command::new("sleep").arg("60").stdin(Stdio::null()).spawn().expect("it starts");
        let pid = i32::try_from(child.id()).expect("a pid");
        let found = Process::read(pid).expect("it lives");
        let stranger = Process { start: found.start + 1, ..found.clone() };
        stranger.signal(Signal::KILL);
        super::signal_by_group(&[Process { group: pid, ..stranger }], Signal::KILL);
        assert!(child.try_wait().expect("ours").is_none(), "a stranger was hit");
        found.signal(Signal::KILL);
        assert!(!child.wait().expect("ours").success());
    }

    #[test]
    fn descendants_leave_out_the_dead_and_what_is_excepted() {
        let mut shell = Command::new("sh").args(["-c", "sleep 60 & wait"]).spawn().expect("it starts");
        let own = i32::try_from(std::process::id()).expect("a pid");
        let pid = i32::try_from(shell.id()).expect("a pid");
        let ours =
            |found: Vec<Process>| found.into_iter().filter(|one| one.parent == pid).collect::<Vec<_>>();
        let sleep = loop {
            let found = ours(descendants(own, &BTreeSet::new()));
            if let Some(sleep) = found.into_iter().find(|one| one.name == "sleep") {
                break sleep;
            }
        };
        assert!(ours(descendants(own, &BTreeSet::from([pid]))).is_empty());
        sleep.signal(Signal::KILL);
        shell.wait().expect("ours");
        assert!(ours(descendants(own, &BTreeSet::new())).is_empty());
    }
}
