//! An outside payer that pays all it may, in a case's own time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use tokio::sync::{Notify, Semaphore};
use yizhan::settlement::payers::Payers;
use yizhan_contract::Money;
use yizhan_contract::opaque::Opaque;
use yizhan_contract::payer::{
    Answer, Ask, Manifest, Operation, OperationKind, Payer, Performed, PrepareError, Prepared, Quote,
    QuoteAnswer, QuotedAmount, StatementLine, Status, Unavailable,
};

/// Pays all it may, firmly, after a while; its book is the same for all gateways.
pub(crate) struct Generous {
    manifest: Manifest,
    takes: Duration,
    book: Mutex<BTreeMap<Arc<str>, Money>>,
    gate: Option<Gate>,
}

/// A payer that answers questions only when it is let, and whose answer to a commit may be lost on the way.
struct Gate {
    loses_commits: bool,
    asked: Notify,
    answers: Semaphore,
}

impl Generous {
    pub(crate) fn new(takes: Duration) -> Arc<Self> {
        Self::behind(None, takes)
    }

    /// Answers as many questions, for quotes and for what became of commits, as it is [let](Self::answer).
    pub(crate) fn gated(loses_commits: bool) -> Arc<Self> {
        let gate = Gate { loses_commits, asked: Notify::new(), answers: Semaphore::new(0) };
        Self::behind(Some(gate), Duration::ZERO)
    }

    fn behind(gate: Option<Gate>, takes: Duration) -> Arc<Self> {
        let manifest = Manifest {
            quotes_are_firm: true,
            commits_are_idempotent: true,
            reverse_window_s: Some(86_400),
            not_found_settles_after_s: 0,
            optional: false,
            commits_zero: false,
            concurrency_max: 1_024,
            ..Manifest::cautious("test", "1", vec!["critical_illness".parse().unwrap()])
        };
        Arc::new(Self { manifest, takes, book: Mutex::default(), gate })
    }

    pub(crate) fn payers(self: &Arc<Self>) -> Payers {
        Payers::new(vec![("insurer".into(), Arc::clone(self) as Arc<dyn Payer>)]).unwrap()
    }

    pub(crate) fn holds(&self) -> Money {
        self.book.lock().unwrap().values().copied().sum()
    }

    pub(crate) fn commits(&self) -> usize {
        self.book.lock().unwrap().len()
    }

    /// Until it is being asked something.
    pub(crate) async fn asked(&self) {
        self.gate.as_ref().unwrap().asked.notified().await;
    }

    pub(crate) fn answer(&self, times: usize) {
        self.gate.as_ref().unwrap().answers.add_permits(times);
    }

    /// A payer is slow: nothing here waits for something to have happened meanwhile.
    async fn works(&self) {
        let _ = tokio::time::timeout(self.takes, std::future::pending::<()>()).await;
    }

    async fn takes_its_time(&self) {
        match &self.gate {
            None => self.works().await,
            Some(gate) => {
                gate.asked.notify_one();
                gate.answers.acquire().await.unwrap().forget();
            }
        }
    }
}

impl Payer for Generous {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn quote<'a>(&'a self, ask: &'a Ask, _: Timestamp) -> Answer<'a, QuoteAnswer> {
        let amount = |leg: &yizhan_contract::payer::AskedLeg| QuotedAmount {
            payer: leg.payer.clone(),
            amount: leg.pay_at_most,
            steps: Vec::new(),
        };
        Box::pin(async move {
            self.takes_its_time().await;
            QuoteAnswer::Quote(Quote {
                id: ask.stay.to_string(),
                valid_until: Timestamp::MAX,
                amounts: ask.legs.iter().map(amount).collect(),
                also_paid: Vec::new(),
                kept: Opaque::default(),
            })
        })
    }

    fn prepare(&self, operation: &Operation) -> Result<Prepared, PrepareError> {
        serde_json::to_vec(operation).map(Prepared::from).map_err(|why| PrepareError(why.to_string()))
    }

    fn perform<'a>(&'a self, prepared: &'a Prepared, _: Timestamp) -> Answer<'a, Performed> {
        Box::pin(async move {
            self.works().await;
            let operation: Operation = serde_json::from_slice(&prepared.0).unwrap();
            assert_eq!(operation.kind, OperationKind::Commit, "nothing is taken back here");
            let amount = operation.amounts.iter().map(|(_, amount)| *amount).sum();
            let before = self.book.lock().unwrap().insert(Arc::clone(&operation.id), amount);
            assert!(before.is_none(), "{} was sent twice", operation.id);
            if self.gate.as_ref().is_some_and(|gate| gate.loses_commits) {
                return Performed::Unknown { poll_after: None, why: "the answer is lost".into() };
            }
            Performed::Committed { amounts: operation.amounts, reference: operation.id.to_string() }
        })
    }

    fn status<'a>(&'a self, prepared: &'a Prepared, _: Timestamp) -> Answer<'a, Status> {
        assert!(self.gate.is_some(), "no answer was lost");
        Box::pin(async move {
            self.takes_its_time().await;
            let operation: Operation = serde_json::from_slice(&prepared.0).unwrap();
            assert!(self.book.lock().unwrap().contains_key(&operation.id));
            Status::Done { amounts: operation.amounts, reference: operation.id.to_string() }
        })
    }

    fn statement(&self, _: Date, _: Timestamp) -> Answer<'_, Result<Vec<StatementLine>, Unavailable>> {
        panic!("nobody asks for the day's book")
    }
}
