//! A log's bytes: frames of kind (u8), length (u32, big endian), then the time (u64, milliseconds since 1970) and what
//! was written, masked. The same frames come up from a step's process.

/// The most bytes that one frame carries, in a log and from a step's process.
pub const MAX_FRAME: usize = 64 * 1024;

const HEAD: usize = 5;
const TIME: usize = 8;

/// Whose words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub enum LogStream {
    /// The script's standard output.
    Stdout,
    /// The script's standard error.
    Stderr,
    /// The agent's own lines.
    Agent,
}

impl LogStream {
    const KINDS: [(u8, Self); 3] = [(1, Self::Stdout), (2, Self::Stderr), (3, Self::Agent)];
}

/// Some bytes of a step's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFrame {
    /// Whose.
    pub stream: LogStream,
    /// When, in milliseconds since 1970.
    pub milliseconds: u64,
    /// What, masked; at most [`MAX_FRAME`] bytes.
    pub bytes: Vec<u8>,
}

impl LogFrame {
    /// The bytes that it takes in a log, where it is not longer than [`MAX_FRAME`].
    #[must_use]
    pub fn size(&self) -> usize {
        HEAD + TIME + self.bytes.len()
    }

    /// Appends the frame as it stands in a log; what is longer than [`MAX_FRAME`] becomes several.
    pub fn write(&self, log: &mut Vec<u8>) {
        let kind = LogStream::KINDS.iter().find(|(_, stream)| *stream == self.stream);
        let kind = kind.map_or(0, |(kind, _)| *kind);
        for piece in self.bytes.chunks(MAX_FRAME) {
            log.push(kind);
            // A piece and its time fit 32 bits by far.
            let length = u32::try_from(TIME + piece.len()).unwrap_or(u32::MAX);
            log.extend(length.to_be_bytes());
            log.extend(self.milliseconds.to_be_bytes());
            log.extend(piece);
        }
    }
}

/// The whole frames at the beginning of `log`, and the number of bytes that they take. What follows is the beginning of
/// a frame, or none: a machine may lose power while it writes.
#[must_use]
pub fn frames(log: &[u8]) -> (Vec<LogFrame>, usize) {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some((frame, size)) = first(&log[at..]) {
        found.push(frame);
        at += size;
    }
    (found, at)
}

fn first(log: &[u8]) -> Option<(LogFrame, usize)> {
    let (head, rest) = log.split_at_checked(HEAD)?;
    let (_, stream) = LogStream::KINDS.iter().find(|(kind, _)| *kind == head[0])?;
    let length = u32::from_be_bytes(head[1..].try_into().ok()?) as usize;
    if !(TIME..=TIME + MAX_FRAME).contains(&length) {
        return None;
    }
    let (time, bytes) = rest.get(..length)?.split_at(TIME);
    let milliseconds = u64::from_be_bytes(time.try_into().ok()?);
    Some((LogFrame { stream: *stream, milliseconds, bytes: bytes.to_vec() }, HEAD + length))
}

#[cfg(test)]
mod tests {
    use super::{LogFrame, LogStream, MAX_FRAME, frames};

    #[test]
    fn frames_are_read_as_written_and_a_torn_one_is_not() {
        let frame = |stream, bytes: &[u8]| LogFrame { stream, milliseconds: 1 << 40, bytes: bytes.to_vec() };
        let written = [frame(LogStream::Stdout, b"a\nb"), frame(LogStream::Agent, b"\0")];
        let mut log = Vec::new();
        let mut ends = vec![0];
        for frame in &written {
            frame.write(&mut log);
            ends.push(log.len());
            assert_eq!(ends[ends.len() - 2] + frame.size(), log.len());
        }
        for cut in 0..=log.len() {
            let whole = ends.iter().filter(|end| **end <= cut).count() - 1;
            assert_eq!(frames(&log[..cut]), (written[..whole].to_vec(), ends[whole]), "{cut}");
        }
        assert_eq!(frames(b"\x07\0\0\0\x09aaaaaaaaa"), (vec![], 0), "no kind of ours");
        assert_eq!(frames(b"\x01\xff\xff\xff\xffaaaaaaaa"), (vec![], 0), "too long");
    }

    #[test]
    fn a_long_write_becomes_frames_that_can_be_read() {
        let long = LogFrame { stream: LogStream::Stderr, milliseconds: 1, bytes: vec![b'x'; MAX_FRAME + 1] };
        let mut log = Vec::new();
        long.write(&mut log);
        let (read, size) = frames(&log);
        assert_eq!(
            (size, read.iter().map(|frame| frame.bytes.len()).collect::<Vec<_>>()),
            (log.len(), vec![MAX_FRAME, 1])
        );
    }
}
