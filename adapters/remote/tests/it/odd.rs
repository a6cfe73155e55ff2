//! Answers that cannot be: each is named, and counts as no answer. One line of `odd.toml` each.

use std::sync::{Arc, Mutex};

use serde::Deserialize;
use serde_json::Value;
use yizhan_contract::payer::{
    Coverage, CoverageQuestion, Manifest, Memo, Payer, Performed, QuoteAnswer, Status, VisitEvent, Visited,
};

use crate::certificates::Certificates;
use crate::given::{Given, ask, commit, example, manifest, reversal};
use crate::service::{Reply, Service};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cases {
    case: Vec<Case>,
}

/// An answer of the protocol's page with one member changed, or another answer altogether.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    verb: String,
    /// The page's answer that is changed.
    of: Option<String>,
    /// JSON pointers of what is put elsewhere, and JSON of what.
    #[serde(default)]
    put: Vec<(String, String)>,
    /// Instead of `of`: the body, its type and its status.
    body: Option<String>,
    #[serde(default = "json_type")]
    media_type: String,
    #[serde(default = "ok")]
    status: u16,
    /// What is said of it.
    says: String,
    class: String,
    #[serde(default = "yes")]
    is_firm: bool,
    /// The answer is as good as any: nothing is said of it.
    #[serde(default)]
    is_good: bool,
}

fn json_type() -> String {
    "application/json".to_owned()
}

fn ok() -> u16 {
    200
}

fn yes() -> bool {
    true
}

impl Case {
    fn reply(&self) -> Reply {
        let body = match (&self.of, &self.body) {
            (Some(name), None) => {
                let mut answer = example(&format!("/v1/{}", self.verb), name);
                for (place, value) in &self.put {
                    put(&mut answer, place, serde_json::from_str(value).unwrap());
                }
                answer.to_string()
            }
            (None, Some(body)) => body.clone(),
            _ => panic!("{self:?}"),
        };
        Reply::text(self.status, &self.media_type, body)
    }
}

/// At a JSON pointer whose last step may be a new member, or `-` for one more item.
fn put(answer: &mut Value, place: &str, value: Value) {
    let (parent, last) = place.rsplit_once('/').unwrap();
    match answer.pointer_mut(parent).unwrap() {
        Value::Array(items) if last == "-" => items.push(value),
        Value::Array(items) => items[last.parse::<usize>().unwrap()] = value,
        parent => parent[last] = value,
    }
}

/// What came of asking: absent where the answer was a good one.
async fn asked(given: &Given, verb: &str) -> Option<String> {
    let (payer, deadline) = (&given.remote, given.host.within(20));
    let why = |unavailable: yizhan_contract::payer::Unavailable| Some(unavailable.why);
    match verb {
        "quote" => match payer.quote(&ask(), deadline).await {
            QuoteAnswer::Unavailable(unavailable) => why(unavailable),
            _ => None,
        },
        "commit" | "reverse" => {
            let operation = if verb == "commit" { commit() } else { reversal(payer) };
            match payer.perform(&payer.prepare(&operation).unwrap(), deadline).await {
                Performed::Unknown { why, .. } => Some(why),
                _ => None,
            }
        }
        "status" => match payer.status(&payer.prepare(&commit()).unwrap(), deadline).await {
            Status::Unavailable(unavailable) => why(unavailable),
            _ => None,
        },
        "coverage" => {
            let request = example("/v1/coverage", "request");
            let question: CoverageQuestion = serde_json::from_value(request["question"].clone()).unwrap();
            match payer.coverage(&question, deadline).await {
                Coverage::Unavailable(unavailable) => why(unavailable),
                _ => None,
            }
        }
        "visit" => {
            let request = example("/v1/visit", "admitted");
            let event: VisitEvent = serde_json::from_value(request["event"].clone()).unwrap();
            match payer.visit(&event, Memo::default(), deadline).await {
                Visited::Unavailable(unavailable) => why(unavailable),
                Visited::Noted { .. } | Visited::NotSent(_) => None,
            }
        }
        "statement" => payer.statement("2020-07-02".parse().unwrap(), deadline).await.err().and_then(why),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn what_cannot_be_is_named_and_counts_as_no_answer() {
    let certificates = Certificates::new();
    let turn = Arc::new(Mutex::new(Reply::text(200, "", "")));
    let next = Arc::clone(&turn);
    let service = Service::start(&certificates, move |_| next.lock().unwrap().clone()).await;
    let Cases { case: cases } = toml::from_str(include_str!("../odd.toml")).unwrap();
    for case in cases {
        let promises = Manifest {
            quotes_are_firm: case.is_firm,
            sees_visits: true,
            requests_per_second_max: None,
            ..manifest()
        };
        let mut given = Given::new(&certificates, service.port, promises);
        *turn.lock().unwrap() = case.reply();
        let why = asked(&given, &case.verb).await;
        let class = given.recorded().last().unwrap().class.word();
        assert_eq!(class, case.class, "{case:?}: {why:?}");
        if case.is_good {
            assert_eq!(why, None, "{case:?}");
            continue;
        }
        let why = why.unwrap_or_else(|| panic!("{case:?} was taken for an answer"));
        assert!(why.contains(&case.says), "{case:?}: {why}");
        let (zh, en) = why.split_once(" | ").unwrap_or_else(|| panic!("{why} is in one language"));
        assert!(!zh.is_ascii() && en.chars().count() <= 200, "{why}");
    }
}

/// As many as hold what they must not, and as many as leave out what they must have.
#[tokio::test]
async fn a_page_is_no_longer_than_agreed() {
    let certificates = Certificates::new();
    let line = example("/v1/statement", "page")["lines"][0].clone();
    let lines = vec![line; 1_001];
    let page = serde_json::json!({"day": "2020-07-02", "lines": lines});
    let service = Service::start(&certificates, move |_| Reply::json(&page)).await;
    let given = Given::new(&certificates, service.port, manifest());
    let why = asked(&given, "statement").await.unwrap();
    assert!(why.contains("more than 1000 lines"), "{why}");
}
