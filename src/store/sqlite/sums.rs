//! What a person has used up of a year, and in which order.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};
use uuid::Uuid;
use yizhan_contract::{Accumulators, Exact};

use super::super::{AccumulatorMove, StoreError};
use super::damaged;

/// Adds a move to the sums `moved` of a person, and writes what changed.
pub(super) fn accumulate(
    connection: &Connection,
    person: Uuid,
    moved: &mut BTreeMap<i16, Accumulators>,
    by: &AccumulatorMove,
) -> Result<(), StoreError> {
    let year = moved.entry(by.year).or_default();
    if by.admissions != 0 {
        year.admissions = year
            .admissions
            .checked_add_signed(by.admissions)
            .ok_or_else(|| StoreError::Defect("admissions below zero".to_owned()))?;
        let sql = "INSERT INTO person_year (person_id, year, admissions) VALUES (?1, ?2, ?3)
                   ON CONFLICT DO UPDATE SET admissions = excluded.admissions";
        connection.prepare_cached(sql)?.execute(params![person.into_bytes(), by.year, year.admissions])?;
    }
    for (payer, used) in &by.payers {
        if used.base == Exact::ZERO && used.paid.is_zero() {
            continue;
        }
        let sum = year.payers.entry(payer.clone()).or_default();
        sum.base = sum.base.plus(used.base).map_err(|why| damaged(&why.to_string()))?;
        sum.paid += used.paid;
        let sql = "INSERT INTO accumulator (person_id, year, payer, base, paid) VALUES (?1, ?2, ?3, ?4, ?5)
                   ON CONFLICT DO UPDATE SET base = excluded.base, paid = excluded.paid";
        connection.prepare_cached(sql)?.execute(params![
            person.into_bytes(),
            by.year,
            payer.as_str(),
            sum.base.to_string(),
            sum.paid.fen()
        ])?;
    }
    Ok(())
}

/// Gives a settlement its number among those of the person; taking it back marks the later ones of its year.
pub(super) fn number(
    connection: &Connection,
    person: Uuid,
    settlement: Uuid,
    by: &AccumulatorMove,
) -> Result<(), StoreError> {
    let sql = if by.admissions > 0 {
        "UPDATE settlement SET benefit_year = ?3, settled_number =
           (SELECT coalesce(max(settled_number), 0) + 1 FROM settlement WHERE person_id = ?1)
         WHERE person_id = ?1 AND settlement_id = ?2"
    } else {
        "UPDATE settlement SET earlier_reversed = earlier_reversed + 1
         WHERE person_id = ?1 AND benefit_year = ?3 AND settled_number >
           (SELECT settled_number FROM settlement WHERE person_id = ?1 AND settlement_id = ?2)"
    };
    let of = params![person.into_bytes(), settlement.into_bytes(), by.year];
    connection.prepare_cached(sql)?.execute(of)?;
    Ok(())
}
