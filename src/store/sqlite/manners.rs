//! How a command writes beside the gateway that serves the file.
//!
//! Two processes take turns by SQLite's lock, and who waits for it looks every millisecond whether it is free
//! (`open.rs`). A writer that takes the lock again at once is hardly ever met without it, so a command lets it lie between
//! two transactions: for a moment always; longer than it holds it where somebody else has been writing.

use std::time::Duration;

use rusqlite::Connection;

/// Rows of long work in one transaction: nobody else seen, and beside somebody else.
const ALONE_ROWS: usize = 1000;
const BESIDE_ROWS: usize = 100;
const ALONE_PAUSE_MS: u64 = 3;
const BESIDE_PAUSE_MS: u64 = 10;
/// Somebody who wrote is counted on to write again during so many transactions of ours.
const REMEMBERED_TURNS: u32 = 200;

#[derive(Default)]
pub(super) struct Manners {
    /// `PRAGMA data_version`, which others' commits change; absent before the first transaction.
    seen: Option<i64>,
    turns_beside: u32,
}

impl Manners {
    pub(super) fn rows_max(&self) -> usize {
        if self.turns_beside > 0 { BESIDE_ROWS } else { ALONE_ROWS }
    }

    /// Before a transaction: lets the lock lie after the one before.
    pub(super) fn let_others(&mut self, connection: &Connection) {
        if self.seen.is_some() {
            let pause_ms = if self.turns_beside > 0 { BESIDE_PAUSE_MS } else { ALONE_PAUSE_MS };
            std::thread::sleep(Duration::from_millis(pause_ms));
        }
        // What cannot be read now shows itself in the transaction that follows.
        let version = connection.query_row("PRAGMA data_version", [], |row| row.get(0)).ok();
        let others_wrote = self.seen.is_some() && version != self.seen;
        self.turns_beside = if others_wrote { REMEMBERED_TURNS } else { self.turns_beside.saturating_sub(1) };
        self.seen = version;
    }
}
