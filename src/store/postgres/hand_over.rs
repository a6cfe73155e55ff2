//! Writing what was another person's and is the owner's from now on.
//!
//! The person is what tables are distributed by, and no row changes that in place: a row is written for the new person
//! and deleted for the former one. Look-up and claim tables lead with a hash, and their rows are pointed elsewhere.

use uuid::Uuid;

use super::super::writes::{KeptReference, KeptStay, Moved};
use super::pipeline::{Batch, given};

/// A settlement's rows beside its bills: how each is written for `$1` from what `$2` has of the settlement `$3`, and how
/// what `$1` has of the settlement `$2` is deleted.
const OF_SETTLEMENT: [(&str, &str); 3] = [
    (
        "INSERT INTO settlement (person_id, settlement_id, stay_id, hospital, version, state, day, total,
           patient_share, benefit_year, settled_number, earlier_reversed)
         SELECT $1, settlement_id, stay_id, hospital, version, state, day, total, patient_share, benefit_year,
           settled_number, earlier_reversed FROM settlement WHERE person_id = $2 AND settlement_id = $3",
        "DELETE FROM settlement WHERE person_id = $1 AND settlement_id = $2",
    ),
    (
        "INSERT INTO leg (person_id, settlement_id, payer, state, paid)
         SELECT $1, settlement_id, payer, state, paid FROM leg WHERE person_id = $2 AND settlement_id = $3",
        "DELETE FROM leg WHERE person_id = $1 AND settlement_id = $2",
    ),
    (
        "INSERT INTO posting (person_id, settlement_id, version, debit, credit, kind, day, amount)
         SELECT $1, settlement_id, version, debit, credit, kind, day, amount FROM posting
         WHERE person_id = $2 AND settlement_id = $3",
        "DELETE FROM posting WHERE person_id = $1 AND settlement_id = $2",
    ),
];

/// Settlements of two people who are one, counted in the order they were settled in, as far as their days tell.
const NUMBERED_ANEW: &str = "UPDATE settlement t SET settled_number = counted.number FROM (
      SELECT s.settlement_id, row_number() OVER (ORDER BY
        (SELECT min(p.day) FROM posting p WHERE p.person_id = s.person_id AND p.settlement_id = s.settlement_id),
        s.settled_number, s.settlement_id) AS number
      FROM settlement s WHERE s.person_id = $1 AND s.settled_number IS NOT NULL
    ) AS counted WHERE t.person_id = $1 AND t.settlement_id = counted.settlement_id";

pub(super) fn write<'a>(batch: &mut Batch<'a>, to: Uuid, all: &'a [Moved]) {
    for moved in all {
        write_moved(batch, to, moved);
    }
    if all.iter().flat_map(|moved| &moved.stays).any(|stay| !stay.settlements.is_empty()) {
        batch.add(NUMBERED_ANEW, given![to]);
    }
}

/// The former person keeps row and key: messages kept under it stay as they are.
fn write_moved<'a>(batch: &mut Batch<'a>, to: Uuid, moved: &'a Moved) {
    for KeptReference { kind, hash, key_version, sealed } in &moved.references {
        let sql = "UPDATE person_key SET person_id = $1, reference = $2
                   WHERE kind = $3 AND keyed_hash = $4 AND key_version = $5";
        batch.add(sql, given![to, sealed, *kind as i16, &hash[..], *key_version as i16]);
    }
    for stay in &moved.stays {
        move_stay(batch, moved.from, to, stay);
    }
    if moved.is_everything {
        for sql in [
            "DELETE FROM person_year WHERE person_id = $1",
            "DELETE FROM accumulator WHERE person_id = $1",
            "DELETE FROM reserved_year WHERE person_id = $1",
            "DELETE FROM reservation WHERE person_id = $1",
        ] {
            batch.add(sql, given![moved.from]);
        }
    }
}

fn move_stay<'a>(batch: &mut Batch<'a>, from: Uuid, to: Uuid, stay: &'a KeptStay) {
    let sql =
        "INSERT INTO stay (person_id, stay_id, hospital, admitted, visit_hash, settlement_id, due_at, epoch,
                 held_by, needs_attention, document)
               SELECT $1, stay_id, hospital, admitted, visit_hash, settlement_id, due_at, epoch, held_by,
                 needs_attention, $2 FROM stay WHERE person_id = $3 AND stay_id = $4";
    batch.add(sql, given![to, &stay.document, from, stay.stay_id]);
    batch.add("DELETE FROM stay WHERE person_id = $1 AND stay_id = $2", given![from, stay.stay_id]);
    if let Some(hash) = &stay.visit_hash {
        let sql = "UPDATE stay_claim SET person_id = $1 WHERE keyed_hash = $2 AND stay_id = $3";
        batch.add(sql, given![to, &hash[..], stay.stay_id]);
    }
    for (bill, document) in &stay.bills {
        let (settlement, version) = (bill.settlement, bill.version as i32);
        let sql = "DELETE FROM bill WHERE person_id = $1 AND settlement_id = $2 AND version = $3";
        batch.add(sql, given![from, settlement, version]);
        let sql = "INSERT INTO bill (person_id, settlement_id, version, document) VALUES ($1, $2, $3, $4)";
        batch.add(sql, given![to, settlement, version, document]);
    }
    for settlement in &stay.settlements {
        for (written, deleted) in OF_SETTLEMENT {
            batch.add(written, given![to, from, *settlement]);
            batch.add(deleted, given![from, *settlement]);
        }
    }
    let sql = "INSERT INTO outbox (person_id, stay_id, version, outbox_id, hospital, settlement_id, attempts,
                 due_at, why)
               SELECT $1, stay_id, version, outbox_id, hospital, settlement_id, attempts, due_at, why
               FROM outbox WHERE person_id = $2 AND stay_id = $3";
    batch.add(sql, given![to, from, stay.stay_id]);
    batch.add("DELETE FROM outbox WHERE person_id = $1 AND stay_id = $2", given![from, stay.stay_id]);
}
