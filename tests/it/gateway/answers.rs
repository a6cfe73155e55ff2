//! What HL7 senders read: acknowledgements, errors at their places, the bill inside and beside them.

use std::io::Write;
use std::process::{Command, Stdio};

use yizhan::intake::hl7::{Charset, Message, Reading};
use yizhan::intake::hl7_answer;
use yizhan::intake::reception::Received;
use yizhan::settlement::bill::BilledPayer;
use yizhan::settlement::outcome::Outcome;
use yizhan_contract::Money;

use super::sender::Sent;
use super::{House, profiles};
use crate::project;

const CHARGES: [&str; 3] =
    ["1 CG SUR01 2600.00", "2 CG DRU01 4240.00 106 40.00", "3 CG DRU05 4000.00 40 100.00"];

async fn house() -> House {
    House::new(profiles("", None), false).await
}

fn sent(kind: &str, id: &str) -> Sent {
    let (admitted, discharged) = (Some("2020-06-24".to_owned()), Some("2020-07-02".to_owned()));
    Sent {
        kind: kind.to_owned(),
        id: id.to_owned(),
        visit: "Z1".to_owned(),
        admitted,
        discharged: discharged.filter(|_| kind.ends_with("A03")),
        lines: if kind.starts_with("DFT") { CHARGES.map(str::to_owned).into() } else { Vec::new() },
        ..Sent::default()
    }
}

/// Sends a message after some replacements in its text.
async fn send(house: &House, sent: &Sent, replace: &[(&str, &str)]) -> Received {
    let (bytes, format) = sent.bytes();
    let mut text = String::from_utf8(bytes).unwrap();
    for (from, to) in replace {
        assert!(text.contains(from), "{from} is not in {text}");
        text = text.replacen(from, to, 1);
    }
    house.receive(text.as_bytes(), format, None).await
}

fn answers(received: &Received) -> Vec<String> {
    let mut number = 0;
    let bytes = hl7_answer::answers(received, || {
        number += 1;
        format!("ANSWER{number}")
    });
    bytes.into_iter().map(|answer| String::from_utf8(answer).unwrap()).collect()
}

/// Message, replacements in it, MSA, how ERR-2 begins, the code of ERR-3, how ERR-5 begins.
type Refused<'a> = (Sent, &'a [(&'a str, &'a str)], &'a str, &'a str, &'a str, &'a str);

/// Fields of every segment of that name, each by its number.
fn segments(answer: &str, name: &str) -> Vec<Vec<String>> {
    let of_name = answer.split('\r').filter(|segment| segment.starts_with(&format!("{name}|")));
    of_name.map(|segment| segment.split('|').map(str::to_owned).collect()).collect()
}

fn field(segment: &[String], number: usize) -> &str {
    segment.get(number).map_or("", String::as_str)
}

fn msa(answer: &str) -> String {
    let msa = segments(answer, "MSA").remove(0);
    format!("{} {}", field(&msa, 1), field(&msa, 2))
}

/// Of the first refusal, in the sender's terms; empty where the whole message is meant.
fn place_of(received: &Received) -> String {
    let Outcome::Refused(refused) = &received.outcome else { panic!("{:?}", received.outcome) };
    refused.refusals[0].place.clone().unwrap_or_default().into_owned()
}

#[tokio::test]
async fn an_admission_says_whether_the_deposit_is_waived() {
    let house = house().await;
    let received = send(&house, &sent("ADT^A01", "M1"), &[]).await;
    let [answer] = &answers(&received)[..] else { panic!("one answer") };
    assert_eq!(msa(answer), "AA M1");
    let err = segments(answer, "ERR").remove(0);
    assert_eq!(field(&err, 2), "MSH^1");
    assert!(field(&err, 3).starts_with("0^"), "{answer}");
    assert_eq!(field(&err, 4), "I");
    assert!(field(&err, 5).starts_with("deposit_waived"), "{answer}");
    assert!(field(&err, 8).contains("保障对象（脱贫享受政策人口）：先诊疗后付费，免收住院押金"), "{answer}");

    let stranger = Sent { who: Some("stranger".to_owned()), visit: "Z2".to_owned(), ..sent("ADT^A01", "M2") };
    let answer = answers(&send(&house, &stranger, &[]).await).remove(0);
    assert!(field(&segments(&answer, "ERR")[0], 5).starts_with("no_deposit_waiver"), "{answer}");
}

