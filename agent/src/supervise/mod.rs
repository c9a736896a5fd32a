//! The agent's side of supervision: starts the supervisor (`tree`), gives it orders, hears its reports, and
//! decides with `state` what follows from what happened. The loop is select, decide, do.

mod control;
mod output;
mod state;
pub mod tree;

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::Path;
use std::process::Stdio;

use rustix::process::{Pid, Signal, WaitOptions};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::UnixStream;
use tokio::net::unix::pipe::Receiver;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::limits::{KILL_PATIENCE, Limits};
use crate::workspace::{Folders, Roots, Workspace, WorkspaceError};

pub use control::{Command, Exit};
use control::{Order, Report};
pub use output::Output;
use output::pump;
use state::{Action, Event, Life};
pub use state::{Ending, StopReason};

/// What went wrong with the supervisor, never with the script.
#[derive(Debug, thiserror::Error)]
pub enum SuperviseError {
    /// It could not be started.
    #[error("the supervisor process cannot be started")]
    Start(#[source] io::Error),
    /// It ended before its time.
    #[error("the supervisor process ended unexpectedly")]
    Gone,
    /// It could not make the workspace.
    #[error("{0}")]
    NotPrepared(String),
    /// What it made is not there.
    #[error(transparent)]
    Workspace(#[from] WorkspaceError),
    /// The interpreter could not be started.
    #[error("the script's interpreter cannot be started: {0}")]
    NotSpawned(String),
    /// The part that masks the log failed, so the log was ended.
    #[error("the log could not be masked")]
    Output,
    /// Something of the workspace is still there.
    #[error("the workspace could not be removed: {0}")]
    NotRemoved(String),
}

/// The agent's handle. Dropping it is an order too: the supervisor kills the tree and removes the workspace.
pub struct Supervisor {
    process: tokio::process::Child,
    orders: OwnedWriteHalf,
    reports: Lines<BufReader<OwnedReadHalf>>,
    pipes: Option<[Receiver; 2]>,
    folders: Option<Folders>,
    script: Option<Pid>,
}

/// A script that has ended; its output may still be on its way.
pub struct Ended {
    /// How.
    pub ending: Ending,
    /// Empty when all output has been handed over.
    pub pumps: JoinSet<()>,
}

impl Ended {
    /// Waits until all output has been handed over.
    ///
    /// # Errors
    /// [`SuperviseError::Output`] where a part of it could not be masked.
    pub async fn outputs_done(&mut self) -> Result<(), SuperviseError> {
        while let Some(pump) = self.pumps.join_next().await {
            pump.map_err(|_| SuperviseError::Output)?;
        }
        Ok(())
    }
}

impl Supervisor {
    /// Starts `program __tree`, which is this program.
    ///
    /// # Errors
    /// [`SuperviseError::Start`].
    pub async fn start(program: &Path) -> Result<Self, SuperviseError> {
        // Should the supervisor die, its tree comes to us.
        let own = Some(rustix::process::getpid());
        rustix::process::set_child_subreaper(own).map_err(|error| SuperviseError::Start(error.into()))?;
        Self::spawn(program).map_err(SuperviseError::Start)
    }

    fn spawn(program: &Path) -> io::Result<Self> {
        let (ours, theirs) = StdUnixStream::pair()?;
        let (stdout, stdout_writer) = io::pipe()?;
        let (stderr, stderr_writer) = io::pipe()?;
        let process = tokio::process::Command::new(program)
            .arg0("kubestep")
            .arg("__tree")
            .env_clear()
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(stdout_writer)
            .stderr(stderr_writer)
            .spawn()?;
        ours.set_nonblocking(true)?;
        let (reports, orders) = UnixStream::from_std(ours)?.into_split();
        let reports = BufReader::new(reports).lines();
        let receiver = |pipe: io::PipeReader| Receiver::from_owned_fd(OwnedFd::from(pipe));
        let pipes = Some([receiver(stdout)?, receiver(stderr)?]);
        Ok(Self { process, orders, reports, pipes, folders: None, script: None })
    }

    /// Has the workspace made.
    ///
    /// # Errors
    /// What the supervisor says, or that it is gone.
    pub async fn prepare(&mut self, roots: Roots) -> Result<Workspace, SuperviseError> {
        self.order(&Order::Prepare(roots)).await?;
        match self.report().await {
            Some(Report::Prepared(folders)) => {
                self.folders = Some(folders.clone());
                Ok(Workspace::hold(folders)?)
            }
            Some(Report::NotPrepared(why)) => Err(SuperviseError::NotPrepared(why)),
            _ => Err(SuperviseError::Gone),
        }
    }

    /// Runs the script to its end, and hands what it writes to stdout and stderr to the two outputs.
    /// To be called once. Not cancel-safe: what is dropped half-way is ended by dropping the supervisor.
    ///
    /// # Errors
    /// Anything that is not the script's own fault.
    pub async fn run<O: Output>(
        &mut self,
        command: Command,
        outputs: [O; 2],
        limits: &Limits,
        stops: &mut mpsc::UnboundedReceiver<StopReason>,
    ) -> Result<Ended, SuperviseError> {
        self.order(&Order::Spawn(command)).await?;
        match self.report().await {
            Some(Report::Spawned(pid)) => self.script = Pid::from_raw(pid),
            Some(Report::NotSpawned(why)) => return Err(SuperviseError::NotSpawned(why)),
            _ => return Err(SuperviseError::Gone),
        }
        let (empty, hears_empty) = watch::channel(false);
        let mut pumps = JoinSet::new();
        let pipes = self.pipes.take().ok_or(SuperviseError::Gone)?;
        for (pipe, output) in pipes.into_iter().zip(outputs) {
            pumps.spawn(pump(pipe, output, hears_empty.clone()));
        }
        let ending = self.watch(limits, stops, &mut pumps).await?;
        if ending.lost {
            self.end_orphans().await;
        }
        // A pump that has ended by itself does not listen any more.
        let _ = empty.send(true);
        Ok(Ended { ending, pumps })
    }

    /// Select, decide, do, until there is nothing to wait for.
    async fn watch(
        &mut self,
        limits: &Limits,
        stops: &mut mpsc::UnboundedReceiver<StopReason>,
        pumps: &mut JoinSet<()>,
    ) -> Result<Ending, SuperviseError> {
        let mut life = Life::new();
        let mut timers =
            Timers { timeout: limits.timeout.map(|timeout| Instant::now() + timeout), next: None };
        loop {
            let event = tokio::select! {
                Some(reason) = stops.recv() => Event::Stop(reason),
                report = self.report() => match report {
                    Some(Report::Exited(exit)) => Event::Exited(exit),
                    Some(Report::Empty) => Event::Empty,
                    _ => Event::Lost,
                },
                event = timers.next() => event,
                Some(pump) = pumps.join_next() => {
                    pump.map_err(|_| SuperviseError::Output)?;
                    continue;
                }
            };
            let done = match life.on(event) {
                Action::Nothing => Ok(()),
                Action::Terminate => {
                    timers.next = Some((Instant::now() + limits.grace, Event::GraceOver));
                    self.order(&Order::Terminate).await
                }
                Action::Kill => {
                    timers.next = Some((Instant::now() + KILL_PATIENCE, Event::PatienceOver));
                    self.order(&Order::Kill).await
                }
                Action::Finish => return Ok(life.ending()),
            };
            // Where the supervisor is gone, the next report says so.
            let _ = done;
        }
    }

    /// Has the workspace removed, and waits for the supervisor's end. To be called on every path.
    ///
    /// # Errors
    /// [`SuperviseError::NotRemoved`] where something is still there.
    pub async fn close(mut self) -> Result<(), SuperviseError> {
        // A supervisor that is gone cannot take the order, and then sends no answer either.
        drop(self.order(&Order::Close).await);
        let answer = loop {
            match self.report().await {
                Some(Report::Closed) => break Ok(()),
                Some(Report::NotRemoved(why)) => break Err(SuperviseError::NotRemoved(why)),
                Some(_) => {}
                None => break self.remove_by_hand(),
            }
        };
        // Only so that it is no zombie; how it ended has been said.
        drop(self.process.wait().await);
        answer
    }

    /// What the supervisor would have done, had it lived.
    fn remove_by_hand(&self) -> Result<(), SuperviseError> {
        let Some(folders) = &self.folders else { return Ok(()) };
        folders.remove().map_err(|error| SuperviseError::NotRemoved(error.to_string()))
    }

    /// Kills and reaps the script's group, which has come to us with the supervisor's death.
    async fn end_orphans(&self) {
        let Some(script) = self.script else { return };
        let _ = rustix::process::kill_process_group(script, Signal::KILL);
        let end = Instant::now() + KILL_PATIENCE;
        while let Ok(None) = rustix::process::waitpgid(script, WaitOptions::NOHANG) {
            if Instant::now() > end {
                return;
            }
            // The kernel tells a subreaper of adopted children by SIGCHLD only, which tokio keeps to itself.
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    }

    async fn order(&mut self, order: &Order) -> Result<(), SuperviseError> {
        let mut line = serde_json::to_vec(order).map_err(|_| SuperviseError::Gone)?;
        line.push(b'\n');
        self.orders.write_all(&line).await.map_err(|_| SuperviseError::Gone)
    }

    /// The next report; `None` when the supervisor is gone. Cancel-safe.
    async fn report(&mut self) -> Option<Report> {
        let line = self.reports.next_line().await.ok()??;
        serde_json::from_str(&line).ok()
    }
}

/// The script's time-out, and the bound that the last action set.
struct Timers {
    timeout: Option<Instant>,
    next: Option<(Instant, Event)>,
}

impl Timers {
    /// Waits for the timer that is due first, which then is spent; for ever where there is none. Cancel-safe.
    async fn next(&mut self) -> Event {
        let timeout = self.timeout.map(|at| (at, Event::Stop(StopReason::TimedOut)));
        let Some((at, event)) = [timeout, self.next].into_iter().flatten().min_by_key(|(at, _)| *at) else {
            return std::future::pending().await;
        };
        tokio::time::sleep_until(at).await;
        if matches!(event, Event::Stop(_)) {
            self.timeout = None
        } else {
            self.next = None
        }
        event
    }
}
