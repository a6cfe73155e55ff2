//! What one message says of a stay. Every format is read into this; the settlement side knows no format.
//!
//! A part is typed and checked, and says only what its message says: the rest stays as it was.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use yizhan_contract::claim::HospitalLevel;
use yizhan_contract::person::Personal;
use yizhan_contract::stay::{
    Cause, Diagnosis, Line, Moment, Referral, SettledElsewhere, Sex, Stated, VisitClass,
};
use yizhan_contract::{Finding, IdNumber, Money, Text};

/// What a message does to one field: nothing, empties it (HL7 `""`), or sets it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Patch<T> {
    #[default]
    Keep,
    Clear,
    Set(T),
}

impl<T> Patch<T> {
    /// Carries the statement over to what was known.
    pub fn apply(self, known: &mut Option<T>) {
        match self {
            Self::Keep => {}
            Self::Clear => *known = None,
            Self::Set(value) => *known = Some(value),
        }
    }

    pub fn set(&self) -> Option<&T> {
        match self {
            Self::Set(value) => Some(value),
            Self::Keep | Self::Clear => None,
        }
    }
}

/// Why the message was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// ADT^A01
    Admit,
    /// ADT^A03
    Discharge,
    /// ADT^A08
    Update,
    /// ADT^A11
    CancelAdmit,
    /// ADT^A13
    CancelDischarge,
    /// ADT^A40
    Merge,
    /// DFT^P03, DFT^P11
    Charges,
    /// BAR^P01, BAR^P05
    Account,
    /// BAR^P06
    CloseAccount,
    /// A whole discharge in one document (XML, JSON).
    Complete,
}

/// A checked message, ready for the settlement side.
#[derive(Debug, Clone)]
pub struct Message {
    pub hospital: Arc<Hospital>,
    /// Sending application, facility and message kind: message ids are unique within it.
    pub sender: String,
    pub message_id: String,
    pub sent_at: Option<Timestamp>,
    /// SHA-256 of the content.
    pub digest: [u8; 32],
    pub trigger: Trigger,
    pub part: StayPart,
    /// The number that is merged into the patient's (A40, MRG-1).
    pub prior_mrn: Option<Personal<String>>,
    /// What reading noticed and a person should look at.
    pub findings: Vec<Finding>,
}

#[derive(Debug, Clone, Default)]
pub struct StayPart {
    pub visit_number: Option<String>,
    pub admitted: Patch<Moment>,
    pub discharged: Patch<Moment>,
    pub department: Patch<String>,
    pub ward: Patch<String>,
    pub bed: Patch<String>,
    pub class: Patch<VisitClass>,
    pub insured_region: Patch<String>,
    pub id_number: Patch<Personal<IdNumber>>,
    pub mrn: Patch<Personal<String>>,
    pub name: Patch<Personal<String>>,
    pub sex: Patch<Sex>,
    pub birth: Patch<Personal<Date>>,
    pub card: Patch<Personal<String>>,
    pub cause: Patch<Cause>,
    pub third_party_liable: Patch<bool>,
    pub referral: Patch<Referral>,
    /// Absent: not spoken of. Present: replaces the diagnoses known so far.
    pub diagnoses: Option<Vec<Diagnosis>>,
    /// Charges and credits of this message; a stay gathers them over messages.
    pub lines: Vec<PlacedLine>,
    /// Payments made by the patient (FT1-6 `PY`), by transaction id.
    pub payments: Vec<(String, Money)>,
    /// The whole deposit, where the message states it in one figure.
    pub deposit: Patch<Money>,
    pub settled_elsewhere: Option<Vec<SettledElsewhere>>,
    pub stated: Stated,
    /// Where the sender stated the totals, for the error that names both figures.
    pub stated_total_place: Option<String>,
    /// A total that does not bind (PV1-47): a difference is a finding.
    pub told_total: Option<Money>,
}

/// A line, and where the sender wrote it: `FT1[3]`, `$.lines[2]`, `/discharge/lines/line[3]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedLine {
    pub line: Line,
    pub place: LinePlace,
}

/// Names the fields of a line in the sender's own terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinePlace {
    /// The n-th FT1 of the message.
    Ft1(u32),
    /// A path to the line's element or object; fields are its children.
    Node(Arc<str>, Separator),
}

/// Between a node's path and a field's name: `/` in XML, `.` in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Separator {
    Slash,
    Dot,
}

impl LinePlace {
    /// The place of one field of the line, by its name in the normal form.
    pub fn field(&self, name: &str) -> String {
        match self {
            Self::Ft1(n) => match ft1_field(name) {
                Some(field) => format!("FT1[{n}]-{field}"),
                None => format!("FT1[{n}]"),
            },
            Self::Node(path, Separator::Slash) => format!("{path}/{name}"),
            Self::Node(path, Separator::Dot) => format!("{path}.{name}"),
        }
    }
}

/// HL7 chapter 6, FT1.
fn ft1_field(name: &str) -> Option<u8> {
    Some(match name {
        "id" => 2,
        "date" => 4,
        "code" => 7,
        "name" => 8,
        "quantity" => 10,
        "amount" => 11,
        "unit_price" => 12,
        "category" => 18,
        _ => return None,
    })
}

/// What settling needs to know of a hospital; part of its profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hospital {
    pub code: Arc<str>,
    pub name: Text,
    pub level: HospitalLevel,
    /// 统筹区, six digits.
    pub region: Arc<str>,
    /// 定点 agreement periods, first and last day; no last day: open.
    pub agreements: Vec<(Date, Option<Date>)>,
    pub settle_on: SettleOn,
    /// Charges are taken as complete after this long without a new one; absent: at the closing event.
    pub charges_quiet_s: Option<u32>,
    pub mode: Mode,
    pub repeated_line: RepeatedLine,
}

impl Hospital {
    pub fn has_agreement_on(&self, day: Date) -> bool {
        self.agreements.iter().any(|(from, to)| *from <= day && to.is_none_or(|last| day <= last))
    }
}

/// What closes a visit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SettleOn {
    A03,
    BarP06,
    Desk,
}

/// What a closed visit becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    Settle,
    Quote,
}

/// A charge line sent again under its id with other content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RepeatedLine {
    Refuse,
    Replace,
}
