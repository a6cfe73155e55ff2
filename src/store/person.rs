//! People as a store knows them: references by keyed hash only, a data key each, names sealed.

use std::collections::BTreeMap;

use jiff::civil::Date;
use uuid::Uuid;
use yizhan_contract::person::{Entitlement, EntitlementKind, RosterEntry};
use yizhan_contract::{Accumulators, Exact, Money, PayerCode, Personal, Used};

use super::seal::{DataKey, Key, Place};
use super::{PersonFacts, PersonRef, StoreError};

/// Version of the key that look-up hashes are made with; a change of key rewrites `person_key`.
pub(super) const KEY_VERSION: i64 = 1;
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

    pub(super) fn names_the_same(&self, other: &Self) -> bool {
        (self.kind, self.hash) == (other.kind, other.hash)
    }

    /// The reference itself, sealed for its holder.
    pub(super) fn sealed(&self, holder: &DataKey) -> Result<Vec<u8>, StoreError> {
        Ok(holder.seal(reference_place(&self.hash), self.clear.as_bytes())?)
    }
}

pub(super) fn reference_place(hash: &[u8]) -> Place<'_> {
    Place { table: "person_key", column: "reference", row: hash }
}

/// A person as a step deals with them.
pub(super) struct Person {
    pub(super) id: Uuid,
    pub(super) data_key: DataKey,
    /// Present until the person has a row.
    pub(super) new_key: Option<Vec<u8>>,
    pub(super) has_id_number: bool,
}

impl Person {
    pub(super) fn new(key: &Key, id: Uuid) -> Result<Self, StoreError> {
        let (data_key, wrapped) = key.new_data_key(id)?;
        Ok(Self { id, data_key, new_key: Some(wrapped), has_id_number: false })
    }

    pub(super) fn open(key: &Key, row: &PersonRow) -> Result<Self, StoreError> {
        let data_key = key.unwrap_data_key(row.person_id, &row.wrapped_key)?;
        Ok(Self { id: row.person_id, data_key, new_key: None, has_id_number: row.has_id_number })
    }
}

/// All that stands in the store of a person, at one moment.
pub(super) struct PersonRow {
    pub(super) person_id: Uuid,
    /// Counts the writes that touched the person.
    pub(super) version: i64,
    pub(super) wrapped_key: Vec<u8>,
    pub(super) has_id_number: bool,
    pub(super) roster: Option<RosterRow>,
    /// Of each year, what the newest visible file states.
    pub(super) openings: BTreeMap<i16, Accumulators>,
    /// What settlements here have used up since.
    pub(super) moved: BTreeMap<i16, Accumulators>,
    /// What settlements in flight have set aside.
    pub(super) reserved: BTreeMap<i16, Accumulators>,
    /// The number of the newest settlement among those of the person.
    pub(super) settled_number: u32,
}

/// The person's newest visible entry, ended where a later snapshot left the person out.
pub(super) struct RosterRow {
    pub(super) generation: i64,
    pub(super) entry: RosterEntry,
    /// Sealed.
    pub(super) name: Vec<u8>,
}

impl PersonRow {
    /// What a decision may know of the person.
    pub(super) fn facts(&self, data_key: &DataKey, is_ambiguous: bool) -> Result<PersonFacts, StoreError> {
        let mut facts = nothing_known(self.person_id, is_ambiguous);
        facts.is_known = true;
        facts.has_id_number = self.has_id_number;
        if let Some(row) = &self.roster {
            let place = name_row(self.person_id, row.generation);
            let name = String::from_utf8(data_key.open(name_place(&place), &row.name)?);
            facts.roster_name = Some(Personal::new(name.map_err(|_| damaged("a name"))?));
            facts.roster = Some(row.entry.clone());
        }
        facts.reserved.clone_from(&self.reserved);
        facts.years.clone_from(&self.openings);
        for (year, moved) in &self.moved {
            let sum = facts.years.entry(*year).or_default();
            sum.admissions = sum.admissions.saturating_add(moved.admissions);
            for (payer, used) in &moved.payers {
                let before = sum.of(payer);
                let base = before.base.plus(used.base).map_err(|why| damaged(&why.to_string()))?;
                sum.payers.insert(payer.clone(), Used { base, paid: before.paid + used.paid });
            }
        }
        Ok(facts)
    }
}

pub(super) fn nothing_known(person_id: Uuid, is_ambiguous: bool) -> PersonFacts {
    PersonFacts {
        person_id,
        is_ambiguous,
        is_known: false,
        has_id_number: false,
        roster_name: None,
        roster: None,
        years: BTreeMap::new(),
        reserved: BTreeMap::new(),
    }
}

/// A sum as tables hold it.
pub(super) fn used(payer: &str, base: &str, paid: i64) -> Result<(PayerCode, Used), StoreError> {
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

type Written = (EntitlementKind, String, Date, Option<Date>);

pub(super) fn write_entitlements(entitlements: &[Entitlement]) -> Result<String, StoreError> {
    let written: Vec<_> = entitlements.iter().map(|one| (one.kind, &one.code, one.from, one.to)).collect();
    serde_json::to_string(&written).map_err(|why| StoreError::Defect(why.to_string()))
}

pub(super) fn read_entitlements(text: &str) -> Result<Vec<Entitlement>, StoreError> {
    let written: Vec<Written> = serde_json::from_str(text).map_err(|_| damaged("a roster entry"))?;
    Ok(written.into_iter().map(|(kind, code, from, to)| Entitlement { kind, code, from, to }).collect())
}

pub(super) fn damaged(what: &str) -> StoreError {
    StoreError::Damaged(what.to_owned())
}
