//! Reading for a step: the message that came before, the stay, the people, and what is to be moved.

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use uuid::Uuid;

use super::super::documents::BillId;
use super::super::person::{Hashed, PersonRow};
use super::super::seen::{Earlier, FoundStay, Seen};
use super::super::vault::Vault;
use super::super::writes::{Belongings, KeptReference, KeptStay, Moving};
use super::super::{MessageClaim, PersonRef, StayRef, Step, StoreError, StoredStay};
use super::{books, lease, person};

/// What became of the same message id before.
pub(super) fn earlier(
    connection: &Connection,
    vault: &Vault,
    claim: &MessageClaim,
) -> Result<Option<Earlier>, StoreError> {
    let sql = "SELECT c.digest, c.person_id, p.wrapped_key, c.message_id, m.answer FROM message_claim c
               JOIN message m ON m.person_id = c.person_id AND m.message_id = c.message_id
               JOIN person p ON p.person_id = c.person_id
               WHERE c.keyed_hash = ?1";
    let mut select = connection.prepare_cached(sql)?;
    let found = select.query_row([vault.claim_hash(claim)], |row| {
        Ok(Earlier {
            digest: row.get(0)?,
            person_id: Uuid::from_bytes(row.get(1)?),
            wrapped_key: row.get(2)?,
            message_id: Uuid::from_bytes(row.get(3)?),
            answer: row.get(4)?,
        })
    });
    Ok(found.optional()?)
}

pub(super) fn seen(connection: &Connection, vault: &Vault, step: &Step) -> Result<Seen, StoreError> {
    let stay = find_stay(connection, vault, &step.stay)?;
    let references = references(connection, vault, &step.persons)?;
    let owner = stay.as_ref().map(|stay| stay.person_id);
    let people = people(connection, references.iter().filter_map(|(_, holder)| *holder).chain(owner))?;
    let posted = match &stay {
        Some(stay) => books::posted_for(connection, stay.person_id, stay.stay_id)?,
        None => Vec::new(),
    };
    Ok(Seen { stay, references, people, posted })
}

pub(super) fn references(
    connection: &Connection,
    vault: &Vault,
    references: &[PersonRef],
) -> Result<Vec<(Hashed, Option<Uuid>)>, StoreError> {
    let named = references.iter().map(|reference| {
        let hashed = Hashed::new(&vault.key, reference);
        let holder = person::holder(connection, &hashed)?;
        Ok((hashed, holder))
    });
    named.collect()
}

pub(super) fn people(
    connection: &Connection,
    ids: impl Iterator<Item = Uuid>,
) -> Result<Vec<PersonRow>, StoreError> {
    let mut people: Vec<PersonRow> = Vec::new();
    for id in ids {
        if people.iter().all(|row| row.person_id != id) {
            people.push(person::row(connection, id)?);
        }
    }
    Ok(people)
}

/// A stay as it is now, opened.
pub(super) fn stay(
    connection: &Connection,
    vault: &Vault,
    reference: &StayRef,
) -> Result<Option<StoredStay>, StoreError> {
    let Some(found) = find_stay(connection, vault, reference)? else { return Ok(None) };
    let owner = person::load(connection, &vault.key, found.person_id)?;
    found.open(&owner.data_key).map(Some)
}

/// The claim of a visit (`?1`) under an admission (`?2`): a stay whose admission nobody has told yet is the one that is
/// open; else the date decides, and without one the newest.
macro_rules! claim_of_visit {
    ($columns:literal) => {
        concat!(
            "SELECT ",
            $columns,
            " FROM stay_claim
             WHERE keyed_hash = ?1 AND (?2 IS NULL OR admitted IN (?2, ''))
             ORDER BY admitted = ?2 DESC, admitted = '' DESC, admitted DESC LIMIT 1"
        )
    };
}
pub(super) use claim_of_visit;

/// A stay with its newest bill, by a condition on `s`.
macro_rules! found_by {
    ($condition:literal) => {
        concat!(
            "SELECT s.person_id, s.stay_id, s.admitted, s.document, b.settlement_id, b.version, b.document,
               s.due_at, s.epoch, s.held_by
             FROM stay s
             LEFT JOIN settlement n ON n.person_id = s.person_id AND n.settlement_id = s.settlement_id
             LEFT JOIN bill b ON b.person_id = n.person_id AND b.settlement_id = n.settlement_id
               AND b.version = n.version
             WHERE ",
            $condition
        )
    };
}

