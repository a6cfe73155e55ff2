//! What files about people have in common: looked up and sealed on the import's thread, while the piece before
//! is on its way into the tables.

use std::collections::HashMap;

use deadpool_postgres::ClientWrapper;
use jiff::Timestamp;
use tokio::task::JoinHandle;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::{ToSql, Type};
use uuid::Uuid;
use yizhan_contract::IdNumber;

use super::super::StoreError;
use super::super::incoming::{Gathered, Generation, InOrder};
use super::super::person::{BY_ID_NUMBER, Hashed, KEY_VERSION, Person, PersonRow};
use super::super::registers::{ImportError, Imported, OnProgress, Progress};
use super::super::spill::{PARTS, SpilledRow};
use super::import::Writing;
use super::pipeline::Batch;
use super::{Failed, people};

/// People written in one transaction.
const PIECE_PEOPLE: usize = 10_000;
/// How often a step may meet a person of a piece before it is written.
const RACES_MAX: usize = 8;

/// What a file says of one person, and how that is written.
pub(super) trait Kind: Clone + Send + Sync + 'static {
    type Said: Send + Sync + 'static;
    type Sealed: Send + Sync + 'static;

    fn id_number<'a>(&self, said: &'a Self::Said) -> &'a IdNumber;

    /// `known`: all that stands of the person; absent where new.
    fn seal(
        &self,
        known: Option<PersonRow>,
        holder: &Person,
        said: &Self::Said,
    ) -> Result<Self::Sealed, StoreError>;

    fn write(
        &self,
        client: &ClientWrapper,
        piece: &[Ready<Self>],
    ) -> impl Future<Output = Result<(), Failed>> + Send;
}

/// One person of a file.
struct Entry<K: Kind> {
    hashed: Hashed,
    said: K::Said,
}

/// One person of a file, ready to be written.
pub(super) struct Ready<K: Kind> {
    pub(super) holder: Uuid,
    hash: [u8; 16],
    /// The wrapped key and the sealed number of a person who is new.
    new: Option<(Vec<u8>, Vec<u8>)>,
    pub(super) sealed: K::Sealed,
}

/// A piece on its way, with what it is made of in case a step is faster.
struct OnItsWay<K: Kind> {
    entries: Vec<Entry<K>>,
    written: JoinHandle<(ClientWrapper, Result<(), Failed>)>,
}

struct Pieces<'a, K: Kind> {
    writing: Writing,
    kind: K,
    ids: InOrder,
    ahead: Option<OnItsWay<K>>,
    written: u64,
    people: u64,
    progress: &'a OnProgress,
}

pub(super) fn write_all<T: SpilledRow, K: Kind>(
    writing: Writing,
    gathered: &mut Gathered,
    generation: Generation,
    kind: K,
    said: impl Fn(Vec<T>) -> Option<K::Said>,
    progress: &OnProgress,
    at: Timestamp,
) -> Result<Imported, ImportError> {
    let ids = InOrder::after(writing.vault.ids.next(at));
    let people = gathered.people;
    let mut pieces = Pieces { writing, kind, ids, ahead: None, written: 0, people, progress };
    let mut piece = Vec::with_capacity(PIECE_PEOPLE);
    for part in 0..PARTS {
        gathered.spill.for_each_person::<T, ImportError>(part, |hash, rows| {
            let Some(said) = said(rows) else { return Ok(()) };
            let hashed = Hashed::of_id_number(hash, pieces.kind.id_number(&said).as_str());
            piece.push(Entry { hashed, said });
            if piece.len() == PIECE_PEOPLE {
                pieces.hand_over(std::mem::take(&mut piece))?;
            }
            Ok(())
        })?;
    }
    pieces.hand_over(piece)?;
    pieces.settle()?;
    pieces.writing.make_visible(&generation)?;
    Ok(Imported { rows: gathered.rows, entries: people, generation: generation.number })
}

