//! Where the gateways of one test keep what they know, and what was there before: sample roster, catalogue, openings.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tempfile::TempDir;
use yizhan::roster::{RosterFile, RosterMode};
use yizhan::runtime::RandomIds;
use yizhan::store::Ports;
use yizhan::store::postgres::{Options, Postgres};
use yizhan::store::seal::Key;
use yizhan::store::sqlite::{self, Sqlite};

use super::payer::Temper;
use super::process::{Hurried, Setting};
use crate::cluster::Cluster;
use crate::simulation::opening::{filled, import};

/// A store, by what it is opened with.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Place {
    File { path: PathBuf, key_file: PathBuf },
    Postgres { address: String, key_file: PathBuf },
}

impl Place {
    pub(crate) fn key_file(&self) -> &Path {
        match self {
            Self::File { key_file, .. } | Self::Postgres { key_file, .. } => key_file,
        }
    }

    fn key(&self) -> Key {
        Key::read(self.key_file()).unwrap()
    }

    /// To serve it.
    pub(crate) async fn open(&self) -> Arc<dyn Ports> {
        match self {
            Self::File { path, .. } => Arc::new(self.open_file(path)),
            Self::Postgres { address, .. } => Arc::new(self.open_database(address).await),
        }
    }

    /// Beside the gateways that serve it.
    pub(crate) async fn open_beside(&self) -> Arc<dyn Ports> {
        match self {
            Self::File { path, .. } => {
                Arc::new(Sqlite::open_beside(path, Some(self.key()), Arc::new(RandomIds)).unwrap())
            }
            Self::Postgres { address, .. } => Arc::new(self.open_database(address).await),
        }
    }

    fn open_file(&self, path: &Path) -> Sqlite {
        Sqlite::open(path, Some(self.key()), Arc::new(RandomIds), sqlite::Options::default()).unwrap()
    }

    async fn open_database(&self, address: &str) -> Postgres {
        let address = address.parse().unwrap();
        Postgres::open(&address, Some(self.key()), Arc::new(RandomIds), Options::default()).await.unwrap()
    }

    async fn fill(&self) {
        match self {
            Self::File { path, .. } => {
                let store = Arc::new(self.open_file(path));
                filled(&*store).await;
                Arc::into_inner(store).unwrap().close().await;
            }
            Self::Postgres { address, .. } => {
                filled(&self.open_database(address).await).await;
            }
        }
    }

    /// Further people, as a roster file has them.
    pub(crate) async fn add_people(&self, rows: &str) {
        let file = self.key_file().with_file_name("people.csv");
        std::fs::write(&file, rows).unwrap();
        let roster = import(RosterFile::open(&file));
        self.open_beside().await.import_roster(roster, RosterMode::Delta).await.unwrap();
    }
}

/// A store of one test, and its payers' books beside it.
pub(crate) struct Site {
    pub(crate) folder: TempDir,
    pub(crate) place: Place,
}

impl Site {
    pub(crate) async fn on_file() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        let key_file = folder.path().join("yizhan.key");
        Self::filled(folder, Place::File { path, key_file }).await
    }

    pub(crate) async fn on_postgres(cluster: &Cluster) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = cluster.address(&cluster.database().await);
        let key_file = folder.path().join("yizhan.key");
        Self::filled(folder, Place::Postgres { address, key_file }).await
    }

    async fn filled(folder: TempDir, place: Place) -> Self {
        Key::create(place.key_file()).unwrap();
        place.fill().await;
        Self { folder, place }
    }

    pub(crate) fn setting(&self, chain: usize, temper: Temper, seed: u64, clock: Hurried) -> Setting {
        let (place, payers) = (self.place.clone(), self.folder.path().to_owned());
        Setting { place, payers, chain, temper, seed, clock, advances: false, return_address: None }
    }
}
