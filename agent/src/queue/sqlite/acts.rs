//! What changes a step. Each act is one transaction, which begins with what time has changed.
//!
//! Promise: with a lease something is changed only while its epoch is the step's newest and its time has not passed, and
//! that is judged within the transaction.

use std::time::Duration;

use rusqlite::types::Type;
use rusqlite::{Error, OptionalExtension, Transaction, named_params, params};

use super::due::{admit, back, boot, end, promote, settle, wall};
use super::logs::{AtEnd, LongLog, ShortLog, log_at_end};
use super::schema::{QUEUED, SINCE};
use super::store::{Store, StoreError};
use crate::queue::clock::Moment;
use crate::queue::{
    Beat, Claimed, Claimer, Ending, Envelope, Finished, LEASE, Lease, MAX_RETRIES, Needs, QueueError, State,
    StepId, Submitted,
};
use crate::secret::Secret;

/// A step as its acts need it.
pub(super) struct Row {
    pub(super) number: i64,
    pub(super) state: State,
    pub(super) epoch: u64,
    cancel: bool,
    key: Option<String>,
}

impl Store {
    pub(super) fn submit(&mut self, envelope: &Envelope) -> Result<Submitted, StoreError> {
        let now = self.clock.now();
        let change = Self::change(&mut self.database)?;
        settle(&change, &now)?;
        let same = "SELECT payload IS ?2 AND pool = ?3 FROM step LEFT JOIN payload ON payload.step = number
            WHERE id = ?1";
        let payload = envelope.payload.expose().as_bytes();
        let same: Option<bool> = change
            .query_row(same, params![envelope.id.as_str(), payload, envelope.pool], |row| row.get(0))
            .optional()?;
        match same {
            Some(true) => return Ok(Submitted::Already),
            Some(false) => return Err(QueueError::IdTaken(envelope.id.clone()).into()),
            None => {}
        }
        let number = insert(&change, envelope, &now)?;
        if envelope.not_before.is_none_or(|time| time <= now.wall) {
            admit(&change, number)?;
        }
        change.commit()?;
        self.wake();
        Ok(Submitted::New)
    }

    pub(super) fn claim(&mut self, claimer: &Claimer) -> Result<Option<Claimed>, StoreError> {
        let now = self.clock.now();
        let until = now.boot + LEASE;
        let change = Self::change(&mut self.database)?;
        let mut settled = settle(&change, &now)?;
        let claimed = loop {
            let Some((number, readable)) = oldest(&change, claimer)? else { break None };
            match take(&change, number, claimer, &now) {
                Ok(Taken { lease, since, name, payload }) if readable => {
                    let waited = u64::try_from(wall(&now) - since).unwrap_or_default();
                    let waited = Duration::from_millis(waited);
                    break Some(Claimed { lease, until, waited, name, payload });
                }
                Ok(_)
                | Err(
                    Error::FromSqlConversionFailure(..) | Error::Utf8Error(..) | Error::QueryReturnedNoRows,
                ) => {
                    end(&change, number, &Ending::damaged(), &now)?;
                    settled = true;
                }
                Err(error) => return Err(error.into()),
            }
        };
        change.commit()?;
        if settled {
            self.wake();
        }
        Ok(claimed)
    }

    pub(super) fn heartbeat(&mut self, lease: &Lease) -> Result<Beat, StoreError> {
        self.renew(lease, |change, row, _| {
            change
                .prepare_cached("UPDATE step SET lease_until = ?2 WHERE number = ?1")?
                .execute(params![row.number, row.until])?;
            Ok(())
        })
    }

    /// Whether somebody wants the step of this lease to be cancelled.
    pub(super) fn is_cancelled(&self, lease: &Lease) -> Result<bool, StoreError> {
        let row = row(&self.database, &lease.id)?;
        if row.epoch == lease.epoch && row.state.is_out() { Ok(row.cancel) } else { Err(lease_over(lease)) }
    }

