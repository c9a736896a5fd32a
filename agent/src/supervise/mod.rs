//! The agent's side of supervision: starts the supervisor (`tree`), gives it orders, hears its reports, and
//! decides with `state` what follows from what happened. The loop is select, decide, do.

pub mod aftermath;
pub mod call;
mod cgroup;
mod control;
mod leaving;
mod members;
mod method;
mod orphans;
mod output;
mod process;
mod running;
mod state;
pub mod tree;
mod wait;

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::UnixStream;
use tokio::net::unix::pipe::Receiver;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::limits::{KILL_PATIENCE, Limits};
use crate::workspace::{Folders, Workspace, WorkspaceError};

pub use control::{Command, Exit, Left, Named, Preparation};
use control::{Order, Report};
pub use leaving::all_left;
pub use method::{Choice, Method, method};
pub use orphans::end_others;
pub use output::Output;
use output::pump;
use running::{Line, Running};
pub use running::{SplitOff, split_off};
use state::{Action, Event, Life};
pub use state::{Ending, Fate, StopReason};

/// Whether HUP was ignored when this process started, as by nohup (proc(5), status, SigIgn).
#[must_use]
pub fn ignores_hangup() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default();
    mask & 1 == 1
}

/// How much longer than its own patience a supervisor may be silent after the order to kill.
const SILENCE: Duration = Duration::from_secs(2);

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
    /// Taken by whoever waits for its end.
    process: Option<Running>,
    orders: OwnedWriteHalf,
    reports: Lines<BufReader<OwnedReadHalf>>,
    pipes: Option<[Receiver; 2]>,
    folders: Option<Folders>,
    tree: Tree,
    known: orphans::Known,
}

/// What was seen of a tree.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    /// What held it together; `None` where nobody said so.
    pub method: Option<Method>,
    /// Who was left when the script ended.
    pub leftovers: Left,
    /// Who outlived KILL.
    pub survivors: Left,
}

/// A script that has ended; its output may still be on its way.
pub struct Ended {
    /// How.
    pub ending: Ending,
    /// What was seen of its tree.
    pub tree: Tree,
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
        Self::spawn(program).map_err(SuperviseError::Start)
    }

    fn spawn(program: &Path) -> io::Result<Self> {
        let (line, [stdin, stdout, stderr]) = Line::new()?;
        let process = tokio::process::Command::new(program)
            .arg0("kubestep")
            .arg("__tree")
            .env_clear()
            .stdin(stdin)
            .stdout(stdout)
            .stderr(stderr)
            .spawn()?;
        let pid = process.id().and_then(|pid| i32::try_from(pid).ok()).ok_or(io::ErrorKind::NotFound)?;
        Self::new(Running::Started(process), pid, line)
    }

    /// Takes one that was split off.
    ///
    /// # Errors
    /// [`SuperviseError::Start`].
    pub fn take(SplitOff { pid, line }: SplitOff) -> Result<Self, SuperviseError> {
        let number = pid.as_raw_nonzero().get();
        Self::new(Running::SplitOff(pid), number, line).map_err(SuperviseError::Start)
    }

    fn new(process: Running, pid: i32, Line { control, pipes: [stdout, stderr] }: Line) -> io::Result<Self> {
        // Should the supervisor die, its tree comes to us.
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
        control.set_nonblocking(true)?;
        let (reports, orders) = UnixStream::from_std(control)?.into_split();
        let reports = BufReader::new(reports).lines();
        let receiver = |pipe: io::PipeReader| Receiver::from_owned_fd(OwnedFd::from(pipe));
        let pipes = Some([receiver(stdout)?, receiver(stderr)?]);
        let (known, tree) = (orphans::Known::new(pid), Tree::default());
        Ok(Self { process: Some(process), orders, reports, pipes, folders: None, tree, known })
    }

    /// Has the workspace made.
    ///
    /// # Errors
    /// What the supervisor says, or that it is gone.
    pub async fn prepare(&mut self, preparation: Preparation) -> Result<Workspace, SuperviseError> {
        self.order(&Order::Prepare(preparation)).await?;
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
            Some(Report::Spawned(_)) => {}
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
        if matches!(ending, Ending::Lost { .. }) {
            self.replace_supervisor().await;
        }
        // A pump that has ended by itself does not listen any more.
        let _ = empty.send(true);
        Ok(Ended { ending, tree: self.tree.clone(), pumps })
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
                report = self.report() => self.hear(report),
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
                    timers.next = Some((Instant::now() + KILL_PATIENCE + SILENCE, Event::Silent));
                    self.order(&Order::Kill).await
                }
                Action::Finish(ending) => return Ok(ending),
            };
            // Where the supervisor is gone, the next report says so.
            let _ = done;
        }
    }

    /// Notes what a report says, and gives what it means.
    fn hear(&mut self, report: Option<Report>) -> Event {
        match report {
            Some(Report::Exited(exit, left)) => {
                self.tree.leftovers = left;
                Event::Exited(exit)
            }
            Some(Report::Empty(method)) => {
                self.tree.method = Some(method);
                Event::Empty
            }
            Some(Report::Survived(method, left)) => {
                (self.tree.method, self.tree.survivors) = (Some(method), left);
                Event::Survived
            }
            _ => Event::Lost,
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
        if let Some(mut process) = self.process.take() {
            process.wait().await;
        }
        answer
    }

    /// What the supervisor would have done, had it lived.
    fn remove_by_hand(&self) -> Result<(), SuperviseError> {
        let Some(folders) = &self.folders else { return Ok(()) };
        folders.remove().map_err(|error| SuperviseError::NotRemoved(error.to_string()))
    }

    /// Does what the supervisor would have done. One that is only silent is dead after this.
    async fn replace_supervisor(&mut self) {
        // One that is gone already needs no killing, and is waited for all the same.
        if let Some(mut process) = self.process.take() {
            process.kill();
            process.wait().await;
        }
        let cgroup = self.folders.as_ref().and_then(|folders| folders.cgroup.clone());
        self.tree.survivors = orphans::end(self.known.pid(), cgroup).await;
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

impl Drop for Supervisor {
    fn drop(&mut self) {
        leaving::leaves(self.process.take());
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
