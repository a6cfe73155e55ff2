//! The store on PostgreSQL: any number of gateways.
//!
//! [`open`] has the connections ([`tls`]), migrations and the key; [`pipeline`] sends statements together.
//! [`step`] is the protocol of one step ([`lanes`] for those that meet), with [`seen`] (and [`people`], [`moving`]) reading and [`write`]
//! writing, [`sums`] and [`hand_over`] among it; [`fault`] says what may be concluded when a connection ends. [`read`] and
//! [`items`] answer questions, [`books`] those about money; [`lease`] and [`outbox`] hold what waits; [`adapters`] is what is written down of them;
//! [`import`] brings files in, [`values`] are days and instants on the wire.

mod adapters;
mod books;
mod fault;
mod hand_over;
mod import;
mod import_catalogue;
mod import_openings;
mod import_people;
mod import_roster;
mod items;
mod lanes;
mod lease;
mod moving;
mod open;
mod outbox;
mod people;
mod pipeline;
mod read;
mod seen;
mod step;
mod sums;
mod tls;
mod values;
mod write;

pub use open::connection_to;

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::Pool;
use jiff::Timestamp;
use jiff::civil::Date;
use uuid::Uuid;

use super::address::PostgresAddress;
use super::registers::{Import, Importing, Registers};
use super::seal::Key;
use super::vault::Vault;
use super::writes::{MessageRow, Writes};
use super::{
    Answer, BooksPage, CatalogueItem, Done, Due, Lease, MessageClaim, OutboxEntry, PersonFacts, PersonRef,
    ReportLine, StayRef, Step, Store, StoreError, StoredSettlement, StoredStay,
};
use crate::catalogue::CatalogueRow;
use crate::roster::opening::OpeningRow;
use crate::roster::{RosterMode, RosterRow};
use crate::runtime::Ids;
use fault::{Failed, broken};
use lanes::Lanes;

/// How a store is opened.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Connections of this gateway for settlements; [`TELLING_CONNECTIONS`] come to them.
    pub connections_max: usize,
    /// How long a step waits for one of them before the store says that it is busy.
    pub wait: Duration,
    /// How long the store is asked whether a write took place, before nobody can say.
    pub doubt: Duration,
}

/// Connections that keep two cores of a server busy with steps that wait for the disk.
const CONNECTIONS_MAX: usize = 16;
const WAIT_MS: u64 = 500;
/// Senders wait ten seconds or longer: of a server that has ended they are told before they give up.
const DOUBT_MS: u64 = 8_000;
/// Connections for telling hospitals: one reads what is due or a bill while the other notes what became of one.
pub const TELLING_CONNECTIONS: usize = 2;

impl Default for Options {
    fn default() -> Self {
        let (wait, doubt) = (Duration::from_millis(WAIT_MS), Duration::from_millis(DOUBT_MS));
        Self { connections_max: CONNECTIONS_MAX, wait, doubt }
    }
}

/// A store on PostgreSQL.
pub struct Postgres {
    pool: Pool,
    /// For the outbox alone ([`outbox`]).
    telling: Pool,
    vault: Arc<Vault>,
    lanes: Lanes,
    doubt: Duration,
}

impl Postgres {
    /// Connects, brings the schema up to date and proves the key; a new database gets its tables and is bound
    /// to this key.
    pub async fn open(
        address: &PostgresAddress,
        key: Option<Key>,
        ids: Arc<dyn Ids>,
        options: Options,
    ) -> Result<Self, StoreError> {
        let pool = open::pool(address, options)?;
        let telling = open::telling_pool(address)?;
        let mut client = open::connection(&pool).await?;
        open::migrate(&mut client, key.as_ref()).await?;
        let (key, own, claims) = open::unlock(&client, key).await?;
        drop(client);
        let vault = Arc::new(Vault { key, own, claims, ids });
        Ok(Self { pool, telling, vault, lanes: Lanes::new(), doubt: options.doubt })
    }

    /// Lets go of the connections; steps on their way end first.
    pub fn close(&self) {
        self.pool.close();
        self.telling.close();
    }
}

