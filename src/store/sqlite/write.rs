//! Writing what a step decided: first what must still be so, then the rows.

use rusqlite::{Connection, OptionalExtension as _, params};
use uuid::Uuid;

use super::super::StoreError;
use super::super::person::KEY_VERSION;
use super::super::sums::SumRows;
use super::super::writes::{
    BillRow, KeptReference, KeptStay, MessageRow, Moved, Sought, StayRow, Writes, stored_epoch,
};
use super::seen::claim_of_visit;
use super::{books, outbox, person};

/// False: something that was read has changed since. What is written by then must be taken back.
pub(super) fn write(connection: &Connection, writes: &Writes) -> Result<bool, StoreError> {
    if !holds(connection, writes)? {
        return Ok(false);
    }
    let owner = writes.owner;
    if writes.gains_id_number && writes.new_key.is_none() {
        let sql = "UPDATE person SET has_id_number = 1 WHERE person_id = ?1";
        connection.prepare_cached(sql)?.execute([owner.into_bytes()])?;
    }
    for moved in &writes.moved {
        write_moved(connection, owner, moved)?;
    }
    if writes.moved.iter().flat_map(|moved| &moved.stays).any(|stay| !stay.settlements.is_empty()) {
        number_anew(connection, owner)?;
    }
    for one in &writes.taken_over {
        take_over(connection, owner, one.kind, &one.hash, &one.sealed)?;
    }
    if let Some(stay) = &writes.stay {
        write_stay(connection, owner, stay)?;
    }
    if let Some(bill) = &writes.bill {
        write_bill(connection, owner, bill)?;
    }
    if let Some(bill) = &writes.bill {
        for posting in &writes.postings {
            books::write(connection, owner, bill.id, bill.day, posting)?;
        }
    }
    for told in &writes.outbox {
        outbox::write(connection, owner, told)?;
    }
    write_sums(connection, owner, &writes.sums)?;
    write_reserved(connection, owner, &writes.reserved)?;
    if let Some((settlement, year)) = writes.taken_back {
        mark_later(connection, owner, settlement, year)?;
    }
    Ok(true)
}

