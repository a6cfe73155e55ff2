//! Every verb of the protocol, with the messages of its page.

use jiff::Timestamp;
use serde_json::{Value, json};
use yizhan_contract::payer::{
    Coverage, CoverageQuestion, Manifest, Memo, Payer, Performed, QuoteAnswer, Status, VisitEvent, Visited,
};
use yizhan_contract::protocol::{
    CommitRequest, CoverageRequest, QuoteRequest, ReverseRequest, StatusRequest, VisitRequest,
};
use yizhan_remote::{ConnectError, Remote, Standing};

use crate::certificates::Certificates;
use crate::given::{Given, ask, commit, connection, example, manifest, reversal};
use crate::service::{Came, Reply, Service};

/// Answers each verb with an example of its page.
fn page(came: &Came) -> Reply {
    let name = match came.path() {
        "/v1/describe" => "description",
        "/v1/coverage" => "covers",
        "/v1/visit" => "noted",
        "/v1/quote" => "quote",
        "/v1/commit" | "/v1/reverse" | "/v1/status" => "done",
        "/v1/statement" => "page",
        other => panic!("{other} is no verb"),
    };
    let mut answer = example(came.path(), name);
    // Members nobody knows are ignored.
    answer["added_later"] = json!({"x": 1});
    if came.path() == "/v1/statement" && came.head.uri.query().is_some_and(|query| query.contains("after=2"))
    {
        answer = json!({"day": "2020-07-02", "lines": [answer["lines"][0]]});
    }
    Reply::json(&answer)
}

/// Any value an answer of the page has, as a type of ours.
fn said<T: serde::de::DeserializeOwned>(path: &str, name: &str) -> T {
    serde_json::from_value(example(path, name)).unwrap()
}

#[tokio::test]
async fn every_verb_asks_and_answers_as_the_page_says() {
    let certificates = Certificates::new();
    let service = Service::start(&certificates, page).await;
    let sees_visits = Manifest { sees_visits: true, ..manifest() };
    let given = Given::new(&certificates, service.port, sees_visits);
    let (payer, deadline) = (&given.remote, given.host.within(20));

    let question: CoverageQuestion =
        serde_json::from_value(example("/v1/coverage", "request")["question"].clone()).unwrap();
    assert_eq!(payer.coverage(&question, deadline).await, said::<Coverage>("/v1/coverage", "covers"));

    let event: VisitEvent =
        serde_json::from_value(example("/v1/visit", "discharged")["event"].clone()).unwrap();
    let memo = Memo::from(b"R20200624-1".to_vec());
    assert_eq!(payer.visit(&event, memo, deadline).await, said::<Visited>("/v1/visit", "noted"));

    assert_eq!(payer.quote(&ask(), deadline).await, said::<QuoteAnswer>("/v1/quote", "quote"));

    let prepared = payer.prepare(&commit()).unwrap();
    assert_eq!(payer.perform(&prepared, deadline).await, said::<Performed>("/v1/commit", "done"));
    assert_eq!(payer.status(&prepared, deadline).await, said::<Status>("/v1/status", "done"));
    let undo = payer.prepare(&reversal(payer)).unwrap();
    assert_eq!(payer.perform(&undo, deadline).await, said::<Performed>("/v1/reverse", "done"));

    let book = payer.statement("2020-07-02".parse().unwrap(), deadline).await.unwrap();
    assert_eq!(book.len(), 3, "two on the first page, one on the next");
    assert_eq!(payer.describe(deadline).await.unwrap(), manifest());

    let requests = service.requests();
    let sent = |path: &str| requests.iter().find(|came| came.path() == path).unwrap().json();
    let of_page = |path: &str, name: &str| {
        let mut request = example(path, name);
        let told = Timestamp::from_millisecond(deadline.as_millisecond()).unwrap();
        request["head"]["deadline"] = json!(told.to_string());
        request
    };
    for (path, name) in [
        ("/v1/coverage", "request"),
        ("/v1/commit", "request"),
        ("/v1/reverse", "request"),
        ("/v1/status", "request"),
    ] {
        assert_eq!(sent(path), of_page(path, name), "{path}");
    }
    assert_eq!(read_back::<QuoteRequest>(&sent("/v1/quote")), read_back(&of_page("/v1/quote", "request")));
    assert_eq!(read_back::<VisitRequest>(&sent("/v1/visit")), read_back(&of_page("/v1/visit", "discharged")));
    read_back::<CoverageRequest>(&sent("/v1/coverage"));
    read_back::<CommitRequest>(&sent("/v1/commit"));
    read_back::<ReverseRequest>(&sent("/v1/reverse"));
    read_back::<StatusRequest>(&sent("/v1/status"));
    for came in &requests {
        assert_eq!(came.head.version, http::Version::HTTP_2);
        assert!(!came.head.uri.to_string().contains("3713"), "a person's number in {}", came.head.uri);
    }
    assert_eq!(service.connections(), 1, "one connection carries all");
    assert_eq!(payer.standing(), Standing::Closed);
}

fn read_back<T: serde::de::DeserializeOwned>(sent: &Value) -> T {
    serde_json::from_value(sent.clone()).unwrap()
}

