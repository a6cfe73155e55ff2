//! A payer that is part of the program leaves the records that one outside it leaves, and is believed as little.

use std::future::{pending, ready};
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use yizhan_contract::payer::{
    Answer, Ask, Manifest, Operation, OperationKind, PREPARED_BYTES_MAX, Payer, Performed, PrepareError,
    Prepared, QuoteAnswer, StatementLine, Status, Unavailable,
};
use yizhan_remote::{BuiltIn, CallRecord, Journal};

use crate::given::{TestHost, ask, commit, example, manifest, reversal};

const COMMIT: &str = "01928f6e-8b1f-7a0e-8d55-6b0e5d0f3a01";
const REVERSAL: &str = "01928f6e-9d42-7f10-b1c2-0c4f7e2a9b02";

/// A payer whose every answer is this, where that is one; absent: it never answers.
struct Says {
    manifest: Manifest,
    says: Option<Value>,
    /// Of what it makes ready.
    bytes: usize,
}

impl Says {
    fn answer<T: DeserializeOwned + Send + 'static>(&self) -> Answer<'_, T> {
        match &self.says {
            Some(says) => Box::pin(ready(serde_json::from_value(says.clone()).unwrap())),
            None => Box::pin(pending()),
        }
    }
}

impl Payer for Says {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn quote<'a>(&'a self, _: &'a Ask, _: Timestamp) -> Answer<'a, QuoteAnswer> {
        self.answer()
    }

    /// Its own bytes come back as they went out.
    fn prepare(&self, operation: &Operation) -> Result<Prepared, PrepareError> {
        if let OperationKind::Reverse { prepared, .. } = &operation.kind {
            assert_eq!(*prepared, self.prepare(&commit())?);
        }
        Ok(Prepared::from(vec![b'\n'; self.bytes]))
    }

    fn perform<'a>(&'a self, prepared: &'a Prepared, _: Timestamp) -> Answer<'a, Performed> {
        assert_eq!(*prepared.0, *vec![b'\n'; self.bytes]);
        self.answer()
    }

    fn status<'a>(&'a self, prepared: &'a Prepared, _: Timestamp) -> Answer<'a, Status> {
        assert_eq!(*prepared.0, *vec![b'\n'; self.bytes]);
        self.answer()
    }

    fn statement(&self, _: Date, _: Timestamp) -> Answer<'_, Result<Vec<StatementLine>, Unavailable>> {
        let lines = self.says.clone().unwrap();
        Box::pin(ready(Ok(serde_json::from_value(lines).unwrap())))
    }
}

fn built_in(says: Option<Value>, bytes: usize) -> (BuiltIn, Arc<TestHost>, mpsc::Receiver<CallRecord>) {
    let host = TestHost::new();
    let (journal, records) = Journal::new(&*host);
    let inner = Arc::new(Says { manifest: manifest(), says, bytes });
    (BuiltIn::new("fund".into(), inner, host.clone(), journal).unwrap(), host, records)
}

