//! What a worker and the process of one step say to each other, over a socketpair on that process' descriptor 0: frames
//! of kind (u8), length (u32, big endian) and bytes. The end of the stream means that the other one is gone.
//!
//! Log frames are those of the queue's logs, so that what comes up is stored as it came. A frame can hold a payload, so
//! none is ever formatted for people.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};

use super::job::Job;
use crate::queue::{Ending, LogFrame, frames};
use crate::secret::Secret;

const HEAD: usize = 5;

/// The kinds of frames that are no log frames, each with the most bytes that it may have.
const JOB: (u8, usize) = (16, 4 << 20);
const PAYLOAD: (u8, usize) = (17, (4 << 20) + 1);
const CANCEL: (u8, usize) = (18, 1);
const LEASE: (u8, usize) = (19, 8);
const PHASE: (u8, usize) = (32, 64);
const RESULT: (u8, usize) = (33, 4 << 20);

/// A log frame's kind is below this; its bytes are those of one frame of a log.
const LOG_KINDS: u8 = 16;
const LOG: usize = crate::queue::MAX_FRAME + 8;

/// Why a worker ends a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancel {
    /// Somebody cancelled it on its queue.
    Queue,
    /// The worker ends.
    Drain,
    /// The worker ends now: no grace.
    DrainAtOnce,
    /// The lease is over, so somebody else may have the step: no grace.
    LeaseOver,
}

impl Cancel {
    const BYTES: [(u8, Self); 4] =
        [(1, Self::Queue), (2, Self::Drain), (3, Self::DrainAtOnce), (4, Self::LeaseOver)];

    /// Whether there is no grace.
    #[must_use]
    pub fn is_at_once(self) -> bool {
        matches!(self, Self::DrainAtOnce | Self::LeaseOver)
    }
}

/// Worker to step.
pub enum Down {
    /// How the step is to be run: [`Job`] as JSON. The first frame.
    Job(Vec<u8>),
    /// The payload document. The second frame.
    Payload(Secret),
    /// End the step.
    Cancel(Cancel),
    /// The step may run until then, by CLOCK_BOOTTIME.
    Lease(Duration),
}

/// Step to worker.
#[derive(Debug)]
pub enum Up {
    /// A part of the log, masked.
    Log(LogFrame),
    /// A part of the line begins, by its name in results.
    Phase(String),
    /// How the step ended: the last frame.
    Result(Box<Ending>),
}

impl Down {
    /// The frame's bytes.
    ///
    /// # Errors
    /// One that is too long.
    pub fn bytes(&self) -> io::Result<Vec<u8>> {
        match self {
            Self::Job(text) => framed(JOB, text),
            Self::Payload(payload) => framed(PAYLOAD, payload.expose().as_bytes()),
            Self::Cancel(reason) => {
                let byte = Cancel::BYTES.iter().find(|(_, one)| one == reason).map_or(0, |(byte, _)| *byte);
                framed(CANCEL, &[byte])
            }
            Self::Lease(until) => {
                let milliseconds = u64::try_from(until.as_millis()).unwrap_or(u64::MAX);
                framed(LEASE, &milliseconds.to_be_bytes())
            }
        }
    }

    /// The next frame; `None` at the end of the stream. Not cancel-safe.
    ///
    /// # Errors
    /// What the stream says, and anything that is no frame of a worker's.
    pub async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Self>> {
        let frame = next(stream, &[JOB, PAYLOAD, CANCEL, LEASE]).await?;
        let Some((kind, mut bytes)) = frame else { return Ok(None) };
        // In its place: no second copy of a payload.
        bytes.drain(..HEAD);
        Self::of(kind, bytes).map(Some).ok_or_else(no_frame)
    }

