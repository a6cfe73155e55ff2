//! Writing what a step decided: first what must still be so, then the rows, all in one batch.
//!
//! The batch ends with its COMMIT, so nothing can be looked at in between. What must still be so is written
//! as a statement that fails where it is not: `1 / count(*)` over the rows that fit divides by zero, the
//! server gives the transaction up, and the COMMIT that follows commits nothing.

use uuid::Uuid;

use super::super::person::KEY_VERSION;
use super::super::writes::{BillRow, MessageRow, ReferenceRow, Sought, StayRow, Writes, stored_epoch};
use super::pipeline::{Batch, given};
use super::seen::claim_of_visit;
use super::values::{Day, Instant};
use super::{books, hand_over, outbox, sums};

/// How many of a person's steps without a message are remembered by name.
pub(super) const NAMED_STEPS: i32 = 8;

const TOUCH: &str = "WITH touched AS (
      UPDATE person SET version = version + 1,
        last_steps = CASE WHEN $3::uuid IS NULL THEN last_steps ELSE ($3 || last_steps)[1:$4] END
      WHERE person_id = $1 AND version = $2 RETURNING 1
    ) SELECT 1 / count(*) FROM touched";

/// The same visit leads to the same stay, by the rule it was read by.
const STILL_FOUND: &str = concat!(
    "SELECT 1 / count(*) FROM (SELECT (",
    claim_of_visit!("stay_id"),
    ")) AS now (stay_id) WHERE stay_id IS NOT DISTINCT FROM $3"
);

/// Two stays of one visit number may be claimed under different dates: that is no conflict of keys, so
/// whoever makes or moves a claim changes the visit's row first, and waits there for others who do.
const ONE_AT_A_TIME: &str = "INSERT INTO visit_head AS visit (keyed_hash, changes) VALUES ($1, 1)
    ON CONFLICT (keyed_hash) DO UPDATE SET changes = visit.changes + 1";

const CLAIM_STAY: &str = "WITH claimed AS (
      INSERT INTO stay_claim AS c (keyed_hash, admitted, person_id, stay_id) VALUES ($1, $2, $3, $4)
      ON CONFLICT (keyed_hash, admitted) DO UPDATE SET person_id = excluded.person_id
        WHERE c.stay_id = excluded.stay_id RETURNING 1
    ) SELECT 1 / count(*) FROM claimed";

/// Adds everything to `batch`. `step`: names these writes on the rows of the people they touch, where no message
/// names them.
pub(super) fn write<'a>(batch: &mut Batch<'a>, writes: &'a Writes, step: Uuid) {
    let owner = writes.owner;
    let named = writes.message.is_none().then_some(step);
    for (person, version) in &writes.people {
        batch.add(TOUCH, given![*person, *version, named, NAMED_STEPS]);
    }
    if let Some(wrapped) = &writes.new_key {
        let sql = "INSERT INTO person (person_id, wrapped_key, has_id_number, version, last_steps)
                   VALUES ($1, $2, $3, 1, array_remove(ARRAY[$4::uuid], NULL))";
        batch.add(sql, given![owner, wrapped, writes.gains_id_number, named]);
    } else if writes.gains_id_number {
        batch.add("UPDATE person SET has_id_number = true WHERE person_id = $1", given![owner]);
    }
    for one in &writes.entered {
        let sql = "INSERT INTO person_key (kind, keyed_hash, key_version, person_id, reference)
                   VALUES ($1, $2, $3, $4, $5)";
        batch.add(sql, reference(owner, one));
    }
    hand_over::write(batch, owner, &writes.moved);
    for one in &writes.taken_over {
        take_over(batch, owner, one);
    }
    write_visit(batch, writes.sought.as_ref(), writes.stay.as_ref());
    if let Some(stay) = &writes.stay {
        write_stay(batch, owner, stay);
    }
    if let Some(bill) = &writes.bill {
        write_bill(batch, owner, bill);
        books::write(batch, owner, bill.id, bill.day, &writes.postings);
    }
    for told in &writes.outbox {
        outbox::write(batch, owner, told);
    }
    sums::write(batch, owner, &writes.sums);
    sums::write_reserved(batch, owner, &writes.reserved);
    if let Some((settlement, year)) = writes.taken_back {
        mark_later(batch, owner, settlement, year);
    }
    // Last of what others may wait for: whoever sends the same message again waits for the shortest time.
    if let Some(message) = &writes.message {
        write_message(batch, message);
    }
}

fn reference(owner: Uuid, one: &ReferenceRow) -> Vec<super::pipeline::Given<'_>> {
    given![one.kind as i16, &one.hash[..], KEY_VERSION as i16, owner, &one.sealed]
}

pub(super) fn write_message<'a>(batch: &mut Batch<'a>, message: &'a MessageRow) {
    let (person, id) = (message.person_id, message.message_id);
    if let Some((hash, digest)) = &message.claim {
        let sql = "INSERT INTO message_claim (keyed_hash, digest, person_id, message_id)
                   VALUES ($1, $2, $3, $4)";
        batch.add(sql, given![&hash[..], &digest[..], person, id]);
    }
    // There already: what was written under this id of ours before, and not answered.
    let sql = "INSERT INTO message (person_id, message_id, received_at, origin, raw, answer)
               VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (person_id, message_id) DO NOTHING";
    let at = Instant(message.received_at);
    batch.add(sql, given![person, id, at, &message.origin, &message.raw, &message.answer]);
}