#[tokio::test]
async fn a_settled_stay_says_so_and_carries_its_bill_where_the_profile_asks_for_it() {
    let house = house().await;
    send(&house, &sent("DFT^P03", "M1"), &[]).await;
    let received = send(&house, &sent("ADT^A03", "M2"), &[]).await;
    let answer = answers(&received).remove(0);
    assert_eq!(msa(&answer), "AA M2");
    let first = segments(&answer, "ERR").remove(0);
    assert_eq!(field(&first, 4), "I");
    assert!(field(&first, 8).contains("个人支付 1058.40 元"), "{answer}");
    let zbl = segments(&answer, "ZBL");
    let amount = |kind: &str| -> Money {
        let of_kind = zbl.iter().find(|segment| field(segment, 2) == kind).unwrap();
        field(of_kind, 4).parse().unwrap()
    };
    let paid: Money = zbl[1..zbl.len() - 1].iter().map(|zbl| field(zbl, 4).parse::<Money>().unwrap()).sum();
    assert_eq!(zbl.len(), 7);
    assert_eq!(amount("total"), paid + amount("patient"));
    assert_eq!(field(&zbl[1], 2), "basic");
    assert_eq!(field(&zbl[1], 5), "committed");
}

#[tokio::test]
async fn a_refusal_names_code_and_place() {
    let house = house().await;
    send(&house, &sent("DFT^P03", "M1"), &[]).await;
    let differing = Sent {
        lines: vec!["9 CG BED01 40.00".to_owned(), "2 CG DRU01 40.00".to_owned()],
        ..sent("DFT^P03", "M2")
    };
    let another = Sent { who: Some("li".to_owned()), ..sent("DFT^P03", "M3") };
    let merge = Sent { visit: String::new(), ..sent("ADT^A40", "M4") };
    let cases: Vec<Refused<'_>> = vec![
        (differing, &[], "AE M2", "FT1^2^2", "205", "repeated_line_differs"),
        (another, &[], "AE M3", "PID^1^3", "205", "another_person"),
        (merge, &[], "AE M4", "MRG", "101", "missing_field"),
        (sent("ADT^A03", "M5"), &[("20200624", "20200703")], "AE M5", "PV1^1^45", "102", "bad_dates"),
        (sent("ADT^A01", "M6"), &[("ADT^A01", "ORU^R01")], "AR M6", "MSH^1^9", "200", "unsupported_type"),
        (sent("ADT^A01", "M7"), &[("ADT^A01", "ADT^A60")], "AR M7", "MSH^1^9", "201", "unsupported_event"),
        (
            sent("ADT^A01", "M8"),
            &[("|HIS|H37132301|", "|HIS|H99|")],
            "AR M8",
            "MSH^1^4",
            "204",
            "unknown_hospital",
        ),
        (sent("BAR^P06", "M9"), &[("|Z1|", "|Z7|")], "AR M9", "", "204", "no_such_stay"),
        (sent("ADT^A01", "M1"), &[("ADT^A01", "DFT^P03")], "AE M1", "FT1", "101", "missing_field"),
    ];
    for (sent, replace, wanted, place, code, word) in cases {
        let received = send(&house, &sent, replace).await;
        let [answer] = &answers(&received)[..] else { panic!("one answer to {}", sent.id) };
        assert_eq!(msa(answer), wanted);
        let err = segments(answer, "ERR").remove(0);
        assert!(field(&err, 2).starts_with(place), "{answer}");
        assert_eq!(field(&err, 3).split('^').next(), Some(code), "{answer}");
        assert_eq!(field(&err, 4), "E", "{answer}");
        assert!(field(&err, 5).starts_with(word), "{answer}");
        let said = format!("{}：", place_of(&received));
        let msa_3 = field(&segments(answer, "MSA")[0], 3).to_owned();
        assert!(said == "：" || (msa_3.starts_with(&said) && field(&err, 8).starts_with(&said)), "{answer}");
        assert!(field(&err, 8).contains("未发生资金变动"), "{answer}");
        assert!(segments(answer, "ZBL").is_empty(), "{answer}");
    }
    let again = Sent { lines: vec!["9 CG BED01 40.00".to_owned()], ..sent("DFT^P03", "M1") };
    let answer = answers(&send(&house, &again, &[]).await).remove(0);
    assert_eq!(msa(&answer), "AE M1");
    assert!(field(&segments(&answer, "ERR")[0], 3).starts_with("205^"), "{answer}");

    send(&house, &sent("ADT^A03", "M10"), &[]).await;
    let differing = Sent { lines: vec!["2 CG DRU01 40.00".to_owned()], ..sent("DFT^P03", "M11") };
    let answer = answers(&send(&house, &differing, &[]).await).remove(0);
    let moved = "资金已变动。FT1[1]-2：";
    assert!(field(&segments(&answer, "MSA")[0], 3).starts_with(moved), "{answer}");
    assert!(field(&segments(&answer, "ERR")[0], 8).starts_with(moved), "{answer}");
}

