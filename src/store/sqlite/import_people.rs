//! What files about people have in common.
//!
//! Rows are gathered by person in a [`Spill`], checked as a whole before anything is written, then
//! prepared (looked up, sealed) on the import's thread while the writer writes what was prepared before.

use std::collections::VecDeque;
use std::sync::Arc;

use rusqlite::Connection;
use uuid::Uuid;
use yizhan_contract::IdNumber;

use super::super::StoreError;
use super::super::incoming::{Gathered, Generation, InOrder};
use super::super::person::{BY_ID_NUMBER, Hashed, Person};
use super::super::registers::{ImportError, Imported, OnProgress, Progress};
use super::super::spill::{PARTS, SpilledRow};
use super::super::vault::Vault;
use super::import::{Writing, finish};
use super::person;
use super::writer::{PIECE_ROWS_MAX, Pending, Turn};

/// Pieces handed to the writer and not answered yet.
const PIECES_AHEAD: usize = 2;

/// What a file says of one person, and how that is written.
pub(super) trait Kind: Clone + Send + Sync + 'static {
    type Said: Send + Sync;
    type Sealed: Send + Sync;

    fn id_number<'a>(&self, said: &'a Self::Said) -> &'a IdNumber;

    fn seal(
        &self,
        connection: &Connection,
        holder: &Person,
        said: &Self::Said,
    ) -> Result<Self::Sealed, StoreError>;

    fn write(
        &self,
        connection: &Connection,
        holder: Uuid,
        said: &Self::Said,
        sealed: &Self::Sealed,
    ) -> Result<(), StoreError>;
}

/// One person of a file; prepared where there is a connection to look them up with.
struct Entry<K: Kind> {
    hashed: Hashed,
    said: K::Said,
    prepared: Option<Prepared<K>>,
}

struct Prepared<K: Kind> {
    holder: Uuid,
    /// The wrapped key and the sealed number of a person who is new.
    new: Option<(Vec<u8>, Vec<u8>)>,
    sealed: K::Sealed,
}

pub(super) fn write_all<T: SpilledRow, K: Kind>(
    writing: &Writing,
    gathered: &mut Gathered,
    generation: Generation,
    kind: K,
    said: impl Fn(Vec<T>) -> Option<K::Said>,
    progress: &OnProgress,
    at: jiff::Timestamp,
) -> Result<Imported, ImportError> {
    let people = gathered.people;
    let reader = writing.reader()?;
    let mut ids = InOrder::after(writing.vault.ids.next(at));
    let mut pieces =
        Pieces { writing, kind: &kind, ahead: VecDeque::new(), at, written: 0, people, progress };
    let mut piece = Vec::new();
    for part in 0..PARTS {
        gathered.spill.for_each_person::<T, ImportError>(part, |hash, rows| {
            let Some(said) = said(rows) else { return Ok(()) };
            let hashed = Hashed::of_id_number(hash, kind.id_number(&said).as_str());
            let prepared = match &reader {
                Some(reader) => Some(prepare(reader, &writing.vault, &kind, &hashed, &said, &mut ids)?),
                None => None,
            };
            piece.push(Entry { hashed, said, prepared });
            if piece.len() == PIECE_ROWS_MAX {
                pieces.hand_over(std::mem::take(&mut piece))?;
            }
            Ok(())
        })?;
    }
    pieces.hand_over(piece)?;
    pieces.settle(0)?;
    writing.make_visible(&generation)?;
    Ok(Imported { rows: gathered.rows, entries: people, generation: generation.number })
}

fn prepare<K: Kind>(
    connection: &Connection,
    vault: &Vault,
    kind: &K,
    hashed: &Hashed,
    said: &K::Said,
    ids: &mut InOrder,
) -> Result<Prepared<K>, StoreError> {
    let mut holder = match person::holder(connection, hashed)? {
        Some(holder) => person::load(connection, &vault.key, holder)?,
        None => Person::new(&vault.key, ids.next()?)?,
    };
    let new = match holder.new_key.take() {
        Some(wrapped) => Some((wrapped, hashed.sealed(&holder.data_key)?)),
        None => None,
    };
    Ok(Prepared { holder: holder.id, new, sealed: kind.seal(connection, &holder, said)? })
}

