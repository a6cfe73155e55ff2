//! What hospitals are still to be told, over connections of its own ([`Postgres::telling`]), like the bills that they
//! are told of: however much there is to tell, settlements do not wait for a connection because of it. These answer before a commit is on the disk: what a
//! server that dies loses of them is a delivery begun or noted, and then the hospital is told again under the same id.

use std::sync::Arc;

use jiff::Timestamp;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::super::{OutboxEntry, OutboxWrite, StoreError};
use super::Postgres;
use super::pipeline::{Batch, given};
use super::read::rows;
use super::values::Instant;

impl Postgres {
    /// The oldest entry of each stay, where it is due. Why a stay has no bill any more comes after the bill that it had,
    /// whichever gateway's clock was ahead when they were written.
    pub(super) async fn read_outbox_due(
        &self,
        now: Timestamp,
        busy: &[Arc<str>],
        limit: u32,
    ) -> Result<Vec<OutboxEntry>, StoreError> {
        let sql =
            "SELECT outbox_id, stay_id, hospital, settlement_id, version, attempts, due_at, why, person_id
                   FROM outbox o WHERE due_at <= $1 AND hospital <> ALL($2)
                     AND NOT EXISTS (SELECT 1 FROM outbox e WHERE e.person_id = o.person_id
                       AND e.stay_id = o.stay_id AND (e.version, e.settlement_id = e.stay_id, e.outbox_id)
                                                   < (o.version, o.settlement_id = o.stay_id, o.outbox_id))
                   ORDER BY due_at, outbox_id LIMIT $3";
        let busy: Vec<&str> = busy.iter().map(|hospital| &**hospital).collect();
        self.entries(sql, &[&Instant(now), &busy, &i64::from(limit)]).await
    }

    pub(super) async fn read_outbox_waiting(&self, limit: u32) -> Result<Vec<OutboxEntry>, StoreError> {
        let sql =
            "SELECT outbox_id, stay_id, hospital, settlement_id, version, attempts, due_at, why, person_id
                   FROM outbox ORDER BY outbox_id LIMIT $1";
        self.entries(sql, &[&i64::from(limit)]).await
    }

    async fn entries(
        &self,
        sql: &'static str,
        by: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<OutboxEntry>, StoreError> {
        Ok(rows(&self.telling, sql, by).await?.iter().map(entry).collect())
    }

    /// False where somebody else began a delivery since the entry was read. Also where the answer to this was
    /// lost: the entry is due again later, and its receiver knows its id.
    pub(super) async fn take_from_outbox(
        &self,
        entry: OutboxEntry,
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        let sql = "UPDATE outbox SET attempts = attempts + 1, due_at = $5
                   WHERE person_id = $1 AND stay_id = $2 AND version = $3 AND outbox_id = $4 AND attempts = $6
                   RETURNING 1";
        let attempts = entry.attempts as i32;
        self.change(sql, entry, &[&Instant(until), &attempts]).await
    }

    pub(super) async fn delivered(&self, entry: OutboxEntry) -> Result<(), StoreError> {
        let sql = "DELETE FROM outbox
                   WHERE person_id = $1 AND stay_id = $2 AND version = $3 AND outbox_id = $4 RETURNING 1";
        self.change(sql, entry, &[]).await.map(|_| ())
    }

    pub(super) async fn failed(
        &self,
        entry: OutboxEntry,
        due_at: Timestamp,
        why: String,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE outbox SET due_at = $5, why = $6
                   WHERE person_id = $1 AND stay_id = $2 AND version = $3 AND outbox_id = $4 AND attempts = $7
                   RETURNING 1";
        let attempts = entry.attempts as i32;
        self.change(sql, entry, &[&Instant(due_at), &why, &attempts]).await.map(|_| ())
    }

    /// Whether the entry was there, as the statement wants it. One whose stay is another's by now is looked for.
    async fn change(
        &self,
        sql: &'static str,
        mut entry: OutboxEntry,
        with: &[&(dyn ToSql + Sync)],
    ) -> Result<bool, StoreError> {
        loop {
            let version = entry.version as i32;
            let of: [&(dyn ToSql + Sync); 4] = [&entry.person_id, &entry.stay_id, &version, &entry.outbox_id];
            if !rows(&self.telling, sql, &[&of, with].concat()).await?.is_empty() {
                return Ok(true);
            }
            let elsewhere = "SELECT person_id FROM outbox WHERE outbox_id = $1 AND person_id <> $2";
            let moved = rows(&self.telling, elsewhere, &[&entry.outbox_id, &entry.person_id]).await?;
            let Some(row) = moved.first() else { return Ok(false) };
            entry.person_id = row.get(0);
        }
    }
}

fn entry(row: &Row) -> OutboxEntry {
    let hospital: &str = row.get(2);
    let Instant(due_at) = row.get(6);
    OutboxEntry {
        outbox_id: row.get(0),
        stay_id: row.get(1),
        person_id: row.get(8),
        hospital: hospital.into(),
        settlement_id: row.get(3),
        version: row.get::<_, i32>(4).unsigned_abs(),
        attempts: row.get::<_, i32>(5).unsigned_abs(),
        due_at,
        why: row.get(7),
    }
}

pub(super) fn write<'a>(batch: &mut Batch<'a>, owner: Uuid, told: &'a OutboxWrite) {
    let sql = "INSERT INTO outbox (person_id, stay_id, version, outbox_id, hospital, settlement_id, due_at)
               VALUES ($1, $2, $3, $4, $5, $6, $7)";
    let OutboxWrite { outbox_id, stay_id, hospital, settlement_id, version, due_at } = told;
    let (version, due_at) = (*version as i32, Instant(*due_at));
    batch.add(sql, given![owner, *stay_id, version, *outbox_id, &**hospital, *settlement_id, due_at]);
}