#[tokio::test]
async fn senders_before_v2_5_get_the_old_form_of_errors() {
    let house = house().await;
    let refused =
        send(&house, &sent("ADT^A03", "M1"), &[("|P|2.5|", "|P|2.4|"), ("20200624", "20200703")]).await;
    let answer = answers(&refused).remove(0);
    assert_eq!(msa(&answer), "AE M1");
    let err = segments(&answer, "ERR").remove(0);
    assert!(field(&err, 1).starts_with("PV1^1^45^102"), "{answer}");
    assert!(field(&segments(&answer, "MSA")[0], 3).contains("早于入院"), "{answer}");
    // A remark is no error: the old form has no severity.
    let taken = send(&house, &sent("ADT^A01", "M2"), &[("|P|2.5|", "|P|2.4|")]).await;
    let answer = answers(&taken).remove(0);
    assert_eq!(msa(&answer), "AA M2");
    assert!(segments(&answer, "ERR").is_empty(), "{answer}");
    assert!(field(&segments(&answer, "MSA")[0], 3).contains("免收住院押金"), "{answer}");
}

#[tokio::test]
async fn the_enhanced_mode_says_stored_and_then_what_became_of_it() {
    let house = house().await;
    let both = ("|P|2.5|||||", "|P|2.5|||AL|AL|");
    let taken = answers(&send(&house, &sent("ADT^A01", "M1"), &[both]).await);
    assert_eq!(taken.iter().map(|answer| msa(answer)).collect::<Vec<_>>(), ["CA M1", "AA M1"]);
    assert!(segments(&taken[0], "ERR").is_empty());
    assert!(!segments(&taken[1], "ERR").is_empty());
    let refused = answers(&send(&house, &sent("ADT^A03", "M2"), &[both, ("20200624", "20200703")]).await);
    let last = refused.last().unwrap();
    assert_eq!(msa(last), "CE M2");
    assert!(field(&segments(last, "ERR")[0], 2).starts_with("PV1^1^45"), "{last}");
    let never = answers(&send(&house, &sent("ADT^A01", "M3"), &[("|P|2.5|||||", "|P|2.5|||NE|NE|")]).await);
    assert!(never.is_empty());
}

const STRICT: &str = "
import sys
from hl7apy.parser import parse_message
from hl7apy.consts import VALIDATION_LEVEL
message = parse_message(sys.stdin.buffer.read().decode('utf-8'), validation_level=VALIDATION_LEVEL.STRICT)
assert message.name == 'EHC_E10', message.name
message.validate()
";

