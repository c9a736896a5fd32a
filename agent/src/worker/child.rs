//! The process of one step, as its worker sees it: frames in, frames out, and an end.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::process::{Child as Process, Command};
use tokio::sync::mpsc;

use super::frames::{Down, Up};
use super::upload::Frames;
use super::users::StepUser;
use crate::queue::Ending;

/// How long a process that has said its last word may take to end.
const LAST_PATIENCE: Duration = Duration::from_secs(5);

/// The most that is read at once, in bytes.
const CHUNK: usize = 128 * 1024;

/// A step's process that has been told nothing yet. Dropping it kills it.
pub(super) struct Blank {
    process: Process,
    pid: i32,
    socket: StdUnixStream,
}

/// A step's process. Dropping it kills it, and its supervisor then ends the tree.
pub(super) struct Child {
    process: Process,
    pid: i32,
    orders: mpsc::UnboundedSender<Down>,
}

/// What a step's process says, its log left out.
#[derive(Debug)]
pub(super) enum Said {
    /// A phase begins.
    Phase(String),
    /// How the step ended.
    Result(Box<Ending>),
    /// Nothing more will come; what was wrong with it, if anything was.
    Gone(Option<io::Error>),
}

impl Blank {
    /// Starts `program __step`, which is this program.
    ///
    /// # Errors
    /// What the operating system says.
    pub(super) fn start(program: &Path, user: Option<&StepUser>) -> io::Result<Self> {
        let (ours, theirs) = StdUnixStream::pair()?;
        let mut command = Command::new(program);
        // A terminal's keys are for the worker, which knows what to do about its steps.
        command.arg0("kubestep").arg("__step").env_clear().process_group(0);
        command.stdin(Stdio::from(OwnedFd::from(theirs))).stdout(Stdio::null()).stderr(Stdio::null());
        command.kill_on_drop(true);
        if let Some(user) = user {
            // The worker is root, so the standard library takes its groups away, too.
            command.uid(user.uid).gid(user.gid);
        }
        let process = command.spawn()?;
        let pid = process.id().and_then(|pid| i32::try_from(pid).ok()).ok_or(io::ErrorKind::NotFound)?;
        ours.set_nonblocking(true)?;
        Ok(Self { process, pid, socket: ours })
    }

    /// Whether it still waits.
    pub(super) fn is_alive(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(None))
    }
}

impl Child {
    /// Makes a step's process of it. Its log goes to `frames`, all else to `said`.
    ///
    /// # Errors
    /// What the operating system says.
    pub(super) fn begin(
        Blank { process, pid, socket }: Blank,
        frames: Frames,
        said: mpsc::UnboundedSender<Said>,
    ) -> io::Result<Self> {
        let (reader, writer) = UnixStream::from_std(socket)?.into_split();
        let (orders, received) = mpsc::unbounded_channel();
        tokio::spawn(write(writer, received));
        tokio::spawn(read(reader, frames, said));
        Ok(Self { process, pid, orders })
    }

    /// Its number.
    pub(super) fn pid(&self) -> i32 {
        self.pid
    }

    /// Sends a frame. One that cannot be sent is for a process that is gone, which is heard otherwise.
    pub(super) fn send(&self, frame: Down) {
        let _ = self.orders.send(frame);
    }

    /// Another way to send frames.
    pub(super) fn orders(&self) -> mpsc::UnboundedSender<Down> {
        self.orders.clone()
    }

    /// Kills the process itself; its supervisor notices, and ends the tree.
    pub(super) fn kill(&mut self) {
        // One that is gone already needs no killing.
        drop(self.process.start_kill());
    }

    /// Waits for its end, after its last word.
    ///
    /// # Errors
    /// What the operating system says.
    pub(super) async fn end(mut self) -> io::Result<ExitStatus> {
        if let Ok(status) = tokio::time::timeout(LAST_PATIENCE, self.process.wait()).await {
            return status;
        }
        self.kill();
        self.process.wait().await
    }
}

async fn write(mut writer: OwnedWriteHalf, mut orders: mpsc::UnboundedReceiver<Down>) {
    while let Some(order) = orders.recv().await {
        let Ok(mut bytes) = order.bytes() else { return };
        // What is there goes at once: each write wakes the other one.
        while let Ok(next) = orders.try_recv() {
            let Ok(next) = next.bytes() else { return };
            bytes.extend(next);
        }
        if writer.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

async fn read(reader: OwnedReadHalf, frames: Frames, said: mpsc::UnboundedSender<Said>) {
    let mut reader = BufReader::with_capacity(CHUNK, reader);
    let last = loop {
        let news = match Up::read(&mut reader).await {
            Ok(Some(Up::Log(frame))) => {
                // Where the log is not taken any more, the step goes on without, until it is told to end.
                let _ = frames.send(frame).await;
                continue;
            }
            Ok(Some(Up::Phase(name))) => Said::Phase(name),
            Ok(Some(Up::Result(ending))) => Said::Result(ending),
            Ok(None) => break None,
            Err(error) => break Some(error),
        };
        if said.send(news).is_err() {
            return;
        }
    };
    // The log ends before its end is told.
    drop(frames);
    let _ = said.send(Said::Gone(last));
}
