//! Exactly once for payers that do not think of it: `tests/cases/bridge.toml` through one door, and what only time shows.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex};

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use yizhan_contract::Money;
use yizhan_contract::payer::QuoteAnswer;
use yizhan_contract::protocol::{
    CommitRequest, Head, QuoteRequest, ReverseRequest, STATEMENT_LINES_MAX, StatusRequest,
};
use yizhan_kit::service::{Bridge, Verbs as _};

use crate::insurer::{Core, Insurer};
use crate::said::{performed, status};

#[derive(Deserialize)]
struct Cases {
    case: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    #[serde(default = "yes")]
    idempotent: bool,
    #[serde(default)]
    insurer: VecDeque<String>,
    steps: Vec<String>,
}

fn yes() -> bool {
    true
}

fn at() -> Timestamp {
    "2020-07-02T02:00:00Z".parse().unwrap()
}

fn head() -> Head {
    Head::until(at() + SignedDuration::from_secs(10))
}

fn amounts(amount: &str) -> Vec<(yizhan_contract::PayerCode, Money)> {
    vec![("supplementary".parse().unwrap(), amount.parse().unwrap())]
}

fn commit(id: &str, amount: &str) -> CommitRequest {
    CommitRequest {
        head: head(),
        operation_id: id.into(),
        stay: "stay".into(),
        quote_id: Some("Q-stay".to_owned()),
        amounts: amounts(amount),
    }
}

fn reverse(id: &str, original: &str, amount: &str) -> ReverseRequest {
    ReverseRequest {
        head: head(),
        operation_id: id.into(),
        original_operation_id: original.into(),
        stay: "stay".into(),
        amounts: amounts(amount),
    }
}

async fn played(bridge: &Bridge, core: &Mutex<Core>, asked: &[&str]) -> String {
    match asked {
        ["commit", id, amount] => performed(bridge.commit(&commit(id, amount), at()).await),
        ["reverse", id, original, amount] => {
            performed(bridge.reverse(&reverse(id, original, amount), at()).await)
        }
        ["status", id] => {
            let asked = StatusRequest { head: head(), operation_id: (*id).into() };
            status(bridge.status(&asked, at()).await)
        }
        ["booked"] => {
            let booked = &core.lock().unwrap().booked;
            booked.iter().map(|(id, amount)| format!("{id} {amount}")).collect::<Vec<_>>().join(", ")
        }
        other => panic!("{other:?} is no step"),
    }
}

async fn check(case: &Case, book: &Path) {
    let core = Arc::new(Mutex::new(Core { next: case.insurer.clone(), ..Core::default() }));
    let open = || Bridge::open(Arc::new(Insurer::with(&core, case.idempotent)), book).unwrap();
    let mut bridge = Some(open());
    for step in &case.steps {
        if step == "restart" {
            drop(bridge.take());
            bridge = Some(open());
            continue;
        }
        let (asked, expected) = step.split_once("->").unwrap();
        let asked: Vec<_> = asked.split_whitespace().collect();
        let came = played(bridge.as_ref().unwrap(), &core, &asked).await;
        assert_eq!(came, expected.trim(), "{}: {step}", case.name);
    }
}

#[tokio::test]
async fn each_operation_happens_once() {
    let cases: Cases = toml::from_str(include_str!("../cases/bridge.toml")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for (number, case) in cases.case.iter().enumerate() {
        check(case, &folder.path().join(format!("{number}.book"))).await;
    }
}

#[tokio::test]
async fn sent_fifty_times_at_once_it_is_booked_once() {
    let folder = tempfile::tempdir().unwrap();
    let core = Arc::new(Mutex::new(Core::default()));
    let bridge = Bridge::open(Arc::new(Insurer::with(&core, true)), &folder.path().join("book")).unwrap();
    let bridge = Arc::new(bridge);
    let sent = |number: usize| {
        let bridge = Arc::clone(&bridge);
        tokio::spawn(async move {
            // Reversals beside them: whichever was first, all agree in the end.
            if number % 5 == 4 {
                let id = format!("r{}", number % 2);
                return performed(bridge.reverse(&reverse(&id, "a", "10.00"), at()).await);
            }
            performed(bridge.commit(&commit("a", "10.00"), at()).await)
        })
    };
    let sent: Vec<_> = (0..50).map(sent).collect();
    let mut commits = Vec::new();
    for (number, answer) in sent.into_iter().enumerate() {
        let answer = answer.await.unwrap();
        if number % 5 != 4 {
            commits.push(answer);
        }
    }
    commits.dedup();
    let booked: Money = core.lock().unwrap().booked.iter().map(|(_, amount)| *amount).sum();
    assert_eq!((commits.len(), booked), (1, Money::ZERO), "{commits:?}");
}

#[tokio::test]
async fn a_quotes_own_bytes_come_back_with_its_commit() {
    let folder = tempfile::tempdir().unwrap();
    let core = Arc::new(Mutex::new(Core::default()));
    let open = || Bridge::open(Arc::new(Insurer::with(&core, true)), &folder.path().join("book")).unwrap();
    let openapi: serde_json::Value =
        serde_json::from_str(include_str!("../../../../schemas/adapter.openapi.json")).unwrap();
    let content = &openapi["paths"]["/v1/quote"]["post"]["requestBody"]["content"]["application/json"];
    let mut asked: QuoteRequest =
        serde_json::from_value(content["examples"]["request"]["value"].clone()).unwrap();
    asked.head = head();
    asked.ask.stay = "stay".into();
    let bridge = open();
    let answer = bridge.quote(&asked, at()).await.unwrap();
    assert!(matches!(&answer, QuoteAnswer::Quote(quote) if quote.id == "Q-stay"), "{answer:?}");
    drop(bridge);
    assert_eq!(performed(open().commit(&commit("a", "155.07"), at()).await), "done 155.07");
    assert_eq!(core.lock().unwrap().kept_seen["a"], b"kept of stay");
}

#[tokio::test]
async fn a_day_of_many_lines_comes_in_pages() {
    let folder = tempfile::tempdir().unwrap();
    let core = Arc::new(Mutex::new(Core::default()));
    let booked = |number| (format!("op{number}"), Money::FEN);
    core.lock().unwrap().booked.extend((0..STATEMENT_LINES_MAX + 1).map(booked));
    let bridge = Bridge::open(Arc::new(Insurer::with(&core, true)), &folder.path().join("book")).unwrap();
    let day = "2020-07-02".parse().unwrap();
    let first = bridge.statement(day, None, at()).await.unwrap();
    let last = bridge.statement(day, first.next.as_deref(), at()).await.unwrap();
    assert_eq!((first.lines.len(), last.lines.len(), last.next), (STATEMENT_LINES_MAX, 1, None));
    assert_eq!(last.lines[0].operation_id, format!("op{STATEMENT_LINES_MAX}"));
    let other_day = bridge.statement("2020-07-01".parse().unwrap(), None, at()).await.unwrap();
    assert!(other_day.lines.is_empty());
}
