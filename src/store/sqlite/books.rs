//! The ledger as it lies in the file: its rows, the report of a day, and the books for an audit.

use jiff::civil::Date;
use rusqlite::{Connection, Row, params};
use uuid::Uuid;
use yizhan_contract::{Money, PayerCode};

use super::super::documents::BillId;
use super::super::ledger::{self, DaySum};
use super::super::person::damaged;
use super::super::vault::Vault;
use super::super::{Account, Book, BooksPage, Posting, ReportLine, StoreError};
use super::person;
use super::step::at_one_moment;

/// What the day's ledger says, and what else came into a state that day and is in it still.
pub(super) fn report(connection: &Connection, day: Date) -> Result<Vec<ReportLine>, StoreError> {
    let sql = "SELECT s.hospital, l.payer, s.state, count(*), sum(l.paid) FROM settlement s
               JOIN leg l ON l.person_id = s.person_id AND l.settlement_id = s.settlement_id
               WHERE s.day = ?1 AND s.state NOT IN ('settled', 'reversed') GROUP BY s.hospital, l.payer, s.state
               UNION ALL
               SELECT hospital, 'patient', state, count(*), sum(patient_share) FROM settlement
               WHERE day = ?1 AND state NOT IN ('settled', 'reversed') GROUP BY hospital, state";
    let mut select = connection.prepare_cached(sql)?;
    let others = select.query_map([day.to_string()], |row| {
        Ok(ReportLine {
            hospital: row.get(0)?,
            payer: row.get(1)?,
            state: row.get(2)?,
            count: row.get::<_, i64>(3)?.unsigned_abs(),
            paid: Money::from_fen(row.get(4)?),
        })
    })?;
    let others = others.collect::<Result<_, _>>()?;
    Ok(ledger::report(posted_on(connection, day)?, others))
}

fn posted_on(connection: &Connection, day: Date) -> Result<Vec<DaySum>, StoreError> {
    let sql = "SELECT kind, debit, credit, sum(amount), count(DISTINCT settlement_id) FROM posting
               WHERE day = ?1 GROUP BY kind, debit, credit";
    let mut select = connection.prepare_cached(sql)?;
    let mut rows = select.query([day.to_string()])?;
    let mut sums = Vec::new();
    while let Some(row) = rows.next()? {
        let Posting { kind, debit, credit, amount } = posting(row, 0)?;
        let settlements = row.get::<_, i64>(4)?.unsigned_abs();
        sums.push(DaySum { kind, debit, credit, settlements, amount });
    }
    Ok(sums)
}

/// Columns `kind`, `debit`, `credit`, `amount`, from `first` on.
fn posting(row: &Row<'_>, first: usize) -> Result<Posting, StoreError> {
    let account = |column: usize| -> Result<Account, StoreError> {
        Ok(row.get_ref(column)?.as_str()?.parse::<Account>()?)
    };
    Ok(Posting {
        kind: row.get_ref(first)?.as_str()?.parse()?,
        debit: account(first + 1)?,
        credit: account(first + 2)?,
        amount: Money::from_fen(row.get(first + 3)?),
    })
}

/// What was posted for the settlements of a stay so far.
pub(super) fn posted_for(
    connection: &Connection,
    person: Uuid,
    stay: Uuid,
) -> Result<Vec<(Uuid, Posting)>, StoreError> {
    let sql = "SELECT p.settlement_id, p.kind, p.debit, p.credit, p.amount FROM settlement s
               JOIN posting p ON p.person_id = s.person_id AND p.settlement_id = s.settlement_id
               WHERE s.person_id = ?1 AND s.stay_id = ?2";
    let mut select = connection.prepare_cached(sql)?;
    let mut rows = select.query([person.into_bytes(), stay.into_bytes()])?;
    let mut posted = Vec::new();
    while let Some(row) = rows.next()? {
        posted.push((Uuid::from_bytes(row.get(0)?), posting(row, 1)?));
    }
    Ok(posted)
}

pub(super) fn write(
    connection: &Connection,
    owner: Uuid,
    bill: BillId,
    day: Date,
    posting: &Posting,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO posting (person_id, settlement_id, version, debit, credit, kind, day, amount)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    connection.prepare_cached(sql)?.execute(params![
        owner.into_bytes(),
        bill.settlement.into_bytes(),
        bill.version,
        posting.debit.to_string(),
        posting.credit.to_string(),
        posting.kind.word(),
        day.to_string(),
        posting.amount.fen(),
    ])?;
    Ok(())
}

/// The books of the next people, as of one moment.
pub(super) fn books(
    connection: &Connection,
    vault: &Vault,
    after: Option<Uuid>,
    people: u32,
) -> Result<BooksPage, StoreError> {
    at_one_moment(connection, || books_after(connection, vault, after, people))
}

