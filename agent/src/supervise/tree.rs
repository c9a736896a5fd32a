//! The supervisor: `kubestep __tree`, a small process of its own between the agent and the script.
//!
//! It makes and alone removes the workspace, runs the script in a process group and a session without a
//! terminal, and outlives the agent for as long as it takes to leave nothing behind: end of file on the control
//! socket means that the agent is dead. It has no runtime; one thread waits for processes, one reads orders.
//!
//! Descriptors: 0 is the control socket, 1 and 2 are the script's pipes. All three are replaced by /dev/null as
//! soon as they are handed on, so that the pipes end with the script and not with the supervisor.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufReader, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{ExitCode, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit};

use super::aftermath;
use super::cgroup::{self, Cgroup};
use super::control::{Command, Left, Order, Preparation, Report};
use super::members::Members;
use super::method::{Choice, Method};
use super::wait::{Event, read_orders, wait_for_processes};
use crate::causes::with_causes;
use crate::limits::KILL_PATIENCE;
use crate::workspace::{Folders, Tenant, remains};

/// A script that ends sooner gets no cgroup: making one costs more than such a script.
const MOMENT: Duration = Duration::from_millis(10);

/// How long the end of a supervisor waits for its removal of what others left.
const AFTERMATH_PATIENCE: Duration = Duration::from_secs(1);

/// Runs the supervisor to its end.
#[must_use]
pub fn main() -> ExitCode {
    ExitCode::from(run())
}

/// The same for a process that is one already; gives its exit code.
pub(super) fn run() -> u8 {
    // Where it fails, the agent sees the socket's end, and says that the supervisor is gone.
    u8::from(Tree::start().and_then(Tree::serve).is_err())
}

/// Makes this process's memory and environment unreadable to other processes of the same user, the script
/// among them, its core dumps empty, and descriptors that it inherited its own: no child gets them.
///
/// # Errors
/// What the kernel says.
pub fn seal() -> io::Result<()> {
    close_fds::set_fds_cloexec(3, &[]);
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?;
    Ok(rustix::process::setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?)
}

/// What is to be done at a moment of its own.
#[derive(Clone, Copy)]
enum Due {
    /// The script has lived long enough to be moved into a cgroup.
    Adopt,
    /// The next round of a kill that has gone on since then.
    Kill(Instant),
}

struct Tree {
    control: UnixStream,
    events: Receiver<Event>,
    sender: Sender<Event>,
    /// With the lock that says to a sweep that somebody is still here.
    folders: Option<(Folders, File)>,
    /// Where dead steps may be; empty once they have been looked for.
    roots: Vec<PathBuf>,
    choice: Choice,
    members: Members,
    script: Option<Pid>,
    empty: bool,
    due: Option<(Instant, Due)>,
    /// Closed when this supervisor's look for dead steps is over.
    aftermath: Option<Receiver<()>>,
}

impl Tree {
    fn start() -> io::Result<Self> {
        seal()?;
        rustix::process::setsid()?;
        // It was started by way of /proc/self/exe, and would be called `exe` in every list of processes.
        rustix::thread::set_name(c"kubestep-tree")?;
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
        let control = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
        rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
        let (sender, events) = mpsc::channel();
        let orders = BufReader::new(control.try_clone()?);
        let to_loop = sender.clone();
        std::thread::spawn(move || read_orders(orders, &to_loop));
        Ok(Self {
            control,
            events,
            sender,
            folders: None,
            roots: Vec::new(),
            choice: Choice::Sweep,
            members: Members::new(None, BTreeSet::new()),
            script: None,
            empty: true,
            due: None,
            aftermath: None,
        })
    }

    fn serve(mut self) -> io::Result<()> {
        loop {
            match self.next() {
                None => self.do_what_is_due()?,
                Some(Event::AgentGone) => return self.abandon(),
                Some(Event::Order(Order::Close)) => return self.close(),
                Some(Event::Order(order)) => self.obey(order)?,
                Some(Event::ScriptEnded { exit, alone }) => {
                    let left = if alone { Left::default() } else { self.members.left() };
                    self.say(&Report::Exited(exit, left))?;
                }
                Some(Event::Empty) => self.now_empty()?,
            }
        }
    }

