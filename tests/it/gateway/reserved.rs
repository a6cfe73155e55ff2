//! A stay that is priced while another stay of the same person has set part of the year aside.

use jiff::Timestamp;
use yizhan::settlement::bill::Bill;
use yizhan::settlement::message::Mode;
use yizhan::settlement::outcome::Outcome;
use yizhan::store::{AccumulatorMove, Changes, Decide, PersonRef, Pot, Step};
use yizhan_contract::{FindingCode, Money};

use super::sender::Sent;
use super::{House, profiles};
use crate::stays::{id_number, mrn, stay_write, used, visit};

const ZHOU: &str = "371323197405098155";
/// 20,000.00 are left of the cap.
const OPENINGS: &str = "371323197405098155,critical_illness,2020,700000.00,380000.00,2,2020-06-01\n";

/// As another stay does when it sends its payers an intent, and when it is over.
async fn set_aside(house: &House, who: PersonRef, base: &'static str, paid: &'static str, admissions: i32) {
    let decide: Decide = Box::new(move |facts| {
        let payers = vec![("critical_illness".parse().unwrap(), used(base, paid))];
        let aside = AccumulatorMove { pot: Pot::Reserved, year: 2020, admissions, payers };
        let stay = Some(stay_write(&facts, "OTHER", None, "in flight"));
        Some(Changes { stay, accumulators: vec![aside], ..Changes::default() })
    });
    let (stay, persons) = (visit("OTHER", None), vec![who]);
    let at: Timestamp = house.reception.gateway().runtime().now();
    house.store.step(Step { at, claim: None, stay, persons, lease: None, decide }).await.unwrap();
}

async fn quote(house: &House, visit: &str) -> Bill {
    let sent = Sent {
        kind: "json".to_owned(),
        id: visit.to_owned(),
        who: Some("zhou".to_owned()),
        visit: visit.to_owned(),
        admitted: Some("2020-06-01".to_owned()),
        discharged: Some("2020-06-11".to_owned()),
        lines: vec!["1 CG SUR09 90000.00".to_owned()],
        ..Sent::default()
    };
    let (bytes, format) = sent.bytes();
    match house.receive(&bytes, format, Some(Mode::Quote)).await.outcome {
        Outcome::Bill(bill) => *bill,
        other => panic!("{other:?}"),
    }
}

fn paid(bill: &Bill) -> Money {
    bill.payers.iter().find(|payer| payer.payer.as_str() == "critical_illness").unwrap().paid
}

fn reserved(bill: &Bill) -> Vec<&str> {
    let findings = bill.findings.iter();
    let of = findings.filter(|finding| finding.code == FindingCode::ReservedByOtherStay);
    of.map(|finding| &*finding.message.en).collect()
}

#[tokio::test]
async fn a_payer_that_pays_less_for_another_stay_s_sake_is_named_with_how_much() {
    let house = House::new(profiles("", None), false).await;
    house.openings(OPENINGS).await;
    let alone = quote(&house, "Z1").await;
    assert_eq!((paid(&alone), reserved(&alone).len()), ("20000.00".parse().unwrap(), 0));

    // Something is set aside, and the cap still leaves the same: nothing is to be said.
    set_aside(&house, id_number(ZHOU), "10.00", "0.00", 0).await;
    let untouched = quote(&house, "Z2").await;
    assert_eq!((paid(&untouched), reserved(&untouched).len()), (paid(&alone), 0));

    set_aside(&house, id_number(ZHOU), "20000.00", "12000.00", 1).await;
    let beside = quote(&house, "Z3").await;
    assert_eq!(paid(&beside), "8000.00".parse().unwrap());
    assert_eq!(beside.admission_ordinal, alone.admission_ordinal + 1);
    let said = reserved(&beside);
    assert!(said.len() == 1 && said[0].contains("12000.00 less"), "{said:?}");

    set_aside(&house, id_number(ZHOU), "-20010.00", "-12000.00", -1).await;
    let again = quote(&house, "Z4").await;
    assert_eq!((paid(&again), reserved(&again).len()), (paid(&alone), 0));
}

/// A patient number turns out to be somebody with a card: what its stay in flight has set aside is of one cap with what
/// the card has used up.
#[tokio::test]
async fn what_a_patient_number_has_set_aside_counts_for_the_person_it_turns_out_to_be() {
    let house = House::new(profiles("", None), false).await;
    house.openings(OPENINGS).await;
    set_aside(&house, mrn("M3"), "20000.00", "12000.00", 1).await;
    let joined = quote(&house, "Z1").await;
    assert_eq!(paid(&joined), "8000.00".parse().unwrap());
    assert_eq!(reserved(&joined).len(), 1);
    let kept = house.store.person(vec![id_number(ZHOU)]).await.unwrap().unwrap().reserved;
    assert_eq!(kept[&2020].payers[&"critical_illness".parse().unwrap()], used("20000.00", "12000.00"));
}
