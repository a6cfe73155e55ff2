//! What a step may say of people: references given to them, stays moved to them, two made one.

use uuid::Uuid;
use yizhan::store::{AccumulatorMove, Changes, Decide, Pot, StayRef};

use crate::stays::*;

#[tokio::test]
async fn an_alias_names_the_person_from_then_on() {
    each_store(async |store| {
        store.step(step("1", visit("ZY1", None), vec![mrn("P1")], keep("ZY1", None, "a"))).await.unwrap();
        let merge: Decide = Box::new(|_| {
            Some(Changes { person_aliases: vec![mrn("P2"), id_number(LI)], ..Changes::default() })
        });
        store.step(step("2", visit("ZY1", None), vec![mrn("P1")], merge)).await.unwrap();
        let person = store.person(vec![mrn("P1")]).await.unwrap().unwrap();
        for alias in [mrn("P2"), id_number(LI)] {
            assert_eq!(store.person(vec![alias]).await.unwrap().unwrap().person_id, person.person_id);
        }
    })
    .await;
}

#[tokio::test]
async fn a_quoted_stay_goes_to_another_person_with_its_quote() {
    each_store(async |store| {
        let settlement = new_id(1);
        let quote: Decide = Box::new(move |facts| {
            let mut stay = stay_write(&facts, "ZY1", None, "stay");
            stay.settlement_id = Some(settlement);
            Some(Changes {
                bill: Some(bill(settlement, stay.stay_id, 1, "quoted", "2020-07-02")),
                stay: Some(stay),
                ..Changes::default()
            })
        });
        store.step(step("1", visit("ZY1", None), vec![id_number(WANG)], quote)).await.unwrap();
        let hers: Decide = Box::new(move |facts| {
            let mut stay = stay_write(&facts, "ZY1", None, "hers");
            stay.settlement_id = Some(settlement);
            Some(Changes { stay: Some(stay), ..Changes::default() })
        });
        store.step(step("2", visit("ZY1", None), vec![id_number(LI)], hers)).await.unwrap();
        let li = store.person(vec![id_number(LI)]).await.unwrap().unwrap();
        let stay = store.stay(StayRef::Settlement(settlement)).await.unwrap().unwrap();
        assert_eq!(stay.person_id, li.person_id);
        let read = store.settlement(settlement).await.unwrap().unwrap();
        let stay = read.stay;
        assert_eq!((read.bill, stay.document), (b"bill 1 quoted".to_vec(), b"hers".to_vec()));
        assert_eq!(stay.bill, Some(b"bill 1 quoted".to_vec()));
        assert_eq!(store.report(day("2020-07-02")).await.unwrap().len(), 3);
    })
    .await;
}

/// A settled stay with its sums, and the settlement's id.
fn settled(number: &'static str, settlement: Uuid) -> Decide {
    settled_on(number, settlement, "2020-07-02")
}

fn settled_on(number: &'static str, settlement: Uuid, day: &'static str) -> Decide {
    Box::new(move |facts| {
        let stay = stay_write(&facts, number, None, number);
        let bill = bill(settlement, stay.stay_id, 1, "settled", day);
        let payers = vec![("critical_illness".parse().unwrap(), used("100.00", "60.00"))];
        Some(Changes {
            stay: Some(stay),
            postings: postings(&bill),
            bill: Some(bill),
            accumulators: vec![AccumulatorMove { pot: Pot::Settled, year: 2020, admissions: 1, payers }],
            ..Changes::default()
        })
    })
}

/// No stay is spoken of.
fn nowhere() -> StayRef {
    StayRef::Stay(new_id(9))
}

#[tokio::test]
async fn people_who_are_joined_are_one_with_all_they_had() {
    each_store(join_with_all_they_had).await;
}

pub(crate) async fn join_with_all_they_had(store: &dyn Ports) {
    let (hers, numbers) = (new_id(1), new_id(1));
    let card = step("1", visit("ZY1", None), vec![id_number(WANG)], settled("ZY1", hers));
    store.step(card).await.unwrap();
    for (id, number) in [("2", "P1"), ("3", "P2")] {
        let decide = if id == "2" { settled("ZY2", numbers) } else { keep("ZY3", None, "open") };
        let visited = visit(if id == "2" { "ZY2" } else { "ZY3" }, None);
        store.step(step(id, visited, vec![mrn(number)], decide)).await.unwrap();
    }
    let join: Decide = Box::new(|facts| {
        let person_id = facts.person.as_ref().map(|person| person.person_id);
        let joined = facts.others.iter().map(|other| other.person_id).collect();
        Some(Changes { person_id, joined, ..Changes::default() })
    });
    let all = vec![id_number(WANG), mrn("P1"), mrn("P2")];
    store.step(step("4", nowhere(), all.clone(), join)).await.unwrap();

    let wang = store.person(all).await.unwrap().unwrap();
    assert!(!wang.is_ambiguous, "every reference names one person");
    let year = &wang.years[&2020];
    assert_eq!((year.admissions, year.payers.values().next()), (2, Some(&used("200.00", "120.00"))));
    for number in ["ZY1", "ZY2", "ZY3"] {
        let stay = store.stay(visit(number, None)).await.unwrap().unwrap();
        assert_eq!(stay.person_id, wang.person_id, "{number}");
    }
    let read = store.settlement(numbers).await.unwrap().unwrap();
    assert_eq!((read.bill, read.stay.document), (b"bill 1 settled".to_vec(), b"ZY2".to_vec()));
    // Nothing was left behind that would be counted twice.
    assert_eq!(store.report(day("2020-07-02")).await.unwrap()[0].count, 2);
}

