//! What calls leave behind.

use sha2::{Digest as _, Sha256};
use yizhan_contract::payer::Payer;
use yizhan_remote::{Class, Verb};

use crate::certificates::{Certificates, Shows};
use crate::given::{Given, ask, commit, example, manifest};
use crate::raw::{Act, Raw};
use crate::service::{Came, Reply, Service};

fn page(came: &Came) -> Reply {
    let name = if came.path() == "/v1/quote" { "quote" } else { "done" };
    Reply::json(&example(came.path(), name))
}

#[tokio::test]
async fn a_call_is_recorded_without_a_word_of_what_was_said() {
    let certificates = Certificates::new();
    let service = Service::start(&certificates, page).await;
    let mut given = Given::new(&certificates, service.port, manifest());
    let deadline = given.host.within(20);
    given.remote.quote(&ask(), deadline).await;
    let prepared = given.remote.prepare(&commit()).unwrap();
    given.remote.perform(&prepared, deadline).await;
    given.remote.perform(&prepared, deadline).await;

    let records = given.recorded();
    let seen: Vec<_> = records.iter().map(|record| (record.verb, record.class, record.answer)).collect();
    let done = (Verb::Commit, Class::Answered, Some("done"));
    assert_eq!(seen, [(Verb::Quote, Class::Answered, Some("quote")), done, done]);
    let [quoted, first, second] = records.as_slice() else { panic!("{records:?}") };
    assert_eq!((quoted.operation_id.as_deref(), quoted.http_status), (None, Some(200)));
    assert_eq!(first.operation_id.as_deref(), Some("01928f6e-8b1f-7a0e-8d55-6b0e5d0f3a01"));
    assert_eq!(&*first.adapter, "acme");
    assert!(!first.latency.is_zero());
    // The same bytes have the same digest, which is not the one that anybody could compute.
    assert_eq!(first.request_digest, second.request_digest);
    assert_eq!(first.answer_digest, second.answer_digest);
    let plain: [u8; 32] = Sha256::digest(&service.requests()[1].body).into();
    assert!(first.request_digest.is_some_and(|digest| digest != plain));
    let shown = format!("{records:?}");
    assert!(!shown.contains("371323195304121265") && !shown.contains("155.07"), "{shown}");
}

/// The host stops waiting when its settlement is taken over; the record says so, and the payer is not blamed.
#[tokio::test]
async fn a_call_nobody_waits_for_any_more_is_recorded_too() {
    let certificates = Certificates::new();
    let raw = Raw::start(&certificates, Shows::Itself, vec![Act::Hold(String::new())]).await;
    let mut given = Given::new(&certificates, raw.port, manifest());
    let prepared = given.remote.prepare(&commit()).unwrap();
    let deadline = given.host.within(60);
    tokio::select! {
        answer = given.remote.perform(&prepared, deadline) => panic!("{answer:?}"),
        () = seen(&raw) => {}
    }
    let records = given.recorded();
    let [record] = records.as_slice() else { panic!("{records:?}") };
    assert_eq!((record.class, record.answer_digest), (Class::GivenUp, None));
    assert!(record.request_digest.is_some());
}

/// Until the payer has the request.
async fn seen(raw: &Raw) {
    while raw.requests().is_empty() {
        tokio::task::yield_now().await;
    }
}
