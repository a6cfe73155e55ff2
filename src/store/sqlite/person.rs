//! Finding a person by what a message carries, and what is known of them.

use std::collections::BTreeMap;

use jiff::civil::Date;
use rusqlite::{Connection, OptionalExtension as _, params};
use uuid::Uuid;
use yizhan_contract::person::{Entitlement, EntitlementKind, RosterEntry};
use yizhan_contract::{Accumulators, Exact, Money, PayerCode, Personal, Used};

use super::super::seal::{DataKey, Key, Place};
use super::super::{PersonFacts, PersonRef, StoreError};
use super::damaged;
use crate::roster::history;

/// Version of the key that look-up hashes are made with; a change of key rewrites `person_key`.
const KEY_VERSION: i64 = 1;
pub(super) const BY_ID_NUMBER: i64 = 1;
const BY_MRN: i64 = 2;

/// A reference as the look-up table holds it.
#[derive(Clone)]
pub(super) struct Hashed {
    pub(super) kind: i64,
    pub(super) hash: [u8; 16],
    /// What was hashed, for sealing.
    clear: String,
}

impl Hashed {
    pub(super) fn new(key: &Key, reference: &PersonRef) -> Self {
        match reference {
            PersonRef::IdNumber(number) => Self::id_number(key, number.reveal().as_str()),
            PersonRef::Mrn { hospital, mrn } => Self {
                kind: BY_MRN,
                hash: key.look_up("mrn", &[hospital.as_bytes(), mrn.reveal().as_bytes()]),
                clear: format!("{hospital}\u{1f}{}", mrn.reveal()),
            },
        }
    }

    pub(super) fn id_number(key: &Key, number: &str) -> Self {
        Self::of_id_number(key.look_up("id_number", &[number.as_bytes()]), number)
    }

    /// A number whose hash is at hand.
    pub(super) fn of_id_number(hash: [u8; 16], number: &str) -> Self {
        Self { kind: BY_ID_NUMBER, hash, clear: number.to_owned() }
    }

    pub(super) fn holder(&self, connection: &Connection) -> Result<Option<Uuid>, StoreError> {
        let sql = "SELECT person_id FROM person_key WHERE kind = ?1 AND keyed_hash = ?2 AND key_version = ?3";
        let mut select = connection.prepare_cached(sql)?;
        let found = select.query_row(params![self.kind, self.hash, KEY_VERSION], |row| row.get(0));
        Ok(found.optional()?.map(Uuid::from_bytes))
    }

    /// The reference itself, sealed for its holder.
    pub(super) fn sealed(&self, data_key: &DataKey) -> Result<Vec<u8>, StoreError> {
        let place = Place { table: "person_key", column: "reference", row: &self.hash };
        Ok(data_key.seal(place, self.clear.as_bytes())?)
    }
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

/// A person as a step deals with them.
pub(super) struct Person {
    pub(super) id: Uuid,
    pub(super) data_key: DataKey,
    /// Present until the person has a row.
    pub(super) new_key: Option<Vec<u8>>,
    has_id_number: bool,
}

impl Person {
    pub(super) fn new(key: &Key, id: Uuid) -> Result<Self, StoreError> {
        let (data_key, wrapped) = key.new_data_key(id)?;
        Ok(Self { id, data_key, new_key: Some(wrapped), has_id_number: false })
    }

