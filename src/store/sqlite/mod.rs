//! The store on SQLite: one file, one gateway.
//!
//! [`step`] drives a step: [`seen`] reads for it on a connection of its own, [`write`] writes what it decided;
//! [`writer`] holds the one connection that writes and lets steps share commits, with [`manners`] beside another process;
//! [`readers`] hold the others.
//! [`read`] answers questions, [`books`] those about money; [`lease`] and [`outbox`] hold what waits;
//! [`import`] brings files in; [`copy`] makes and restores backups; [`open`] has the settings.
//! In memory there is one connection only: questions queue with the steps, which decide in their turn.

mod adapters;
mod books;
mod copy;
mod import;
mod import_catalogue;
mod import_openings;
mod import_people;
mod import_roster;
mod lease;
mod manners;
mod open;
mod outbox;
mod person;
mod read;
mod readers;
mod seen;
mod step;
mod write;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;
use rusqlite::Connection;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::registers::{Import, Importing, Registers};
use super::seal::Key;
use super::vault::Vault;
use super::writes::MessageRow;
use super::{
    Answer, BooksPage, CatalogueItem, Done, Due, Lease, MessageClaim, OutboxEntry, PersonFacts, PersonRef,
    ReportLine, StayRef, Step, Store, StoreError, StoredSettlement, StoredStay,
};
use crate::catalogue::CatalogueRow;
use crate::roster::opening::OpeningRow;
use crate::roster::{RosterMode, RosterRow};
use crate::runtime::Ids;

use manners::Manners;
use readers::Readers;

pub use copy::{CopyProgress, restore};
pub use writer::QUEUE_STEPS_MAX;

/// How a store is opened.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// The store is full beyond this; absent: the disk decides.
    pub file_bytes_max: Option<u64>,
}

/// A store on SQLite.
pub struct Sqlite {
    writer: writer::Writer,
    ended: oneshot::Receiver<()>,
    /// Absent in memory.
    readers: Option<Readers>,
    vault: Arc<Vault>,
    path: Option<PathBuf>,
    importing: Arc<tokio::sync::Mutex<()>>,
}

impl Sqlite {
    /// Opens a store's file, or makes it; blocks while it does. Without a key a store is never opened: the
    /// error names the key it wants.
    pub fn open(
        path: &Path,
        key: Option<Key>,
        ids: Arc<dyn Ids>,
        options: Options,
    ) -> Result<Self, StoreError> {
        open::need_key(path, key.as_ref())?;
        Self::open_locked(path, open::StoreLock::take(path)?, None, key, ids, options)
    }

    /// Opens an existing store for one command, beside the gateway that may be serving it: SQLite lets both
    /// write in turn. Blocks while it does.
    pub fn open_beside(path: &Path, key: Option<Key>, ids: Arc<dyn Ids>) -> Result<Self, StoreError> {
        open::need_key(path, key.as_ref())?;
        let lock = open::StoreLock::take_beside(path)?;
        Self::open_locked(path, lock, Some(Manners::default()), key, ids, Options::default())
    }

    fn open_locked(
        path: &Path,
        lock: open::StoreLock,
        manners: Option<Manners>,
        key: Option<Key>,
        ids: Arc<dyn Ids>,
        options: Options,
    ) -> Result<Self, StoreError> {
        let mut connection = Connection::open(path).map_err(|why| open::unavailable(path, &why))?;
        open::check(&connection, key.as_ref())?;
        open::writing(&connection, options.file_bytes_max)?;
        open::migrate(&mut connection)?;
        let (key, own, claims) = open::unlock(&connection, key)?;
        let readers = Some(Readers::start(path)?);
        let vault = Vault { key, own, claims, ids };
        let (writer, ended) = writer::Writer::start(connection, Some(lock), manners)?;
        Ok(Self::of(writer, ended, readers, vault, Some(path.to_owned())))
    }

    /// A store in memory under a key of its own; gone with the process.
    pub fn in_memory(ids: Arc<dyn Ids>) -> Result<Self, StoreError> {
        let key =
            Key::ephemeral().map_err(|why| StoreError::Unavailable(StoreError::said_by("SQLite", &why)))?;
        let mut connection = Connection::open_in_memory()?;
        open::writing(&connection, None)?;
        open::migrate(&mut connection)?;
        let (key, own, claims) = open::unlock(&connection, Some(key))?;
        let (writer, ended) = writer::Writer::start(connection, None, None)?;
        Ok(Self::of(writer, ended, None, Vault { key, own, claims, ids }, None))
    }

    fn of(
        writer: writer::Writer,
        ended: oneshot::Receiver<()>,
        readers: Option<Readers>,
        vault: Vault,
        path: Option<PathBuf>,
    ) -> Self {
        Self { writer, ended, readers, vault: Arc::new(vault), path, importing: Arc::default() }
    }

    /// Finishes what is queued and lets go of the file; returns when another gateway may open it.
    pub async fn close(self) {
        let Self { writer, ended, readers, .. } = self;
        drop(writer);
        if let Some(readers) = readers {
            readers.close().await;
        }
        // An error says that the writer is gone already.
        let _ = ended.await;
    }

    /// Durable commits of steps since the store was opened.
    pub fn commits(&self) -> u64 {
        self.writer.commits()
    }

    /// Work that stands in the writer's queue now.
    pub fn waiting(&self) -> usize {
        self.writer.waiting()
    }

    /// Answers a question beside the writer, or in its queue where there is no other connection.
    async fn read<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let Some(readers) = &self.readers else {
            return self.writer.run(move |connection, _| question(connection)).await;
        };
        readers.ask(move |connection| step::at_one_moment(connection, || question(connection))).await
    }
}

