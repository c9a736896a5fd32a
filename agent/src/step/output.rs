//! One stream of the script on its way: raw bytes, bounded, service messages out, masked, written.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc::UnboundedSender;

use crate::limits::{Limits, OutputPolicy};
use crate::log::Sink;
use crate::mask::{self, Masked};
use crate::message::Scanner;
use crate::supervise::{Output, StopReason};

/// What both streams together may still write (`limits.output`).
pub(super) struct Budget {
    left: AtomicU64,
    dropped: AtomicU64,
    policy: OutputPolicy,
    stop: UnboundedSender<StopReason>,
}

impl Budget {
    pub(super) fn new(limits: &Limits, stop: UnboundedSender<StopReason>) -> Arc<Self> {
        let (left, dropped) = (AtomicU64::new(limits.output), AtomicU64::new(0));
        Arc::new(Self { left, dropped, policy: limits.output_policy, stop })
    }

    /// Bytes that came when nothing was left.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Takes what is wanted, or what is left of it.
    fn take(&self, wanted: usize) -> usize {
        let left = self.left.load(Ordering::Relaxed);
        let taken = wanted.min(usize::try_from(left).unwrap_or(usize::MAX));
        self.left.fetch_sub(taken as u64, Ordering::Relaxed);
        if taken < wanted {
            let before = self.dropped.fetch_add((wanted - taken) as u64, Ordering::Relaxed);
            if before == 0 && self.policy == OutputPolicy::Fail {
                // A step that is over needs no news.
                let _ = self.stop.send(StopReason::OutputLimit);
            }
        }
        taken
    }
}

/// One stream.
pub(super) struct ScriptOutput {
    budget: Arc<Budget>,
    messages: Scanner,
    masked: mask::Stream,
    sink: Sink,
    is_cut: bool,
}

impl ScriptOutput {
    pub(super) fn new(budget: Arc<Budget>, masked: mask::Stream, sink: Sink) -> Self {
        Self { budget, messages: Scanner::default(), masked, sink, is_cut: false }
    }
}

impl Output for ScriptOutput {
    async fn write(&mut self, bytes: &[u8]) {
        let taken = self.budget.take(bytes.len());
        self.is_cut |= taken < bytes.len();
        if taken > 0 {
            let masked: Masked = self.masked.push(self.messages.scan(&bytes[..taken]));
            self.sink.output(masked).await;
        }
    }

    async fn finish(self) {
        // Where the stream was cut, what is held back may be a secret's first half.
        if !self.is_cut {
            self.sink.output(self.masked.finish()).await;
        }
    }
}
