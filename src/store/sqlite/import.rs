//! What every import does: one at a time, on a thread of its own, in pieces between the steps.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;
use rusqlite::{Connection, params};

use super::super::StoreError;
use super::super::registers::{ImportError, Imported};
use super::writer::{Pending, Turn, Writer, stopped};
use super::{Shared, Sqlite, open, read};

/// Rows of a leftover that are cleared in one piece.
const CLEARED_ROWS: u32 = 2000;

/// Entries written in one piece at most, and at least, however many steps wait.
pub(super) const PIECE_ENTRIES_MAX: usize = 4000;
pub(super) const PIECE_ENTRIES_MIN: usize = 100;

/// What an import works with, on its own thread.
pub(super) struct Writing {
    pub(super) writer: Writer,
    pub(super) shared: Arc<Shared>,
    path: Option<PathBuf>,
}

/// A file on its way in.
pub(super) struct Generation {
    pub(super) number: i64,
    at: Timestamp,
}

#[derive(Clone, Copy)]
pub(super) enum Register {
    Roster,
    Catalogue,
    Accumulators,
}

impl Register {
    fn word(self) -> &'static str {
        match self {
            Self::Roster => "roster",
            Self::Catalogue => "catalogue",
            Self::Accumulators => "accumulators",
        }
    }

    fn tables(self) -> &'static [&'static str] {
        match self {
            Self::Roster => &["roster"],
            Self::Catalogue => &["catalogue", "catalogue_scope"],
            Self::Accumulators => &["opening"],
        }
    }
}

impl Sqlite {
    pub(super) async fn import(
        &self,
        run: impl FnOnce(&Writing) -> Result<Imported, ImportError> + Send + 'static,
    ) -> Result<Imported, ImportError> {
        let importing = Arc::clone(&self.importing).try_lock_owned();
        let importing =
            importing.map_err(|_| StoreError::Unavailable("another file is being imported".to_owned()))?;
        let writing = Writing {
            writer: self.writer.clone(),
            shared: Arc::clone(&self.shared),
            path: self.path.clone(),
        };
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
            for table in register.tables() {
                while self.run(move |connection, _| clear_some(connection, table, number))? > 0 {}
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

fn clear_some(connection: &Connection, table: &str, generation: i64) -> Result<usize, StoreError> {
    let key = match table {
        "roster" => "person_id, generation",
        "catalogue" => "code, scope, generation, first_day",
        "catalogue_scope" => "scope, generation",
        _ => "person_id, year, generation, payer",
    };
    let sql = format!(
        "DELETE FROM {table} WHERE ({key}) IN (SELECT {key} FROM {table} WHERE generation = ?1 LIMIT ?2)"
    );
    Ok(connection.prepare_cached(&sql)?.execute(params![generation, CLEARED_ROWS])?)
}

pub(super) fn finish<T>(pending: Pending<T>) -> Result<T, StoreError> {
    pending.blocking_recv().map_err(|_| stopped())?
}
