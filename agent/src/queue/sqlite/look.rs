//! What is told of steps; a list of them comes in pages, and never touches a payload. Looking settles what time has
//! changed, too, so that nobody is shown as running whose lease is over.

use rusqlite::{OptionalExtension, Row, params, types::Type};

use super::due::{settle, wall};
use super::schema::{OUT, QUEUED, SINCE};
use super::store::{Store, StoreError};
use crate::queue::{Depth, Ending, Entry, Filter, Listed, State, StepId};

const COLUMNS: &str =
    "SELECT step.id, pool, step.name, state, needs.needs, key, epoch, failures, worker, cancel,
    submitted_at, started_at, ended_at, ending, step.number
    FROM step LEFT JOIN needs ON needs.number = step.needs";

impl Store {
    pub(super) fn list(&mut self, filter: &Filter) -> Result<Vec<Listed>, StoreError> {
        self.settle()?;
        let chosen = filter.state.map_or(("", "TRUE".to_owned()), among);
        let query = format!(
            "{COLUMNS} WHERE step.number IN (SELECT number FROM step {} WHERE {} AND number > ?2
                AND (?1 IS NULL OR pool = ?1) ORDER BY number LIMIT ?3) ORDER BY step.number",
            chosen.0, chosen.1
        );
        let mut query = self.database.prepare_cached(&query)?;
        // Negative: without a limit.
        let most = filter.most.map_or(-1, |most| i64::try_from(most).unwrap_or(i64::MAX));
        let after = i64::try_from(filter.after).unwrap_or(i64::MAX);
        // What cannot be read of one record must not hide the others.
        let found = query.query_map(params![filter.pool, after, most], |row| {
            Ok(Listed { number: row.get(14)?, entry: entry(row).ok() })
        })?;
        Ok(found.collect::<Result<_, _>>()?)
    }

    pub(super) fn show(&mut self, id: &StepId) -> Result<Entry, StoreError> {
        self.settle()?;
        let mut query = self.database.prepare_cached(&format!("{COLUMNS} WHERE step.id = ?1"))?;
        let found = query.query_row([id.as_str()], entry).optional()?;
        found.ok_or_else(|| StoreError::unknown(id))
    }

    /// Reads an index entry for each step that waits, and the records of those that are out: they are few.
    pub(super) fn depth(&mut self, pool: &str) -> Result<Depth, StoreError> {
        self.settle()?;
        let now = self.clock.now();
        let look = self.database.transaction()?;
        let count = |state: State| -> Result<(State, u64), StoreError> {
            let (index, condition) = among(state);
            let query = format!("SELECT count(*) FROM step {index} WHERE pool = ?1 AND {condition}");
            Ok((state, look.prepare_cached(&query)?.query_row([pool], |row| row.get(0))?))
        };
        let steps = Depth::STATES.into_iter().map(count).collect::<Result<_, _>>()?;
        let since: Option<i64> = look
            .prepare_cached(&format!(
                "SELECT min({SINCE}) FROM step INDEXED BY open WHERE pool = ?1 AND {QUEUED}"
            ))?
            .query_row([pool], |row| row.get(0))?;
        let oldest = since.map(|since| u64::try_from(wall(&now) - since).unwrap_or_default());
        Ok(Depth { steps, oldest: oldest.map(std::time::Duration::from_millis) })
    }

    pub(super) fn settle(&mut self) -> Result<(), StoreError> {
        let now = self.clock.now();
        let change = Self::change(&mut self.database)?;
        let settled = settle(&change, &now)?;
        change.commit()?;
        if settled {
            self.wake();
        }
        Ok(())
    }
}

/// The index in which the steps of a state are few among all that have ended, and the condition that it can be used
/// for. What has ended is most of the table.
pub(super) fn among(state: State) -> (&'static str, String) {
    let is = format!("state = '{}'", state.word());
    match state {
        State::Waiting => ("INDEXED BY early", is),
        State::Held => ("INDEXED BY keyed", format!("key IS NOT NULL AND state <> 'ended' AND {is}")),
        State::Queued => ("INDEXED BY open", QUEUED.to_owned()),
        State::Claimed | State::Running => ("INDEXED BY open", format!("{OUT} AND {is}")),
        State::Ended => ("", is),
    }
}

fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    // What does not matter to whoever looks is shown with what can be read.
    let time = |column: usize| -> rusqlite::Result<Option<jiff::Timestamp>> {
        let milliseconds: Option<i64> = row.get(column)?;
        Ok(milliseconds.map(|time| jiff::Timestamp::from_millisecond(time).unwrap_or_default()))
    };
    let word: String = row.get(3)?;
    let needs: Option<String> = row.get(4)?;
    let ending: Option<String> = row.get(13)?;
    Ok(Entry {
        id: StepId::try_from(row.get::<_, String>(0)?).map_err(|_| rusqlite::Error::InvalidQuery)?,
        pool: row.get(1)?,
        name: row.get(2)?,
        state: State::of(&word).ok_or(rusqlite::Error::InvalidColumnType(3, word, Type::Text))?,
        needs: needs.and_then(|needs| serde_json::from_str(&needs).ok()).unwrap_or_default(),
        concurrency_key: row.get(5)?,
        epoch: row.get(6)?,
        failures: row.get(7)?,
        worker: row.get(8)?,
        cancel: row.get(9)?,
        submitted_at: time(10)?.unwrap_or_default(),
        started_at: time(11)?,
        ended_at: time(12)?,
        ending: ending.map(|text| serde_json::from_str(&text).unwrap_or_else(|_| Ending::damaged())),
    })
}