fn find_stay(
    connection: &Connection,
    vault: &Vault,
    reference: &StayRef,
) -> Result<Option<FoundStay>, StoreError> {
    let found = match reference {
        StayRef::Visit { hospital, number, admitted } => {
            let sql = concat!(
                found_by!("(s.person_id, s.stay_id) = ("),
                claim_of_visit!("person_id, stay_id"),
                ")"
            );
            let admitted = admitted.map(|day| day.to_string());
            let hash = vault.visit_hash(hospital, number);
            connection.prepare_cached(sql)?.query_row(params![hash, admitted], found_stay).optional()?
        }
        StayRef::Settlement(id) => {
            let sql = found_by!(
                "(s.person_id, s.stay_id) =
                   (SELECT t.person_id, t.stay_id FROM settlement t WHERE t.settlement_id = ?1)"
            );
            connection.prepare_cached(sql)?.query_row([id.into_bytes()], found_stay).optional()?
        }
        StayRef::Stay(id) => {
            let sql = found_by!("s.stay_id = ?1");
            connection.prepare_cached(sql)?.query_row([id.into_bytes()], found_stay).optional()?
        }
    };
    Ok(found)
}

fn found_stay(row: &Row<'_>) -> rusqlite::Result<FoundStay> {
    let bill: Option<[u8; 16]> = row.get(4)?;
    let bill = bill.map(|settlement| {
        let id = BillId { settlement: Uuid::from_bytes(settlement), version: row.get(5)? };
        Ok::<_, rusqlite::Error>((id, row.get(6)?))
    });
    Ok(FoundStay {
        person_id: Uuid::from_bytes(row.get(0)?),
        stay_id: Uuid::from_bytes(row.get(1)?),
        admitted: row.get(2)?,
        document: row.get(3)?,
        bill: bill.transpose()?,
        hold: lease::hold(row, 7)?,
    })
}

/// What a decision wants moved to another person, as it lies.
pub(super) fn belongings(connection: &Connection, moving: &[Moving]) -> Result<Vec<Belongings>, StoreError> {
    let of = |one: &Moving| match *one {
        Moving::Everything { of } => Ok(Belongings {
            of: person::row(connection, of)?,
            is_everything: true,
            references: kept_references(connection, of)?,
            stays: kept_stays(connection, of, None)?,
        }),
        Moving::Stay { of, stay } => Ok(Belongings {
            of: person::row(connection, of)?,
            is_everything: false,
            references: Vec::new(),
            stays: kept_stays(connection, of, Some(stay))?,
        }),
    };
    moving.iter().map(of).collect()
}

fn kept_references(connection: &Connection, person: Uuid) -> Result<Vec<KeptReference>, StoreError> {
    let sql = "SELECT kind, keyed_hash, key_version, reference FROM person_key WHERE person_id = ?1";
    let mut select = connection.prepare_cached(sql)?;
    let rows = select.query_map([person.into_bytes()], |row| {
        Ok(KeptReference {
            kind: row.get(0)?,
            hash: row.get(1)?,
            key_version: row.get(2)?,
            sealed: row.get(3)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The person's stays, or one of them.
fn kept_stays(
    connection: &Connection,
    person: Uuid,
    only: Option<Uuid>,
) -> Result<Vec<KeptStay>, StoreError> {
    let sql = "SELECT stay_id, visit_hash, document FROM stay
               WHERE person_id = ?1 AND (?2 IS NULL OR stay_id = ?2)";
    let mut select = connection.prepare_cached(sql)?;
    let mut rows = select.query(params![person.into_bytes(), only.map(Uuid::into_bytes)])?;
    let mut stays = Vec::new();
    while let Some(row) = rows.next()? {
        let stay_id = Uuid::from_bytes(row.get(0)?);
        let settlements = settlements_of(connection, person, stay_id)?;
        stays.push(KeptStay {
            stay_id,
            visit_hash: row.get(1)?,
            document: row.get(2)?,
            bills: bills_of(connection, person, &settlements)?,
            settlements,
        });
    }
    Ok(stays)
}

fn settlements_of(connection: &Connection, person: Uuid, stay: Uuid) -> Result<Vec<Uuid>, StoreError> {
    let sql = "SELECT settlement_id FROM settlement WHERE person_id = ?1 AND stay_id = ?2";
    let mut select = connection.prepare_cached(sql)?;
    let rows = select.query_map([person.into_bytes(), stay.into_bytes()], |row| row.get(0))?;
    Ok(rows.map(|id| id.map(Uuid::from_bytes)).collect::<Result<_, _>>()?)
}

fn bills_of(
    connection: &Connection,
    person: Uuid,
    settlements: &[Uuid],
) -> Result<Vec<(BillId, Vec<u8>)>, StoreError> {
    let sql = "SELECT version, document FROM bill WHERE person_id = ?1 AND settlement_id = ?2";
    let mut select = connection.prepare_cached(sql)?;
    let mut bills = Vec::new();
    for settlement in settlements {
        let mut rows = select.query([person.into_bytes(), settlement.into_bytes()])?;
        while let Some(row) = rows.next()? {
            bills.push((BillId { settlement: *settlement, version: row.get(0)? }, row.get(1)?));
        }
    }
    Ok(bills)
}
