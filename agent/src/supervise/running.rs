//! A supervisor's process, from this side: started as a program, or split off from this process.

use std::io::{self, PipeReader};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use fork::{Fork, fork};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use tokio::process::Child;
use tokio::signal::unix::{SignalKind, signal};

use super::{output, tree};

/// How often a process is looked at where its end cannot be heard.
const LOOK: Duration = Duration::from_millis(10);

/// A supervisor that runs and has no orders yet.
pub struct SplitOff {
    pub(super) pid: Pid,
    pub(super) line: Line,
}

/// What a supervisor is spoken to and heard by.
pub(super) struct Line {
    pub(super) control: UnixStream,
    /// The script's stdout and stderr.
    pub(super) pipes: [PipeReader; 2],
}

/// The supervisor's ends: its standard input, output and error.
pub(super) type Ends = [OwnedFd; 3];

impl Line {
    pub(super) fn new() -> io::Result<(Self, Ends)> {
        let (ours, theirs) = UnixStream::pair()?;
        let (stdout, stdout_writer) = io::pipe()?;
        let (stderr, stderr_writer) = io::pipe()?;
        for pipe in [&stdout, &stderr] {
            // A pipe that may not grow stays as it is.
            let _ = rustix::pipe::fcntl_setpipe_size(pipe, output::PIPE);
        }
        let ends = [theirs.into(), stdout_writer.into(), stderr_writer.into()];
        Ok((Self { control: ours, pipes: [stdout, stderr] }, ends))
    }
}

/// Splits a supervisor off from this process: a copy of it, which costs a fraction of a program's start. To be called
/// while this process has one thread, knows no secret, and is sealed ([`tree::seal`]); it returns in this process alone.
///
/// # Errors
/// What the operating system says.
pub fn split_off() -> io::Result<SplitOff> {
    let (line, ends) = Line::new()?;
    match fork()? {
        Fork::Parent(pid) => {
            let pid = Pid::from_raw(pid).ok_or(io::ErrorKind::NotFound)?;
            Ok(SplitOff { pid, line })
        }
        Fork::Child => {
            drop(line);
            let code = match take_over(ends) {
                Ok(()) => tree::run(),
                Err(_) => 1,
            };
            std::process::exit(code.into());
        }
    }
}

/// What the standard descriptors were is the other process's alone.
fn take_over([control, stdout, stderr]: Ends) -> io::Result<()> {
    rustix::stdio::dup2_stdin(control)?;
    rustix::stdio::dup2_stdout(stdout)?;
    Ok(rustix::stdio::dup2_stderr(stderr)?)
}

/// A supervisor's process, until it is waited for.
pub(super) enum Running {
    Started(Child),
    SplitOff(Pid),
}

impl Running {
    pub(super) fn kill(&mut self) {
        // One that is gone already needs no killing.
        match self {
            Self::Started(child) => drop(child.start_kill()),
            Self::SplitOff(pid) => drop(kill_process(*pid, Signal::KILL)),
        }
    }

    /// Waits for its end. Cancel-safe; how it ended is nobody's question.
    pub(super) async fn wait(&mut self) {
        let pid = match self {
            Self::Started(child) => return drop(child.wait().await),
            Self::SplitOff(pid) => *pid,
        };
        let mut ends = signal(SignalKind::child()).ok();
        while let Ok(None) = waitpid(Some(pid), WaitOptions::NOHANG) {
            match &mut ends {
                Some(ends) => drop(ends.recv().await),
                None => tokio::time::sleep(LOOK).await,
            }
        }
    }
}
