//! EHC^E10: its groups, its sums, and what a second implementation of the standard says of it.

use std::ffi::OsString;
use std::io::Write;
use std::process::{Command, Stdio};

use yizhan::intake::hl7::e10::{
    Adjudicated, BilledLine, E10Error, Organisation, Section, Share, Status, e10,
};
use yizhan::intake::hl7::{Charset, Header, Message, Reading};
use yizhan_contract::Money;

use crate::passed_over;

fn money(text: &str) -> Money {
    text.parse().unwrap()
}

fn named(code: &str, name: &str) -> Organisation {
    Organisation { code: code.to_owned(), name: name.to_owned() }
}

fn share(code: &str, status: Status, paid: &str) -> Share {
    Share {
        payer: named(code, "居民基本医疗保险"),
        plan: code.to_uppercase(),
        status,
        paid: money(paid),
        reference: None,
        reason: named("band", "按段支付|80%"),
    }
}

fn bill() -> Adjudicated {
    let line = |id: &str, billed: &str| BilledLine {
        id: id.to_owned(),
        code: format!("XJ01CAA{id}"),
        system: "L".to_owned(),
        name: "阿莫西林胶囊".to_owned(),
        billed: money(billed),
    };
    Adjudicated {
        settlement_id: "S1".to_owned(),
        invoice_id: "ZY20200702001".to_owned(),
        authority: "YIZHAN".to_owned(),
        hospital_authority: "HIS".to_owned(),
        hospital: named("H37132301", "县人民医院"),
        settled_at: "2020-07-02T02:15:01Z".parse().unwrap(),
        benefit_group: "INP".to_owned(),
        deposit: money("2000.00"),
        sections: vec![
            Section { name: "西药费".to_owned(), lines: vec![line("1", "8000.00"), line("2", "1000.00")] },
            Section { name: "床位费".to_owned(), lines: vec![line("3", "3000.00")] },
        ],
        shares: vec![
            share("basic", Status::Adjusted, "8560.00"),
            share("critical_illness", Status::Zero, "0.00"),
            share("patient", Status::Adjusted, "3440.00"),
        ],
    }
}

fn written(bill: &Adjudicated) -> Result<Vec<u8>, E10Error> {
    let line = b"MSH|^~\\&|HIS|H37132301|YIZHAN|SETTLE|20200702||ADT^A03|MSG0001|P|2.5.1";
    e10(&Header::salvage(line, Charset::Utf8), "S0001", bill)
}

#[test]
fn there_is_a_group_for_each_payer_in_order_and_its_parts_are_its_whole() {
    let bytes = written(&bill()).unwrap();
    let message = Message::parse(&bytes, &Reading::default()).unwrap();
    let names: Vec<String> = message.segments().map(|segment| segment.name().to_owned()).collect();
    let as_whole = "IPR PYE IN1 IVC PSS PSG PSL ADJ PSL PSS PSG PSL";
    assert_eq!(names.join(" "), format!("MSH MSA {as_whole} {as_whole} {as_whole}"));

    let mut sums: Vec<(Money, Money)> = Vec::new();
    for segment in message.segments() {
        let amount = |field: u16| money(segment.field(field).subcomponent(1).raw());
        match segment.name() {
            "IPR" => sums.push((amount(6), Money::ZERO)),
            "ADJ" => sums.last_mut().unwrap().1 += amount(5),
            _ => {}
        }
    }
    let paid: Vec<Money> = sums.iter().map(|(stated, _)| *stated).collect();
    assert_eq!(paid, [money("8560.00"), money("0.00"), money("3440.00")]);
    assert!(sums.iter().all(|(stated, added)| stated == added));
    let checksums: Vec<&str> = message.named("IPR").map(|ipr| ipr.field(8).raw()).collect();
    assert!(checksums.iter().all(|checksum| checksum.len() == 10) && checksums[0] != checksums[1]);
}

/// Changed bill, and why it must not leave the house.
#[test]
fn a_bill_whose_parts_are_not_its_whole_is_not_written() {
    let changed = |change: fn(&mut Adjudicated)| {
        let mut bill = bill();
        change(&mut bill);
        written(&bill).unwrap_err()
    };
    assert_eq!(changed(|bill| bill.sections[1].lines.clear()), E10Error::Empty);
    assert_eq!(changed(|bill| bill.shares[2].paid = Money::ZERO), E10Error::Total);
}

const STRICT: &str = "
import sys
from hl7apy.parser import parse_message
from hl7apy.consts import VALIDATION_LEVEL
message = parse_message(sys.stdin.buffer.read().decode('utf-8'), validation_level=VALIDATION_LEVEL.STRICT)
assert message.name == 'EHC_E10', message.name
message.validate()
";

/// The one that `tests/run.sh` made, else the system's own; whichever knows hl7apy.
fn python_with_hl7apy() -> Option<Command> {
    let named = std::env::var_os("YIZHAN_TEST_PYTHON");
    let knows_hl7apy = |program: &OsString| {
        let asked = Command::new(program).args(["-c", "import hl7apy"]).stderr(Stdio::null()).status();
        asked.is_ok_and(|status| status.success())
    };
    named.into_iter().chain(["python3".into()]).find(knows_hl7apy).map(Command::new)
}

#[test]
fn hl7apy_finds_no_fault_with_it() {
    let Some(mut python) = python_with_hl7apy() else {
        return passed_over("no Python with hl7apy; tests/run.sh installs one");
    };
    let python = python.args(["-c", STRICT]).stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut running = python.spawn().unwrap();
    running.stdin.take().unwrap().write_all(&written(&bill()).unwrap()).unwrap();
    let output = running.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
