//! The worker: steps of a queue, each in a process of its own. The built program on a real queue; steps go in by the
//! library.

mod child;
mod drain;
mod failures;
mod faults;
mod follow;
mod outside;
mod steps;
mod users;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use kubestep::queue::clock::{Clock, Moment};
use kubestep::queue::sqlite::Sqlite;
use kubestep::queue::{
    Ending, Entry, Envelope, LogFrame, LogPosition, LogStream, Needs, Queue, Retry, State, StepId,
};
use kubestep::secret::Secret;
use rustix::process::Signal;

use crate::harness::Run;
use crate::harness::run::{eventually, signal_pid};

/// How long anything may take that does not wait for a lease.
const SOON: Duration = Duration::from_secs(30);

/// A queue in a folder of its own, and the folders of its workers.
struct Place {
    run: Run,
    queue: Sqlite,
    runtime: tokio::runtime::Runtime,
}

fn id(text: &str) -> StepId {
    StepId::try_from(text.to_owned()).expect("an id")
}

/// A step of the pool `default`, beside any other.
fn envelope(name: &str, payload: &str) -> Envelope {
    Envelope {
        id: id(name),
        pool: "default".into(),
        name: "test".into(),
        payload: Secret::new(payload.to_owned()),
        needs: Needs::default(),
        concurrency_key: None,
        not_before: None,
        not_after: None,
        retry: Retry::default(),
    }
}

impl Place {
    fn new() -> Self {
        Self::of(Run::new(""))
    }

    fn of(run: Run) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let folder = run.folder().join("state/queue");
        let queue = Sqlite::open(&folder, Clock::machine().expect("clocks")).expect("a queue");
        Self { run, queue, runtime }
    }

    fn folder(&self) -> &Path {
        self.run.folder()
    }

    fn submit(&self, name: &str, payload: &str) {
        self.put(envelope(name, payload));
    }

    fn put(&self, envelope: Envelope) {
        self.runtime.block_on(self.queue.submit(envelope)).expect("submitted");
    }

    fn show(&self, name: &str) -> Entry {
        self.runtime.block_on(self.queue.show(&id(name))).expect("known")
    }

    fn cancel(&self, name: &str) -> State {
        self.runtime.block_on(self.queue.cancel(&id(name))).expect("known")
    }

    /// Waits for the step's end.
    #[track_caller]
    fn ended(&self, name: &str) -> Ending {
        let mut entry = self.show(name);
        eventually(&format!("{name} ends"), SOON, || {
            entry = self.show(name);
            entry.state == State::Ended
        });
        entry.ending.expect("it has ended")
    }

    /// The step's log so far.
    fn log(&self, name: &str) -> Vec<LogFrame> {
        let (mut frames, mut from) = (Vec::new(), LogPosition::default());
        loop {
            let chunk = self.runtime.block_on(self.queue.log(&id(name), from, 1 << 20)).expect("a log");
            if chunk.frames.is_empty() {
                return frames;
            }
            frames.extend(chunk.frames);
            from = chunk.next;
        }
    }

    fn text(&self, name: &str, stream: LogStream) -> String {
        let frames = self.log(name).into_iter().filter(|frame| frame.stream == stream);
        frames.map(|frame| String::from_utf8_lossy(&frame.bytes).into_owned()).collect()
    }

    #[track_caller]
    fn wait_for(&self, name: &str, text: &str) {
        eventually(&format!("{text:?} in the log of {name}"), SOON, || {
            self.text(name, LogStream::Stdout).contains(text)
        });
    }

    /// The same queue as it will be so much later.
    fn later(&self, seconds: u64) -> Sqlite {
        let machine = Clock::machine().expect("clocks");
        let clock = Clock::new(move || {
            let now = machine.now();
            Moment { boot: now.boot + Duration::from_secs(seconds), ..now }
        });
        Sqlite::open(&self.folder().join("state/queue"), clock).expect("a queue")
    }

    fn command(&self, flags: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kubestep"));
        command.arg("worker").args(flags);
        self.run.surround(&mut command);
        command
    }

    /// Starts a worker; its own lines go to a file.
    fn worker(&self, flags: &[&str]) -> Worker {
        let lines = self.folder().join(format!("worker-{}.log", rand_name()));
        let file = std::fs::File::create(&lines).expect("made");
        let child = self
            .command(flags)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file)
            .spawn()
            .expect("it starts");
        Worker { child, lines }
    }
}

fn rand_name() -> String {
    crate::supervision::marker()
}

/// A worker that runs.
struct Worker {
    child: Child,
    lines: PathBuf,
}

impl Worker {
    fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("a pid")
    }

    fn signal(&self, signal: Signal) {
        signal_pid(self.pid(), signal);
    }

    fn lines(&self) -> String {
        std::fs::read_to_string(&self.lines).expect("there")
    }

    #[track_caller]
    fn wait_for(&self, text: &str) {
        let begun = Instant::now();
        while !self.lines().contains(text) {
            assert!(begun.elapsed() < SOON, "{text:?} was not said, but {}", self.lines());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits for its end, and gives its exit code.
    #[track_caller]
    fn code(&mut self) -> Option<i32> {
        let mut status: Option<ExitStatus> = None;
        eventually("the worker ends", SOON, || {
            status = self.child.try_wait().expect("ours");
            status.is_some()
        });
        status.and_then(|status| status.code())
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}