#[tokio::test]
async fn every_answer_of_the_page_is_understood() {
    let certificates = Certificates::new();
    let (turn, service) = scripted(&certificates).await;
    let given = Given::new(&certificates, service.port, manifest());
    let (payer, deadline) = (&given.remote, given.host.within(20));
    let question: CoverageQuestion =
        serde_json::from_value(example("/v1/coverage", "request")["question"].clone()).unwrap();
    let commit = payer.prepare(&commit()).unwrap();
    let undo = payer.prepare(&reversal(payer)).unwrap();
    for (path, name) in [
        ("/v1/quote", "not_covered"),
        ("/v1/quote", "refused"),
        ("/v1/quote", "not_ready"),
        ("/v1/quote", "unavailable"),
        ("/v1/coverage", "not_said"),
        ("/v1/coverage", "unavailable"),
        ("/v1/coverage", "unknown_person"),
        ("/v1/commit", "refused"),
        ("/v1/commit", "unknown"),
        ("/v1/reverse", "never_arrived"),
        ("/v1/reverse", "refused"),
        ("/v1/reverse", "unknown"),
        ("/v1/status", "refused"),
        ("/v1/status", "not_found"),
        ("/v1/status", "pending"),
        ("/v1/status", "unavailable"),
    ] {
        *turn.lock().unwrap() = example(path, name);
        match path {
            "/v1/quote" => assert_eq!(payer.quote(&ask(), deadline).await, said(path, name), "{path} {name}"),
            "/v1/coverage" => {
                assert_eq!(payer.coverage(&question, deadline).await, said(path, name), "{path} {name}");
            }
            "/v1/commit" => {
                assert_eq!(payer.perform(&commit, deadline).await, said(path, name), "{path} {name}");
            }
            "/v1/reverse" => {
                assert_eq!(payer.perform(&undo, deadline).await, said(path, name), "{path} {name}")
            }
            _ => assert_eq!(payer.status(&commit, deadline).await, said(path, name), "{path} {name}"),
        }
    }
}

async fn scripted(certificates: &Certificates) -> (std::sync::Arc<std::sync::Mutex<Value>>, Service) {
    let turn = std::sync::Arc::new(std::sync::Mutex::new(Value::Null));
    let next = std::sync::Arc::clone(&turn);
    let service = Service::start(certificates, move |_| Reply::json(&next.lock().unwrap())).await;
    (turn, service)
}

#[tokio::test]
async fn an_answer_about_coverage_is_asked_for_once() {
    let certificates = Certificates::new();
    let service = Service::start(&certificates, page).await;
    let given = Given::new(&certificates, service.port, manifest());
    let deadline = given.host.within(20);
    let question: CoverageQuestion =
        serde_json::from_value(example("/v1/coverage", "request")["question"].clone()).unwrap();
    for _ in 0..3 {
        let answer = given.remote.coverage(&question, deadline).await;
        assert_eq!(answer, said::<Coverage>("/v1/coverage", "covers"));
    }
    let other_day = CoverageQuestion { on: "2020-07-03".parse().unwrap(), ..question.clone() };
    given.remote.coverage(&other_day, deadline).await;
    assert_eq!(service.requests().len(), 2);

    let never_asked = Manifest { coverage_valid_s: None, ..manifest() };
    let given = Given::new(&certificates, service.port, never_asked);
    assert_eq!(given.remote.coverage(&question, deadline).await, Coverage::NotSaid);
    assert_eq!(service.requests().len(), 2);
}

#[tokio::test]
async fn a_service_is_taken_at_its_word_where_its_word_can_be() {
    let certificates = Certificates::new();
    let (turn, service) = scripted(&certificates).await;
    let (connection, host, _records) = connection(&certificates, service.port);
    *turn.lock().unwrap() = example("/v1/describe", "description");
    let remote = Remote::connect(&connection, host.within(20)).await.unwrap();
    assert_eq!(remote.manifest(), &manifest());
    for (member, value, says) in [
        ("serves", json!([]), "serves names no payer"),
        ("concurrency_max", json!(0), "concurrency_max must be at least 1"),
        ("adapter", json!(""), "must have 1 to"),
    ] {
        let mut description = example("/v1/describe", "description");
        description["manifest"][member] = value;
        *turn.lock().unwrap() = description;
        let refused = Remote::connect(&connection, host.within(20)).await.map(|_| ()).unwrap_err();
        assert!(matches!(refused, ConnectError::Manifest { .. }), "{refused:?}");
        assert!(refused.to_string().contains(says), "{refused}");
    }
    *turn.lock().unwrap() = json!({"protocol": "9"});
    let refused = Remote::connect(&connection, host.within(20)).await.map(|_| ()).unwrap_err();
    assert!(matches!(refused, ConnectError::NoAnswer(_)), "{refused:?}");
}

/// What was prepared by another adapter is not sent, and is not taken for done either.
#[tokio::test]
async fn what_another_adapter_prepared_is_not_sent() {
    let certificates = Certificates::new();
    let service = Service::start(&certificates, page).await;
    let given = Given::new(&certificates, service.port, manifest());
    for foreign in ["{}", "not json", r#"{"form":"2","operation_id":"x","stay":"s","amounts":[]}"#] {
        let prepared = foreign.as_bytes().to_vec().into();
        let answer = given.remote.perform(&prepared, given.host.within(20)).await;
        assert!(
            matches!(answer, Performed::Unknown { ref why, .. } if why.contains("not sent")),
            "{answer:?}"
        );
        let status = given.remote.status(&prepared, given.host.within(20)).await;
        assert!(matches!(status, Status::Unavailable(_)), "{status:?}");
    }
    assert!(service.requests().is_empty());
}
