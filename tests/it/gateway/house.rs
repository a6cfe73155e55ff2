//! A gateway over a fresh store, with the sample policies, hospitals, roster and catalogue.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::Notify;
use yizhan::catalogue::CatalogueFile;
use yizhan::intake::reception::{Arrival, Received, Reception};
use yizhan::intake::{Format, Profile, Profiles};
use yizhan::roster::opening::OpeningFile;
use yizhan::roster::{RosterFile, RosterMode};
use yizhan::runtime::{Clock, CountedIds, Runtime, Sleep};
use yizhan::settlement::gateway::Gateway;
use yizhan::settlement::message::Mode;
use yizhan::settlement::payers::Payers;
use yizhan::sheet::Problem;
use yizhan::store::Store;
use yizhan::store::registers::{Import, Registers};
use yizhan::store::seal::Key;
use yizhan::store::sqlite::{Options, Sqlite};
use yizhan::telemetry::Channel;
use yizhan_rules::PolicyShelf;

use crate::project;

/// A clock that is put where a case wants it.
pub(crate) struct Hand {
    now: std::sync::Mutex<Timestamp>,
    moved: Notify,
}

impl Hand {
    pub(crate) fn put(&self, at: Timestamp) {
        *self.now.lock().unwrap() = at;
        self.moved.notify_waiters();
    }
}

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        *self.now.lock().unwrap()
    }

    /// Until a case puts the clock there.
    fn sleep_until(&self, at: Timestamp) -> Sleep<'_> {
        Box::pin(async move {
            loop {
                let moved = self.moved.notified();
                if at <= self.now() {
                    return;
                }
                moved.await;
            }
        })
    }
}

pub(crate) struct House {
    pub(crate) reception: Reception,
    pub(crate) store: Arc<Sqlite>,
    pub(crate) clock: Arc<Hand>,
    /// Absent in memory; with the key the file is sealed under.
    on_disk: Option<(tempfile::TempDir, Key)>,
}

fn import<T>(
    rows: Result<impl Iterator<Item = Result<T, Vec<Problem>>> + Send + 'static, Vec<Problem>>,
) -> Import<T> {
    let at = "2020-01-01T00:00:00Z".parse().unwrap();
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

fn opened((directory, key): &(tempfile::TempDir, Key), ids: &Arc<CountedIds>) -> Sqlite {
    let path = directory.path().join("store.db");
    Sqlite::open(&path, Some(key.clone()), ids.clone(), Options::default()).unwrap()
}

impl House {
    pub(crate) async fn new(profiles: Profiles, on_disk: bool) -> Self {
        Self::under(PolicyShelf::shipped().unwrap(), profiles, on_disk).await
    }

    pub(crate) async fn under(policies: PolicyShelf, profiles: Profiles, on_disk: bool) -> Self {
        let ids: Arc<CountedIds> = Arc::default();
        let on_disk = on_disk.then(|| (tempfile::tempdir().unwrap(), Key::ephemeral().unwrap()));
        let store = match &on_disk {
            None => Sqlite::in_memory(ids.clone()).unwrap(),
            Some(disk) => opened(disk, &ids),
        };
        let clock = Arc::new(Hand {
            now: std::sync::Mutex::new("2020-07-02T10:00:00+08:00".parse().unwrap()),
            moved: Notify::new(),
        });
        let house = Self::around(store, clock, ids, policies, Arc::new(profiles), on_disk);
        let samples = project("tests/samples");
        let roster = import(RosterFile::open(&samples.join("roster.csv")));
        house.store.import_roster(roster, RosterMode::Delta).await.unwrap();
        let catalogue = import(CatalogueFile::open(&samples.join("catalogue.csv")));
        house.store.import_catalogue(catalogue).await.unwrap();
        house
    }

    fn around(
        store: Sqlite,
        clock: Arc<Hand>,
        ids: Arc<CountedIds>,
        policies: PolicyShelf,
        profiles: Arc<Profiles>,
        on_disk: Option<(tempfile::TempDir, Key)>,
    ) -> Self {
        let (store, runtime) = (Arc::new(store), Runtime { clock: clock.clone(), ids });
        let known = Arc::clone(&profiles);
        let hospitals =
            Arc::new(move |code: &str| known.of_hospital(code).map(|profile| Arc::clone(&profile.hospital)));
        let (payers, name) = (Arc::new(Payers::none()), Arc::from("test"));
        let gateway = Gateway::new(
            Arc::clone(&store) as Arc<dyn Store>,
            Arc::new(policies),
            hospitals,
            payers,
            name,
            runtime,
        );
        let reception = Reception::new(gateway, profiles);
        Self { reception, store, clock, on_disk }
    }

    /// The gateway ends, and begins again over the same file.
    pub(crate) async fn begun_again(self) -> Self {
        let Self { reception, store, clock, on_disk } = self;
        let profiles = Arc::clone(reception.profiles());
        drop(reception);
        Arc::into_inner(store).unwrap().close().await;
        // Ids of another time: nothing is to rest upon the first gateway's.
        let ids: Arc<CountedIds> = Arc::default();
        let runtime = Runtime { clock: clock.clone(), ids: ids.clone() };
        (0..100_000).for_each(|_| assert!(!runtime.next_id().is_nil()));
        let store = opened(on_disk.as_ref().unwrap(), &ids);
        Self::around(store, clock, ids, PolicyShelf::shipped().unwrap(), profiles, on_disk)
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
