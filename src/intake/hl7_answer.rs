//! What goes back for an HL7 message: acknowledgements with their errors, and the bill.

use std::borrow::Cow;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;
use yizhan_contract::stay::VisitClass;
use yizhan_contract::step::PayerState;
use yizhan_contract::{Finding, FindingCode, Money, Text};

use super::hl7::ack::{self, AckCode, AckError, AckMode, Outcome as Receipt, Severity, answer_builder};
use super::hl7::batch::{self, Answering, Batch};
use super::hl7::e10::{Adjudicated, BilledLine, E10Error, Organisation, Section, Share, Status, e10};
use super::hl7::escape::escape;
use super::hl7::write::SegmentDraft;
use super::hl7::{Charset, Delimiters, ErrCode, Header, Place, SegmentId};
use super::problems::Warning;
use super::profile::{BillInAck, Profile};
use super::reception::Received;
use crate::refusal::{Money as Moved, Refusal};
use crate::settlement::bill::{Bill, BilledPayer, CategoryTotal};
use crate::settlement::message::Trigger;
use crate::settlement::outcome::{Noted, Outcome};
use crate::settlement::record::Settlement;

/// Namespace of our own ids.
const AUTHORITY: &str = "YIZHAN";
/// Findings shown in one acknowledgement.
const FINDINGS_MAX: usize = 10;

/// The messages due to the sender, in order; ids are asked for as needed.
pub fn answers(received: &Received, mut next_id: impl FnMut() -> String) -> Vec<Vec<u8>> {
    let own;
    let header = match &received.header {
        Some(header) => header,
        None => {
            own = match (&received.profile, &received.message_id) {
                (Some(profile), Some(id)) => addressed_to(&profile.hospital.code, Charset::Utf8, id),
                _ => Header::salvage(b"", Charset::Utf8),
            };
            &own
        }
    };
    let receipt = receipt(&received.outcome);
    let mode = received.profile.as_ref().map_or(AckMode::BySender, |profile| profile.acknowledge);
    let due = ack::due(header, mode, receipt);
    let mut remarks = remarks(received);
    if received.profile.as_ref().is_some_and(|profile| profile.warnings_in_ack) {
        remarks.extend(received.warnings.iter().map(warning));
    }
    let extra = bill_segments(received, header);
    let mut write = |code: AckCode| {
        // The commit answer says no more than that the message is stored; the application answer carries the rest.
        let is_commit = matches!(code, AckCode::CA | AckCode::CE | AckCode::CR);
        let later = due.later.is_some();
        let (remarks, extra): (&[_], &[_]) = if is_commit && later { (&[], &[]) } else { (&remarks, &extra) };
        ack::ack(header, &next_id(), received.at, code, remarks, extra)
    };
    due.at_once.into_iter().chain(due.later(receipt)).map(&mut write).collect()
}

/// The answers to the messages of one frame, in one batch.
pub fn batch(
    batch: &Batch<'_>,
    control_id: &str,
    at: Timestamp,
    warnings: &[Warning],
    answers: &[Vec<u8>],
) -> Vec<u8> {
    let first = Header::salvage(batch.messages.first().copied().unwrap_or_default(), Charset::Utf8);
    let header = batch.header.as_ref().unwrap_or(&first);
    let remark = warnings.first().map(|warning| &warning.message);
    let is_of_batch = batch.header.is_some();
    batch::answer(&Answering { header, is_of_batch, control_id, at, remark }, answers)
}

fn receipt(outcome: &Outcome) -> Receipt {
    match outcome {
        Outcome::Bill(_) | Outcome::Noted(_) => Receipt::Accepted,
        Outcome::Refused(refused) if refused.refusals.iter().any(|refusal| refusal.code.is_reject()) => {
            Receipt::Rejected
        }
        Outcome::Refused(_) => Receipt::Error,
    }
}

fn remarks(received: &Received) -> Vec<AckError> {
    match &received.outcome {
        Outcome::Refused(refused) => refused.refusals.iter().map(error).collect(),
        Outcome::Noted(noted) => noted_remarks(received, noted),
        Outcome::Bill(bill) => {
            let findings = bill.findings.iter().take(FINDINGS_MAX).map(finding);
            std::iter::once(information(bill.state.word(), in_one_sentence(bill))).chain(findings).collect()
        }
    }
}

