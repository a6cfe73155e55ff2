//! A store that is filled once and kept: who is on its roster, how many stays it holds by now.

use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use super::super::house::{OwnGateway, bring_in_people};
use super::super::load::micros;
use super::super::progress::Progress;
use super::{cluster, fill};
use crate::cli::opened::{self, Opened, Unprinted};
use crate::cli::workload::{Workload, profiles};
use crate::cli::{block_on, house, policy};
use crate::runtime::{Runtime, steady};
use crate::settlement::directory::Directory;
use crate::store::address::Address;
use crate::store::postgres;
use crate::store::seal::Key;

/// The load's stays are numbered from here on, far from those a store is filled with.
const FIRST_SENT: u64 = 1_000_000_000;
/// Numbers a run may use up; the next begins behind them.
const SENT_MAX: u64 = 1_000_000;
const CHECKPOINT_WAIT: Duration = Duration::from_secs(10);
/// One person on the roster for so many stays: most come once or twice, a few again and again.
const STAYS_OF_A_PERSON: u64 = 2;

/// `20000=small.db`: how many stays a store is to hold, and where it is.
#[derive(Debug, Clone)]
pub(in crate::cli::bench) struct Named {
    stays: u64,
    store: Unprinted,
}

impl FromStr for Named {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let named = text
            .split_once('=')
            .and_then(|(stays, store)| Some(Self { stays: stays.parse().ok()?, store: store.parse().ok()? }));
        let is_one = |named: &Self| named.stays > 0 && !named.store.reveal().is_empty();
        named.filter(is_one).ok_or("请填 住院数=数据库 | say STAYS=STORE, like 20000=small.db")
    }
}

/// What a later run has to know of the store; written beside its key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Note {
    seed: u64,
    /// On the roster.
    people: u64,
    /// Every stay with a lower number is in the store.
    filled: u64,
    /// µs that filling took.
    filling_us: u64,
    /// Number of the first stay that no load has sent.
    unsent: u64,
    /// With its roster, and no stay.
    bytes_empty: u64,
    /// When it was filled last.
    bytes_filled: u64,
}

/// A store with as many stays as it is to hold.
pub(in crate::cli::bench) struct Kept {
    pub(super) address: Address,
    pub(super) workload: Arc<Workload>,
    key_path: PathBuf,
    note_path: PathBuf,
    note: Note,
}

impl Kept {
    /// Fills the store up to as many stays as it is to hold, going on where an earlier run stood. Keys of
    /// databases, which have no place beside them, are in `folder`.
    pub(super) fn fill(
        named: &Named,
        folder: &Path,
        seed: u64,
        runtime: &Runtime,
        progress: &Progress,
    ) -> anyhow::Result<Self> {
        let address = named.store.address()?;
        let key_path = match &address {
            Address::File(path) => path.with_extension("key"),
            Address::Postgres(database) => folder.join(format!("{}.key", name_of(&database.to_string()))),
        };
        let note_path = key_path.with_extension("filled.json");
        let note = if note_path.exists() {
            serde_json::from_slice(&fs::read(&note_path)?)
                .with_context(|| format!("{} 无法识别 | {0} does not read", note_path.display()))?
        } else {
            begin(&address, &key_path, seed, named.stays.div_ceil(STAYS_OF_A_PERSON), runtime)?
        };
        let workload = Arc::new(Workload::sample(note.seed, note.people));
        let mut kept = Self { address, workload, key_path, note_path, note };
        kept.write_note()?;
        if kept.note.filled < named.stays {
            kept.fill_up(named.stays, runtime, progress)?;
        }
        Ok(kept)
    }

