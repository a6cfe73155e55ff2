//! What every store does, checked through its ports alone.

use std::sync::{Arc, Mutex};

use yizhan::store::{AccumulatorMove, Changes, Decide, Done, Facts, Pot, StayRef, StoreError};
use yizhan_contract::Accumulators;

use crate::stays::*;

/// A decision that only looks.
fn look(seen: &Arc<Mutex<Option<Facts>>>) -> Decide {
    let seen = Arc::clone(seen);
    Box::new(move |facts| {
        *seen.lock().unwrap() = Some(facts);
        Some(Changes::default())
    })
}

async fn facts(store: &dyn Ports, stay: StayRef, persons: Vec<yizhan::store::PersonRef>) -> Facts {
    let seen = Arc::default();
    let looking = yizhan::store::Step { claim: None, ..step("", stay, persons, look(&seen)) };
    store.step(looking).await.unwrap();
    let facts = seen.lock().unwrap().take();
    facts.unwrap()
}

fn never() -> Decide {
    Box::new(|_| panic!("a message was decided twice"))
}

#[tokio::test]
async fn a_message_is_handled_once() {
    each_store(async |store| {
        let send = |decide| step("M1", visit("ZY1", None), vec![id_number(WANG)], decide);
        let first = store.step(send(keep("ZY1", None, "settled"))).await.unwrap();
        assert_eq!(first, Done::Decided(b"settled".to_vec()));
        assert_eq!(store.step(send(never())).await.unwrap(), Done::Repeated(b"settled".to_vec()));
        let mut other = send(never());
        other.claim = Some(message("M1", "something else"));
        assert_eq!(store.step(other).await.unwrap(), Done::OtherContent);
    })
    .await;
}

#[tokio::test]
async fn the_same_message_at_the_same_time_is_decided_once() {
    each_store(async |store| {
        let send = || step("M1", visit("ZY1", None), vec![id_number(WANG)], keep("ZY1", None, "once"));
        let (a, b) = tokio::join!(store.step(send()), store.step(send()));
        let mut answers = [a.unwrap(), b.unwrap()];
        answers.sort_by_key(|answer| matches!(answer, Done::Repeated(_)));
        assert_eq!(answers, [Done::Decided(b"once".to_vec()), Done::Repeated(b"once".to_vec())]);
    })
    .await;
}

#[tokio::test]
async fn a_refused_message_may_come_again_corrected() {
    each_store(async |store| {
        store.keep_refused(now(), message("M1", "broken"), b"AE".to_vec()).await.unwrap();
        store.keep_refused(now(), message("M1", "broken"), b"AE".to_vec()).await.unwrap();
        let sent = step("M1", visit("ZY1", None), vec![id_number(WANG)], keep("ZY1", None, "AA"));
        assert_eq!(store.step(sent).await.unwrap(), Done::Decided(b"AA".to_vec()));
    })
    .await;
}

#[tokio::test]
async fn a_decision_that_refuses_a_message_leaves_its_id_free() {
    each_store(async |store| {
        let refuse: Decide =
            Box::new(|_| Some(Changes { answer: b"AE".to_vec(), is_refused: true, ..Changes::default() }));
        let send = |content, decide| {
            let claim = Some(message("M1", content));
            yizhan::store::Step { claim, ..step("", visit("ZY1", None), vec![id_number(WANG)], decide) }
        };
        let refused = store.step(send("broken", refuse)).await.unwrap();
        assert_eq!(refused, Done::Decided(b"AE".to_vec()));
        let corrected = store.step(send("corrected", keep("ZY1", None, "AA"))).await.unwrap();
        assert_eq!(corrected, Done::Decided(b"AA".to_vec()));
        assert_eq!(store.step(send("broken", never())).await.unwrap(), Done::OtherContent);
    })
    .await;
}