/// A piece with the writer, which answers where it stopped.
struct OnItsWay<K: Kind> {
    piece: Arc<Vec<Entry<K>>>,
    stopped: Pending<usize>,
}

/// Pieces on their way through the writer.
struct Pieces<'a, K: Kind> {
    writing: &'a Writing,
    kind: &'a K,
    ahead: VecDeque<OnItsWay<K>>,
    at: jiff::Timestamp,
    written: u64,
    people: u64,
    progress: &'a OnProgress,
}

impl<K: Kind> Pieces<'_, K> {
    fn hand_over(&mut self, piece: Vec<Entry<K>>) -> Result<(), StoreError> {
        if piece.is_empty() {
            return Ok(());
        }
        self.settle(PIECES_AHEAD - 1)?;
        let piece = Arc::new(piece);
        let stopped = self.queue(&piece, 0)?;
        self.ahead.push_back(OnItsWay { piece, stopped });
        Ok(())
    }

    /// Waits until at most `left` pieces are on their way; a piece that gave way to steps goes on.
    fn settle(&mut self, left: usize) -> Result<(), StoreError> {
        while self.ahead.len() > left {
            let Some(OnItsWay { piece, stopped }) = self.ahead.pop_front() else { return Ok(()) };
            let mut written = finish(stopped)?;
            while written < piece.len() {
                written = finish(self.queue(&piece, written)?)?;
            }
            self.written += piece.len() as u64;
            (self.progress)(Progress::Writing(self.written, self.people));
        }
        Ok(())
    }

    fn queue(&self, piece: &Arc<Vec<Entry<K>>>, start: usize) -> Result<Pending<usize>, StoreError> {
        let (kind, piece, vault) = (self.kind.clone(), Arc::clone(piece), Arc::clone(&self.writing.vault));
        let at = self.at;
        self.writing.writer.queue_blocking(move |connection, turn| {
            let ids = InOrder::after(vault.ids.next(at));
            write(connection, turn, &vault, &kind, &piece, start, ids)
        })
    }
}

/// Writes from `start` on; returns where it stopped.
fn write<K: Kind>(
    connection: &Connection,
    turn: &Turn<'_>,
    vault: &Vault,
    kind: &K,
    piece: &[Entry<K>],
    start: usize,
    mut ids: InOrder,
) -> Result<usize, StoreError> {
    for (count, entry) in piece.iter().skip(start).enumerate() {
        if turn.gives_way(count) {
            return Ok(start + count);
        }
        let anew;
        let ready = match &entry.prepared {
            Some(prepared) if is_still_so(connection, &entry.hashed, prepared)? => prepared,
            // In memory, or a step met the same person in between.
            _ => {
                anew = prepare(connection, vault, kind, &entry.hashed, &entry.said, &mut ids)?;
                is_still_so(connection, &entry.hashed, &anew)?;
                &anew
            }
        };
        kind.write(connection, ready.holder, &entry.said, &ready.sealed)?;
    }
    Ok(piece.len())
}

/// Whether the number names whom it named when the entry was prepared; enters a person who is new.
fn is_still_so<K: Kind>(
    connection: &Connection,
    hashed: &Hashed,
    prepared: &Prepared<K>,
) -> Result<bool, StoreError> {
    let Some((wrapped, reference)) = &prepared.new else {
        return Ok(person::holder(connection, hashed)? == Some(prepared.holder));
    };
    if !person::enter(connection, BY_ID_NUMBER, &hashed.hash, prepared.holder, reference)? {
        return Ok(false);
    }
    person::insert(connection, prepared.holder, wrapped, true)?;
    Ok(true)
}
