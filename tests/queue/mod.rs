//! `kubestep submit` and `kubestep queue`: the built program on one side, the library as the worker on the other.

mod commands;
mod follow;
mod submit;
mod worker;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use kubestep::outcome::Reason;
use kubestep::queue::clock::Clock;
use kubestep::queue::sqlite::Sqlite;
use kubestep::queue::{Claimed, Claimer, Ending, Lease, LogFrame, LogStream, Queue};
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::harness::Run;

/// A queue, and the surroundings of whoever submits to it.
struct Place {
    run: Run,
    runtime: Runtime,
    queue: Sqlite,
}

/// What a command printed and exited with.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Told {
    fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }

    #[track_caller]
    fn json(&self) -> Value {
        assert_eq!((self.code, self.stderr.as_str()), (Some(0), ""), "{self:?}");
        serde_json::from_str(&self.stdout).expect("JSON")
    }
}

impl Place {
    fn new() -> Self {
        let run = Run::new("");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let queue = Sqlite::open(&run.folder().join("state/queue"), Clock::machine().expect("clocks"));
        Self { run, runtime: runtime.expect("a runtime"), queue: queue.expect("a queue") }
    }

    fn env(mut self, name: &str, value: &str) -> Self {
        self.run = self.run.env(name, value);
        self
    }

    fn folder(&self) -> &Path {
        self.run.folder()
    }

    fn payload(&self, text: &str) -> PathBuf {
        std::fs::write(self.run.payload_path(), text).expect("written");
        self.run.payload_path()
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kubestep"));
        self.run.surround(&mut command);
        command.args(words).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn kubestep(&self, words: &[&str]) -> Told {
        Told::of(&self.command(words).output().expect("the program starts"))
    }

    fn submit(&self, payload: &str, flags: &[&str]) -> Told {
        let path = self.payload(payload);
        let words = ["submit", path.to_str().expect("UTF-8")];
        self.kubestep(&[&words[..], flags].concat())
    }

    /// Submits, and gives the id.
    #[track_caller]
    fn submitted(&self, payload: &str, flags: &[&str]) -> String {
        let told = self.submit(payload, flags);
        assert_eq!((told.code, told.stderr.as_str()), (Some(0), ""), "{told:?}");
        told.stdout.trim_end().to_owned()
    }

    /// Takes a step as a worker of the pool `default` with these capabilities would.
    fn claim(&self, capabilities: &[&str]) -> Option<Claimed> {
        let claimer = Claimer {
            worker: "worker-of-the-test".into(),
            pool: "default".into(),
            capabilities: capabilities.iter().map(|name| (*name).to_owned()).collect(),
            ..Claimer::default()
        };
        self.runtime.block_on(self.queue.claim(claimer, Duration::ZERO)).expect("asked")
    }

    /// Takes a step and begins it.
    fn begin(&self) -> Lease {
        let lease = self.claim(&["kubernetes"]).expect("a step").lease;
        assert!(!self.runtime.block_on(self.queue.started(&lease)).expect("started").cancel);
        lease
    }

    fn append(&self, lease: &Lease, at: u64, frames: Vec<LogFrame>) -> u64 {
        self.runtime.block_on(self.queue.append(lease, at, frames)).expect("written")
    }

    fn finish(&self, lease: &Lease, ending: Ending) {
        self.runtime.block_on(self.queue.finish(lease, ending)).expect("ended");
    }
}

fn frame(stream: LogStream, text: &str) -> LogFrame {
    LogFrame { stream, milliseconds: 1_764_000_000_123, bytes: text.as_bytes().to_vec() }
}

fn ending(reason: Reason, exit_code: u8) -> Ending {
    let result = Some(serde_json::json!({"kind": "StepResult", "exitCode": exit_code}));
    Ending { reason, exit_code, message: format!("the script exited with code {exit_code}"), result }
}