    /// What happens next; `None` when something is due.
    fn next(&self) -> Option<Event> {
        let Some((at, _)) = self.due else {
            // The sender is ours, so the channel cannot be closed; and an agent that is gone is said so.
            return Some(self.events.recv().unwrap_or(Event::AgentGone));
        };
        match self.events.recv_timeout(at.saturating_duration_since(Instant::now())) {
            Ok(event) => Some(event),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Event::AgentGone),
        }
    }

    fn obey(&mut self, order: Order) -> io::Result<()> {
        match order {
            Order::Prepare(preparation) => match self.prepare(preparation) {
                Ok(folders) => self.say(&Report::Prepared(folders)),
                Err(why) => self.say(&Report::NotPrepared(why)),
            },
            Order::Spawn(command) => {
                let report = match self.spawn(command) {
                    Ok(pid) => Report::Spawned(pid.as_raw_nonzero().get()),
                    Err(error) => Report::NotSpawned(error.to_string()),
                };
                self.say(&report)?;
                self.look_for_dead();
                Ok(())
            }
            Order::Terminate if !self.empty => {
                self.members.terminate();
                Ok(())
            }
            Order::Kill if !self.empty => self.kill(Instant::now()),
            Order::Terminate | Order::Kill | Order::Close => Ok(()),
        }
    }

    fn prepare(&mut self, preparation: Preparation) -> Result<Folders, String> {
        let Preparation { roots, step, tree } = preparation;
        self.choice = tree;
        let cgroup_parent = match (tree, cgroup::parent()) {
            (Choice::Sweep, _) | (Choice::Auto, Err(_)) => None,
            (_, Ok(parent)) => Some(parent),
            (Choice::Cgroup, Err(why)) => return Err(format!("no cgroup can be made: {why}")),
        };
        let agent = rustix::process::getppid().map_or(0, |pid| pid.as_raw_nonzero().get());
        let tenant = Tenant { step, agent, cgroup_parent };
        let (folders, lock) = Folders::create(&roots, &tenant).map_err(|error| with_causes(&error))?;
        self.folders = Some((folders.clone(), lock));
        if let (Choice::Cgroup, Some(cgroup)) = (tree, self.planned_cgroup()) {
            cgroup.create().map_err(|error| format!("no cgroup can be made: {error}"))?;
            self.members.set_cgroup(cgroup);
        }
        self.roots = roots.private;
        Ok(folders)
    }

    /// Has dead steps removed, where there are any: beside the step, which has its script now and does not wait for it.
    fn look_for_dead(&mut self) {
        let roots = std::mem::take(&mut self.roots);
        if remains::find(&roots).remains.is_empty() {
            return;
        }
        let (over, is_over) = mpsc::channel();
        self.aftermath = Some(is_over);
        std::thread::spawn(move || {
            drop(aftermath::sweep(&roots));
            drop(over);
        });
    }

    /// The cgroup that the lock names.
    fn planned_cgroup(&self) -> Option<Cgroup> {
        self.folders.as_ref().and_then(|(folders, _)| folders.cgroup.clone()).map(Cgroup::named)
    }

    fn spawn(&mut self, command: Command) -> io::Result<Pid> {
        let mut prepared = std::process::Command::new(command.program);
        prepared
            .args(command.arguments)
            .env_clear()
            .envs(command.environment)
            .process_group(0)
            .stdin(Stdio::null());
        // Here, and not in the child: with a folder of its own to go to, a static program would fork for it.
        std::env::set_current_dir(command.directory)?;
        let spawned = self.spawn_in_place(&mut prepared);
        // The script's folder is not to be held. Should this fail, it is removed all the same.
        let _ = std::env::set_current_dir("/");
        let pid = Pid::from_child(&spawned?);
        let null = File::options().write(true).open("/dev/null")?;
        rustix::stdio::dup2_stdout(&null)?;
        rustix::stdio::dup2_stderr(&null)?;
        (self.script, self.empty) = (Some(pid), false);
        let (to_loop, cgroup) = (self.sender.clone(), self.planned_cgroup());
        std::thread::spawn(move || wait_for_processes(pid, cgroup.as_ref(), &to_loop));
        if self.choice == Choice::Auto && self.planned_cgroup().is_some() {
            self.due = Some((Instant::now() + MOMENT, Due::Adopt));
        }
        Ok(pid)
    }

    /// In the cgroup, where there is one from the beginning.
    fn spawn_in_place(&self, prepared: &mut std::process::Command) -> io::Result<std::process::Child> {
        let Some(cgroup) = self.members.cgroup() else { return prepared.spawn() };
        // Whoever is in a cgroup has his children in it: nothing has to be done between fork and exec.
        cgroup.enter()?;
        let child = prepared.spawn();
        cgroup.leave()?;
        child
    }

    fn do_what_is_due(&mut self) -> io::Result<()> {
        match self.due.take() {
            Some((_, Due::Adopt)) => {
                self.adopt();
                Ok(())
            }
            Some((_, Due::Kill(since))) => self.kill(since),
            None => Ok(()),
        }
    }

    /// Moves the tree into its cgroup. Where none can be made, it is held together by its descent as before.
    fn adopt(&mut self) {
        let Some(cgroup) = self.planned_cgroup() else { return };
        if cgroup.create().is_ok() {
            self.members.adopt_into(&cgroup);
            self.members.set_cgroup(cgroup);
        }
    }

    /// A round of KILL; the next one is due unless the tree is empty before, or the patience with it is over.
    fn kill(&mut self, since: Instant) -> io::Result<()> {
        if since.elapsed() >= KILL_PATIENCE {
            self.due = None;
            return self.say(&Report::Survived(self.method(), self.members.left()));
        }
        let pause = self.members.kill();
        self.due = Some((Instant::now() + pause, Due::Kill(since)));
        Ok(())
    }

    fn now_empty(&mut self) -> io::Result<()> {
        (self.empty, self.due) = (true, None);
        self.say(&Report::Empty(self.method()))
    }

    fn method(&self) -> Method {
        if self.members.cgroup().is_some() { Method::Cgroup } else { Method::Sweep }
    }

    /// The agent is dead: nobody is left to tell anything to, and everything goes at once.
    fn abandon(mut self) -> io::Result<()> {
        // Credentials first: the tree may take its time.
        if let Some((folders, _)) = &self.folders {
            drop(folders.remove_secrets());
        }
        self.end_tree();
        self.remove()
    }

    fn close(mut self) -> io::Result<()> {
        // For a step that never came to its script.
        self.look_for_dead();
        self.end_tree();
        let removed = self.remove();
        if let Some(aftermath) = self.aftermath.take() {
            // It is over, or it has had its time: what it leaves is for the next one.
            let _ = aftermath.recv_timeout(AFTERMATH_PATIENCE);
        }
        match removed {
            Ok(()) => self.say(&Report::Closed),
            Err(error) => self.say(&Report::NotRemoved(error.to_string())),
        }
    }

    /// Kills until nobody is left, or the patience is over.
    fn end_tree(&mut self) {
        let end = Instant::now() + KILL_PATIENCE;
        while !self.empty && Instant::now() < end {
            let pause = self.members.kill();
            let round = Instant::now() + pause;
            while let Ok(event) = self.events.recv_timeout(round.saturating_duration_since(Instant::now())) {
                if matches!(event, Event::Empty) {
                    self.empty = true;
                    break;
                }
            }
        }
    }

    fn remove(&self) -> io::Result<()> {
        // What stands in the lock goes before the lock.
        let cgroup = self.members.cgroup().map_or(Ok(()), Cgroup::remove);
        let folders = self.folders.as_ref().map_or(Ok(()), |(folders, _)| folders.remove());
        folders.and(cgroup)
    }

    fn say(&mut self, report: &Report) -> io::Result<()> {
        let mut line = serde_json::to_vec(report)?;
        line.push(b'\n');
        match self.control.write_all(&line) {
            // The agent is dead; its end of file is on its way to the loop.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            done => done,
        }
    }
}
