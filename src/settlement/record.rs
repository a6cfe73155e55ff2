//! What the gateway knows of one stay: gathered over messages, closed into a [`Discharge`].

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use yizhan_contract::person::Personal;
use yizhan_contract::stay::{
    Cause, CauseKind, Diagnosis, Discharge, Line, Moment, Patient, Referral, SettledElsewhere, Sex, Stated,
    Visit, VisitClass,
};
use yizhan_contract::{Exact, Finding, IdNumber, Money, PayerCode, revealing};

use super::bill::Bill;
use super::part::{Hospital, PlacedLine, RepeatedLine, StayPart};
use crate::refusal::{Code, Refusal};

/// Version of the stored document; readers accept every version up to their own.
pub const RECORD_FORMAT: u8 = 1;
/// Charge lines of one stay, over all its messages.
pub const STAY_LINES_MAX: usize = 5_000;

/// The stored document of a stay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StayRecord {
    pub format: u8,
    pub stay_id: Uuid,
    pub phase: Phase,
    pub known: Known,
    /// Absent until a bill was quoted or settled.
    pub settlement: Option<Settlement>,
    /// Charges that came after settlement.
    pub late_lines: Vec<Line>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Admitted, or gathering charges.
    Open,
    /// Discharged; its charges are not complete yet.
    AwaitingCharges,
    Quoted,
    Settled,
    Reversed,
    /// The admission was cancelled (A11).
    Cancelled,
}

/// The newest bill, and what it was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settlement {
    pub id: Uuid,
    pub bill: Bill,
    pub discharge: Discharge,
    /// A quote's end; absent for a settlement.
    pub valid_until: Option<Timestamp>,
    /// What it added to the year; a reversal takes exactly this back.
    pub benefit_year: i16,
    pub moves: Vec<(PayerCode, Moved)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    pub base: Exact,
    pub paid: Money,
}

/// The sum of what all messages said.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Known {
    pub message_id: String,
    pub sent_at: Option<Timestamp>,
    pub hospital: String,
    pub visit_number: String,
    pub admitted: Option<Moment>,
    pub discharged: Option<Moment>,
    pub department: Option<String>,
    pub ward: Option<String>,
    pub bed: Option<String>,
    pub class: Option<VisitClass>,
    pub insured_region: Option<String>,
    pub id_number: Option<Personal<IdNumber>>,
    pub mrn: Option<Personal<String>>,
    pub name: Option<Personal<String>>,
    pub sex: Option<Sex>,
    pub birth: Option<Personal<Date>>,
    pub card: Option<Personal<String>>,
    pub cause: Option<Cause>,
    pub third_party_liable: Option<bool>,
    pub referral: Option<Referral>,
    pub diagnoses: Vec<Diagnosis>,
    pub lines: Vec<Line>,
    pub settled_elsewhere: Vec<SettledElsewhere>,
    pub stated: Stated,
    pub told_total: Option<Money>,
    pub deposit: Option<Money>,
    /// Payments by transaction id; they are the deposit where no single figure was stated.
    pub payments: BTreeMap<String, Money>,
    /// What reading the messages noticed.
    pub findings: Vec<Finding>,
}

/// What adding a message's lines did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Added {
    pub new: Vec<Line>,
    /// Lines sent again with equal content, counted once.
    pub repeated: usize,
}

impl StayRecord {
    pub fn open(stay_id: Uuid, hospital: &Hospital, visit_number: &str) -> Self {
        let known = Known {
            hospital: hospital.code.to_string(),
            visit_number: visit_number.to_owned(),
            ..Known::default()
        };
        Self {
            format: RECORD_FORMAT,
            stay_id,
            phase: Phase::Open,
            known,
            settlement: None,
            late_lines: Vec::new(),
        }
    }

    /// Reads the stored document; a newer format is refused, not guessed at.
    pub fn read(document: &[u8]) -> Result<Self, Unreadable> {
        let record: Self = serde_json::from_slice(document).map_err(|why| Unreadable(why.to_string()))?;
        if record.format > RECORD_FORMAT {
            return Err(Unreadable(format!("format {} is newer than this gateway", record.format)));
        }
        Ok(record)
    }

    /// The document to be sealed, personal data in clear.
    pub fn document(&self) -> Vec<u8> {
        revealing(|| serde_json::to_vec(self)).unwrap_or_default()
    }
}

/// A stay document that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("stay document: {0}")]
pub struct Unreadable(String);

impl Known {
    /// Takes over everything but charge lines.
    pub fn take_statements(&mut self, part: &StayPart) {
        part.admitted.clone().apply(&mut self.admitted);
        part.discharged.clone().apply(&mut self.discharged);
        part.department.clone().apply(&mut self.department);
        part.ward.clone().apply(&mut self.ward);
        part.bed.clone().apply(&mut self.bed);
        part.class.clone().apply(&mut self.class);
        part.insured_region.clone().apply(&mut self.insured_region);
        part.id_number.clone().apply(&mut self.id_number);
        part.mrn.clone().apply(&mut self.mrn);
        part.name.clone().apply(&mut self.name);
        part.sex.clone().apply(&mut self.sex);
        part.birth.clone().apply(&mut self.birth);
        part.card.clone().apply(&mut self.card);
        part.cause.clone().apply(&mut self.cause);
        part.third_party_liable.clone().apply(&mut self.third_party_liable);
        part.referral.clone().apply(&mut self.referral);
        part.deposit.clone().apply(&mut self.deposit);
        if let Some(diagnoses) = &part.diagnoses {
            self.diagnoses.clone_from(diagnoses);
        }
        if let Some(settled) = &part.settled_elsewhere {
            self.settled_elsewhere.clone_from(settled);
        }
        self.stated.total = part.stated.total.or(self.stated.total);
        self.stated.patient_share = part.stated.patient_share.or(self.stated.patient_share);
        self.told_total = part.told_total.or(self.told_total);
        self.payments.extend(part.payments.iter().cloned());
    }

