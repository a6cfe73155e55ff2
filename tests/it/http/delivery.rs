//! A settlement whose last payer was away: what a hospital reads of it before and after that one has paid.

use std::sync::Arc;

use jiff::SignedDuration;
use yizhan_contract::Money;

use super::client::Ask;
use super::served::{Setting, YISHUI};
use crate::away::{Away, discharge};
use crate::gateway::{Sent, runs};

fn money(value: &serde_json::Value) -> Money {
    value.as_str().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_second_version_says_what_to_give_back() {
    let insurer = Away::new();
    insurer.mood().is_away = true;
    let served = Setting { payers: insurer.payers().into(), ..Setting::default() }.serve().await;
    let (body, _) = discharge("m1").bytes();
    let first = served.post("/v1/discharges?mode=settle", body.clone()).await.is(200);
    assert_eq!((&first["version"], &first["state"]), (&1.into(), &"settled".into()));
    let address = format!("/v1/settlements/{}", first["settlement_id"].as_str().unwrap());
    assert_eq!(served.get(&address).await.is(200), first);

    insurer.is_back(|_| {});
    let later = served.gateway.runtime().now() + SignedDuration::from_secs(3);
    for pursuit in served.gateway.due(later, 10).await.unwrap() {
        served.gateway.pursue(pursuit).await;
    }
    let second = served.get(&address).await.is(200);
    let (paid, share) = (insurer.holds(), money(&first["patient_share"]));
    assert!(paid.is_positive());
    assert_eq!((&second["version"], &second["state"]), (&2.into(), &"settled".into()));
    assert_eq!(money(&second["to_refund"]), money(&first["to_refund"]) + paid);
    assert_eq!(second["to_collect"], first["to_collect"]);
    assert_eq!(money(&second["patient_share"]), share - paid);
    let line = second["payers"].as_array().unwrap().iter().find(|line| line["payer"] == "supplementary");
    assert_eq!(line.map(|line| (&line["state"], money(&line["paid"]))), Some((&"committed".into(), paid)));
    assert_eq!(served.post("/v1/discharges?mode=settle", body).await.is(200), second);
    // The sheet for the patient says what to give back.
    let sheet = served.ask(Ask::get(&address).token(YISHUI).accept("text/html")).await;
    let sheet = String::from_utf8(sheet.body).unwrap();
    assert!(sheet.contains("应退") && sheet.contains(&paid.to_string()), "{sheet}");
}

/// What was taken beside one that could not be is driven: its lease would lie until it runs out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stay_that_cannot_be_taken_keeps_no_other_waiting() {
    let insurer = Away::new();
    insurer.mood().is_away = true;
    let served = Setting { payers: insurer.payers().into(), ..Setting::default() }.serve().await;
    for visit in ["L1", "L2", "L3"] {
        let (body, _) = Sent { visit: visit.to_owned(), ..discharge(visit) }.bytes();
        served.post("/v1/discharges?mode=settle", body).await.is(200);
    }
    let later = served.gateway.runtime().now() + SignedDuration::from_secs(3);
    served.store.fail_takes(1);
    assert_eq!(served.gateway.due(later, 10).await.unwrap().len(), 2);
    served.store.fail_takes(1);
    assert!(served.gateway.due(later, 10).await.is_err(), "nothing was taken");
    assert_eq!(served.gateway.due(later, 10).await.unwrap().len(), 1);
}

/// Begun again, a gateway has everything that it held in hand before its ports open, or does not open them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_gateway_held_is_taken_up_again_whatever_its_store_fails_at_first() {
    let insurer = Away::new();
    insurer.mood().is_away = true;
    let served = Setting { payers: insurer.payers().into(), ..Setting::default() }.serve().await;
    for visit in ["L1", "L2", "L3"] {
        let (body, _) = Sent { visit: visit.to_owned(), ..discharge(visit) }.bytes();
        served.post("/v1/discharges?mode=settle", body).await.is(200);
    }
    let later = served.gateway.runtime().now() + SignedDuration::from_secs(3);
    served.clock.put(later);
    // Taken by a gateway that dies then.
    assert_eq!(served.gateway.due(later, 10).await.unwrap().len(), 3);
    let rearmed = async || {
        tokio::select! {
            rearmed = served.gateway.rearm() => rearmed.map(|pursuits| pursuits.len()),
            () = runs(Arc::clone(&served.clock)) => unreachable!("time ends"),
        }
    };
    served.store.fail_takes(1);
    assert_eq!(rearmed().await.unwrap(), 3);
    served.store.fail_takes(usize::MAX);
    assert!(rearmed().await.is_err(), "no port opens without them");
    served.store.fail_takes(0);
    assert_eq!(rearmed().await.unwrap(), 3, "nothing is lost by it");
}