fn books_after(
    connection: &Connection,
    vault: &Vault,
    after: Option<Uuid>,
    people: u32,
) -> Result<BooksPage, StoreError> {
    // A uuid of zeros is the store itself, which has no stays.
    let after = after.unwrap_or(Uuid::nil()).into_bytes();
    let sql = "SELECT DISTINCT person_id FROM settlement WHERE person_id > ?1 ORDER BY person_id LIMIT ?2";
    let mut select = connection.prepare_cached(sql)?;
    let people =
        select.query_map(params![after, people], |row| row.get(0))?.collect::<Result<Vec<_>, _>>()?;
    let mut page = BooksPage::default();
    for person in people.into_iter().map(Uuid::from_bytes) {
        page.books.extend(books_of(connection, vault, person)?);
        page.last = Some(person);
    }
    Ok(page)
}

fn books_of(connection: &Connection, vault: &Vault, person: Uuid) -> Result<Vec<Book>, StoreError> {
    let data_key = person::load(connection, &vault.key, person)?.data_key;
    let accumulated = accumulated(connection, person)?;
    let sql =
        "SELECT settlement_id, hospital, state, total, patient_share FROM settlement WHERE person_id = ?1
               ORDER BY settlement_id";
    let mut select = connection.prepare_cached(sql)?;
    let mut rows = select.query([person.into_bytes()])?;
    let mut books = Vec::new();
    while let Some(row) = rows.next()? {
        let settlement = Uuid::from_bytes(row.get(0)?);
        let hospital: String = row.get(1)?;
        let open =
            |(version, sealed): (u32, Vec<u8>)| BillId { settlement, version }.open(&data_key, &sealed);
        let bills = bills(connection, person, settlement)?;
        books.push(Book {
            person_id: person,
            settlement_id: settlement,
            hospital: hospital.into(),
            state: row.get(2)?,
            total: Money::from_fen(row.get(3)?),
            patient_share: Money::from_fen(row.get(4)?),
            legs: legs(connection, person, settlement)?,
            bills: bills.into_iter().map(open).collect::<Result<_, _>>()?,
            postings: postings(connection, person, settlement)?,
            accumulated: accumulated.clone(),
        });
    }
    Ok(books)
}

fn bills(connection: &Connection, person: Uuid, settlement: Uuid) -> Result<Vec<(u32, Vec<u8>)>, StoreError> {
    let sql =
        "SELECT version, document FROM bill WHERE person_id = ?1 AND settlement_id = ?2 ORDER BY version";
    let mut select = connection.prepare_cached(sql)?;
    let of = [person.into_bytes(), settlement.into_bytes()];
    Ok(select.query_map(of, |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?)
}

fn legs(
    connection: &Connection,
    person: Uuid,
    settlement: Uuid,
) -> Result<Vec<(PayerCode, String, Money)>, StoreError> {
    let sql = "SELECT payer, state, paid FROM leg WHERE person_id = ?1 AND settlement_id = ?2";
    let mut select = connection.prepare_cached(sql)?;
    let mut rows = select.query([person.into_bytes(), settlement.into_bytes()])?;
    let mut legs = Vec::new();
    while let Some(row) = rows.next()? {
        legs.push((payer(row, 0)?, row.get(1)?, Money::from_fen(row.get(2)?)));
    }
    Ok(legs)
}

fn postings(connection: &Connection, person: Uuid, settlement: Uuid) -> Result<Vec<Posting>, StoreError> {
    let sql = "SELECT kind, debit, credit, amount FROM posting WHERE person_id = ?1 AND settlement_id = ?2
               ORDER BY version, debit, credit";
    let mut select = connection.prepare_cached(sql)?;
    let mut rows = select.query([person.into_bytes(), settlement.into_bytes()])?;
    let mut postings = Vec::new();
    while let Some(row) = rows.next()? {
        postings.push(posting(row, 0)?);
    }
    Ok(postings)
}

fn accumulated(connection: &Connection, person: Uuid) -> Result<Vec<(i16, PayerCode, Money)>, StoreError> {
    let sql = "SELECT year, payer, paid FROM accumulator WHERE person_id = ?1 ORDER BY year, payer";
    let mut select = connection.prepare_cached(sql)?;
    let mut rows = select.query([person.into_bytes()])?;
    let mut sums = Vec::new();
    while let Some(row) = rows.next()? {
        sums.push((row.get(0)?, payer(row, 1)?, Money::from_fen(row.get(2)?)));
    }
    Ok(sums)
}

fn payer(row: &Row<'_>, column: usize) -> Result<PayerCode, StoreError> {
    row.get_ref(column)?.as_str()?.parse().map_err(|_| damaged("a payer's code"))
}
