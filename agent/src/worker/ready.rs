//! Whether a worker lives, and whether it can take steps: each thing that must hold is looked at when somebody asks.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::metrics;
use super::status::{STANDSTILL, Snapshot, Status};
use crate::causes::with_causes;
use crate::limits::size_words;
use crate::queue::{Answer, Queue};

/// The least room for logs, results and what a step's script writes, in bytes.
const ROOM: u64 = 64 << 20;

/// The least number of files that can still be made: a step makes some dozens.
const FILES: u64 = 1000;

/// How long one look may take. Probes ask again soon, and give up after a second or more themselves.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is asked of a worker from outside.
pub struct Health {
    status: Status,
    queue: Arc<dyn Queue>,
    folders: Vec<PathBuf>,
}

/// One thing that must hold.
#[derive(Debug, PartialEq, Eq)]
pub struct Check {
    /// Its name: `loop`, `preflight`, `queue`, `disk`, `drain`.
    pub name: &'static str,
    /// What is wrong, in one line.
    pub fault: Option<String>,
}

impl Health {
    /// Of a worker with this queue. `folders`: where it needs room (its state, its steps' work).
    #[must_use]
    pub fn new(status: Status, queue: Arc<dyn Queue>, folders: Vec<PathBuf>) -> Self {
        Self { status, queue, folders }
    }

    /// Whether the loop turns. A worker of which this is not true has to be started anew.
    #[must_use]
    pub fn liveness(&self) -> Check {
        turning(&self.status.snapshot())
    }

    /// Everything without which it should get no steps.
    pub async fn readiness(&self) -> Vec<Check> {
        let now = self.status.snapshot();
        let (queue, disk) = tokio::join!(self.queue(&now), self.disk());
        let drain = now.draining.then(|| "the worker takes no more steps".to_owned());
        vec![
            turning(&now),
            Check { name: "preflight", fault: now.preflight.err() },
            Check { name: "queue", fault: queue.err() },
            Check { name: "disk", fault: disk.err() },
            Check { name: "drain", fault: drain },
        ]
    }

    /// The metrics, as text.
    pub async fn metrics(&self) -> String {
        let depth = in_time(self.queue.depth(self.status.pool())).await.ok();
        metrics::text(&self.status, depth.as_ref())
    }

    /// What the worker itself heard last, then a proof: an idle worker hears little.
    async fn queue(&self, now: &Snapshot) -> Result<(), String> {
        now.queue.clone()?;
        in_time(self.queue.probe()).await
    }

    /// A file system that does not answer must not hold up the worker's only thread.
    async fn disk(&self) -> Result<(), String> {
        let folders = self.folders.clone();
        let looked = tokio::task::spawn_blocking(move || folders.iter().try_for_each(has_room));
        let looked = timeout(PATIENCE, looked).await;
        looked.map_err(|_| "no answer in time".to_owned())?.map_err(|_| "the look at it failed".to_owned())?
    }
}

fn turning(now: &Snapshot) -> Check {
    let fault = || {
        let (since, most) = (now.since_turn.as_secs(), STANDSTILL.as_secs());
        format!("the worker's loop has not turned for {since} s; {most} s is the most")
    };
    Check { name: "loop", fault: (!now.is_turning()).then(fault) }
}

async fn in_time<T>(answer: Answer<'_, T>) -> Result<T, String> {
    let answer = timeout(PATIENCE, answer).await.map_err(|_| "no answer in time".to_owned())?;
    answer.map_err(|error| with_causes(&error))
}

fn has_room(folder: &PathBuf) -> Result<(), String> {
    let place = folder.display();
    let found = rustix::fs::statvfs(folder).map_err(io::Error::from);
    let found = found.map_err(|error| format!("{place}: {error}"))?;
    let free = found.f_bavail.saturating_mul(found.f_frsize);
    if free < ROOM {
        let (free, needed) = (size_words(free & !0x3ff), size_words(ROOM));
        return Err(format!("{place}: {free} are free, and {needed} are needed"));
    }
    // 0 in all: a file system that does not count them.
    if found.f_files > 0 && found.f_favail < FILES {
        return Err(format!("{place}: {} more files can be made, and {FILES} are needed", found.f_favail));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Check, Health, has_room, turning};
    use crate::queue::Queue;
    use crate::queue::clock::Clock;
    use crate::queue::sqlite::Sqlite;
    use crate::worker::status::{Snapshot, Status};
    use std::path::PathBuf;
    use std::sync::Arc;
    use std::time::Duration;

    fn worker(folder: &std::path::Path) -> (Status, Health) {
        let clock = Clock::machine().expect("clocks");
        let queue: Arc<dyn Queue> = Arc::new(Sqlite::open(&folder.join("queue"), clock).expect("a queue"));
        let status = Status::new("p", 1);
        (status.clone(), Health::new(status, queue, vec![folder.to_owned()]))
    }

    fn faults(checks: &[Check]) -> Vec<&'static str> {
        checks.iter().filter(|check| check.fault.is_some()).map(|check| check.name).collect()
    }

    #[tokio::test]
    async fn a_worker_is_ready_when_everything_holds_and_says_what_does_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let (status, health) = worker(folder.path());
        assert_eq!(faults(&health.readiness().await), ["preflight"]);
        status.preflight(Ok(()));
        let checks = health.readiness().await;
        assert_eq!(faults(&checks), [""; 0]);
        let names: Vec<_> = checks.iter().map(|check| check.name).collect();
        assert_eq!(names, ["loop", "preflight", "queue", "disk", "drain"]);
        status.draining();
        assert_eq!(faults(&health.readiness().await), ["drain"]);
        std::fs::remove_dir_all(folder.path().join("queue")).expect("removed");
        assert_eq!(faults(&health.readiness().await), ["queue", "drain"]);
        assert!(health.metrics().await.ends_with("# EOF\n"), "there are metrics without the queue, too");
        assert_eq!(health.liveness(), Check { name: "loop", fault: None });
    }

    #[tokio::test]
    async fn what_the_worker_itself_heard_of_the_queue_counts_too() {
        let folder = tempfile::tempdir().expect("a folder");
        let (status, health) = worker(folder.path());
        status.preflight(Ok(()));
        let error =
            crate::queue::QueueError::Engine { place: "q".into(), what: "is gone".into(), source: None };
        status.queue::<()>(&Err(error));
        let checks = health.readiness().await;
        assert_eq!(checks[2].fault.as_deref(), Some("the queue q is gone"));
        status.queue(&Ok(()));
        assert_eq!(faults(&health.readiness().await), [""; 0]);
    }

    #[test]
    fn a_loop_that_stands_is_said_for_how_long() {
        let now = Snapshot { since_turn: Duration::from_secs(31), ..Status::new("p", 1).snapshot() };
        let fault = turning(&now).fault.expect("it stands");
        assert_eq!(fault, "the worker's loop has not turned for 31 s; 30 s is the most");
    }

    #[test]
    fn a_file_system_without_room_is_told() {
        // The kernel's own file systems have no room at all.
        let full = has_room(&PathBuf::from("/proc")).expect_err("no room");
        assert_eq!(full, "/proc: 0B are free, and 64MiB are needed");
        let missing = has_room(&PathBuf::from("/nonexistent/folder")).expect_err("not there");
        assert!(missing.starts_with("/nonexistent/folder: No such file or directory"), "{missing}");
    }
}
