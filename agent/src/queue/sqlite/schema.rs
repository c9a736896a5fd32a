//! The database's tables, by version: `user_version` counts the migrations that were done.

use rusqlite::config::DbConfig;
use rusqlite::{Connection, TransactionBehavior};

use super::StoreError;

/// "kubq": the file is a queue of ours.
pub(super) const APPLICATION: i32 = 0x6b75_6271;

/// Those that can be claimed, as the index `open` has them.
pub(super) const QUEUED: &str =
    "state <> 'ended' AND state <> 'waiting' AND state <> 'held' AND (state = 'queued') = 1";

/// Those that somebody holds, as the index `open` has them.
pub(super) const OUT: &str =
    "state <> 'ended' AND state <> 'waiting' AND state <> 'held' AND (state = 'queued') = 0";

/// Since when a queued step can be claimed: an expression of the index `open`.
pub(super) const SINCE: &str = "max(submitted_at, coalesce(not_before, 0), coalesce(requeued_at, 0))";

/// Each brings the tables from its index to the next version. One that has been released is never changed.
pub(super) const MIGRATIONS: [&str; 5] = ["
    -- What steps need of their worker; few rows, so that a claim asks for those it meets.
    CREATE TABLE needs (number INTEGER PRIMARY KEY, needs TEXT NOT NULL UNIQUE) STRICT;
    -- Times are milliseconds: of the wall since 1970, of a lease since the boot that `lease_boot` names.
    CREATE TABLE step (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        pool TEXT NOT NULL,
        needs INTEGER NOT NULL REFERENCES needs (number),
        name TEXT NOT NULL,
        payload BLOB NOT NULL,
        key TEXT,
        not_before INTEGER,
        not_after INTEGER,
        on_lost INTEGER NOT NULL,
        on_failure INTEGER NOT NULL,
        state TEXT NOT NULL
            CHECK (state IN ('waiting', 'held', 'queued', 'claimed', 'running', 'ended')),
        epoch INTEGER NOT NULL DEFAULT 0 CHECK (epoch >= 0),
        failures INTEGER NOT NULL DEFAULT 0,
        worker TEXT,
        lease_until INTEGER,
        lease_boot TEXT,
        cancel INTEGER NOT NULL DEFAULT 0,
        submitted_at INTEGER NOT NULL,
        started_at INTEGER,
        ended_at INTEGER,
        ending TEXT
    ) STRICT;
    -- One for each question that is asked at every claim, over the rows that can be its answer.
    CREATE INDEX ready ON step (pool, needs, number) WHERE state = 'queued';
    CREATE INDEX keyed ON step (key, state, number) WHERE key IS NOT NULL AND state <> 'ended';
    CREATE INDEX early ON step (not_before) WHERE state = 'waiting';
    CREATE INDEX late ON step (not_after)
        WHERE not_after IS NOT NULL AND state IN ('waiting', 'held', 'queued');
    CREATE INDEX leased ON step (lease_until) WHERE state IN ('claimed', 'running');
    CREATE INDEX over ON step (ended_at) WHERE state = 'ended';
", "
    -- How many steps of a pool wait, by state: kept by every change itself, since counting them takes the longer the more
    -- there are, and whoever scrapes a metric must not hold up those who claim. Those that are out are few: as many as
    -- there are slots.
    CREATE TABLE depth (pool TEXT NOT NULL, state TEXT NOT NULL, steps INTEGER NOT NULL, PRIMARY KEY (pool, state))
        STRICT, WITHOUT ROWID;
    INSERT INTO depth SELECT pool, state, count(*) FROM step WHERE state IN ('waiting', 'held', 'queued')
        GROUP BY pool, state;
    CREATE TRIGGER came AFTER INSERT ON step WHEN NEW.state IN ('waiting', 'held', 'queued') BEGIN
        INSERT INTO depth VALUES (NEW.pool, NEW.state, 1) ON CONFLICT DO UPDATE SET steps = steps + 1;
    END;
    CREATE TRIGGER joined AFTER UPDATE OF state ON step
        WHEN NEW.state <> OLD.state AND NEW.state IN ('waiting', 'held', 'queued') BEGIN
        INSERT INTO depth VALUES (NEW.pool, NEW.state, 1) ON CONFLICT DO UPDATE SET steps = steps + 1;
    END;
    CREATE TRIGGER left AFTER UPDATE OF state ON step
        WHEN NEW.state <> OLD.state AND OLD.state IN ('waiting', 'held', 'queued') BEGIN
        UPDATE depth SET steps = steps - 1 WHERE pool = OLD.pool AND state = OLD.state;
    END;
    CREATE TRIGGER went AFTER DELETE ON step WHEN OLD.state IN ('waiting', 'held', 'queued') BEGIN
        UPDATE depth SET steps = steps - 1 WHERE pool = OLD.pool AND state = OLD.state;
    END;
    -- Since when the step that has waited longest could have been claimed.
    ALTER TABLE step ADD COLUMN requeued_at INTEGER;
    CREATE INDEX since ON step (pool, max(submitted_at, coalesce(not_before, 0), coalesce(requeued_at, 0)))
        WHERE state = 'queued';
", "
    -- A claim and an ending change as few pages as they can, since that is what they cost: payloads stand apart, so that
    -- a step's record is short; nothing is kept that can be read from the indices when somebody asks for it.
    CREATE TABLE payload (
        step INTEGER PRIMARY KEY REFERENCES step (number) ON DELETE CASCADE,
        payload BLOB NOT NULL
    ) STRICT;
    INSERT INTO payload SELECT number, payload FROM step;
    ALTER TABLE step DROP COLUMN payload;
    DROP TRIGGER came;
    DROP TRIGGER joined;
    DROP TRIGGER left;
    DROP TRIGGER went;
    DROP TABLE depth;
    DROP INDEX since;
    DROP INDEX over;
    DROP INDEX ready;
    DROP INDEX early;
    DROP INDEX keyed;
    -- Each holds all that is counted by.
    CREATE INDEX ready ON step
        (pool, needs, number, max(submitted_at, coalesce(not_before, 0), coalesce(requeued_at, 0)))
        WHERE state = 'queued';
    CREATE INDEX early ON step (not_before, number, pool) WHERE state = 'waiting';
    CREATE INDEX keyed ON step (key, state, number, pool) WHERE key IS NOT NULL AND state <> 'ended';
", "
    -- The log of a claim that has ended, where it is short: it comes on the disk with its ending, which syncs once then.
    CREATE TABLE log (
        step INTEGER NOT NULL REFERENCES step (number) ON DELETE CASCADE,
        epoch INTEGER NOT NULL,
        log BLOB NOT NULL,
        PRIMARY KEY (step, epoch)
    ) STRICT, WITHOUT ROWID;
", "
    -- A list of three or more after IN is a table of its own, which SQLite made and threw away four times for each change
    -- of a step: with its constraint, and with the conditions of its indices. Comparisons need none.
    DROP INDEX ready;
    DROP INDEX leased;
    DROP INDEX early;
    DROP INDEX late;
    DROP INDEX keyed;
    ALTER TABLE step ADD COLUMN stage TEXT NOT NULL DEFAULT 'waiting' CHECK (stage = 'ended' OR stage = 'queued'
        OR stage = 'claimed' OR stage = 'running' OR stage = 'waiting' OR stage = 'held');
    UPDATE step SET stage = state;
    ALTER TABLE step DROP COLUMN state;
    ALTER TABLE step RENAME COLUMN stage TO state;
    -- Those that are out stand beside those that can be claimed: a claim mostly moves an entry within a page, instead of
    -- from one index into another. It holds all that is asked of them at every act.
    CREATE INDEX open ON step (state = 'queued', pool, needs, number,
        max(submitted_at, coalesce(not_before, 0), coalesce(requeued_at, 0)), state, lease_until, lease_boot)
        WHERE state <> 'ended' AND state <> 'waiting' AND state <> 'held';
    CREATE INDEX early ON step (not_before, number, pool) WHERE state = 'waiting';
    CREATE INDEX late ON step (not_after)
        WHERE not_after IS NOT NULL AND state <> 'ended' AND state <> 'claimed' AND state <> 'running';
    CREATE INDEX keyed ON step (key, state, number, pool) WHERE key IS NOT NULL AND state <> 'ended';
"];

/// Sets the connection up, and brings the tables to this program's version.
pub(super) fn prepare(database: &mut Connection) -> Result<(), StoreError> {
    database.busy_timeout(super::PATIENCE)?;
    // More than all acts have together, so that none is compiled twice.
    database.set_prepared_statement_cache_capacity(64);
    // Else a cached statement is compiled anew whenever a value that it could be planned by changes: at each act.
    database.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // Every commit is on the disk before it is told; what is deleted is overwritten.
    database
        .execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON;")?;
    database
        .execute_batch("PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF; PRAGMA cache_size = -4000;")?;
    let change = database.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let number = |name: &str| change.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let (application, version) = (number("application_id")?, number("user_version")?);
    let tables: i64 = change.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if application != APPLICATION && (tables > 0 || application != 0) {
        return Err(StoreError::Foreign);
    }
    let done = usize::try_from(version).unwrap_or(usize::MAX);
    let missing = MIGRATIONS.get(done..).ok_or(StoreError::Newer)?;
    for migration in missing {
        change.execute_batch(migration)?;
    }
    if !missing.is_empty() {
        change.pragma_update(None, "application_id", APPLICATION)?;
        change.pragma_update(None, "user_version", i32::try_from(MIGRATIONS.len()).unwrap_or(i32::MAX))?;
    }
    change.commit()?;
    Ok(())
}
