//! People in the tables: who a reference names, and all that stands of a person.

use std::collections::BTreeMap;

use jiff::civil::Date;
use rusqlite::{Connection, OptionalExtension as _, params};
use uuid::Uuid;
use yizhan_contract::Accumulators;
use yizhan_contract::person::RosterEntry;

use super::super::StoreError;
use super::super::person::{
    Hashed, KEY_VERSION, Person, PersonRow, RosterRow, damaged, read_entitlements, used,
};
use super::super::seal::Key;
use crate::roster::history;

pub(super) fn holder(connection: &Connection, one: &Hashed) -> Result<Option<Uuid>, StoreError> {
    let sql = "SELECT person_id FROM person_key WHERE kind = ?1 AND keyed_hash = ?2 AND key_version = ?3";
    let mut select = connection.prepare_cached(sql)?;
    let found = select.query_row(params![one.kind, one.hash, KEY_VERSION], |row| row.get(0));
    Ok(found.optional()?.map(Uuid::from_bytes))
}

/// Enters a reference; false where it names somebody already.
pub(super) fn enter(
    connection: &Connection,
    kind: i64,
    hash: &[u8; 16],
    person: Uuid,
    reference: &[u8],
) -> Result<bool, StoreError> {
    let sql = "INSERT INTO person_key (kind, keyed_hash, key_version, person_id, reference)
               VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING";
    let mut insert = connection.prepare_cached(sql)?;
    Ok(insert.execute(params![kind, hash, KEY_VERSION, person.into_bytes(), reference])? == 1)
}

pub(super) fn insert(
    connection: &Connection,
    person: Uuid,
    wrapped: &[u8],
    has_id: bool,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO person (person_id, wrapped_key, has_id_number) VALUES (?1, ?2, ?3)";
    connection.prepare_cached(sql)?.execute(params![person.into_bytes(), wrapped, has_id])?;
    Ok(())
}

/// Who the person is and how to seal for them, without what they have.
fn bare(connection: &Connection, person_id: Uuid) -> Result<PersonRow, StoreError> {
    let sql = "SELECT wrapped_key, has_id_number, version FROM person WHERE person_id = ?1";
    let mut select = connection.prepare_cached(sql)?;
    let found = select.query_row([person_id.into_bytes()], |row| {
        Ok(PersonRow {
            person_id,
            wrapped_key: row.get(0)?,
            has_id_number: row.get(1)?,
            version: row.get(2)?,
            roster: None,
            openings: BTreeMap::new(),
            moved: BTreeMap::new(),
            reserved: BTreeMap::new(),
            settled_number: 0,
        })
    });
    found.optional()?.ok_or_else(|| damaged("a person without a key"))
}

pub(super) fn load(connection: &Connection, key: &Key, person: Uuid) -> Result<Person, StoreError> {
    Person::open(key, &bare(connection, person)?)
}

/// All that stands of a person.
pub(super) fn row(connection: &Connection, person: Uuid) -> Result<PersonRow, StoreError> {
    let sql = "SELECT max(coalesce(max(settled_number), 0), count(settled_number)) FROM settlement WHERE person_id = ?1";
    let mut select = connection.prepare_cached(sql)?;
    Ok(PersonRow {
        roster: roster_row(connection, person)?,
        openings: openings(connection, person)?,
        moved: sums(connection, person, "person_year", "accumulator")?,
        reserved: sums(connection, person, "reserved_year", "reservation")?,
        settled_number: select.query_row([person.into_bytes()], |row| row.get(0))?,
        ..bare(connection, person)?
    })
}

/// The two tables of a pot: admissions by year, and what each payer has.
fn sums(
    connection: &Connection,
    person: Uuid,
    admissions: &str,
    used_up: &str,
) -> Result<BTreeMap<i16, Accumulators>, StoreError> {
    let mut years: BTreeMap<i16, Accumulators> = BTreeMap::new();
    let sql = format!("SELECT year, admissions FROM {admissions} WHERE person_id = ?1");
    let mut select = connection.prepare_cached(&sql)?;
    let mut rows = select.query([person.into_bytes()])?;
    while let Some(row) = rows.next()? {
        years.entry(row.get(0)?).or_default().admissions = row.get(1)?;
    }
    let sql = format!("SELECT year, payer, base, paid FROM {used_up} WHERE person_id = ?1");
    let mut select = connection.prepare_cached(&sql)?;
    let mut rows = select.query([person.into_bytes()])?;
    while let Some(row) = rows.next()? {
        let (payer, used) = used(row.get_ref(1)?.as_str()?, row.get_ref(2)?.as_str()?, row.get(3)?)?;
        years.entry(row.get(0)?).or_default().payers.insert(payer, used);
    }
    Ok(years)
}

/// Of each year, what the newest visible file states.
fn openings(connection: &Connection, person: Uuid) -> Result<BTreeMap<i16, Accumulators>, StoreError> {
    let sql = "SELECT o.year, o.generation, o.admissions, o.payer, o.base, o.paid
               FROM opening o JOIN generation g ON g.generation = o.generation
               WHERE o.person_id = ?1 AND g.visible_at IS NOT NULL ORDER BY o.year, o.generation";
    let mut years: BTreeMap<i16, (i64, Accumulators)> = BTreeMap::new();
    let mut select = connection.prepare_cached(sql)?;
    let mut rows = select.query([person.into_bytes()])?;
    while let Some(row) = rows.next()? {
        let generation: i64 = row.get(1)?;
        let year = years.entry(row.get(0)?).or_default();
        if year.0 != generation {
            *year = (generation, Accumulators { admissions: row.get(2)?, payers: BTreeMap::new() });
        }
        let (payer, used) = used(row.get_ref(3)?.as_str()?, row.get_ref(4)?.as_str()?, row.get(5)?)?;
        year.1.payers.insert(payer, used);
    }
    Ok(years.into_iter().map(|(year, (_, stated))| (year, stated)).collect())
}

pub(super) fn roster_row(connection: &Connection, person: Uuid) -> Result<Option<RosterRow>, StoreError> {
    let sql = "SELECT r.generation, r.region, r.entitlements, r.name,
                 (SELECT min(later.as_of) FROM generation later WHERE later.register = 'roster'
                  AND later.is_snapshot = 1 AND later.visible_at IS NOT NULL
                  AND later.generation > r.generation)
               FROM roster r JOIN generation g ON g.generation = r.generation
               WHERE r.person_id = ?1 AND g.visible_at IS NOT NULL
               ORDER BY r.generation DESC LIMIT 1";
    let mut select = connection.prepare_cached(sql)?;
    let mut rows = select.query([person.into_bytes()])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let entitlements = read_entitlements(row.get_ref(2)?.as_str()?)?;
    let entry = RosterEntry { region: row.get(1)?, entitlements };
    let ended: Option<String> = row.get(4)?;
    let entry = match ended.map(|day| day.parse::<Date>().map_err(|_| damaged("a date"))).transpose()? {
        Some(as_of) => history::after_missing(entry, as_of),
        None => entry,
    };
    Ok(Some(RosterRow { generation: row.get(0)?, entry, name: row.get(3)? }))
}
