//! Runs a program to hear one answer, within bounds: nothing of its process group outlives the question.
//!
//! The program gets an environment of the caller's list, no input, a process group of its own, a time limit and
//! a limit on its output. It is listened to until it ends itself; a descendant that keeps the pipe open is not
//! waited for. The whole group is killed *before* the program is reaped: until then no stranger can have its
//! number. What left the group by `setsid` survives: only a subreaper could find it.
//!
//! No thread, no runtime: `poll` on both pipes. Neither the command nor its raw output is ever formatted.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Write};
use std::mem::take;
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use crate::contents::{missing_library, why_refused};
use crate::fault::Fault;
use crate::version::first_line;

/// The most that a program may print to one stream. A version takes less than 1 KiB.
pub(crate) const MOST_OUTPUT: usize = 64 * 1024;

/// How long a look at the pipes lasts before the program's end is looked for: the pipes tell of its end at once,
/// unless a descendant holds them.
const LOOK: Duration = Duration::from_millis(10);

/// How long a look lasts once both pipes are closed: the end follows within microseconds.
const LAST_LOOK: Duration = Duration::from_millis(1);

/// How long a killed program may take to go: one that hangs in the kernel (a dead NFS) may never.
const KILL_PATIENCE: Duration = Duration::from_secs(1);

/// How often a file that is open for writing is tried again. Besides an installer at work, any process that this
/// one forks holds its open files for a moment, until it executes its program.
const BUSY_TRIES: u32 = 20;

/// What is run, and how long it may take.
pub(crate) struct Question<'a> {
    pub(crate) program: &'a Path,
    pub(crate) arguments: &'a [&'a str],
    /// What it reads; less than a pipe holds (64 KiB), so that writing it never blocks.
    pub(crate) input: &'a [u8],
    /// The whole environment.
    pub(crate) environment: &'a [(&'a str, &'a OsStr)],
    pub(crate) limit: Duration,
    /// Whether enough was seen, so that the program need not come to its end.
    pub(crate) enough: &'a dyn Fn() -> bool,
}

/// What a program printed.
pub(crate) struct Answer {
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
}

/// How a program ended, and what it printed.
pub(crate) struct End {
    status: ExitStatus,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
}

impl End {
    /// What it printed; any end but 0 is a fault.
    pub(crate) fn good(self) -> Result<Answer, Fault> {
        match (self.status.code(), self.status.signal()) {
            (Some(0), _) => Ok(self.anyway()),
            (Some(code), _) => {
                let said = [&self.stderr, &self.stdout]
                    .into_iter()
                    .find_map(|text| first_line(&String::from_utf8_lossy(text)));
                Err(missing_library(said.as_deref()).unwrap_or(Fault::Exited { code, said }))
            }
            // `wait` without WUNTRACED returns no third kind of status.
            (None, signal) => Err(Fault::Killed { signal: signal.unwrap_or_default() }),
        }
    }

    /// What it printed, however it ended.
    pub(crate) fn anyway(self) -> Answer {
        Answer { stdout: self.stdout, stderr: self.stderr }
    }
}

/// Runs the program until it ends or breaks a limit.
pub(crate) fn run(question: &Question<'_>) -> Result<End, Fault> {
    let mut running = Running::start(question)?;
    let heard = running.listen(question);
    let status = running.end();
    match heard {
        Ok(()) => {}
        Err(Broken::Time) => return Err(Fault::TimedOut { limit: question.limit }),
        Err(Broken::Stopped) => return Err(Fault::WaitsForTerminal),
        Err(Broken::Output) => return Err(Fault::Flooded),
        Err(Broken::System(error)) => return Err(Fault::system("watched", &error.into())),
    }
    let [stdout, stderr] = running.streams.each_mut().map(|stream| take(&mut stream.text));
    let status = status.map_err(|error| Fault::system("watched", &error))?;
    Ok(End { status, stdout, stderr })
}

enum Broken {
    Time,
    Stopped,
    Output,
    System(Errno),
}

/// A started program, its group, and what it has printed.
struct Running {
    child: Child,
    streams: [Stream; 2],
    reaped: bool,
}

/// One end of a pipe; `None` once the other is closed.
struct Stream {
    pipe: Option<File>,
    text: Vec<u8>,
}

impl Stream {
    fn of(pipe: Option<impl Into<OwnedFd>>) -> Self {
        Self { pipe: pipe.map(|pipe| File::from(pipe.into())), text: Vec::new() }
    }

