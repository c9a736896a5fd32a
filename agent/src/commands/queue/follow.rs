//! `kubestep queue logs ID`, and how `submit` follows a step: frames of the log in order, each once.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use tokio::sync::mpsc;

use super::{Failure, Opened, block_on, id, open};
use crate::cli::{LogFormat, LogsArguments};
use crate::commands::run::listen;
use crate::outcome::{StepError, verdict};
use crate::queue::{Entry, LogChunk, LogFrame, LogPosition, LogStream, Queue, QueueError, State, StepId};
use crate::settings::Environment;

/// How much of a log is held at once, in bytes.
const PIECE: usize = 256 * 1024;

/// How long one question waits.
const WAIT: Duration = Duration::from_secs(60);

/// How often a queue that cannot be read is asked again, with twice the pause each time.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(200);

/// How far a step is followed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    /// To what is there now.
    Now,
    /// To its end, with its log.
    Ended,
    /// To its end, without its log.
    EndedSilently,
}

/// A signal that ended the following, as an exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stopped(pub(crate) u8);

pub(super) fn run(arguments: &LogsArguments, environment: &Environment) -> Result<u8, Failure> {
    let id = id(&arguments.step.id)?;
    let from = arguments.from.as_deref().map_or(Ok(LogPosition::default()), position)?;
    let Opened { queue, .. } = open(&arguments.step.place, environment)?;
    let until = if arguments.follow { Until::Ended } else { Until::Now };
    block_on(async {
        let follower = Follower { queue, id, output: arguments.step.output };
        let followed = follower.follow(from, until).await?;
        Ok(followed.map_or_else(|Stopped(code)| code, |_| 0))
    })
}

/// `EPOCH:OFFSET`, as a line of JSON tells it.
fn position(text: &str) -> Result<LogPosition, Failure> {
    let parts = text.split_once(':').and_then(|(epoch, offset)| {
        Some(LogPosition { epoch: epoch.parse().ok()?, offset: offset.parse().ok()? })
    });
    let expected = || "expected a position such as 1:5120".to_owned();
    parts.ok_or_else(|| Failure::Value { name: "--from", expected: expected() })
}

/// Somebody who follows a step.
pub(crate) struct Follower {
    pub(crate) queue: Arc<dyn Queue>,
    pub(crate) id: StepId,
    pub(crate) output: LogFormat,
}

impl Follower {
    /// Follows the step, and gives what is told of it then; a signal ends the following, and the step goes on.
    pub(crate) async fn follow(
        &self,
        from: LogPosition,
        until: Until,
    ) -> Result<Result<Entry, Stopped>, Failure> {
        let (stop, mut stops) = mpsc::unbounded_channel();
        listen(&stop).map_err(Failure::Machine)?;
        tokio::select! {
            biased;
            Some(reason) = stops.recv() => Ok(Err(Stopped(verdict(&Err(StepError::Stopped(reason))).exit_code))),
            entry = self.to_end(from, until) => Ok(Ok(entry?)),
        }
    }

    async fn to_end(&self, from: LogPosition, until: Until) -> Result<Entry, Failure> {
        let mut at = from;
        loop {
            let entry = match until {
                Until::EndedSilently => {
                    self.patiently(async || self.queue.ended(&self.id, WAIT).await).await?
                }
                Until::Now | Until::Ended => {
                    let wait = if until == Until::Now { Duration::ZERO } else { WAIT };
                    let chunk =
                        self.patiently(async || self.queue.tail(&self.id, at, PIECE, wait).await).await?;
                    let is_over = chunk.end || until == Until::Now && chunk.frames.is_empty();
                    at = chunk.next;
                    self.write(chunk).await?;
                    match is_over {
                        true => Some(self.patiently(async || self.queue.show(&self.id).await).await?),
                        false => None,
                    }
                }
            };
            // Somebody may have put it on the queue again at this very moment.
            if let Some(entry) = entry
                && (entry.state == State::Ended || until == Until::Now)
            {
                return Ok(entry);
            }
        }
    }

