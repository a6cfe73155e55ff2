//! What hospitals are still to be told.

use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::{Connection, ToSql, params};
use uuid::Uuid;

use super::super::person::damaged;
use super::super::{OutboxEntry, OutboxWrite, StoreError};
use super::lease::instant;

/// The oldest entry of each stay, where it is due.
pub(super) fn due(
    connection: &Connection,
    now: Timestamp,
    busy: &[Arc<str>],
    limit: u32,
) -> Result<Vec<OutboxEntry>, StoreError> {
    let sql = "SELECT outbox_id, stay_id, hospital, settlement_id, version, attempts, due_at, why FROM outbox o
               WHERE due_at <= ?1 AND hospital NOT IN (SELECT value FROM json_each(?2))
                 AND NOT EXISTS (SELECT 1 FROM outbox e WHERE e.person_id = o.person_id AND e.stay_id = o.stay_id
                   AND (e.version, e.outbox_id) < (o.version, o.outbox_id))
               ORDER BY due_at, outbox_id LIMIT ?3";
    let busy = serde_json::to_string(busy).map_err(|why| StoreError::Defect(why.to_string()))?;
    entries(connection, sql, params![now.as_microsecond(), busy, limit])
}

pub(super) fn waiting(connection: &Connection, limit: u32) -> Result<Vec<OutboxEntry>, StoreError> {
    let sql = "SELECT outbox_id, stay_id, hospital, settlement_id, version, attempts, due_at, why FROM outbox
               ORDER BY outbox_id LIMIT ?1";
    entries(connection, sql, params![limit])
}

fn entries(connection: &Connection, sql: &str, by: &[&dyn ToSql]) -> Result<Vec<OutboxEntry>, StoreError> {
    let mut select = connection.prepare_cached(sql)?;
    let mut rows = select.query(by)?;
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        let hospital: String = row.get(2)?;
        entries.push(OutboxEntry {
            outbox_id: Uuid::from_bytes(row.get(0)?),
            stay_id: Uuid::from_bytes(row.get(1)?),
            hospital: hospital.into(),
            settlement_id: Uuid::from_bytes(row.get(3)?),
            version: row.get(4)?,
            attempts: row.get(5)?,
            due_at: instant(row, 6)?.ok_or_else(|| damaged("a due time"))?,
            why: row.get(7)?,
        });
    }
    Ok(entries)
}

/// False where somebody else began a delivery since the entry was read.
pub(super) fn take(
    connection: &Connection,
    entry: &OutboxEntry,
    until: Timestamp,
) -> Result<bool, StoreError> {
    let sql = "UPDATE outbox SET attempts = attempts + 1, due_at = ?3 WHERE outbox_id = ?1 AND attempts = ?2";
    let named = params![entry.outbox_id.into_bytes(), entry.attempts, until.as_microsecond()];
    Ok(connection.prepare_cached(sql)?.execute(named)? == 1)
}

pub(super) fn delivered(connection: &Connection, id: Uuid) -> Result<(), StoreError> {
    let sql = "DELETE FROM outbox WHERE outbox_id = ?1";
    connection.prepare_cached(sql)?.execute([id.into_bytes()])?;
    Ok(())
}

pub(super) fn failed(
    connection: &Connection,
    id: Uuid,
    due_at: Timestamp,
    why: &str,
) -> Result<(), StoreError> {
    let sql = "UPDATE outbox SET due_at = ?2, why = ?3 WHERE outbox_id = ?1";
    connection.prepare_cached(sql)?.execute(params![id.into_bytes(), due_at.as_microsecond(), why])?;
    Ok(())
}

pub(super) fn write(connection: &Connection, owner: Uuid, told: &OutboxWrite) -> Result<(), StoreError> {
    let sql = "INSERT INTO outbox (person_id, stay_id, version, outbox_id, hospital, settlement_id, due_at)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    connection.prepare_cached(sql)?.execute(params![
        owner.into_bytes(),
        told.stay_id.into_bytes(),
        told.version,
        told.outbox_id.into_bytes(),
        &*told.hospital,
        told.settlement_id.into_bytes(),
        told.due_at.as_microsecond(),
    ])?;
    Ok(())
}
