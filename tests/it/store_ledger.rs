//! What every store does with its ledger, and what it says of the books.

use std::collections::BTreeMap;

use uuid::Uuid;
use yizhan::store::ledger::balances;
use yizhan::store::{
    Account, AccumulatorMove, BillWrite, Book, Changes, Decide, Posting, PostingKind, Pot, StayRef,
    StoreError,
};
use yizhan_contract::Money;

use crate::stays::*;

fn account(text: &str) -> Account {
    text.parse().unwrap()
}

fn posting(kind: PostingKind, debit: &str, credit: &str, amount: &str) -> Posting {
    Posting { kind, debit: account(debit), credit: account(credit), amount: yuan(amount) }
}

const HOSPITAL_ACCOUNT: &str = "hospital:H37132301";

/// The postings of the bill of these tests.
fn right() -> Vec<Posting> {
    let owes = |who: &str, amount| posting(PostingKind::Settlement, who, HOSPITAL_ACCOUNT, amount);
    vec![
        owes("fund:basic:371323", "1313.04"),
        owes("fund:medical_assistance:371323", "292.54"),
        owes("patient", "181.37"),
    ]
}

fn issue(settlement: Uuid, version: u32, state: &'static str, postings: Vec<Posting>) -> Decide {
    Box::new(move |facts| {
        let stay = stay_write(&facts, "ZY1", None, "stay");
        let bill = Some(bill(settlement, stay.stay_id, version, state, "2020-07-02"));
        Some(Changes { stay: Some(stay), bill, postings: postings.clone(), ..Changes::default() })
    })
}

#[tokio::test]
async fn postings_that_do_not_say_what_the_bill_says_are_refused_with_the_whole_step() {
    each_store(async |store| {
        let settlement = new_id(1);
        let send = async |id: &str, version, state, postings| {
            let decide = issue(settlement, version, state, postings);
            store.step(step(id, visit("ZY1", None), vec![id_number(WANG)], decide)).await
        };
        let with = |change: &dyn Fn(&mut Vec<Posting>)| {
            let mut postings = right();
            change(&mut postings);
            postings
        };
        let wrong = [
            ("nothing posted", vec![]),
            ("a payer left out", with(&|all| _ = all.pop())),
            ("a fen too much", with(&|all| all[0].amount = yuan("1313.05"))),
            ("the wrong fund", with(&|all| all[0].debit = account("fund:disaster:371323"))),
            ("the wrong hospital", with(&|all| all[2].credit = account("hospital:H0"))),
            (
                "twice",
                with(&|all| all.push(posting(PostingKind::Settlement, "patient", HOSPITAL_ACCOUNT, "0.01"))),
            ),
            (
                "in two parts",
                with(&|all| {
                    all[2].amount = yuan("181.00");
                    all.push(posting(PostingKind::Settlement, "patient", HOSPITAL_ACCOUNT, "0.37"));
                }),
            ),
            ("nobody owes nothing", with(&|all| all[2].amount = Money::ZERO)),
            ("less than nothing", with(&|all| all[2].amount = yuan("-181.37"))),
            ("itself", with(&|all| all[2].credit = account("patient"))),
            ("the other way round", mirrored(&right())),
        ];
        for (what, postings) in wrong {
            let done = send("1", 1, "settled", postings).await;
            assert!(matches!(done, Err(StoreError::Defect(_))), "{what}: {done:?}");
            assert!(store.stay(visit("ZY1", None)).await.unwrap().is_none(), "{what}");
        }
        let quote = send("1", 1, "quoted", right()).await;
        assert!(matches!(quote, Err(StoreError::Defect(_))), "a quote moves nothing: {quote:?}");

        send("1", 1, "settled", right()).await.unwrap();
        for (what, postings) in [("nothing", vec![]), ("half", mirrored(&right()[..1]))] {
            let done = send("2", 2, "reversed", postings).await;
            assert!(matches!(done, Err(StoreError::Defect(_))), "{what} taken back: {done:?}");
        }
        // Under way back, all of it stands, or none.
        send("3", 2, "reversing", vec![]).await.unwrap();
        assert!(matches!(
            send("4", 3, "reversing", mirrored(&right()[..1])).await,
            Err(StoreError::Defect(_))
        ));
        send("5", 3, "reversed", mirrored(&right())).await.unwrap();
        let loose: Decide = Box::new(|facts| {
            let stay = Some(stay_write(&facts, "ZY1", None, "stay"));
            Some(Changes { stay, postings: right(), ..Changes::default() })
        });
        let done = store.step(step("6", visit("ZY1", None), vec![id_number(WANG)], loose)).await;
        assert!(matches!(done, Err(StoreError::Defect(_))), "without a bill: {done:?}");
    })
    .await;
}

