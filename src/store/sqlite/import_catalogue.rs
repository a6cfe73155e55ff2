//! A catalogue file: read whole (it is small), checked, written in pieces.

use std::collections::BTreeSet;
use std::sync::Arc;

use rusqlite::{Connection, params};

use super::super::StoreError;
use super::super::incoming::{Register, checked_catalogue};
use super::super::registers::{Import, ImportError, Imported, Progress};
use super::import::Writing;
use super::writer::Turn;
use crate::catalogue::{CatalogueRow, restated};

pub(super) fn run(writing: &Writing, import: Import<CatalogueRow>) -> Result<Imported, ImportError> {
    let Import { at, file, rows, progress } = import;
    let rows = Arc::new(checked_catalogue(file, rows, &*progress)?);
    let generation = writing.begin(Register::Catalogue, at, None)?;
    let number = generation.number;
    let mut written = 0;
    while written < rows.len() {
        let piece = Arc::clone(&rows);
        written = writing.run(move |connection, turn| write(connection, turn, &piece, written, number))?;
        progress(Progress::Writing(written as u64, rows.len() as u64));
    }
    let scopes: BTreeSet<String> = rows.iter().map(|row| row.scope.clone()).collect();
    writing.run(move |connection, _| {
        let sql = "INSERT INTO catalogue_scope (scope, generation) VALUES (?1, ?2)";
        let mut insert = connection.prepare_cached(sql)?;
        for scope in scopes {
            insert.execute(params![scope, number])?;
        }
        Ok(())
    })?;
    writing.make_visible(&generation)?;
    let mut looked_at = 0;
    let items = restated(&rows).len();
    while looked_at < items {
        let of = Arc::clone(&rows);
        looked_at = writing.run(move |connection, turn| prune(connection, turn, &of, looked_at, number))?;
    }
    Ok(Imported { rows: rows.len() as u64, entries: rows.len() as u64, generation: number })
}

/// Deletes, from the item `start` on, what earlier files say of days that this one speaks of; returns where it stopped.
fn prune(
    connection: &Connection,
    turn: &Turn<'_>,
    rows: &[CatalogueRow],
    start: usize,
    generation: i64,
) -> Result<usize, StoreError> {
    let sql = "DELETE FROM catalogue WHERE code = ?1 AND scope = ?2 AND generation < ?3 AND first_day >= ?4";
    let mut delete = connection.prepare_cached(sql)?;
    let items = restated(rows);
    for (count, (code, scope, first)) in items.iter().skip(start).enumerate() {
        if turn.gives_way(count) {
            return Ok(start + count);
        }
        delete.execute(params![code, scope, generation, first.to_string()])?;
    }
    Ok(items.len())
}

/// Writes from `start` on; returns where it stopped.
fn write(
    connection: &Connection,
    turn: &Turn<'_>,
    rows: &[CatalogueRow],
    start: usize,
    generation: i64,
) -> Result<usize, StoreError> {
    let sql = "INSERT INTO catalogue (code, scope, generation, first_day, last_day, name, class, category,
                 upfront_ratio, ceiling) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    let mut insert = connection.prepare_cached(sql)?;
    for (count, row) in rows.iter().skip(start).enumerate() {
        if turn.gives_way(count) {
            return Ok(start + count);
        }
        insert.execute(params![
            row.code,
            row.scope,
            generation,
            row.from.to_string(),
            row.to.map(|day| day.to_string()),
            row.name,
            row.class.map(yizhan_contract::stay::CatalogueClass::word),
            row.category,
            row.upfront_ratio.map(|ratio| ratio.to_string()),
            row.ceiling.map(|price| price.to_string()),
        ])?;
    }
    Ok(rows.len())
}
