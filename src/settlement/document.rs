//! The stored form of a stay record: every fact once.
//!
//! Format 2: the settlement's bill stands beside the record, in the store's table of bills; lines that the
//! settlement has in common with what was gathered stand in `part` alone. Format 1 held both in full.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use yizhan_contract::stay::{Discharge, Line};
use yizhan_contract::{Finding, Money, revealing};

use super::advanced::Borne;
use super::bill::Bill;
use super::delivery::Deferred;
use super::part::{Payment, StayPart};
use super::payers::Assigned;
use super::record::{Former, LastMessage, Moved, Phase, Pricing, Settlement, StayRecord};
use super::saga::{Entry, Saga};
use super::unpriced::Unpriced;
use super::visits::Visits;
use crate::store::StoredStay;

/// A reader accepts every format up to its own.
pub const RECORD_FORMAT: u8 = 2;

#[derive(Serialize, Deserialize)]
struct Document {
    format: u8,
    stay_id: Uuid,
    phase: Phase,
    part: StayPart,
    last: LastMessage,
    findings: Vec<Finding>,
    settlement: Option<Settled>,
    late_lines: Vec<Line>,
    #[serde(default)]
    late_payments: Vec<Payment>,
    #[serde(default)]
    is_closed: bool,
    #[serde(default)]
    quiet_until: Option<Timestamp>,
    #[serde(default)]
    repeated: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pricing: Option<Pricing>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unpriced: Option<Unpriced>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    saga: Option<Saga>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    former: Vec<Former>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    orders: Vec<Entry>,
    #[serde(default, skip_serializing_if = "Visits::is_empty")]
    visits: Visits,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    no_profile_since: Option<Timestamp>,
}

#[derive(Serialize, Deserialize)]
struct Settled {
    id: Uuid,
    /// Format 1 only.
    #[serde(default, skip_serializing)]
    bill: Option<Bill>,
    discharge: Discharge,
    /// The discharge has the lines of `part`, and stands here without them.
    #[serde(default)]
    has_lines_of_part: bool,
    moves: Vec<Moved>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    agreed: Option<Money>,
    #[serde(default)]
    insured_region: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    deferred: Option<Deferred>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    borne: Option<Borne>,
    #[serde(default, skip_serializing_if = "Assigned::is_empty")]
    assigned: Assigned,
}

/// A stay document that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("stay document: {0}")]
pub struct Unreadable(String);

impl StayRecord {
    /// Reads a stored stay; a newer format is refused, not guessed at.
    pub fn read(stored: &StoredStay) -> Result<Self, Unreadable> {
        let unreadable = |why: serde_json::Error| Unreadable(why.to_string());
        let document: Document = serde_json::from_slice(&stored.document).map_err(unreadable)?;
        if document.format > RECORD_FORMAT {
            return Err(Unreadable(format!("format {} is newer than this gateway", document.format)));
        }
        let settlement = match document.settlement {
            None => None,
            Some(settled) => {
                let beside = || stored.bill.as_deref().map(serde_json::from_slice).transpose();
                let Settled {
                    id,
                    bill,
                    mut discharge,
                    has_lines_of_part,
                    moves,
                    agreed,
                    insured_region,
                    deferred,
                    borne,
                    assigned,
                } = settled;
                let bill = match bill {
                    Some(bill) => Some(bill),
                    None => beside().map_err(unreadable)?,
                };
                if has_lines_of_part {
                    discharge.lines.clone_from(&document.part.lines);
                }
                let bill = bill.ok_or_else(|| Unreadable("its bill is not there".to_owned()))?;
                bill.check().map_err(|why| Unreadable(why.to_string()))?;
                let compared = Vec::new();
                Some(Settlement {
                    id,
                    bill,
                    discharge,
                    moves,
                    agreed,
                    insured_region,
                    deferred,
                    borne,
                    assigned,
                    compared,
                })
            }
        };
        Ok(Self {
            stay_id: document.stay_id,
            phase: document.phase,
            part: document.part,
            last: document.last,
            findings: document.findings,
            settlement,
            late_lines: document.late_lines,
            late_payments: document.late_payments,
            is_closed: document.is_closed,
            quiet_until: document.quiet_until,
            repeated: document.repeated,
            pricing: document.pricing,
            unpriced: document.unpriced,
            saga: document.saga,
            former: document.former,
            orders: document.orders,
            visits: document.visits,
            no_profile_since: document.no_profile_since,
            hold: stored.hold.clone(),
        })
    }

    /// The document to be sealed, personal data in clear, and the newest bill, which is kept beside it.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn into_document(self) -> serde_json::Result<(Vec<u8>, Option<Bill>)> {
        let (settlement, bill) = match self.settlement {
            None => (None, None),
            Some(settlement) => {
                let Settlement { id, bill, mut discharge, moves, agreed, .. } = settlement;
                let Settlement { insured_region, deferred, borne, assigned, .. } = settlement;
                let has_lines_of_part = discharge.lines == self.part.lines;
                if has_lines_of_part {
                    discharge.lines = Vec::new();
                }
                let settled = Settled {
                    id,
                    bill: None,
                    discharge,
                    has_lines_of_part,
                    moves,
                    agreed,
                    insured_region,
                    deferred,
                    borne,
                    assigned,
                };
                (Some(settled), Some(bill))
            }
        };
        let document = Document {
            format: RECORD_FORMAT,
            stay_id: self.stay_id,
            phase: self.phase,
            part: self.part,
            last: self.last,
            findings: self.findings,
            settlement,
            late_lines: self.late_lines,
            late_payments: self.late_payments,
            is_closed: self.is_closed,
            quiet_until: self.quiet_until,
            repeated: self.repeated,
            pricing: self.pricing,
            unpriced: self.unpriced,
            saga: self.saga,
            former: self.former,
            orders: self.orders,
            visits: self.visits,
            no_profile_since: self.no_profile_since,
        };
        Ok((revealing(|| serde_json::to_vec(&document))?, bill))
    }
}
