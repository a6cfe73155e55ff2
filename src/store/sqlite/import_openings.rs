//! A file of opening figures.

use rusqlite::{Connection, params};
use uuid::Uuid;
use yizhan_contract::IdNumber;

use super::super::StoreError;
use super::super::incoming::{Register, gather};
use super::super::person::Person;
use super::super::registers::{Import, ImportError, Imported};
use super::import::Writing;
use super::import_people::{Kind, write_all};
use crate::roster::opening::{self, OpeningRow};

pub(super) fn run(writing: &Writing, import: Import<OpeningRow>) -> Result<Imported, ImportError> {
    let Import { at, file, rows, progress } = import;
    let mut gathered =
        gather(&writing.vault, file, rows, &progress, |rows: Vec<OpeningRow>| opening::problems_of(&rows))?;
    let generation = writing.begin(Register::Accumulators, at, None)?;
    let kind = Openings { generation: generation.number };
    write_all(writing, &mut gathered, generation, kind, Some, &progress, at)
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
        let sql = "INSERT INTO opening (person_id, year, generation, payer, base, paid, admissions)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        let mut insert = connection.prepare_cached(sql)?;
        for row in said {
            insert.execute(params![
                holder.into_bytes(),
                row.year,
                self.generation,
                row.payer.as_str(),
                row.used.base.to_string(),
                row.used.paid.fen(),
                row.admissions
            ])?;
        }
        Ok(())
    }
}
