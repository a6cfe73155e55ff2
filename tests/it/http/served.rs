//! A gateway on a port of its own: store in memory, sample roster and catalogue, each hospital its token.

use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use uuid::Uuid;
use yizhan::catalogue::CatalogueFile;
use yizhan::config::Limits;
use yizhan::http::{self, Passes, Reading, Recent, State, Waits};
use yizhan::intake::Profiles;
use yizhan::intake::profile::Profile;
use yizhan::intake::reception::Reception;
use yizhan::roster::{RosterFile, RosterMode};
use yizhan::runtime::{FixedClock, RandomIds, Runtime, Shutdown};
use yizhan::settlement::gateway::Gateway;
use yizhan::settlement::payers::Payers;
use yizhan::store::registers::{Import, Registers};
use yizhan::store::sqlite::Sqlite;
use yizhan::store::{
    Answer, BooksPage, CatalogueItem, Done, Due, Lease, MessageClaim, OutboxEntry, PersonFacts, PersonRef,
    ReportLine, StayRef, Step, Store, StoreError, StoredSettlement, StoredStay,
};
use yizhan::{samples, telemetry};
use yizhan_contract::Text;
use yizhan_rules::PolicyShelf;

use super::client::{Ask, Reply};

/// Token of 沂水县人民医院, H37132301.
pub(crate) const YISHUI: &str = "token-of-H37132301";
/// Token of 临沂市中心医院, H37130001.
pub(crate) const LINYI: &str = "token-of-H37130001";

const DRAIN: Duration = Duration::from_secs(20);

/// A store that can be held up and broken.
pub(crate) struct Gate {
    inner: Arc<dyn Store>,
    /// One permit for each step.
    steps: Semaphore,
    is_broken: AtomicBool,
    takes_to_fail: AtomicUsize,
    /// Which write from now on its writer will not hear of; 0: none.
    unheard: AtomicUsize,
    /// How long it takes to begin a delivery, by this clock.
    outbox_takes: OnceLock<(Arc<FixedClock>, SignedDuration)>,
    /// Steps that were begun, held up or not.
    begun: watch::Sender<u32>,
    /// Steps that ended.
    ended: watch::Sender<u32>,
}

impl Gate {
    pub(crate) fn before(inner: Arc<dyn Store>) -> Self {
        let steps = Semaphore::new(Semaphore::MAX_PERMITS / 2);
        let (begun, ended) = (watch::Sender::new(0), watch::Sender::new(0));
        let (is_broken, takes_to_fail) = (AtomicBool::new(false), AtomicUsize::new(0));
        let unheard = AtomicUsize::new(0);
        let outbox_takes = OnceLock::new();
        Self { inner, steps, is_broken, takes_to_fail, unheard, outbox_takes, begun, ended }
    }

    /// From now on steps wait.
    pub(crate) fn hold(&self) {
        self.steps.forget_permits(usize::MAX);
    }

    pub(crate) fn release(&self) {
        self.steps.add_permits(Semaphore::MAX_PERMITS / 2);
    }

    pub(crate) fn break_down(&self) {
        self.is_broken.store(true, Ordering::SeqCst);
    }

    /// The next so many leases that are taken are not.
    pub(crate) fn fail_takes(&self, count: usize) {
        self.takes_to_fail.store(count, Ordering::SeqCst);
    }

    /// The answer to the nth write from now on is lost.
    pub(crate) fn lose_the_answer_to(&self, nth: usize) {
        self.unheard.store(nth, Ordering::SeqCst);
    }

    /// Whether it was.
    pub(crate) fn has_lost_an_answer(&self) -> bool {
        self.unheard.load(Ordering::SeqCst) == 0
    }

    /// From now on it takes as long to begin a delivery.
    pub(crate) fn hold_up_deliveries(&self, clock: Arc<FixedClock>, by: SignedDuration) {
        assert!(self.outbox_takes.set((clock, by)).is_ok(), "held up already");
    }

    /// Waits until as many steps were begun.
    pub(crate) async fn begun(&self, steps: u32) {
        self.begun.subscribe().wait_for(|begun| *begun >= steps).await.unwrap();
    }

    /// Waits until as many steps ended.
    pub(crate) async fn ended(&self, steps: u32) {
        self.ended.subscribe().wait_for(|ended| *ended >= steps).await.unwrap();
    }

    fn works(&self) -> Result<(), StoreError> {
        match self.is_broken.load(Ordering::SeqCst) {
            true => Err(held_down()),
            false => Ok(()),
        }
    }
}