    fn fill_up(&mut self, stays: u64, runtime: &Runtime, progress: &Progress) -> anyhow::Result<()> {
        let store = self.open(runtime)?;
        // Letters of what a store is filled with are nobody's.
        let profiles = profiles(self.workload.hospitals(), &[])?;
        let name = store.command_name(runtime);
        let policies = Arc::new(policy::shelf(&[])?);
        let reception = house::reception_of(
            &store,
            policies,
            profiles,
            runtime.clone(),
            Directory::default(),
            name.as_str(),
        );
        let (begun, before) = (steady(), self.note.filling_us);
        let numbers = self.note.filled..stays;
        // One message a stay: what is stored is the same but for a message in the middle.
        let workload = Workload::sample(self.note.seed, self.note.people).over_years().of_documents();
        let workload = Arc::new(workload);
        let filled = fill::fill(reception, &workload, numbers, |filled| {
            progress.counted("填充", "filling", filled, stays);
            self.note.filled = filled;
            self.note.filling_us = before + micros(steady().duration_since(begun));
            self.write_note()
        });
        store.close();
        filled?;
        if let Address::Postgres(database) = &self.address {
            block_on(cluster::settle_down(database))?;
        }
        self.note.bytes_filled = bytes_of(&self.address)?;
        self.write_note()
    }

    fn open(&self, runtime: &Runtime) -> anyhow::Result<Opened> {
        opened::open_store(&self.address, &self.key_path, postgres::Options::default(), runtime)
    }

    /// A gateway over it, both ports open.
    pub(super) fn serve(&self) -> anyhow::Result<OwnGateway> {
        OwnGateway::serve(self.address.clone(), &self.key_path, &self.workload, Vec::new())
    }

    /// Number of the first stay of a load that never met this store.
    pub(super) fn take_numbers(&mut self) -> anyhow::Result<u64> {
        let first = self.note.unsent;
        self.note.unsent += SENT_MAX;
        self.write_note()?;
        Ok(first)
    }

    pub(super) fn stays(&self) -> u64 {
        self.note.filled
    }

    pub(super) fn people(&self) -> u64 {
        self.note.people
    }

    pub(super) fn bytes_per_settlement(&self) -> u64 {
        let bytes = self.note.bytes_filled.saturating_sub(self.note.bytes_empty);
        bytes.checked_div(self.note.filled).unwrap_or_default()
    }

    pub(super) fn filled_per_second(&self) -> u64 {
        let rate = u128::from(self.note.filled) * 1_000_000 / u128::from(self.note.filling_us.max(1));
        u64::try_from(rate).unwrap_or(u64::MAX)
    }

    /// Whole or not at all: a run that is killed meanwhile must be able to go on.
    fn write_note(&self) -> anyhow::Result<()> {
        let beside = self.note_path.with_extension("new");
        fs::write(&beside, serde_json::to_vec(&self.note)?)?;
        Ok(fs::rename(&beside, &self.note_path)?)
    }
}

/// A roster and a catalogue in a store without stays.
fn begin(
    address: &Address,
    key_path: &Path,
    seed: u64,
    people: u64,
    runtime: &Runtime,
) -> anyhow::Result<Note> {
    if !key_path.exists() {
        Key::create(key_path)?;
    }
    let store = opened::open_store(address, key_path, postgres::Options::default(), runtime)?;
    let brought = block_on(bring_in_people(&*store, &Workload::sample(seed, people), runtime));
    store.close();
    brought?;
    let bytes = bytes_of(address)?;
    let (filled, filling_us, unsent) = (0, 0, FIRST_SENT);
    Ok(Note { seed, people, filled, filling_us, unsent, bytes_empty: bytes, bytes_filled: bytes })
}

fn bytes_of(address: &Address) -> anyhow::Result<u64> {
    match address {
        // What stands in the log is brought into the file: whoever closed it may still be about to.
        Address::File(path) => {
            let file = Connection::open(path)?;
            file.busy_timeout(CHECKPOINT_WAIT)?;
            let is_busy: bool = file.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
            anyhow::ensure!(
                !is_busy,
                "{0} 正被其他程序使用 | {0} is in use by another program",
                path.display()
            );
            Ok(fs::metadata(path)?.len())
        }
        Address::Postgres(database) => block_on(cluster::bytes(database)),
    }
}

/// The last part of an address as it is shown; a database may have no name of its own.
fn name_of(address: &str) -> &str {
    let name = address.rsplit_once('/').map_or("", |(_, name)| name);
    if name.is_empty() { "database" } else { name }
}