/// What a sender that shows MSA-3 alone shows its clerk: what the patient pays comes first, because the end may be cut.
fn in_one_sentence(bill: &Bill) -> Text {
    let (state, amounts) = (bill.state.text(), &bill.amounts);
    Text::new(
        format!(
            "{}：个人支付 {} 元，总费用 {} 元，各方共支付 {} 元",
            state.zh, bill.patient_share, amounts.total, bill.paid_by_payers
        ),
        format!(
            "{}: patient {}, total {}, payers {}",
            state.en, bill.patient_share, amounts.total, bill.paid_by_payers
        ),
    )
}

/// Where comes first, because MSA-3 is cut and ERR-2 may not be shown; money that moved, or may have, before that.
fn error(refusal: &Refusal) -> AckError {
    let next = refusal.next_step();
    let (money_zh, money_en) = refusal.money.words();
    let place = refusal.place.as_deref().unwrap_or_default();
    let (at_zh, at_en) = if place.is_empty() { ("", "") } else { ("：", ": ") };
    let (zh, en) = (&refusal.detail.zh, &refusal.detail.en);
    let user_message = match refusal.money {
        Moved::NotMoved => Text::new(
            format!("{place}{at_zh}{zh}。{}{money_zh}。", next.zh),
            format!("{place}{at_en}{en}. {} {money_en}.", next.en),
        ),
        Moved::Moved | Moved::BeingConfirmed => Text::new(
            format!("{money_zh}。{place}{at_zh}{zh}。{}", next.zh),
            format!("{money_en}. {place}{at_en}{en}. {}", next.en),
        ),
    };
    AckError {
        code: ErrCode::of(refusal.hl7_code()),
        place: refusal.place.as_deref().and_then(Place::named).unwrap_or(Place::MESSAGE),
        severity: Severity::Error,
        our_code: refusal.code.slug().to_owned(),
        user_message,
        diagnostic: Text::new(in_chinese(refusal), refusal.to_string()),
    }
}

/// What [`Refusal`] displays, for engineers who read Chinese.
fn in_chinese(refusal: &Refusal) -> String {
    let (slug, detail) = (refusal.code.slug(), &refusal.detail.zh);
    match &refusal.place {
        Some(place) => format!("{slug} {place}：{detail}"),
        None => format!("{slug}：{detail}"),
    }
}

/// The application's answer to a message that was taken in long ago, and that cannot be settled.
pub fn refusal_message(header: &Header, control_id: &str, at: Timestamp, refusals: &[Refusal]) -> Vec<u8> {
    let errors: Vec<AckError> = refusals.iter().map(error).collect();
    ack::ack(header, control_id, at, AckCode::AE, &errors, &[])
}

/// An admission is answered with what the roster says, so that the desk can waive the deposit.
fn noted_remarks(received: &Received, noted: &Noted) -> Vec<AckError> {
    let mut remarks = Vec::new();
    if received.trigger == Some(Trigger::Admit) {
        let word = if noted.beneficiary.deposit_waived { "deposit_waived" } else { "no_deposit_waiver" };
        remarks.push(information(word, noted.beneficiary.sentence()));
    }
    remarks.extend(noted.findings.iter().take(FINDINGS_MAX).map(finding));
    remarks
}

fn finding(finding: &Finding) -> AckError {
    let severity = match finding.code {
        FindingCode::SamplePolicy | FindingCode::NotOnRoster => Severity::Information,
        _ => Severity::Warning,
    };
    AckError { severity, ..information(&word(finding.code), finding.message.clone()) }
}

/// What was odd in a message that was taken, at its place.
fn warning(warning: &Warning) -> AckError {
    AckError {
        place: Place::named(&warning.place).unwrap_or(Place::MESSAGE),
        severity: Severity::Warning,
        ..information(warning.word, warning.message.clone())
    }
}

