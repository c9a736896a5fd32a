//! The folder and its database: opened so that nobody else can read it, and refused where it could not keep its word.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::{Connection, Transaction, TransactionBehavior};
use rustix::fs::{Mode, OFlags};

use super::wake::{Bell, Rope};
use super::{PATIENCE, schema};
use crate::queue::clock::Clock;
use crate::queue::{QueueError, State, StepId};

const DATABASE: &str = "queue.db";

/// A log file for each run of a step.
pub(super) const LOGS: &str = "logs";

/// `f_type` of file systems that other machines write, where SQLite's locks and shared memory do not hold.
const NETWORK: [(i64, &str); 4] =
    [(0x6969, "NFS"), (0xff53_4d42, "CIFS"), (0xfe53_4d42, "SMB2"), (0x0102_1997, "9p")];

/// How often the database is looked for by its name: that takes longer than to ask its descriptor.
pub(super) const LOOK: Duration = Duration::from_millis(10);

/// So many bytes a disk takes at once.
const SHORT: u64 = 1 << 20;

/// An open queue.
pub(super) struct Store {
    pub(super) folder: PathBuf,
    pub(super) logs: PathBuf,
    pub(super) database: Connection,
    pub(super) clock: Clock,
    free: Rope,
    cancelled: Rope,
    /// Whether an act may wait for a disk, or for other processes' transactions.
    may_wait: bool,
    /// The database's file, by which nothing can be read; and when it was last looked for by its name.
    file: OwnedFd,
    looked: Instant,
}

/// Why an act is not done.
#[derive(Debug, thiserror::Error)]
pub(super) enum StoreError {
    #[error(transparent)]
    Queue(#[from] QueueError),
    #[error("cannot be read or written")]
    Database(#[from] rusqlite::Error),
    #[error("cannot be read or written")]
    Io(#[from] io::Error),
    #[error("cannot be used: {path} belongs to somebody else or is open to others (expected mode {mode:o})")]
    Open { path: PathBuf, mode: u32 },
    #[error("cannot be used: it is on a network ({0}), and its locks hold on one machine only")]
    Network(&'static str),
    #[error("cannot be used: its database is not a queue's")]
    Foreign,
    #[error("cannot be used: a newer kubestep made it")]
    Newer,
    #[error("was removed, or another one stands in its place")]
    Gone,
    #[error("cannot be used: a fault of kubestep ended its thread")]
    Panic,
    /// Only where an act must not wait.
    #[error("has others to wait for")]
    WouldWait,
}

impl StoreError {
    /// As the queue's users hear it.
    pub(super) fn told(self, place: &str) -> QueueError {
        let what = self.to_string();
        let source: Option<Box<dyn std::error::Error + Send + Sync>> = match self {
            Self::Queue(error) => return error,
            Self::Database(error) => Some(Box::new(error)),
            Self::Io(error) => Some(Box::new(error)),
            _ => None,
        };
        QueueError::Engine { place: place.to_owned(), what, source }
    }

    pub(super) fn unknown(id: &StepId) -> Self {
        Self::Queue(QueueError::Unknown(id.clone()))
    }

    pub(super) fn unfit(id: &StepId, state: State) -> Self {
        Self::Queue(QueueError::Unfit { id: id.clone(), state })
    }
}

impl Store {
    pub(super) fn open(folder: &Path, clock: Clock) -> Result<Self, StoreError> {
        let folder = std::path::absolute(folder)?;
        let logs = folder.join(LOGS);
        DirBuilder::new().recursive(true).mode(0o700).create(&logs)?;
        for path in [&folder, &logs] {
            private(path, 0o700)?;
        }
        let kind = rustix::fs::statfs(&folder).map_err(io::Error::from)?.f_type;
        if let Some((_, name)) = NETWORK.iter().find(|(number, _)| i128::from(*number) == i128::from(kind)) {
            return Err(StoreError::Network(name));
        }
        let path = folder.join(DATABASE);
        // SQLite gives its other files the mode of this one.
        OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path)?;
        private(&path, 0o600)?;
        let (free, cancelled) = (Rope::open(&folder, Bell::Free)?, Rope::open(&folder, Bell::Cancelled)?);
        let mut database = Connection::open(&path)?;
        schema::prepare(&mut database)?;
        // SQLite's locks would be gone with any other kind of descriptor that is closed (fcntl's "POSIX locks").
        let file = rustix::fs::open(&path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
            .map_err(io::Error::from)?;
        let looked = Instant::now();
        Ok(Self { folder, logs, database, clock, free, cancelled, may_wait: true, file, looked })
    }

    /// From here on: whether acts may wait. One that must not fails by [`StoreError::WouldWait`], or as busy, and has done
    /// nothing.
    pub(super) fn may_wait(&mut self, may_wait: bool) -> Result<(), StoreError> {
        self.may_wait = may_wait;
        Ok(self.database.busy_timeout(if may_wait { PATIENCE } else { Duration::ZERO })?)
    }

    /// To be asked before so many bytes are written to the disk.
    pub(super) fn can_sync(&self, bytes: u64) -> Result<(), StoreError> {
        if self.may_wait || bytes <= SHORT { Ok(()) } else { Err(StoreError::WouldWait) }
    }

    /// Fails where the database that is open is not the queue any more: by an open file it could be written on, and
    /// nobody would ever read it. That it was removed is seen at once, that another one stands in its place within
    /// [`LOOK`].
    pub(super) fn still_there(&mut self) -> Result<(), StoreError> {
        let open = rustix::fs::fstat(&self.file).map_err(io::Error::from)?;
        if open.st_nlink == 0 {
            return Err(StoreError::Gone);
        }
        if self.looked.elapsed() < LOOK {
            return Ok(());
        }
        match fs::metadata(self.folder.join(DATABASE)) {
            Ok(named) if (named.dev(), named.ino()) == (open.st_dev, open.st_ino) => {
                self.looked = Instant::now();
                Ok(())
            }
            Ok(_) => Err(StoreError::Gone),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(StoreError::Gone),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes something that changes nothing; it is on the disk when this returns.
    pub(super) fn probe(&mut self) -> Result<(), StoreError> {
        if !self.logs.is_dir() {
            return Err(StoreError::Gone);
        }
        let change = Self::change(&mut self.database)?;
        // Its page is written, whether the number is another one or the same.
        let version: i32 = change.pragma_query_value(None, "user_version", |row| row.get(0))?;
        change.pragma_update(None, "user_version", version)?;
        Ok(change.commit()?)
    }

    /// A transaction that nobody else writes beside.
    pub(super) fn change(database: &mut Connection) -> Result<Transaction<'_>, StoreError> {
        Ok(database.transaction_with_behavior(TransactionBehavior::Immediate)?)
    }

    /// After a change that may have freed a step. It is done all the same where that fails: claims look again anyway.
    pub(super) fn wake(&self) {
        drop(self.free.pull());
    }

    /// After a cancellation that a holder has to carry out. Where that fails he hears of it with his heartbeat.
    pub(super) fn tell_holders(&self) {
        drop(self.cancelled.pull());
    }
}

/// Ours, and nobody else's to read.
fn private(path: &Path, mode: u32) -> Result<(), StoreError> {
    let found = fs::symlink_metadata(path)?;
    let ours = found.uid() == rustix::process::geteuid().as_raw() && !found.file_type().is_symlink();
    if ours && found.mode() & 0o077 == 0 {
        return Ok(());
    }
    Err(StoreError::Open { path: path.to_owned(), mode })
}
