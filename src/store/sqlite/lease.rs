//! Stays that wait, and who acts for them.

use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, ToSql, params};
use uuid::Uuid;

use super::super::writes::stored_epoch;
use super::super::{Due, Hold, Lease, StoreError};

pub(super) fn due(connection: &Connection, now: Timestamp, limit: u32) -> Result<Vec<Due>, StoreError> {
    let sql = "SELECT stay_id, epoch, due_at, held_by IS NOT NULL, person_id FROM stay
               WHERE due_at <= ?1 ORDER BY due_at, stay_id LIMIT ?2";
    dues(connection, sql, params![now.as_microsecond(), limit])
}

pub(super) fn held_by(connection: &Connection, holder: &str, limit: u32) -> Result<Vec<Due>, StoreError> {
    let sql = "SELECT stay_id, epoch, due_at, held_by IS NOT NULL, person_id FROM stay
               WHERE held_by = ?1 AND due_at IS NOT NULL ORDER BY due_at, stay_id LIMIT ?2";
    dues(connection, sql, params![holder, limit])
}

fn dues(connection: &Connection, sql: &str, by: &[&dyn ToSql]) -> Result<Vec<Due>, StoreError> {
    let mut select = connection.prepare_cached(sql)?;
    let mut rows = select.query(by)?;
    let mut dues = Vec::new();
    while let Some(row) = rows.next()? {
        let (stay_id, person_id) = (Uuid::from_bytes(row.get(0)?), Uuid::from_bytes(row.get(4)?));
        let (epoch, due_at, is_held) = (epoch(row, 1)?, instant(row, 2)?, row.get(3)?);
        dues.push(Due { stay_id, person_id, epoch, due_at, is_held });
    }
    Ok(dues)
}

/// One conditional update. The person's version goes up with it: a step that read the stay before is done again.
pub(super) fn take(
    connection: &Connection,
    due: &Due,
    holder: &str,
    until: Timestamp,
) -> Result<Option<Lease>, StoreError> {
    let Due { stay_id, person_id, epoch, due_at, .. } = *due;
    let sql = "UPDATE stay SET epoch = epoch + 1, held_by = ?5, due_at = ?6
               WHERE person_id = ?1 AND stay_id = ?2 AND epoch = ?3 AND due_at IS ?4";
    let (person, stay) = (person_id.into_bytes(), stay_id.into_bytes());
    let due_at = due_at.map(Timestamp::as_microsecond);
    let named = params![person, stay, stored_epoch(epoch), due_at, holder, until.as_microsecond()];
    if connection.prepare_cached(sql)?.execute(named)? == 0 {
        // Another's by now: everything else is as it was named, or somebody was faster.
        let sql = "SELECT person_id FROM stay WHERE stay_id = ?1 AND person_id <> ?2";
        let mut select = connection.prepare_cached(sql)?;
        let moved = select.query_row([stay, person], |row| row.get(0)).optional()?.map(Uuid::from_bytes);
        let Some(person_id) = moved else { return Ok(None) };
        return take(connection, &Due { person_id, ..due.clone() }, holder, until);
    }
    let sql = "UPDATE person SET version = version + 1 WHERE person_id = ?1";
    connection.prepare_cached(sql)?.execute([person])?;
    Ok(Some(Lease { stay_id, person_id, epoch: epoch + 1 }))
}

/// Stays in the order in which they began.
pub(super) fn attention(connection: &Connection, limit: u32) -> Result<Vec<Uuid>, StoreError> {
    let sql = "SELECT stay_id FROM stay WHERE needs_attention = 1 ORDER BY stay_id LIMIT ?1";
    let mut select = connection.prepare_cached(sql)?;
    let stays = select.query_map([limit], |row| row.get(0))?;
    Ok(stays.map(|stay| stay.map(Uuid::from_bytes)).collect::<Result<_, _>>()?)
}

/// Columns `due_at`, `epoch`, `held_by` of a stay, from `first` on.
pub(super) fn hold(row: &Row<'_>, first: usize) -> rusqlite::Result<Hold> {
    let held_by: Option<String> = row.get(first + 2)?;
    Ok(Hold { due_at: instant(row, first)?, epoch: epoch(row, first + 1)?, held_by: held_by.map(Arc::from) })
}

fn epoch(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    Ok(row.get::<_, i64>(column)?.unsigned_abs())
}

pub(super) fn instant(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Timestamp>> {
    let microseconds: Option<i64> = row.get(column)?;
    let outside = |_| rusqlite::Error::IntegralValueOutOfRange(column, microseconds.unwrap_or_default());
    microseconds.map(Timestamp::from_microsecond).transpose().map_err(outside)
}
