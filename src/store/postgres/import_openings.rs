//! A file of opening figures.

use deadpool_postgres::ClientWrapper;
use uuid::Uuid;
use yizhan_contract::IdNumber;

use super::super::StoreError;
use super::super::incoming::{Register, gather};
use super::super::person::{Person, PersonRow};
use super::super::registers::{Import, ImportError, Imported};
use super::Failed;
use super::import::Writing;
use super::import_people::{Kind, Ready, write_all};
use crate::roster::opening::{self, OpeningRow};

pub(super) fn run(writing: Writing, import: Import<OpeningRow>) -> Result<Imported, ImportError> {
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

/// A payer's figures of one year, as columns.
struct Figures {
    year: i16,
    payer: String,
    base: String,
    paid: i64,
    admissions: i32,
}

impl Kind for Openings {
    type Said = Vec<OpeningRow>;
    type Sealed = Vec<Figures>;

    fn id_number<'a>(&self, said: &'a Vec<OpeningRow>) -> &'a IdNumber {
        // A group has at least one row: it was made of rows.
        said[0].id_number.reveal()
    }

    fn seal(
        &self,
        _: Option<PersonRow>,
        _: &Person,
        said: &Vec<OpeningRow>,
    ) -> Result<Vec<Figures>, StoreError> {
        let figures = |row: &OpeningRow| {
            let admissions = i32::try_from(row.admissions);
            Ok(Figures {
                year: row.year,
                payer: row.payer.as_str().to_owned(),
                base: row.used.base.to_string(),
                paid: row.used.paid.fen(),
                admissions: admissions.map_err(|_| StoreError::Defect("too many admissions".to_owned()))?,
            })
        };
        said.iter().map(figures).collect()
    }

    async fn write(&self, client: &ClientWrapper, piece: &[Ready<Self>]) -> Result<(), Failed> {
        let rows = || piece.iter().flat_map(|one| one.sealed.iter().map(|figures| (one.holder, figures)));
        let people: Vec<Uuid> = rows().map(|(person, _)| person).collect();
        let years: Vec<i16> = rows().map(|(_, row)| row.year).collect();
        let payers: Vec<&str> = rows().map(|(_, row)| row.payer.as_str()).collect();
        let bases: Vec<&str> = rows().map(|(_, row)| row.base.as_str()).collect();
        let paid: Vec<i64> = rows().map(|(_, row)| row.paid).collect();
        let admissions: Vec<i32> = rows().map(|(_, row)| row.admissions).collect();
        let sql = "INSERT INTO opening (person_id, year, generation, payer, base, paid, admissions)
                   SELECT person_id, year, $1::bigint, payer, base::numeric, paid, admissions
                   FROM unnest($2::uuid[], $3::smallint[], $4::text[], $5::text[], $6::bigint[], $7::integer[])
                     AS row (person_id, year, payer, base, paid, admissions)";
        let given: [&(dyn tokio_postgres::types::ToSql + Sync); 7] =
            [&self.generation, &people, &years, &payers, &bases, &paid, &admissions];
        client.execute(sql, &given).await?;
        Ok(())
    }
}
