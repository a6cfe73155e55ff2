//! A file of opening figures.

use deadpool_postgres::ClientWrapper;
use tokio_postgres::Row;
use uuid::Uuid;
use yizhan_contract::IdNumber;

use super::super::StoreError;
use super::super::incoming::{FirstDays, Register, gather_openings};
use super::super::person::{BY_ID_NUMBER, KEY_VERSION, Person, PersonRow, damaged};
use super::super::registers::{Import, ImportError, Imported};
use super::super::spill::KeyedHash;
use super::Failed;
use super::import::Writing;
use super::import_people::{Kind, Ready, write_all};
use super::values::Day;
use crate::roster::opening::OpeningRow;

pub(super) fn run(writing: Writing, import: Import<OpeningRow>) -> Result<Imported, ImportError> {
    let Import { at, file, rows, progress } = import;
    let settled = |hashes: Vec<KeyedHash>| writing.run(first_days(&writing.reader, &hashes));
    let mut gathered = gather_openings(&writing.vault, at, file, rows, &progress, settled)?;
    let generation = writing.begin(Register::Accumulators, at, None)?;
    let kind = Openings { generation: generation.number };
    write_all(writing, &mut gathered, generation, kind, Some, &progress, at)
}

/// What was settled before there was a benefit year counts by the year of its day.
async fn first_days(client: &ClientWrapper, hashes: &[KeyedHash]) -> Result<FirstDays, Failed> {
    let sql = "SELECT k.keyed_hash, coalesce(s.benefit_year, extract(year FROM s.day)::smallint), min(p.day)
               FROM person_key k JOIN settlement s ON s.person_id = k.person_id AND s.state <> 'reversed'
               JOIN posting p ON p.person_id = s.person_id AND p.settlement_id = s.settlement_id
               WHERE k.keyed_hash = ANY($1) AND k.kind = $2 AND k.key_version = $3 GROUP BY 1, 2";
    let hashes: Vec<&[u8]> = hashes.iter().map(|hash| &hash[..]).collect();
    let prepared = client.prepare_cached(sql).await?;
    let rows = client.query(&prepared, &[&hashes, &(BY_ID_NUMBER as i16), &(KEY_VERSION as i16)]).await?;
    let first = |row: &Row| {
        let hash = row.get::<_, &[u8]>(0).try_into().map_err(|_| damaged("a hash"))?;
        let Day(day) = row.get(2);
        Ok((hash, row.get(1), day.ok_or_else(|| damaged("a date"))?))
    };
    rows.iter().map(first).collect()
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
    as_of: Day,
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
                as_of: Day(Some(row.as_of)),
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
        let days: Vec<Day> = rows().map(|(_, row)| row.as_of).collect();
        // Files older than the one that counts until this one does are never looked at again.
        let sql = "DELETE FROM opening o USING (
                     SELECT c.person_id, c.year, max(c.generation) AS generation FROM opening c
                     JOIN generation g ON g.generation = c.generation
                     WHERE c.person_id = ANY($1) AND g.visible_at IS NOT NULL GROUP BY c.person_id, c.year
                   ) AS counts, unnest($1::uuid[], $2::smallint[]) AS row (person_id, year)
                   WHERE o.person_id = counts.person_id AND o.year = counts.year
                     AND o.generation < counts.generation AND row.person_id = o.person_id AND row.year = o.year";
        client.execute(sql, &[&people, &years]).await?;
        let sql = "INSERT INTO opening (person_id, year, generation, payer, base, paid, admissions, as_of)
                   SELECT person_id, year, $1::bigint, payer, base::numeric, paid, admissions, as_of
                   FROM unnest($2::uuid[], $3::smallint[], $4::text[], $5::text[], $6::bigint[], $7::integer[],
                     $8::date[]) AS row (person_id, year, payer, base, paid, admissions, as_of)";
        let given: [&(dyn tokio_postgres::types::ToSql + Sync); 8] =
            [&self.generation, &people, &years, &payers, &bases, &paid, &admissions, &days];
        client.execute(sql, &given).await?;
        Ok(())
    }
}
