//! A checked message, and what settling knows of the hospital it comes from.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use yizhan_contract::claim::HospitalLevel;
use yizhan_contract::person::Personal;
use yizhan_contract::{Finding, Text};

use super::part::StayPart;
use super::places::{Dialect, Hl7Places, Places};

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
    /// Who sent it, for people.
    pub sent_by: String,
    pub message_id: String,
    pub sent_at: Timestamp,
    /// SHA-256 of the content.
    pub digest: [u8; 32],
    pub trigger: Trigger,
    pub dialect: Dialect,
    pub part: StayPart,
    pub places: Places,
    /// The number that is merged into the patient's (A40, MRG-1).
    pub prior_mrn: Option<Personal<String>>,
    /// What reading noticed and a person should look at.
    pub findings: Vec<Finding>,
}

/// What settling needs to know of a hospital; part of its profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hospital {
    pub code: Arc<str>,
    pub name: Text,
    pub level: HospitalLevel,
    /// 统筹区, six digits.
    pub region: Arc<str>,
    /// 定点 agreements.
    pub agreements: Vec<Period>,
    pub settle_on: SettleOn,
    /// A closed visit is settled after this many seconds without a charge; 0: at once.
    pub charges_quiet_s: u32,
    pub mode: Mode,
    pub repeated_line: RepeatedLine,
    /// It advances the part of optional payers that quoted firmly and do not answer in time.
    pub hospital_advances: bool,
    /// Whether it has an address that bills are sent to.
    pub is_told: bool,
    /// Where its HL7 messages have what.
    pub hl7: Hl7Places,
}

impl Hospital {
    /// What a stay is priced for whose charges are complete: where a desk settles, it commits what it was quoted.
    pub fn mode_when_quiet(&self, asked: Option<Mode>) -> Mode {
        match self.settle_on {
            SettleOn::Desk => Mode::Quote,
            SettleOn::A03 | SettleOn::BarP06 => asked.unwrap_or(self.mode),
        }
    }

    pub fn has_agreement_on(&self, day: Date) -> bool {
        self.agreements.iter().any(|period| period.holds_on(day))
    }
}

/// First and last day, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Period {
    pub from: Date,
    /// Absent: no end.
    pub to: Option<Date>,
}

impl Period {
    pub fn holds_on(&self, day: Date) -> bool {
        self.from <= day && self.to.is_none_or(|last| day <= last)
    }
}

/// What closes a visit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SettleOn {
    #[default]
    A03,
    BarP06,
    Desk,
}

/// What a closed visit becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    #[default]
    Settle,
    Quote,
}

/// A charge line sent again under its id with other content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RepeatedLine {
    #[default]
    Refuse,
    Replace,
}
