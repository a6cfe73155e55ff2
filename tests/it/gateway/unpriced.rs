//! A stay that could not be priced when its charges went quiet, over a gateway that ends in between.

use jiff::SignedDuration;
use yizhan::settlement::gateway::{Order, OrderError};
use yizhan::settlement::outcome::Outcome;
use yizhan::settlement::saga::event::Resolution;
use yizhan::store::StoreError;
use yizhan_contract::Text;

use super::{House, Sent, profiles};

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
