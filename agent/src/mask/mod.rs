//! The masker: every secret's bytes become one mask, in every stream, however the stream is cut.
//!
//! A [`Masker`] publishes an immutable set of patterns; each [`Stream`] takes the newest set at every push and
//! re-judges the bytes that it still holds, so a secret that comes in while the log runs holds from the next
//! byte that has not been written. Only this module makes [`Masked`] bytes, and a log takes nothing else.

mod patterns;
mod stream;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use crate::secret::Secret;

use patterns::Patterns;
pub use stream::Stream;

/// The shortest secret that is masked, in bytes; a shorter one would strike ordinary text.
pub const SHORTEST: usize = 4;

/// Bytes that hold no secret which the masker knew when they were written.
pub struct Masked {
    bytes: Vec<u8>,
    masks: u64,
}

impl Masked {
    /// The bytes, free to be shown.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many masks stand in them.
    #[must_use]
    pub fn masks(&self) -> u64 {
        self.masks
    }
}

/// A secret too short to be masked. The caller knows which field it came from, and warns.
#[derive(Debug, PartialEq, Eq)]
pub struct TooShort;

/// The secrets of a step, shared by all its streams. A clone is the same masker.
#[derive(Clone)]
pub struct Masker {
    shared: Arc<Shared>,
}

struct Shared {
    mask: String,
    /// Grows with every change, so that a stream looks into the lock only when there is something new.
    version: AtomicU64,
    patterns: RwLock<Arc<Patterns>>,
}

impl Masker {
    /// A masker that knows no secret yet, and writes `mask` for each that it will know.
    #[must_use]
    pub fn new(mask: &str) -> Self {
        let patterns = RwLock::new(Arc::new(Patterns::default()));
        Self { shared: Arc::new(Shared { mask: mask.to_owned(), version: AtomicU64::new(0), patterns }) }
    }

    /// Masks these values too, in every stream, from the next byte that has not been written on.
    /// When this returns, the values hold. The answer has one entry for each secret, in order.
    pub fn add<'a>(&self, secrets: impl IntoIterator<Item = &'a Secret>) -> Vec<Result<(), TooShort>> {
        let mut current = self.shared.patterns.write().unwrap_or_else(PoisonError::into_inner);
        let mut values = current.values().to_vec();
        let mut answers = Vec::new();
        for secret in secrets {
            answers.push(take(&mut values, secret.expose().as_bytes()));
        }
        *current = Arc::new(Patterns::new(values));
        self.shared.version.fetch_add(1, Ordering::Release);
        answers
    }

    /// A stream of its own: what it holds back is not mixed with another's.
    #[must_use]
    pub fn stream(&self) -> Stream {
        Stream::new(self.clone())
    }

    /// Masks a text that is complete in itself, such as a line of the agent's own.
    #[must_use]
    pub fn whole(&self, text: &[u8]) -> Masked {
        let mut stream = self.stream();
        let mut masked = stream.push(text);
        let rest = stream.finish();
        masked.bytes.extend_from_slice(&rest.bytes);
        masked.masks += rest.masks;
        masked
    }

    fn version(&self) -> u64 {
        self.shared.version.load(Ordering::Acquire)
    }

    fn patterns(&self) -> Arc<Patterns> {
        Arc::clone(&self.shared.patterns.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn mask(&self) -> &[u8] {
        self.shared.mask.as_bytes()
    }
}

/// The value itself, and what is left of it without the newlines at its end (`mask-forms.md`, group raw).
fn take(values: &mut Vec<Vec<u8>>, value: &[u8]) -> Result<(), TooShort> {
    let end = value.iter().rposition(|byte| !matches!(byte, b'\n' | b'\r')).map_or(0, |last| last + 1);
    let mut long_enough = false;
    for form in [value, &value[..end]] {
        if form.len() >= SHORTEST {
            long_enough = true;
            if !values.iter().any(|known| known == form) {
                values.push(form.to_vec());
            }
        }
    }
    if long_enough || value.is_empty() { Ok(()) } else { Err(TooShort) }
}

#[cfg(test)]
mod tests;
