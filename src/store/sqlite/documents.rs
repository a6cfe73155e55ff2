//! Stays and bills: documents that are sealed, and the few columns reports and timers need.

use rusqlite::{Connection, params};
use uuid::Uuid;

use super::super::seal::{DataKey, Place};
use super::super::{BillWrite, StayWrite, StoreError};
use super::Shared;
use super::person::Person;
use super::step::{FoundStay, visit_hash};

fn stay_place(row: &[u8]) -> Place<'_> {
    Place { table: "stay", column: "document", row }
}

fn bill_row(settlement: Uuid, version: u32) -> [u8; 20] {
    let mut row = [0; 20];
    row[..16].copy_from_slice(settlement.as_bytes());
    row[16..].copy_from_slice(&version.to_be_bytes());
    row
}

fn bill_place(row: &[u8]) -> Place<'_> {
    Place { table: "bill", column: "document", row }
}

pub(super) fn open_stay(data_key: &DataKey, stay: Uuid, sealed: &[u8]) -> Result<Vec<u8>, StoreError> {
    Ok(data_key.open(stay_place(stay.as_bytes()), sealed)?)
}

pub(super) fn open_bill(
    data_key: &DataKey,
    settlement: Uuid,
    version: u32,
    sealed: &[u8],
) -> Result<Vec<u8>, StoreError> {
    Ok(data_key.open(bill_place(&bill_row(settlement, version)), sealed)?)
}

pub(super) fn write_stay(
    connection: &Connection,
    shared: &Shared,
    owner: &Person,
    before: Option<&FoundStay>,
    stay: &StayWrite,
    joined: &[Uuid],
) -> Result<(), StoreError> {
    let admitted = stay.admitted.map(|day| day.to_string()).unwrap_or_default();
    let before = before.filter(|before| before.stay_id == stay.stay_id);
    if let Some(before) = before {
        // The stays of people who were joined have come along already.
        if before.person_id != owner.id && !joined.contains(&before.person_id) {
            let former = Person::load(connection, &shared.key, before.person_id)?;
            move_stay(connection, stay.stay_id, &former, owner)?;
        }
        if before.admitted != admitted {
            let sql = "DELETE FROM stay_claim WHERE keyed_hash = ?1 AND admitted = ?2 AND stay_id = ?3";
            let hash = visit_hash(shared, &stay.hospital, &stay.visit_number);
            let gone = params![hash, before.admitted, stay.stay_id.into_bytes()];
            connection.prepare_cached(sql)?.execute(gone)?;
        }
    }
    let sql = "INSERT INTO stay_claim (keyed_hash, admitted, person_id, stay_id) VALUES (?1, ?2, ?3, ?4)
               ON CONFLICT DO UPDATE SET person_id = excluded.person_id WHERE stay_id = excluded.stay_id";
    let visit = visit_hash(shared, &stay.hospital, &stay.visit_number);
    let claimed = connection.prepare_cached(sql)?.execute(params![
        visit,
        admitted,
        owner.id.into_bytes(),
        stay.stay_id.into_bytes()
    ])?;
    if claimed == 0 {
        return Err(StoreError::Defect("a second stay under one visit number and admission".to_owned()));
    }
    let sql = "INSERT INTO stay (person_id, stay_id, hospital, admitted, due_at, document, visit_hash)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
               ON CONFLICT DO UPDATE SET hospital = excluded.hospital, admitted = excluded.admitted,
                 due_at = excluded.due_at, document = excluded.document,
                 visit_hash = excluded.visit_hash";
    connection.prepare_cached(sql)?.execute(params![
        owner.id.into_bytes(),
        stay.stay_id.into_bytes(),
        &*stay.hospital,
        admitted,
        stay.due_at.map(jiff::Timestamp::as_microsecond),
        owner.data_key.seal(stay_place(stay.stay_id.as_bytes()), &stay.document)?,
        visit,
    ])?;
    Ok(())
}

