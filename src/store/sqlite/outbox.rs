//! What hospitals are still to be told.

use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, ToSql, params};
use uuid::Uuid;

use super::super::person::damaged;
use super::super::{OutboxEntry, OutboxWrite, StoreError};
use super::lease::instant;

/// The oldest entry of each stay, where it is due. Why a stay has no bill any more comes after the bill that it had,
/// whichever gateway's clock was ahead when they were written.
pub(super) fn due(
    connection: &Connection,
    now: Timestamp,
    busy: &[Arc<str>],
    limit: u32,
) -> Result<Vec<OutboxEntry>, StoreError> {
    let sql = "SELECT outbox_id, stay_id, hospital, settlement_id, version, attempts, due_at, why, person_id
               FROM outbox o WHERE due_at <= ?1 AND hospital NOT IN (SELECT value FROM json_each(?2))
                 AND NOT EXISTS (SELECT 1 FROM outbox e WHERE e.person_id = o.person_id AND e.stay_id = o.stay_id
                   AND (e.version, e.settlement_id = e.stay_id, e.outbox_id)
                     < (o.version, o.settlement_id = o.stay_id, o.outbox_id))
               ORDER BY due_at, outbox_id LIMIT ?3";
    let busy = serde_json::to_string(busy).map_err(|why| StoreError::Defect(why.to_string()))?;
    entries(connection, sql, params![now.as_microsecond(), busy, limit])
}

pub(super) fn waiting(connection: &Connection, limit: u32) -> Result<Vec<OutboxEntry>, StoreError> {
    let sql = "SELECT outbox_id, stay_id, hospital, settlement_id, version, attempts, due_at, why, person_id
               FROM outbox ORDER BY outbox_id LIMIT ?1";
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
            person_id: Uuid::from_bytes(row.get(8)?),
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
    let sql = "UPDATE outbox SET attempts = attempts + 1, due_at = ?5
               WHERE person_id = ?1 AND stay_id = ?2 AND version = ?3 AND outbox_id = ?4 AND attempts = ?6";
    let with = [&until.as_microsecond() as &dyn ToSql, &entry.attempts];
    change(connection, sql, entry, &with)
}

pub(super) fn delivered(connection: &Connection, entry: &OutboxEntry) -> Result<(), StoreError> {
    let sql = "DELETE FROM outbox WHERE person_id = ?1 AND stay_id = ?2 AND version = ?3 AND outbox_id = ?4";
    change(connection, sql, entry, &[]).map(|_| ())
}

pub(super) fn failed(
    connection: &Connection,
    entry: &OutboxEntry,
    due_at: Timestamp,
    why: &str,
) -> Result<(), StoreError> {
    let sql = "UPDATE outbox SET due_at = ?5, why = ?6
               WHERE person_id = ?1 AND stay_id = ?2 AND version = ?3 AND outbox_id = ?4 AND attempts = ?7";
    change(connection, sql, entry, &[&due_at.as_microsecond(), &why, &entry.attempts]).map(|_| ())
}

/// Whether the entry was there, as the statement wants it. One whose stay is another's by now is looked for.
fn change(
    connection: &Connection,
    sql: &str,
    entry: &OutboxEntry,
    with: &[&dyn ToSql],
) -> Result<bool, StoreError> {
    let (person, id) = (entry.person_id.into_bytes(), entry.outbox_id.into_bytes());
    let stay = entry.stay_id.into_bytes();
    let of = [&person as &dyn ToSql, &stay, &entry.version, &id];
    if connection.prepare_cached(sql)?.execute(&*[&of, with].concat())? == 1 {
        return Ok(true);
    }
    let elsewhere = "SELECT person_id FROM outbox WHERE outbox_id = ?1 AND person_id <> ?2";
    let mut select = connection.prepare_cached(elsewhere)?;
    let moved = select.query_row([id, person], |row| row.get(0)).optional()?.map(Uuid::from_bytes);
    let Some(person_id) = moved else { return Ok(false) };
    change(connection, sql, &OutboxEntry { person_id, ..entry.clone() }, with)
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
