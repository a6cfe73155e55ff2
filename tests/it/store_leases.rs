//! What every store does about leases, stays that wait, and sums that are set aside.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;
use yizhan::store::{AccumulatorMove, Changes, Decide, Done, Due, Hold, Lease, Pot, StayRef, Step};
use yizhan_contract::Accumulators;

use crate::stays::*;

fn after(seconds: i64) -> Timestamp {
    now() + SignedDuration::from_secs(seconds)
}

/// A decision that writes the stay with a due time of its own, as whoever acts for it would.
fn waiting(number: &'static str, due_at: Option<Timestamp>, needs_attention: bool) -> Decide {
    Box::new(move |facts| {
        let mut stay = stay_write(&facts, number, None, number);
        let epoch = facts.stay.as_ref().map_or(0, |stay| stay.hold.epoch);
        stay.hold = Hold { due_at, epoch, held_by: None };
        stay.needs_attention = needs_attention;
        Some(Changes { stay: Some(stay), answer: number.as_bytes().to_vec(), ..Changes::default() })
    })
}

async fn wait_for(store: &dyn Ports, number: &'static str, due_at: Option<Timestamp>) -> Uuid {
    let decide = waiting(number, due_at, false);
    let sent = Step { claim: None, ..step("", visit(number, None), vec![id_number(WANG)], decide) };
    store.step(sent).await.unwrap();
    store.stay(visit(number, None)).await.unwrap().unwrap().stay_id
}

/// A step of whoever holds the lease.
fn under(lease: Lease, id: &str, decide: Decide) -> Step {
    Step { lease: Some(lease), ..step(id, StayRef::Stay(lease.stay_id), vec![], decide) }
}

#[tokio::test]
async fn two_that_take_one_lease_share_nothing() {
    each_store(async |store| {
        let stay_id = wait_for(store, "ZY1", Some(after(10))).await;
        assert_eq!(store.due(after(9), 10).await.unwrap(), []);
        let due = store.due(after(10), 10).await.unwrap();
        let person_id = store.person(vec![id_number(WANG)]).await.unwrap().unwrap().person_id;
        let due_at = Some(after(10));
        assert_eq!(due, [Due { stay_id, person_id, epoch: 0, due_at, is_held: false }]);
        let take = |holder: &str| store.take(due[0].clone(), Arc::from(holder), after(70));
        let (a, b) = tokio::join!(take("a"), take("b"));
        let (a, b) = (a.unwrap(), b.unwrap());
        assert_eq!(a.or(b), Some(Lease { stay_id, person_id, epoch: 1 }));
        assert!(a.is_none() || b.is_none());

        let holder = if a.is_some() { "a" } else { "b" };
        let held = Due { stay_id, person_id, epoch: 1, due_at: Some(after(70)), is_held: true };
        assert_eq!(store.held_by(Arc::from(holder), 10).await.unwrap(), std::slice::from_ref(&held));
        assert_eq!(store.due(after(69), 10).await.unwrap(), []);
        assert_eq!(store.due(after(70), 10).await.unwrap(), [held]);
        let stay = store.stay(StayRef::Stay(stay_id)).await.unwrap().unwrap();
        assert_eq!(stay.hold, Hold { due_at: Some(after(70)), epoch: 1, held_by: Some(Arc::from(holder)) });
    })
    .await;
}

#[tokio::test]
async fn a_step_whose_lease_was_taken_over_writes_nothing() {
    each_store(async |store| {
        let stay_id = wait_for(store, "ZY1", Some(after(10))).await;
        let first = store.due(after(10), 1).await.unwrap().remove(0);
        let lost = store.take(first, Arc::from("a"), after(20)).await.unwrap().unwrap();
        let again = store.due(after(20), 1).await.unwrap().remove(0);
        let held = store.take(again, Arc::from("b"), after(90)).await.unwrap().unwrap();

        let never: Decide = Box::new(|_| panic!("decided without the lease"));
        assert_eq!(store.step(under(lost, "1", never)).await.unwrap(), Done::LeaseLost);
        let unknown = Lease { stay_id: new_id(9), person_id: new_id(9), epoch: 1 };
        let never: Decide = Box::new(|_| panic!("decided without a stay"));
        assert_eq!(store.step(under(unknown, "2", never)).await.unwrap(), Done::LeaseLost);

        // Its message id is free still, and the one who holds the stay may act, and let go.
        let done = store.step(under(held, "1", waiting("ZY1", None, false))).await.unwrap();
        assert_eq!(done, Done::Decided(b"ZY1".to_vec()));
        assert_eq!(store.held_by(Arc::from("b"), 10).await.unwrap(), []);
        let stay = store.stay(StayRef::Stay(stay_id)).await.unwrap().unwrap();
        assert_eq!(stay.hold, Hold { due_at: None, epoch: 2, held_by: None });
    })
    .await;
}

