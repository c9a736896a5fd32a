//! One stream through the masker: bytes in as they come, masked bytes out as soon as they are decided.
//!
//! Held back is exactly what a secret could still begin with. Where a secret ends inside of the held bytes its
//! mask is written at once, and the bytes that it covered are remembered (`covered`): a secret that begins in
//! them belongs to the same mask, whether or not the reader cut the text there.

use std::sync::Arc;

use super::patterns::Patterns;
use super::{Masked, Masker};

/// The state of one stream.
pub struct Stream {
    masker: Masker,
    patterns: Arc<Patterns>,
    version: u64,
    held: Vec<u8>,
    /// How many of the held bytes belong to a mask that has been written.
    covered: usize,
}

impl Stream {
    pub(super) fn new(masker: Masker) -> Self {
        let version = masker.version();
        let patterns = masker.patterns();
        Self { masker, patterns, version, held: Vec::new(), covered: 0 }
    }

    /// Takes the next bytes, and gives all that is decided now.
    #[must_use]
    pub fn push(&mut self, bytes: &[u8]) -> Masked {
        let version = self.masker.version();
        if version != self.version {
            self.patterns = self.masker.patterns();
            self.version = version;
        }
        self.held.extend_from_slice(bytes);
        let undecided = self.patterns.undecided_from(&self.held);
        self.release(undecided)
    }

    /// Ends the stream: what was held is no secret's beginning any more.
    #[must_use]
    pub fn finish(mut self) -> Masked {
        let end = self.held.len();
        self.release(end)
    }

    /// Gives the held bytes before `undecided`, masked, and masks that reach beyond it.
    fn release(&mut self, undecided: usize) -> Masked {
        let mut bytes = Vec::with_capacity(undecided);
        let mut masks = 0;
        let mut at = self.covered;
        // A match that begins in the undecided bytes may be the inside of a longer one: it is found again.
        for place in self.patterns.find(&self.held).into_iter().filter(|place| place.start < undecided) {
            let joins = place.start < self.covered;
            if !joins {
                bytes.extend_from_slice(&self.held[at..place.start]);
                bytes.extend_from_slice(self.masker.mask());
                masks += 1;
            }
            at = at.max(place.end);
        }
        if at < undecided {
            bytes.extend_from_slice(&self.held[at..undecided]);
        }
        self.held.drain(..undecided);
        self.covered = at.saturating_sub(undecided);
        Masked { bytes, masks }
    }
}
