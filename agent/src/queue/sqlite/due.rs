//! What time does to steps, and what one step's end does to the next of its key. Every act begins with it, so that
//! nobody has to watch a clock: what is told is as if somebody had.
//!
//! Promise: of the steps with one key at most one is queued, claimed or running; the rest are held or waiting.

use rusqlite::{OptionalExtension, Transaction, named_params, params};

use super::schema::OUT;
use super::store::{Store, StoreError};
use crate::queue::clock::Moment;
use crate::queue::{Ending, State};

/// A lease is over: its time has passed, or the machine was started anew.
const IS_LATE: &str = "(lease_until <= :now OR lease_boot <> :boot)";

/// A step has waited too long.
const IS_EXPIRED: &str =
    "not_after IS NOT NULL AND state <> 'ended' AND state <> 'claimed' AND state <> 'running'
    AND not_after <= :wall";

/// The time has come before which nobody may have a step.
const IS_DUE: &str = "state = 'waiting' AND not_before <= :wall";

/// A step with what decides its way back.
struct Late {
    number: i64,
    started: bool,
    cancel: bool,
    on_lost: bool,
}

impl Store {
    /// How long until time changes something, should nobody act before; `None`: nothing is due.
    pub(super) fn next_change(&mut self) -> Result<Option<std::time::Duration>, StoreError> {
        let now = self.clock.now();
        let first = |query: &str| -> Result<Option<i64>, StoreError> {
            Ok(self.database.prepare_cached(query)?.query_row([], |row| row.get(0))?)
        };
        let early = first("SELECT min(not_before) FROM step WHERE state = 'waiting'")?;
        let lease = first(&format!("SELECT min(lease_until) FROM step INDEXED BY open WHERE {OUT}"))?;
        let waits = [early.map(|at| at - wall(&now)), lease.map(|at| at - boot(&now))];
        // A millisecond more, so that it is due by then.
        let milliseconds = |wait: i64| u64::try_from(wait.max(0)).unwrap_or_default() + 1;
        let wait = waits.into_iter().flatten().min();
        Ok(wait.map(|wait| std::time::Duration::from_millis(milliseconds(wait))))
    }
}

/// Milliseconds of the wall since 1970.
pub(super) fn wall(now: &Moment) -> i64 {
    now.wall.as_millisecond()
}

/// Milliseconds since the boot, rounded down.
pub(super) fn boot(now: &Moment) -> i64 {
    i64::try_from(now.boot.as_millis()).unwrap_or(i64::MAX)
}

/// Brings the steps up to date; tells whether anything changed.
pub(super) fn settle(change: &Transaction<'_>, now: &Moment) -> Result<bool, StoreError> {
    // Nearly always nothing is due, and one question is enough to know.
    let due: bool = change
        .prepare_cached(&format!(
            "SELECT EXISTS (SELECT 1 FROM step INDEXED BY open WHERE {OUT} AND {IS_LATE}) OR EXISTS (SELECT 1 FROM step WHERE {IS_EXPIRED})
                OR EXISTS (SELECT 1 FROM step WHERE {IS_DUE})"
        ))?
        .query_row(named_params! {":now": boot(now), ":boot": &*now.boot_id, ":wall": wall(now)}, |row| {
            row.get(0)
        })?;
    if !due {
        return Ok(false);
    }
    let late = late(change, now)?;
    for step in &late {
        give_up(change, step, now)?;
    }
    let expired = numbers(change, &format!("{IS_EXPIRED} ORDER BY number"), now)?;
    for number in &expired {
        end(change, *number, &Ending::expired(), now)?;
    }
    let due = numbers(change, &format!("{IS_DUE} ORDER BY not_before, number"), now)?;
    for number in &due {
        admit(change, *number)?;
    }
    Ok(true)
}

