//! A gateway over a fresh store, with the sample policies, hospitals, roster and catalogue.

use std::sync::Arc;

use yizhan::catalogue::CatalogueFile;
use yizhan::intake::reception::{Arrival, Received, Reception};
use yizhan::intake::{Format, Profile, Profiles};
use yizhan::roster::opening::OpeningFile;
use yizhan::roster::{RosterFile, RosterMode};
use yizhan::runtime::{CountedIds, FixedClock, Runtime};
use yizhan::settlement::directory::Directory;
use yizhan::settlement::gateway::Gateway;
use yizhan::settlement::message::Mode;
use yizhan::settlement::payers::Payers;
use yizhan::sheet::Problem;
use yizhan::store::Ports;
use yizhan::store::registers::Import;
use yizhan::store::seal::Key;
use yizhan::store::sqlite::{Options, Sqlite};
use yizhan::telemetry::Channel;
use yizhan_rules::PolicyShelf;

use crate::project;

pub(crate) struct House {
    pub(crate) reception: Reception,
    pub(crate) store: Arc<dyn Ports>,
    pub(crate) clock: Arc<FixedClock>,
    /// Absent where the store is not a file of its own.
    disk: Option<Disk>,
}

fn import<T>(
    rows: Result<impl Iterator<Item = Result<T, Vec<Problem>>> + Send + 'static, Vec<Problem>>,
) -> Import<T> {
    let at = "2020-12-31T00:00:00Z".parse().unwrap();
    Import { at, file: "file".into(), rows: Box::new(rows.unwrap()), progress: Arc::new(|_| {}) }
}

/// The sample hospitals; the county hospital's profile with further lines and other agreements.
pub(crate) fn profiles(extra: &str, agreements: Option<&str>) -> Profiles {
    let profile = |code: &str| {
        let path = project("tests/samples/hospitals").join(format!("{code}.toml"));
        std::fs::read_to_string(path).unwrap()
    };
    let mut county = profile("H37132301");
    if let Some(agreements) = agreements {
        let lines = county.lines().map(|line| if line.starts_with("agreements") { agreements } else { line });
        county = lines.collect::<Vec<_>>().join("\n");
    }
    // Keys first: the sample may end with tables.
    let texts = [format!("{extra}\n{county}"), profile("H37130001"), profile("H37132302")];
    Profiles::new(texts.iter().map(|text| Profile::from_toml(text).unwrap()).collect()).unwrap()
}

/// A store on disk, for a gateway that ends and begins again.
struct Disk {
    directory: tempfile::TempDir,
    key: Key,
    store: Arc<Sqlite>,
}

impl Disk {
    fn new(ids: &Arc<CountedIds>) -> Self {
        let (directory, key) = (tempfile::tempdir().unwrap(), Key::ephemeral().unwrap());
        let store = Self::opened(&directory, &key, ids);
        Self { directory, key, store }
    }

    fn opened(directory: &tempfile::TempDir, key: &Key, ids: &Arc<CountedIds>) -> Arc<Sqlite> {
        let path = directory.path().join("store.db");
        Arc::new(Sqlite::open(&path, Some(key.clone()), ids.clone(), Options::default()).unwrap())
    }
}

fn reception(
    store: &Arc<dyn Ports>,
    clock: Arc<FixedClock>,
    policies: PolicyShelf,
    profiles: Arc<Profiles>,
    payers: impl Into<Directory>,
    name: &str,
    ids: Arc<CountedIds>,
) -> Reception {
    let known = Arc::clone(&profiles);
    let hospitals =
        Arc::new(move |code: &str| known.of_hospital(code).map(|profile| Arc::clone(&profile.hospital)));
    let runtime = Runtime { clock, ids };
    let gateway = Gateway::new(store.clone(), Arc::new(policies), hospitals, payers, name.into(), runtime);
    Reception::new(gateway, profiles)
}

impl House {
    pub(crate) async fn new(profiles: Profiles, on_disk: bool) -> Self {
        Self::under(PolicyShelf::shipped().unwrap(), profiles, on_disk).await
    }

