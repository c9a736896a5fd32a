//! What a step says to the queue that it waits in (payload.md 1). `kubestep run` has no queue, and says so.

/// When a step may begin, beside which others, and whether again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Queueing {
    /// Whether there is a queue that hears it.
    pub queued: bool,
    /// No worker gets it earlier.
    pub not_before: Option<jiff::Timestamp>,
    /// No worker gets it at this time or later; always after `not_before`.
    pub not_after: Option<jiff::Timestamp>,
    /// Which other steps it must not run beside.
    pub concurrency_key: ConcurrencyKey,
    /// It may be run again after its worker was lost while it ran.
    pub retry_on_lost: bool,
    /// How often it is tried again after a failure; at most 3.
    pub retry_on_failure: u8,
}

/// One running step a key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ConcurrencyKey {
    /// The key is the target's: its server and namespace.
    #[default]
    Target,
    /// None: beside any other.
    Free,
    /// This one.
    Named(String),
}

impl Queueing {
    /// The names of the fields that were given to no queue.
    #[must_use]
    pub fn unheard(&self) -> Vec<&'static str> {
        let given = [
            (self.not_before.is_some(), "notBefore"),
            (self.not_after.is_some(), "notAfter"),
            (self.concurrency_key != ConcurrencyKey::Target, "concurrencyKey"),
            (self.retry_on_lost || self.retry_on_failure > 0, "retry"),
        ];
        given.into_iter().filter(|(is_given, _)| *is_given && !self.queued).map(|(_, name)| name).collect()
    }
}