impl Store for Postgres {
    fn step(&self, step: Step) -> Answer<'_, Done> {
        Box::pin(self.do_step(step))
    }

    fn keep_refused(&self, at: Timestamp, claim: MessageClaim, answer: Vec<u8>) -> Answer<'_, ()> {
        let own = &self.vault.own;
        let row = MessageRow::unclaimed(&self.vault, at, Uuid::nil(), own, &claim, &answer);
        Box::pin(async move {
            let writes = Writes { message: Some(row?), ..Writes::default() };
            // The row has an id of its own: where it was kept and the answer was lost, it is there already.
            let mut twice = read::Twice::default();
            loop {
                let client = open::connection(&self.pool).await?;
                let committed = step::commit(&client, &writes, Uuid::nil(), false).await;
                if let Some(done) = twice.ended(committed) {
                    return done;
                }
            }
        })
    }

    fn person(&self, persons: Vec<PersonRef>) -> Answer<'_, Option<PersonFacts>> {
        Box::pin(async move { self.read_person(&persons).await })
    }

    fn stay(&self, stay: StayRef) -> Answer<'_, Option<StoredStay>> {
        Box::pin(async move { self.read_stay(&self.pool, &stay).await })
    }

    fn settlement(&self, id: Uuid) -> Answer<'_, Option<StoredSettlement>> {
        Box::pin(self.read_settlement(&self.pool, id, None))
    }

    fn bill(&self, id: Uuid, version: u32) -> Answer<'_, Option<StoredSettlement>> {
        Box::pin(self.read_settlement(&self.telling, id, Some(version)))
    }

    fn items(
        &self,
        hospital: Arc<str>,
        region: Arc<str>,
        on: Date,
        codes: Vec<String>,
    ) -> Answer<'_, Vec<Option<CatalogueItem>>> {
        Box::pin(async move { self.read_items(&hospital, &region, on, codes).await })
    }

    fn due(&self, now: Timestamp, limit: u32) -> Answer<'_, Vec<Due>> {
        Box::pin(self.read_due(now, limit))
    }

    fn held_by(&self, holder: Arc<str>, limit: u32) -> Answer<'_, Vec<Due>> {
        Box::pin(async move { self.read_held_by(&holder, limit).await })
    }

    fn take(&self, due: Due, holder: Arc<str>, until: Timestamp) -> Answer<'_, Option<Lease>> {
        Box::pin(async move { self.take_lease(due, &holder, until).await })
    }

    fn attention(&self, limit: u32) -> Answer<'_, Vec<Uuid>> {
        Box::pin(self.read_attention(limit))
    }

    fn outbox_due(&self, now: Timestamp, busy: Vec<Arc<str>>, limit: u32) -> Answer<'_, Vec<OutboxEntry>> {
        Box::pin(async move { self.read_outbox_due(now, &busy, limit).await })
    }

    fn outbox_take(&self, entry: OutboxEntry, until: Timestamp) -> Answer<'_, bool> {
        Box::pin(self.take_from_outbox(entry, until))
    }

    fn outbox_delivered(&self, entry: OutboxEntry) -> Answer<'_, ()> {
        Box::pin(self.delivered(entry))
    }

    fn outbox_failed(&self, entry: OutboxEntry, due_at: Timestamp, why: String) -> Answer<'_, ()> {
        Box::pin(self.failed(entry, due_at, why))
    }

    fn outbox_waiting(&self, limit: u32) -> Answer<'_, Vec<OutboxEntry>> {
        Box::pin(self.read_outbox_waiting(limit))
    }

    fn books(&self, after: Option<Uuid>, people: u32) -> Answer<'_, BooksPage> {
        Box::pin(self.read_books(after, people))
    }

    fn report(&self, day: Date) -> Answer<'_, Vec<ReportLine>> {
        Box::pin(self.read_report(day))
    }

    fn ping(&self) -> Answer<'_, ()> {
        Box::pin(async move {
            let sql = "UPDATE heartbeat SET beats = beats + 1";
            self.rows(sql, &[]).await.map(|_| ())
        })
    }

    fn steps_beside_messages(&self) -> usize {
        (self.pool.status().max_size * 3 / 4).max(1)
    }
}

impl Registers for Postgres {
    fn import_roster(&self, import: Import<RosterRow>, mode: RosterMode) -> Importing<'_> {
        Box::pin(self.import(move |writing| import_roster::run(writing, import, mode)))
    }

    fn import_catalogue(&self, import: Import<CatalogueRow>) -> Importing<'_> {
        Box::pin(self.import(move |writing| import_catalogue::run(writing, import)))
    }

    fn import_openings(&self, import: Import<OpeningRow>) -> Importing<'_> {
        Box::pin(self.import(move |writing| import_openings::run(writing, import)))
    }
}
