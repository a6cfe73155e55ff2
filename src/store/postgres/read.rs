//! Questions that change nothing.

use jiff::Timestamp;
use jiff::civil::Date;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;
use yizhan_contract::Money;

use super::super::documents::BillId;
use super::super::person::{Person, damaged};
use super::super::seen::Seen;
use super::super::{PersonFacts, PersonRef, ReportLine, StayRef, StoreError, StoredSettlement, StoredStay};
use super::seen::Question;
use super::values::{Day, Instant};
use super::{Failed, Postgres, open};

impl Postgres {
    pub(super) async fn read_person(&self, persons: &[PersonRef]) -> Result<Option<PersonFacts>, StoreError> {
        let question = Question::new(&self.vault, None, None, persons);
        let seen = self.ask(&question).await?;
        let named = seen.named();
        let Some(row) = named.person.and_then(|id| seen.row(id)) else { return Ok(None) };
        let data_key = Person::open(&self.vault.key, row)?.data_key;
        row.facts(&data_key, named.is_ambiguous).map(Some)
    }

    pub(super) async fn read_stay(&self, stay: &StayRef) -> Result<Option<StoredStay>, StoreError> {
        let question = Question::new(&self.vault, None, Some(stay), &[]);
        let seen = self.ask(&question).await?;
        let Some(found) = &seen.stay else { return Ok(None) };
        let owner = seen.row(found.person_id).ok_or_else(|| damaged("a stay of nobody"))?;
        found.open(&Person::open(&self.vault.key, owner)?.data_key).map(Some)
    }

    async fn ask(&self, question: &Question) -> Result<Seen, StoreError> {
        let mut twice = Twice::default();
        loop {
            let client = open::connection(&self.pool).await?;
            if let Some(read) = twice.ended(question.read(&client).await) {
                return Ok(read?.seen);
            }
        }
    }

    pub(super) async fn read_settlement(&self, id: Uuid) -> Result<Option<StoredSettlement>, StoreError> {
        let sql = "SELECT t.person_id, p.wrapped_key, t.hospital, t.version, b.document, t.earlier_reversed,
                     t.stay_id
                   FROM settlement t JOIN person p ON p.person_id = t.person_id
                   JOIN bill b ON b.person_id = t.person_id AND b.settlement_id = t.settlement_id
                     AND b.version = t.version
                   WHERE t.settlement_id = $1";
        let found = self.rows(sql, &[&id]).await?;
        let Some(row) = found.first() else { return Ok(None) };
        let owner = self.vault.key.unwrap_data_key(row.get(0), row.get(1))?;
        let Some(stay) = self.read_stay(&StayRef::Stay(row.get(6))).await? else { return Ok(None) };
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

    pub(super) async fn read_due(&self, now: Timestamp, limit: u32) -> Result<Vec<Uuid>, StoreError> {
        let sql = "SELECT stay_id FROM stay WHERE due_at <= $1 ORDER BY due_at LIMIT $2";
        let rows = self.rows(sql, &[&Instant(now), &i64::from(limit)]).await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    pub(super) async fn read_report(&self, day: Date) -> Result<Vec<ReportLine>, StoreError> {
        let sql = "SELECT s.hospital, l.payer, s.state, count(*), sum(l.paid)::bigint FROM settlement s
                   JOIN leg l ON l.person_id = s.person_id AND l.settlement_id = s.settlement_id
                   WHERE s.day = $1 GROUP BY s.hospital, l.payer, s.state
                   UNION ALL
                   SELECT hospital, 'patient', state, count(*), sum(patient_share)::bigint FROM settlement
                   WHERE day = $1 GROUP BY hospital, state
                   ORDER BY 1, 2, 3";
        let line = |row: &Row| ReportLine {
            hospital: row.get(0),
            payer: row.get(1),
            state: row.get(2),
            count: row.get::<_, i64>(3).unsigned_abs(),
            paid: Money::from_fen(row.get(4)),
        };
        Ok(self.rows(sql, &[&Day(Some(day))]).await?.iter().map(line).collect())
    }

    /// One statement's rows.
    pub(super) async fn rows(
        &self,
        sql: &'static str,
        given: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, StoreError> {
        let mut twice = Twice::default();
        loop {
            let client = open::connection(&self.pool).await?;
            let rows = match client.prepare_cached(sql).await {
                Ok(prepared) => client.query(&prepared, given).await,
                Err(why) => Err(why),
            };
            if let Some(rows) = twice.ended(rows.map_err(Failed::from)) {
                return rows;
            }
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
        let unavailable = |why: String| Some(Err(StoreError::Unavailable(why)));
        match outcome {
            Ok(value) => Some(Ok(value)),
            Err(Failed::Lost(_)) if !std::mem::replace(&mut self.is_second, true) => None,
            Err(Failed::Lost(why)) => unavailable(format!("PostgreSQL: {why}")),
            Err(Failed::Conflict(what)) => unavailable(what.to_owned()),
            Err(Failed::Store(why)) => Some(Err(why)),
        }
    }
}