/// ERR of an accepted message: code 0 with severity I or W.
fn information(word: &str, text: Text) -> AckError {
    AckError {
        code: ErrCode::Accepted,
        place: Place::MESSAGE,
        severity: Severity::Information,
        our_code: word.to_owned(),
        diagnostic: text.clone(),
        user_message: text,
    }
}

/// The bill as ZBL segments, where the profile asks for them in the acknowledgement: one for the bill,
/// one for each payer, one for the patient.
fn bill_segments(received: &Received, header: &Header) -> Vec<SegmentDraft> {
    let wants = received.profile.as_ref().is_some_and(|profile| profile.bill_in_ack == BillInAck::Zbl);
    let Outcome::Bill(bill) = &received.outcome else { return Vec::new() };
    if !wants {
        return Vec::new();
    }
    let delimiters = answer_builder(header).delimiters();
    let mut set = 0_u32;
    let mut segment = |kind: &str, name: &Text, amount: Money, state: &str, reference: &str| {
        set += 1;
        let mut zbl = SegmentDraft::new(SegmentId::of(b"ZBL"), delimiters);
        zbl.text(1, &set.to_string()).text(2, kind).components(3, &[&name.zh, &name.en]);
        zbl.text(4, &amount.to_string()).text(5, state).text(6, reference);
        zbl
    };
    let id = bill.settlement_id.to_string();
    let total = Text::new("总费用", "Total");
    let mut segments = vec![segment("total", &total, bill.amounts.total, bill.state.word(), &id)];
    for payer in &bill.payers {
        let reference = payer.payer_reference.as_deref().unwrap_or_default();
        segments.push(segment(payer.payer.as_str(), &payer.name, payer.paid, &word(payer.state), reference));
    }
    let share = Text::new("个人自付", "Patient share");
    segments.push(segment("patient", &share, bill.patient_share, bill.state.word(), &id));
    segments
}

/// A word of the interface, as JSON has it.
fn word(value: impl Serialize) -> String {
    let word = serde_json::to_value(value).ok();
    word.and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default()
}

/// The bill as EHC^E10 for the sender of `header`: one group per payer in order, then the patient.
///
/// # Errors
/// Where the parts are not equal to the whole: such a bill must not leave the house.
pub fn bill_message(
    header: &Header,
    control_id: &str,
    settlement: &Settlement,
    hospital_name: &Text,
) -> Result<Vec<u8>, E10Error> {
    let bill = &settlement.bill;
    let mut shares: Vec<Share> = bill.payers.iter().map(|payer| payer_share(bill, payer)).collect();
    shares.push(patient_share(bill));
    let adjudicated = Adjudicated {
        settlement_id: bill.settlement_id.to_string(),
        invoice_id: bill.visit_number.clone(),
        authority: AUTHORITY.to_owned(),
        hospital_authority: bill.hospital.to_string(),
        hospital: Organisation { code: bill.hospital.to_string(), name: hospital_name.zh.to_string() },
        settled_at: bill.issued_at,
        benefit_group: benefit_group(settlement.discharge.visit.class).to_owned(),
        deposit: bill.deposit,
        sections: sections(settlement),
        shares,
    };
    e10(header, control_id, &adjudicated)
}

fn benefit_group(class: VisitClass) -> &'static str {
    match class {
        VisitClass::Inpatient => "INP",
        VisitClass::Outpatient | VisitClass::Emergency => "AMB",
    }
}

fn payer_share(bill: &Bill, payer: &BilledPayer) -> Share {
    Share {
        payer: Organisation { code: payer.payer.to_string(), name: payer.name.zh.to_string() },
        plan: bill.policy.to_string(),
        status: status(payer),
        paid: payer.paid,
        reference: payer.payer_reference.as_ref().map(ToString::to_string),
        reason: reason(payer),
    }
}

fn status(payer: &BilledPayer) -> Status {
    match payer.state {
        PayerState::Refused | PayerState::Reversed => Status::Rejected,
        PayerState::Unknown | PayerState::Committing | PayerState::Reversing | PayerState::Deferred => {
            Status::Pending
        }
        _ if payer.paid.is_zero() => Status::Zero,
        PayerState::Committed | PayerState::SettledElsewhere => Status::Paid,
        PayerState::Quoted | PayerState::NotApplicable => Status::Adjusted,
    }
}

