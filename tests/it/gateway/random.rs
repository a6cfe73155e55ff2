//! Settlements and reversals in any order, one by one and all at once: the sums in the store are those of the
//! bills that stand, and nothing passes a cap.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use proptest::prelude::*;
use proptest::test_runner::Config;
use uuid::Uuid;
use yizhan::refusal::Code;
use yizhan::settlement::bill::{Bill, BillState, BilledPayer};
use yizhan::settlement::outcome::Outcome;
use yizhan_contract::{Exact, FindingCode, Money};

use super::sender::Sent;
use super::{House, profiles, recomputed, sums};

/// A resident close to the cap of critical illness insurance, and a beneficiary without one.
const PEOPLE: [&str; 2] = ["zhou", "li"];
pub(super) const OPENINGS: &str = "371323197405098155,critical_illness,2020,700000.00,380000.00,2,2020-06-01\n\
                        371323196111033175,critical_illness,2020,4321.09,0.00,1,2020-06-01\n";
pub(super) const CAP: &str = "400000.00";

pub(super) fn stay(who: &str, visit: usize, id: usize, amount: u32) -> Sent {
    Sent {
        kind: "json".to_owned(),
        id: format!("{id}"),
        who: Some(who.to_owned()),
        visit: format!("{who}{visit}"),
        admitted: Some("2020-06-01".to_owned()),
        discharged: Some("2020-06-11".to_owned()),
        lines: vec![format!("1 CG SUR09 {amount}.00"), format!("2 CG DRU05 {}.00", amount / 7 + 1)],
        ..Sent::default()
    }
}

#[derive(Debug, Clone)]
enum Act {
    Settle { who: usize, visit: usize, amount: u32 },
    Reverse { who: usize, visit: usize },
    Replay { earlier: usize },
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (0..2usize, 0..4usize, 500..90_000u32)
            .prop_map(|(who, visit, amount)| Act::Settle { who, visit, amount }),
        3 => (0..2usize, 0..4usize).prop_map(|(who, visit)| Act::Reverse { who, visit }),
        2 => (0..30usize).prop_map(|earlier| Act::Replay { earlier }),
    ]
}

/// What a person's sums have to be: paid by payer, base of the cumulative one, admissions.
fn expected(who: &str, standing: &BTreeMap<(usize, usize), Bill>) -> (BTreeMap<String, Money>, Exact, u32) {
    let zhou = who == "zhou";
    let mut paid: BTreeMap<String, Money> = BTreeMap::new();
    paid.insert("critical_illness".to_owned(), if zhou { "380000.00" } else { "0.00" }.parse().unwrap());
    let mut base: Exact = if zhou { "700000.00" } else { "4321.09" }.parse().unwrap();
    let mut admissions = if zhou { 2 } else { 1 };
    for ((person, _), bill) in standing {
        if PEOPLE[*person] != who {
            continue;
        }
        admissions += 1;
        for payer in &bill.payers {
            *paid.entry(payer.payer.to_string()).or_default() += payer.paid;
            if payer.payer.as_str() == "critical_illness" {
                base = base.plus(payer.base).unwrap();
            }
        }
    }
    paid.retain(|_, paid| !paid.is_zero());
    (paid, base, admissions)
}

async fn check_sums(house: &House, standing: &BTreeMap<(usize, usize), Bill>) {
    for who in PEOPLE {
        let sums = sums(house, who, 2020).await;
        let (paid, base, admissions) = expected(who, standing);
        let stored = sums.payers.iter().filter(|(_, used)| !used.paid.is_zero());
        let stored: BTreeMap<String, Money> =
            stored.map(|(payer, used)| (payer.to_string(), used.paid)).collect();
        assert_eq!(stored, paid, "{who}");
        assert_eq!(sums.payers[&"critical_illness".parse().unwrap()].base, base, "{who}");
        assert_eq!(sums.admissions, admissions, "{who}");
        if who == "zhou" {
            assert!(sums.payers[&"critical_illness".parse().unwrap()].paid <= CAP.parse().unwrap());
        }
    }
}

pub(super) async fn send(house: &House, sent: &Sent) -> Outcome {
    let (bytes, format) = sent.bytes();
    house.receive(&bytes, format, None).await.outcome
}

async fn run(acts: Vec<Act>) {
    let house = House::new(profiles("", None), false).await;
    house.openings(OPENINGS).await;
    let mut standing: BTreeMap<(usize, usize), Bill> = BTreeMap::new();
    let mut sent: Vec<(Sent, Outcome)> = Vec::new();
    for (id, act) in acts.into_iter().enumerate() {
        match act {
            Act::Settle { who, visit, amount } => {
                let message = stay(PEOPLE[who], visit, id, amount);
                let outcome = send(&house, &message).await;
                match (&outcome, standing.get(&(who, visit))) {
                    (Outcome::Bill(bill), None) => {
                        assert_eq!(bill.state, BillState::Settled);
                        assert!(bill.check().is_ok());
                        recomputed(bill);
                        standing.insert((who, visit), (**bill).clone());
                    }
                    (Outcome::Bill(bill), Some(before)) => assert_eq!(**bill, *before),
                    (Outcome::Refused(_), Some(_)) => {}
                    (outcome, before) => panic!("{outcome:?} after {before:?}"),
                }
                sent.push((message, outcome));
            }
            Act::Reverse { who, visit } => {
                let Some(bill) = standing.remove(&(who, visit)) else { continue };
                reverse(&house, bill.settlement_id).await;
            }
            Act::Replay { earlier } => {
                if sent.is_empty() {
                    continue;
                }
                let (message, before) = &sent[earlier % sent.len()];
                // A refused message is decided anew; what was taken in is answered as it stands by now.
                let Outcome::Bill(issued) = before else { continue };
                let Outcome::Bill(now) = send(&house, message).await else { panic!("no bill again") };
                let stands = standing.values().any(|bill| bill.settlement_id == issued.settlement_id);
                let state = if stands { BillState::Settled } else { BillState::Reversed };
                assert_eq!((now.settlement_id, now.state), (issued.settlement_id, state));
                assert_eq!(now.patient_share, issued.patient_share);
            }
        }
        check_sums(&house, &standing).await;
    }
    for bill in std::mem::take(&mut standing).into_values() {
        reverse(&house, bill.settlement_id).await;
    }
    check_sums(&house, &standing).await;
}

