//! People in the tables: all that stands of each, for any number of them at once.

use std::collections::{BTreeMap, HashMap};

use tokio_postgres::Row;
use uuid::Uuid;
use yizhan_contract::Accumulators;
use yizhan_contract::person::RosterEntry;

use super::super::StoreError;
use super::super::person::{PersonRow, RosterRow, damaged, read_entitlements, used};
use super::pipeline::{Batch, given};
use super::values::Day;
use crate::roster::history;

/// Statements that read people, in the order [`rows`] takes their answers. The version comes first: where it
/// is the same afterwards, all that was read in between is of one moment.
pub(super) const STATEMENTS: usize = 3;

const WHO: &str = "SELECT p.person_id, p.version, p.wrapped_key, p.has_id_number,
      (SELECT greatest(max(s.settled_number), count(s.settled_number)::integer)
       FROM settlement s WHERE s.person_id = p.person_id)
    FROM person p WHERE p.person_id = ANY($1)";

const ROSTER: &str =
    "SELECT DISTINCT ON (r.person_id) r.person_id, r.generation, r.region, r.entitlements, r.name,
      (SELECT min(later.as_of) FROM generation later WHERE later.register = 'roster'
       AND later.is_snapshot AND later.visible_at IS NOT NULL AND later.generation > r.generation)
    FROM roster r JOIN generation g ON g.generation = r.generation
    WHERE r.person_id = ANY($1) AND g.visible_at IS NOT NULL
    ORDER BY r.person_id, r.generation DESC";

/// Sums of every kind, each row with what it is. Openings come in the order of files.
const SUMS: &str =
    "SELECT 'year', person_id, year, 0::bigint, admissions, '', '0', 0::bigint FROM person_year
      WHERE person_id = ANY($1)
    UNION ALL
    SELECT 'used', person_id, year, 0, 0, payer, base::text, paid FROM accumulator WHERE person_id = ANY($1)
    UNION ALL
    SELECT 'reserved year', person_id, year, 0, admissions, '', '0', 0 FROM reserved_year
      WHERE person_id = ANY($1)
    UNION ALL
    SELECT 'reserved', person_id, year, 0, 0, payer, base::text, paid FROM reservation
      WHERE person_id = ANY($1)
    UNION ALL
    SELECT 'opening', o.person_id, o.year, o.generation, o.admissions, o.payer, o.base::text, o.paid
      FROM opening o JOIN generation g ON g.generation = o.generation
      WHERE o.person_id = ANY($1) AND g.visible_at IS NOT NULL
    ORDER BY 4";

pub(super) fn read<'a>(batch: &mut Batch<'a>, people: &'a [Uuid]) {
    for sql in [WHO, ROSTER, SUMS] {
        batch.add(sql, given![people]);
    }
}

/// From the answers to [`read`], one row for each person in the order of `people`.
pub(super) fn rows(people: &[Uuid], answers: &[Vec<Row>]) -> Result<Vec<PersonRow>, StoreError> {
    let [who, roster, sums] = answers else { return Err(damaged("an answer")) };
    let (who, roster) = (by_person(who, 0), by_person(roster, 0));
    let sums = by_person(sums, 1);
    let row = |person: &Uuid| {
        let found = who.get(person).and_then(|rows| rows.first());
        let found = found.ok_or_else(|| damaged("a person without a key"))?;
        let sums = sums.get(person).map_or(&[][..], Vec::as_slice);
        Ok(PersonRow {
            person_id: *person,
            version: found.get(1),
            wrapped_key: found.get(2),
            has_id_number: found.get(3),
            roster: roster
                .get(person)
                .and_then(|rows| rows.first())
                .map(|row| roster_row(row))
                .transpose()?,
            openings: openings(sums)?,
            moved: pot(sums, "year", "used")?,
            reserved: pot(sums, "reserved year", "reserved")?,
            settled_number: found.get::<_, Option<i32>>(4).unwrap_or_default().unsigned_abs(),
        })
    };
    people.iter().map(row).collect()
}

/// The rows of each person, in their order. An import reads thousands of people at once.
fn by_person(rows: &[Row], column: usize) -> HashMap<Uuid, Vec<&Row>> {
    let mut of: HashMap<Uuid, Vec<&Row>> = HashMap::new();
    for row in rows {
        of.entry(row.get(column)).or_default().push(row);
    }
    of
}

pub(super) fn roster_row(row: &Row) -> Result<RosterRow, StoreError> {
    let entitlements = read_entitlements(row.get(3))?;
    let entry = RosterEntry { region: row.get(2), entitlements };
    let entry = match row.get::<_, Option<Day>>(5) {
        Some(Day(Some(as_of))) => history::after_missing(entry, as_of),
        _ => entry,
    };
    Ok(RosterRow { generation: row.get(1), entry, name: row.get(4) })
}

/// The rows of one kind: year, file, admissions, and the rest of the row.
fn of_kind<'r>(sums: &'r [&'r Row], kind: &'r str) -> impl Iterator<Item = (i16, i64, u32, &'r Row)> {
    sums.iter().filter(move |row| row.get::<_, &str>(0) == kind).map(|row| {
        let admissions: i32 = row.get(4);
        (row.get(2), row.get(3), admissions.unsigned_abs(), *row)
    })
}

fn used_of(row: &Row) -> Result<(yizhan_contract::PayerCode, yizhan_contract::Used), StoreError> {
    used(row.get(5), row.get(6), row.get(7))
}

/// What settlements here have used up, or set aside.
fn pot(sums: &[&Row], admissions_of: &str, used_up: &str) -> Result<BTreeMap<i16, Accumulators>, StoreError> {
    let mut years: BTreeMap<i16, Accumulators> = BTreeMap::new();
    for (year, _, admissions, _) in of_kind(sums, admissions_of) {
        years.entry(year).or_default().admissions = admissions;
    }
    for (year, _, _, row) in of_kind(sums, used_up) {
        let (payer, used) = used_of(row)?;
        years.entry(year).or_default().payers.insert(payer, used);
    }
    Ok(years)
}

/// Of each year, what the newest visible file states.
fn openings(sums: &[&Row]) -> Result<BTreeMap<i16, Accumulators>, StoreError> {
    let mut years: BTreeMap<i16, (i64, Accumulators)> = BTreeMap::new();
    for (year, generation, admissions, row) in of_kind(sums, "opening") {
        let stated = years.entry(year).or_default();
        if stated.0 != generation {
            *stated = (generation, Accumulators { admissions, payers: BTreeMap::new() });
        }
        let (payer, used) = used_of(row)?;
        stated.1.payers.insert(payer, used);
    }
    Ok(years.into_iter().map(|(year, (_, stated))| (year, stated)).collect())
}