    /// A queue that cannot be read for a moment loses nobody: the log goes on at its offset.
    async fn patiently<T>(&self, ask: impl AsyncFn() -> Result<T, QueueError>) -> Result<T, Failure> {
        let mut pause = PAUSE;
        for _ in 1..TRIES {
            match ask().await {
                Err(QueueError::Engine { .. }) => tokio::time::sleep(pause).await,
                other => return Ok(other?),
            }
            pause *= 2;
        }
        Ok(ask().await?)
    }

    /// Writes on a thread of its own: a reader that hangs must not keep a signal from ending us.
    async fn write(&self, chunk: LogChunk) -> Result<(), Failure> {
        if chunk.frames.is_empty() {
            return Ok(());
        }
        let output = self.output;
        let written = tokio::task::spawn_blocking(move || match output {
            LogFormat::Text => chunk.frames.iter().try_for_each(write_text),
            LogFormat::Json => io::stdout().write_all(lines(&chunk).as_bytes()),
        });
        written.await.map_err(io::Error::from).flatten().map_err(Failure::Output)
    }
}

fn write_text(frame: &LogFrame) -> io::Result<()> {
    match frame.stream {
        LogStream::Stdout => {
            let mut stdout = io::stdout().lock();
            stdout.write_all(&frame.bytes)?;
            stdout.flush()
        }
        LogStream::Stderr | LogStream::Agent => {
            // Where nobody reads stderr, stdout goes on, as with `run`.
            let _ = io::stderr().write_all(&frame.bytes);
            Ok(())
        }
    }
}

/// A line of JSON for each frame; `next` is where the log goes on after it.
fn lines(chunk: &LogChunk) -> String {
    // All of them are of one claim, and end where the chunk does.
    let size = chunk.frames.iter().map(|frame| frame.size() as u64).sum::<u64>();
    let mut offset = chunk.next.offset.saturating_sub(size);
    let line = |frame: &LogFrame| {
        offset += frame.size() as u64;
        let time = i64::try_from(frame.milliseconds).ok();
        let time = time.and_then(|time| jiff::Timestamp::from_millisecond(time).ok());
        let mut line = json!({
            "stream": frame.stream,
            "time": time,
            "next": format!("{}:{offset}", chunk.next.epoch),
        });
        match std::str::from_utf8(&frame.bytes) {
            Ok(text) => line["text"] = text.into(),
            Err(_) => line["base64"] = STANDARD.encode(&frame.bytes).into(),
        }
        format!("{line}\n")
    };
    chunk.frames.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::{lines, position};
    use crate::queue::{LogChunk, LogFrame, LogPosition, LogStream};
    use serde_json::json;

    #[test]
    fn a_line_of_json_says_where_the_log_goes_on() {
        let frame =
            |stream, bytes: &[u8]| LogFrame { stream, milliseconds: 1_764_000_000_123, bytes: bytes.into() };
        let frames = vec![frame(LogStream::Stdout, b"a\n"), frame(LogStream::Agent, b"\xff")];
        let next = LogPosition { epoch: 2, offset: 100 };
        let time = "2025-11-24T16:00:00.123Z";
        let expected = [
            json!({"stream": "stdout", "text": "a\n", "time": time, "next": "2:86"}),
            json!({"stream": "agent", "base64": "/w==", "time": time, "next": "2:100"}),
        ];
        let told = lines(&LogChunk { frames, next, end: false });
        let told = told.lines().map(|line| serde_json::from_str(line).expect("JSON"));
        assert_eq!(told.collect::<Vec<serde_json::Value>>(), expected);
        assert_eq!(position("2:86").expect("a position"), LogPosition { epoch: 2, offset: 86 });
        for wrong in ["", "2", "2:", ":1", "2:-1", "a:1"] {
            assert!(position(wrong).is_err(), "{wrong}");
        }
    }
}