async fn reverse(house: &House, id: Uuid) {
    let outcome = house.reception.gateway().reverse(id, "test".to_owned(), "desk".to_owned()).await.outcome;
    let Outcome::Bill(bill) = outcome else { panic!("{outcome:?}") };
    assert_eq!(bill.state, BillState::Reversed);
    assert!(bill.check().is_ok());
    recomputed(&bill);
}

proptest! {
    #![proptest_config(Config { cases: 24, failure_persistence: None, ..Config::default() })]

    #[test]
    fn sums_are_those_of_the_bills_that_stand(acts in proptest::collection::vec(act(), 1..30)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(run(acts));
    }
}

/// Sends as a hospital does: a busy store is asked again.
async fn until_taken(house: &House, message: &Sent) -> Outcome {
    loop {
        match send(house, message).await {
            Outcome::Refused(refused) if refused.refusals[0].code == Code::StoreUnavailable => {
                tokio::task::yield_now().await;
            }
            outcome => return outcome,
        }
    }
}

/// Everything at the same time, to the houses in turn.
pub(super) async fn at_once(houses: &[Arc<House>], messages: Vec<Sent>) -> Vec<Bill> {
    let mut running = tokio::task::JoinSet::new();
    for (message, house) in messages.into_iter().zip(houses.iter().cycle()) {
        let house = Arc::clone(house);
        running.spawn(async move { until_taken(&house, &message).await });
    }
    let bill = |outcome: Outcome| match outcome {
        Outcome::Bill(bill) => *bill,
        other => panic!("{other:?}"),
    };
    running.join_all().await.into_iter().map(bill).collect()
}

/// One stay, half of the posts under the same message id; of a person for whom the insurance against critical illness has
/// something left to pay.
pub(super) async fn fifty_posts(houses: &[Arc<House>]) {
    houses[0].openings(OPENINGS).await;
    let same_id = vec![stay("zhou", 1, 1, 20_000); 25];
    let other_ids = (2..27).map(|id| stay("zhou", 1, id, 20_000));
    let bills = at_once(houses, same_id.into_iter().chain(other_ids).collect()).await;
    assert_eq!(bills.len(), 50);
    assert!(bills.iter().all(|bill| *bill == bills[0] && bill.admission_ordinal == 3));
    let paid = |line: &&BilledPayer| line.payer.as_str() == "critical_illness" && line.paid.is_positive();
    assert!(bills[0].payers.iter().any(|line| paid(&line)), "{:?}", bills[0]);
    assert_eq!(sums(&houses[0], "zhou", 2020).await.admissions, 3);
}

/// So many stays of one person, whose cap does not last for them all: what comes out is what comes out of
/// `serial`, another house, where they are settled one after the other in the order they were counted in.
pub(super) async fn many_of_one_person(houses: &[Arc<House>], count: u32, serial: &House) {
    houses[0].openings(OPENINGS).await;
    serial.openings(OPENINGS).await;
    let of = |visit: u32| stay("zhou", visit as usize, visit as usize, 3_000 + 700 * (visit % 40));
    let mut bills = at_once(houses, (0..count).map(of).collect()).await;
    bills.sort_by_key(|bill| bill.admission_ordinal);
    let ordinals: Vec<u32> = bills.iter().map(|bill| bill.admission_ordinal).collect();
    assert_eq!(ordinals, (3..3 + count).collect::<Vec<u32>>());
    let sums_after = sums(&houses[0], "zhou", 2020).await;
    assert_eq!(sums_after.payers[&"critical_illness".parse().unwrap()].paid, CAP.parse().unwrap());
    for bill in bills {
        let visit = bill.visit_number.trim_start_matches("zhou").parse().unwrap();
        let Outcome::Bill(alone) = send(serial, &of(visit)).await else { panic!("refused alone") };
        assert_eq!(unnamed(*alone), unnamed(bill));
    }
    assert_eq!(sums(serial, "zhou", 2020).await, sums_after);
}

/// Without what another run calls by other names, or says of what was under way at that moment.
fn unnamed(mut bill: Bill) -> Bill {
    bill.settlement_id = Uuid::nil();
    bill.issued_at = Timestamp::UNIX_EPOCH;
    bill.findings.retain(|finding| finding.code != FindingCode::ReservedByOtherStay);
    bill.payers.iter_mut().for_each(|payer| payer.payer_reference = None);
    bill
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_equal_posts_are_one_settlement() {
    for on_disk in [false, true] {
        fifty_posts(&[Arc::new(House::new(profiles("", None), on_disk).await)]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forty_settlements_of_one_person_at_once_equal_a_serial_order() {
    for on_disk in [false, true] {
        let house = Arc::new(House::new(profiles("", None), on_disk).await);
        many_of_one_person(&[house], 40, &House::new(profiles("", None), false).await).await;
    }
}