/// Why it pays nothing; else where its part stands.
fn reason(payer: &BilledPayer) -> Organisation {
    let (code, (zh, _)) = match payer.reason {
        Some(reason) => (word(reason), reason.words()),
        None => (word(payer.state), payer.state.words()),
    };
    Organisation { code, name: zh.to_owned() }
}

fn patient_share(bill: &Bill) -> Share {
    Share {
        payer: Organisation { code: "patient".to_owned(), name: "个人自付".to_owned() },
        plan: bill.policy.to_string(),
        status: if bill.patient_share.is_zero() { Status::Zero } else { Status::Adjusted },
        paid: bill.patient_share,
        reference: None,
        reason: Organisation { code: "patient_share".to_owned(), name: "个人自付".to_owned() },
    }
}

/// The charges by category, in the order in which the categories first appear. A bill that is no longer the stay's
/// newest may have been made of other charges than the stay has now: it is told by category alone.
fn sections(settlement: &Settlement) -> Vec<Section> {
    let lines = by_line(settlement);
    let billed: Money = lines.iter().flat_map(|section| &section.lines).map(|line| line.billed).sum();
    if billed == settlement.bill.amounts.total { lines } else { by_category(&settlement.bill) }
}

fn by_category(bill: &Bill) -> Vec<Section> {
    let section = |(number, category): (usize, &CategoryTotal)| {
        let name = category.category.as_deref().unwrap_or("-").to_owned();
        let billed = category.buckets.total;
        let code = name.clone();
        let line =
            BilledLine { id: number.to_string(), code, system: "L".to_owned(), name: name.clone(), billed };
        Section { name, lines: vec![line] }
    };
    (1..).zip(&bill.lines_by_category).map(section).collect()
}

fn by_line(settlement: &Settlement) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    for line in &settlement.discharge.lines {
        let name = line.category.clone().unwrap_or_else(|| "-".to_owned());
        let billed = BilledLine {
            id: line.id.clone(),
            code: line.code.clone(),
            system: "L".to_owned(),
            name: if line.name.is_empty() { line.code.clone() } else { line.name.clone() },
            billed: line.signed_amount().unwrap_or_default(),
        };
        match sections.iter_mut().find(|section| section.name == name) {
            Some(section) => section.lines.push(billed),
            None => sections.push(Section { name, lines: vec![billed] }),
        }
    }
    sections
}

/// A message control id from an id of ours: MSH-10 holds 20 characters before version 2.7, which the time
/// and the last of the random digits fill.
pub fn control_id(id: Uuid) -> String {
    let digits = id.simple().to_string();
    format!("{}{}", &digits[..12], &digits[24..])
}

/// Addresses an answer to a hospital whose message, of this id, was no HL7.
pub fn addressed_to(hospital: &Arc<str>, charset: Charset, answered: &str) -> Header {
    addressed("HIS", hospital, answered, charset)
}

/// Addresses a bill as the hospital's profile says, in answer to a message of which only the id is left.
pub fn addressed_by_profile(profile: &Profile, answered: &str) -> Header {
    let sender = profile.senders.first();
    let application = sender.and_then(|sender| sender.application.as_deref()).unwrap_or("HIS");
    let facility = sender.map_or(profile.code(), |sender| &sender.facility);
    addressed(application, facility, answered, profile.charset)
}

/// Its MSH-9 stays empty: which event the hospital's message told of is not known, and an acknowledgement that names
/// none is an `ACK` for any.
fn addressed(application: &str, facility: &str, answered: &str, charset: Charset) -> Header {
    let answered = match answered {
        "" => Cow::Borrowed("0"),
        id => escape(id, &Delimiters::STANDARD),
    };
    let text = format!("MSH|^~\\&|{application}|{facility}|YIZHAN|GATEWAY||||{answered}|P|2.6");
    Header::salvage(&charset.encode(&text), charset)
}