    /// The first three frames: how to run which step until when.
    ///
    /// # Errors
    /// What the stream says, its end, and anything else.
    pub async fn begin(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<(Job, Vec<u8>, Duration)> {
        let (job, payload, lease) =
            (Self::read(stream).await?, Self::read(stream).await?, Self::read(stream).await?);
        match (job, payload, lease) {
            (Some(Self::Job(job)), Some(Self::Payload(payload)), Some(Self::Lease(until))) => {
                Ok((serde_json::from_slice(&job)?, payload.expose().as_bytes().to_vec(), until))
            }
            _ => Err(no_frame()),
        }
    }

    fn of(kind: u8, bytes: Vec<u8>) -> Option<Self> {
        match kind {
            kind if kind == JOB.0 => Some(Self::Job(bytes)),
            kind if kind == PAYLOAD.0 => String::from_utf8(bytes).ok().map(Secret::new).map(Self::Payload),
            kind if kind == CANCEL.0 => {
                let byte = bytes.first()?;
                Cancel::BYTES.iter().find(|(known, _)| known == byte).map(|(_, reason)| Self::Cancel(*reason))
            }
            kind if kind == LEASE.0 => {
                let milliseconds = u64::from_be_bytes(bytes.try_into().ok()?);
                Some(Self::Lease(Duration::from_millis(milliseconds)))
            }
            _ => None,
        }
    }
}

impl Up {
    /// The frame's bytes; a long log frame becomes several.
    ///
    /// # Errors
    /// One that is too long.
    pub fn bytes(&self) -> io::Result<Vec<u8>> {
        match self {
            Self::Log(frame) => {
                let mut bytes = Vec::new();
                frame.write(&mut bytes);
                Ok(bytes)
            }
            Self::Phase(name) => framed(PHASE, name.as_bytes()),
            Self::Result(ending) => framed(RESULT, &serde_json::to_vec(ending)?),
        }
    }

    /// The next frame; `None` at the end of the stream. Not cancel-safe.
    ///
    /// # Errors
    /// What the stream says, and anything that is no frame of a step's.
    pub async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Self>> {
        let Some((kind, bytes)) = next(stream, &[PHASE, RESULT]).await? else { return Ok(None) };
        if kind < LOG_KINDS {
            let (mut found, size) = frames(&bytes);
            let frame = found.pop().filter(|_| size == bytes.len());
            return frame.map(|frame| Some(Self::Log(frame))).ok_or_else(no_frame);
        }
        let bytes = &bytes[HEAD..];
        if kind == PHASE.0 {
            let name = std::str::from_utf8(bytes).map_err(|_| no_frame())?;
            return Ok(Some(Self::Phase(name.to_owned())));
        }
        Ok(Some(Self::Result(Box::new(serde_json::from_slice(bytes)?))))
    }
}

/// The next frame's kind, and all of its bytes; `None` at the end of the stream.
async fn next(
    stream: &mut (impl AsyncRead + Unpin),
    kinds: &[(u8, usize)],
) -> io::Result<Option<(u8, Vec<u8>)>> {
    let mut head = [0; HEAD];
    // The stream may end between two frames, and nowhere else.
    if stream.read(&mut head[..1]).await? == 0 {
        return Ok(None);
    }
    stream.read_exact(&mut head[1..]).await?;
    let (kind, length) = checked(head, kinds)?;
    let mut frame = vec![0; HEAD + length];
    frame[..HEAD].copy_from_slice(&head);
    stream.read_exact(&mut frame[HEAD..]).await?;
    Ok(Some((kind, frame)))
}

/// A frame's kind and length, where they are such as may be.
fn checked(head: [u8; HEAD], kinds: &[(u8, usize)]) -> io::Result<(u8, usize)> {
    let [kind, length @ ..] = head;
    let length = u32::from_be_bytes(length) as usize;
    let most = match kinds.iter().find(|(known, _)| *known == kind) {
        Some((_, most)) => *most,
        None if kind < LOG_KINDS && kinds.contains(&RESULT) => LOG,
        None => return Err(no_frame()),
    };
    if length > most { Err(no_frame()) } else { Ok((kind, length)) }
}

fn framed((kind, most): (u8, usize), bytes: &[u8]) -> io::Result<Vec<u8>> {
    let length = u32::try_from(bytes.len()).ok().filter(|_| bytes.len() <= most).ok_or_else(no_frame)?;
    let mut frame = Vec::with_capacity(HEAD + bytes.len());
    frame.push(kind);
    frame.extend(length.to_be_bytes());
    frame.extend(bytes);
    Ok(frame)
}

fn no_frame() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "not a frame between a worker and a step")
}

