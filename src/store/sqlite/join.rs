//! Two people who turn out to be one: everything of the first becomes the second's, sealed anew.
//!
//! The first keeps its row and key: messages that were kept under it stay as they are.

use rusqlite::{Connection, params};
use uuid::Uuid;

use super::super::{AccumulatorMove, StoreError};
use super::documents;
use super::person::{self, Person};
use super::sums;

pub(super) fn join(connection: &Connection, from: &Person, to: &Person) -> Result<(), StoreError> {
    person::move_references(connection, from, to)?;
    let sql = "SELECT stay_id FROM stay WHERE person_id = ?1";
    let mut select = connection.prepare_cached(sql)?;
    let stays: Vec<[u8; 16]> =
        select.query_map([from.id.into_bytes()], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for stay in stays {
        documents::move_stay(connection, Uuid::from_bytes(stay), from, to)?;
    }
    let mut sums_of_one = person::moved(connection, to.id)?;
    for (year, moved) in person::moved(connection, from.id)? {
        let admissions = i32::try_from(moved.admissions)
            .map_err(|_| StoreError::Defect("too many admissions".to_owned()))?;
        let by = AccumulatorMove { year, admissions, payers: moved.payers.into_iter().collect() };
        sums::accumulate(connection, to.id, &mut sums_of_one, &by)?;
    }
    for sql in
        ["DELETE FROM person_year WHERE person_id = ?1", "DELETE FROM accumulator WHERE person_id = ?1"]
    {
        connection.prepare_cached(sql)?.execute(params![from.id.into_bytes()])?;
    }
    Ok(())
}
