//! The ledger as it lies in the tables: its rows, the report of a day, and the books for an audit.

use deadpool_postgres::ClientWrapper;
use jiff::civil::Date;
use tokio_postgres::Row;
use uuid::Uuid;
use yizhan_contract::{Money, PayerCode};

use super::super::documents::BillId;
use super::super::ledger::{self, DaySum};
use super::super::person::damaged;
use super::super::{Account, Book, BooksPage, Posting, ReportLine, StoreError};
use super::pipeline::{Batch, given};
use super::read::Twice;
use super::values::Day;
use super::{Failed, Postgres, open};

/// What was posted for the settlements of a stay so far.
pub(super) const POSTED: &str =
    "SELECT p.settlement_id, p.kind, p.debit, p.credit, p.amount FROM settlement s
    JOIN posting p ON p.person_id = s.person_id AND p.settlement_id = s.settlement_id
    WHERE s.person_id = $1 AND s.stay_id = $2";

pub(super) fn posted(row: &Row) -> Result<(Uuid, Posting), StoreError> {
    Ok((row.get(0), posting(row, 1)?))
}

/// Columns `kind`, `debit`, `credit`, `amount`, from `first` on.
fn posting(row: &Row, first: usize) -> Result<Posting, StoreError> {
    let account =
        |column: usize| -> Result<Account, StoreError> { Ok(row.get::<_, &str>(column).parse::<Account>()?) };
    Ok(Posting {
        kind: row.get::<_, &str>(first).parse()?,
        debit: account(first + 1)?,
        credit: account(first + 2)?,
        amount: Money::from_fen(row.get(first + 3)),
    })
}

/// All that a bill posts, in one statement.
pub(super) fn write(batch: &mut Batch<'_>, owner: Uuid, bill: BillId, day: Date, postings: &[Posting]) {
    if postings.is_empty() {
        return;
    }
    let sql = "INSERT INTO posting (person_id, settlement_id, version, day, debit, credit, kind, amount)
               SELECT $1::uuid, $2::uuid, $3::integer, $4::date, *
               FROM unnest($5::text[], $6::text[], $7::text[], $8::bigint[])";
    let debits: Vec<String> = postings.iter().map(|posting| posting.debit.to_string()).collect();
    let credits: Vec<String> = postings.iter().map(|posting| posting.credit.to_string()).collect();
    let kinds: Vec<&str> = postings.iter().map(|posting| posting.kind.word()).collect();
    let amounts: Vec<i64> = postings.iter().map(|posting| posting.amount.fen()).collect();
    let (settlement, version) = (bill.settlement, bill.version as i32);
    batch.add(sql, given![owner, settlement, version, Day(Some(day)), debits, credits, kinds, amounts]);
}

impl Postgres {
    /// What the day's ledger says, and what else came into a state that day and is in it still.
    pub(super) async fn read_report(&self, day: Date) -> Result<Vec<ReportLine>, StoreError> {
        let day = Day(Some(day));
        let sql =
            "SELECT kind, debit, credit, sum(amount)::bigint, count(DISTINCT settlement_id) FROM posting
                   WHERE day = $1 GROUP BY kind, debit, credit";
        let sum = |row: &Row| -> Result<DaySum, StoreError> {
            let Posting { kind, debit, credit, amount } = posting(row, 0)?;
            let settlements = row.get::<_, i64>(4).unsigned_abs();
            Ok(DaySum { kind, debit, credit, settlements, amount })
        };
        let sums = self.rows(sql, &[&day]).await?.iter().map(sum).collect::<Result<Vec<_>, _>>()?;
        let sql = "SELECT s.hospital, l.payer, s.state, count(*), sum(l.paid)::bigint FROM settlement s
                   JOIN leg l ON l.person_id = s.person_id AND l.settlement_id = s.settlement_id
                   WHERE s.day = $1 AND s.state NOT IN ('settled', 'reversed')
                   GROUP BY s.hospital, l.payer, s.state
                   UNION ALL
                   SELECT hospital, 'patient', state, count(*), sum(patient_share)::bigint FROM settlement
                   WHERE day = $1 AND state NOT IN ('settled', 'reversed') GROUP BY hospital, state";
        let other = |row: &Row| ReportLine {
            hospital: row.get(0),
            payer: row.get(1),
            state: row.get(2),
            count: row.get::<_, i64>(3).unsigned_abs(),
            paid: Money::from_fen(row.get(4)),
        };
        Ok(ledger::report(sums, self.rows(sql, &[&day]).await?.iter().map(other).collect()))
    }

