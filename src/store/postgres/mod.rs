//! The store on PostgreSQL: any number of gateways.
//!
//! [`open`] has the connections ([`tls`]), migrations and the key; [`pipeline`] sends statements together.
//! [`step`] is the protocol of one step, with [`seen`] (and [`people`], [`moving`]) reading and [`write`]
//! writing; [`fault`] says what may be concluded when a connection ends. [`read`] and [`items`] answer
//! questions, [`import`] brings files in, [`values`] are days and instants on the wire.

mod fault;
mod import;
mod import_catalogue;
mod import_openings;
mod import_people;
mod import_roster;
mod items;
mod moving;
mod open;
mod people;
mod pipeline;
mod read;
mod seen;
mod step;
mod tls;
mod values;
mod write;

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
    Answer, CatalogueItem, Done, MessageClaim, PersonFacts, PersonRef, ReportLine, StayRef, Step, Store,
    StoreError, StoredSettlement, StoredStay,
};
use crate::catalogue::CatalogueRow;
use crate::roster::opening::OpeningRow;
use crate::roster::{RosterMode, RosterRow};
use crate::runtime::Ids;
use fault::{Failed, broken};

/// How a store is opened.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Connections of this gateway.
    pub connections_max: usize,
    /// How long a step waits for one of them before the store says that it is busy.
    pub wait: Duration,
}

/// Connections that keep two cores of a server busy with steps that wait for the disk.
const CONNECTIONS_MAX: usize = 16;
const WAIT_MS: u64 = 500;

impl Default for Options {
    fn default() -> Self {
        Self { connections_max: CONNECTIONS_MAX, wait: Duration::from_millis(WAIT_MS) }
    }
}

/// A store on PostgreSQL.
pub struct Postgres {
    pool: Pool,
    vault: Arc<Vault>,
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
        let mut client = open::connection(&pool).await?;
        open::migrate(&mut client).await?;
        let own = open::unlock(&client, key.as_ref()).await?;
        let key = key.ok_or_else(|| StoreError::Defect("a store was opened without a key".to_owned()))?;
        drop(client);
        Ok(Self { pool, vault: Arc::new(Vault { key, own, ids }) })
    }

    /// Lets go of the connections; steps on their way end first.
    pub fn close(&self) {
        self.pool.close();
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
            // Kept twice, where an answer was lost: nothing hangs on how often.
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
        Box::pin(async move { self.read_stay(&stay).await })
    }

    fn settlement(&self, id: Uuid) -> Answer<'_, Option<StoredSettlement>> {
        Box::pin(self.read_settlement(id))
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

    fn due(&self, now: Timestamp, limit: u32) -> Answer<'_, Vec<Uuid>> {
        Box::pin(self.read_due(now, limit))
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