/// The steps that a condition on the wall's time holds for.
fn numbers(change: &Transaction<'_>, condition: &str, now: &Moment) -> Result<Vec<i64>, StoreError> {
    let mut query = change.prepare_cached(&format!("SELECT number FROM step WHERE {condition}"))?;
    let found = query.query_map(named_params! {":wall": wall(now)}, |row| row.get(0))?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// The steps whose lease is over.
fn late(change: &Transaction<'_>, now: &Moment) -> Result<Vec<Late>, StoreError> {
    let mut query = change.prepare_cached(&format!(
        "SELECT number, state = 'running', cancel, on_lost FROM step INDEXED BY open WHERE {OUT} AND {IS_LATE}"
    ))?;
    let late = query.query_map(named_params! {":now": boot(now), ":boot": &*now.boot_id}, |row| {
        Ok(Late { number: row.get(0)?, started: row.get(1)?, cancel: row.get(2)?, on_lost: row.get(3)? })
    })?;
    Ok(late.collect::<Result<_, _>>()?)
}

/// What has begun is lost, unless it may be lost; what has not goes back.
fn give_up(change: &Transaction<'_>, step: &Late, now: &Moment) -> Result<(), StoreError> {
    match step {
        Late { started: false, cancel: true, .. } => end(change, step.number, &Ending::cancelled(), now),
        Late { started: true, cancel: false, on_lost: true, .. } | Late { started: false, .. } => {
            back(change, step.number)
        }
        Late { started: true, .. } => end(change, step.number, &Ending::lost(), now),
    }
}

/// Makes a step with a holder free again. It keeps its key, and its place.
pub(super) fn back(change: &Transaction<'_>, number: i64) -> Result<(), StoreError> {
    change
        .prepare_cached(
            "UPDATE step SET state = 'queued', lease_until = NULL, lease_boot = NULL WHERE number = ?1",
        )?
        .execute([number])?;
    Ok(())
}

/// Makes a step free whose time has come, or holds it where another one of its key comes first.
pub(super) fn admit(change: &Transaction<'_>, number: i64) -> Result<State, StoreError> {
    let key = key(change, number)?;
    let taken = match &key {
        None => false,
        Some(key) => is_taken(change, key)?,
    };
    let state = if taken { State::Held } else { State::Queued };
    change
        .prepare_cached("UPDATE step SET state = ?2 WHERE number = ?1")?
        .execute(params![number, state.word()])?;
    Ok(state)
}

fn key(change: &Transaction<'_>, number: i64) -> Result<Option<String>, StoreError> {
    let mut query = change.prepare_cached("SELECT key FROM step WHERE number = ?1")?;
    Ok(query.query_row([number], |row| row.get(0))?)
}

fn is_taken(change: &Transaction<'_>, key: &str) -> Result<bool, StoreError> {
    // A list after IN would be a table of its own.
    let is = |state: State| {
        let word = state.word();
        format!(
            "EXISTS (SELECT 1 FROM step WHERE key = ?1 AND key IS NOT NULL AND state <> 'ended' AND state = '{word}')"
        )
    };
    let [queued, claimed, running] = [State::Queued, State::Claimed, State::Running].map(is);
    let mut query = change.prepare_cached(&format!("SELECT {queued} OR {claimed} OR {running}"))?;
    Ok(query.query_row([key], |row| row.get(0))?)
}

/// Ends a step, and frees the next one of its key.
pub(super) fn end(
    change: &Transaction<'_>,
    number: i64,
    ending: &Ending,
    now: &Moment,
) -> Result<(), StoreError> {
    let told = serde_json::to_string(ending).map_err(std::io::Error::from)?;
    change
        .prepare_cached(
            "UPDATE step SET state = 'ended', ended_at = ?2, ending = ?3, lease_until = NULL, lease_boot = NULL
            WHERE number = ?1",
        )?
        .execute(params![number, wall(now), told])?;
    key(change, number)?.map_or(Ok(()), |key| promote(change, &key))
}

/// Frees the first of the steps that a key holds, where none of them is free or out.
pub(super) fn promote(change: &Transaction<'_>, key: &str) -> Result<(), StoreError> {
    if is_taken(change, key)? {
        return Ok(());
    }
    let mut query = change.prepare_cached(
        "SELECT number FROM step WHERE key = ?1 AND state <> 'ended' AND state = 'held' ORDER BY number LIMIT 1",
    )?;
    if let Some(next) = query.query_row([key], |row| row.get::<_, i64>(0)).optional()? {
        back(change, next)?;
    }
    Ok(())
}
