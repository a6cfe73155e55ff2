//! Steps, people and stores for tests.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};

use jiff::Timestamp;
use jiff::civil::Date;
use uuid::Uuid;
use yizhan::runtime::RandomIds;
use yizhan::store::postgres::{self, Postgres};
use yizhan::store::seal::Key;
use yizhan::store::sqlite::{Options, Sqlite};
use yizhan::store::{
    Account, BillWrite, Changes, Decide, Facts, Hold, LegWrite, MessageClaim, PersonRef, Posting,
    PostingKind, StayRef, StayWrite, Step, StoreError,
};
use yizhan_contract::step::PayerState;
use yizhan_contract::{Exact, Money, Personal, Used};

pub(crate) use yizhan::store::Ports;

pub(crate) const HOSPITAL: &str = "H37132301";
pub(crate) const WANG: &str = "371323195001010015";
pub(crate) const LI: &str = "371323195001020029";

/// Runs a check against a fresh store of every kind.
pub(crate) async fn each_store(check: impl AsyncFn(&dyn Ports)) {
    let memory = Sqlite::in_memory(Arc::new(RandomIds)).unwrap();
    on("SQLite in memory", check(&memory)).await;
    each_racing_store(check).await;
}

/// A check that fails says on which store.
async fn on(store: &'static str, check: impl Future<Output = ()>) {
    struct Named(&'static str);
    impl Drop for Named {
        fn drop(&mut self) {
            if std::thread::panicking() {
                eprintln!("the store was {}", self.0);
            }
        }
    }
    let _named = Named(store);
    check.await;
}

/// A new store in the cluster that all tests share.
pub(crate) async fn postgres() -> Postgres {
    let cluster = crate::cluster::shared();
    let address = cluster.address(&cluster.database().await);
    open_postgres(&address, Key::ephemeral().unwrap()).await.unwrap()
}

pub(crate) async fn open_postgres(address: &str, key: Key) -> Result<Postgres, StoreError> {
    let options = postgres::Options { connections_max: 8, ..postgres::Options::default() };
    Postgres::open(&address.parse().unwrap(), Some(key), Arc::new(RandomIds), options).await
}

/// Runs a check against every store whose steps decide beside each other.
pub(crate) async fn each_racing_store(check: impl AsyncFn(&dyn Ports)) {
    let directory = tempfile::tempdir().unwrap();
    let file = open(&directory.path().join("store.db"), Key::ephemeral().unwrap()).unwrap();
    on("SQLite in a file", check(&file)).await;
    file.close().await;
    on("PostgreSQL", check(&postgres().await)).await;
}

/// The other end of a decision that is held.
pub(crate) struct Held {
    begun: tokio::sync::mpsc::UnboundedReceiver<()>,
    go_on: mpsc::Sender<()>,
    runs: Arc<AtomicUsize>,
}

impl Held {
    /// Waits until the decision has been shown its facts.
    pub(crate) async fn begun(&mut self) {
        self.begun.recv().await.unwrap();
    }

    pub(crate) fn go_on(&self) {
        self.go_on.send(()).unwrap();
    }

    pub(crate) fn runs(&self) -> usize {
        self.runs.load(Ordering::Relaxed)
    }
}

/// A decision that waits to be let go on, the first so many times it runs.
pub(crate) fn held(times: usize, decide: Decide) -> (Decide, Held) {
    let (say, begun) = tokio::sync::mpsc::unbounded_channel();
    let (go_on, let_go) = mpsc::channel();
    let (let_go, runs) = (Mutex::new(let_go), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&runs);
    let held: Decide = Box::new(move |facts| {
        if counted.fetch_add(1, Ordering::Relaxed) < times {
            say.send(()).unwrap();
            // A test that fails lets go as well.
            let _ = let_go.lock().unwrap().recv();
        }
        decide(facts)
    });
    (held, Held { begun, go_on, runs })
}

pub(crate) fn open(path: &Path, key: Key) -> Result<Sqlite, StoreError> {
    Sqlite::open(path, Some(key), Arc::new(RandomIds), Options::default())
}

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(crate) fn now() -> Timestamp {
    at("2020-07-02T02:00:00Z")
}

pub(crate) fn day(text: &str) -> Date {
    text.parse().unwrap()
}

pub(crate) fn yuan(text: &str) -> Money {
    text.parse().unwrap()
}

pub(crate) fn used(base: &str, paid: &str) -> Used {
    Used { base: base.parse::<Exact>().unwrap(), paid: yuan(paid) }
}

pub(crate) fn id_number(text: &str) -> PersonRef {
    PersonRef::IdNumber(Personal::new(text.parse().unwrap()))
}

pub(crate) fn mrn(text: &str) -> PersonRef {
    PersonRef::Mrn { hospital: HOSPITAL.into(), mrn: Personal::new(text.to_owned()) }
}

pub(crate) fn message(id: &str, content: &str) -> MessageClaim {
    let mut digest = [0; 32];
    digest[..content.len().min(32)].copy_from_slice(&content.as_bytes()[..content.len().min(32)]);
    MessageClaim {
        sender: "HIS|H37132301|ADT".to_owned(),
        message_id: id.to_owned(),
        digest,
        raw: content.as_bytes().to_vec(),
    }
}

pub(crate) fn visit(number: &str, admitted: Option<&str>) -> StayRef {
    StayRef::Visit { hospital: HOSPITAL.into(), number: number.into(), admitted: admitted.map(day) }
}

pub(crate) fn step(id: &str, stay: StayRef, persons: Vec<PersonRef>, decide: Decide) -> Step {
    Step { at: now(), claim: Some(message(id, id)), stay, persons, lease: None, decide }
}

/// The stay a message is about: the one that is there, or a new one.
pub(crate) fn stay_write(facts: &Facts, number: &str, admitted: Option<&str>, document: &str) -> StayWrite {
    StayWrite {
        stay_id: facts.stay.as_ref().map_or_else(|| new_id(7), |stay| stay.stay_id),
        person_id: facts.person.as_ref().unwrap().person_id,
        hospital: HOSPITAL.into(),
        visit_number: number.into(),
        admitted: admitted.map(day),
        document: document.as_bytes().to_vec(),
        hold: Hold { epoch: facts.stay.as_ref().map_or(0, |stay| stay.hold.epoch), ..Hold::default() },
        needs_attention: false,
        settlement_id: None,
    }
}

pub(crate) fn new_id(seed: u128) -> Uuid {
    use std::sync::atomic::{AtomicU64, Ordering};
    static COUNT: AtomicU64 = AtomicU64::new(1);
    Uuid::from_u128((seed << 96) | u128::from(COUNT.fetch_add(1, Ordering::Relaxed)))
}

pub(crate) fn bill(settlement: Uuid, stay: Uuid, version: u32, state: &'static str, on: &str) -> BillWrite {
    let leg = |payer: &str, paid: &str| LegWrite {
        payer: payer.parse().unwrap(),
        state: PayerState::Committed,
        paid: yuan(paid),
    };
    BillWrite {
        settlement_id: settlement,
        stay_id: stay,
        version,
        hospital: HOSPITAL.into(),
        state,
        day: day(on),
        total: yuan("1786.95"),
        patient_share: yuan("181.37"),
        legs: vec![leg("basic", "1313.04"), leg("medical_assistance", "292.54")],
        document: format!("bill {version} {state}").into_bytes(),
    }
}

/// What a bill posts when it is settled.
pub(crate) fn postings(bill: &BillWrite) -> Vec<Posting> {
    let fund = |leg: &LegWrite| Account::Fund { payer: leg.payer.clone(), region: "371323".into() };
    let legs = bill.legs.iter().map(|leg| (fund(leg), leg.paid));
    let owed = legs.chain([(Account::Patient, bill.patient_share)]);
    let posting = |(debit, amount)| {
        let credit = Account::Hospital(bill.hospital.clone());
        Posting { kind: PostingKind::Settlement, debit, credit, amount }
    };
    owed.map(posting).collect()
}

/// The same taken back.
pub(crate) fn mirrored(postings: &[Posting]) -> Vec<Posting> {
    let swap = |one: &Posting| Posting {
        kind: PostingKind::Reversal,
        debit: one.credit.clone(),
        credit: one.debit.clone(),
        amount: one.amount,
    };
    postings.iter().map(swap).collect()
}

/// A decision that opens or rewrites the stay and answers `answer`.
pub(crate) fn keep(number: &'static str, admitted: Option<&'static str>, document: &'static str) -> Decide {
    Box::new(move |facts| {
        Some(Changes {
            stay: Some(stay_write(&facts, number, admitted, document)),
            answer: document.as_bytes().to_vec(),
            ..Changes::default()
        })
    })
}

/// Polls once, as somebody does who then gives up.
pub(crate) fn futures_poll<T>(future: std::pin::Pin<&mut (impl Future<Output = T> + ?Sized)>) -> Option<T> {
    match future.poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
        std::task::Poll::Ready(value) => Some(value),
        std::task::Poll::Pending => None,
    }
}
