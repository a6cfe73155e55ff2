//! Questions that change nothing.

use jiff::civil::Date;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use uuid::Uuid;
use yizhan_contract::stay::CatalogueClass;

use super::super::documents::BillId;
use super::super::person::{Person, damaged};
use super::super::seen::Seen;
use super::super::vault::Vault;
use super::super::{CatalogueItem, PersonFacts, PersonRef, StayRef, StoreError, StoredSettlement};
use super::{person, seen};
use crate::catalogue::{Candidate, in_force, scopes_of};

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
    codes: Vec<String>,
) -> Result<Vec<Option<CatalogueItem>>, StoreError> {
    let scopes = known_scopes(connection, hospital, region)?;
    let scopes: Vec<&str> = scopes.iter().map(String::as_str).collect();
    codes.into_iter().map(|code| item(connection, &scopes, on, code)).collect()
}

/// The scopes that may speak for the hospital and that any visible file knows; two or three at most.
fn known_scopes(connection: &Connection, hospital: &str, region: &str) -> Result<Vec<String>, StoreError> {
    let sql = "SELECT 1 FROM catalogue_scope s JOIN generation g ON g.generation = s.generation
               WHERE s.scope = ?1 AND g.visible_at IS NOT NULL LIMIT 1";
    let mut select = connection.prepare_cached(sql)?;
    let mut known = Vec::new();
    for scope in scopes_of(hospital, region) {
        if select.exists([scope])? {
            known.push(scope.to_owned());
        }
    }
    Ok(known)
}

struct StoredItem {
    scope: String,
    generation: i64,
    from: Date,
    to: Option<Date>,
    item: CatalogueItem,
}

fn item(
    connection: &Connection,
    scopes: &[&str],
    on: Date,
    code: String,
) -> Result<Option<CatalogueItem>, StoreError> {
    let sql = "SELECT c.generation, c.first_day, c.last_day, c.name, c.class, c.category, c.upfront_ratio,
                 c.ceiling FROM catalogue c JOIN generation g ON g.generation = c.generation
               WHERE c.code = ?1 AND c.scope = ?2 AND g.visible_at IS NOT NULL";
    let mut select = connection.prepare_cached(sql)?;
    let mut stored = Vec::new();
    for scope in scopes {
        let mut rows = select.query([code.as_str(), scope])?;
        while let Some(row) = rows.next()? {
            stored.push(stored_item(row, scope, &code)?);
        }
    }
    let candidates: Vec<_> = stored
        .iter()
        .map(|one| Candidate { scope: &one.scope, generation: one.generation, from: one.from, to: one.to })
        .collect();
    let chosen = in_force(scopes, &candidates, on);
    Ok(chosen.map(|at| stored.swap_remove(at).item))
}

fn stored_item(row: &Row<'_>, scope: &str, code: &str) -> Result<StoredItem, StoreError> {
    fn read<T: std::str::FromStr>(row: &Row<'_>, column: usize) -> Result<Option<T>, StoreError> {
        let text: Option<String> = row.get(column)?;
        text.map(|text| text.parse().map_err(|_| damaged("a catalogue item"))).transpose()
    }
    let class: Option<String> = row.get(4)?;
    let class = class.map(|word| CatalogueClass::from_word(&word).ok_or_else(|| damaged("a class")));
    Ok(StoredItem {
        scope: scope.to_owned(),
        generation: row.get(0)?,
        from: read(row, 1)?.ok_or_else(|| damaged("a date"))?,
        to: read(row, 2)?,
        item: CatalogueItem {
            code: code.to_owned(),
            name: row.get(3)?,
            class: class.transpose()?,
            category: row.get(5)?,
            upfront_ratio: read(row, 6)?,
            ceiling: read(row, 7)?,
        },
    })
}

/// The newest generation number, of any register.
pub(super) fn newest_generation(connection: &Connection) -> Result<i64, StoreError> {
    let newest: Option<Option<i64>> = connection
        .prepare_cached("SELECT max(generation) FROM generation")?
        .query_row([], |row| row.get(0))
        .optional()?;
    Ok(newest.flatten().unwrap_or_default())
}