    pub(super) fn started(&mut self, lease: &Lease) -> Result<Beat, StoreError> {
        self.renew(lease, |change, row, now| {
            let begin = "UPDATE step SET lease_until = ?2, state = iif(cancel, state, 'running'),
                started_at = iif(cancel, started_at, coalesce(started_at, ?3)) WHERE number = ?1";
            change.prepare_cached(begin)?.execute(params![row.number, row.until, wall(now)])?;
            Ok(())
        })
    }

    fn renew(
        &mut self,
        lease: &Lease,
        act: impl FnOnce(&Transaction<'_>, &Held, &Moment) -> Result<(), StoreError>,
    ) -> Result<Beat, StoreError> {
        let now = self.clock.now();
        let change = Self::change(&mut self.database)?;
        settle(&change, &now)?;
        let row = held(row(&change, &lease.id)?, lease)?;
        let renewed = Held { number: row.number, until: boot(&now) + milliseconds(LEASE) };
        act(&change, &renewed, &now)?;
        change.commit()?;
        Ok(Beat { until: now.boot + LEASE, cancel: row.cancel })
    }

    pub(super) fn release(&mut self, lease: &Lease) -> Result<(), StoreError> {
        let now = self.clock.now();
        let change = Self::change(&mut self.database)?;
        settle(&change, &now)?;
        let row = held(row(&change, &lease.id)?, lease)?;
        match row {
            Row { state: State::Claimed, cancel: false, .. } => back(&change, row.number)?,
            Row { state: State::Claimed, .. } => end(&change, row.number, &Ending::cancelled(), &now)?,
            Row { state, .. } => return Err(StoreError::unfit(&lease.id, state)),
        }
        change.commit()?;
        self.wake();
        Ok(())
    }

    pub(super) fn finish(&mut self, lease: &Lease, ending: &Ending) -> Result<Finished, StoreError> {
        let mut on_disk = false;
        loop {
            match self.finish_with(lease, ending, on_disk)? {
                Ok(finished) => return Ok(finished),
                // Others write meanwhile.
                Err(long) => self.sync_log(&long)?,
            }
            on_disk = true;
        }
    }

    /// Hands a long log back that is not yet `on_disk`, and has done nothing then: who sees the ending sees the whole
    /// log, after a loss of power, too.
    fn finish_with(
        &mut self,
        lease: &Lease,
        ending: &Ending,
        on_disk: bool,
    ) -> Result<Result<Finished, LongLog>, StoreError> {
        let now = self.clock.now();
        let change = Self::change(&mut self.database)?;
        settle(&change, &now)?;
        // As it is kept; most endings are kept by `end` alone.
        let told = || serde_json::to_string(ending).map_err(std::io::Error::from);
        let row = row(&change, &lease.id)?;
        if row.epoch == lease.epoch && !row.state.is_out() {
            let repeated = "SELECT ending IS ?2 FROM step WHERE number = ?1";
            let repeated = change.query_row(repeated, params![row.number, told()?], |row| row.get(0))?;
            let finished = if row.state == State::Ended { Finished::Ended } else { Finished::Again };
            return if repeated { Ok(Ok(finished)) } else { Err(lease_over(lease)) };
        }
        let row = held(row, lease)?;
        let log = match log_at_end(&self.logs, row.number, lease.epoch)? {
            AtEnd::Long(long) if !on_disk => return Ok(Err(long)),
            AtEnd::Long(_) | AtEnd::None => None,
            AtEnd::Short(short) => Some(short),
        };
        let again = "UPDATE step SET failures = failures + 1, ending = ?2 WHERE number = ?1
            AND failures < on_failure AND (not_after IS NULL OR not_after > ?3)";
        let wanted = ending.is_failure() && !row.cancel;
        let again = wanted && change.execute(again, params![row.number, told()?, wall(&now)])? == 1;
        let finished = if again {
            back(&change, row.number)?;
            Finished::Again
        } else {
            end(&change, row.number, ending, &now)?;
            Finished::Ended
        };
        if let Some(log) = &log {
            log.keep(&change, row.number, lease.epoch)?;
        }
        change.commit()?;
        log.iter().for_each(ShortLog::leave_file);
        self.wake();
        Ok(Ok(finished))
    }

    pub(super) fn cancel(&mut self, id: &StepId) -> Result<State, StoreError> {
        let now = self.clock.now();
        let change = Self::change(&mut self.database)?;
        settle(&change, &now)?;
        let row = row(&change, id)?;
        if row.state.is_out() {
            change.execute("UPDATE step SET cancel = 1 WHERE number = ?1", [row.number])?;
        } else if row.state != State::Ended {
            end(&change, row.number, &Ending::cancelled(), &now)?;
        }
        change.commit()?;
        self.wake();
        if row.state.is_out() {
            self.tell_holders();
        }
        Ok(if row.state.is_out() { row.state } else { State::Ended })
    }

    pub(super) fn requeue(&mut self, id: &StepId) -> Result<State, StoreError> {
        let now = self.clock.now();
        let change = Self::change(&mut self.database)?;
        settle(&change, &now)?;
        let row = row(&change, id)?;
        if row.state != State::Ended {
            return Err(StoreError::unfit(id, row.state));
        }
        // Its notBefore has come: it has ended before. Its notAfter was meant for the first time.
        let anew =
            "UPDATE step SET failures = 0, cancel = 0, ending = NULL, ended_at = NULL, not_after = NULL,
            requeued_at = ?2 WHERE number = ?1";
        change.execute(anew, [row.number, wall(&now)])?;
        let state = admit(&change, row.number)?;
        change.commit()?;
        self.wake();
        Ok(state)
    }

    pub(super) fn delete(&mut self, id: &StepId) -> Result<(), StoreError> {
        let now = self.clock.now();
        let change = Self::change(&mut self.database)?;
        settle(&change, &now)?;
        let row = row(&change, id)?;
        if row.state.is_out() {
            return Err(StoreError::unfit(id, row.state));
        }
        change.execute("DELETE FROM step WHERE number = ?1", [row.number])?;
        if let Some(key) = &row.key {
            promote(&change, key)?;
        }
        change.commit()?;
        self.wake();
        self.forget()
    }

    pub(super) fn prune(&mut self, age: Duration) -> Result<u64, StoreError> {
        let now = self.clock.now();
        let change = Self::change(&mut self.database)?;
        settle(&change, &now)?;
        let over = "DELETE FROM step WHERE state = 'ended' AND ended_at <= ?1";
        let removed = change.execute(over, [wall(&now).saturating_sub(milliseconds(age))])?;
        change.execute("DELETE FROM needs WHERE number NOT IN (SELECT needs FROM step)", [])?;
        change.commit()?;
        self.forget()?;
        Ok(removed as u64)
    }

    /// Removes what the rows that are gone have left: their copies in the write-ahead log, and their logs.
    fn forget(&mut self) -> Result<(), StoreError> {
        self.database.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        self.remove_orphans()
    }
}

/// A lease that is being renewed.
struct Held {
    number: i64,
    until: i64,
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

pub(super) fn lease_over(lease: &Lease) -> StoreError {
    QueueError::LeaseOver(lease.id.clone()).into()
}

pub(super) fn row(change: &rusqlite::Connection, id: &StepId) -> Result<Row, StoreError> {
    let mut query =
        change.prepare_cached("SELECT number, state, epoch, cancel, key FROM step WHERE id = ?1")?;
    let row = query.query_row([id.as_str()], |row| {
        let state: String = row.get(1)?;
        let state = State::of(&state).ok_or(Error::InvalidQuery)?;
        Ok(Row { number: row.get(0)?, state, epoch: row.get(2)?, cancel: row.get(3)?, key: row.get(4)? })
    });
    row.optional()?.ok_or_else(|| StoreError::unknown(id))
}

/// The step of a lease that is good; to be asked after `settle`, which has taken away those that are over.
fn held(row: Row, lease: &Lease) -> Result<Row, StoreError> {
    let good = row.epoch == lease.epoch && row.state.is_out();
    if good { Ok(row) } else { Err(lease_over(lease)) }
}

fn insert(change: &Transaction<'_>, envelope: &Envelope, now: &Moment) -> Result<i64, StoreError> {
    let needs = serde_json::to_string(&envelope.needs).map_err(std::io::Error::from)?;
    change.prepare_cached("INSERT OR IGNORE INTO needs (needs) VALUES (?1)")?.execute([&needs])?;
    let time = |time: Option<jiff::Timestamp>| time.map(|time| time.as_millisecond());
    change
        .prepare_cached(
            "INSERT INTO step (id, pool, needs, name, key, not_before, not_after, on_lost, on_failure, state,
                submitted_at) VALUES (:id, :pool, (SELECT number FROM needs WHERE needs = :needs), :name, :key,
                :before, :after, :lost, :failure, 'waiting', :now)",
        )?
        .execute(named_params! {
            ":id": envelope.id.as_str(), ":pool": envelope.pool, ":needs": needs, ":name": envelope.name,
            ":key": envelope.concurrency_key, ":before": time(envelope.not_before), ":after": time(envelope.not_after),
            ":lost": envelope.retry.on_lost, ":failure": envelope.retry.on_failure.min(MAX_RETRIES),
            ":now": wall(now),
        })?;
    let number = change.last_insert_rowid();
    change
        .prepare_cached("INSERT INTO payload (step, payload) VALUES (?1, ?2)")?
        .execute(params![number, envelope.payload.expose().as_bytes()])?;
    Ok(number)
}

/// The oldest step that the claimer can run, and whether what it needs could be read.
fn oldest(change: &Transaction<'_>, claimer: &Claimer) -> Result<Option<(i64, bool)>, StoreError> {
    let mut firsts = change.prepare_cached(&format!(
        "SELECT needs, (SELECT number FROM step INDEXED BY open WHERE {QUEUED} AND pool = ?1
            AND step.needs = needs.number ORDER BY number LIMIT 1) FROM needs"
    ))?;
    let mut firsts = firsts.query([&claimer.pool])?;
    let mut oldest: Option<(i64, bool)> = None;
    while let Some(row) = firsts.next()? {
        let Some(first) = row.get::<_, Option<i64>>(1)? else { continue };
        if oldest.is_some_and(|(other, _)| other < first) {
            continue;
        }
        let needs = serde_json::from_str::<Needs>(row.get_ref(0)?.as_str().unwrap_or_default());
        // What cannot be read is taken, too, to be rejected.
        if needs.as_ref().is_ok_and(|needs| !claimer.meets(needs)) {
            continue;
        }
        oldest = Some((first, needs.is_ok()));
    }
    Ok(oldest)
}