#[cfg(test)]
mod tests {
    use super::{Cancel, Down, Up};
    use crate::outcome::Reason;
    use crate::queue::{Ending, LogFrame, LogStream, MAX_FRAME};
    use crate::secret::Secret;
    use std::time::Duration;

    fn wait<T>(read: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(read)
    }

    fn read_up(bytes: &[u8]) -> std::io::Result<Vec<Up>> {
        wait(async {
            let (mut rest, mut found) = (bytes, Vec::new());
            while let Some(frame) = Up::read(&mut rest).await? {
                found.push(frame);
            }
            Ok(found)
        })
    }

    #[test]
    fn what_goes_down_arrives_as_it_was_sent() {
        let sent = [
            Down::Job(b"{}".to_vec()),
            Down::Payload(Secret::new("kind: Step".into())),
            Down::Lease(Duration::from_millis(1234)),
            Down::Cancel(Cancel::DrainAtOnce),
        ];
        let bytes: Vec<u8> = sent.iter().flat_map(|frame| frame.bytes().expect("short")).collect();
        let mut stream = &bytes[..];
        let mut next = || wait(Down::read(&mut stream)).expect("a frame");
        assert!(matches!(next(), Some(Down::Job(text)) if text == b"{}"));
        assert!(matches!(next(), Some(Down::Payload(payload)) if payload.expose() == "kind: Step"));
        assert!(matches!(next(), Some(Down::Lease(until)) if until == Duration::from_millis(1234)));
        assert!(matches!(next(), Some(Down::Cancel(Cancel::DrainAtOnce))));
        assert!(next().is_none());
    }

    #[test]
    fn what_comes_up_arrives_as_it_was_sent_and_a_long_piece_in_parts() {
        let log =
            |bytes: &[u8]| LogFrame { stream: LogStream::Stderr, milliseconds: 7, bytes: bytes.to_vec() };
        let (message, exit_code) = ("it ended".to_owned(), 3);
        let ending = Ending { reason: Reason::ScriptFailed, exit_code, message, result: None };
        let sent = [
            Up::Phase("plan".into()),
            Up::Log(log(b"a\nb")),
            Up::Log(log(&vec![b'x'; MAX_FRAME + 1])),
            Up::Result(Box::new(ending.clone())),
        ];
        let bytes: Vec<u8> = sent.iter().flat_map(|frame| frame.bytes().expect("short")).collect();
        let found = read_up(&bytes).expect("frames");
        assert_eq!(found.len(), 5);
        assert!(matches!(&found[0], Up::Phase(name) if name == "plan"));
        assert!(matches!(&found[1], Up::Log(frame) if *frame == log(b"a\nb")));
        assert!(matches!(&found[2], Up::Log(frame) if frame.bytes.len() == MAX_FRAME));
        assert!(matches!(&found[3], Up::Log(frame) if frame.bytes == b"x"));
        assert!(matches!(&found[4], Up::Result(told) if **told == ending));
    }

    #[test]
    fn what_is_no_frame_or_too_long_or_torn_is_refused() {
        let wrong: [&[u8]; 6] = [
            b"\x07\0\0\0\x09aaaaaaaaa",
            b"\x01\xff\xff\xff\xff",
            b"\x20\0\0\0\x41",
            b"\x21\0\0\0\x02no",
            b"\x10\0\0\0\0",
            b"\x01\0\0",
        ];
        for bytes in wrong {
            assert!(read_up(bytes).is_err(), "{bytes:?}");
        }
        let wrong: [&[u8]; 4] = [b"\x12\0\0\0\x01\x09", b"\x13\0\0\0\x01\x09", b"\x20\0\0\0\x01a", b"\x11\0"];
        for mut bytes in wrong {
            assert!(wait(Down::read(&mut bytes)).is_err());
        }
        assert!(Down::Payload(Secret::new("x".repeat((4 << 20) + 2))).bytes().is_err());
    }
}