#[tokio::test]
async fn a_lease_that_was_prolonged_meanwhile_is_not_taken_over() {
    each_store(async |store| {
        wait_for(store, "ZY1", Some(after(10))).await;
        let due = store.due(after(10), 1).await.unwrap().remove(0);
        let held = store.take(due, Arc::from("a"), after(20)).await.unwrap().unwrap();
        let lapsed = store.due(after(20), 1).await.unwrap().remove(0);
        let prolong: Decide = Box::new(move |facts| {
            let mut stay = stay_write(&facts, "ZY1", None, "still at it");
            stay.hold = Hold { due_at: Some(after(90)), epoch: held.epoch, held_by: Some(Arc::from("a")) };
            Some(Changes { stay: Some(stay), ..Changes::default() })
        });
        store.step(under(held, "1", prolong)).await.unwrap();
        assert_eq!(store.take(lapsed.clone(), Arc::from("b"), after(70)).await.unwrap(), None);
        let lapsed = Due { due_at: None, ..lapsed };
        assert_eq!(store.take(lapsed, Arc::from("b"), after(70)).await.unwrap(), None);
        let stay = store.stay(visit("ZY1", None)).await.unwrap().unwrap();
        assert_eq!((stay.hold.held_by.as_deref(), stay.hold.due_at), (Some("a"), Some(after(90))));
    })
    .await;
}

#[tokio::test]
async fn a_stay_is_taken_whosever_it_is_by_then_and_also_where_nothing_waits() {
    each_store(async |store| {
        let stay_id = wait_for(store, "ZY1", Some(after(10))).await;
        let due = store.due(after(10), 1).await.unwrap().remove(0);
        let hers = step("1", visit("ZY1", None), vec![id_number(LI)], waiting("ZY1", Some(after(10)), false));
        store.step(hers).await.unwrap();
        let li = store.person(vec![id_number(LI)]).await.unwrap().unwrap().person_id;
        assert_ne!(due.person_id, li);
        let taken = store.take(due, Arc::from("a"), after(70)).await.unwrap().unwrap();
        assert_eq!(taken, Lease { stay_id, person_id: li, epoch: 1 });

        store.step(under(taken, "2", waiting("ZY1", None, false))).await.unwrap();
        let nothing_waits = Due { stay_id, person_id: li, epoch: 1, due_at: None, is_held: false };
        let other = Due { stay_id: new_id(9), ..nothing_waits.clone() };
        assert_eq!(store.take(other, Arc::from("a"), after(70)).await.unwrap(), None);
        assert!(store.take(nothing_waits, Arc::from("a"), after(70)).await.unwrap().is_some());
    })
    .await;
}

#[tokio::test]
async fn a_stay_taken_while_a_step_decides_is_decided_again() {
    each_racing_store(async |store| {
        wait_for(store, "ZY1", Some(after(10))).await;
        let due = store.due(after(10), 1).await.unwrap().remove(0);
        let decide: Decide = Box::new(|facts| {
            let hold = facts.stay.as_ref().unwrap().hold.clone();
            let mut stay = stay_write(&facts, "ZY1", None, "seen");
            stay.hold = hold.clone();
            Some(Changes {
                stay: Some(stay),
                answer: hold.epoch.to_be_bytes().to_vec(),
                ..Changes::default()
            })
        });
        let (decide, mut slow) = held(1, decide);
        let deciding = store.step(step("1", visit("ZY1", None), vec![], decide));
        let taking = async {
            slow.begun().await;
            let lease = store.take(due, Arc::from("a"), after(70)).await.unwrap();
            slow.go_on();
            lease
        };
        let (done, lease) = tokio::join!(deciding, taking);
        // Whoever has the lease has it still.
        assert_eq!(done.unwrap(), Done::Decided(1_u64.to_be_bytes().to_vec()));
        assert_eq!((lease.unwrap().epoch, slow.runs()), (1, 2));
        let stay = store.stay(visit("ZY1", None)).await.unwrap().unwrap();
        assert_eq!((stay.hold.epoch, stay.hold.held_by.as_deref()), (1, Some("a")));
    })
    .await;
}

