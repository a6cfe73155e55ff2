//! A store to run over, as `serve` would find it: sample policies, hospitals, roster, catalogue, openings.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use yizhan::catalogue::CatalogueFile;
use yizhan::intake::{Profile, Profiles};
use yizhan::roster::opening::OpeningFile;
use yizhan::roster::{RosterFile, RosterMode};
use yizhan::runtime::Ids;
use yizhan::settlement::gateway::Hospitals;
use yizhan::sheet::Problem;
use yizhan::store::Store;
use yizhan::store::postgres::{self, Postgres};
use yizhan::store::registers::{Import, Registers};
use yizhan::store::seal::Key;
use yizhan::store::sqlite::Sqlite;
use yizhan_rules::PolicyShelf;

use super::workload::{HABITS, OPENINGS};
use crate::away::policies;
use crate::project;

pub(crate) struct Opened {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) policies: Arc<PolicyShelf>,
    pub(crate) hospitals: Hospitals,
    pub(crate) profiles: Arc<Profiles>,
}

/// What a run opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Open {
    #[default]
    InMemory,
    /// A database of its own in the tests' cluster.
    InPostgres,
}

impl Open {
    pub(crate) async fn filled(self, ids: Arc<dyn Ids>) -> Opened {
        match self {
            Self::InMemory => opened(Arc::new(Sqlite::in_memory(ids).unwrap())).await,
            Self::InPostgres => {
                let cluster = crate::cluster::shared();
                let address = cluster.address(&cluster.database().await).parse().unwrap();
                let options = postgres::Options { connections_max: 2, ..postgres::Options::default() };
                let store = Postgres::open(&address, Some(Key::ephemeral().unwrap()), ids, options).await;
                opened(Arc::new(store.unwrap())).await
            }
        }
    }
}

pub(crate) fn import<T>(
    rows: Result<impl Iterator<Item = Result<T, Vec<Problem>>> + Send + 'static, Vec<Problem>>,
) -> Import<T> {
    let at = "2020-12-31T00:00:00Z".parse().unwrap();
    Import { at, file: "file".into(), rows: Box::new(rows.unwrap()), progress: Arc::new(|_| {}) }
}

/// The sample hospitals with their habits.
fn profiles() -> Profiles {
    let profile = |(code, _, habits): &(&str, &str, &str)| {
        let path = project("tests/samples/hospitals").join(format!("{code}.toml"));
        let sample = std::fs::read_to_string(path).unwrap();
        // Keys first: the sample may end with tables.
        Profile::from_toml(&format!("{habits}\n{sample}")).unwrap()
    };
    Profiles::new(HABITS.iter().map(profile).collect()).unwrap()
}

async fn opened<S: Store + Registers + 'static>(store: Arc<S>) -> Opened {
    filled(&*store).await;
    let profiles = Arc::new(profiles());
    let known = Arc::clone(&profiles);
    let hospitals =
        Arc::new(move |code: &str| known.of_hospital(code).map(|profile| Arc::clone(&profile.hospital)));
    Opened { store, policies: Arc::new(policies()), hospitals, profiles }
}

/// Fills an empty store with what every run needs.
pub(crate) async fn filled(store: &impl Registers) {
    let samples = project("tests/samples");
    let roster = import(RosterFile::open(&samples.join("roster.csv")));
    store.import_roster(roster, RosterMode::Delta).await.unwrap();
    store.import_catalogue(import(CatalogueFile::open(&samples.join("catalogue.csv")))).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("openings.csv");
    std::fs::write(&path, OPENINGS).unwrap();
    store.import_openings(import(OpeningFile::open(&path))).await.unwrap();
}