#[tokio::test]
async fn only_a_difference_is_posted_for_a_later_version() {
    each_store(async |store| {
        let settlement = new_id(1);
        let version =
            |number: u32, patient: &'static str, basic: &'static str, postings: Vec<Posting>| -> Decide {
                Box::new(move |facts| {
                    let stay = stay_write(&facts, "ZY1", None, "stay");
                    let mut bill = bill(settlement, stay.stay_id, number, "settled", "2020-07-02");
                    bill.patient_share = yuan(patient);
                    bill.legs[0].paid = yuan(basic);
                    Some(Changes {
                        stay: Some(stay),
                        bill: Some(bill),
                        postings: postings.clone(),
                        ..Changes::default()
                    })
                })
            };
        let send = |id, decide| store.step(step(id, visit("ZY1", None), vec![id_number(WANG)], decide));
        send("1", version(1, "181.37", "1313.04", right())).await.unwrap();
        let later = vec![
            posting(PostingKind::Settlement, "fund:basic:371323", HOSPITAL_ACCOUNT, "81.37"),
            posting(PostingKind::Settlement, HOSPITAL_ACCOUNT, "patient", "81.37"),
        ];
        send("2", version(2, "100.00", "1394.41", later)).await.unwrap();
        let again = send("3", version(3, "100.00", "1394.41", right())).await;
        assert!(matches!(again, Err(StoreError::Defect(_))));
        let book = store.books(None, 10).await.unwrap().books.remove(0);
        assert_eq!(balances(&book.postings)[&account("patient")], yuan("100.00"));
        let lines = store.report(day("2020-07-02")).await.unwrap();
        let lines: Vec<String> = lines
            .iter()
            .map(|line| format!("{} {} {} {}", line.payer, line.state, line.count, line.paid))
            .collect();
        assert_eq!(
            lines,
            ["basic settled 1 1394.41", "medical_assistance settled 1 292.54", "patient settled 1 100.00"]
        );
    })
    .await;
}

/// A person's settled stay, with what it used up.
fn settle(number: &'static str, settlement: Uuid) -> Decide {
    Box::new(move |facts| {
        let stay = stay_write(&facts, number, None, number);
        let bill: BillWrite = bill(settlement, stay.stay_id, 1, "settled", "2020-07-02");
        let payers = bill.legs.iter().map(|leg| (leg.payer.clone(), used("0.00", &leg.paid.to_string())));
        let accumulators =
            vec![AccumulatorMove { pot: Pot::Settled, year: 2020, admissions: 1, payers: payers.collect() }];
        Some(Changes {
            stay: Some(stay),
            bill: Some(bill),
            postings: right(),
            accumulators,
            ..Changes::default()
        })
    })
}

async fn pages(store: &dyn Ports, people: u32) -> Vec<Vec<Book>> {
    let (mut pages, mut after) = (Vec::new(), None);
    loop {
        let page = store.books(after, people).await.unwrap();
        let Some(last) = page.last else { return pages };
        assert_eq!(page.books.last().map(|book| book.person_id), Some(last));
        after = Some(last);
        pages.push(page.books);
    }
}

#[tokio::test]
async fn books_come_person_by_person_and_each_once() {
    each_store(async |store| {
        let people = [WANG, LI, "371323195304121265", "371323196111033175", "37132319591001913X"];
        let mut settlements = Vec::new();
        for (number, who) in
            ["ZY0", "ZY1", "ZY2", "ZY3", "ZY4", "ZY5", "ZY6"].into_iter().zip(people.iter().cycle())
        {
            let settlement = new_id(1);
            settlements.push(settlement);
            let sent = step(number, visit(number, None), vec![id_number(who)], settle(number, settlement));
            store.step(sent).await.unwrap();
        }
        let all = pages(store, 100).await;
        assert_eq!(all.len(), 1);
        let small = pages(store, 2).await;
        assert_eq!(small.len(), 3, "five people, two at a time");
        let ids = |pages: &[Vec<Book>]| -> Vec<Uuid> {
            pages.iter().flatten().map(|book| book.settlement_id).collect()
        };
        assert_eq!(ids(&all), ids(&small));
        let mut seen = ids(&all);
        seen.sort_unstable();
        assert_eq!(seen, settlements);

        let mut paid_of: BTreeMap<Uuid, u32> = BTreeMap::new();
        for book in &all[0] {
            *paid_of.entry(book.person_id).or_default() += 1;
            assert_eq!(
                (book.state.as_str(), book.total, book.patient_share),
                ("settled", yuan("1786.95"), yuan("181.37"))
            );
            assert_eq!(book.bills, [b"bill 1 settled"]);
            assert_eq!(book.legs.len(), 2);
            assert_eq!(balances(&book.postings), balances(&right()));
            assert_eq!(book.hospital.as_ref(), HOSPITAL);
        }
        for book in &all[0] {
            let (year, payer, paid) = &book.accumulated[0];
            let times: Money = (0..paid_of[&book.person_id]).map(|_| yuan("1313.04")).sum();
            assert_eq!((*year, payer.as_str(), *paid), (2020, "basic", times));
        }
    })
    .await;
}

#[tokio::test]
async fn postings_follow_a_person_who_is_joined() {
    each_store(async |store| {
        let settlement = new_id(1);
        store.step(step("1", visit("ZY1", None), vec![mrn("P1")], settle("ZY1", settlement))).await.unwrap();
        let joined = store.person(vec![mrn("P1")]).await.unwrap().unwrap().person_id;
        store
            .step(step("2", visit("ZY2", None), vec![id_number(WANG)], keep("ZY2", None, "other")))
            .await
            .unwrap();
        let join: Decide = Box::new(move |facts| {
            let person_id = Some(facts.person?.person_id);
            Some(Changes { joined: vec![joined], person_id, ..Changes::default() })
        });
        store.step(step("3", visit("ZY5", None), vec![id_number(WANG)], join)).await.unwrap();
        let wang = store.person(vec![id_number(WANG)]).await.unwrap().unwrap().person_id;
        let book = store.books(None, 10).await.unwrap().books.remove(0);
        assert_eq!((book.person_id, balances(&book.postings)), (wang, balances(&right())));
        // And the settlement can be taken back where it is now.
        let decide = issue(settlement, 2, "reversed", mirrored(&right()));
        store.step(step("4", StayRef::Settlement(settlement), vec![], decide)).await.unwrap();
        let book = store.books(None, 10).await.unwrap().books.remove(0);
        assert!(balances(&book.postings).is_empty() && book.postings.len() == 6);
    })
    .await;
}