fn held_down() -> StoreError {
    StoreError::Unavailable(Text::new("测试停用", "held down by a test"))
}

impl Store for Gate {
    fn step(&self, step: Step) -> Answer<'_, Done> {
        Box::pin(async move {
            self.works()?;
            self.begun.send_modify(|begun| *begun += 1);
            self.steps.acquire().await.unwrap().forget();
            let done = self.inner.step(step).await;
            self.ended.send_modify(|ended| *ended += 1);
            let one_less = |left: usize| left.checked_sub(1);
            if matches!(done, Ok(Done::Decided(_)))
                && self.unheard.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less) == Ok(1)
            {
                return Err(StoreError::InDoubt(Text::new("应答丢失", "the answer is lost")));
            }
            done
        })
    }

    fn keep_refused(&self, at: Timestamp, claim: MessageClaim, answer: Vec<u8>) -> Answer<'_, ()> {
        Box::pin(async move {
            self.works()?;
            self.inner.keep_refused(at, claim, answer).await
        })
    }

    fn person(&self, persons: Vec<PersonRef>) -> Answer<'_, Option<PersonFacts>> {
        Box::pin(async move {
            self.works()?;
            self.inner.person(persons).await
        })
    }

    fn stay(&self, stay: StayRef) -> Answer<'_, Option<StoredStay>> {
        Box::pin(async move {
            self.works()?;
            self.inner.stay(stay).await
        })
    }

    fn settlement(&self, id: Uuid) -> Answer<'_, Option<StoredSettlement>> {
        Box::pin(async move {
            self.works()?;
            self.inner.settlement(id).await
        })
    }

    fn items(
        &self,
        hospital: Arc<str>,
        region: Arc<str>,
        on: Date,
        codes: Vec<String>,
    ) -> Answer<'_, Vec<Option<CatalogueItem>>> {
        self.inner.items(hospital, region, on, codes)
    }

    fn bill(&self, id: Uuid, version: u32) -> Answer<'_, Option<StoredSettlement>> {
        self.inner.bill(id, version)
    }

    fn due(&self, now: Timestamp, limit: u32) -> Answer<'_, Vec<Due>> {
        self.inner.due(now, limit)
    }

    fn held_by(&self, holder: Arc<str>, limit: u32) -> Answer<'_, Vec<Due>> {
        self.inner.held_by(holder, limit)
    }

    fn take(&self, due: Due, holder: Arc<str>, until: Timestamp) -> Answer<'_, Option<Lease>> {
        Box::pin(async move {
            let one_less = |left: usize| left.checked_sub(1);
            match self.takes_to_fail.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less) {
                Ok(_) => Err(held_down()),
                Err(_) => self.inner.take(due, holder, until).await,
            }
        })
    }

    fn attention(&self, limit: u32) -> Answer<'_, Vec<Uuid>> {
        self.inner.attention(limit)
    }

    fn outbox_due(&self, now: Timestamp, busy: Vec<Arc<str>>, limit: u32) -> Answer<'_, Vec<OutboxEntry>> {
        self.inner.outbox_due(now, busy, limit)
    }

    fn outbox_take(&self, entry: OutboxEntry, until: Timestamp) -> Answer<'_, bool> {
        Box::pin(async move {
            if let Some((clock, by)) = self.outbox_takes.get() {
                clock.advance(*by);
            }
            self.inner.outbox_take(entry, until).await
        })
    }

    fn outbox_delivered(&self, entry: OutboxEntry) -> Answer<'_, ()> {
        self.inner.outbox_delivered(entry)
    }

    fn outbox_failed(&self, entry: OutboxEntry, due_at: Timestamp, why: String) -> Answer<'_, ()> {
        self.inner.outbox_failed(entry, due_at, why)
    }

    fn outbox_waiting(&self, limit: u32) -> Answer<'_, Vec<OutboxEntry>> {
        self.inner.outbox_waiting(limit)
    }

    fn books(&self, after: Option<Uuid>, people: u32) -> Answer<'_, BooksPage> {
        self.inner.books(after, people)
    }

    fn report(&self, day: Date) -> Answer<'_, Vec<ReportLine>> {
        self.inner.report(day)
    }

    fn ping(&self) -> Answer<'_, ()> {
        Box::pin(async move {
            self.works()?;
            self.inner.ping().await
        })
    }

    fn steps_beside_messages(&self) -> usize {
        self.inner.steps_beside_messages()
    }
}

pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    pub(crate) clock: Arc<FixedClock>,
    pub(crate) store: Arc<Gate>,
    pub(crate) gateway: Gateway,
    stop: watch::Sender<bool>,
    task: JoinHandle<std::io::Result<()>>,
}

