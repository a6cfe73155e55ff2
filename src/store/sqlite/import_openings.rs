//! A file of opening figures.

use rusqlite::{Connection, params};
use uuid::Uuid;
use yizhan_contract::IdNumber;

use super::super::StoreError;
use super::super::incoming::{FirstDays, Register, gather_openings};
use super::super::person::{BY_ID_NUMBER, KEY_VERSION, Person, damaged};
use super::super::registers::{Import, ImportError, Imported};
use super::super::spill::KeyedHash;
use super::import::Writing;
use super::import_people::{Kind, write_all};
use crate::roster::opening::OpeningRow;

pub(super) fn run(writing: &Writing, import: Import<OpeningRow>) -> Result<Imported, ImportError> {
    let Import { at, file, rows, progress } = import;
    let reader = writing.reader()?;
    let settled = |hashes: Vec<KeyedHash>| match &reader {
        Some(reader) => first_days(reader, &hashes),
        None => writing.run(move |connection, _| first_days(connection, &hashes)),
    };
    let mut gathered = gather_openings(&writing.vault, at, file, rows, &progress, settled)?;
    let generation = writing.begin(Register::Accumulators, at, None)?;
    let kind = Openings { generation: generation.number };
    write_all(writing, &mut gathered, generation, kind, Some, &progress, at)
}

/// What was settled before there was a benefit year counts by the year of its day.
fn first_days(connection: &Connection, hashes: &[KeyedHash]) -> Result<FirstDays, StoreError> {
    let sql = "SELECT coalesce(s.benefit_year, CAST(substr(s.day, 1, 4) AS INTEGER)) AS year, min(p.day)
               FROM person_key k JOIN settlement s ON s.person_id = k.person_id AND s.state <> 'reversed'
               JOIN posting p ON p.person_id = s.person_id AND p.settlement_id = s.settlement_id
               WHERE k.kind = ?1 AND k.keyed_hash = ?2 AND k.key_version = ?3 GROUP BY 1";
    let mut select = connection.prepare_cached(sql)?;
    let mut first = FirstDays::new();
    for hash in hashes {
        let mut rows = select.query(params![BY_ID_NUMBER, hash, KEY_VERSION])?;
        while let Some(row) = rows.next()? {
            let day = row.get_ref(1)?.as_str()?.parse().map_err(|_| damaged("a date"))?;
            first.push((*hash, row.get(0)?, day));
        }
    }
    Ok(first)
}

#[derive(Clone)]
struct Openings {
    generation: i64,
}

impl Kind for Openings {
    type Said = Vec<OpeningRow>;
    type Sealed = ();

    fn id_number<'a>(&self, said: &'a Vec<OpeningRow>) -> &'a IdNumber {
        // A group has at least one row: it was made of rows.
        said[0].id_number.reveal()
    }

    fn seal(&self, _: &Connection, _: &Person, _: &Vec<OpeningRow>) -> Result<(), StoreError> {
        Ok(())
    }

    fn write(
        &self,
        connection: &Connection,
        holder: Uuid,
        said: &Vec<OpeningRow>,
        (): &(),
    ) -> Result<(), StoreError> {
        // Files older than the one that counts until this one does are never looked at again.
        let sql = "DELETE FROM opening WHERE person_id = ?1 AND year = ?2 AND generation <
                     (SELECT max(o.generation) FROM opening o JOIN generation g ON g.generation = o.generation
                      WHERE o.person_id = ?1 AND o.year = ?2 AND g.visible_at IS NOT NULL)";
        let mut delete = connection.prepare_cached(sql)?;
        let sql = "INSERT INTO opening (person_id, year, generation, payer, base, paid, admissions, as_of)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
        let mut insert = connection.prepare_cached(sql)?;
        for row in said {
            delete.execute(params![holder.into_bytes(), row.year])?;
            insert.execute(params![
                holder.into_bytes(),
                row.year,
                self.generation,
                row.payer.as_str(),
                row.used.base.to_string(),
                row.used.paid.fen(),
                row.admissions,
                row.as_of.to_string(),
            ])?;
        }
        Ok(())
    }
}
