//! A payer's own pace, the breaker, and deadlines.

use std::pin::pin;

use futures_util::future::{Either, select};
use yizhan_contract::Personal;
use yizhan_contract::payer::{COVER_DEADLINE, Coverage, Manifest, Payer, Performed, QuoteAnswer};
use yizhan_remote::{Class, Host as _, Standing, TROUBLES_MAX, Verb};

use crate::certificates::{Certificates, Shows};
use crate::given::{Given, ask, commit, example, manifest};
use crate::raw::{Act, Raw, json};
use crate::service::{Reply, Service};

fn patient() -> Manifest {
    Manifest { requests_per_second_max: None, ..manifest() }
}

async fn commits(given: &Given, seconds: i64) -> Performed {
    let prepared = given.remote.prepare(&commit()).unwrap();
    given.remote.perform(&prepared, given.host.within(seconds)).await
}

fn why(answer: Performed) -> String {
    match answer {
        Performed::Unknown { why, .. } => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_payer_that_fails_is_left_alone_until_a_question_finds_it_well() {
    let certificates = Certificates::new();
    let troubles = usize::try_from(TROUBLES_MAX).unwrap();
    let mut acts = vec![Act::Cut(String::new()); troubles];
    acts.push(Act::Answer(json(&example("/v1/quote", "quote").to_string())));
    acts.push(Act::Answer(json(&example("/v1/commit", "done").to_string())));
    let raw = Raw::start(&certificates, Shows::Itself, acts).await;
    let mut given = Given::new(&certificates, raw.port, patient());
    for _ in 0..troubles {
        assert!(why(commits(&given, 30).await).contains("broke"));
    }
    assert!(matches!(given.remote.standing(), Standing::Open { .. }));

    let answer = commits(&given, 30).await;
    let Performed::Unknown { poll_after: Some(rest), why: told } = answer else { panic!("{answer:?}") };
    assert!(told.contains("not sent: the payer failed several times"), "{told}");
    assert!((1..=5).contains(&rest.as_secs()), "{rest:?}");
    let QuoteAnswer::Unavailable(told) = given.remote.quote(&ask(), given.host.within(30)).await else {
        panic!("a payer that is left alone answered")
    };
    assert!(told.retry_after.is_some() && told.why.contains("left alone"), "{told:?}");
    assert_eq!(raw.requests().len(), troubles, "nothing was sent meanwhile");

    given.host.put_on(6);
    assert_eq!(given.remote.standing(), Standing::HalfOpen);
    assert!(why(commits(&given, 30).await).contains("not sent"), "a commit found out");
    assert_eq!(raw.requests().len(), troubles);
    let quoted = given.remote.quote(&ask(), given.host.within(30)).await;
    assert!(matches!(quoted, QuoteAnswer::Quote(_)), "{quoted:?}");
    let done = commits(&given, 30).await;
    assert!(matches!(done, Performed::Committed { .. }), "{done:?}");
    assert_eq!(given.remote.standing(), Standing::Closed);
    let not_sent = given.recorded().into_iter().filter(|record| record.class == Class::NotSent);
    assert!(not_sent.inspect(|record| assert_eq!(record.request_digest, None)).count() >= 3);
}

/// However often it was sent; and of what waited here it is said that it did.
#[tokio::test]
async fn a_host_hears_once_what_a_call_came_to() {
    let certificates = Certificates::new();
    let quote = json(&example("/v1/quote", "quote").to_string());
    let acts = vec![Act::Cut(String::new()), Act::Answer(quote), Act::Cut(String::new())];
    let raw = Raw::start(&certificates, Shows::Itself, acts).await;
    let given = Given::new(&certificates, raw.port, Manifest { concurrency_max: 1, ..patient() });
    given.remote.quote(&ask(), given.host.within(30)).await;
    assert_eq!(given.host.heard(), [(Verb::Quote, "quote".to_owned())]);
    assert_eq!(raw.requests().len(), 2, "it was not sent again");
    commits(&given, 30).await;
    let broken = "the connection broke before an answer came".to_owned();
    assert_eq!(given.host.heard(), [(Verb::Commit, broken)]);
    given.remote.quote(&ask(), given.host.within(0)).await;
    assert_eq!(given.host.heard(), [(Verb::Quote, "its deadline has passed".to_owned())]);
}

/// Refusals, busy payers and breaches of contract are answers: somebody is there.
#[tokio::test]
async fn answers_of_any_kind_leave_the_breaker_closed() {
    let certificates = Certificates::new();
    let mut too_much = example("/v1/quote", "quote");
    too_much["amounts"][0]["amount"] = "155.09".into();
    for reply in [
        Reply::json(&example("/v1/quote", "refused")),
        Reply::json(&too_much),
        Reply::text(429, "text/plain", ""),
        Reply::text(400, "text/plain", ""),
    ] {
        let status = reply.status;
        let service = Service::start(&certificates, move |_| reply.clone()).await;
        let given = Given::new(&certificates, service.port, patient());
        for _ in 0..2 * TROUBLES_MAX {
            given.remote.quote(&ask(), given.host.within(30)).await;
        }
        assert_eq!(given.remote.standing(), Standing::Closed, "{status}");
        assert_eq!(service.requests().len(), 2 * usize::try_from(TROUBLES_MAX).unwrap());
    }
}

/// Whoever asks for an answer sooner than the payer promised it has itself to blame.
#[tokio::test]
async fn a_deadline_shorter_than_the_payers_promise_opens_no_breaker() {
    let certificates = Certificates::new();
    let raw = Raw::start(&certificates, Shows::Itself, vec![Act::Hold(String::new())]).await;
    let slow = Manifest { quote_p95_ms: 2_500, concurrency_max: 64, ..patient() };
    let given = Given::new(&certificates, raw.port, slow);
    let quotes = (0..2 * TROUBLES_MAX).map(|_| async {
        given.remote.quote(&ask(), given.host.within(2)).await;
    });
    futures_util::future::join_all(quotes).await;
    assert_eq!(given.remote.standing(), Standing::Closed);
}

/// As a gateway asks, which has no more time than this.
#[tokio::test]
async fn a_silent_payer_is_left_alone_whatever_it_promised() {
    let certificates = Certificates::new();
    let raw = Raw::start(&certificates, Shows::Itself, vec![Act::Hold(String::new())]).await;
    let slow = Manifest { quote_p95_ms: 2_500, coverage_valid_s: Some(60), concurrency_max: 64, ..patient() };
    let given = Given::new(&certificates, raw.port, slow);
    let question = serde_json::from_value(example("/v1/coverage", "request")["question"].clone()).unwrap();
    let deadline = given.host.now().checked_add(COVER_DEADLINE).unwrap();
    let questions = (0..TROUBLES_MAX).map(|_| given.remote.coverage(&question, deadline));
    let answers = futures_util::future::join_all(questions).await;
    assert!(answers.iter().all(|answer| matches!(answer, Coverage::Unavailable(_))), "{answers:?}");
    assert!(matches!(given.remote.standing(), Standing::Open { .. }), "{:?}", given.remote.standing());
    assert_eq!(given.host.heard().len(), usize::try_from(TROUBLES_MAX).unwrap());
}

#[tokio::test]
async fn more_than_the_payer_works_on_are_not_sent() {
    let certificates = Certificates::new();
    let raw = Raw::start(&certificates, Shows::Itself, vec![Act::Hold(String::new())]).await;
    let given = Given::new(&certificates, raw.port, Manifest { concurrency_max: 2, ..patient() });
    let asked = ask();
    let quote = |seconds| given.remote.quote(&asked, given.host.within(seconds));
    let under_way = pin!(futures_util::future::join(quote(60), quote(60)));
    let third = pin!(async {
        let third = quote(1).await;
        while raw.requests().len() < 2 {
            tokio::task::yield_now().await;
        }
        third
    });
    let third = match select(under_way, third).await {
        Either::Left((ended, _)) => panic!("{ended:?}"),
        Either::Right((third, _)) => third,
    };
    let QuoteAnswer::Unavailable(told) = third else { panic!("{third:?}") };
    assert!(told.why.contains("its turn did not come"), "{}", told.why);
    assert_eq!(raw.requests().len(), 2);
}

#[tokio::test]
async fn after_the_deadline_nothing_is_sent() {
    let certificates = Certificates::new();
    let service = Service::start(&certificates, |_| Reply::text(500, "text/plain", "")).await;
    let given = Given::new(&certificates, service.port, patient());
    for seconds in [0, -1, -100_000] {
        let told = why(commits(&given, seconds).await);
        assert!(told.contains("not sent: its deadline has passed"), "{told}");
    }
    assert_eq!((service.requests().len(), service.connections()), (0, 0));
    assert_eq!(given.remote.standing(), Standing::Closed);
}

#[tokio::test]
async fn a_request_that_is_too_long_is_not_sent() {
    let certificates = Certificates::new();
    let service = Service::start(&certificates, |_| Reply::text(500, "text/plain", "")).await;
    let given = Given::new(&certificates, service.port, patient());
    let mut long = ask();
    long.person.name = Some(Personal::new("王".repeat(2 * 1024 * 1024)));
    let QuoteAnswer::Unavailable(told) = given.remote.quote(&long, given.host.within(30)).await else {
        panic!("it was sent")
    };
    assert!(told.why.contains("not sent: the request is longer than 4194304 bytes"), "{}", told.why);
    assert!(service.requests().is_empty());
}
