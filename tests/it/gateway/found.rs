//! What findings say, in both languages, and where they point.

use yizhan::intake::Format;
use yizhan::settlement::bill::Bill;
use yizhan::settlement::outcome::Outcome;
use yizhan_contract::FindingCode;

use super::{House, Sent, profiles};

async fn billed(house: &House, sent: &Sent) -> Bill {
    let (bytes, format): (Vec<u8>, Format) = sent.bytes();
    match house.receive(&bytes, format, None).await.outcome {
        Outcome::Bill(bill) => *bill,
        other => panic!("{other:?}"),
    }
}

fn stay(kind: &str, visit: &str, accident: &str, day: &str) -> Sent {
    Sent {
        kind: kind.to_owned(),
        id: format!("{kind} {visit}"),
        visit: visit.to_owned(),
        admitted: Some("2020-06-24".to_owned()),
        discharged: (kind != "DFT^P03").then(|| "2020-07-02".to_owned()),
        accident: Some(accident.to_owned()),
        day: Some(day.to_owned()),
        lines: (1..=7).map(|n| format!("{n} CG SUR01 100.00")).collect(),
        ..Sent::default()
    }
}

fn check(bill: &Bill, code: FindingCode, en: &str, zh: &str) {
    let found: Vec<_> = bill.findings.iter().filter(|finding| finding.code == code).collect();
    assert_eq!(found.len(), 1, "{:?}", bill.findings);
    assert!(found[0].message.en.contains(en) && found[0].message.zh.contains(zh), "{:?}", found[0].message);
}

#[tokio::test]
async fn a_finding_names_its_place_in_the_senders_terms() {
    let house = House::new(profiles("hl7.\"cause.accident_type\" = \"ACC-4\"", None), false).await;
    for (kind, visit, accident, line) in [
        ("json", "Z1", "$.cause.accident_type", "$.lines[?@.id=='1']"),
        ("xml", "Z2", "/discharge/cause/accident_type", "/discharge/lines/line[id='1']"),
    ] {
        let bill = billed(&house, &stay(kind, visit, "drownning", "2019-06-24")).await;
        let (en, zh) = (format!("accident at {accident} is none"), format!("意外类型（{accident}）不在"));
        check(&bill, FindingCode::UnknownAccidentType, &en, &zh);
        let (en, zh) =
            (format!("7 charge lines are dated outside the stay (2020-06-24 to 2020-07-02): {line}"), line);
        check(&bill, FindingCode::LineOutsideStay, &en, zh);
        check(
            &bill,
            FindingCode::LineOutsideStay,
            " and others; settled all the same",
            "7 行费用的日期不在住院期间",
        );
    }
    let charges = Sent { kind: "DFT^P03".to_owned(), ..stay("DFT^P03", "Z3", "||drownning", "2020-06-01") };
    house.receive(&charges.bytes().0, Format::Hl7, None).await;
    let discharge = Sent { lines: Vec::new(), ..stay("ADT^A03", "Z3", "||drownning", "2020-06-01") };
    let bill = billed(&house, &discharge).await;
    check(&bill, FindingCode::UnknownAccidentType, "accident at ACC-4 is none", "意外类型（ACC-4）不在");
    check(&bill, FindingCode::LineOutsideStay, "FT1-2=1, FT1-2=2", "FT1-2=1");
}