fn reversed(number: &'static str, settlement: Uuid, day: &'static str) -> Decide {
    Box::new(move |facts| {
        let stay = stay_write(&facts, number, None, number);
        let before = bill(settlement, stay.stay_id, 1, "settled", day);
        let payers = vec![("critical_illness".parse().unwrap(), used("-100.00", "-60.00"))];
        Some(Changes {
            stay: Some(stay.clone()),
            postings: mirrored(&postings(&before)),
            bill: Some(bill(settlement, stay.stay_id, 2, "reversed", day)),
            accumulators: vec![AccumulatorMove { pot: Pot::Settled, year: 2020, admissions: -1, payers }],
            ..Changes::default()
        })
    })
}

/// Stays of two people who turn out to be one, settled in turn: a reversal marks those that came after it, whosever they
/// were.
#[tokio::test]
async fn settlements_of_joined_people_keep_the_order_they_were_settled_in() {
    each_store(async |store| {
        let ids = [new_id(1), new_id(1), new_id(1), new_id(1)];
        let settle = async |id: &str, who, number, settlement, day| {
            let decide = settled_on(number, settlement, day);
            store.step(step(id, visit(number, None), vec![who], decide)).await.unwrap();
        };
        settle("1", id_number(WANG), "ZY1", ids[0], "2020-07-01").await;
        settle("2", mrn("P1"), "ZY2", ids[1], "2020-07-02").await;
        settle("3", id_number(WANG), "ZY3", ids[2], "2020-07-03").await;
        let join: Decide = Box::new(|facts| {
            let person_id = facts.person.as_ref().map(|person| person.person_id);
            let joined = facts.others.iter().map(|other| other.person_id).collect();
            Some(Changes { person_id, joined, ..Changes::default() })
        });
        store.step(step("4", nowhere(), vec![id_number(WANG), mrn("P1")], join)).await.unwrap();
        settle("5", mrn("P1"), "ZY4", ids[3], "2020-07-04").await;

        let marked = async || {
            let mut marks = Vec::new();
            for id in ids {
                marks.push(store.settlement(id).await.unwrap().unwrap().earlier_reversed);
            }
            marks
        };
        let back = async |id: &str, number, settlement, day| {
            let decide = reversed(number, settlement, day);
            store.step(step(id, visit(number, None), vec![id_number(WANG)], decide)).await.unwrap();
        };
        back("6", "ZY2", ids[1], "2020-07-05").await;
        assert_eq!(marked().await, [0, 0, 1, 1]);
        back("7", "ZY1", ids[0], "2020-07-05").await;
        assert_eq!(marked().await, [0, 1, 2, 2]);
        back("8", "ZY4", ids[3], "2020-07-05").await;
        assert_eq!(marked().await, [0, 1, 2, 2]);
    })
    .await;
}

#[tokio::test]
async fn a_step_without_a_stay_keeps_the_references_of_the_person_it_names() {
    each_store(async |store| {
        let both = |number: &str| vec![id_number(WANG), mrn(number)];
        let naming: Decide = Box::new(|facts| {
            let person_id = facts.person.as_ref().map(|person| person.person_id);
            Some(Changes { person_id, ..Changes::default() })
        });
        store.step(step("1", nowhere(), both("P1"), naming)).await.unwrap();
        let wang = store.person(vec![id_number(WANG)]).await.unwrap().unwrap();
        assert_eq!(store.person(vec![mrn("P1")]).await.unwrap().unwrap().person_id, wang.person_id);
        let silent: Decide = Box::new(|_| Some(Changes::default()));
        store.step(step("2", nowhere(), both("P2"), silent)).await.unwrap();
        assert!(store.person(vec![mrn("P2")]).await.unwrap().is_none());
    })
    .await;
}

#[tokio::test]
async fn a_step_writes_for_nobody_it_did_not_look_at() {
    each_store(async |store| {
        let stranger: Decide =
            Box::new(|_| Some(Changes { person_id: Some(Uuid::from_u128(1)), ..Changes::default() }));
        let step = step("1", nowhere(), vec![id_number(WANG)], stranger);
        assert!(matches!(store.step(step).await, Err(yizhan::store::StoreError::Defect(_))));
    })
    .await;
}