/// A stay may turn out to be another person's: it and its bills go there, sealed anew.
pub(super) fn move_stay(
    connection: &Connection,
    stay: Uuid,
    former: &Person,
    to: &Person,
) -> Result<(), StoreError> {
    let from = former.id;
    let sql = "SELECT document, visit_hash FROM stay WHERE person_id = ?1 AND stay_id = ?2";
    let (sealed, visit): (Vec<u8>, Option<[u8; 16]>) = connection
        .prepare_cached(sql)?
        .query_row([from.into_bytes(), stay.into_bytes()], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let document = open_stay(&former.data_key, stay, &sealed)?;
    let sql = "UPDATE stay SET person_id = ?1, document = ?2 WHERE person_id = ?3 AND stay_id = ?4";
    connection.prepare_cached(sql)?.execute(params![
        to.id.into_bytes(),
        to.data_key.seal(stay_place(stay.as_bytes()), &document)?,
        from.into_bytes(),
        stay.into_bytes()
    ])?;
    let claim = params![to.id.into_bytes(), stay.into_bytes(), visit];
    let sql = match visit {
        Some(_) => "UPDATE stay_claim SET person_id = ?1 WHERE keyed_hash = ?3 AND stay_id = ?2",
        // Stays of the first schema do not name their claim: it is looked for.
        None => "UPDATE stay_claim SET person_id = ?1 WHERE stay_id = ?2 AND ?3 IS NULL",
    };
    connection.prepare_cached(sql)?.execute(claim)?;
    let sql = "SELECT settlement_id FROM settlement WHERE person_id = ?1 AND stay_id = ?2";
    let mut select = connection.prepare_cached(sql)?;
    let settlements: Vec<[u8; 16]> = select
        .query_map([from.into_bytes(), stay.into_bytes()], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for settlement in settlements.into_iter().map(Uuid::from_bytes) {
        let sql = "SELECT version, document FROM bill WHERE person_id = ?1 AND settlement_id = ?2";
        let mut select = connection.prepare_cached(sql)?;
        let bills: Vec<(u32, Vec<u8>)> = select
            .query_map([from.into_bytes(), settlement.into_bytes()], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<_, _>>()?;
        for (version, sealed) in bills {
            let document = open_bill(&former.data_key, settlement, version, &sealed)?;
            let row = bill_row(settlement, version);
            let sql = "UPDATE bill SET person_id = ?1, document = ?2
                       WHERE person_id = ?3 AND settlement_id = ?4 AND version = ?5";
            connection.prepare_cached(sql)?.execute(params![
                to.id.into_bytes(),
                to.data_key.seal(bill_place(&row), &document)?,
                from.into_bytes(),
                settlement.into_bytes(),
                version
            ])?;
        }
        for sql in [
            "UPDATE settlement SET person_id = ?1 WHERE person_id = ?2 AND settlement_id = ?3",
            "UPDATE leg SET person_id = ?1 WHERE person_id = ?2 AND settlement_id = ?3",
        ] {
            let moved = [to.id.into_bytes(), from.into_bytes(), settlement.into_bytes()];
            connection.prepare_cached(sql)?.execute(moved)?;
        }
    }
    Ok(())
}

pub(super) fn write_bill(
    connection: &Connection,
    owner: &Person,
    bill: &BillWrite,
) -> Result<(), StoreError> {
    let (person, settlement) = (owner.id.into_bytes(), bill.settlement_id.into_bytes());
    let sql = "INSERT INTO settlement (person_id, settlement_id, stay_id, hospital, version, state, day,
                 total, patient_share) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
               ON CONFLICT DO UPDATE SET version = excluded.version, state = excluded.state,
                 day = excluded.day, total = excluded.total, patient_share = excluded.patient_share";
    connection.prepare_cached(sql)?.execute(params![
        person,
        settlement,
        bill.stay_id.into_bytes(),
        &*bill.hospital,
        bill.version,
        bill.state,
        bill.day.to_string(),
        bill.total.fen(),
        bill.patient_share.fen(),
    ])?;
    let sql = "DELETE FROM leg WHERE person_id = ?1 AND settlement_id = ?2";
    connection.prepare_cached(sql)?.execute(params![person, settlement])?;
    let sql = "INSERT INTO leg (person_id, settlement_id, payer, state, paid) VALUES (?1, ?2, ?3, ?4, ?5)";
    let mut insert = connection.prepare_cached(sql)?;
    for leg in &bill.legs {
        let state = serde_json::to_value(leg.state).map_err(|why| StoreError::Defect(why.to_string()))?;
        insert.execute(params![person, settlement, leg.payer.as_str(), state.as_str(), leg.paid.fen()])?;
    }
    let row = bill_row(bill.settlement_id, bill.version);
    let sql = "INSERT INTO bill (person_id, settlement_id, version, document) VALUES (?1, ?2, ?3, ?4)
               ON CONFLICT DO UPDATE SET document = excluded.document";
    connection.prepare_cached(sql)?.execute(params![
        person,
        settlement,
        bill.version,
        owner.data_key.seal(bill_place(&row), &bill.document)?
    ])?;
    Ok(())
}
