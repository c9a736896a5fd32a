//! What every engine must do (`conformance`), held against an oracle in memory (`memory`, `property`). What the embedded one does
//! when it is interrupted, raced or damaged is beside it.

mod conformance;
mod memory;
mod property;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::clock::{Clock, Moment};
use super::sqlite::Sqlite;
use super::{Claimer, Ending, Envelope, LogFrame, LogStream, Needs, Queue, Retry, StepId};
use crate::outcome::Reason;
use crate::secret::Secret;

/// Clocks that stand until they are turned.
#[derive(Clone)]
pub(in crate::queue) struct Hands(Arc<Mutex<Moment>>);

impl Hands {
    pub(in crate::queue) fn new() -> Self {
        let wall = "2026-11-24T10:00:00Z".parse().expect("a time");
        Self(Arc::new(Mutex::new(Moment { wall, boot: Duration::from_secs(1000), boot_id: "boot-1".into() })))
    }

    pub(in crate::queue) fn clock(&self) -> Clock {
        let hands = self.clone();
        Clock::new(move || hands.read())
    }

    fn read(&self) -> Moment {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn turn(&self, turn: impl FnOnce(&mut Moment)) {
        turn(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Time passes.
    pub(in crate::queue) fn pass(&self, seconds: u64) {
        self.turn(|now| {
            now.boot += Duration::from_secs(seconds);
            now.wall += Duration::from_secs(seconds);
        });
    }
}

pub(in crate::queue) fn id(text: &str) -> StepId {
    StepId::try_from(text.to_owned()).expect("an id")
}

/// A step without a key, in the pool `p`.
pub(in crate::queue) fn envelope(name: &str) -> Envelope {
    Envelope {
        id: id(name),
        pool: "p".into(),
        name: "deploy".into(),
        payload: Secret::new(format!("payload of {name}")),
        needs: Needs::default(),
        concurrency_key: None,
        not_before: None,
        not_after: None,
        retry: Retry::default(),
    }
}

pub(in crate::queue) fn keyed(name: &str, key: &str) -> Envelope {
    Envelope { concurrency_key: Some(key.into()), ..envelope(name) }
}

pub(in crate::queue) fn claimer(worker: &str) -> Claimer {
    Claimer { worker: worker.into(), pool: "p".into(), ..Claimer::default() }
}

pub(in crate::queue) fn ending(reason: Reason, exit_code: u8) -> Ending {
    let result = Some(serde_json::json!({"exitCode": exit_code}));
    Ending { reason, exit_code, message: "it ended".into(), result }
}

pub(in crate::queue) fn frame(text: &str) -> LogFrame {
    LogFrame { stream: LogStream::Stdout, milliseconds: 1, bytes: text.as_bytes().to_vec() }
}

pub(in crate::queue) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn sqlite(folder: &std::path::Path, hands: &Hands) -> Sqlite {
    Sqlite::open(&folder.join("queue"), hands.clock()).expect("a queue")
}

#[test]
fn both_engines_conform() {
    let runtime = runtime();
    runtime.block_on(conformance::check(|hands| Box::new(memory::Memory::new(hands.clock()))));
    let mut folders = Vec::new();
    runtime.block_on(conformance::check(|hands| {
        let folder = tempfile::tempdir().expect("a folder");
        let queue: Box<dyn Queue> = Box::new(sqlite(folder.path(), hands));
        folders.push(folder);
        queue
    }));
    assert_eq!(folders.len(), conformance::PARTS);
}
