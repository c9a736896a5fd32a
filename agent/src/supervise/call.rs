//! One program, run below a supervisor of its own to hear what it says: it and all that it starts end with the
//! call, with its time limit, and with the agent's death.

use std::path::Path;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::{Command, Exit, Output, StopReason, SuperviseError, Supervisor};
use crate::limits::Limits;

/// How much of each end of stderr is kept, in bytes.
const END: usize = 32 * 1024;

/// A program to be heard.
pub struct Call<'a> {
    /// This program, to be started as the supervisor.
    pub supervisor: &'a Path,
    /// What is run.
    pub command: Command,
    /// How long it may take.
    pub timeout: Duration,
    /// How many bytes it may print to stdout; one that prints more is ended.
    pub room: usize,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallEnd {
    /// The program ended by itself.
    Exited(Exit),
    /// It took too long.
    TimedOut,
    /// It printed too much.
    Flooded,
    /// Its supervisor was ended.
    Lost,
}

/// A call that is over. It has no `Debug`: a credential may be in it.
pub struct Called {
    /// How it ended.
    pub end: CallEnd,
    /// All that it printed to stdout; cut where there was too much.
    pub stdout: Vec<u8>,
    /// What it printed to stderr.
    pub stderr: Ends,
}

/// The first and the last of what a program printed. It has no `Debug`: a secret may be in it.
#[derive(Default)]
pub struct Ends {
    /// The first of it; all of it, where it is short.
    pub head: Vec<u8>,
    /// The last of it, where it is long.
    pub tail: Vec<u8>,
    /// How many bytes were left out between the two.
    pub dropped: u64,
}

impl Ends {
    fn write(&mut self, bytes: &[u8]) {
        let to_head = bytes.len().min((2 * END).saturating_sub(self.head.len()));
        // While nothing is left out, all stands in the head.
        if self.tail.is_empty() && self.dropped == 0 && to_head == bytes.len() {
            return self.head.extend(bytes);
        }
        if self.tail.is_empty() && self.dropped == 0 {
            self.tail = self.head.split_off(self.head.len().min(END));
        }
        self.tail.extend(bytes);
        let over = self.tail.len().saturating_sub(END);
        self.tail.drain(..over);
        self.dropped += over as u64;
    }
}

impl Call<'_> {
    /// Runs it to its end. Dropped half-way, it ends what runs.
    ///
    /// # Errors
    /// What went wrong with the supervisor; never what the program did.
    pub async fn run(self) -> Result<Called, SuperviseError> {
        let (stop, mut stops) = mpsc::unbounded_channel();
        let ((stdout, takes_stdout), (stderr, takes_stderr)) =
            (Capture::new(Whole { bytes: Vec::new(), room: self.room, stop }), Capture::new(Ends::default()));
        let limits = Limits { timeout: Some(self.timeout), grace: Duration::ZERO, ..Limits::default() };
        let mut supervisor = Supervisor::start(self.supervisor).await?;
        let ran = supervisor.run(
            self.command,
            [Either::Stdout(stdout), Either::Stderr(stderr)],
            &limits,
            &mut stops,
        );
        let ran = match ran.await {
            Ok(mut ended) => ended.outputs_done().await.map(|()| ended.ending),
            Err(error) => Err(error),
        };
        // There is no workspace that could stay; that the supervisor is gone is not worth the answer.
        drop(supervisor.close().await);
        let ending = ran?;
        let end = match (ending.stopped(), ending.exit()) {
            (Some(StopReason::OutputLimit), _) => CallEnd::Flooded,
            (Some(_), _) => CallEnd::TimedOut,
            (None, Some(exit)) => CallEnd::Exited(exit),
            (None, None) => CallEnd::Lost,
        };
        let (stdout, stderr) = (takes_stdout.await, takes_stderr.await);
        Ok(Called {
            end,
            stdout: stdout.map(|whole| whole.bytes).unwrap_or_default(),
            stderr: stderr.unwrap_or_default(),
        })
    }
}

/// All of a stream; the call ends where there is more.
struct Whole {
    bytes: Vec<u8>,
    room: usize,
    stop: mpsc::UnboundedSender<StopReason>,
}

/// Keeps what is printed until somebody takes it.
struct Capture<Kept> {
    kept: Kept,
    done: oneshot::Sender<Kept>,
}

impl<Kept> Capture<Kept> {
    fn new(kept: Kept) -> (Self, oneshot::Receiver<Kept>) {
        let (done, takes) = oneshot::channel();
        (Self { kept, done }, takes)
    }

    fn finish(self) {
        // Whoever asked may have been stopped.
        let _ = self.done.send(self.kept);
    }
}

/// The two streams of a call.
enum Either {
    Stdout(Capture<Whole>),
    Stderr(Capture<Ends>),
}

impl Output for Either {
    async fn write(&mut self, bytes: &[u8]) {
        match self {
            Self::Stderr(ends) => ends.kept.write(bytes),
            Self::Stdout(Capture { kept, .. }) => {
                let fits = bytes.len().min(kept.room - kept.bytes.len());
                kept.bytes.extend(&bytes[..fits]);
                if fits < bytes.len() {
                    // One that is over needs no end.
                    let _ = kept.stop.send(StopReason::OutputLimit);
                }
            }
        }
    }

    async fn finish(self) {
        match self {
            Self::Stdout(whole) => whole.finish(),
            Self::Stderr(ends) => ends.finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{END, Ends};

    #[test]
    fn both_ends_of_a_long_text_are_kept_and_all_of_a_short_one() {
        for (length, step) in [(10, 3), (END, 7), (2 * END, 1000), (2 * END + 1, 999), (5 * END, 4096)] {
            let text: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
            let mut ends = Ends::default();
            text.chunks(step).for_each(|piece| ends.write(piece));
            let kept = ends.head.len() + ends.tail.len();
            assert_eq!(kept as u64 + ends.dropped, length as u64, "{length}");
            assert!(text.starts_with(&ends.head) && text.ends_with(&ends.tail), "{length}");
            if length <= 2 * END {
                assert_eq!((ends.head.len(), ends.dropped), (length, 0));
            } else {
                assert_eq!((ends.head.len(), ends.tail.len()), (END, END));
            }
        }
    }
}
