//! What every import does: one at a time over all gateways, on a thread of its own, on connections of its own.

use std::sync::Arc;

use deadpool_postgres::{ClientWrapper, Object};
use jiff::Timestamp;
use jiff::civil::Date;
use tokio::runtime::Handle;

use super::super::StoreError;
use super::super::incoming::{Generation, Register, another_import};
use super::super::registers::{ImportError, Imported};
use super::super::vault::Vault;
use super::values::{Day, Instant};
use super::{Failed, Postgres, broken, open};

/// Held while a file is brought in ("yzim").
const IMPORT_LOCK: i64 = 0x797a_696d;

/// What an import works with, on its own thread.
pub(super) struct Writing {
    pub(super) vault: Arc<Vault>,
    pub(super) handle: Handle,
    /// Looks up, and holds the lock that lets nobody else import.
    pub(super) reader: Arc<ClientWrapper>,
    /// Present between two pieces.
    pub(super) writer: Option<ClientWrapper>,
}

/// Takes back the rows of one file.
fn clearing(register: Register) -> &'static [&'static str] {
    match register {
        Register::Roster => &["DELETE FROM roster WHERE generation = $1"],
        Register::Catalogue => &[
            "DELETE FROM catalogue WHERE generation = $1",
            "DELETE FROM catalogue_scope WHERE generation = $1",
        ],
        Register::Accumulators => &["DELETE FROM opening WHERE generation = $1"],
    }
}

impl Postgres {
    pub(super) async fn import(
        &self,
        run: impl FnOnce(Writing) -> Result<Imported, ImportError> + Send + 'static,
    ) -> Result<Imported, ImportError> {
        let reader = Arc::new(self.own_connection().await?);
        let sql = format!("SELECT pg_try_advisory_lock({IMPORT_LOCK})");
        let locked: bool = reader.query_one(&sql, &[]).await.map_err(|why| broken(&why))?.get(0);
        if !locked {
            return Err(another_import().into());
        }
        let writer = Some(self.own_connection().await?);
        let (vault, handle) = (Arc::clone(&self.vault), Handle::current());
        let writing = Writing { vault, handle, reader: Arc::clone(&reader), writer };
        let joined = tokio::task::spawn_blocking(move || run(writing)).await;
        // The end of the connection would free it as well, a moment later.
        let sql = format!("SELECT pg_advisory_unlock({IMPORT_LOCK})");
        let _ = reader.batch_execute(&sql).await;
        joined.map_err(|why| StoreError::Defect(format!("the import broke off: {why}")))?
    }

    /// A connection that is not given back to the steps; clearing what a file left behind may take long.
    async fn own_connection(&self) -> Result<ClientWrapper, StoreError> {
        let client = Object::take(open::connection(&self.pool).await?);
        client.batch_execute("SET statement_timeout = 0").await.map_err(|why| broken(&why))?;
        Ok(client)
    }
}

impl Writing {
    /// Waits for the server.
    pub(super) fn run<T>(&self, work: impl Future<Output = Result<T, Failed>>) -> Result<T, StoreError> {
        self.handle.block_on(work).map_err(Failed::given_up)
    }

    /// Clears what an import that broke off left behind, and begins a new file.
    pub(super) fn begin(
        &self,
        register: Register,
        at: Timestamp,
        snapshot: Option<Date>,
    ) -> Result<Generation, StoreError> {
        self.run(async {
            self.clear_leftovers(register).await?;
            let sql = "INSERT INTO generation (generation, register, is_snapshot, as_of, begun_at)
                       SELECT coalesce(max(generation), 0) + 1, $1, $2, $3, $4 FROM generation
                       RETURNING generation";
            let as_of = snapshot.map(|day| Day(Some(day)));
            let row = (&register.word(), &snapshot.is_some(), &as_of, &Instant(at));
            let row = self.reader.query_one(sql, &[row.0, row.1, row.2, row.3]).await?;
            Ok(Generation { number: row.get(0), at })
        })
    }

    /// The one row that makes a file count. Its COMMIT makes durable everything that was written before.
    pub(super) fn make_visible(&self, generation: &Generation) -> Result<(), StoreError> {
        self.run(async {
            let sql = "UPDATE generation SET visible_at = $1 WHERE generation = $2";
            self.reader.execute(sql, &[&Instant(generation.at), &generation.number]).await?;
            Ok(())
        })
    }

    async fn clear_leftovers(&self, register: Register) -> Result<(), Failed> {
        let sql = "SELECT generation FROM generation WHERE register = $1 AND visible_at IS NULL";
        for row in self.reader.query(sql, &[&register.word()]).await? {
            let number: i64 = row.get(0);
            for sql in clearing(register) {
                self.reader.execute(*sql, &[&number]).await?;
            }
            self.reader.execute("DELETE FROM generation WHERE generation = $1", &[&number]).await?;
        }
        Ok(())
    }
}
