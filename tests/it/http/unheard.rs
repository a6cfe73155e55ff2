//! Writes that took place and whose writer was never told so.

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use serde_json::Value;

use super::client::{Ask, Reply};
use super::served::{Served, Setting, YISHUI, sample};
use crate::away::Away;

/// Sends it while time goes by, and the gateway looks after what nobody drives.
async fn answered(served: &Served, ask: Ask) -> Reply {
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    let goes_by = async {
        loop {
            ticks.tick().await;
            served.clock.advance(SignedDuration::from_millis(300));
            for pursuit in served.gateway.due(served.gateway.runtime().now(), 10).await.unwrap() {
                served.gateway.pursue(pursuit).await;
            }
        }
    };
    tokio::select! {
        reply = served.ask(ask.token(YISHUI).with("prefer", "wait=3")) => reply,
        () = goes_by => unreachable!("time ends"),
    }
}

/// The bill, and whether it came at once: where nobody could say whether what the sender ordered was written, or what
/// was to be sent, it is asked for again.
async fn settled(served: &Served, ask: impl Fn() -> Ask, state: &str) -> (bool, Value) {
    for tries in 0..20 {
        let reply = answered(served, ask()).await;
        let answer = reply.json();
        match reply.status {
            200 if answer["state"] == state => return (tries == 0, answer),
            500 => assert_eq!((tries, &answer["money"]), (0, &"being_confirmed".into())),
            200 | 202 => assert!(answer["state"] != "awaiting_charges", "{}", reply.text()),
            _ => panic!("{}", reply.text()),
        }
    }
    panic!("it is not {state}")
}

/// One document, one insurer: the message, its intent, its end; then what a desk orders, and its end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_waits_is_answered_with_the_bill() {
    let discharge = || Ask::post("/v1/discharges", sample("01-worked.json"));
    let mut at_once = Vec::new();
    loop {
        let insurer = Away::required("critical_illness");
        let served = Setting { payers: Arc::new(insurer.payers()), ..Setting::default() }.serve().await;
        served.store.lose_the_answer_to(at_once.len() + 1);
        let (settles, bill) = settled(&served, discharge, "settled").await;
        let path = format!("/v1/settlements/{}/reversal", bill["settlement_id"].as_str().unwrap());
        let reversal = || Ask::post(&path, r#"{"reason":"费用录入有误"}"#);
        let (reverses, _) = settled(&served, reversal, "reversed").await;
        at_once.push([settles, reverses]);
        if !served.store.has_lost_an_answer() {
            break;
        }
    }
    // The message, its intent, its end; the order, its intent, its end; and with every answer heard.
    assert_eq!(
        at_once.iter().map(|[settles, _]| *settles).collect::<Vec<_>>(),
        [false, false, true, true, true, true, true]
    );
    assert_eq!(
        at_once.iter().map(|[_, reverses]| *reverses).collect::<Vec<_>>(),
        [true, true, true, false, true, true, true]
    );
}
