//! A tree's processes: who they are, and how signals get to all of them.
//!
//! Whoever descends from this process belongs to the tree: it is a subreaper, so the kernel gives it every orphan
//! of its descendants. Where there is a cgroup, its members belong to the tree too. What the kernel knows of
//! neither is not seen here, and `wait` says when nobody is left.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::cgroup::Cgroup;
use super::control::{Left, Named};
use super::process::{self, Process};

/// How many processes are named; all are counted.
const NAMED: usize = 20;

/// How often in one round the newest orphans are looked for: each look is far quicker than a fork.
const LOOKS: usize = 50;

/// How long a round may look for new ones: the supervisor has others to answer to.
const ROUND: Duration = Duration::from_millis(300);

/// After so many rounds something forks as quickly as it is killed.
const ROUNDS_BEFORE_FREEZING: u32 = 3;

/// The descendants of this process, and a cgroup's members.
pub(super) struct Members {
    cgroup: Option<Cgroup>,
    /// Direct children that are trees of their own.
    others: BTreeSet<i32>,
    rounds: u32,
}

impl Members {
    pub(super) fn new(cgroup: Option<Cgroup>, others: BTreeSet<i32>) -> Self {
        Self { cgroup, others, rounds: 0 }
    }

    pub(super) fn cgroup(&self) -> Option<&Cgroup> {
        self.cgroup.as_ref()
    }

    /// From now on there is a cgroup, and everybody in it is a member.
    pub(super) fn set_cgroup(&mut self, cgroup: Cgroup) {
        self.cgroup = Some(cgroup);
    }

    /// Everybody who lives.
    pub(super) fn list(&self) -> Vec<Process> {
        let Some(cgroup) = &self.cgroup else { return self.descendants() };
        let pids: BTreeSet<i32> = cgroup.members().into_iter().chain(process::own_children()).collect();
        let living = pids.into_iter().filter(|pid| !self.others.contains(pid)).filter_map(Process::read);
        living.filter(Process::is_alive).collect()
    }

    fn descendants(&self) -> Vec<Process> {
        process::descendants(rustix::process::getpid().as_raw_nonzero().get(), &self.others)
    }

    /// Everybody's number and name, never more of the command line.
    pub(super) fn left(&self) -> Left {
        let members = self.list();
        let named = members.iter().take(NAMED);
        let named = named.map(|one| Named { pid: one.number(), name: one.name.clone() }).collect();
        Left { count: members.len(), named }
    }

    /// TERM to every group. A stopped process gets it when it goes on, so it is told to.
    pub(super) fn terminate(&self) {
        let members = self.list();
        process::signal_by_group(&members, Signal::TERM);
        process::signal_by_group(&members, Signal::CONT);
    }

    /// KILL to everybody, once; `wait` tells whether it has to be done again, after the time that is given.
    pub(super) fn kill(&mut self) -> Duration {
        self.rounds = self.rounds.saturating_add(1);
        let pause = Duration::from_millis(u64::from(self.rounds.min(20)));
        if let Some(cgroup) = &self.cgroup
            && cgroup.kill().is_ok()
        {
            // The kernel is at it. Only who was moved out of the cgroup is left to us.
            if self.rounds > 1 {
                let inside: BTreeSet<i32> = cgroup.members().into_iter().collect();
                let mut outside = self.descendants();
                outside.retain(|one| !inside.contains(&one.number()));
                process::signal_by_group(&outside, Signal::KILL);
            }
            return pause;
        }
        let until = Instant::now() + ROUND;
        self.kill_newest(until);
        if self.rounds > ROUNDS_BEFORE_FREEZING {
            self.freeze(until);
        }
        process::signal_by_group(&self.descendants(), Signal::KILL);
        pause
    }

    /// A process that forks, leaves its group and ends, again and again, is a child of ours between two forks.
    fn kill_newest(&self, until: Instant) {
        let mut killed = BTreeSet::new();
        for _ in 0..LOOKS {
            let fresh = process::own_children().into_iter().filter(|pid| !self.others.contains(pid));
            let fresh: Vec<Process> =
                fresh.filter(|pid| killed.insert(*pid)).filter_map(Process::read).collect();
            if fresh.is_empty() || Instant::now() > until {
                return;
            }
            fresh.iter().filter(|one| one.is_alive()).for_each(|one| one.signal(Signal::KILL));
        }
    }

    /// Stops everybody until nobody new appears: who is stopped does not fork, and still counts for whatever
    /// bounds its number, so that the killed are not replaced.
    fn freeze(&self, until: Instant) {
        let mut frozen = BTreeSet::new();
        for _ in 0..LOOKS {
            let moving = self.descendants().into_iter().filter(|one| !one.is_stopped());
            let fresh: Vec<Process> = moving.filter(|one| frozen.insert(one.identity())).collect();
            if fresh.is_empty() || Instant::now() > until {
                return;
            }
            process::signal_by_group(&fresh, Signal::STOP);
        }
    }

    /// Moves everybody into the cgroup, until nobody is found outside.
    pub(super) fn adopt_into(&self, cgroup: &Cgroup) {
        for _ in 0..LOOKS {
            let inside: BTreeSet<i32> = cgroup.members().into_iter().collect();
            let outside = self.descendants().into_iter().filter(|one| !inside.contains(&one.number()));
            // One that is gone meanwhile cannot be moved, and one that cannot be moved is still a descendant.
            let moved = outside.filter(|one| cgroup.adopt(one.number()).is_ok()).count();
            if moved == 0 {
                return;
            }
        }
    }
}
