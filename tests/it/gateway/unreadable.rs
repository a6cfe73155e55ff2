//! Stays and bills that cannot be read any more: nobody is told that no money moved, and nothing goes on from them.

use serde_json::Value;
use yizhan::intake::Format;
use yizhan::settlement::bill::Bill;
use yizhan::settlement::outcome::Outcome;
use yizhan::settlement::record::StayRecord;
use yizhan::store::StayRef;
use yizhan_contract::step::StepKind;
use yizhan_contract::{Exact, Ratio, Step};

use super::{House, Letters, Sent, profiles, shown};

fn discharge(id: &str, amount: &str) -> Vec<u8> {
    let sent = Sent {
        kind: "json".to_owned(),
        id: id.to_owned(),
        who: Some("zhang".to_owned()),
        visit: "Z1".to_owned(),
        admitted: Some("2020-06-24".to_owned()),
        discharged: Some("2020-07-02".to_owned()),
        lines: vec![format!("1 CG SUR01 {amount}")],
        ..Sent::default()
    };
    sent.bytes().0
}

async fn send(house: &House, bytes: &[u8]) -> Outcome {
    house.receive(bytes, Format::Json, None).await.outcome
}

#[tokio::test]
async fn a_message_of_a_stay_that_cannot_be_read_says_that_its_money_is_being_confirmed() {
    for damage in ["UPDATE bill SET document = x'00'", "UPDATE stay SET document = x'00'"] {
        let house = House::new(profiles("", None), true).await;
        let first = discharge("m1", "12000.00");
        let Outcome::Bill(bill) = send(&house, &first).await else { panic!("it settles") };
        house.damage(damage);
        let unread = "refused internal @ - money being_confirmed";
        for (what, bytes) in [
            ("the same message", first),
            ("the same stay", discharge("m2", "12000.00")),
            ("other charges", discharge("m3", "13000.00")),
        ] {
            let said = shown(&send(&house, &bytes).await, &mut Letters::default());
            assert_eq!(said, unread, "{damage}: {what}");
        }
        let gateway = house.reception.gateway();
        let reversed = gateway.reverse(bill.settlement_id, "费用有误".to_owned(), "desk".to_owned()).await;
        assert_eq!(shown(&reversed.outcome, &mut Letters::default()), unread, "{damage}");
    }
}

#[tokio::test]
async fn a_stay_whose_bill_does_not_balance_is_not_gone_on_with() {
    let house = House::new(profiles("", None), false).await;
    let Outcome::Bill(bill) = send(&house, &discharge("m1", "12000.00")).await else { panic!("it settles") };
    let stay = StayRef::Settlement(bill.settlement_id);
    let mut stored = house.store.stay(stay).await.unwrap().unwrap();
    assert!(StayRecord::read(&stored).is_ok());
    let mut document: Value = serde_json::from_slice(stored.bill.as_deref().unwrap()).unwrap();
    document["patient_share"] = "0.01".into();
    stored.bill = Some(serde_json::to_vec(&document).unwrap());
    let why = StayRecord::read(&stored).unwrap_err().to_string();
    assert!(why.contains("payers and patient do not make the total"), "{why}");
}

#[tokio::test]
async fn a_bill_that_could_not_be_read_back_is_none() {
    let house = House::new(profiles("", None), false).await;
    let Outcome::Bill(bill) = send(&house, &discharge("m1", "12000.00")).await else { panic!("it settles") };
    let longest: Exact = "0.00000000000001".parse().unwrap();
    let tenth: Ratio = "0.1".parse().unwrap();
    for (figure, is_read) in [(longest, true), (longest.times(tenth).unwrap(), false)] {
        let with_base = {
            let mut bill = bill.clone();
            bill.payers[0].base = figure;
            bill
        };
        let with_step = {
            let mut bill = bill.clone();
            let after = bill.payers[0].paid.into();
            let step = Step { part: Some(figure), ..Step::new(StepKind::Band, after) };
            bill.payers[0].steps.insert(0, step);
            bill
        };
        for bill in [with_base, with_step] {
            assert_eq!(bill.check().is_ok(), is_read, "{figure}");
            let again = serde_json::from_slice::<Bill>(&serde_json::to_vec(&bill).unwrap());
            assert_eq!(again.is_ok(), is_read, "{figure}: what the check says is what a reader finds");
        }
    }
}
