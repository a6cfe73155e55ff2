//! A house with outside payers, told to a hospital that does not listen; and time that goes by in it.

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use uuid::Uuid;
use yizhan::runtime::CountedIds;
use yizhan::settlement::bill::{Bill, BilledPayer};
use yizhan::settlement::message::Mode;
use yizhan::settlement::outcome::Outcome;
use yizhan::settlement::payers::Payers;
use yizhan::store::Ports;
use yizhan::store::sqlite::Sqlite;
use yizhan_rules::PolicyShelf;

use super::{House, Sent, audit, profiles, recomputed};
use crate::away::discharge;
pub(super) use crate::away::policies;

pub(super) fn over(
    store: &Arc<dyn Ports>,
    policies: PolicyShelf,
    payers: Payers,
    name: &str,
    ids: &Arc<CountedIds>,
) -> House {
    let profiles = profiles("return_address = \"127.0.0.1:1\"", None);
    House::over(Arc::clone(store), policies, profiles, payers, name, Arc::clone(ids))
}

/// Of a hospital that advances what optional payers have not confirmed in time.
pub(super) async fn advancing(payers: Payers) -> House {
    let ids = Arc::<CountedIds>::default();
    let store: Arc<dyn Ports> = Arc::new(Sqlite::in_memory(ids.clone()).unwrap());
    let profiles = profiles("hospital_advances = true\nreturn_address = \"127.0.0.1:1\"", None);
    let house = House::over(store, policies(), profiles, payers, "test", ids);
    house.fill().await;
    house
}

pub(super) async fn opened(payers: Payers) -> House {
    opened_under(policies(), payers).await
}

pub(super) async fn opened_under(policies: PolicyShelf, payers: Payers) -> House {
    let ids = Arc::<CountedIds>::default();
    let store: Arc<dyn Ports> = Arc::new(Sqlite::in_memory(ids.clone()).unwrap());
    let house = over(&store, policies, payers, "test", &ids);
    house.fill().await;
    house
}

pub(super) async fn send(house: &House, id: &str) -> Bill {
    bill(sent(house, &discharge(id), Mode::Settle).await)
}

pub(super) async fn sent(house: &House, sent: &Sent, mode: Mode) -> Outcome {
    let (bytes, format) = sent.bytes();
    house.receive(&bytes, format, Some(mode)).await.outcome
}

pub(super) fn bill(outcome: Outcome) -> Bill {
    match outcome {
        Outcome::Bill(bill) => {
            recomputed(&bill);
            *bill
        }
        other => panic!("{other:?}"),
    }
}

pub(super) async fn reversed(house: &House, first: &Bill) -> Bill {
    let gateway = house.reception.gateway();
    let ordered = gateway.reverse(first.settlement_id, "费用有误".to_owned(), "desk 7".to_owned()).await;
    bill(gateway.see_through(ordered).await)
}

/// Takes up what is due so much later; how much that was.
pub(super) async fn later(house: &House, by: SignedDuration) -> usize {
    let gateway = house.reception.gateway();
    let now = gateway.runtime().now() + by;
    house.clock.put(now);
    let due = gateway.due(now, 100).await.unwrap();
    let count = due.len();
    for pursuit in due {
        gateway.pursue(pursuit).await;
    }
    count
}

/// Time goes by, for a gateway that asks again and again.
pub(super) async fn runs(house: &House) {
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    loop {
        ticks.tick().await;
        house.clock.put(house.reception.gateway().runtime().now() + SignedDuration::from_secs(1));
    }
}

/// Takes up what is due so much later, for a gateway that asks again and again.
pub(super) async fn goes_by(house: &House, by: SignedDuration) -> usize {
    tokio::select! {
        count = later(house, by) => count,
        () = runs(house) => unreachable!("time ends"),
    }
}

pub(super) async fn stands(house: &House, id: Uuid) -> Bill {
    let bill = house.reception.gateway().settlement(id).await.unwrap().unwrap().settlement.bill;
    recomputed(&bill);
    bill
}

pub(super) fn line<'b>(bill: &'b Bill, payer: &str) -> &'b BilledPayer {
    bill.payers.iter().find(|line| line.payer.as_str() == payer).unwrap()
}

pub(super) async fn books_agree(house: &House) {
    assert_eq!(audit(&*house.store).await.1, []);
}
