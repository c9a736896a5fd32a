//! The masker: every form of every secret becomes one mask, in every stream, however the stream is cut.
//!
//! `forms` has the table of what tools print instead of a secret, `filter` finds it, `stream` holds back what is
//! not decided. `docs/masking.md` tells how they work together, and why nothing leaks over a cut.
//!
//! A [`Masker`] publishes an immutable set of patterns; each [`Stream`] takes the newest set at every push and
//! re-judges the bytes that it still holds, so a secret that comes in while the log runs holds from the next
//! byte that has not been written. Only this module makes [`Masked`] bytes, and a log takes nothing else.

mod filter;
mod forms;
mod gap;
#[cfg(any(test, fuzzing))]
pub mod oracle;
mod stream;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use crate::secret::Secret;

use filter::Patterns;
use forms::Forms;
pub use forms::{SHORTEST, Scope};
pub use stream::{Stream, TransferError, Transferred};

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

/// How a secret is masked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hidden {
    /// In every form.
    Everywhere,
    /// As it is, and in no other form: ordinary text is made of such words, and its other forms would strike more
    /// of it. The caller warns.
    CommonWord,
}

/// The secrets of a step, shared by all its streams. A clone is the same masker.
#[derive(Clone)]
pub struct Masker {
    shared: Arc<Shared>,
}

struct Shared {
    mask: String,
    scope: Scope,
    values: Mutex<BTreeSet<Vec<u8>>>,
    /// Grows with every change, so that a stream looks into the lock only when there is something new.
    version: AtomicU64,
    patterns: RwLock<Arc<Patterns>>,
}

impl Masker {
    /// A masker that knows no secret yet, and writes `mask` for every form of each that it will know.
    #[must_use]
    pub fn new(mask: &str) -> Self {
        Self::with_scope(mask, Scope::All)
    }

    /// A masker for these forms only.
    #[must_use]
    pub fn with_scope(mask: &str, scope: Scope) -> Self {
        let patterns = RwLock::new(Arc::new(Patterns::default()));
        let (mask, values, version) = (mask.to_owned(), Mutex::default(), AtomicU64::new(0));
        Self { shared: Arc::new(Shared { mask, scope, values, version, patterns }) }
    }

    /// Masks these values too, in every stream, from the next byte that has not been written on.
    /// When this returns, the values hold. The answer has one entry for each secret, in order.
    pub fn add<'a>(&self, secrets: impl IntoIterator<Item = &'a Secret>) -> Vec<Result<Hidden, TooShort>> {
        self.add_bytes(secrets.into_iter().map(|secret| secret.expose().as_bytes()))
    }

    /// [`Masker::add`] for values that are no text.
    pub fn add_bytes<'a>(
        &self,
        secrets: impl IntoIterator<Item = &'a [u8]>,
    ) -> Vec<Result<Hidden, TooShort>> {
        let mut values = self.shared.values.lock().unwrap_or_else(PoisonError::into_inner);
        let mut answers = Vec::new();
        for secret in secrets {
            answers.push(judge(secret));
            if secret.len() >= SHORTEST {
                values.insert(secret.to_vec());
            }
        }
        let patterns = Arc::new(Patterns::new(Forms::of_all(&values, self.shared.scope)));
        *self.shared.patterns.write().unwrap_or_else(PoisonError::into_inner) = patterns;
        self.shared.version.fetch_add(1, Ordering::Release);
        answers
    }

    /// How many different forms are looked for.
    #[must_use]
    pub fn forms(&self) -> usize {
        self.patterns().len()
    }

    /// Gives the bytes of every form, to measure other matchers with them.
    pub fn each_form(&self, give: impl FnMut(&[u8])) {
        self.patterns().each(give);
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

    /// The same as a text; what is no UTF-8 shows as the replacement character.
    #[must_use]
    pub fn text(&self, text: &str) -> String {
        String::from_utf8_lossy(self.whole(text.as_bytes()).bytes()).into_owned()
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

fn judge(value: &[u8]) -> Result<Hidden, TooShort> {
    match value.len() {
        0 => Ok(Hidden::Everywhere),
        1..SHORTEST => Err(TooShort),
        _ if forms::is_common(value) => Ok(Hidden::CommonWord),
        _ => Ok(Hidden::Everywhere),
    }
}

#[cfg(test)]
mod tests;
