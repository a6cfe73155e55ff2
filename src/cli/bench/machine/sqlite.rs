//! A SQLite file on the same file system, with the settings of the store's writer.

use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use rusqlite::Connection;

use super::super::load::{micros, times};
use super::Bare;
use crate::runtime::steady;

/// Rows that share a commit at most, as the store's writer takes them.
const SHARED_ROWS_MAX: usize = 64;
const SETTINGS: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA fullfsync = 1;
    PRAGMA checkpoint_fullfsync = 1; PRAGMA wal_autocheckpoint = 4096;
    CREATE TABLE IF NOT EXISTS one (a INTEGER)";
const INSERT: &str = "INSERT INTO one VALUES (1)";

pub(in crate::cli::bench) struct BareStore(Connection);

impl BareStore {
    pub(super) fn open(folder: &Path) -> anyhow::Result<Self> {
        let connection = Connection::open(folder.join("bare.db"))?;
        connection.execute_batch(SETTINGS)?;
        Ok(Self(connection))
    }

    /// One row, one commit, one after the other.
    pub(super) fn one_by_one(&self, lasting: Duration) -> anyhow::Result<Bare> {
        let mut times = times()?;
        let mut insert = self.0.prepare(INSERT)?;
        let begun = steady();
        let mut last = begun;
        while last.duration_since(begun) < lasting {
            insert.execute([])?;
            let now = steady();
            times.saturating_record(micros(now.duration_since(last)));
            last = now;
        }
        Ok(Bare { count: times.len(), took: last.duration_since(begun), times })
    }

    /// Many clients that each wait for their row; the one writer commits whatever has queued up together.
    pub(super) fn shared(&mut self, clients: usize, lasting: Duration) -> anyhow::Result<Bare> {
        let (queue, queued) = mpsc::channel::<mpsc::SyncSender<()>>();
        let begun = steady();
        let end = begun + lasting;
        let waited = thread::scope(|scope| {
            let clients: Vec<_> = (0..clients)
                .map(|_| queue.clone())
                .map(|queue| scope.spawn(move || ask(&queue, end)))
                .collect();
            drop(queue);
            let written = self.write_queued(&queued);
            // Clients that still wait are told by the queue's end.
            drop(queued);
            let waited = clients.into_iter().map(thread::ScopedJoinHandle::join).collect::<Vec<_>>();
            written.map(|()| waited)
        })?;
        let mut times = times()?;
        for one in waited.into_iter().flatten() {
            times.add(one?)?;
        }
        Ok(Bare { count: times.len(), took: steady().duration_since(begun), times })
    }

    fn write_queued(&mut self, queued: &mpsc::Receiver<mpsc::SyncSender<()>>) -> anyhow::Result<()> {
        while let Ok(first) = queued.recv() {
            let waiting: Vec<_> =
                std::iter::once(first).chain(queued.try_iter().take(SHARED_ROWS_MAX - 1)).collect();
            let transaction = self.0.transaction()?;
            {
                let mut insert = transaction.prepare_cached(INSERT)?;
                for _ in &waiting {
                    insert.execute([])?;
                }
            }
            transaction.commit()?;
            for one in waiting {
                // A client that went away had its row written all the same.
                let _ = one.send(());
            }
        }
        Ok(())
    }
}

fn ask(queue: &mpsc::Sender<mpsc::SyncSender<()>>, end: Instant) -> anyhow::Result<Histogram<u64>> {
    let mut times = times()?;
    loop {
        let asked = steady();
        if asked >= end {
            return Ok(times);
        }
        let (tell, told) = mpsc::sync_channel(1);
        queue.send(tell)?;
        told.recv()?;
        times.saturating_record(micros(steady().duration_since(asked)));
    }
}
