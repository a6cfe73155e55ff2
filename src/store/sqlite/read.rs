//! Questions that change nothing.

use jiff::civil::Date;
use rusqlite::{Connection, OptionalExtension as _, params};
use uuid::Uuid;

use super::super::documents::BillId;
use super::super::items::{ItemRow, StoredItems};
use super::super::person::{Person, damaged};
use super::super::seen::Seen;
use super::super::vault::Vault;
use super::super::{CatalogueItem, PersonFacts, PersonRef, StayRef, StoreError, StoredSettlement};
use super::{person, seen};
use crate::catalogue::scopes_of;

pub(super) fn person(
    connection: &Connection,
    vault: &Vault,
    references: &[PersonRef],
) -> Result<Option<PersonFacts>, StoreError> {
    let references = seen::references(connection, vault, references)?;
    let people = seen::people(connection, references.iter().filter_map(|(_, holder)| *holder))?;
    let seen = Seen { stay: None, references, people, posted: Vec::new() };
    let named = seen.named();
    let Some(row) = named.person.and_then(|id| seen.row(id)) else { return Ok(None) };
    let data_key = Person::open(&vault.key, row)?.data_key;
    row.facts(&data_key, named.is_ambiguous).map(Some)
}

/// A settlement with one version of its bill; absent: the newest.
pub(super) fn settlement(
    connection: &Connection,
    vault: &Vault,
    id: Uuid,
    version: Option<u32>,
) -> Result<Option<StoredSettlement>, StoreError> {
    let sql = "SELECT t.person_id, t.hospital, b.version, b.document, t.earlier_reversed, t.stay_id
               FROM settlement t
               JOIN bill b ON b.person_id = t.person_id AND b.settlement_id = t.settlement_id
                 AND b.version = coalesce(?2, t.version)
               WHERE t.settlement_id = ?1";
    let mut select = connection.prepare_cached(sql)?;
    let mut rows = select.query(params![id.into_bytes(), version])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let owner = person::load(connection, &vault.key, Uuid::from_bytes(row.get(0)?))?;
    let (hospital, sealed): (String, Vec<u8>) = (row.get(1)?, row.get(3)?);
    let bill = BillId { settlement: id, version: row.get(2)? };
    let Some(stay) = seen::stay(connection, vault, &StayRef::Stay(Uuid::from_bytes(row.get(5)?)))? else {
        return Ok(None);
    };
    Ok(Some(StoredSettlement {
        settlement_id: id,
        hospital: hospital.into(),
        bill: bill.open(&owner.data_key, &sealed)?,
        stay,
        earlier_reversed: row.get(4)?,
    }))
}

pub(super) fn items(
    connection: &Connection,
    hospital: &str,
    region: &str,
    on: Date,
    codes: &[String],
) -> Result<Vec<Option<CatalogueItem>>, StoreError> {
    let scopes = known_scopes(connection, hospital, region)?;
    let scopes: Vec<&str> = scopes.iter().map(String::as_str).collect();
    Ok(stored_items(connection, &scopes, codes)?.chosen(codes, &scopes, on))
}

/// The scopes that may speak for the hospital and that any visible file knows; two or three at most.
fn known_scopes(connection: &Connection, hospital: &str, region: &str) -> Result<Vec<String>, StoreError> {
    let sql = "SELECT j.value FROM json_each(?1) j WHERE EXISTS
                 (SELECT 1 FROM catalogue_scope s JOIN generation g ON g.generation = s.generation
                  WHERE s.scope = j.value AND g.visible_at IS NOT NULL)
               ORDER BY j.key";
    let mut select = connection.prepare_cached(sql)?;
    let known = select.query_map([json(&scopes_of(hospital, region))?], |row| row.get(0))?;
    Ok(known.collect::<Result<_, _>>()?)
}

fn json<T: serde::Serialize>(list: &[T]) -> Result<String, StoreError> {
    serde_json::to_string(list).map_err(|why| StoreError::Defect(why.to_string()))
}

/// All that visible files say of the codes.
fn stored_items(
    connection: &Connection,
    scopes: &[&str],
    codes: &[String],
) -> Result<StoredItems, StoreError> {
    let sql = "SELECT c.code, c.scope, c.generation, c.first_day, c.last_day, c.name, c.class, c.category,
                 c.upfront_ratio, c.ceiling
               FROM json_each(?1) j CROSS JOIN json_each(?2) k
               CROSS JOIN catalogue c ON c.code = j.value AND c.scope = k.value
               JOIN generation g ON g.generation = c.generation WHERE g.visible_at IS NOT NULL";
    let mut select = connection.prepare_cached(sql)?;
    let mut rows = select.query([json(codes)?, json(scopes)?])?;
    let mut stored = StoredItems::default();
    while let Some(row) = rows.next()? {
        let text = |column: usize| -> Result<Option<&str>, StoreError> {
            Ok(row.get_ref(column)?.as_str_or_null()?)
        };
        let day = |column: usize| -> Result<Option<Date>, StoreError> {
            text(column)?.map(|day| day.parse().map_err(|_| damaged("a date"))).transpose()
        };
        stored.add(&ItemRow {
            code: row.get_ref(0)?.as_str()?,
            scope: row.get_ref(1)?.as_str()?,
            generation: row.get(2)?,
            from: day(3)?.ok_or_else(|| damaged("a date"))?,
            to: day(4)?,
            name: row.get_ref(5)?.as_str()?,
            class: text(6)?,
            category: text(7)?,
            upfront_ratio: text(8)?,
            ceiling: text(9)?,
        })?;
    }
    Ok(stored)
}

/// The newest generation number, of any register.
pub(super) fn newest_generation(connection: &Connection) -> Result<i64, StoreError> {
    let newest: Option<Option<i64>> = connection
        .prepare_cached("SELECT max(generation) FROM generation")?
        .query_row([], |row| row.get(0))
        .optional()?;
    Ok(newest.flatten().unwrap_or_default())
}
