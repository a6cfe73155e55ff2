//! Stays that could not be priced once their messages were acknowledged: when charges went quiet, over a gateway that
//! ends in between; and when a payer was asked.

use std::sync::Arc;

use jiff::SignedDuration;
use yizhan::settlement::gateway::{Order, OrderError};
use yizhan::settlement::message::Mode;
use yizhan::settlement::outcome::Outcome;
use yizhan::settlement::saga::event::Resolution;
use yizhan::store::StoreError;
use yizhan_contract::Text;

use super::{House, Sent, profiles, shown};
use crate::away::{self, Away};

fn sent(kind: &str, id: &str, lines: &[&str]) -> Sent {
    Sent {
        kind: kind.to_owned(),
        id: id.to_owned(),
        visit: "Z1".to_owned(),
        admitted: Some("2020-06-24".to_owned()),
        discharged: (kind == "ADT^A03").then(|| "2020-07-02".to_owned()),
        lines: lines.iter().map(|line| (*line).to_owned()).collect(),
        ..Sent::default()
    }
}

async fn send(house: &House, sent: Sent) -> Outcome {
    let (bytes, format) = sent.bytes();
    house.receive(&bytes, format, None).await.outcome
}

/// Takes up what is due an hour from now.
async fn an_hour_later(house: &House) -> Vec<Outcome> {
    let gateway = house.reception.gateway();
    let now = gateway.runtime().now() + SignedDuration::from_hours(1);
    house.clock.put(now);
    let mut outcomes = Vec::new();
    for pursuit in gateway.due(now, 100).await.unwrap() {
        outcomes.push(gateway.pursue(pursuit).await);
    }
    outcomes
}

#[tokio::test]
async fn it_waits_for_its_hospital_over_a_restart() {
    let house =
        House::new(profiles("charges_quiet_s = 30\nreturn_address = \"127.0.0.1:1\"", None), true).await;
    send(&house, sent("DFT^P03", "1", &["1 CG SUR01 100.00", "2 CD SUR01 200.00"])).await;
    send(&house, sent("ADT^A03", "2", &[])).await;
    assert!(an_hour_later(&house).await[0].is_refused());
    let told = house.store.outbox_waiting(10).await.unwrap();

    let house = house.begun_again().await;
    let gateway = house.reception.gateway();
    let waiting = gateway.attention(10).await.unwrap().remove(0);
    assert_eq!((waiting.refusals.len(), waiting.refusals[0].place.as_deref()), (1, Some("FT1")));
    for text in [&waiting.owner, &waiting.what, &waiting.next_step, &waiting.refusals[0].detail] {
        assert!(!text.en.is_empty() && text.zh.chars().any(|c| c > '\u{2e80}'), "{text:?}");
    }
    let none = Order::Resolve { operation: "1".into(), as_: Resolution::NotDone, reason: "-".to_owned() };
    let refused = gateway.order(waiting.stay_id, none, "desk 7".to_owned()).await.unwrap_err();
    assert!(matches!(refused, OrderError::NoSuchOperation(_)), "{refused}");
    assert!(an_hour_later(&house).await[0].is_refused());
    assert_eq!(house.store.outbox_waiting(10).await.unwrap(), told, "the same is told once");

    let settled = send(&house, sent("DFT^P03", "3", &["3 CG SUR01 2600.00"])).await;
    assert!(
        matches!(&settled, Outcome::Bill(bill) if bill.amounts.total.to_string() == "2500.00"),
        "{settled:?}"
    );
    assert!(gateway.attention(10).await.unwrap().is_empty());
    assert!(gateway.unpriced(&told[0]).await.unwrap().is_none(), "what was to be told is told no more");
}

/// A house whose insurer has not heard of the admission.
async fn insured(insurer: &Arc<Away>) -> House {
    let ids = Arc::<yizhan::runtime::CountedIds>::default();
    let store = yizhan::store::sqlite::Sqlite::in_memory(ids.clone()).unwrap();
    let profiles = profiles("return_address = \"127.0.0.1:1\"", None);
    let house = House::over(Arc::new(store), away::policies(), profiles, insurer.payers(), "test", ids);
    house.fill().await;
    insurer.mood().is_not_ready = true;
    house
}

#[tokio::test]
async fn what_a_payer_lacks_is_told_to_the_hospital_that_was_acknowledged() {
    let insurer = Away::new();
    let house = insured(&insurer).await;
    let (bytes, format) = away::discharge("m1").bytes();
    let said = |outcome: &Outcome| shown(outcome, &mut super::Letters::default());
    let refused = house.receive(&bytes, format, Some(Mode::Settle)).await.outcome;
    assert!(said(&refused).starts_with("refused payer_not_ready @ - money not_moved"), "{}", said(&refused));
    let gateway = house.reception.gateway();
    let told = house.store.outbox_waiting(10).await.unwrap();
    let waiting = gateway.attention(10).await.unwrap();
    assert_eq!((told.len(), waiting.len()), (1, 1));
    assert!(waiting[0].what.en.contains("the admission"), "{:?}", waiting[0].what);
    assert!(gateway.unpriced(&told[0]).await.unwrap().is_some());
    assert!(an_hour_later(&house).await.is_empty(), "the hospital knows, and sends it again or does not");
    let again = house.receive(&bytes, format, Some(Mode::Settle)).await.outcome;
    assert!(said(&again).starts_with("noted needs_attention"), "{}", said(&again));

    insurer.mood().is_not_ready = false;
    gateway
        .order(waiting[0].stay_id, Order::Retry { reason: "它恢复了".to_owned() }, "desk 7".to_owned())
        .await
        .unwrap();
    let settled = an_hour_later(&house).await;
    assert!(said(&settled[0]).starts_with("settled A v1 "), "{}", said(&settled[0]));
    assert!(gateway.attention(10).await.unwrap().is_empty());
    assert!(gateway.unpriced(&told[0]).await.unwrap().is_none());
}

#[tokio::test]
async fn what_a_payer_lacks_is_not_told_twice_to_whoever_waits_for_a_quote() {
    let insurer = Away::new();
    let house = insured(&insurer).await;
    let (bytes, format) = away::discharge("m1").bytes();
    let refused = house.receive(&bytes, format, Some(Mode::Quote)).await.outcome;
    assert!(refused.is_refused(), "{refused:?}");
    assert!(house.store.outbox_waiting(10).await.unwrap().is_empty());
    assert!(house.reception.gateway().attention(10).await.unwrap().is_empty());
}

#[test]
fn what_the_store_says_of_an_order_is_said_once_in_each_language() {
    let chinese = |text: &str| text.contains(|c: char| ('\u{4e00}'..='\u{9fff}').contains(&c));
    let unreachable = Text::new("连接已断开", "the connection ended");
    let errors = [
        StoreError::Unavailable(unreachable.clone()),
        StoreError::InDoubt(unreachable),
        StoreError::Damaged("a due time".to_owned()),
        StoreError::Defect("decided by nobody".to_owned()),
    ];
    for error in errors {
        let Text { zh, en } = OrderError::from(error).text();
        let words = zh.split(|c: char| !c.is_ascii_alphabetic()).filter(|word| !word.is_empty());
        assert!(chinese(&zh) && words.count() == 0 && !chinese(&en), "{zh} / {en}");
    }
}
