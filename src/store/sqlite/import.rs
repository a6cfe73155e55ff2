//! What every import does: one at a time, on a thread of its own, in pieces between the steps.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;
use rusqlite::types::Value;
use rusqlite::{Connection, params};

use super::super::StoreError;
use super::super::incoming::{Generation, Register, another_import};
use super::super::registers::{ImportError, Imported};
use super::super::vault::Vault;
use super::writer::{Pending, Turn, Writer, stopped};
use super::{Sqlite, open, read};

/// Rows that are looked at in one piece when a leftover is cleared.
const CLEARED_ROWS: u32 = 2000;

/// What an import works with, on its own thread.
pub(super) struct Writing {
    pub(super) writer: Writer,
    pub(super) vault: Arc<Vault>,
    path: Option<PathBuf>,
}

/// A register's tables, each with the column its key leads with and a value before all of that column.
fn tables(register: Register) -> Vec<(&'static str, &'static str, Value)> {
    let (no_text, no_id) = (Value::Text(String::new()), Value::Blob(Vec::new()));
    match register {
        Register::Roster => vec![("roster", "person_id", no_id)],
        Register::Catalogue => {
            vec![("catalogue", "code", no_text.clone()), ("catalogue_scope", "scope", no_text)]
        }
        Register::Accumulators => vec![("opening", "person_id", no_id)],
    }
}

impl Sqlite {
    pub(super) async fn import(
        &self,
        run: impl FnOnce(&Writing) -> Result<Imported, ImportError> + Send + 'static,
    ) -> Result<Imported, ImportError> {
        let importing = Arc::clone(&self.importing).try_lock_owned();
        let importing = importing.map_err(|_| another_import())?;
        let writing =
            Writing { writer: self.writer.clone(), vault: Arc::clone(&self.vault), path: self.path.clone() };
        let work = move || {
            let _importing = importing;
            run(&writing)
        };
        let joined = tokio::task::spawn_blocking(work).await;
        joined.map_err(|why| StoreError::Defect(format!("the import broke off: {why}")))?
    }
}

impl Writing {
    /// Runs work on the writer and waits for its commit.
    pub(super) fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection, &Turn<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        finish(self.writer.queue_blocking(work)?)
    }

    /// A connection for look-ups beside the writer; absent in memory, where the writer has the only one.
    pub(super) fn reader(&self) -> Result<Option<Connection>, StoreError> {
        let Some(path) = &self.path else { return Ok(None) };
        let connection = Connection::open(path)?;
        open::reading(&connection)?;
        Ok(Some(connection))
    }

    /// Clears what an import that broke off left behind, and begins a new file.
    pub(super) fn begin(
        &self,
        register: Register,
        at: Timestamp,
        snapshot: Option<Date>,
    ) -> Result<Generation, StoreError> {
        self.clear_leftovers(register)?;
        let number = self.run(move |connection, _| {
            let number = read::newest_generation(connection)? + 1;
            let sql = "INSERT INTO generation (generation, register, is_snapshot, as_of, begun_at)
                       VALUES (?1, ?2, ?3, ?4, ?5)";
            let as_of = snapshot.map(|day| day.to_string());
            let row = params![number, register.word(), snapshot.is_some(), as_of, at.as_microsecond()];
            connection.prepare_cached(sql)?.execute(row)?;
            Ok(number)
        })?;
        Ok(Generation { number, at })
    }

    /// The one row that makes a file count.
    pub(super) fn make_visible(&self, generation: &Generation) -> Result<(), StoreError> {
        let (number, at) = (generation.number, generation.at.as_microsecond());
        self.run(move |connection, _| {
            let sql = "UPDATE generation SET visible_at = ?1 WHERE generation = ?2";
            connection.prepare_cached(sql)?.execute(params![at, number])?;
            Ok(())
        })
    }

    fn clear_leftovers(&self, register: Register) -> Result<(), StoreError> {
        let left: Vec<i64> = self.run(move |connection, _| {
            let sql = "SELECT generation FROM generation WHERE register = ?1 AND visible_at IS NULL";
            let mut select = connection.prepare_cached(sql)?;
            let left = select.query_map([register.word()], |row| row.get(0))?;
            Ok(left.collect::<Result<_, _>>()?)
        })?;
        for number in left {
            for (table, lead, mut after) in tables(register) {
                while let Some(reached) =
                    self.run(move |connection, _| clear_some(connection, table, lead, number, after))?
                {
                    after = reached;
                }
            }
            self.run(move |connection, _| {
                connection
                    .prepare_cached("DELETE FROM generation WHERE generation = ?1")?
                    .execute([number])?;
                Ok(())
            })?;
        }
        Ok(())
    }
}

/// Looks at some rows in the order of their key and clears those of a file; returns how far it came.
fn clear_some(
    connection: &Connection,
    table: &str,
    lead: &str,
    generation: i64,
    after: Value,
) -> Result<Option<Value>, StoreError> {
    let sql = format!(
        "SELECT max({lead}) FROM (SELECT {lead} FROM {table} WHERE {lead} > ?1 ORDER BY {lead} LIMIT ?2)"
    );
    let mut select = connection.prepare_cached(&sql)?;
    let reached: Value = select.query_row(params![after, CLEARED_ROWS], |row| row.get(0))?;
    if reached == Value::Null {
        return Ok(None);
    }
    let sql = format!("DELETE FROM {table} WHERE {lead} > ?1 AND {lead} <= ?2 AND generation = ?3");
    connection.prepare_cached(&sql)?.execute(params![after, reached, generation])?;
    Ok(Some(reached))
}

pub(super) fn finish<T>(pending: Pending<T>) -> Result<T, StoreError> {
    pending.blocking_recv().map_err(|_| stopped())?
}