#[tokio::test]
async fn a_decision_against_a_message_leaves_no_person() {
    each_store(async |store| {
        let refuse: Decide = Box::new(|_| Some(Changes { answer: b"AE".to_vec(), ..Changes::default() }));
        let send = |decide| step("M1", visit("ZY1", None), vec![id_number(WANG)], decide);
        store.step(send(refuse)).await.unwrap();
        assert!(store.person(vec![id_number(WANG)]).await.unwrap().is_none());
        assert_eq!(store.step(send(never())).await.unwrap(), Done::Repeated(b"AE".to_vec()));
    })
    .await;
}

/// A decision that wants to look something up first.
fn undecided() -> Decide {
    Box::new(|_| None)
}

#[tokio::test]
async fn a_message_left_undecided_leaves_nothing_and_may_be_tried_again() {
    each_store(async |store| {
        let persons = || vec![id_number(WANG), mrn("P1")];
        let send = |content: &str, decide| {
            let claim = Some(message("M1", content));
            yizhan::store::Step { claim, ..step("", visit("ZY1", None), persons(), decide) }
        };
        assert_eq!(store.step(send("charges", undecided())).await.unwrap(), Done::Undecided);
        assert_eq!(store.step(send("charges", undecided())).await.unwrap(), Done::Undecided);
        for person in persons() {
            assert!(store.person(vec![person]).await.unwrap().is_none());
        }
        assert!(store.stay(visit("ZY1", None)).await.unwrap().is_none());
        // Its id is not claimed: not even other content under it is taken for a repetition.
        let other = send("other charges", keep("ZY1", None, "kept"));
        assert_eq!(store.step(other).await.unwrap(), Done::Decided(b"kept".to_vec()));
        assert_eq!(store.step(send("charges", never())).await.unwrap(), Done::OtherContent);
    })
    .await;
}

#[tokio::test]
async fn an_undecided_message_changes_neither_its_stay_nor_its_neighbours() {
    each_store(async |store| {
        let send =
            |id, number, person, decide| step(id, visit(number, None), vec![id_number(person)], decide);
        store.step(send("1", "ZY1", WANG, keep("ZY1", None, "first"))).await.unwrap();
        let (left, kept) = tokio::join!(
            store.step(send("2", "ZY1", LI, undecided())),
            store.step(send("3", "ZY2", WANG, keep("ZY2", None, "other stay"))),
        );
        assert_eq!((left.unwrap(), kept.unwrap()), (Done::Undecided, Done::Decided(b"other stay".to_vec())));
        let wang = store.person(vec![id_number(WANG)]).await.unwrap().unwrap();
        let stay = store.stay(visit("ZY1", None)).await.unwrap().unwrap();
        assert_eq!((stay.document, stay.person_id), (b"first".to_vec(), wang.person_id));
        assert!(store.person(vec![id_number(LI)]).await.unwrap().is_none());
        let again = send("2", "ZY1", WANG, keep("ZY1", None, "second"));
        assert_eq!(store.step(again).await.unwrap(), Done::Decided(b"second".to_vec()));
    })
    .await;
}

#[tokio::test]
async fn a_repetition_is_answered_before_anything_is_looked_up() {
    each_store(async |store| {
        let send = |decide| step("M1", visit("ZY1", None), vec![id_number(WANG)], decide);
        store.step(send(keep("ZY1", None, "settled"))).await.unwrap();
        assert_eq!(store.step(send(undecided())).await.unwrap(), Done::Repeated(b"settled".to_vec()));
    })
    .await;
}

