//! A catalogue file.

use std::collections::BTreeSet;

use tokio_postgres::types::{ToSql, Type};

use super::super::incoming::{Register, checked_catalogue};
use super::super::registers::{Import, ImportError, Imported, Progress};
use super::import::Writing;
use super::import_people::copy;
use super::values::Day;
use crate::catalogue::{CatalogueRow, restated};

/// Items written in one transaction.
const PIECE_ITEMS: usize = 10_000;

pub(super) fn run(writing: Writing, import: Import<CatalogueRow>) -> Result<Imported, ImportError> {
    let Import { at, file, rows, progress } = import;
    let rows = checked_catalogue(file, rows, &*progress)?;
    let generation = writing.begin(Register::Catalogue, at, None)?;
    let number = generation.number;
    let mut written = 0;
    for piece in rows.chunks(PIECE_ITEMS) {
        let piece: Vec<Columns<'_>> = piece.iter().map(Columns::of).collect();
        writing.run(async {
            let sql = "COPY catalogue (code, scope, generation, first_day, last_day, name, class, category,
                         upfront_ratio, ceiling) FROM STDIN BINARY";
            let (text, day) = (Type::TEXT, Type::DATE);
            let types = [&text, &text, &Type::INT8, &day, &day, &text, &text, &text, &text, &text];
            let rows = piece.iter().map(|row| row.given(&number));
            copy(&writing.reader, sql, &types.map(Type::clone), rows).await
        })?;
        written += piece.len() as u64;
        progress(Progress::Writing(written, rows.len() as u64));
    }
    let scopes: Vec<&str> =
        rows.iter().map(|row| row.scope.as_str()).collect::<BTreeSet<_>>().into_iter().collect();
    writing.run(async {
        let sql =
            "INSERT INTO catalogue_scope (scope, generation) SELECT scope, $2 FROM unnest($1::text[]) scope";
        writing.reader.execute(sql, &[&scopes, &number]).await?;
        Ok(())
    })?;
    writing.make_visible(&generation)?;
    for piece in restated(&rows).chunks(PIECE_ITEMS) {
        let codes: Vec<&str> = piece.iter().map(|(code, ..)| *code).collect();
        let scopes: Vec<&str> = piece.iter().map(|(_, scope, _)| *scope).collect();
        let days: Vec<Day> = piece.iter().map(|(.., day)| Day(Some(*day))).collect();
        writing.run(async {
            // What earlier files say of days that this one speaks of.
            let sql = "DELETE FROM catalogue c
                       USING unnest($1::text[], $2::text[], $3::date[]) AS item (code, scope, first_day)
                       WHERE c.code = item.code AND c.scope = item.scope AND c.generation < $4
                         AND c.first_day >= item.first_day";
            writing.reader.execute(sql, &[&codes, &scopes, &days, &number]).await?;
            Ok(())
        })?;
    }
    Ok(Imported { rows: rows.len() as u64, entries: rows.len() as u64, generation: number })
}

/// A row as columns that are not in it as they are.
struct Columns<'a> {
    row: &'a CatalogueRow,
    first_day: Day,
    last_day: Option<Day>,
    class: Option<&'static str>,
    upfront_ratio: Option<String>,
    ceiling: Option<String>,
}

impl<'a> Columns<'a> {
    fn of(row: &'a CatalogueRow) -> Self {
        Self {
            row,
            first_day: Day(Some(row.from)),
            last_day: row.to.map(|day| Day(Some(day))),
            class: row.class.map(yizhan_contract::stay::CatalogueClass::word),
            upfront_ratio: row.upfront_ratio.map(|ratio| ratio.to_string()),
            ceiling: row.ceiling.map(|price| price.to_string()),
        }
    }

    fn given<'v>(&'v self, generation: &'v i64) -> [&'v (dyn ToSql + Sync); 10] {
        [
            &self.row.code,
            &self.row.scope,
            generation,
            &self.first_day,
            &self.last_day,
            &self.row.name,
            &self.class,
            &self.row.category,
            &self.upfront_ratio,
            &self.ceiling,
        ]
    }
}