    /// Reads once; the caller knows that this does not block.
    fn read(&mut self) -> Result<(), Broken> {
        let Some(pipe) = &mut self.pipe else { return Ok(()) };
        let mut buffer = [0; 8192];
        match pipe.read(&mut buffer) {
            Ok(0) => self.pipe = None,
            Ok(length) => self.text.extend_from_slice(&buffer[..length]),
            Err(error) => match Errno::from_io_error(&error) {
                Some(Errno::INTR) => {}
                other => return Err(Broken::System(other.unwrap_or(Errno::IO))),
            },
        }
        if self.text.len() > MOST_OUTPUT { Err(Broken::Output) } else { Ok(()) }
    }
}

impl Running {
    fn start(question: &Question<'_>) -> Result<Self, Fault> {
        let mut command = Command::new(question.program);
        command.args(question.arguments).env_clear().envs(question.environment.iter().copied());
        // Version managers look for their files from the working directory upwards: here there are none.
        command.current_dir("/").process_group(0);
        let stdin = if question.input.is_empty() { Stdio::null() } else { Stdio::piped() };
        command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut tries = 0;
        loop {
            match command.spawn() {
                Ok(mut child) => {
                    if let Some(mut stdin) = child.stdin.take() {
                        // One that does not read it answers without it.
                        let _ = stdin.write_all(question.input);
                    }
                    let streams = [Stream::of(child.stdout.take()), Stream::of(child.stderr.take())];
                    return Ok(Self { child, streams, reaped: false });
                }
                Err(error) if Errno::from_io_error(&error) == Some(Errno::TXTBSY) && tries < BUSY_TRIES => {
                    tries += 1;
                    thread::sleep(LOOK);
                }
                Err(error) => return Err(why_refused(question.program, &error)),
            }
        }
    }

    /// Reads until the program has ended and everything it printed is read, or enough was seen.
    fn listen(&mut self, question: &Question<'_>) -> Result<(), Broken> {
        let start = Instant::now();
        loop {
            // Looked for before the pipes are, so that nothing printed before the end is missed.
            let ended = self.has_ended()?;
            if (question.enough)() {
                return Ok(());
            }
            let left = question.limit.saturating_sub(start.elapsed());
            if !ended && left.is_zero() {
                return Err(Broken::Time);
            }
            let open = self.streams.iter().any(|stream| stream.pipe.is_some());
            let look = if open { LOOK } else { LAST_LOOK };
            let read = self.read(if ended { Duration::ZERO } else { look.min(left) })?;
            if ended && !read {
                return Ok(());
            }
        }
    }

    /// Reads what is there, waiting for it no longer than `wait`; whether there was anything.
    fn read(&mut self, wait: Duration) -> Result<bool, Broken> {
        let mut open: Vec<&mut Stream> =
            self.streams.iter_mut().filter(|stream| stream.pipe.is_some()).collect();
        let mut polled: Vec<PollFd<'_>> = open
            .iter()
            .filter_map(|stream| stream.pipe.as_ref())
            .map(|pipe| PollFd::new(pipe, PollFlags::IN))
            .collect();
        let wait = Timespec::try_from(wait).map_err(|_| Broken::System(Errno::INVAL))?;
        match poll(&mut polled, Some(&wait)) {
            Ok(_) => {}
            Err(Errno::INTR) => return Ok(false),
            Err(error) => return Err(Broken::System(error)),
        }
        let ready: Vec<bool> = polled.iter().map(|one| !one.revents().is_empty()).collect();
        for (stream, _) in open.iter_mut().zip(&ready).filter(|(_, ready)| **ready) {
            stream.read()?;
        }
        Ok(ready.contains(&true))
    }

    /// Whether the program has ended; it is left unreaped, so that its group's number stays taken. One that was
    /// stopped has asked its terminal for input (a prompt, a pager), which a group in the background may not.
    fn has_ended(&self) -> Result<bool, Broken> {
        let wanted = WaitIdOptions::EXITED | WaitIdOptions::STOPPED;
        let options = wanted | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        match waitid(WaitId::Pid(Pid::from_child(&self.child)), options) {
            Ok(Some(status)) if status.stopped() => Err(Broken::Stopped),
            Ok(status) => Ok(status.is_some()),
            Err(Errno::INTR) => Ok(false),
            Err(error) => Err(Broken::System(error)),
        }
    }

    /// Kills whatever of the group is left and reaps the program. A second call does nothing.
    fn end(&mut self) -> std::io::Result<ExitStatus> {
        if self.reaped {
            return self.child.wait();
        }
        self.reaped = true;
        // The group exists as long as its first process is not reaped; an error is then of no use.
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        let deadline = Instant::now() + KILL_PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if Instant::now() >= deadline {
                return Err(Errno::TIMEDOUT.into());
            }
            thread::sleep(LAST_LOOK);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The last defence, should a panic have skipped `end`.
        if !self.reaped {
            let _ = self.end();
        }
    }
}
