//! Stays that wait, and who acts for them.

use std::sync::Arc;

use jiff::Timestamp;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::super::writes::stored_epoch;
use super::super::{Due, Hold, Lease, StoreError};
use super::fault::{in_time, spent};
use super::values::Instant;
use super::{Failed, Postgres, open};

impl Postgres {
    pub(super) async fn read_due(&self, now: Timestamp, limit: u32) -> Result<Vec<Due>, StoreError> {
        let sql = "SELECT stay_id, epoch, due_at, held_by IS NOT NULL, person_id FROM stay
                   WHERE due_at <= $1 ORDER BY due_at, stay_id LIMIT $2";
        self.dues(sql, &[&Instant(now), &i64::from(limit)]).await
    }

    pub(super) async fn read_held_by(&self, holder: &str, limit: u32) -> Result<Vec<Due>, StoreError> {
        let sql = "SELECT stay_id, epoch, due_at, held_by IS NOT NULL, person_id FROM stay
                   WHERE held_by = $1 AND due_at IS NOT NULL ORDER BY due_at, stay_id LIMIT $2";
        self.dues(sql, &[&holder, &i64::from(limit)]).await
    }

    async fn dues(&self, sql: &'static str, by: &[&(dyn ToSql + Sync)]) -> Result<Vec<Due>, StoreError> {
        let due = |row: &Row| {
            let due_at: Option<Instant> = row.get(2);
            let due_at = due_at.map(|Instant(due_at)| due_at);
            let (stay_id, person_id) = (row.get(0), row.get(4));
            Due { stay_id, person_id, epoch: epoch(row, 1), due_at, is_held: row.get(3) }
        };
        Ok(self.rows(sql, by).await?.iter().map(due).collect())
    }

    /// Takes the lease where the stay is; one that is another's by now is looked for.
    pub(super) async fn take_lease(
        &self,
        mut due: Due,
        holder: &str,
        until: Timestamp,
    ) -> Result<Option<Lease>, StoreError> {
        loop {
            if let Some(lease) = self.take_here(&due, holder, until).await? {
                return Ok(Some(lease));
            }
            let sql = "SELECT person_id FROM stay WHERE stay_id = $1 AND person_id <> $2";
            let moved = self.rows(sql, &[&due.stay_id, &due.person_id]).await?;
            let Some(row) = moved.first() else { return Ok(None) };
            due.person_id = row.get(0);
        }
    }

    /// One conditional statement. The person's version goes up first, as in every write: a step that read the
    /// stay before is done again, and nobody waits for a row while holding one that another waits for.
    async fn take_here(
        &self,
        due: &Due,
        holder: &str,
        until: Timestamp,
    ) -> Result<Option<Lease>, StoreError> {
        let sql = "WITH held AS (
                     UPDATE person SET version = version + 1 WHERE person_id = $1 AND EXISTS (
                       SELECT 1 FROM stay WHERE person_id = $1 AND stay_id = $2 AND epoch = $3
                         AND due_at IS NOT DISTINCT FROM $4::timestamptz)
                     RETURNING person_id
                   )
                   UPDATE stay s SET epoch = s.epoch + 1, held_by = $5, due_at = $6 FROM held
                   WHERE s.person_id = $1 AND s.person_id = held.person_id AND s.stay_id = $2 AND s.epoch = $3
                     AND s.due_at IS NOT DISTINCT FROM $4 RETURNING s.epoch";
        let (epoch_before, due_at) = (stored_epoch(due.epoch), due.due_at.map(Instant));
        let given: [&(dyn ToSql + Sync); 6] =
            [&due.person_id, &due.stay_id, &epoch_before, &due_at, &holder, &Instant(until)];
        let client = open::connection(&self.pool).await?;
        let taken =
            in_time(async { client.query_opt(&client.prepare_cached(sql).await?, &given).await }).await;
        let taken = spent(client, taken);
        let lease = |epoch| Lease { stay_id: due.stay_id, person_id: due.person_id, epoch };
        match taken {
            Ok(taken) => Ok(taken.map(|row| lease(epoch(&row, 0)))),
            Err(Failed::Lost(_)) => {
                let is_taken = self.is_taken_after_all(due.stay_id, due.epoch + 1, holder).await?;
                Ok(is_taken.then(|| lease(due.epoch + 1)))
            }
            Err(why) => Err(why.given_up()),
        }
    }

    /// Whether a lease was taken although the answer was lost. Where it was not seen and yet was taken, it runs
    /// out like that of a gateway that died.
    async fn is_taken_after_all(&self, stay_id: Uuid, epoch: u64, holder: &str) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM stay WHERE stay_id = $1 AND epoch = $2 AND held_by = $3";
        Ok(!self.rows(sql, &[&stay_id, &stored_epoch(epoch), &holder]).await?.is_empty())
    }

    /// Stays in the order in which they began.
    pub(super) async fn read_attention(&self, limit: u32) -> Result<Vec<Uuid>, StoreError> {
        let sql = "SELECT stay_id FROM stay WHERE needs_attention ORDER BY stay_id LIMIT $1";
        let rows = self.rows(sql, &[&i64::from(limit)]).await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }
}

/// Columns `due_at`, `epoch`, `held_by` of a stay, from `first` on.
pub(super) fn hold(row: &Row, first: usize) -> Hold {
    let due_at: Option<Instant> = row.get(first);
    let held_by: Option<&str> = row.get(first + 2);
    Hold {
        due_at: due_at.map(|Instant(due_at)| due_at),
        epoch: epoch(row, first + 1),
        held_by: held_by.map(Arc::from),
    }
}

fn epoch(row: &Row, column: usize) -> u64 {
    row.get::<_, i64>(column).unsigned_abs()
}
