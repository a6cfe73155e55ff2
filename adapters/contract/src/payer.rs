//! The port an outside payer implements. A payer has three answers: yes, no, don't know.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp, civil::Date};
use serde::{Deserialize, Serialize};

use crate::claim::Claim;
use crate::money::{Exact, Money};
use crate::opaque::Opaque;
use crate::person::{IdNumber, Personal};
use crate::step::{PayerCode, Step};

/// Largest [`Prepared`], so that it can be stored with the intent.
pub const PREPARED_BYTES_MAX: usize = 64 * 1024;

pub type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// An outside payer. Object-safe; the host supplies clock, deadline and operation ids.
pub trait Payer: Send + Sync {
    fn manifest(&self) -> &Manifest;

    /// Admission, charges, discharge: for payers that must see a stay before they can quote it. The memo
    /// is the adapter's own state of the visit; the host keeps it sealed and hands it back.
    fn visit<'a>(&'a self, event: &'a VisitEvent, memo: Memo) -> Answer<'a, Memo>;

    fn quote<'a>(&'a self, ask: &'a Ask, deadline: Timestamp) -> Answer<'a, QuoteAnswer>;

    /// Pure: everything needed to send the operation, to ask about it and to undo it. The host stores it
    /// with the intent before anything is sent.
    fn prepare(&self, operation: &Operation) -> Result<Prepared, PrepareError>;

    /// Sends a commit or a reversal. Anything but an explicit yes or no is [`Performed::Unknown`].
    fn perform<'a>(&'a self, prepared: &'a Prepared, deadline: Timestamp) -> Answer<'a, Performed>;

    /// Asks what became of an operation; changes nothing.
    fn status<'a>(&'a self, prepared: &'a Prepared, deadline: Timestamp) -> Answer<'a, Status>;

    /// The payer's own book of one day, for reconciliation.
    fn statement(&self, day: Date) -> Answer<'_, Result<Vec<StatementLine>, Unavailable>>;
}

/// What the host plans with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Consecutive in the chain.
    pub serves: Vec<PayerCode>,
    /// The committed amount is the quoted one.
    pub quotes_are_firm: bool,
    /// The same operation may be sent again.
    pub commits_are_idempotent: bool,
    /// How long a commit can be reversed; absent: never.
    pub reverse_window_s: Option<u64>,
    /// After this long a status `NotFound` may be trusted.
    pub not_found_settles_after_s: u64,
    /// A settlement may go on without this payer.
    pub optional: bool,
    /// A leg of 0.00 must be committed as well.
    pub commits_zero: bool,
    pub concurrency_max: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum VisitEvent {
    Admitted(Claim),
    Charged(Claim),
    Discharged(Claim),
}

/// An adapter's sealed state of one visit.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Memo(pub Opaque);

impl From<Vec<u8>> for Memo {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

/// A quote is asked with all that the payer may know, and the most it may pay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    pub stay: Arc<str>,
    /// For payers that look the person up in their own system.
    pub id_number: Option<Personal<IdNumber>>,
    pub claim: Claim,
    pub legs: Vec<AskedLeg>,
    /// What the payers before pay.
    pub paid_before: Vec<(PayerCode, Money)>,
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
pub enum QuoteAnswer {
    Quote(Quote),
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
    pub id: String,
    pub valid_until: Timestamp,
    /// One amount per payer asked.
    pub amounts: Vec<QuotedAmount>,
    /// For payers later in the chain; they become `settled_elsewhere` and are not asked.
    pub also_paid: Vec<QuotedAmount>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuotedAmount {
    pub payer: PayerCode,
    pub amount: Money,
    pub steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("payer unavailable: {why}")]
pub struct Unavailable {
    pub why: String,
    pub retry_after: Option<SignedDuration>,
}

/// One commit or reversal. The id is fixed and durable before the first attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    pub id: Arc<str>,
    pub kind: OperationKind,
    pub quote_id: Option<String>,
    pub amounts: Vec<(PayerCode, Money)>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum OperationKind {
    Commit,
    /// Takes back the commit of this operation id.
    Reverse {
        original: Arc<str>,
    },
}

/// Everything needed to send an operation, as bytes the adapter alone reads; at most 64 KiB.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Prepared(pub Opaque);

impl From<Vec<u8>> for Prepared {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("operation cannot be prepared: {0}")]
pub struct PrepareError(pub String);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Performed {
    Committed {
        amounts: Vec<(PayerCode, Money)>,
        reference: String,
    },
    Refused {
        code: String,
        message: String,
    },
    /// Timeout, broken body, a sum that breaks the contract: ask [`Payer::status`], never guess.
    Unknown {
        poll_after: Option<SignedDuration>,
        why: String,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    Done {
        amounts: Vec<(PayerCode, Money)>,
        reference: String,
    },
    Refused {
        code: String,
    },
    NotFound,
    Pending,
    /// Asking itself failed.
    Unavailable(Unavailable),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatementLine {
    pub operation_id: String,
    pub reference: String,
    pub payer: PayerCode,
    /// Negative for a reversal.
    pub amount: Money,
    pub at: Timestamp,
}