#[tokio::test]
async fn stays_that_wait_for_a_person_are_listed_until_they_do_not() {
    each_store(async |store| {
        let mut ids = Vec::new();
        for (id, number, needs) in [("1", "ZY1", true), ("2", "ZY2", false), ("3", "ZY3", true)] {
            let sent = step(id, visit(number, None), vec![id_number(WANG)], waiting(number, None, needs));
            store.step(sent).await.unwrap();
            ids.push(store.stay(visit(number, None)).await.unwrap().unwrap().stay_id);
        }
        assert_eq!(store.attention(10).await.unwrap(), [ids[0], ids[2]]);
        assert_eq!(store.attention(1).await.unwrap(), [ids[0]]);
        let solved = step("4", StayRef::Stay(ids[0]), vec![], waiting("ZY1", None, false));
        store.step(solved).await.unwrap();
        assert_eq!(store.attention(10).await.unwrap(), [ids[2]]);
    })
    .await;
}

fn moving(pot: Pot, base: &str, paid: &str, admissions: i32) -> AccumulatorMove {
    let payers = vec![("critical_illness".parse().unwrap(), used(base, paid))];
    AccumulatorMove { pot, year: 2020, admissions, payers }
}

fn moves(accumulators: Vec<AccumulatorMove>) -> Decide {
    Box::new(move |facts| {
        let stay = Some(stay_write(&facts, "ZY1", None, "stay"));
        Some(Changes { stay, accumulators: accumulators.clone(), ..Changes::default() })
    })
}

fn of_year(sums: &std::collections::BTreeMap<i16, Accumulators>) -> Accumulators {
    sums.get(&2020).cloned().unwrap_or_default()
}

#[tokio::test]
async fn what_is_set_aside_is_seen_beside_what_is_settled_and_becomes_it() {
    each_store(async |store| {
        let send = async |id: &str, by: Vec<AccumulatorMove>| {
            let sent = step(id, visit("ZY1", None), vec![id_number(WANG)], moves(by));
            store.step(sent).await.unwrap();
            let known = store.person(vec![id_number(WANG)]).await.unwrap().unwrap();
            (of_year(&known.years), known.reserved)
        };
        let (settled, _) = send("1", vec![moving(Pot::Settled, "100.00", "10.00", 1)]).await;
        let (years, reserved) = send("2", vec![moving(Pot::Reserved, "0.0000000001", "5.00", 1)]).await;
        assert_eq!(years, settled);
        let aside = of_year(&reserved);
        assert_eq!(
            (aside.admissions, aside.payers.values().next()),
            (1, Some(&used("0.0000000001", "5.00")))
        );
        // A second one, let go again.
        let (_, both) = send("3", vec![moving(Pot::Reserved, "7.00", "7.00", 1)]).await;
        assert_eq!(of_year(&both).payers.values().next(), Some(&used("7.0000000001", "12.00")));
        let (_, one) = send("4", vec![moving(Pot::Reserved, "-7.00", "-7.00", -1)]).await;
        assert_eq!(one, reserved);
        let becomes = vec![
            moving(Pot::Reserved, "-0.0000000001", "-5.00", -1),
            moving(Pot::Settled, "0.0000000001", "5.00", 1),
        ];
        let (years, reserved) = send("5", becomes).await;
        assert_eq!(reserved, std::collections::BTreeMap::new(), "nothing is set aside any more");
        assert_eq!(
            (years.admissions, years.payers.values().next()),
            (2, Some(&used("100.0000000001", "15.00")))
        );
    })
    .await;
}

#[tokio::test]
async fn what_is_set_aside_follows_a_person_who_is_joined() {
    each_store(async |store| {
        let aside = vec![moving(Pot::Reserved, "7.00", "7.00", 1)];
        store.step(step("1", visit("ZY1", None), vec![mrn("P1")], moves(aside))).await.unwrap();
        let own = vec![moving(Pot::Reserved, "1.00", "2.00", 1)];
        let decide = moves(own);
        let sent = step(
            "2",
            visit("ZY9", None),
            vec![id_number(WANG)],
            Box::new(move |facts| {
                let changes = decide(facts.clone())?;
                Some(Changes { stay: Some(stay_write(&facts, "ZY9", None, "stay")), ..changes })
            }),
        );
        store.step(sent).await.unwrap();
        let joined = store.person(vec![mrn("P1")]).await.unwrap().unwrap().person_id;
        let join: Decide = Box::new(move |facts| {
            let person_id = Some(facts.person?.person_id);
            Some(Changes { joined: vec![joined], person_id, ..Changes::default() })
        });
        store.step(step("3", visit("ZY5", None), vec![id_number(WANG)], join)).await.unwrap();
        let one = store.person(vec![mrn("P1")]).await.unwrap().unwrap();
        let aside = of_year(&one.reserved);
        assert_eq!((aside.admissions, aside.payers.values().next()), (2, Some(&used("8.00", "9.00"))));
    })
    .await;
}