    /// The books of the next people, as of one moment.
    pub(super) async fn read_books(&self, after: Option<Uuid>, people: u32) -> Result<BooksPage, StoreError> {
        let mut twice = Twice::default();
        loop {
            let client = open::connection(&self.pool).await?;
            if let Some(rows) = twice.ended(pages(&client, after, people).await) {
                return self.books_of(&rows?);
            }
        }
    }

    fn books_of(&self, pages: &[Vec<Row>]) -> Result<BooksPage, StoreError> {
        let [_, people, settlements, bills, legs, postings, sums, _] = pages else {
            return Err(damaged("an answer"));
        };
        let mut books = Vec::with_capacity(settlements.len());
        for row in settlements {
            let (person, settlement): (Uuid, Uuid) = (row.get(0), row.get(1));
            let of_it = |row: &&Row| row.get::<_, Uuid>(0) == settlement;
            let of_person = |row: &&Row| row.get::<_, Uuid>(0) == person;
            let data_key = self.vault.key.unwrap_data_key(person, row.get(6))?;
            let open = |row: &Row| {
                let id = BillId { settlement, version: row.get::<_, i32>(1).unsigned_abs() };
                id.open(&data_key, row.get(2))
            };
            let leg = |row: &Row| Ok((payer(row, 1)?, row.get(2), Money::from_fen(row.get(3))));
            let sum = |row: &Row| Ok((row.get(1), payer(row, 2)?, Money::from_fen(row.get(3))));
            books.push(Book {
                person_id: person,
                settlement_id: settlement,
                hospital: row.get::<_, &str>(2).into(),
                state: row.get(3),
                total: Money::from_fen(row.get(4)),
                patient_share: Money::from_fen(row.get(5)),
                legs: legs.iter().filter(of_it).map(leg).collect::<Result<_, StoreError>>()?,
                bills: bills.iter().filter(of_it).map(open).collect::<Result<_, _>>()?,
                postings: postings
                    .iter()
                    .filter(of_it)
                    .map(|row| posting(row, 1))
                    .collect::<Result<_, _>>()?,
                accumulated: sums.iter().filter(of_person).map(sum).collect::<Result<_, StoreError>>()?,
            });
        }
        Ok(BooksPage { books, last: people.last().map(|row| row.get(0)) })
    }
}

fn payer(row: &Row, column: usize) -> Result<PayerCode, StoreError> {
    row.get::<_, &str>(column).parse().map_err(|_| damaged("a payer's code"))
}

/// The next people. Named again in each statement: people who are joined while the books are read stay in one of them.
macro_rules! page {
    () => {
        "(SELECT DISTINCT person_id FROM settlement WHERE person_id > $1 ORDER BY person_id LIMIT $2) AS page"
    };
}

/// Everything about the next people, in one snapshot.
async fn pages(client: &ClientWrapper, after: Option<Uuid>, people: u32) -> Result<Vec<Vec<Row>>, Failed> {
    // A uuid of zeros is the store itself, which has no stays.
    let (after, people) = (after.unwrap_or(Uuid::nil()), i64::from(people));
    let mut batch = Batch::default();
    batch.add("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", Vec::new());
    for sql in [
        concat!("SELECT person_id FROM ", page!(), " ORDER BY person_id"),
        concat!(
            "SELECT s.person_id, s.settlement_id, s.hospital, s.state, s.total, s.patient_share, p.wrapped_key
             FROM settlement s JOIN person p ON p.person_id = s.person_id JOIN ",
            page!(),
            " ON page.person_id = s.person_id ORDER BY s.person_id, s.settlement_id"
        ),
        concat!(
            "SELECT settlement_id, version, document FROM bill JOIN ",
            page!(),
            " USING (person_id) ORDER BY version"
        ),
        concat!(
            "SELECT settlement_id, payer, state, paid FROM leg JOIN ",
            page!(),
            " USING (person_id) ORDER BY payer"
        ),
        concat!(
            "SELECT settlement_id, kind, debit, credit, amount FROM posting JOIN ",
            page!(),
            " USING (person_id) ORDER BY version, debit, credit"
        ),
        concat!(
            "SELECT person_id, year, payer, paid FROM accumulator JOIN ",
            page!(),
            " USING (person_id) ORDER BY year, payer"
        ),
    ] {
        batch.add(sql, given![after, people]);
    }
    batch.add("COMMIT", Vec::new());
    batch.rows(client).await
}