/// What an answer comes to, and the record of its call: id, class, kind.
async fn check(verb: &str, says: Option<Value>, came_to: &str, recorded: [&str; 3]) {
    let (payer, host, mut records) = built_in(says, 9);
    let deadline = host.within(5);
    let order = if recorded[0] == REVERSAL { reversal(&payer) } else { commit() };
    let prepared = payer.prepare(&order).unwrap();
    let got = match verb {
        "quote" => format!("{:?}", payer.quote(&ask(), deadline).await),
        "status" => format!("{:?}", payer.status(&prepared, deadline).await),
        "statement" => format!("{:?}", payer.statement("2020-07-02".parse().unwrap(), deadline).await),
        _ => format!("{:?}", payer.perform(&prepared, deadline).await),
    };
    assert!(got.contains(came_to), "{verb}: {got}");
    let record = records.try_recv().unwrap();
    let of = [record.operation_id.as_deref(), Some(record.class.word()), record.answer];
    assert_eq!(of.map(Option::unwrap_or_default), recorded, "{verb}: {got}");
    assert_eq!((record.verb.word(), &*record.adapter), (verb, "fund"));
    assert_eq!(record.why.is_some(), recorded[1] != "answered", "{record:?}");
    assert!(record.request_digest.is_some() && record.http_status.is_none(), "{record:?}");
    assert_eq!(record.answer_digest.is_some(), recorded[1] != "late", "{record:?}");
    assert!(records.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn every_call_is_recorded_and_no_answer_is_believed_that_cannot_be() {
    let quote = |amount: &str| {
        let mut quote = example("/v1/quote", "quote");
        quote["amounts"] = json!([{"payer": "supplementary", "amount": amount}]);
        quote
    };
    let done = |amount: &str| json!({"answer": "done", "reference": "R", "amounts": [{"payer": "supplementary", "amount": amount}]});
    check("quote", Some(quote("155.07")), "Q20200702-88", ["", "answered", "quote"]).await;
    check("quote", Some(quote("155.08")), "more than the 155.07 it may pay", ["", "odd", ""]).await;
    check("quote", None, "no answer within 4990 ms", ["", "late", ""]).await;
    check("commit", Some(done("155.07")), "Committed", [COMMIT, "answered", "done"]).await;
    check("commit", Some(done("0.01")), "0.01 was done for supplementary", [COMMIT, "odd", ""]).await;
    check("commit", None, "Unknown", [COMMIT, "late", ""]).await;
    check("reverse", Some(done("155.07")), "Committed", [REVERSAL, "answered", "done"]).await;
    check("reverse", Some(done("-155.07")), "negative", [REVERSAL, "odd", ""]).await;
    let less = "155.06 was done for supplementary where 155.07 was asked for";
    check("reverse", Some(done("155.06")), less, [REVERSAL, "odd", ""]).await;
    let nothing = json!({"answer": "done", "reference": "R", "amounts": []});
    check("reverse", Some(nothing.clone()), "Committed", [REVERSAL, "answered", "done"]).await;
    check("status", Some(done("155.07")), "Done", [REVERSAL, "answered", "done"]).await;
    check("status", Some(done("155.06")), less, [REVERSAL, "odd", ""]).await;
    check("status", Some(nothing.clone()), "Done", [REVERSAL, "answered", "done"]).await;
    check("status", Some(nothing), "Unavailable", [COMMIT, "odd", ""]).await;
    check("status", Some(done("0.01")), "Done", [COMMIT, "answered", "done"]).await;
    check("status", Some(json!({"answer": "not_found"})), "NotFound", [COMMIT, "answered", "not_found"])
        .await;
    check("status", Some(done("-0.01")), "Unavailable", [COMMIT, "odd", ""]).await;
    check("statement", Some(json!([])), "Ok([])", ["", "answered", "book"]).await;
    let foreign = json!([{"operation_id": "1", "reference": "R", "payer": "basic", "amount": "1.00",
                          "at": "2020-07-02T02:15:00Z"}]);
    check("statement", Some(foreign), "speaks of basic", ["", "odd", ""]).await;
}

/// What a program before this one made ready has none of our words in it: it is the payer's, and carried out.
#[tokio::test(start_paused = true)]
async fn an_operation_is_no_longer_than_agreed_and_an_older_one_is_carried_out() {
    let (payer, _, _records) = built_in(None, PREPARED_BYTES_MAX);
    let why = payer.prepare(&commit()).unwrap_err().0;
    assert!(why.contains("it is longer than 65"), "{why}");

    let (payer, host, mut records) = built_in(Some(example("/v1/commit", "done")), 9);
    let old = Prepared::from(vec![b'\n'; 9]);
    let answer = payer.perform(&old, host.within(5)).await;
    assert!(matches!(answer, Performed::Committed { .. }), "{answer:?}");
    assert_eq!(records.try_recv().unwrap().operation_id, None);
}

#[test]
fn promises_that_cannot_be_kept_are_named() {
    let host = TestHost::new();
    let (journal, _records) = Journal::new(&*host);
    let manifest = Manifest { concurrency_max: 0, ..manifest() };
    let inner = Arc::new(Says { manifest, says: None, bytes: 0 });
    let wrong = BuiltIn::new("fund".into(), inner, host, journal).err().unwrap();
    assert_eq!((wrong.0, &*wrong.1.en), ("concurrency_max", "must be at least 1"));
}