impl Store for Sqlite {
    fn step(&self, step: Step) -> Answer<'_, Done> {
        Box::pin(self.do_step(step))
    }

    fn keep_refused(&self, at: Timestamp, claim: MessageClaim, answer: Vec<u8>) -> Answer<'_, ()> {
        let own = &self.vault.own;
        let row = MessageRow::unclaimed(&self.vault, at, Uuid::nil(), own, &claim, &answer);
        Box::pin(async move {
            let row = row?;
            self.writer.run(move |connection, _| write::write_message(connection, &row).map(|_| ())).await
        })
    }

    fn person(&self, persons: Vec<PersonRef>) -> Answer<'_, Option<PersonFacts>> {
        let vault = Arc::clone(&self.vault);
        Box::pin(self.read(move |connection| read::person(connection, &vault, &persons)))
    }

    fn stay(&self, stay: StayRef) -> Answer<'_, Option<StoredStay>> {
        let vault = Arc::clone(&self.vault);
        Box::pin(self.read(move |connection| seen::stay(connection, &vault, &stay)))
    }

    fn settlement(&self, id: Uuid) -> Answer<'_, Option<StoredSettlement>> {
        let vault = Arc::clone(&self.vault);
        Box::pin(self.read(move |connection| read::settlement(connection, &vault, id, None)))
    }

    fn bill(&self, id: Uuid, version: u32) -> Answer<'_, Option<StoredSettlement>> {
        let vault = Arc::clone(&self.vault);
        Box::pin(self.read(move |connection| read::settlement(connection, &vault, id, Some(version))))
    }

    fn items(
        &self,
        hospital: Arc<str>,
        region: Arc<str>,
        on: Date,
        codes: Vec<String>,
    ) -> Answer<'_, Vec<Option<CatalogueItem>>> {
        Box::pin(self.read(move |connection| read::items(connection, &hospital, &region, on, &codes)))
    }

    fn due(&self, now: Timestamp, limit: u32) -> Answer<'_, Vec<Due>> {
        Box::pin(self.read(move |connection| lease::due(connection, now, limit)))
    }

    fn held_by(&self, holder: Arc<str>, limit: u32) -> Answer<'_, Vec<Due>> {
        Box::pin(self.read(move |connection| lease::held_by(connection, &holder, limit)))
    }

    fn take(&self, due: Due, holder: Arc<str>, until: Timestamp) -> Answer<'_, Option<Lease>> {
        Box::pin(self.writer.run(move |connection, _| lease::take(connection, &due, &holder, until)))
    }

    fn attention(&self, limit: u32) -> Answer<'_, Vec<Uuid>> {
        Box::pin(self.read(move |connection| lease::attention(connection, limit)))
    }

    fn outbox_due(&self, now: Timestamp, busy: Vec<Arc<str>>, limit: u32) -> Answer<'_, Vec<OutboxEntry>> {
        Box::pin(self.read(move |connection| outbox::due(connection, now, &busy, limit)))
    }

    fn outbox_take(&self, entry: OutboxEntry, until: Timestamp) -> Answer<'_, bool> {
        Box::pin(self.writer.run(move |connection, _| outbox::take(connection, &entry, until)))
    }

    fn outbox_delivered(&self, entry: OutboxEntry) -> Answer<'_, ()> {
        Box::pin(self.writer.run(move |connection, _| outbox::delivered(connection, &entry)))
    }

    fn outbox_failed(&self, entry: OutboxEntry, due_at: Timestamp, why: String) -> Answer<'_, ()> {
        Box::pin(self.writer.run(move |connection, _| outbox::failed(connection, &entry, due_at, &why)))
    }

    fn outbox_waiting(&self, limit: u32) -> Answer<'_, Vec<OutboxEntry>> {
        Box::pin(self.read(move |connection| outbox::waiting(connection, limit)))
    }

    fn books(&self, after: Option<Uuid>, people: u32) -> Answer<'_, BooksPage> {
        let vault = Arc::clone(&self.vault);
        Box::pin(self.read(move |connection| books::books(connection, &vault, after, people)))
    }

    fn report(&self, day: Date) -> Answer<'_, Vec<ReportLine>> {
        Box::pin(self.read(move |connection| books::report(connection, day)))
    }

    fn ping(&self) -> Answer<'_, ()> {
        Box::pin(self.writer.run(|connection, _| {
            connection.prepare_cached("UPDATE heartbeat SET beats = beats + 1")?.execute([])?;
            Ok(())
        }))
    }

    fn steps_beside_messages(&self) -> usize {
        QUEUE_STEPS_MAX / 2
    }
}

impl Registers for Sqlite {
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

impl From<rusqlite::Error> for StoreError {
    fn from(why: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode::{
            ApiMisuse, ConstraintViolation, DatabaseCorrupt, NotADatabase, ParameterOutOfRange, TypeMismatch,
        };
        match why.sqlite_error_code() {
            Some(DatabaseCorrupt | NotADatabase) => Self::Damaged(why.to_string()),
            // No waiting helps against a row of ours that the tables do not take.
            Some(ConstraintViolation | TypeMismatch | ApiMisuse | ParameterOutOfRange) => {
                Self::Defect(why.to_string())
            }
            Some(_) => Self::Unavailable(Self::said_by("SQLite", &why)),
            None => Self::Damaged(why.to_string()),
        }
    }
}

impl From<rusqlite::types::FromSqlError> for StoreError {
    fn from(why: rusqlite::types::FromSqlError) -> Self {
        Self::Damaged(why.to_string())
    }
}
