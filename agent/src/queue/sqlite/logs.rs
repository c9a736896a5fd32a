//! The logs: a file for each claim of a step, in which only that claim's holder writes, so that nothing a stale worker
//! says gets between the lines of the one that came after it. A short one moves into the database with its ending.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rusqlite::{OptionalExtension, Transaction, params};

use super::acts::{lease_over, row};
use super::due::boot;
use super::store::{Store, StoreError};
use crate::queue::{Lease, LogChunk, LogFrame, LogPosition, MAX_FRAME, QueueError, State, StepId, frames};

/// A log of so many bytes is short.
const SHORT: u64 = 16 * 1024;

/// No frame in a log is longer.
const LONGEST: usize = MAX_FRAME + 16;

/// A log as the end of its claim finds it.
pub(super) enum AtEnd {
    /// Nothing was said.
    None,
    /// It is kept with its ending.
    Short(ShortLog),
    /// It stays in its file.
    Long(LongLog),
}

/// What is copied into the database.
pub(super) struct ShortLog {
    path: PathBuf,
    bytes: Vec<u8>,
}

/// A file that has to be on the disk before its ending is told.
pub(super) struct LongLog(File);

impl ShortLog {
    /// In the transaction that tells the ending.
    pub(super) fn keep(&self, change: &Transaction<'_>, step: i64, epoch: u64) -> rusqlite::Result<()> {
        let mut insert = change.prepare_cached("INSERT INTO log (step, epoch, log) VALUES (?1, ?2, ?3)")?;
        insert.execute(params![step, epoch, self.bytes]).map(drop)
    }

    /// When that is on the disk. A file that stays is not read any more, and goes with its step.
    pub(super) fn leave_file(&self) {
        drop(fs::remove_file(&self.path));
    }
}

fn log_file(logs: &Path, number: i64, epoch: u64) -> PathBuf {
    logs.join(format!("{number}-{epoch}"))
}

/// Looks at the log of a claim that ends; reads it where it is short.
pub(super) fn log_at_end(logs: &Path, number: i64, epoch: u64) -> Result<AtEnd, StoreError> {
    let path = log_file(logs, number, epoch);
    let mut file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(AtEnd::None),
        Err(error) => return Err(error.into()),
    };
    if file.metadata()?.len() > SHORT {
        return Ok(AtEnd::Long(LongLog(file)));
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(AtEnd::Short(ShortLog { path, bytes }))
}

impl Store {
    /// The step's number, by which its log files begin.
    pub(super) fn number(&self, id: &StepId) -> Result<i64, StoreError> {
        Ok(row(&self.database, id)?.number)
    }

    pub(super) fn append(&mut self, lease: &Lease, at: u64, frames: &[LogFrame]) -> Result<u64, StoreError> {
        let now = self.clock.now();
        let mut step = self.database.prepare_cached(
            "SELECT number, epoch = ?2 AND state IN ('claimed', 'running') AND lease_until > ?3 AND lease_boot = ?4
            FROM step WHERE id = ?1",
        )?;
        let step = step
            .query_row(params![lease.id.as_str(), lease.epoch, boot(&now), &*now.boot_id], |row| {
                Ok((row.get(0)?, row.get::<_, Option<bool>>(1)?))
            });
        let (number, good) = step.optional()?.ok_or_else(|| StoreError::unknown(&lease.id))?;
        if good != Some(true) {
            return Err(lease_over(lease));
        }
        let mut text = Vec::new();
        for frame in frames {
            frame.write(&mut text);
        }
        let mut options = OpenOptions::new();
        let mut file =
            options.append(true).create(true).mode(0o600).open(log_file(&self.logs, number, lease.epoch))?;
        let expected = file.metadata()?.len();
        if at != expected {
            return Err(QueueError::LogAt { expected }.into());
        }
        if let Err(error) = file.write_all(&text) {
            // A disk that is full takes a part: the log goes on where it did.
            file.set_len(at)?;
            return Err(error.into());
        }
        Ok(at + text.len() as u64)
    }

    pub(super) fn sync_log(&self, log: &LongLog) -> Result<(), StoreError> {
        self.can_sync(log.0.metadata()?.len())?;
        log.0.sync_data().and_then(|()| File::open(&self.logs)?.sync_all())?;
        Ok(())
    }

    pub(super) fn log(&self, id: &StepId, from: LogPosition, most: usize) -> Result<LogChunk, StoreError> {
        // The state before the bytes: what has ended writes no more.
        let row = row(&self.database, id)?;
        let mut at = if from.epoch == 0 { LogPosition { epoch: 1, offset: 0 } } else { from };
        loop {
            let (found, size) = frames(&self.read(row.number, at, most.max(LONGEST))?);
            at.offset += size as u64;
            let last = at.epoch >= row.epoch;
            if size > 0 || last {
                let end = size == 0 && last && row.state == State::Ended;
                return Ok(LogChunk { frames: found, next: at, end });
            }
            at = LogPosition { epoch: at.epoch + 1, offset: 0 };
        }
    }

    fn read(&self, number: i64, at: LogPosition, most: usize) -> Result<Vec<u8>, StoreError> {
        if let Some(bytes) = self.read_short(number, at, most)? {
            return Ok(bytes);
        }
        let mut bytes = Vec::new();
        match File::open(log_file(&self.logs, number, at.epoch)) {
            Ok(mut file) => {
                file.seek(SeekFrom::Start(at.offset))?;
                file.take(most as u64).read_to_end(&mut bytes)?;
                Ok(bytes)
            }
            // It may have moved between the two looks.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Ok(self.read_short(number, at, most)?.unwrap_or_default())
            }
            Err(error) => Err(error.into()),
        }
    }

    fn read_short(&self, number: i64, at: LogPosition, most: usize) -> Result<Option<Vec<u8>>, StoreError> {
        let (begin, most) = (at.offset.saturating_add(1), most as u64);
        let part = "SELECT substr(log, ?3, ?4) FROM log WHERE step = ?1 AND epoch = ?2";
        let mut part = self.database.prepare_cached(part)?;
        Ok(part.query_row(params![number, at.epoch, begin, most], |row| row.get(0)).optional()?)
    }

    /// Removes the logs of steps that are gone, of those before a crash, too.
    pub(super) fn remove_orphans(&self) -> Result<(), StoreError> {
        let mut known = self.database.prepare_cached("SELECT 1 FROM step WHERE number = ?1")?;
        for entry in fs::read_dir(&self.logs)? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let number = name.split_once('-').and_then(|(number, _)| number.parse::<i64>().ok());
            if let Some(number) = number
                && !known.exists([number])?
            {
                fs::remove_file(&path)?;
            }
        }
        Ok(())
    }
}