/// What is wrong with a message in the eyes of hl7apy; absent where it is not installed.
fn hl7apy(message: &[u8]) -> Option<String> {
    let python = std::env::var("YIZHAN_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let has = Command::new(&python).args(["-c", "import hl7apy"]).stderr(Stdio::null()).status();
    if !has.is_ok_and(|status| status.success()) {
        // Written past the capture of the test harness: nobody should think it ran.
        let _ = writeln!(std::io::stderr(), "PASSED OVER: {python} has no hl7apy");
        return None;
    }
    let mut running = Command::new(&python)
        .args(["-c", STRICT])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    running.stdin.take().unwrap().write_all(message).unwrap();
    let output = running.wait_with_output().unwrap();
    Some(if output.status.success() {
        String::new()
    } else {
        String::from_utf8_lossy(&output.stderr).into_owned()
    })
}

#[tokio::test]
async fn the_bill_of_a_settled_stay_goes_out_as_e10() {
    let house = house().await;
    for (at, files) in [
        ("2020-07-02T11:00:00+08:00", &["01-worked.json"][..]),
        ("2020-07-02T11:00:00+08:00", &["02-yishui-2017.xml"][..]),
        ("2020-08-11T17:00:00+08:00", &["04-drowning.json"][..]),
        (
            "2020-09-18T17:00:00+08:00",
            &["03a-critical-illness-charges.hl7", "03b-critical-illness-discharge.hl7"][..],
        ),
    ] {
        house.clock.put(at.parse().unwrap());
        let mut last = None;
        for file in files {
            let bytes = std::fs::read(project("tests/samples").join(file)).unwrap();
            let format = yizhan::intake::Format::detect(&bytes).unwrap();
            last = Some(house.receive(&bytes, format, None).await);
        }
        let received = last.unwrap();
        let Outcome::Bill(bill) = &received.outcome else { panic!("{files:?}: {:?}", received.outcome) };
        let found = house.reception.gateway().settlement(bill.settlement_id).await.unwrap().unwrap();
        let profile = received.profile.as_ref().unwrap();
        let header = received
            .header
            .clone()
            .unwrap_or_else(|| hl7_answer::addressed_to(&profile.hospital.code, Charset::Utf8, "1"));
        let message =
            hl7_answer::bill_message(&header, "E10-1", &found.settlement, &profile.hospital.name).unwrap();
        assert_eq!(hl7apy(&message).unwrap_or_default(), "", "{files:?}");

        let read = Message::parse(&message, &Reading::default()).unwrap();
        let amount = |element: yizhan::intake::hl7::Element<'_>| -> Money {
            element.subcomponent(1).text().parse().unwrap()
        };
        let shares: Vec<Money> = read.named("IPR").map(|ipr| amount(ipr.field(6))).collect();
        let mut wanted: Vec<Money> = bill.payers.iter().map(|payer| payer.paid).collect();
        wanted.push(bill.patient_share);
        assert_eq!(shares, wanted, "{files:?}");
        assert_eq!(shares.iter().copied().sum::<Money>(), bill.amounts.total);
        let allowed: Money = read.named("ADJ").map(|adj| amount(adj.field(5))).sum();
        assert_eq!(allowed, bill.amounts.total, "{files:?}");
        let why =
            |payer: &BilledPayer| payer.reason.map_or(payer.state.words(), yizhan_contract::Reason::words).0;
        let mut reasons: Vec<&str> = bill.payers.iter().map(why).collect();
        reasons.push("个人自付");
        let told: Vec<String> =
            read.named("ADJ").map(|adj| adj.field(7).component(2).text().into_owned()).collect();
        assert_eq!(told, reasons, "{files:?}");
        let billed: Money = read.named("PSL").map(|psl| amount(psl.field(15))).sum();
        assert_eq!(billed.fen(), bill.amounts.total.fen() * i64::try_from(shares.len()).unwrap());
    }
}

/// The sheet shows both: a person reads why money was given back, and whose word it was.
#[tokio::test]
async fn a_cancelled_discharge_gives_money_back_on_its_sender_s_word() {
    let house = house().await;
    send(&house, &sent("DFT^P03", "M1"), &[]).await;
    send(&house, &sent("ADT^A03", "M2"), &[]).await;
    let Outcome::Bill(bill) = send(&house, &sent("ADT^A13", "M3"), &[]).await.outcome else { panic!() };
    let reversal = bill.reversal.unwrap();
    assert_eq!(reversal.reason, "出院已取消 | the discharge is cancelled");
    assert_eq!(reversal.operator, "HIS (H37132301)");
}
