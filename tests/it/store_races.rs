//! Steps that decide at the same time: what one looked at must be so still when it is written.

use yizhan::store::{AccumulatorMove, Changes, Decide, Done, Facts, Pot, StayRef, Step};
use yizhan_contract::Accumulators;

use crate::stays::*;

fn used_so_far(facts: &Facts) -> Accumulators {
    facts.person.as_ref().unwrap().years.get(&2020).cloned().unwrap_or_default()
}

/// Settles a stay of 100.00; answers the admissions and the sum that it saw.
fn settle(number: &'static str) -> Decide {
    Box::new(move |facts| {
        let before = used_so_far(&facts);
        let paid: Vec<String> = before.payers.values().map(|used| used.paid.to_string()).collect();
        Some(Changes {
            stay: Some(stay_write(&facts, number, None, number)),
            accumulators: vec![AccumulatorMove {
                pot: Pot::Settled,
                year: 2020,
                admissions: 1,
                payers: vec![("critical_illness".parse().unwrap(), used("100.00", "60.00"))],
            }],
            answer: format!("{} {}", before.admissions, paid.join(" ")).into_bytes(),
            ..Changes::default()
        })
    })
}

fn of(person: &str, id: &str, number: &'static str) -> Step {
    step(id, visit(number, None), vec![id_number(person)], settle(number))
}

/// Holds the decision of a step until another step is durable.
async fn meanwhile(store: &dyn Ports, slow: Step, faster: Vec<Step>) -> (String, usize) {
    let (decide, mut held) = held(faster.len(), slow.decide);
    let slow = Step { decide, ..slow };
    let racing = async {
        for one in faster {
            held.begun().await;
            let done = store.step(one).await.unwrap();
            assert!(matches!(done, Done::Decided(_)), "{done:?}");
            held.go_on();
        }
    };
    let (done, ()) = tokio::join!(store.step(slow), racing);
    let said = match done.unwrap() {
        Done::Decided(answer) => String::from_utf8(answer).unwrap(),
        other => format!("{other:?}"),
    };
    (said, held.runs())
}

#[tokio::test]
async fn two_steps_of_one_person_both_land_and_see_each_others_sums() {
    each_racing_store(async |store| {
        let year = async || store.person(vec![id_number(WANG)]).await.unwrap().unwrap().years[&2020].clone();
        let said = meanwhile(store, of(WANG, "1", "ZY1"), vec![of(WANG, "2", "ZY2")]).await;
        assert_eq!(said, ("1 60.00".to_owned(), 2), "of somebody nobody knew");
        assert_eq!(year().await.admissions, 2);
        let said = meanwhile(store, of(WANG, "3", "ZY3"), vec![of(WANG, "4", "ZY4")]).await;
        assert_eq!(said, ("3 180.00".to_owned(), 2), "of somebody who is known");
        let sums: Vec<_> = year().await.payers.into_values().collect();
        assert_eq!(sums, [used("400.00", "240.00")]);
    })
    .await;
}

#[tokio::test]
async fn a_step_that_loses_twice_lands_the_third_time() {
    each_racing_store(async |store| {
        let faster = vec![of(WANG, "fast", "ZY2"), of(WANG, "fast again", "ZY3")];
        let said = meanwhile(store, of(WANG, "slow", "ZY1"), faster).await;
        assert_eq!(said, ("2 120.00".to_owned(), 3));
    })
    .await;
}

#[tokio::test]
async fn steps_of_two_people_do_not_hinder_each_other() {
    each_racing_store(async |store| {
        store.step(of(WANG, "0", "ZY0")).await.unwrap();
        let said = meanwhile(store, of(WANG, "slow", "ZY1"), vec![of(LI, "fast", "ZY2")]).await;
        assert_eq!(said, ("1 60.00".to_owned(), 1));
    })
    .await;
}

/// Opens the stay, or says whose it is already.
fn open_or_find(number: &'static str, admitted: Option<&'static str>) -> Decide {
    Box::new(move |facts| {
        let found = facts.stay.as_ref().map(|stay| String::from_utf8(stay.document.clone()).unwrap());
        let answer = found.clone().unwrap_or_else(|| "nothing".to_owned()).into_bytes();
        let stay = stay_write(&facts, number, admitted, "opened");
        Some(Changes { stay: found.is_none().then_some(stay), answer, ..Changes::default() })
    })
}

#[tokio::test]
async fn one_visit_is_opened_once() {
    each_racing_store(async |store| {
        for (number, slow, fast) in [
            ("ZY1", None, None),
            // Under another key of the same visit.
            ("ZY2", Some("2020-06-24"), None),
            ("ZY3", None, Some("2020-06-24")),
        ] {
            let open = |id: &str, person, admitted| {
                let id = format!("{id} {number}");
                step(&id, visit(number, admitted), vec![id_number(person)], open_or_find(number, admitted))
            };
            let said = meanwhile(store, open("slow", WANG, slow), vec![open("fast", LI, fast)]).await;
            assert_eq!(said, ("opened".to_owned(), 2), "{number}");
        }
    })
    .await;
}

#[tokio::test]
async fn one_message_id_is_claimed_once() {
    each_racing_store(async |store| {
        for (id, content, said) in
            [("M1", "M1", "Repeated(2 bytes)"), ("M2", "other content", "OtherContent")]
        {
            let mut slow = of(WANG, id, "ZY1");
            slow.claim = Some(message(id, content));
            assert_eq!(meanwhile(store, slow, vec![of(LI, id, "ZY2")]).await, (said.to_owned(), 1));
        }
    })
    .await;
}

/// Makes a patient number name the person with the card, alone or with all that its holder has.
fn take_over(number: &'static str, joins: bool) -> Decide {
    Box::new(move |facts| {
        let joined = facts.others.iter().filter(|_| joins).map(|other| other.person_id).collect();
        let person_id = facts.person.as_ref().map(|person| person.person_id);
        Some(Changes { person_id, person_aliases: vec![mrn(number)], joined, ..Changes::default() })
    })
}

#[tokio::test]
async fn a_number_that_names_another_person_by_then_counts_for_that_one() {
    each_racing_store(async |store| {
        store.step(of(WANG, "card", "ZY0")).await.unwrap();
        for (number, first, second, joins) in [("P1", "ZY1", "ZY2", false), ("P2", "ZY3", "ZY4", true)] {
            let by_number = |visited| step(visited, visit(visited, None), vec![mrn(number)], settle(visited));
            store.step(by_number(first)).await.unwrap();
            let both = vec![id_number(WANG), mrn(number)];
            let merge = step(number, StayRef::Stay(new_id(9)), both, take_over(number, joins));
            assert_eq!(meanwhile(store, by_number(second), vec![merge]).await.1, 2, "{number}");
            let wang = store.person(vec![id_number(WANG)]).await.unwrap().unwrap();
            let late = store.stay(visit(second, None)).await.unwrap().unwrap();
            assert_eq!(late.person_id, wang.person_id, "{number}");
        }
    })
    .await;
}