    pub(crate) async fn under(policies: PolicyShelf, profiles: Profiles, on_disk: bool) -> Self {
        let ids: Arc<CountedIds> = Arc::default();
        let disk = on_disk.then(|| Disk::new(&ids));
        let store: Arc<dyn Ports> = match &disk {
            None => Arc::new(Sqlite::in_memory(ids.clone()).unwrap()),
            Some(disk) => disk.store.clone(),
        };
        let house = Self::over(store, policies, profiles, Payers::none(), "test", ids);
        house.fill().await;
        Self { disk, ..house }
    }

    /// A gateway of this name over a store that is there.
    pub(crate) fn over(
        store: Arc<dyn Ports>,
        policies: PolicyShelf,
        profiles: Profiles,
        payers: Payers,
        name: &str,
        ids: Arc<CountedIds>,
    ) -> Self {
        payers.check(&policies).unwrap();
        Self::asking(store, policies, profiles, Arc::new(payers), name, ids)
    }

    /// The same where who is asked may change.
    pub(crate) fn asking(
        store: Arc<dyn Ports>,
        policies: PolicyShelf,
        profiles: Profiles,
        payers: impl Into<Directory>,
        name: &str,
        ids: Arc<CountedIds>,
    ) -> Self {
        let clock = Arc::new(FixedClock::at("2020-07-02T10:00:00+08:00".parse().unwrap()));
        let reception =
            reception(&store, Arc::clone(&clock), policies, Arc::new(profiles), payers, name, ids);
        Self { reception, store, clock, disk: None }
    }

    /// The gateway ends, and begins again over the same file.
    pub(crate) async fn begun_again(self) -> Self {
        let Self { reception: ended, store, clock, disk } = self;
        let profiles = Arc::clone(ended.profiles());
        drop((ended, store));
        let Disk { directory, key, store } = disk.unwrap();
        Arc::into_inner(store).unwrap().close().await;
        // Ids of another time: nothing is to rest upon the first gateway's.
        let ids: Arc<CountedIds> = Arc::default();
        let runtime = Runtime { clock: clock.clone(), ids: ids.clone() };
        (0..100_000).for_each(|_| assert!(!runtime.next_id().is_nil()));
        let file = Disk::opened(&directory, &key, &ids);
        let store: Arc<dyn Ports> = file.clone();
        let policies = PolicyShelf::shipped().unwrap();
        let reception =
            reception(&store, clock.clone(), policies, profiles, Arc::new(Payers::none()), "test", ids);
        Self { reception, store, clock, disk: Some(Disk { directory, key, store: file }) }
    }

    /// Somebody writes in the file by hand.
    pub(crate) fn damage(&self, statement: &str) {
        let path = self.disk.as_ref().unwrap().directory.path().join("store.db");
        let rows = rusqlite::Connection::open(path).unwrap().execute(statement, []).unwrap();
        assert_ne!(rows, 0, "{statement}");
    }

    /// The roster and the catalogue of the samples.
    pub(crate) async fn fill(&self) {
        let samples = project("tests/samples");
        let roster = import(RosterFile::open(&samples.join("roster.csv")));
        self.store.import_roster(roster, RosterMode::Delta).await.unwrap();
        let catalogue = import(CatalogueFile::open(&samples.join("catalogue.csv")));
        self.store.import_catalogue(catalogue).await.unwrap();
    }

    /// What was used up before: `id_number,payer,year,base,paid,admissions,as_of`.
    pub(crate) async fn openings(&self, rows: &str) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("openings.csv");
        let text = format!("id_number,payer,year,base,paid,admissions,as_of\n{rows}");
        std::fs::write(&path, text).unwrap();
        self.store.import_openings(import(OpeningFile::open(&path))).await.unwrap();
    }

    pub(crate) async fn receive(&self, bytes: &[u8], format: Format, mode: Option<Mode>) -> Received {
        let arrival = Arrival { channel: Channel::Http, bytes, format, charset: None, mode, only: None };
        self.reception.receive(arrival).await
    }
}
