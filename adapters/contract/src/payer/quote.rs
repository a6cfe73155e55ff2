//! Asking for a quote, and what may be answered.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::operation::{Unavailable, by_payer};
use super::visit::{Memo, Person};
use crate::claim::Claim;
use crate::money::{Exact, Money};
use crate::opaque::Opaque;
use crate::person::Personal;
use crate::stay::Diagnosis;
use crate::step::{PayerCode, Step};

/// A quote is asked with all that the payer may know, and the most it may pay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// The host's own id of the stay: the same whatever the hospital calls it.
    pub stay: Arc<str>,
    pub hospital: Arc<str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visit_number: Option<Personal<String>>,
    pub person: Person,
    /// Without lines and roster entry, unless they are needed.
    pub claim: Claim,
    #[serde(default)]
    pub diagnoses: Vec<Diagnosis>,
    pub legs: Vec<AskedLeg>,
    /// What the payers before pay.
    #[serde(with = "by_payer")]
    pub paid_before: Vec<(PayerCode, Money)>,
    #[serde(default, skip_serializing_if = "Memo::is_empty")]
    pub memo: Memo,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskedLeg {
    pub payer: PayerCode,
    pub base: Exact,
    /// In-scope and out-of-scope remainders when this payer's turn came.
    pub in_scope_left: Money,
    pub out_of_scope_left: Money,
    /// Target, caps and minimum share allow no more than this.
    pub pay_at_most: Money,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum QuoteAnswer {
    Quote(Quote),
    /// The person holds no cover of this payer on that day: it pays nothing, and nothing is wrong.
    NotCovered,
    Refused {
        code: String,
        message: String,
    },
    /// Something the payer must have first.
    NotReady {
        what: String,
    },
    Unavailable(Unavailable),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quote {
    #[serde(rename = "quote_id")]
    pub id: String,
    pub valid_until: Timestamp,
    /// One amount per payer asked.
    pub amounts: Vec<QuotedAmount>,
    /// For payers later in the chain; they become `settled_elsewhere` and are not asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also_paid: Vec<QuotedAmount>,
    /// What the adapter wants to have again when the quote is committed. The host keeps it sealed; it does not
    /// travel: a service in another process keeps its own quotes.
    #[serde(skip)]
    pub kept: Opaque,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuotedAmount {
    pub payer: PayerCode,
    pub amount: Money,
    /// Why it is this amount, for the bill.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Step>,
}