impl<K: Kind> Pieces<'_, K> {
    fn hand_over(&mut self, entries: Vec<Entry<K>>) -> Result<(), StoreError> {
        if entries.is_empty() {
            return Ok(());
        }
        let ready = self.ready(&entries)?;
        self.settle()?;
        self.send(entries, ready)
    }

    /// Waits for the piece on its way; where a step met one of its people first, it is made ready anew.
    fn settle(&mut self) -> Result<(), StoreError> {
        for _ in 0..RACES_MAX {
            let Some(OnItsWay { entries, written }) = self.ahead.take() else { return Ok(()) };
            let joined = self.writing.handle.block_on(written);
            let (writer, outcome) =
                joined.map_err(|why| StoreError::Defect(format!("a piece broke off: {why}")))?;
            self.writing.writer = Some(writer);
            match outcome {
                Ok(()) => {
                    self.written += entries.len() as u64;
                    (self.progress)(Progress::Writing(self.written, self.people));
                }
                Err(Failed::Conflict(_)) => {
                    let ready = self.ready(&entries)?;
                    self.send(entries, ready)?;
                }
                Err(why) => return self.writing.run(async { Err(why) }),
            }
        }
        Err(StoreError::unavailable(
            "导入的人员不断有新业务发生",
            "people of the file kept being met by steps",
        ))
    }

    fn send(&mut self, entries: Vec<Entry<K>>, ready: Vec<Ready<K>>) -> Result<(), StoreError> {
        let missing = || StoreError::Defect("an import without a connection".to_owned());
        let (writer, kind) = (self.writing.writer.take().ok_or_else(missing)?, self.kind.clone());
        let written = self.writing.handle.spawn(async move {
            let outcome = write(&writer, &kind, &ready).await;
            (writer, outcome)
        });
        self.ahead = Some(OnItsWay { entries, written });
        Ok(())
    }

    /// Looks everybody up and seals what the file says.
    fn ready(&mut self, entries: &[Entry<K>]) -> Result<Vec<Ready<K>>, StoreError> {
        let mut known = self.known(entries)?;
        let key = &self.writing.vault.key;
        let mut ready = Vec::with_capacity(entries.len());
        for Entry { hashed, said } in entries {
            let row = known.remove(&hashed.hash);
            let mut holder = match &row {
                Some(row) => Person::open(key, row)?,
                None => Person::new(key, self.ids.next()?)?,
            };
            let new = match holder.new_key.take() {
                Some(wrapped) => Some((wrapped, hashed.sealed(&holder.data_key)?)),
                None => None,
            };
            let sealed = self.kind.seal(row, &holder, said)?;
            ready.push(Ready { holder: holder.id, hash: hashed.hash, new, sealed });
        }
        Ok(ready)
    }

    /// Who of a piece is known, by the hash of the number.
    fn known(&self, entries: &[Entry<K>]) -> Result<HashMap<[u8; 16], PersonRow>, StoreError> {
        let hashes: Vec<&[u8]> = entries.iter().map(|entry| &entry.hashed.hash[..]).collect();
        let client = &self.writing.reader;
        self.writing.run(async {
            let sql = "SELECT keyed_hash, person_id FROM person_key
                       WHERE keyed_hash = ANY($1) AND kind = $2 AND key_version = $3";
            let prepared = client.prepare_cached(sql).await?;
            let number: (&i16, &i16) = (&(BY_ID_NUMBER as i16), &(KEY_VERSION as i16));
            let found = client.query(&prepared, &[&hashes, number.0, number.1]).await?;
            if found.is_empty() {
                return Ok(HashMap::new());
            }
            let holders: Vec<Uuid> = found.iter().map(|row| row.get(1)).collect();
            let mut batch = Batch::default();
            people::read(&mut batch, &holders);
            let rows = people::rows(&holders, &batch.rows(client).await?)?;
            let hash = |row: &tokio_postgres::Row| <[u8; 16]>::try_from(row.get::<_, &[u8]>(0)).ok();
            Ok(found.iter().filter_map(hash).zip(rows).collect())
        })
    }
}