#[tokio::test]
async fn a_stay_is_found_by_visit_settlement_and_id() {
    each_store(async |store| {
        let person = || vec![id_number(WANG)];
        store
            .step(step(
                "1",
                visit("ZY1", Some("2019-01-01")),
                person(),
                keep("ZY1", Some("2019-01-01"), "old"),
            ))
            .await
            .unwrap();
        store
            .step(step(
                "2",
                visit("ZY1", Some("2020-06-24")),
                person(),
                keep("ZY1", Some("2020-06-24"), "new"),
            ))
            .await
            .unwrap();
        let settlement = new_id(1);
        let settle: Decide = Box::new(move |facts| {
            let stay_id = facts.stay.as_ref().unwrap().stay_id;
            let bill = bill(settlement, stay_id, 1, "settled", "2020-07-02");
            Some(Changes { postings: postings(&bill), bill: Some(bill), ..Changes::default() })
        });
        store.step(step("3", visit("ZY1", Some("2020-06-24")), person(), settle)).await.unwrap();
        let newest = facts(store, visit("ZY1", None), vec![]).await.stay.unwrap();
        assert_eq!(newest.document, b"new");
        for (by, document) in [
            (visit("ZY1", Some("2019-01-01")), "old"),
            (visit("ZY1", Some("2020-06-24")), "new"),
            (StayRef::Stay(newest.stay_id), "new"),
            (StayRef::Settlement(settlement), "new"),
        ] {
            let seen = facts(store, by.clone(), vec![]).await.stay.unwrap();
            assert_eq!(seen.document, document.as_bytes());
            let read = store.stay(by).await.unwrap().unwrap();
            assert_eq!(
                (read.stay_id, read.person_id, read.document),
                (seen.stay_id, seen.person_id, seen.document)
            );
        }
        for unknown in [
            visit("ZY1", Some("2020-06-25")),
            visit("ZY2", None),
            StayRef::Stay(new_id(9)),
            StayRef::Settlement(new_id(9)),
        ] {
            assert!(facts(store, unknown.clone(), vec![]).await.stay.is_none());
            assert!(store.stay(unknown).await.unwrap().is_none());
        }
    })
    .await;
}

#[tokio::test]
async fn charges_before_admission_find_their_stay_when_the_date_is_told() {
    each_store(async |store| {
        let person = || vec![id_number(WANG)];
        store.step(step("1", visit("ZY1", None), person(), keep("ZY1", None, "charges"))).await.unwrap();
        let told = visit("ZY1", Some("2020-06-24"));
        store
            .step(step("2", told.clone(), person(), keep("ZY1", Some("2020-06-24"), "admitted")))
            .await
            .unwrap();
        assert_eq!(facts(store, told, vec![]).await.stay.unwrap().document, b"admitted");
        assert!(facts(store, visit("ZY1", Some("2020-06-23")), vec![]).await.stay.is_none());
    })
    .await;
}

#[tokio::test]
async fn the_strongest_reference_names_the_person() {
    each_store(async |store| {
        let both = || vec![id_number(WANG), mrn("P1")];
        store.step(step("1", visit("ZY1", None), both(), keep("ZY1", None, "a"))).await.unwrap();
        let wang = store.person(vec![id_number(WANG)]).await.unwrap().unwrap();
        assert_eq!(store.person(vec![mrn("P1")]).await.unwrap().unwrap().person_id, wang.person_id);
        assert!(!wang.is_ambiguous);

        // The hospital gave the number to somebody else: the card number is another person's.
        let reused = || vec![id_number(LI), mrn("P1")];
        let seen = facts(store, visit("ZY2", None), reused()).await.person.unwrap();
        assert!(seen.is_ambiguous && seen.person_id != wang.person_id);
        store.step(step("2", visit("ZY2", None), reused(), keep("ZY2", None, "b"))).await.unwrap();
        let li = store.person(vec![id_number(LI)]).await.unwrap().unwrap();
        assert_ne!(li.person_id, wang.person_id);
        assert_eq!(store.person(vec![mrn("P1")]).await.unwrap().unwrap().person_id, wang.person_id);
        assert!(store.person(reused()).await.unwrap().unwrap().is_ambiguous);
    })
    .await;
}