    /// Adds charge lines by their ids. A line sent again with equal content is counted once; with other
    /// content it is refused, or replaces the first where the profile says so.
    pub fn add_lines(&mut self, lines: &[PlacedLine], repeated: RepeatedLine) -> Result<Added, Refusal> {
        let mut index: BTreeMap<String, usize> =
            self.lines.iter().enumerate().map(|(at, line)| (line.id.clone(), at)).collect();
        let mut added = Added::default();
        for placed in lines {
            match index.get(&placed.line.id) {
                None => {
                    index.insert(placed.line.id.clone(), self.lines.len());
                    self.lines.push(placed.line.clone());
                    added.new.push(placed.line.clone());
                }
                Some(&at) if self.lines[at] == placed.line => added.repeated += 1,
                Some(&at) if repeated == RepeatedLine::Replace => {
                    self.lines[at] = placed.line.clone();
                    added.new.push(placed.line.clone());
                }
                Some(_) => return Err(repeated_line_differs(placed)),
            }
        }
        if self.lines.len() > STAY_LINES_MAX {
            return Err(Refusal::new(
                Code::BadCharges,
                format!("一次住院的费用行超过 {STAY_LINES_MAX} 行"),
                format!("the stay has more than {STAY_LINES_MAX} charge lines"),
            ));
        }
        Ok(added)
    }

    /// The charges so far, by the amounts the sender wrote.
    pub fn total_so_far(&self) -> Money {
        self.lines.iter().map(signed_amount).sum()
    }

    /// The whole stay; what is missing is named by its field.
    pub fn complete(&self) -> Result<Discharge, Vec<Refusal>> {
        let mut missing = Vec::new();
        let mut need = |field: &'static str, is_there: bool| {
            if !is_there {
                missing.push(missing_field(field));
            }
        };
        need("visit.admitted", self.admitted.is_some());
        need("visit.discharged", self.discharged.is_some());
        need("patient.name", self.name.is_some());
        need("patient.id_number", self.id_number.is_some() || self.mrn.is_some());
        need("lines", !self.lines.is_empty());
        let (Some(admitted), Some(discharged), Some(name), true) =
            (self.admitted, self.discharged, self.name.clone(), missing.is_empty())
        else {
            return Err(missing);
        };
        if discharged.is_before(admitted) {
            return Err(vec![discharged_before_admitted(admitted, discharged)]);
        }
        let visit = Visit {
            number: self.visit_number.clone(),
            admitted,
            discharged,
            department: self.department.clone(),
            ward: self.ward.clone(),
            bed: self.bed.clone(),
            class: self.class.unwrap_or(VisitClass::Inpatient),
        };
        Ok(Discharge {
            message_id: self.message_id.clone(),
            sent_at: self.sent_at.unwrap_or_default(),
            hospital: self.hospital.clone(),
            insured_region: self.insured_region.clone(),
            visit,
            patient: self.patient(name),
            cause: self.cause.clone().unwrap_or(Cause { kind: CauseKind::Illness, accident_type: None }),
            third_party_liable: self.third_party_liable.unwrap_or(false),
            referral: self.referral.unwrap_or(Referral::None),
            diagnoses: self.diagnoses.clone(),
            lines: self.lines.clone(),
            settled_elsewhere: self.settled_elsewhere.clone(),
            stated: self.stated,
            deposit: self.deposit(),
        })
    }

    fn patient(&self, name: Personal<String>) -> Patient {
        Patient {
            id_number: self.id_number.clone(),
            mrn: self.mrn.clone().unwrap_or_default(),
            name,
            sex: self.sex.unwrap_or(Sex::Unknown),
            birth: self.birth.clone(),
            card: self.card.clone(),
        }
    }

    fn deposit(&self) -> Option<Money> {
        let paid_in = || self.payments.values().copied().sum();
        self.deposit.or_else(|| (!self.payments.is_empty()).then(paid_in))
    }
}

/// A credit counts negative whatever its sign; an absent amount counts when it is computed.
fn signed_amount(line: &Line) -> Money {
    let amount = line.amount.unwrap_or_default();
    if line.credit { -amount.abs() } else { amount }
}

fn missing_field(field: &'static str) -> Refusal {
    Refusal::new(
        Code::MissingField,
        format!("结算前必须提供 {field}"),
        format!("{field} is needed to settle"),
    )
    .at(field)
}

fn discharged_before_admitted(admitted: Moment, discharged: Moment) -> Refusal {
    Refusal::new(
        Code::BadDates,
        format!("出院 {discharged} 早于入院 {admitted}"),
        format!("discharged {discharged}, before admission {admitted}"),
    )
    .at("visit.discharged")
}

fn repeated_line_differs(placed: &PlacedLine) -> Refusal {
    Refusal::new(
        Code::RepeatedLineDiffers,
        format!("费用行 {} 已收到，但内容不同", placed.line.id),
        format!("charge line {} was received before with other content", placed.line.id),
    )
    .at(placed.place.field("id"))
}
