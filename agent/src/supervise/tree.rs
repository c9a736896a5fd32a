//! The supervisor: `kubestep __tree`, a small process of its own between the agent and the script.
//!
//! It makes and alone removes the workspace, runs the script in a process group and a session without a
//! terminal, and outlives the agent for as long as it takes to leave nothing behind: end of file on the control
//! socket means that the agent is dead. It has no runtime; one thread waits for processes, one reads orders.
//!
//! Descriptors: 0 is the control socket, 1 and 2 are the script's pipes. All three are replaced by /dev/null as
//! soon as they are handed on, so that the pipes end with the script and not with the supervisor.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{ExitCode, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal, WaitOptions};

use super::control::{Command, Exit, Order, Report};
use crate::limits::KILL_PATIENCE;
use crate::workspace::Folders;

/// Runs the supervisor to its end.
#[must_use]
pub fn main() -> ExitCode {
    match Tree::start().and_then(Tree::serve) {
        Ok(()) => ExitCode::SUCCESS,
        // The agent sees the socket's end, and says that the supervisor is gone.
        Err(_) => ExitCode::FAILURE,
    }
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

enum Event {
    Order(Order),
    AgentGone,
    Reaped(Pid, Exit),
    Empty,
}

struct Tree {
    control: UnixStream,
    events: Receiver<Event>,
    sender: Sender<Event>,
    /// With the lock that says to a sweep that somebody is still here.
    folders: Option<(Folders, File)>,
    script: Option<Pid>,
    empty: bool,
}

impl Tree {
    fn start() -> io::Result<Self> {
        seal()?;
        rustix::process::setsid()?;
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
        let control = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
        rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
        let (sender, events) = mpsc::channel();
        let orders = BufReader::new(control.try_clone()?);
        let to_loop = sender.clone();
        std::thread::spawn(move || read_orders(orders, &to_loop));
        Ok(Self { control, events, sender, folders: None, script: None, empty: true })
    }

    fn serve(mut self) -> io::Result<()> {
        loop {
            // The sender is ours, so the channel cannot be closed.
            let Ok(event) = self.events.recv() else { return Ok(()) };
            match event {
                Event::AgentGone => return self.abandon(),
                Event::Order(Order::Close) => return self.close(),
                Event::Order(order) => self.obey(order)?,
                Event::Reaped(pid, exit) if self.script == Some(pid) => self.say(&Report::Exited(exit))?,
                Event::Reaped(..) => {}
                Event::Empty => {
                    self.empty = true;
                    self.say(&Report::Empty)?;
                }
            }
        }
    }

    fn obey(&mut self, order: Order) -> io::Result<()> {
        match order {
            Order::Prepare(roots) => match Folders::create(&roots) {
                Ok((folders, lock)) => {
                    self.folders = Some((folders.clone(), lock));
                    self.say(&Report::Prepared(folders))
                }
                Err(error) => self.say(&Report::NotPrepared(with_cause(&error))),
            },
            Order::Spawn(command) => match self.spawn(command) {
                Ok(pid) => self.say(&Report::Spawned(pid.as_raw_nonzero().get())),
                Err(error) => self.say(&Report::NotSpawned(error.to_string())),
            },
            Order::Terminate => {
                self.signal(Signal::TERM);
                Ok(())
            }
            Order::Kill | Order::Close => {
                self.signal(Signal::KILL);
                Ok(())
            }
        }
    }

    fn spawn(&mut self, command: Command) -> io::Result<Pid> {
        let child = std::process::Command::new(command.program)
            .args(command.arguments)
            .env_clear()
            .envs(command.environment)
            .current_dir(command.directory)
            .process_group(0)
            .stdin(Stdio::null())
            .spawn()?;
        let null = File::options().write(true).open("/dev/null")?;
        rustix::stdio::dup2_stdout(&null)?;
        rustix::stdio::dup2_stderr(&null)?;
        let pid = Pid::from_child(&child);
        (self.script, self.empty) = (Some(pid), false);
        let to_loop = self.sender.clone();
        std::thread::spawn(move || wait_for_processes(&to_loop));
        Ok(pid)
    }

    /// Signals the script's group. That it is gone already is what a signal is for.
    fn signal(&self, signal: Signal) {
        if let (Some(script), false) = (self.script, self.empty) {
            let _ = rustix::process::kill_process_group(script, signal);
        }
    }

    /// The agent is dead: nobody is left to tell anything to, and everything goes at once.
    fn abandon(mut self) -> io::Result<()> {
        self.signal(Signal::KILL);
        // Credentials first: the tree may take its time.
        let removed = self.remove();
        self.wait_until_empty(KILL_PATIENCE);
        removed.and(self.remove())
    }

    fn close(mut self) -> io::Result<()> {
        self.signal(Signal::KILL);
        self.wait_until_empty(KILL_PATIENCE);
        match self.remove() {
            Ok(()) => self.say(&Report::Closed),
            Err(error) => self.say(&Report::NotRemoved(error.to_string())),
        }
    }

    fn remove(&self) -> io::Result<()> {
        self.folders.as_ref().map_or(Ok(()), |(folders, _)| folders.remove())
    }

    fn wait_until_empty(&mut self, patience: Duration) {
        let end = Instant::now() + patience;
        while !self.empty {
            match self.events.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(Event::Empty) => self.empty = true,
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return,
            }
        }
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

fn read_orders(orders: impl BufRead, to_loop: &Sender<Event>) {
    for line in orders.lines() {
        let Ok(order) = line.map_err(drop).and_then(|line| serde_json::from_str(&line).map_err(drop)) else {
            break;
        };
        if to_loop.send(Event::Order(order)).is_err() {
            return;
        }
    }
    // A loop that is over needs no news.
    drop(to_loop.send(Event::AgentGone));
}

/// Reaps every process of the tree, which is empty when there is none left to wait for.
fn wait_for_processes(to_loop: &Sender<Event>) {
    loop {
        let event = match rustix::process::wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) => {
                let code = status.exit_status().map(Exit::Code);
                let Some(exit) = code.or_else(|| status.terminating_signal().map(Exit::Signal)) else {
                    continue;
                };
                Event::Reaped(pid, exit)
            }
            Ok(None) | Err(rustix::io::Errno::INTR) => continue,
            Err(_) => Event::Empty,
        };
        let over = matches!(event, Event::Empty);
        if to_loop.send(event).is_err() || over {
            return;
        }
    }
}

/// The error and its cause in one line: it goes to the agent as text.
fn with_cause(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}