#[tokio::test]
async fn a_card_number_joins_the_patient_number_it_came_with() {
    each_store(async |store| {
        store.step(step("1", visit("ZY1", None), vec![mrn("P1")], keep("ZY1", None, "a"))).await.unwrap();
        let known = store.person(vec![mrn("P1")]).await.unwrap().unwrap();
        let both = vec![id_number(WANG), mrn("P1")];
        store.step(step("2", visit("ZY1", None), both, keep("ZY1", None, "b"))).await.unwrap();
        assert_eq!(store.person(vec![id_number(WANG)]).await.unwrap().unwrap().person_id, known.person_id);
    })
    .await;
}

fn moving(base: &'static str, paid: &'static str, admissions: i32) -> Decide {
    Box::new(move |facts| {
        Some(Changes {
            stay: Some(stay_write(&facts, "ZY1", None, "stay")),
            accumulators: vec![AccumulatorMove {
                pot: Pot::Settled,
                year: 2020,
                admissions,
                payers: vec![("critical_illness".parse().unwrap(), used(base, paid))],
            }],
            ..Changes::default()
        })
    })
}

async fn year_of(store: &dyn Ports, person: &str) -> Accumulators {
    let known = store.person(vec![id_number(person)]).await.unwrap().unwrap();
    known.years.get(&2020).cloned().unwrap_or_default()
}

#[tokio::test]
async fn accumulators_add_up_exactly_and_give_back_exactly() {
    each_store(async |store| {
        let send = |id, decide| step(id, visit("ZY1", None), vec![id_number(WANG)], decide);
        store.step(send("1", moving("0.0000000001", "0.01", 1))).await.unwrap();
        store.step(send("2", moving("9999999999.9999999999", "87000.00", 1))).await.unwrap();
        let year = year_of(store, WANG).await;
        assert_eq!(year.admissions, 2);
        assert_eq!(year.payers.values().collect::<Vec<_>>(), [&used("10000000000.00", "87000.01")]);
        store.step(send("3", moving("-9999999999.9999999999", "-87000.00", -1))).await.unwrap();
        let year = year_of(store, WANG).await;
        assert_eq!((year.admissions, year.payers.values().next()), (1, Some(&used("0.0000000001", "0.01"))));
    })
    .await;
}

#[tokio::test]
async fn a_decision_that_panics_takes_only_itself_back() {
    each_store(async |store| {
        let broken: Decide = Box::new(|_| panic!("a defect"));
        let (good, bad, other) = tokio::join!(
            store.step(step("1", visit("ZY1", None), vec![id_number(WANG)], keep("ZY1", None, "a"))),
            store.step(step("2", visit("ZY2", None), vec![id_number(LI)], broken)),
            store.step(step("3", visit("ZY3", None), vec![id_number(LI)], keep("ZY3", None, "c"))),
        );
        assert!(matches!(bad, Err(StoreError::Defect(said)) if said.contains("a defect")));
        assert_eq!(
            (good.unwrap(), other.unwrap()),
            (Done::Decided(b"a".to_vec()), Done::Decided(b"c".to_vec()))
        );
        assert!(facts(store, visit("ZY2", None), vec![]).await.stay.is_none());
    })
    .await;
}

