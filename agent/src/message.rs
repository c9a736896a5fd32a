//! Service messages (`##octopus[…]`) are read from the raw stream, before the masker: the value that a script
//! declares secret must be known before the line that holds it is written.
//!
//! This version knows no message yet, so every byte goes on unchanged; the seam is what is promised.

/// Reads one stream of a script.
#[derive(Default)]
pub struct Scanner {}

impl Scanner {
    /// Takes the next raw bytes, and gives those that belong in the log.
    pub fn scan<'a>(&mut self, raw: &'a [u8]) -> &'a [u8] {
        raw
    }
}
