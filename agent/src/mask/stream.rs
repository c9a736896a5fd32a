//! One stream through the masker: bytes in as they come, masked bytes out as soon as they are decided.
//!
//! Held back is exactly what a form could still begin with. Where a form ends inside of the held bytes its mask
//! is written at once, and the bytes that it covered are remembered (`covered`): a form that begins in them
//! belongs to the same mask, whether or not the reader cut the text there.

use std::io::{self, Read, Write};
use std::sync::Arc;

use super::filter::{Found, Patterns, run_at_end};
use super::{Masked, Masker};

/// How much [`Stream::transfer`] reads at once, in bytes: it stays in a core's own cache.
const CHUNK: usize = 256 * 1024;

/// The state of one stream.
pub struct Stream {
    masker: Masker,
    patterns: Arc<Patterns>,
    version: u64,
    /// The first `held` bytes are those that came and were not written; the rest is room.
    buffer: Vec<u8>,
    held: usize,
    /// How many of the held bytes belong to a mask that has been written.
    covered: usize,
    /// How many bytes of a code's alphabet stood before the held ones.
    run_before: usize,
    /// Set while bytes are judged: a stream in which that failed gives nothing any more.
    failed: bool,
}

/// What one [`Stream::transfer`] has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transferred {
    /// Bytes that came; 0 at the end.
    pub read: usize,
    /// Masks that were written.
    pub masks: u64,
}

/// Why bytes did not get through.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The source failed.
    #[error("the input cannot be read")]
    Read(#[source] io::Error),
    /// The sink failed.
    #[error("the output cannot be written")]
    Write(#[source] io::Error),
}

impl Stream {
    pub(super) fn new(masker: Masker) -> Self {
        let version = masker.version();
        let patterns = masker.patterns();
        let (held, covered, run_before) = (0, 0, 0);
        Self { masker, patterns, version, buffer: Vec::new(), held, covered, run_before, failed: false }
    }

    /// Takes the next bytes, and gives all that is decided now.
    #[must_use]
    pub fn push(&mut self, bytes: &[u8]) -> Masked {
        self.buffer.truncate(self.held);
        self.buffer.extend_from_slice(bytes);
        self.held += bytes.len();
        let mut out = Vec::with_capacity(self.held);
        let masks = self.release(true, |piece| out.extend_from_slice(piece));
        Masked { bytes: out, masks }
    }

    /// Ends the stream: what was held is no form's beginning any more.
    #[must_use]
    pub fn finish(mut self) -> Masked {
        let mut out = Vec::with_capacity(self.held);
        let masks = self.release(false, |piece| out.extend_from_slice(piece));
        Masked { bytes: out, masks }
    }

    /// Reads once, and writes all that is decided then: [`Stream::push`] without a copy. At the end of the source
    /// the stream ends too.
    ///
    /// # Errors
    /// [`TransferError`].
    pub fn transfer(
        &mut self,
        source: &mut impl Read,
        sink: &mut impl Write,
    ) -> Result<Transferred, TransferError> {
        let room = self.held + CHUNK;
        if self.buffer.len() < room {
            self.buffer.resize(room, 0);
        }
        let read = loop {
            match source.read(&mut self.buffer[self.held..room]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read.map_err(TransferError::Read)?,
            }
        };
        self.held += read;
        let mut gathered = Gathered { sink, bytes: Vec::new(), failed: None };
        let masks = self.release(read > 0, |piece| gathered.take(piece));
        gathered.write();
        gathered.failed.map_or(Ok(Transferred { read, masks }), |error| Err(TransferError::Write(error)))
    }

    /// Gives the held bytes that are decided, masked, in pieces; and the number of masks.
    fn release(&mut self, open: bool, mut give: impl FnMut(&[u8])) -> u64 {
        if std::mem::replace(&mut self.failed, true) {
            return 0;
        }
        let version = self.masker.version();
        if version != self.version {
            self.patterns = self.masker.patterns();
            self.version = version;
        }
        let held = &self.buffer[..self.held];
        #[cfg(debug_assertions)]
        fault::fail_if_wanted(held);
        let Found { places, undecided, .. } = self.patterns.find(held, self.run_before, open);
        let (mut masks, mut at) = (0, self.covered);
        // A form that begins in the undecided bytes may be the inside of a longer one: it is found again.
        for place in places.into_iter().filter(|place| place.start < undecided) {
            let joins = place.start < self.covered;
            if !joins {
                give(&held[at..place.start]);
                give(self.masker.mask());
                masks += 1;
            }
            at = at.max(place.end);
        }
        if at < undecided {
            give(&held[at..undecided]);
        }
        let run = run_at_end(&held[..undecided]);
        self.run_before = if run == undecided { self.run_before + run } else { run };
        self.buffer.copy_within(undecided..self.held, 0);
        self.held -= undecided;
        self.covered = at.saturating_sub(undecided);
        self.failed = false;
        masks
    }
}

/// The masker has no fault that is known, and what happens at one has to be tested: where the tests set this variable,
/// a text that holds its value is one. Builds for use do not have this.
#[cfg(debug_assertions)]
mod fault {
    const VARIABLE: &str = "KUBESTEP_TEST_MASKER_FAULT";

    pub(super) fn fail_if_wanted(text: &[u8]) {
        #[expect(clippy::disallowed_methods, reason = "no setting: nobody but a test may know it")]
        let wanted = std::env::var_os(VARIABLE).filter(|value| !value.is_empty());
        let is_one =
            |value: std::ffi::OsString| memchr::memmem::find(text, value.as_encoded_bytes()).is_some();
        assert!(!wanted.is_some_and(is_one), "a fault that a test wanted");
    }
}

/// Pieces on their way out: a large one is written as it stands, small ones are put together first.
struct Gathered<'a, W> {
    sink: &'a mut W,
    bytes: Vec<u8>,
    failed: Option<io::Error>,
}

impl<W: Write> Gathered<'_, W> {
    /// A piece this large is worth a write of its own, in bytes.
    const LARGE: usize = 16 * 1024;

    fn take(&mut self, piece: &[u8]) {
        if piece.len() < Self::LARGE {
            self.bytes.extend_from_slice(piece);
        }
        if piece.len() >= Self::LARGE || self.bytes.len() >= CHUNK {
            self.write();
        }
        if piece.len() >= Self::LARGE && self.failed.is_none() {
            self.failed = self.sink.write_all(piece).err();
        }
    }

    fn write(&mut self) {
        if self.failed.is_none() {
            self.failed = self.sink.write_all(&self.bytes).err();
        }
        self.bytes.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use crate::mask::Masker;

    #[test]
    fn a_stream_that_failed_while_it_judged_gives_nothing_any_more() {
        let masker = Masker::new("***");
        masker.add_bytes([b"hunter22".as_slice()]);
        let mut stream = masker.stream();
        assert_eq!(stream.push(b"before hunt").bytes(), b"before ");
        let failing = AssertUnwindSafe(|| stream.release(false, |_| panic!("a fault of the masker")));
        assert!(catch_unwind(failing).is_err());
        assert_eq!(stream.push(b"er22 after").bytes(), b"");
        assert_eq!(stream.finish().bytes(), b"");
    }
}
