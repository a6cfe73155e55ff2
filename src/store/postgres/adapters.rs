//! What is written down of adapters.

use std::sync::Arc;

use jiff::Timestamp;

use super::super::Answer;
use super::super::adapter_book::{AdapterBook, AdapterCall, AdapterNote};
use super::Postgres;
use super::fault::broken;
use super::open;
use super::pipeline::{Batch, given};
use super::values::Instant;

impl AdapterBook for Postgres {
    fn adapter_notes(&self) -> Answer<'_, Vec<AdapterNote>> {
        Box::pin(async move {
            let sql = "SELECT adapter, gateway, noted_at, resets, document FROM adapter_note
                       ORDER BY adapter COLLATE \"C\", gateway COLLATE \"C\"";
            let note = |row: &tokio_postgres::Row| {
                let (adapter, gateway): (&str, &str) = (row.get(0), row.get(1));
                let Instant(noted_at) = row.get(2);
                let resets = row.get::<_, i32>(3).unsigned_abs();
                AdapterNote {
                    adapter: adapter.into(),
                    gateway: gateway.into(),
                    noted_at,
                    resets,
                    document: row.get(4),
                }
            };
            Ok(self.rows(sql, &[]).await?.iter().map(note).collect())
        })
    }

    fn note_adapter(&self, note: AdapterNote) -> Answer<'_, ()> {
        Box::pin(async move {
            let sql =
                "INSERT INTO adapter_note (adapter, gateway, noted_at, document) VALUES ($1, $2, $3, $4)
                       ON CONFLICT (adapter, gateway) DO UPDATE SET noted_at = excluded.noted_at,
                         document = excluded.document";
            let AdapterNote { adapter, gateway, noted_at, document, .. } = note;
            self.rows(sql, &[&&*adapter, &&*gateway, &Instant(noted_at), &document]).await.map(|_| ())
        })
    }

    /// Ordered once more where the answer to the first order was lost: it is the same order.
    fn reset_adapter(&self, adapter: Arc<str>) -> Answer<'_, u64> {
        Box::pin(async move {
            let sql = "UPDATE adapter_note SET resets = resets + 1 WHERE adapter = $1 RETURNING 1";
            Ok(self.rows(sql, &[&&*adapter]).await?.len() as u64)
        })
    }

    fn forget_adapter(&self, adapter: Arc<str>, gateway: Arc<str>) -> Answer<'_, ()> {
        Box::pin(async move {
            let sql = "DELETE FROM adapter_note WHERE adapter = $1 AND gateway = $2";
            self.rows(sql, &[&&*adapter, &&*gateway]).await.map(|_| ())
        })
    }

    /// A batch whose connection ends is lost, not written twice.
    fn keep_calls(&self, calls: Vec<AdapterCall>) -> Answer<'_, ()> {
        Box::pin(async move {
            let client = open::connection(&self.pool).await?;
            let mut batch = Batch::default();
            batch.add("BEGIN", Vec::new());
            calls.iter().for_each(|call| keep(&mut batch, call));
            batch.add("COMMIT", Vec::new());
            batch.rows(&client).await.map(|_| ()).map_err(|why| broken(&why))
        })
    }

    fn forget_calls(&self, before: Timestamp, limit: u32) -> Answer<'_, u64> {
        Box::pin(async move {
            let sql = "DELETE FROM adapter_call WHERE ctid = ANY (ARRAY
                         (SELECT ctid FROM adapter_call WHERE at < $1 ORDER BY at LIMIT $2)) RETURNING 1";
            Ok(self.rows(sql, &[&Instant(before), &i64::from(limit)]).await?.len() as u64)
        })
    }

    fn calls_kept(&self, adapter: Arc<str>) -> Answer<'_, u64> {
        Box::pin(async move {
            let sql = "SELECT count(*) FROM adapter_call WHERE adapter = $1";
            let rows = self.rows(sql, &[&&*adapter]).await?;
            Ok(rows.first().map_or(0, |row| row.get::<_, i64>(0).unsigned_abs()))
        })
    }
}

fn keep<'a>(batch: &mut Batch<'a>, call: &'a AdapterCall) {
    let sql = "INSERT INTO adapter_call (at, gateway, adapter, verb, operation_id, request_digest, answer_digest,
                 latency_us, class, answer, http_status) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
    let given = given![
        Instant(call.at),
        &*call.gateway,
        &*call.adapter,
        call.verb,
        call.operation_id.as_deref(),
        call.request_digest.as_ref().map(<[u8; 32]>::as_slice),
        call.answer_digest.as_ref().map(<[u8; 32]>::as_slice),
        call.latency_us,
        call.class,
        call.answer,
        call.http_status.map(i32::from),
    ];
    batch.add(sql, given);
}