pub(crate) struct Setting {
    pub(crate) reading: Reading,
    pub(crate) limits: Limits,
    pub(crate) tls: Option<rustls::ServerConfig>,
    pub(crate) waits: Waits,
    pub(crate) payers: Arc<Payers>,
}

impl Default for Setting {
    fn default() -> Self {
        let limits =
            Limits { message_bytes_max: 64 * 1024, requests_per_second_max: 10_000, ..Limits::default() };
        Self { reading: Reading::Token, limits, tls: None, waits: Waits::default(), payers: Arc::default() }
    }
}

impl Setting {
    pub(crate) fn open() -> Self {
        Self { reading: Reading::Open, ..Self::default() }
    }

    pub(crate) async fn serve(self) -> Served {
        let clock = Arc::new(FixedClock::at("2020-12-01T02:00:00Z".parse().unwrap()));
        let runtime = Runtime { clock: Arc::clone(&clock) as _, ids: Arc::new(RandomIds) };
        let inner = Arc::new(Sqlite::in_memory(Arc::clone(&runtime.ids)).unwrap());
        register_samples(&inner, &runtime).await;
        let store = Arc::new(Gate::before(inner));
        let profiles = Arc::new(profiles());
        let known = Arc::clone(&profiles);
        let hospitals =
            Arc::new(move |code: &str| known.of_hospital(code).map(|found| Arc::clone(&found.hospital)));
        let policies = Arc::new(PolicyShelf::shipped().unwrap());
        let gateway = Gateway::new(
            Arc::clone(&store) as _,
            policies,
            hospitals,
            self.payers,
            Arc::from("test"),
            runtime,
        );
        let reception = Reception::new(gateway.clone(), profiles);
        let state = State {
            reception,
            reading: self.reading,
            metrics: telemetry::start_metrics(),
            message_bytes_max: self.limits.message_bytes_max,
            waits: self.waits,
            requests_per_second_max: self.limits.requests_per_second_max,
            passes: Passes::new(&[7; 32]),
            recent: Arc::new(Recent::default()),
        };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = Shutdown::new();
        let task = tokio::spawn(http::serve(listener, self.tls, state, 1, stopped, DRAIN));
        Served { address, clock, store, gateway, stop, task }
    }
}

pub(crate) async fn served() -> Served {
    Setting::default().serve().await
}

impl Served {
    pub(crate) async fn ask(&self, ask: Ask) -> Reply {
        ask.send(self.address).await
    }

    /// As H37132301.
    pub(crate) async fn post(&self, path: &str, body: impl Into<Vec<u8>>) -> Reply {
        self.ask(Ask::post(path, body).token(YISHUI)).await
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.ask(Ask::get(path).token(YISHUI)).await
    }

    pub(crate) fn stop(&self) {
        self.stop.send(true).unwrap();
    }

    /// Waits until the listener is gone and nothing is in hand.
    pub(crate) async fn over(self) {
        self.task.await.unwrap().unwrap();
    }
}

async fn register_samples(store: &Sqlite, runtime: &Runtime) {
    let rows = Box::new(RosterFile::shipped(samples::ROSTER).unwrap());
    let import = Import { at: runtime.now(), file: "roster".into(), rows, progress: Arc::new(|_| {}) };
    store.import_roster(import, RosterMode::Delta).await.unwrap();
    let rows = Box::new(CatalogueFile::shipped(samples::CATALOGUE).unwrap());
    let import = Import { at: runtime.now(), file: "catalogue".into(), rows, progress: Arc::new(|_| {}) };
    store.import_catalogue(import).await.unwrap();
}

/// The sample hospitals, each with a token of its own.
fn profiles() -> Profiles {
    let profile = |sample: &samples::SampleHospital| {
        let mut profile = Profile::from_toml(sample.profile).unwrap();
        profile.token_sha256 = Some(Sha256::digest(format!("token-of-{}", profile.code())).into());
        profile
    };
    Profiles::new(samples::HOSPITALS.iter().map(profile).collect()).unwrap()
}

/// A sample message.
pub(crate) fn sample(name: &str) -> Vec<u8> {
    std::fs::read(crate::project("tests/samples").join(name)).unwrap()
}

/// A discharge in which one text is another.
pub(crate) fn worked(from: &str, to: &str) -> Vec<u8> {
    let text = String::from_utf8(sample("01-worked.json")).unwrap();
    assert!(text.contains(from), "the sample holds no {from}");
    text.replace(from, to).into_bytes()
}
