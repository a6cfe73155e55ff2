//! What is written down of adapters.

use std::sync::Arc;

use jiff::Timestamp;

use super::super::adapter_book::{AdapterBook, AdapterCall, AdapterNote};
use super::super::person::damaged;
use super::super::{Answer, StoreError};
use super::Postgres;
use super::fault::Failed;
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
            batch.rows(&client).await.map(|_| ()).map_err(Failed::given_up)
        })
    }

    fn forget_calls(&self, before: Timestamp, limit: u32) -> Answer<'_, u64> {
        Box::pin(async move {
            let sql = "DELETE FROM adapter_call WHERE ctid = ANY (ARRAY
                         (SELECT ctid FROM adapter_call WHERE at < $1 ORDER BY at LIMIT $2)) RETURNING 1";
            Ok(self.rows(sql, &[&Instant(before), &i64::from(limit)]).await?.len() as u64)
        })
    }

    fn adapter_calls(&self, adapter: Arc<str>, last: u32) -> Answer<'_, Vec<AdapterCall>> {
        Box::pin(async move {
            let sql = "SELECT at, gateway, verb, operation_id, request_digest, answer_digest, latency_us, class, answer,
                         http_status FROM adapter_call WHERE adapter = $1 ORDER BY at DESC LIMIT $2";
            let rows = self.rows(sql, &[&&*adapter, &i64::from(last)]).await?;
            rows.iter().map(|row| call(row, &adapter)).collect()
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

fn call(row: &tokio_postgres::Row, adapter: &Arc<str>) -> Result<AdapterCall, StoreError> {
    let Instant(at) = row.get(0);
    let text = |column: usize| row.get::<_, Option<String>>(column);
    let digest = |column: usize| {
        let kept = row.get::<_, Option<&[u8]>>(column).map(<[u8; 32]>::try_from).transpose();
        kept.map_err(|_| damaged("the digest of a call"))
    };
    let http_status = row.get::<_, Option<i32>>(9).map(u16::try_from).transpose();
    Ok(AdapterCall {
        at,
        gateway: row.get::<_, &str>(1).into(),
        adapter: Arc::clone(adapter),
        verb: row.get::<_, String>(2).into(),
        operation_id: text(3).map(Into::into),
        request_digest: digest(4)?,
        answer_digest: digest(5)?,
        latency_us: row.get(6),
        class: row.get::<_, String>(7).into(),
        answer: text(8).map(Into::into),
        http_status: http_status.map_err(|_| damaged("the status of a call"))?,
    })
}

fn keep<'a>(batch: &mut Batch<'a>, call: &'a AdapterCall) {
    let sql = "INSERT INTO adapter_call (at, gateway, adapter, verb, operation_id, request_digest, answer_digest,
                 latency_us, class, answer, http_status) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
    let given = given![
        Instant(call.at),
        &*call.gateway,
        &*call.adapter,
        &*call.verb,
        call.operation_id.as_deref(),
        call.request_digest.as_ref().map(<[u8; 32]>::as_slice),
        call.answer_digest.as_ref().map(<[u8; 32]>::as_slice),
        call.latency_us,
        &*call.class,
        call.answer.as_deref(),
        call.http_status.map(i32::from),
    ];
    batch.add(sql, given);
}