/// Makes a reference name a person from now on; whomever it named before was touched too.
fn take_over<'a>(batch: &mut Batch<'a>, person: Uuid, one: &'a ReferenceRow) {
    let sql = "UPDATE person SET version = version + 1 WHERE person_id =
                 (SELECT person_id FROM person_key
                  WHERE kind = $1 AND keyed_hash = $2 AND key_version = $3 AND person_id <> $4)";
    batch.add(sql, given![one.kind as i16, &one.hash[..], KEY_VERSION as i16, person]);
    let sql = "INSERT INTO person_key (kind, keyed_hash, key_version, person_id, reference)
               VALUES ($1, $2, $3, $4, $5) ON CONFLICT (keyed_hash, kind, key_version)
               DO UPDATE SET person_id = excluded.person_id, reference = excluded.reference";
    batch.add(sql, reference(person, one));
}

/// Claims the visit for the stay, if it leads where it led.
fn write_visit<'a>(batch: &mut Batch<'a>, sought: Option<&'a Sought>, stay: Option<&'a StayRow>) {
    let makes_claim = stay.filter(|stay| {
        let is_found = sought.is_some_and(|sought| sought.found == Some(stay.stay_id));
        stay.claimed_before.is_some() || !is_found
    });
    if let Some(stay) = makes_claim {
        batch.add(ONE_AT_A_TIME, given![&stay.visit_hash[..]]);
    }
    if let Some(Sought { visit_hash, admitted, found }) = sought {
        batch.add(STILL_FOUND, given![&visit_hash[..], admitted.map(|day| Day(Some(day))), *found]);
    }
}

fn write_stay<'a>(batch: &mut Batch<'a>, owner: Uuid, stay: &'a StayRow) {
    if let Some(before) = &stay.claimed_before {
        let sql = "DELETE FROM stay_claim WHERE keyed_hash = $1 AND admitted = $2 AND stay_id = $3";
        batch.add(sql, given![&stay.visit_hash[..], Day::of_word(before), stay.stay_id]);
    }
    let admitted = Day::of_word(&stay.admitted);
    batch.add(CLAIM_STAY, given![&stay.visit_hash[..], admitted, owner, stay.stay_id]);
    let sql = "INSERT INTO stay (person_id, stay_id, hospital, admitted, due_at, document, visit_hash,
                 settlement_id, epoch, held_by, needs_attention)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
               ON CONFLICT (person_id, stay_id) DO UPDATE SET hospital = excluded.hospital,
                 admitted = excluded.admitted, due_at = excluded.due_at, document = excluded.document,
                 visit_hash = excluded.visit_hash,
                 settlement_id = excluded.settlement_id, epoch = excluded.epoch,
                 held_by = excluded.held_by, needs_attention = excluded.needs_attention";
    batch.add(
        sql,
        given![
            owner,
            stay.stay_id,
            &*stay.hospital,
            admitted,
            stay.hold.due_at.map(Instant),
            &stay.document,
            &stay.visit_hash[..],
            stay.settlement_id,
            stored_epoch(stay.hold.epoch),
            stay.hold.held_by.as_deref(),
            stay.needs_attention,
        ],
    );
}

fn write_bill<'a>(batch: &mut Batch<'a>, owner: Uuid, bill: &'a BillRow) {
    let (settlement, version) = (bill.id.settlement, bill.id.version as i32);
    let sql = "INSERT INTO settlement AS s (person_id, settlement_id, stay_id, hospital, version, state, day,
                 total, patient_share, benefit_year, settled_number)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
               ON CONFLICT (person_id, settlement_id) DO UPDATE SET version = excluded.version,
                 state = excluded.state, day = excluded.day, total = excluded.total,
                 patient_share = excluded.patient_share,
                 benefit_year = coalesce(excluded.benefit_year, s.benefit_year),
                 settled_number = coalesce(excluded.settled_number, s.settled_number)";
    batch.add(
        sql,
        given![
            owner,
            settlement,
            bill.stay_id,
            &*bill.hospital,
            version,
            bill.state,
            Day(Some(bill.day)),
            bill.total.fen(),
            bill.patient_share.fen(),
            bill.settled.map(|(year, _)| year),
            bill.settled.map(|(_, number)| number as i32),
        ],
    );
    let sql = "WITH gone AS (
                 DELETE FROM leg WHERE person_id = $1 AND settlement_id = $2 AND payer <> ALL($3)
               )
               INSERT INTO leg (person_id, settlement_id, payer, state, paid)
               SELECT $1::uuid, $2::uuid, * FROM unnest($3::text[], $4::text[], $5::bigint[])
               ON CONFLICT (person_id, settlement_id, payer)
               DO UPDATE SET state = excluded.state, paid = excluded.paid";
    let payers: Vec<&str> = bill.legs.iter().map(|leg| leg.payer.as_str()).collect();
    let states: Vec<&str> = bill.legs.iter().map(|leg| leg.state.as_str()).collect();
    let paid: Vec<i64> = bill.legs.iter().map(|leg| leg.paid.fen()).collect();
    batch.add(sql, given![owner, settlement, payers, states, paid]);
    let sql = "INSERT INTO bill (person_id, settlement_id, version, document) VALUES ($1, $2, $3, $4)
               ON CONFLICT (person_id, settlement_id, version) DO UPDATE SET document = excluded.document";
    batch.add(sql, given![owner, settlement, version, &bill.document]);
}

/// Settlements of the year that came after one that was taken back.
fn mark_later(batch: &mut Batch<'_>, owner: Uuid, settlement: Uuid, year: i16) {
    let sql = "UPDATE settlement SET earlier_reversed = earlier_reversed + 1
               WHERE person_id = $1 AND benefit_year = $3 AND settled_number >
                 (SELECT settled_number FROM settlement WHERE person_id = $1 AND settlement_id = $2)";
    batch.add(sql, given![owner, settlement, year]);
}