#[tokio::test]
async fn a_report_says_what_was_posted_that_day_and_what_is_under_way() {
    each_store(async |store| {
        let issue =
            |settlement, number: &'static str, version, state: &'static str, on: &'static str| -> Decide {
                Box::new(move |facts| {
                    let stay = stay_write(&facts, number, None, "stay");
                    let bill = bill(settlement, stay.stay_id, version, state, on);
                    let postings = match state {
                        "settled" => postings(&bill),
                        "reversed" => mirrored(&postings(&bill)),
                        _ => Vec::new(),
                    };
                    Some(Changes { stay: Some(stay), bill: Some(bill), postings, ..Changes::default() })
                })
            };
        let (a, b, c) = (new_id(1), new_id(1), new_id(1));
        for (id, settlement, number, version, state, on) in [
            ("1", a, "ZY1", 1, "settled", "2020-07-02"),
            ("2", b, "ZY2", 1, "settled", "2020-07-02"),
            ("3", c, "ZY3", 1, "quoted", "2020-07-02"),
            ("4", a, "ZY1", 2, "reversed", "2020-07-02"),
            ("5", b, "ZY2", 2, "reversed", "2020-07-03"),
        ] {
            let decide = issue(settlement, number, version, state, on);
            store.step(step(id, visit(number, None), vec![id_number(WANG)], decide)).await.unwrap();
        }
        let lines = async |on: &str| -> Vec<String> {
            let lines = store.report(day(on)).await.unwrap();
            let line = |line: &yizhan::store::ReportLine| {
                format!("{} {} {} {}", line.payer, line.state, line.count, line.paid)
            };
            lines.iter().map(line).collect()
        };
        assert_eq!(
            lines("2020-07-02").await,
            [
                "basic quoted 1 1313.04",
                "basic reversed 1 1313.04",
                "basic settled 2 2626.08",
                "medical_assistance quoted 1 292.54",
                "medical_assistance reversed 1 292.54",
                "medical_assistance settled 2 585.08",
                "patient quoted 1 181.37",
                "patient reversed 1 181.37",
                "patient settled 2 362.74",
            ]
        );
        let next = lines("2020-07-03").await;
        assert_eq!(
            next,
            ["basic reversed 1 1313.04", "medical_assistance reversed 1 292.54", "patient reversed 1 181.37"]
        );
        assert!(lines("2020-07-04").await.is_empty());
        assert_eq!(store.settlement(a).await.unwrap().unwrap().bill, b"bill 2 reversed");
        assert_eq!(store.bill(a, 1).await.unwrap().unwrap().bill, b"bill 1 settled");
        assert!(store.settlement(new_id(9)).await.unwrap().is_none());
    })
    .await;
}

#[tokio::test]
async fn stays_come_due_oldest_first() {
    each_store(async |store| {
        for (id, number, due) in
            [("1", "ZY1", Some(30)), ("2", "ZY2", Some(10)), ("3", "ZY3", None), ("4", "ZY4", Some(90))]
        {
            let decide: Decide = Box::new(move |facts| {
                let mut stay = stay_write(&facts, number, None, number);
                stay.hold.due_at = due.map(|seconds| now() + jiff::SignedDuration::from_secs(seconds));
                Some(Changes { stay: Some(stay), ..Changes::default() })
            });
            store.step(step(id, visit(number, None), vec![id_number(WANG)], decide)).await.unwrap();
        }
        let later = now() + jiff::SignedDuration::from_secs(60);
        let due = store.due(later, 10).await.unwrap();
        let mut numbers = Vec::new();
        for stay in &due {
            numbers.push(facts(store, StayRef::Stay(stay.stay_id), vec![]).await.stay.unwrap().document);
        }
        assert_eq!(numbers, [b"ZY2", b"ZY1"]);
        assert_eq!(store.due(later, 1).await.unwrap(), due[..1]);
    })
    .await;
}

#[tokio::test]
async fn a_stay_reads_as_the_last_message_left_it() {
    each_store(async |store| {
        let send =
            |id, document| step(id, visit("ZY1", None), vec![id_number(WANG)], keep("ZY1", None, document));
        store.step(send("1", "first")).await.unwrap();
        let first = store.stay(visit("ZY1", None)).await.unwrap().unwrap();
        store.step(send("2", "second")).await.unwrap();
        let second = store.stay(StayRef::Stay(first.stay_id)).await.unwrap().unwrap();
        assert_eq!((first.document, second.document), (b"first".to_vec(), b"second".to_vec()));
    })
    .await;
}

#[tokio::test]
async fn a_ping_answers() {
    each_store(async |store| store.ping().await.unwrap()).await;
}
