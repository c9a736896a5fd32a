//! The only way out for step output: it takes nothing but [`Masked`].
//!
//! Each of the two streams has somebody who writes, since a reader that does not read makes him wait; what
//! waits for him is bounded, so a slow reader slows the script. The agent's own lines go the same way, each on a
//! line of its own.

mod line;
mod sink;

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::mask::{Masked, Masker};

pub use line::{Diagnostics, Format, Level, Line};
pub use sink::Sink;
use sink::Way;

/// The agent's voice and both streams of a step.
pub struct Log {
    masker: Masker,
    format: Format,
    least: Level,
    stdout: Sink,
    stderr: Sink,
}

/// What went through a log, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Written to stdout.
    pub stdout: u64,
    /// Written to stderr, the agent's own lines left out.
    pub stderr: u64,
    /// Masks written in place of secrets.
    pub masked: u64,
    /// Never written, as nobody read.
    pub dropped: u64,
}

/// Whose words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// The script's standard output.
    Stdout,
    /// The script's standard error.
    Stderr,
    /// The agent's own line.
    Agent,
}

/// Takes a log elsewhere than to this process' own stdout and stderr.
pub trait Carrier: Send + Sync {
    /// Takes the next pieces, in their order; as long as this waits, so does the script. Its error: nobody takes them
    /// any more.
    fn carry<'a>(&'a self, pieces: &'a [(Whose, &'a Masked)]) -> Carried<'a>;
}

/// Done when what was given has been taken.
pub type Carried<'a> = Pin<Box<dyn Future<Output = io::Result<()>> + Send + 'a>>;

/// How the agent speaks.
#[derive(Clone, Copy, Debug)]
pub struct Voice {
    /// Text or JSON.
    pub format: Format,
    /// The least important level that is shown.
    pub least: Level,
}

impl Log {
    /// A log on this process's own stdout and stderr. `closed` is called once, when nobody reads stdout any
    /// more.
    ///
    /// # Errors
    /// Where the descriptors cannot be copied.
    pub fn open(masker: Masker, voice: Voice, closed: impl FnOnce() + Send + 'static) -> io::Result<Self> {
        let stdout = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        let stderr = File::from(io::stderr().as_fd().try_clone_to_owned()?);
        // With one file behind both streams, a line of its own depends on what either wrote last.
        let first = Arc::new(AtomicBool::new(true));
        let second =
            if same_file(&stdout, &stderr) { Arc::clone(&first) } else { Arc::new(AtomicBool::new(true)) };
        let stdout = Sink::to_file(Way { file: stdout, at_line_start: first }, closed);
        let stderr = Sink::to_file(Way { file: stderr, at_line_start: second }, || ());
        Ok(Self::new(masker, voice, [stdout, stderr]))
    }

    /// A log that somebody else takes. `closed` is called once, when he takes no more of the script's stdout. To be called
    /// on a runtime.
    pub fn carried(
        masker: Masker,
        voice: Voice,
        carrier: &Arc<dyn Carrier>,
        closed: impl FnOnce() + Send + 'static,
    ) -> Self {
        let stdout = Sink::carried(Arc::clone(carrier), Whose::Stdout, closed);
        let stderr = Sink::carried(Arc::clone(carrier), Whose::Stderr, || ());
        Self::new(masker, voice, [stdout, stderr])
    }

    fn new(masker: Masker, voice: Voice, [stdout, stderr]: [Sink; 2]) -> Self {
        Self { masker, format: voice.format, least: voice.least, stdout, stderr }
    }

    /// Says a line of the agent's own, where its level is shown. It never waits for the reader.
    pub fn say(&self, line: &Line) {
        if line.level >= self.least {
            self.stderr.line(line.render(self.format, &self.masker));
        }
    }

    /// Where the script's stdout goes.
    #[must_use]
    pub fn stdout(&self) -> Sink {
        self.stdout.clone()
    }

    /// Where the script's stderr goes.
    #[must_use]
    pub fn stderr(&self) -> Sink {
        self.stderr.clone()
    }

    /// A subscriber of `tracing` that says its events as lines of the agent's own.
    #[must_use]
    pub fn diagnostics(&self) -> Diagnostics {
        Diagnostics::new(
            self.masker.clone(),
            self.stderr.clone(),
            Voice { format: self.format, least: self.least },
        )
    }

    /// Waits until everything has been written. Cancel-safe.
    pub async fn flush(&self) {
        self.stdout.flush().await;
        self.stderr.flush().await;
    }

    /// Gives up on the reader: nothing waits any more, and what has not been written is counted as dropped.
    pub fn abandon(&self) {
        self.stdout.abandon();
        self.stderr.abandon();
    }

    /// What has gone through so far.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let (stdout, stderr) = (self.stdout.totals(), self.stderr.totals());
        Totals {
            stdout: stdout.written,
            stderr: stderr.written,
            masked: stdout.masked + stderr.masked,
            dropped: stdout.dropped + stderr.dropped,
        }
    }
}

fn same_file(one: &File, other: &File) -> bool {
    let identity = |file: &File| rustix::fs::fstat(file).map(|stat| (stat.st_dev, stat.st_ino));
    matches!((identity(one), identity(other)), (Ok(one), Ok(other)) if one == other)
}

/// Writes all bytes, to a descriptor that may have been set to non-blocking by another process.
fn write_all(file: &mut File, bytes: &[u8], at_line_start: &AtomicBool) -> io::Result<()> {
    let mut rest = bytes;
    while let Some(last) = rest.last() {
        let will_end_a_line = *last == b'\n';
        match file.write(rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                rest = &rest[written..];
                at_line_start.store(rest.is_empty() && will_end_a_line, Ordering::Relaxed);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => wait_for_room(file)?,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn wait_for_room(file: &File) -> io::Result<()> {
    let mut polled = [rustix::event::PollFd::new(file, rustix::event::PollFlags::OUT)];
    rustix::event::poll(&mut polled, None)?;
    Ok(())
}
