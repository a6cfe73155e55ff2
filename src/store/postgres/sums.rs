//! Writing what a person has used up and set aside of a year.

use uuid::Uuid;

use super::super::sums::{SumRows, UsedRow};
use super::pipeline::{Batch, given};

pub(super) fn write(batch: &mut Batch<'_>, owner: Uuid, sums: &SumRows) {
    if !sums.years.is_empty() {
        let sql = "INSERT INTO person_year (person_id, year, admissions)
                   SELECT $1::uuid, * FROM unnest($2::smallint[], $3::integer[])
                   ON CONFLICT (person_id, year) DO UPDATE SET admissions = excluded.admissions";
        let years: Vec<i16> = sums.years.iter().map(|(year, _)| *year).collect();
        let admissions: Vec<i32> = sums.years.iter().map(|(_, admissions)| *admissions as i32).collect();
        batch.add(sql, given![owner, years, admissions]);
    }
    if !sums.used.is_empty() {
        let sql = "INSERT INTO accumulator (person_id, year, payer, base, paid)
                   SELECT $1::uuid, year, payer, base::numeric, paid
                   FROM unnest($2::smallint[], $3::text[], $4::text[], $5::bigint[])
                     AS sum (year, payer, base, paid)
                   ON CONFLICT (person_id, year, payer)
                   DO UPDATE SET base = excluded.base, paid = excluded.paid";
        let Columns { years, payers, bases, paid } = Columns::of(&sums.used.iter().collect::<Vec<_>>());
        batch.add(sql, given![owner, years, payers, bases, paid]);
    }
}

/// A row of nothing goes: most people have nothing set aside, and a look at them costs as little.
pub(super) fn write_reserved(batch: &mut Batch<'_>, owner: Uuid, sums: &SumRows) {
    let (gone, years): (Vec<_>, Vec<_>) =
        sums.years.iter().copied().partition(|(_, admissions)| *admissions == 0);
    if !gone.is_empty() {
        let gone: Vec<i16> = gone.into_iter().map(|(year, _)| year).collect();
        batch.add("DELETE FROM reserved_year WHERE person_id = $1 AND year = ANY($2)", given![owner, gone]);
    }
    if !years.is_empty() {
        let sql = "INSERT INTO reserved_year (person_id, year, admissions)
                   SELECT $1::uuid, * FROM unnest($2::smallint[], $3::integer[])
                   ON CONFLICT (person_id, year) DO UPDATE SET admissions = excluded.admissions";
        let (years, admissions): (Vec<i16>, Vec<i32>) =
            years.into_iter().map(|(year, admissions)| (year, admissions as i32)).unzip();
        batch.add(sql, given![owner, years, admissions]);
    }
    let is_nothing = |sum: &&UsedRow| sum.base.is_zero() && sum.paid_fen == 0;
    let (gone, used): (Vec<&UsedRow>, Vec<&UsedRow>) = sums.used.iter().partition(is_nothing);
    if !gone.is_empty() {
        let sql = "DELETE FROM reservation USING unnest($2::smallint[], $3::text[]) AS gone (year, payer)
                   WHERE reservation.person_id = $1 AND reservation.year = gone.year
                     AND reservation.payer = gone.payer";
        let Columns { years, payers, .. } = Columns::of(&gone);
        batch.add(sql, given![owner, years, payers]);
    }
    if !used.is_empty() {
        let sql = "INSERT INTO reservation (person_id, year, payer, base, paid)
                   SELECT $1::uuid, year, payer, base::numeric, paid
                   FROM unnest($2::smallint[], $3::text[], $4::text[], $5::bigint[])
                     AS sum (year, payer, base, paid)
                   ON CONFLICT (person_id, year, payer)
                   DO UPDATE SET base = excluded.base, paid = excluded.paid";
        let Columns { years, payers, bases, paid } = Columns::of(&used);
        batch.add(sql, given![owner, years, payers, bases, paid]);
    }
}

/// Sums, column by column.
struct Columns {
    years: Vec<i16>,
    payers: Vec<String>,
    bases: Vec<String>,
    paid: Vec<i64>,
}

impl Columns {
    fn of(sums: &[&UsedRow]) -> Self {
        Self {
            years: sums.iter().map(|sum| sum.year).collect(),
            payers: sums.iter().map(|sum| sum.payer.as_str().to_owned()).collect(),
            bases: sums.iter().map(|sum| sum.base.to_string()).collect(),
            paid: sums.iter().map(|sum| sum.paid_fen).collect(),
        }
    }
}
