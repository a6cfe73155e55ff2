//! What is written down of adapters.

use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::super::adapter_book::{AdapterBook, AdapterCall, AdapterNote};
use super::super::person::damaged;
use super::super::{Answer, StoreError};
use super::Sqlite;
use super::lease::instant;

impl AdapterBook for Sqlite {
    fn adapter_notes(&self) -> Answer<'_, Vec<AdapterNote>> {
        Box::pin(self.read(notes))
    }

    fn note_adapter(&self, note: AdapterNote) -> Answer<'_, ()> {
        Box::pin(self.writer.run(move |connection, _| write(connection, &note)))
    }

    fn reset_adapter(&self, adapter: Arc<str>) -> Answer<'_, u64> {
        Box::pin(self.writer.run(move |connection, _| {
            let sql = "UPDATE adapter_note SET resets = resets + 1 WHERE adapter = ?1";
            Ok(connection.prepare_cached(sql)?.execute([&*adapter])? as u64)
        }))
    }

    fn forget_adapter(&self, adapter: Arc<str>, gateway: Arc<str>) -> Answer<'_, ()> {
        Box::pin(self.writer.run(move |connection, _| {
            let sql = "DELETE FROM adapter_note WHERE adapter = ?1 AND gateway = ?2";
            connection.prepare_cached(sql)?.execute([&*adapter, &*gateway])?;
            Ok(())
        }))
    }

    fn keep_calls(&self, calls: Vec<AdapterCall>) -> Answer<'_, ()> {
        Box::pin(
            self.writer.run(move |connection, _| calls.iter().try_for_each(|call| keep(connection, call))),
        )
    }

    fn forget_calls(&self, before: Timestamp, limit: u32) -> Answer<'_, u64> {
        Box::pin(self.writer.run(move |connection, _| {
            let sql = "DELETE FROM adapter_call WHERE rowid IN
                         (SELECT rowid FROM adapter_call WHERE at < ?1 ORDER BY at LIMIT ?2)";
            Ok(connection.prepare_cached(sql)?.execute(params![before.as_microsecond(), limit])? as u64)
        }))
    }

    fn adapter_calls(&self, adapter: Arc<str>, last: u32) -> Answer<'_, Vec<AdapterCall>> {
        Box::pin(self.read(move |connection| calls(connection, &adapter, last)))
    }

    fn calls_kept(&self, adapter: Arc<str>) -> Answer<'_, u64> {
        Box::pin(self.read(move |connection| {
            let sql = "SELECT count(*) FROM adapter_call WHERE adapter = ?1";
            let count: i64 = connection.prepare_cached(sql)?.query_row([&*adapter], |row| row.get(0))?;
            Ok(count.unsigned_abs())
        }))
    }
}

fn notes(connection: &Connection) -> Result<Vec<AdapterNote>, StoreError> {
    let sql =
        "SELECT adapter, gateway, noted_at, resets, document FROM adapter_note ORDER BY adapter, gateway";
    let mut select = connection.prepare_cached(sql)?;
    let mut rows = select.query([])?;
    let mut notes = Vec::new();
    while let Some(row) = rows.next()? {
        let (adapter, gateway): (String, String) = (row.get(0)?, row.get(1)?);
        notes.push(AdapterNote {
            adapter: adapter.into(),
            gateway: gateway.into(),
            noted_at: instant(row, 2)?.ok_or_else(|| damaged("the time of a note"))?,
            resets: row.get(3)?,
            document: row.get(4)?,
        });
    }
    Ok(notes)
}

fn calls(connection: &Connection, adapter: &Arc<str>, last: u32) -> Result<Vec<AdapterCall>, StoreError> {
    let sql =
        "SELECT at, gateway, verb, operation_id, request_digest, answer_digest, latency_us, class, answer,
                 http_status FROM adapter_call WHERE adapter = ?1 ORDER BY at DESC, rowid DESC LIMIT ?2";
    let mut select = connection.prepare_cached(sql)?;
    let mut rows = select.query(params![&**adapter, last])?;
    let mut calls = Vec::new();
    while let Some(row) = rows.next()? {
        calls.push(AdapterCall {
            at: instant(row, 0)?.ok_or_else(|| damaged("the time of a call"))?,
            gateway: row.get::<_, String>(1)?.into(),
            adapter: Arc::clone(adapter),
            verb: row.get::<_, String>(2)?.into(),
            operation_id: row.get::<_, Option<String>>(3)?.map(Into::into),
            request_digest: row.get(4)?,
            answer_digest: row.get(5)?,
            latency_us: row.get(6)?,
            class: row.get::<_, String>(7)?.into(),
            answer: row.get::<_, Option<String>>(8)?.map(Into::into),
            http_status: row.get(9)?,
        });
    }
    Ok(calls)
}

fn write(connection: &Connection, note: &AdapterNote) -> Result<(), StoreError> {
    let sql = "INSERT INTO adapter_note (adapter, gateway, noted_at, document) VALUES (?1, ?2, ?3, ?4)
               ON CONFLICT (adapter, gateway) DO UPDATE SET noted_at = excluded.noted_at,
                 document = excluded.document";
    let AdapterNote { adapter, gateway, noted_at, document, .. } = note;
    let with = params![&**adapter, &**gateway, noted_at.as_microsecond(), document];
    connection.prepare_cached(sql)?.execute(with)?;
    Ok(())
}

fn keep(connection: &Connection, call: &AdapterCall) -> Result<(), StoreError> {
    let sql = "INSERT INTO adapter_call (at, gateway, adapter, verb, operation_id, request_digest, answer_digest,
                 latency_us, class, answer, http_status) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
    connection.prepare_cached(sql)?.execute(params![
        call.at.as_microsecond(),
        &*call.gateway,
        &*call.adapter,
        &*call.verb,
        call.operation_id.as_deref(),
        call.request_digest,
        call.answer_digest,
        call.latency_us,
        &*call.class,
        call.answer.as_deref(),
        call.http_status,
    ])?;
    Ok(())
}
