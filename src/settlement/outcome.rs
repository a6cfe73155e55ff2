//! What a step ends in, and what of it is kept with the message for when that comes again.

use std::sync::Arc;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use yizhan_contract::person::RosterEntry;
use yizhan_contract::{ChargeError, Finding, Money, Text};
use yizhan_rules::PolicyShelf;

use super::bill::{Bill, BillState};
use super::part::charged;
use super::record::StayRecord;
use crate::refusal::Refusal;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Bill(Box<Bill>),
    Noted(Box<Noted>),
    Refused(Refused),
}

/// An outcome as its message keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kept {
    /// A bill, by its settlement's id: the document stands in the store already, and may be newer by now.
    Settlement {
        id: Uuid,
    },
    /// The whole bill, as programs before kept it.
    Bill(Box<Bill>),
    Noted(Box<Noted>),
    Refused(Refused),
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Keeping<'a> {
    Settlement { id: Uuid, version: u32 },
    Noted(&'a Noted),
    Refused(&'a Refused),
}

impl Outcome {
    /// What the message keeps; read back as [`Kept`].
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn kept(&self) -> serde_json::Result<Vec<u8>> {
        let keeping = match self {
            Self::Bill(bill) => Keeping::Settlement { id: bill.settlement_id, version: bill.version },
            Self::Noted(noted) => Keeping::Noted(noted),
            Self::Refused(refused) => Keeping::Refused(refused),
        };
        serde_json::to_vec(&keeping)
    }

    /// Payers are being asked; it is not over.
    pub fn is_under_way(&self) -> bool {
        let state = match self {
            Self::Bill(bill) => bill.state,
            Self::Noted(noted) => noted.state,
            Self::Refused(_) => return false,
        };
        matches!(state, BillState::Settling | BillState::Reversing)
    }

    pub fn is_refused(&self) -> bool {
        matches!(self, Self::Refused(_))
    }
}

/// A message that was taken in without a bill: an admission, charges, an update.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Noted {
    /// `awaiting_charges` before a bill, `settled` for late charges.
    pub state: BillState,
    pub hospital: Arc<str>,
    pub visit_number: String,
    /// Charge lines known so far, and the sum of their amounts.
    pub lines: usize,
    pub total: Money,
    pub beneficiary: Beneficiary,
    pub findings: Vec<Finding>,
}

impl Noted {
    /// `repeated`: lines that the message at hand sent again.
    ///
    /// # Errors
    /// As [`charged`].
    pub fn of(record: &StayRecord, repeated: usize, beneficiary: Beneficiary) -> Result<Self, ChargeError> {
        let part = &record.part;
        Ok(Self {
            state: record.noted_state(),
            hospital: Arc::from(part.hospital.as_str()),
            visit_number: part.visit_number.clone(),
            lines: part.lines.len(),
            total: charged(&part.lines)?,
            beneficiary,
            findings: record.noted_findings(repeated)?,
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    pub refusals: Vec<Refusal>,
    /// The new quote, where an old one was to be committed; the bill, where it was committed for another share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quote: Option<Box<Bill>>,
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self { refusals: vec![refusal], quote: None }
    }
}

impl From<Refusal> for Outcome {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal.into())
    }
}

impl From<Vec<Refusal>> for Outcome {
    fn from(refusals: Vec<Refusal>) -> Self {
        Self::Refused(Refused { refusals, quote: None })
    }
}

/// What the roster says of a person on a day, for the admission desk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beneficiary {
    pub on_roster: bool,
    pub on: Date,
    pub categories: Vec<String>,
    /// The same categories as the policy calls them, for people.
    #[serde(default)]
    pub category_names: Vec<Text>,
    pub covers: Vec<String>,
    /// 先诊疗后付费: the hospital takes no deposit.
    pub deposit_waived: bool,
}

/// Being an ordinary resident waives nothing.
const ORDINARY_RESIDENT: &str = "resident";

impl Beneficiary {
    /// Who the person is for the policies of `region`, where the roster names no region of theirs.
    pub fn of(roster: Option<&RosterEntry>, region: &str, on: Date, policies: &PolicyShelf) -> Self {
        let owned = |codes: Vec<&str>| codes.into_iter().map(str::to_owned).collect::<Vec<String>>();
        let categories = owned(roster.map(|entry| entry.categories_on(on).collect()).unwrap_or_default());
        let covers = owned(roster.map(|entry| entry.covers_on(on).collect()).unwrap_or_default());
        let region = roster.and_then(|entry| entry.region.as_deref()).unwrap_or(region);
        let named = |code: &String| policies.category_name(region, on, code);
        let category_names = categories.iter().map(named).collect();
        let deposit_waived = categories.iter().any(|category| category != ORDINARY_RESIDENT);
        Self { on_roster: roster.is_some(), on, categories, category_names, covers, deposit_waived }
    }

    /// For the admission desk, in one line.
    pub fn sentence(&self) -> Text {
        let joined = |of: fn(&Text) -> &str, between: &str| {
            self.category_names.iter().map(of).collect::<Vec<_>>().join(between)
        };
        match (self.on_roster, self.deposit_waived) {
            (_, true) => Text::new(
                format!("保障对象（{}）：先诊疗后付费，免收住院押金", joined(|name| &name.zh, "、")),
                format!(
                    "beneficiary ({}): treat first, pay later; no deposit",
                    joined(|name| &name.en, ", ")
                ),
            ),
            (true, false) => {
                Text::new("在册人员，按普通居民结算", "on the roster, settled as an ordinary resident")
            }
            (false, false) => Text::new("不在保障对象名册内", "not on the roster"),
        }
    }
}
