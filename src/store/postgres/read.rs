//! Questions that change nothing.

use deadpool_postgres::Pool;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::super::documents::BillId;
use super::super::person::{Person, damaged};
use super::super::seen::Seen;
use super::super::{PersonFacts, PersonRef, StayRef, StoreError, StoredSettlement, StoredStay};
use super::fault::{in_time, spent};
use super::seen::Question;
use super::{Failed, Postgres, open};

impl Postgres {
    pub(super) async fn read_person(&self, persons: &[PersonRef]) -> Result<Option<PersonFacts>, StoreError> {
        let question = Question::new(&self.vault, None, None, persons);
        let seen = ask(&self.pool, &question).await?;
        let named = seen.named();
        let Some(row) = named.person.and_then(|id| seen.row(id)) else { return Ok(None) };
        let data_key = Person::open(&self.vault.key, row)?.data_key;
        row.facts(&data_key, named.is_ambiguous).map(Some)
    }

    pub(super) async fn read_stay(
        &self,
        pool: &Pool,
        stay: &StayRef,
    ) -> Result<Option<StoredStay>, StoreError> {
        let question = Question::new(&self.vault, None, Some(stay), &[]);
        let seen = ask(pool, &question).await?;
        let Some(found) = &seen.stay else { return Ok(None) };
        let owner = seen.row(found.person_id).ok_or_else(|| damaged("a stay of nobody"))?;
        found.open(&Person::open(&self.vault.key, owner)?.data_key).map(Some)
    }

    /// A settlement with one version of its bill; absent: the newest.
    pub(super) async fn read_settlement(
        &self,
        pool: &Pool,
        id: Uuid,
        version: Option<u32>,
    ) -> Result<Option<StoredSettlement>, StoreError> {
        let sql = "SELECT t.person_id, p.wrapped_key, t.hospital, b.version, b.document, t.earlier_reversed,
                     t.stay_id
                   FROM settlement t JOIN person p ON p.person_id = t.person_id
                   JOIN bill b ON b.person_id = t.person_id AND b.settlement_id = t.settlement_id
                     AND b.version = coalesce($2, t.version)
                   WHERE t.settlement_id = $1";
        let found = rows(pool, sql, &[&id, &version.map(|version| version as i32)]).await?;
        let Some(row) = found.first() else { return Ok(None) };
        let owner = self.vault.key.unwrap_data_key(row.get(0), row.get(1))?;
        let Some(stay) = self.read_stay(pool, &StayRef::Stay(row.get(6))).await? else { return Ok(None) };
        let bill = BillId { settlement: id, version: row.get::<_, i32>(3).unsigned_abs() };
        let hospital: &str = row.get(2);
        Ok(Some(StoredSettlement {
            settlement_id: id,
            hospital: hospital.into(),
            bill: bill.open(&owner, row.get(4))?,
            stay,
            earlier_reversed: row.get::<_, i32>(5).unsigned_abs(),
        }))
    }

    pub(super) async fn rows(
        &self,
        sql: &'static str,
        given: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, StoreError> {
        rows(&self.pool, sql, given).await
    }
}

/// One statement's rows.
pub(super) async fn rows(
    pool: &Pool,
    sql: &'static str,
    given: &[&(dyn ToSql + Sync)],
) -> Result<Vec<Row>, StoreError> {
    let mut twice = Twice::default();
    loop {
        let client = open::connection(pool).await?;
        let rows = in_time(async { client.query(&client.prepare_cached(sql).await?, given).await });
        let rows = rows.await;
        if let Some(rows) = twice.ended(spent(client, rows)) {
            return rows;
        }
    }
}

async fn ask(pool: &Pool, question: &Question) -> Result<Seen, StoreError> {
    let mut twice = Twice::default();
    loop {
        let client = open::connection(pool).await?;
        let read = question.read(&client).await;
        if let Some(read) = twice.ended(spent(client, read)) {
            return Ok(read?.seen);
        }
    }
}

/// What may be done twice is tried once more, on another connection, where the first one ended.
#[derive(Default)]
pub(super) struct Twice {
    is_second: bool,
}

impl Twice {
    /// Absent: to be tried again.
    pub(super) fn ended<T>(&mut self, outcome: Result<T, Failed>) -> Option<Result<T, StoreError>> {
        match outcome {
            Ok(value) => Some(Ok(value)),
            Err(Failed::Lost(_)) if !std::mem::replace(&mut self.is_second, true) => None,
            Err(why) => Some(Err(why.given_up())),
        }
    }
}