    pub(super) fn load(connection: &Connection, key: &Key, id: Uuid) -> Result<Self, StoreError> {
        let sql = "SELECT wrapped_key, has_id_number FROM person WHERE person_id = ?1";
        let mut select = connection.prepare_cached(sql)?;
        let found: Option<(Vec<u8>, bool)> =
            select.query_row([id.into_bytes()], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        let (wrapped, has_id_number) = found.ok_or_else(|| damaged("a person without a key"))?;
        let data_key = key.unwrap_data_key(id, &wrapped)?;
        Ok(Self { id, data_key, new_key: None, has_id_number })
    }

    /// Writes the person where new, and enters references that nobody had.
    pub(super) fn keep(&mut self, connection: &Connection, unknown: &[Hashed]) -> Result<(), StoreError> {
        let gains_id_number = unknown.iter().any(|one| one.kind == BY_ID_NUMBER);
        if let Some(wrapped) = self.new_key.take() {
            insert(connection, self.id, &wrapped, gains_id_number)?;
        } else if gains_id_number && !self.has_id_number {
            let sql = "UPDATE person SET has_id_number = 1 WHERE person_id = ?1";
            connection.prepare_cached(sql)?.execute([self.id.into_bytes()])?;
        }
        for one in unknown {
            enter(connection, one.kind, &one.hash, self.id, &one.sealed(&self.data_key)?)?;
        }
        Ok(())
    }

    /// Makes a reference name this person from now on, whomever it named before.
    pub(super) fn take_over(&self, connection: &Connection, one: &Hashed) -> Result<(), StoreError> {
        let sql = "INSERT INTO person_key (kind, keyed_hash, key_version, person_id, reference)
                   VALUES (?1, ?2, ?3, ?4, ?5)
                   ON CONFLICT DO UPDATE SET person_id = excluded.person_id, reference = excluded.reference";
        connection.prepare_cached(sql)?.execute(params![
            one.kind,
            one.hash,
            KEY_VERSION,
            self.id.into_bytes(),
            one.sealed(&self.data_key)?
        ])?;
        if one.kind == BY_ID_NUMBER {
            let sql = "UPDATE person SET has_id_number = 1 WHERE person_id = ?1";
            connection.prepare_cached(sql)?.execute([self.id.into_bytes()])?;
        }
        Ok(())
    }
}

/// Every reference of one person names another from now on.
pub(super) fn move_references(connection: &Connection, from: &Person, to: &Person) -> Result<(), StoreError> {
    let sql = "SELECT kind, keyed_hash, key_version, reference FROM person_key WHERE person_id = ?1";
    let mut select = connection.prepare_cached(sql)?;
    let rows = select
        .query_map([from.id.into_bytes()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
    let references: Vec<(i64, [u8; 16], i64, Vec<u8>)> = rows.collect::<Result<_, _>>()?;
    for (kind, hash, version, sealed) in references {
        let place = Place { table: "person_key", column: "reference", row: &hash };
        let clear = from.data_key.open(place, &sealed)?;
        let sql = "UPDATE person_key SET person_id = ?1, reference = ?2
                   WHERE kind = ?3 AND keyed_hash = ?4 AND key_version = ?5";
        let sealed = to.data_key.seal(place, &clear)?;
        connection.prepare_cached(sql)?.execute(params![to.id.into_bytes(), sealed, kind, hash, version])?;
    }
    if from.has_id_number && !to.has_id_number {
        return Err(StoreError::Defect("a person with a card was joined to one without".to_owned()));
    }
    Ok(())
}

/// Whom a message's references name.
pub(super) struct Named {
    /// Absent: a person nobody has seen yet.
    pub(super) person: Option<Person>,
    pub(super) unknown: Vec<Hashed>,
    /// Whom the references name beside that person, each once.
    pub(super) others: Vec<Uuid>,
    pub(super) is_ambiguous: bool,
}

/// The strongest reference that names somebody decides. A weaker one may not lend its holder to an
/// identity card number that is new: a hospital may give a patient number twice, a card number is one
/// person's for good.
pub(super) fn named(
    connection: &Connection,
    key: &Key,
    references: &[PersonRef],
) -> Result<Named, StoreError> {
    let mut unknown = Vec::new();
    let mut holders: Vec<Uuid> = Vec::new();
    for reference in references {
        let hashed = Hashed::new(key, reference);
        match hashed.holder(connection)? {
            Some(holder) if holders.contains(&holder) => {}
            Some(holder) => holders.push(holder),
            None => unknown.push(hashed),
        }
    }
    let is_ambiguous = holders.len() > 1;
    let person = holders.first().map(|id| Person::load(connection, key, *id)).transpose()?;
    let has_new_number = unknown.iter().any(|one| one.kind == BY_ID_NUMBER);
    match person {
        Some(person) if has_new_number && person.has_id_number => {
            Ok(Named { person: None, unknown, others: holders, is_ambiguous: true })
        }
        person => {
            let others = holders.into_iter().skip(1).collect();
            Ok(Named { person, unknown, others, is_ambiguous })
        }
    }
}

/// What is known of a person, and the part of it that settlements here have moved.
pub(super) struct Known {
    pub(super) facts: PersonFacts,
    pub(super) moved: BTreeMap<i16, Accumulators>,
}

pub(super) fn nothing_known(person_id: Uuid, is_ambiguous: bool) -> Known {
    let facts = PersonFacts {
        person_id,
        is_ambiguous,
        is_known: false,
        has_id_number: false,
        roster_name: None,
        roster: None,
        years: BTreeMap::new(),
    };
    Known { facts, moved: BTreeMap::new() }
}

pub(super) fn known(
    connection: &Connection,
    person: &Person,
    is_ambiguous: bool,
) -> Result<Known, StoreError> {
    let mut known = nothing_known(person.id, is_ambiguous);
    known.facts.is_known = true;
    known.facts.has_id_number = person.has_id_number;
    if let Some((name, entry)) = roster(connection, person)? {
        known.facts.roster_name = Some(name);
        known.facts.roster = Some(entry);
    }
    known.moved = moved(connection, person.id)?;
    known.facts.years = openings(connection, person.id)?;
    for (year, moved) in &known.moved {
        let sum = known.facts.years.entry(*year).or_default();
        sum.admissions = sum.admissions.saturating_add(moved.admissions);
        for (payer, used) in &moved.payers {
            let before = sum.of(payer);
            let base = before.base.plus(used.base).map_err(|why| damaged(&why.to_string()))?;
            sum.payers.insert(payer.clone(), Used { base, paid: before.paid + used.paid });
        }
    }
    Ok(known)
}

pub(super) fn moved(
    connection: &Connection,
    person: Uuid,
) -> Result<BTreeMap<i16, Accumulators>, StoreError> {
    let mut years: BTreeMap<i16, Accumulators> = BTreeMap::new();
    let sql = "SELECT year, admissions FROM person_year WHERE person_id = ?1";
    let mut select = connection.prepare_cached(sql)?;
    let mut rows = select.query([person.into_bytes()])?;
    while let Some(row) = rows.next()? {
        years.entry(row.get(0)?).or_default().admissions = row.get(1)?;
    }
    let sql = "SELECT year, payer, base, paid FROM accumulator WHERE person_id = ?1";
    let mut select = connection.prepare_cached(sql)?;
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

fn used(payer: &str, base: &str, paid: i64) -> Result<(PayerCode, Used), StoreError> {
    let payer = payer.parse().map_err(|_| damaged("a payer's code"))?;
    let base: Exact = base.parse().map_err(|_| damaged("an accumulated base"))?;
    Ok((payer, Used { base, paid: Money::from_fen(paid) }))
}

pub(super) fn name_place(row: &[u8]) -> Place<'_> {
    Place { table: "roster", column: "name", row }
}

/// Binds a roster name to its person and file.
pub(super) fn name_row(person: Uuid, generation: i64) -> [u8; 24] {
    let mut row = [0; 24];
    row[..16].copy_from_slice(person.as_bytes());
    row[16..].copy_from_slice(&generation.to_be_bytes());
    row
}

/// The person's newest visible entry, ended where a later snapshot left the person out.
fn roster(
    connection: &Connection,
    person: &Person,
) -> Result<Option<(Personal<String>, RosterEntry)>, StoreError> {
    let Some(row) = roster_row(connection, person.id)? else { return Ok(None) };
    let place = name_row(person.id, row.generation);
    let name = String::from_utf8(person.data_key.open(name_place(&place), &row.name)?)
        .map_err(|_| damaged("a name"))?;
    Ok(Some((Personal::new(name), row.entry)))
}

pub(super) struct RosterRow {
    pub(super) generation: i64,
    pub(super) entry: RosterEntry,
    name: Vec<u8>,
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

type Written = (EntitlementKind, String, Date, Option<Date>);

pub(super) fn write_entitlements(entitlements: &[Entitlement]) -> Result<String, StoreError> {
    let written: Vec<_> = entitlements.iter().map(|one| (one.kind, &one.code, one.from, one.to)).collect();
    serde_json::to_string(&written).map_err(|why| StoreError::Defect(why.to_string()))
}

fn read_entitlements(text: &str) -> Result<Vec<Entitlement>, StoreError> {
    let written: Vec<Written> = serde_json::from_str(text).map_err(|_| damaged("a roster entry"))?;
    Ok(written.into_iter().map(|(kind, code, from, to)| Entitlement { kind, code, from, to }).collect())
}
