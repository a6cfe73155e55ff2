//! What the tests share: a host, messages of the protocol as its page gives them, an adapter for a port.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::Instant;
use yizhan_contract::payer::{Ask, Manifest, Operation, OperationKind, Payer, Prepared, Quote, QuoteAnswer};
use yizhan_remote::{CallRecord, Connection, Ended, Host, Journal, Remote, Target, Verb};

use crate::certificates::Certificates;

/// When tests begin: the quotes of the protocol's page are still valid.
const BEGINS: &str = "2020-07-02T02:15:00Z";

/// A clock that begins with the test, and numbers that repeat.
pub(crate) struct TestHost {
    begun: Instant,
    /// Seconds that the steady clock was put on.
    ahead: AtomicU64,
    drawn: AtomicU8,
    /// What calls came to: the kind of each answer, or why there was none.
    ended: Mutex<Vec<(Verb, String)>>,
}

impl TestHost {
    pub(crate) fn new() -> Arc<Self> {
        let (ahead, drawn, ended) = (AtomicU64::new(0), AtomicU8::new(0), Mutex::default());
        Arc::new(Self { begun: Instant::now(), ahead, drawn, ended })
    }

    /// Since this was asked last.
    pub(crate) fn heard(&self) -> Vec<(Verb, String)> {
        std::mem::take(&mut *self.ended.lock().unwrap())
    }

    pub(crate) fn put_on(&self, seconds: u64) {
        self.ahead.fetch_add(seconds, Ordering::Relaxed);
    }

    /// So many seconds from now.
    pub(crate) fn within(&self, seconds: i64) -> Timestamp {
        self.now().checked_add(SignedDuration::from_secs(seconds)).unwrap()
    }
}

impl Host for TestHost {
    fn now(&self) -> Timestamp {
        let passed = SignedDuration::try_from(self.steady()).unwrap();
        BEGINS.parse::<Timestamp>().unwrap().checked_add(passed).unwrap()
    }

    fn steady(&self) -> Duration {
        self.begun.elapsed() + Duration::from_secs(self.ahead.load(Ordering::Relaxed))
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        bytes.fill(self.drawn.fetch_add(1, Ordering::Relaxed));
    }

    fn ended(&self, call: Ended<'_>) {
        let came_to = call.came_to.map_or_else(|trouble| trouble.text().en.to_string(), str::to_owned);
        self.ended.lock().unwrap().push((call.verb, came_to));
    }
}

/// An example of the protocol's page: `/v1/quote`, `request`, or the name of an answer.
pub(crate) fn example(path: &str, name: &str) -> Value {
    let page: Value = serde_json::from_str(include_str!("../../../../schemas/adapter.openapi.json")).unwrap();
    let call = &page["paths"][path];
    let call = if call["post"].is_null() { &call["get"] } else { &call["post"] };
    let places = [&call["requestBody"]["content"], &call["responses"]["200"]["content"]];
    let found = places.iter().find_map(|place| place["application/json"]["examples"].get(name));
    found.unwrap_or_else(|| panic!("{path} has no example {name}"))["value"].clone()
}

pub(crate) fn manifest() -> Manifest {
    serde_json::from_value(example("/v1/describe", "description")["manifest"].clone()).unwrap()
}

pub(crate) fn ask() -> Ask {
    serde_json::from_value(example("/v1/quote", "request")["ask"].clone()).unwrap()
}

pub(crate) fn commit_of(id: &str, quote: &Quote) -> Operation {
    Operation {
        id: id.into(),
        stay: "01928f6e-7c1a-7d52-9c38-2f4b6c1d0a11".into(),
        kind: OperationKind::Commit,
        quote_id: Some(quote.id.clone()),
        kept: quote.kept.clone(),
        amounts: quote.amounts.iter().map(|quoted| (quoted.payer.clone(), quoted.amount)).collect(),
    }
}

pub(crate) fn reversal_of(id: &str, commit: &Operation, prepared: &Prepared) -> Operation {
    let kind = OperationKind::Reverse { original: Arc::clone(&commit.id), prepared: prepared.clone() };
    Operation { id: id.into(), kind, ..commit.clone() }
}

/// The commit of the protocol's page.
pub(crate) fn commit() -> Operation {
    let QuoteAnswer::Quote(quote) = serde_json::from_value(example("/v1/quote", "quote")).unwrap() else {
        panic!("the page's quote is none")
    };
    commit_of("01928f6e-8b1f-7a0e-8d55-6b0e5d0f3a01", &quote)
}

pub(crate) fn reversal(payer: &dyn Payer) -> Operation {
    let commit = commit();
    let prepared = payer.prepare(&commit).unwrap();
    reversal_of("01928f6e-9d42-7f10-b1c2-0c4f7e2a9b02", &commit, &prepared)
}

/// A remote adapter, its host, and what it journals.
pub(crate) struct Given {
    pub(crate) remote: Remote,
    pub(crate) host: Arc<TestHost>,
    pub(crate) records: mpsc::Receiver<CallRecord>,
}

pub(crate) fn connection(
    certificates: &Certificates,
    port: u16,
) -> (Connection, Arc<TestHost>, mpsc::Receiver<CallRecord>) {
    let host = TestHost::new();
    let (journal, records) = Journal::new(&*host);
    let target = Target {
        adapter: "acme".into(),
        base_url: format!("https://localhost:{port}/"),
        tls: Some(certificates.client(true)),
    };
    (Connection { target, host: host.clone(), journal }, host, records)
}

impl Given {
    /// An adapter for whoever listens on a port of this machine.
    pub(crate) fn new(certificates: &Certificates, port: u16, manifest: Manifest) -> Self {
        let (connection, host, records) = connection(certificates, port);
        Self { remote: Remote::new(&connection, manifest).unwrap(), host, records }
    }

    /// Every record so far.
    pub(crate) fn recorded(&mut self) -> Vec<CallRecord> {
        let mut records = Vec::new();
        while let Ok(record) = self.records.try_recv() {
            records.push(record);
        }
        records
    }
}