/// Writes what only one of several steps at the same time can write, and checks the rest.
fn holds(connection: &Connection, writes: &Writes) -> Result<bool, StoreError> {
    let sql = "UPDATE person SET version = version + 1 WHERE person_id = ?1 AND version = ?2";
    for (person, version) in &writes.people {
        if connection.prepare_cached(sql)?.execute(params![person.into_bytes(), version])? == 0 {
            return Ok(false);
        }
    }
    if let Some(sought) = &writes.sought
        && find(connection, sought)? != sought.found
    {
        return Ok(false);
    }
    if let Some(message) = &writes.message
        && !write_message(connection, message)?
    {
        return Ok(false);
    }
    if let Some(wrapped) = &writes.new_key {
        person::insert(connection, writes.owner, wrapped, writes.gains_id_number)?;
    }
    for one in &writes.entered {
        if !person::enter(connection, one.kind, &one.hash, writes.owner, &one.sealed)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The stay that a visit leads to now, by the same rule as when it was read.
fn find(connection: &Connection, sought: &Sought) -> Result<Option<Uuid>, StoreError> {
    let mut select = connection.prepare_cached(claim_of_visit!("stay_id"))?;
    let admitted = sought.admitted.map(|day| day.to_string());
    let found = select.query_row(params![sought.visit_hash, admitted], |row| row.get(0)).optional()?;
    Ok(found.map(Uuid::from_bytes))
}

/// False: another message has claimed the id.
pub(super) fn write_message(connection: &Connection, message: &MessageRow) -> Result<bool, StoreError> {
    let (person, id) = (message.person_id.into_bytes(), message.message_id.into_bytes());
    if let Some((hash, digest)) = &message.claim {
        let sql = "INSERT INTO message_claim (keyed_hash, digest, person_id, message_id)
                   VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING";
        if connection.prepare_cached(sql)?.execute(params![hash, digest, person, id])? == 0 {
            return Ok(false);
        }
    }
    let sql = "INSERT INTO message (person_id, message_id, received_at, origin, raw, answer)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let at = message.received_at.as_microsecond();
    let row = params![person, id, at, message.origin, message.raw, message.answer];
    connection.prepare_cached(sql)?.execute(row)?;
    Ok(true)
}

/// Makes a reference name a person from now on; whomever it named before was touched too.
fn take_over(
    connection: &Connection,
    person: Uuid,
    kind: i64,
    hash: &[u8; 16],
    sealed: &[u8],
) -> Result<(), StoreError> {
    let sql = "UPDATE person SET version = version + 1 WHERE person_id =
                 (SELECT person_id FROM person_key
                  WHERE kind = ?1 AND keyed_hash = ?2 AND key_version = ?3 AND person_id <> ?4)";
    let named = params![kind, hash, KEY_VERSION, person.into_bytes()];
    connection.prepare_cached(sql)?.execute(named)?;
    let sql = "INSERT INTO person_key (kind, keyed_hash, key_version, person_id, reference)
               VALUES (?1, ?2, ?3, ?4, ?5)
               ON CONFLICT DO UPDATE SET person_id = excluded.person_id, reference = excluded.reference";
    let row = params![kind, hash, KEY_VERSION, person.into_bytes(), sealed];
    connection.prepare_cached(sql)?.execute(row)?;
    Ok(())
}

/// What was another person's. That one keeps its row and key: messages kept under it stay as they are.
fn write_moved(connection: &Connection, to: Uuid, moved: &Moved) -> Result<(), StoreError> {
    for KeptReference { kind, hash, key_version, sealed } in &moved.references {
        let sql = "UPDATE person_key SET person_id = ?1, reference = ?2
                   WHERE kind = ?3 AND keyed_hash = ?4 AND key_version = ?5";
        let row = params![to.into_bytes(), sealed, kind, hash, key_version];
        connection.prepare_cached(sql)?.execute(row)?;
    }
    for stay in &moved.stays {
        move_stay(connection, moved.from, to, stay)?;
    }
    if moved.is_everything {
        for sql in [
            "DELETE FROM person_year WHERE person_id = ?1",
            "DELETE FROM accumulator WHERE person_id = ?1",
            "DELETE FROM reserved_year WHERE person_id = ?1",
            "DELETE FROM reservation WHERE person_id = ?1",
        ] {
            connection.prepare_cached(sql)?.execute([moved.from.into_bytes()])?;
        }
    }
    Ok(())
}

fn move_stay(connection: &Connection, from: Uuid, to: Uuid, stay: &KeptStay) -> Result<(), StoreError> {
    let (from, to, id) = (from.into_bytes(), to.into_bytes(), stay.stay_id.into_bytes());
    let sql = "UPDATE stay SET person_id = ?1, document = ?2 WHERE person_id = ?3 AND stay_id = ?4";
    connection.prepare_cached(sql)?.execute(params![to, stay.document, from, id])?;
    let sql = match stay.visit_hash {
        Some(_) => "UPDATE stay_claim SET person_id = ?1 WHERE keyed_hash = ?3 AND stay_id = ?2",
        // Stays of the first schema do not name their claim: it is looked for.
        None => "UPDATE stay_claim SET person_id = ?1 WHERE stay_id = ?2 AND ?3 IS NULL",
    };
    connection.prepare_cached(sql)?.execute(params![to, id, stay.visit_hash])?;
    for (bill, document) in &stay.bills {
        let sql = "UPDATE bill SET person_id = ?1, document = ?2
                   WHERE person_id = ?3 AND settlement_id = ?4 AND version = ?5";
        let row = params![to, document, from, bill.settlement.into_bytes(), bill.version];
        connection.prepare_cached(sql)?.execute(row)?;
    }
    for settlement in &stay.settlements {
        for sql in [
            "UPDATE settlement SET person_id = ?1 WHERE person_id = ?2 AND settlement_id = ?3",
            "UPDATE leg SET person_id = ?1 WHERE person_id = ?2 AND settlement_id = ?3",
            "UPDATE posting SET person_id = ?1 WHERE person_id = ?2 AND settlement_id = ?3",
        ] {
            connection.prepare_cached(sql)?.execute([to, from, settlement.into_bytes()])?;
        }
    }
    let sql = "UPDATE outbox SET person_id = ?1 WHERE person_id = ?2 AND stay_id = ?3";
    connection.prepare_cached(sql)?.execute([to, from, id])?;
    Ok(())
}

/// Settlements of two people who are one, counted in the order they were settled in, as far as their days tell.
fn number_anew(connection: &Connection, owner: Uuid) -> Result<(), StoreError> {
    let sql = "UPDATE settlement SET settled_number = counted.number FROM (
                 SELECT s.settlement_id, row_number() OVER (ORDER BY
                   (SELECT min(p.day) FROM posting p
                    WHERE p.person_id = s.person_id AND p.settlement_id = s.settlement_id),
                   s.settled_number, s.settlement_id) AS number
                 FROM settlement s WHERE s.person_id = ?1 AND s.settled_number IS NOT NULL
               ) AS counted
               WHERE settlement.person_id = ?1 AND settlement.settlement_id = counted.settlement_id";
    connection.prepare_cached(sql)?.execute([owner.into_bytes()])?;
    Ok(())
}

fn write_stay(connection: &Connection, owner: Uuid, stay: &StayRow) -> Result<(), StoreError> {
    let (owner, id) = (owner.into_bytes(), stay.stay_id.into_bytes());
    if let Some(before) = &stay.claimed_before {
        let sql = "DELETE FROM stay_claim WHERE keyed_hash = ?1 AND admitted = ?2 AND stay_id = ?3";
        connection.prepare_cached(sql)?.execute(params![stay.visit_hash, before, id])?;
    }
    let sql = "INSERT INTO stay_claim (keyed_hash, admitted, person_id, stay_id) VALUES (?1, ?2, ?3, ?4)
               ON CONFLICT DO UPDATE SET person_id = excluded.person_id WHERE stay_id = excluded.stay_id";
    let claim = params![stay.visit_hash, stay.admitted, owner, id];
    if connection.prepare_cached(sql)?.execute(claim)? == 0 {
        return Err(StoreError::Defect("a second stay under one visit number and admission".to_owned()));
    }
    let sql = "INSERT INTO stay (person_id, stay_id, hospital, admitted, due_at, document, visit_hash,
                 settlement_id, epoch, held_by, needs_attention)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
               ON CONFLICT DO UPDATE SET hospital = excluded.hospital, admitted = excluded.admitted,
                 due_at = excluded.due_at, document = excluded.document, visit_hash = excluded.visit_hash,
                 settlement_id = excluded.settlement_id, epoch = excluded.epoch,
                 held_by = excluded.held_by, needs_attention = excluded.needs_attention";
    connection.prepare_cached(sql)?.execute(params![
        owner,
        id,
        &*stay.hospital,
        stay.admitted,
        stay.hold.due_at.map(jiff::Timestamp::as_microsecond),
        stay.document,
        stay.visit_hash,
        stay.settlement_id.map(Uuid::into_bytes),
        stored_epoch(stay.hold.epoch),
        stay.hold.held_by.as_deref(),
        stay.needs_attention,
    ])?;
    Ok(())
}

