//! Two gateways on one store.

use std::sync::Arc;

use yizhan::store::seal::Key;
use yizhan::store::{AccumulatorMove, Changes, Decide, Done, Pot, Store as _};

use super::{PAYER, counted, of, until_answered};
use crate::cluster;
use crate::stays::*;

const STEPS: u32 = 60;

/// Two stores in one database under one key.
async fn two() -> [Arc<yizhan::store::postgres::Postgres>; 2] {
    let cluster = cluster::shared();
    let address = cluster.address(&cluster.database().await);
    let key = Key::ephemeral().unwrap();
    // At the same moment: both find the database empty.
    let (a, b) = tokio::join!(open_postgres(&address, key.clone()), open_postgres(&address, key));
    [Arc::new(a.unwrap()), Arc::new(b.unwrap())]
}

/// Pays 1.00 as long as the year's cap of 40.00 allows.
fn up_to_the_cap(number: &'static str) -> Decide {
    Box::new(move |facts| {
        let person = facts.person.as_ref().unwrap();
        let so_far = person.years.get(&2020).map(|year| year.of(&PAYER.parse().unwrap()).paid);
        let pays = if so_far.unwrap_or_default() < yuan("40.00") { "1.00" } else { "0.00" };
        Some(Changes {
            stay: Some(stay_write(&facts, number, None, number)),
            accumulators: vec![AccumulatorMove {
                pot: Pot::Settled,
                year: 2020,
                admissions: 1,
                payers: vec![(PAYER.parse().unwrap(), used("1.00", pays))],
            }],
            answer: pays.as_bytes().to_vec(),
            ..Changes::default()
        })
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cap_is_one_persons_whichever_gateway_settles() {
    let stores = two().await;
    let steps: Vec<_> = (0..STEPS)
        .map(|number| {
            let store = Arc::clone(&stores[number as usize % 2]);
            tokio::spawn(async move {
                let id = number.to_string();
                let sent = || step(&id, visit("ZY1", None), vec![id_number(WANG)], up_to_the_cap("ZY1"));
                until_answered(&*store, sent).await
            })
        })
        .collect();
    let mut paid = 0;
    for one in steps {
        // Repeated: the first answer was lost, and it was sent again.
        let (Done::Decided(pays) | Done::Repeated(pays)) = one.await.unwrap() else { panic!("not decided") };
        paid += u32::from(pays == b"1.00");
    }
    assert_eq!(paid, 40);
    for store in &stores {
        assert_eq!(counted(&**store, WANG).await, (STEPS, "40.00".to_owned()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_message_to_both_gateways_is_handled_once() {
    let stores = two().await;
    for number in 0..20 {
        let id = number.to_string();
        let (a, b) = tokio::join!(stores[0].step(of(WANG, &id, "ZY1")), stores[1].step(of(WANG, &id, "ZY1")));
        let mut answers = [a.unwrap(), b.unwrap()];
        answers.sort_by_key(|answer| matches!(answer, Done::Repeated(_)));
        let said = || b"one more".to_vec();
        assert_eq!(answers, [Done::Decided(said()), Done::Repeated(said())]);
    }
    assert_eq!(counted(&*stores[0], WANG).await, (20, "20.00".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_person_met_by_both_gateways_is_one_person() {
    let stores = two().await;
    let (a, b) = tokio::join!(stores[0].step(of(WANG, "a", "ZY1")), stores[1].step(of(WANG, "b", "ZY2")));
    assert!(matches!((a.unwrap(), b.unwrap()), (Done::Decided(_), Done::Decided(_))));
    assert_eq!(counted(&*stores[0], WANG).await, (2, "2.00".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_is_taken_by_one_gateway() {
    let stores = two().await;
    let decide: Decide = Box::new(|facts| {
        let mut stay = stay_write(&facts, "ZY1", None, "stay");
        stay.hold.due_at = Some(now());
        Some(Changes { stay: Some(stay), ..Changes::default() })
    });
    stores[0].step(step("1", visit("ZY1", None), vec![id_number(WANG)], decide)).await.unwrap();
    for _ in 0..10 {
        let due = stores[0].due(jiff::Timestamp::MAX, 1).await.unwrap().remove(0);
        let until = now() + jiff::SignedDuration::from_secs(60);
        let take = |store: usize| stores[store].take(due.clone(), format!("gateway {store}").into(), until);
        let (a, b) = tokio::join!(take(0), take(1));
        let taken: Vec<_> = [a.unwrap(), b.unwrap()].into_iter().flatten().collect();
        assert_eq!(taken.len(), 1);
        assert_eq!(taken[0].epoch, due.epoch + 1);
    }
}