/// Writes a piece in one transaction, which need not be durable by itself: the row that makes the file visible
/// comes after it and is.
async fn write<K: Kind>(client: &ClientWrapper, kind: &K, piece: &[Ready<K>]) -> Result<(), Failed> {
    client.batch_execute("BEGIN; SET LOCAL synchronous_commit = off").await?;
    let written = async {
        enter(client, piece).await?;
        kind.write(client, piece).await?;
        check(client, piece).await
    };
    if let Err(why) = written.await {
        client.batch_execute("ROLLBACK").await?;
        return Err(why);
    }
    Ok(client.batch_execute("COMMIT").await?)
}

/// People nobody has seen, with their numbers. A number that names somebody by now fails the piece.
async fn enter<K: Kind>(client: &ClientWrapper, piece: &[Ready<K>]) -> Result<(), Failed> {
    let new = || piece.iter().filter_map(|one| Some((one, one.new.as_ref()?)));
    if new().next().is_none() {
        return Ok(());
    }
    let sql = "COPY person (person_id, wrapped_key, has_id_number) FROM STDIN BINARY";
    let rows = new().map(|(one, (wrapped, _))| [&one.holder as &(dyn ToSql + Sync), wrapped, &true]);
    copy(client, sql, &[Type::UUID, Type::BYTEA, Type::BOOL], rows).await?;
    let hashes: Vec<&[u8]> = new().map(|(one, _)| &one.hash[..]).collect();
    let (kind, version) = (BY_ID_NUMBER as i16, KEY_VERSION as i16);
    let sql = "COPY person_key (keyed_hash, kind, key_version, person_id, reference) FROM STDIN BINARY";
    let types = [Type::BYTEA, Type::INT2, Type::INT2, Type::UUID, Type::BYTEA];
    let rows = new().zip(&hashes).map(|((one, (_, reference)), hash)| {
        [hash as &(dyn ToSql + Sync), &kind, &version, &one.holder, reference]
    });
    copy(client, sql, &types, rows).await
}

/// Whether each number still names whom it named when the piece was made ready.
async fn check<K: Kind>(client: &ClientWrapper, piece: &[Ready<K>]) -> Result<(), Failed> {
    let known = || piece.iter().filter(|one| one.new.is_none());
    let hashes: Vec<&[u8]> = known().map(|one| &one.hash[..]).collect();
    let holders: Vec<Uuid> = known().map(|one| one.holder).collect();
    if holders.is_empty() {
        return Ok(());
    }
    let sql = "SELECT count(*) FROM unnest($1::bytea[], $2::uuid[]) AS one (keyed_hash, person_id)
               JOIN person_key k ON k.keyed_hash = one.keyed_hash AND k.person_id = one.person_id
                 AND k.kind = $3 AND k.key_version = $4";
    let (kind, version) = (BY_ID_NUMBER as i16, KEY_VERSION as i16);
    let count: i64 = client.query_one(sql, &[&hashes, &holders, &kind, &version]).await?.get(0);
    if count.unsigned_abs() == holders.len() as u64 {
        return Ok(());
    }
    Err(Failed::conflict("证件号码已对应另一人", "a number names somebody else by now"))
}

pub(super) async fn copy<'v, const N: usize>(
    client: &ClientWrapper,
    sql: &str,
    types: &[Type],
    rows: impl Iterator<Item = [&'v (dyn ToSql + Sync); N]>,
) -> Result<(), Failed> {
    let sink = client.copy_in(sql).await?;
    let mut writer = std::pin::pin!(BinaryCopyInWriter::new(sink, types));
    for row in rows {
        writer.as_mut().write(&row).await?;
    }
    writer.finish().await?;
    Ok(())
}