fn write_bill(connection: &Connection, owner: Uuid, bill: &BillRow) -> Result<(), StoreError> {
    let (owner, settlement) = (owner.into_bytes(), bill.id.settlement.into_bytes());
    let sql = "INSERT INTO settlement (person_id, settlement_id, stay_id, hospital, version, state, day,
                 total, patient_share, benefit_year, settled_number)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
               ON CONFLICT DO UPDATE SET version = excluded.version, state = excluded.state,
                 day = excluded.day, total = excluded.total, patient_share = excluded.patient_share,
                 benefit_year = coalesce(excluded.benefit_year, benefit_year),
                 settled_number = coalesce(excluded.settled_number, settled_number)";
    connection.prepare_cached(sql)?.execute(params![
        owner,
        settlement,
        bill.stay_id.into_bytes(),
        &*bill.hospital,
        bill.id.version,
        bill.state,
        bill.day.to_string(),
        bill.total.fen(),
        bill.patient_share.fen(),
        bill.settled.map(|(year, _)| year),
        bill.settled.map(|(_, number)| number),
    ])?;
    let sql = "DELETE FROM leg WHERE person_id = ?1 AND settlement_id = ?2";
    connection.prepare_cached(sql)?.execute(params![owner, settlement])?;
    let sql = "INSERT INTO leg (person_id, settlement_id, payer, state, paid) VALUES (?1, ?2, ?3, ?4, ?5)";
    let mut insert = connection.prepare_cached(sql)?;
    for leg in &bill.legs {
        insert.execute(params![owner, settlement, leg.payer.as_str(), leg.state, leg.paid.fen()])?;
    }
    let sql = "INSERT INTO bill (person_id, settlement_id, version, document) VALUES (?1, ?2, ?3, ?4)
               ON CONFLICT DO UPDATE SET document = excluded.document";
    let row = params![owner, settlement, bill.id.version, bill.document];
    connection.prepare_cached(sql)?.execute(row)?;
    Ok(())
}

