//! Four gateways on one PostgreSQL, each with connections of its own: one truth.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use yizhan::runtime::{Clock as _, CountedIds};
use yizhan::settlement::payers::Payers;
use yizhan::store::Ports;
use yizhan::store::seal::Key;
use yizhan::store::sqlite::Sqlite;
use yizhan_contract::Money;
use yizhan_contract::payer::{
    Answer, Ask, Manifest, Memo, Operation, OperationKind, Payer, Performed, PrepareError, Prepared, Quote,
    QuoteAnswer, QuotedAmount, StatementLine, Status, Unavailable, VisitEvent,
};
use yizhan_rules::PolicyShelf;

use super::house::Hand;
use super::random::{fifty_posts, many_of_one_person};
use super::{House, audit, profiles};
use crate::cluster;
use crate::stays::open_postgres;

const GATEWAYS: usize = 4;

/// Pays all it may, firmly, after a while; its book is the same for all gateways.
struct Generous {
    manifest: Manifest,
    takes: Duration,
    book: Mutex<BTreeMap<Arc<str>, Money>>,
}

impl Generous {
    fn new(takes: Duration) -> Arc<Self> {
        let manifest = Manifest {
            serves: vec!["critical_illness".parse().unwrap()],
            quotes_are_firm: true,
            commits_are_idempotent: true,
            reverse_window_s: Some(86_400),
            not_found_settles_after_s: 0,
            optional: false,
            commits_zero: false,
            concurrency_max: 1_024,
        };
        Arc::new(Self { manifest, takes, book: Mutex::default() })
    }

    fn payers(self: &Arc<Self>) -> Payers {
        Payers::new(vec![("insurer".into(), Arc::clone(self) as Arc<dyn Payer>)]).unwrap()
    }

    fn holds(&self) -> Money {
        self.book.lock().unwrap().values().copied().sum()
    }
}

impl Payer for Generous {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn visit<'a>(&'a self, _: &'a VisitEvent, memo: Memo) -> Answer<'a, Memo> {
        Box::pin(async move { memo })
    }

    fn quote<'a>(&'a self, ask: &'a Ask, _: Timestamp) -> Answer<'a, QuoteAnswer> {
        let amount = |leg: &yizhan_contract::payer::AskedLeg| QuotedAmount {
            payer: leg.payer.clone(),
            amount: leg.pay_at_most,
            steps: Vec::new(),
        };
        Box::pin(async move {
            tokio::time::sleep(self.takes).await;
            QuoteAnswer::Quote(Quote {
                id: ask.stay.to_string(),
                valid_until: Timestamp::MAX,
                amounts: ask.legs.iter().map(amount).collect(),
                also_paid: Vec::new(),
            })
        })
    }

    fn prepare(&self, operation: &Operation) -> Result<Prepared, PrepareError> {
        serde_json::to_vec(operation).map(Prepared).map_err(|why| PrepareError(why.to_string()))
    }

    fn perform<'a>(&'a self, prepared: &'a Prepared, _: Timestamp) -> Answer<'a, Performed> {
        Box::pin(async move {
            tokio::time::sleep(self.takes).await;
            let operation: Operation = serde_json::from_slice(&prepared.0).unwrap();
            assert_eq!(operation.kind, OperationKind::Commit, "nothing is taken back here");
            let amount = operation.amounts.iter().map(|(_, amount)| *amount).sum();
            let before = self.book.lock().unwrap().insert(Arc::clone(&operation.id), amount);
            assert!(before.is_none(), "{} was sent twice", operation.id);
            Performed::Committed { amounts: operation.amounts, reference: operation.id.to_string() }
        })
    }

    fn status<'a>(&'a self, _: &'a Prepared, _: Timestamp) -> Answer<'a, Status> {
        panic!("no answer was lost")
    }

    fn statement(&self, _: Date) -> Answer<'_, Result<Vec<StatementLine>, Unavailable>> {
        panic!("nobody asks for the day's book")
    }
}

async fn gateways(payers: impl Fn() -> Payers) -> Vec<Arc<House>> {
    let cluster = cluster::shared();
    let address = cluster.address(&cluster.database().await);
    let (key, ids) = (Key::ephemeral().unwrap(), Arc::new(CountedIds::default()));
    let mut houses = Vec::new();
    for nth in 0..GATEWAYS {
        let store = Arc::new(open_postgres(&address, key.clone()).await.unwrap());
        houses.push(Arc::new(house(store, payers(), &format!("gateway {nth}"), &ids)));
        tokio::spawn(runs(Arc::clone(&houses[nth].clock)));
    }
    houses[0].fill().await;
    houses
}

/// Time goes by: who meets a stay in the hands of another gateway looks again after a while.
async fn runs(clock: Arc<Hand>) {
    const TICK: Duration = Duration::from_millis(10);
    loop {
        tokio::time::sleep(TICK).await;
        clock.put(clock.now() + TICK);
    }
}

fn house(store: Arc<dyn Ports>, payers: Payers, name: &str, ids: &Arc<CountedIds>) -> House {
    House::over(store, PolicyShelf::shipped().unwrap(), profiles("", None), payers, name, ids.clone())
}

/// One gateway over a store in memory, filled.
async fn alone(payers: Payers) -> House {
    let ids = Arc::new(CountedIds::default());
    let house = house(Arc::new(Sqlite::in_memory(ids.clone()).unwrap()), payers, "alone", &ids);
    house.fill().await;
    house
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_equal_posts_are_one_settlement() {
    fifty_posts(&gateways(Payers::none).await).await;
    let insurer = Generous::new(Duration::from_millis(5));
    fifty_posts(&gateways(|| insurer.payers()).await).await;
    assert!(insurer.book.lock().unwrap().len() <= 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_settlements_of_one_person_equal_a_serial_order() {
    let houses = gateways(Payers::none).await;
    many_of_one_person(&houses, 200, &alone(Payers::none()).await).await;
    assert_eq!(audit(&*houses[0].store).await.1, []);
}

/// What others have sent a payer and not settled yet counts as well: nobody waits, and no cap is passed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_settlements_of_one_person_with_an_insurer_equal_a_serial_order() {
    let insurer = Generous::new(Duration::from_millis(5));
    let houses = gateways(|| insurer.payers()).await;
    let serial = alone(Generous::new(Duration::ZERO).payers()).await;
    many_of_one_person(&houses, 200, &serial).await;
    assert_eq!(insurer.holds(), "20000.00".parse().unwrap());
    assert_eq!(audit(&*houses[0].store).await.1, []);
}
