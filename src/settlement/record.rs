//! The stored document of a stay: what all its messages said, and the newest bill.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use yizhan_contract::stay::{Discharge, Line};
use yizhan_contract::{Exact, Finding, Money, PayerCode, Text, revealing};

use super::bill::Bill;
use super::complete::{Completed, Dialect};
use super::message::{Hospital, Message};
use super::part::{Absorbed, Payment, StayPart};
use super::refusals::LinePlaces;
use crate::refusal::Refusal;

/// Version of the document; a reader accepts every version up to its own.
pub const RECORD_FORMAT: u8 = 1;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StayRecord {
    pub format: u8,
    pub stay_id: Uuid,
    pub phase: Phase,
    /// The sum of what all messages said.
    pub part: StayPart,
    /// The last message that spoke of the stay.
    pub last: LastMessage,
    /// What reading the messages noticed.
    pub findings: Vec<Finding>,
    /// Absent until a bill was quoted or settled.
    pub settlement: Option<Settlement>,
    /// Charges that came after settlement.
    pub late_lines: Vec<Line>,
    /// Payments of the patient that came after settlement.
    #[serde(default)]
    pub late_payments: Vec<Payment>,
    /// What closes visits of this hospital has come for this one.
    #[serde(default)]
    pub is_closed: bool,
    /// When a closed visit may be settled, if no charge comes until then.
    #[serde(default)]
    pub quiet_until: Option<Timestamp>,
    /// Lines that were sent again with equal content and counted once.
    #[serde(default)]
    pub repeated: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastMessage {
    pub message_id: String,
    pub sent_at: Timestamp,
    pub dialect: Dialect,
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

impl Phase {
    pub fn text(self) -> Text {
        match self {
            Self::Open => Text::new("尚未出院结算", "open"),
            Self::AwaitingCharges => Text::new("等待费用", "awaiting charges"),
            Self::Quoted => Text::new("已试算", "quoted"),
            Self::Settled => Text::new("已结算", "settled"),
            Self::Reversed => Text::new("已撤销结算", "reversed"),
            Self::Cancelled => Text::new("已取消入院", "cancelled"),
        }
    }
}

/// The newest bill, and what it was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settlement {
    pub id: Uuid,
    pub bill: Bill,
    pub discharge: Discharge,
    /// What it added to the year; a reversal takes exactly this back.
    pub moves: Vec<Moved>,
    /// 统筹区 whose funds pay; empty where it was settled before this was kept.
    #[serde(default)]
    pub insured_region: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    pub payer: PayerCode,
    pub base: Exact,
    pub paid: Money,
}

impl StayRecord {
    pub fn open(stay_id: Uuid, message: &Message) -> Self {
        let part = StayPart {
            hospital: message.hospital.code.to_string(),
            visit_number: message.part.visit_number.clone(),
            ..StayPart::default()
        };
        Self {
            format: RECORD_FORMAT,
            stay_id,
            phase: Phase::Open,
            part,
            last: LastMessage::of(message),
            findings: Vec::new(),
            settlement: None,
            late_lines: Vec::new(),
            late_payments: Vec::new(),
            is_closed: false,
            quiet_until: None,
            repeated: 0,
        }
    }

    /// Adds what a message says; unchanged where it is refused.
    pub fn take(&mut self, message: &Message) -> Result<Absorbed, Refusal> {
        let places = LinePlaces::of(message);
        let absorbed = self.part.absorb(message.part.clone(), message.hospital.repeated_line, &places)?;
        self.repeated += absorbed.repeated;
        self.last = LastMessage::of(message);
        for finding in &message.findings {
            if !self.findings.contains(finding) {
                self.findings.push(finding.clone());
            }
        }
        Ok(absorbed)
    }

    /// The stay as a discharge, or everything that is missing, in the words of the last message's format.
    pub fn complete(&self, hospital: &Hospital) -> Result<Completed, Vec<Refusal>> {
        let LastMessage { message_id, sent_at, dialect } = &self.last;
        self.part.complete(hospital, message_id, *sent_at, *dialect)
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

impl LastMessage {
    fn of(message: &Message) -> Self {
        Self { message_id: message.message_id.clone(), sent_at: message.sent_at, dialect: message.dialect }
    }
}

/// A stay document that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("stay document: {0}")]
pub struct Unreadable(String);