/// A step that was claimed.
struct Taken {
    lease: Lease,
    since: i64,
    name: String,
    payload: Secret,
}

/// Gives a step to the claimer.
fn take(change: &Transaction<'_>, number: i64, claimer: &Claimer, now: &Moment) -> rusqlite::Result<Taken> {
    change
        .prepare_cached(
            "UPDATE step SET state = 'claimed', epoch = epoch + 1, worker = ?2, cancel = 0, lease_until = ?3,
                lease_boot = ?4, started_at = NULL, ending = NULL WHERE number = ?1",
        )?
        .execute(params![number, claimer.worker, boot(now) + milliseconds(LEASE), &*now.boot_id])?;
    // `RETURNING` would make a table for its one row.
    let mut taken = change.prepare_cached(&format!(
        "SELECT id, epoch, {SINCE}, name, CAST(payload AS TEXT) FROM step JOIN payload ON payload.step = number
            WHERE number = ?1"
    ))?;
    taken.query_row([number], |row| {
        let unreadable = |error| Error::FromSqlConversionFailure(0, Type::Text, Box::new(error));
        let id = StepId::try_from(row.get::<_, String>(0)?).map_err(unreadable)?;
        let lease = Lease { id, epoch: row.get(1)? };
        Ok(Taken { lease, since: row.get(2)?, name: row.get(3)?, payload: row.get(4).map(Secret::new)? })
    })
}
