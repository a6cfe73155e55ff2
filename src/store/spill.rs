//! Rows of any number, brought together by person in bounded memory.
//!
//! Rows are dealt by the first byte of the person's keyed hash into parts, and the parts' blocks are laid
//! down in a temporary file, sealed under a key that nobody keeps. A part is then read back whole and
//! sorted: persons come out in the order of their hashes, which is also how the store's look-up table
//! lies on disk.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};

use uuid::Uuid;
use yizhan_contract::IdNumber;

use super::seal::{DataKey, Key, LOOK_UP_BYTES, Place};

/// Two million rows make parts of about a megabyte.
pub const PARTS: usize = 256;
const BLOCK_BYTES: usize = 16 * 1024;
/// Hash, line, length.
const HEAD_BYTES: usize = LOOK_UP_BYTES + 8 + 4;

pub type KeyedHash = [u8; LOOK_UP_BYTES];

/// A row that can be laid down and read back.
pub trait SpilledRow: Sized {
    fn id_number(&self) -> &IdNumber;
    fn line(&self) -> u64;
    fn write(&self, to: &mut Vec<u8>);
    fn read(line: u64, from: &[u8]) -> Option<Self>;
}

pub struct Spill {
    file: File,
    end: u64,
    taken: u64,
    key: DataKey,
    parts: Vec<Part>,
    row: Vec<u8>,
}

#[derive(Default)]
struct Part {
    open: Vec<u8>,
    /// Where the sealed blocks lie.
    blocks: Vec<(u64, usize)>,
}

impl Spill {
    pub fn new() -> io::Result<Self> {
        let (key, _) = Key::ephemeral()
            .map_err(io::Error::other)?
            .new_data_key(Uuid::nil())
            .map_err(io::Error::other)?;
        let parts = (0..PARTS).map(|_| Part::default()).collect();
        Ok(Self { file: tempfile::tempfile()?, end: 0, taken: 0, key, parts, row: Vec::new() })
    }

    pub fn push(&mut self, hash: &KeyedHash, row: &impl SpilledRow) -> io::Result<()> {
        self.row.clear();
        row.write(&mut self.row);
        let part = usize::from(hash[0]);
        let open = &mut self.parts[part].open;
        open.extend_from_slice(hash);
        open.extend_from_slice(&row.line().to_be_bytes());
        open.extend_from_slice(&(self.row.len() as u32).to_be_bytes());
        open.extend_from_slice(&self.row);
        self.taken += (HEAD_BYTES + self.row.len()) as u64;
        if open.len() >= BLOCK_BYTES { self.lay_down(part) } else { Ok(()) }
    }

    /// Taken in so far.
    pub fn bytes(&self) -> u64 {
        self.taken
    }

    fn lay_down(&mut self, part: usize) -> io::Result<()> {
        let part = &mut self.parts[part];
        let place = Place { table: "spill", column: "block", row: &self.end.to_be_bytes() };
        let sealed = self.key.seal(place, &part.open).map_err(io::Error::other)?;
        part.open.clear();
        self.file.seek(SeekFrom::Start(self.end))?;
        self.file.write_all(&sealed)?;
        part.blocks.push((self.end, sealed.len()));
        self.end += sealed.len() as u64;
        Ok(())
    }

    /// Calls `with` once for each person of a part, in the order of hashes, the rows in the order of lines.
    pub fn for_each_person<T: SpilledRow, E: From<io::Error>>(
        &mut self,
        part: usize,
        mut with: impl FnMut(KeyedHash, Vec<T>) -> Result<(), E>,
    ) -> Result<(), E> {
        let text = self.read_part(part)?;
        let mut heads = heads(&text).ok_or_else(damaged)?;
        heads.sort_unstable_by_key(|head| (head.hash, head.line));
        for person in heads.chunk_by(|a, b| a.hash == b.hash) {
            let rows: Option<Vec<T>> = person.iter().map(|head| T::read(head.line, head.row)).collect();
            if let Some(first) = person.first() {
                with(first.hash, rows.ok_or_else(damaged)?)?;
            }
        }
        Ok(())
    }

    fn read_part(&mut self, part: usize) -> io::Result<Vec<u8>> {
        let part = &self.parts[part];
        let mut text = Vec::new();
        for &(at, length) in &part.blocks {
            let mut sealed = vec![0; length];
            self.file.seek(SeekFrom::Start(at))?;
            self.file.read_exact(&mut sealed)?;
            let place = Place { table: "spill", column: "block", row: &at.to_be_bytes() };
            text.extend(self.key.open(place, &sealed).map_err(io::Error::other)?);
        }
        text.extend_from_slice(&part.open);
        Ok(text)
    }
}

struct Head<'a> {
    hash: KeyedHash,
    line: u64,
    row: &'a [u8],
}

fn heads(mut text: &[u8]) -> Option<Vec<Head<'_>>> {
    let mut heads = Vec::new();
    while !text.is_empty() {
        let (head, rest) = text.split_at_checked(HEAD_BYTES)?;
        let (hash, numbers) = head.split_at_checked(LOOK_UP_BYTES)?;
        let (line, length) = numbers.split_at_checked(8)?;
        let length = u32::from_be_bytes(length.try_into().ok()?) as usize;
        let (row, rest) = rest.split_at_checked(length)?;
        heads.push(Head {
            hash: hash.try_into().ok()?,
            line: u64::from_be_bytes(line.try_into().ok()?),
            row,
        });
        text = rest;
    }
    Some(heads)
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the temporary file does not read back")
}
