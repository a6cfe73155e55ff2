//! How many pages a settlement touches: of PostgreSQL by statement, of a file all of them together.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use rusqlite::Connection;
use serde::Serialize;

use super::cluster;
use crate::cli::block_on;
use crate::store::address::Address;

/// Of SQLite, as the store's file is made.
const PAGE_BYTES: u64 = 4_096;
/// A tree that is deeper is none.
const DEPTH_MAX: u64 = 20;
/// First byte of a page that leads to others: of a table, of an index.
const INNER: [u8; 2] = [0x05, 0x02];

/// One of the gateway's own statements, as the server counted it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Statement {
    pub(super) text: String,
    pub(super) calls: u64,
    /// Touched, wherever they were found.
    pub(super) blocks: u64,
    pub(super) from_disk: u64,
}

/// What this process read and wrote by `read` and `write`: SQLite does, sockets do not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Moved {
    pub(super) read_bytes: u64,
    pub(super) written_bytes: u64,
    pub(super) from_disk_bytes: u64,
}

impl Moved {
    /// Since the process began; absent where the system does not say (Linux does).
    pub(super) fn by_now() -> Option<Self> {
        let text = fs::read_to_string("/proc/self/io").ok()?;
        let of = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        Some(Self {
            read_bytes: of("rchar:")?,
            written_bytes: of("wchar:")?,
            from_disk_bytes: of("read_bytes:")?,
        })
    }

    pub(super) fn since(self, earlier: Self) -> Self {
        Self {
            read_bytes: self.read_bytes.saturating_sub(earlier.read_bytes),
            written_bytes: self.written_bytes.saturating_sub(earlier.written_bytes),
            from_disk_bytes: self.from_disk_bytes.saturating_sub(earlier.from_disk_bytes),
        }
    }

    pub(super) fn add(&mut self, other: Self) {
        self.read_bytes += other.read_bytes;
        self.written_bytes += other.written_bytes;
        self.from_disk_bytes += other.from_disk_bytes;
    }
}

/// Pages one settlement of a file takes, in hundredths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct PagesOfOne {
    /// That SQLite had not in its own memory.
    pub(super) read: u64,
    pub(super) written: u64,
    /// Of those read, that the system had not in its memory either.
    pub(super) from_disk: u64,
}

impl PagesOfOne {
    pub(super) fn of(moved: Moved, settlements: u64) -> Option<Self> {
        let pages = |bytes: u64| (bytes * 100 / PAGE_BYTES).checked_div(settlements);
        Some(Self {
            read: pages(moved.read_bytes)?,
            written: pages(moved.written_bytes)?,
            from_disk: pages(moved.from_disk_bytes)?,
        })
    }
}

/// Levels of every index of a store that nobody serves, the leaves among them; of a file its tables, too, which are
/// trees themselves.
pub(super) fn depths(store: &Address) -> anyhow::Result<BTreeMap<String, u64>> {
    match store {
        Address::Postgres(database) => block_on(cluster::depths(database)),
        Address::File(path) => depths_of_file(path),
    }
}

fn depths_of_file(path: &Path) -> anyhow::Result<BTreeMap<String, u64>> {
    let connection = Connection::open(path)?;
    // What is in the log alone would be read past.
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    let page_bytes: i64 = connection.query_row("PRAGMA page_size", [], |row| row.get(0))?;
    let mut select = connection.prepare("SELECT name, rootpage FROM sqlite_schema WHERE rootpage > 0")?;
    let mut file = fs::File::open(path)?;
    let mut depths = BTreeMap::new();
    for tree in select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))? {
        let (name, root): (String, i64) = tree?;
        depths.insert(name, depth(&mut file, page_bytes.unsigned_abs(), root.unsigned_abs())?);
    }
    Ok(depths)
}

/// Down to the leaves by the last page of each level: every way down is as long (SQLite file format, 1.6).
fn depth(file: &mut (impl Read + Seek), page_bytes: u64, root: u64) -> io::Result<u64> {
    let mut page = root;
    for depth in 1..DEPTH_MAX {
        let mut head = [0_u8; 12];
        file.seek(SeekFrom::Start(page.saturating_sub(1) * page_bytes))?;
        file.read_exact(&mut head)?;
        if !INNER.contains(&head[0]) {
            return Ok(depth);
        }
        let [.., a, b, c, d] = head;
        page = u64::from(u32::from_be_bytes([a, b, c, d]));
    }
    Err(io::Error::other("a tree without leaves"))
}