fn write_sums(connection: &Connection, owner: Uuid, sums: &SumRows) -> Result<(), StoreError> {
    for (year, admissions) in &sums.years {
        let sql = "INSERT INTO person_year (person_id, year, admissions) VALUES (?1, ?2, ?3)
                   ON CONFLICT DO UPDATE SET admissions = excluded.admissions";
        connection.prepare_cached(sql)?.execute(params![owner.into_bytes(), year, admissions])?;
    }
    for sum in &sums.used {
        let sql = "INSERT INTO accumulator (person_id, year, payer, base, paid) VALUES (?1, ?2, ?3, ?4, ?5)
                   ON CONFLICT DO UPDATE SET base = excluded.base, paid = excluded.paid";
        let base = sum.base.to_string();
        let row = params![owner.into_bytes(), sum.year, sum.payer.as_str(), base, sum.paid_fen];
        connection.prepare_cached(sql)?.execute(row)?;
    }
    Ok(())
}

/// A row of nothing goes: most people have nothing set aside, and a look at them costs as little.
fn write_reserved(connection: &Connection, owner: Uuid, sums: &SumRows) -> Result<(), StoreError> {
    let owner = owner.into_bytes();
    for (year, admissions) in &sums.years {
        let sql = match admissions {
            0 => "DELETE FROM reserved_year WHERE person_id = ?1 AND year = ?2 AND ?3 = 0",
            _ => {
                "INSERT INTO reserved_year (person_id, year, admissions) VALUES (?1, ?2, ?3)
                 ON CONFLICT DO UPDATE SET admissions = excluded.admissions"
            }
        };
        connection.prepare_cached(sql)?.execute(params![owner, year, admissions])?;
    }
    for sum in &sums.used {
        if sum.base.is_zero() && sum.paid_fen == 0 {
            let sql = "DELETE FROM reservation WHERE person_id = ?1 AND year = ?2 AND payer = ?3";
            connection.prepare_cached(sql)?.execute(params![owner, sum.year, sum.payer.as_str()])?;
            continue;
        }
        let sql = "INSERT INTO reservation (person_id, year, payer, base, paid) VALUES (?1, ?2, ?3, ?4, ?5)
                   ON CONFLICT DO UPDATE SET base = excluded.base, paid = excluded.paid";
        let base = sum.base.to_string();
        let row = params![owner, sum.year, sum.payer.as_str(), base, sum.paid_fen];
        connection.prepare_cached(sql)?.execute(row)?;
    }
    Ok(())
}

/// Settlements of the year that came after one that was taken back.
fn mark_later(connection: &Connection, owner: Uuid, settlement: Uuid, year: i16) -> Result<(), StoreError> {
    let sql = "UPDATE settlement SET earlier_reversed = earlier_reversed + 1
               WHERE person_id = ?1 AND benefit_year = ?3 AND settled_number >
                 (SELECT settled_number FROM settlement WHERE person_id = ?1 AND settlement_id = ?2)";
    let of = params![owner.into_bytes(), settlement.into_bytes(), year];
    connection.prepare_cached(sql)?.execute(of)?;
    Ok(())
}
