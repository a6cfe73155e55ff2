//! What was asked for under which operation id, and what came of it: the rules of "exactly once", without I/O.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use yizhan_contract::payer::{Performed, Prepared, Status, by_payer};
use yizhan_contract::protocol::{CommitRequest, ReverseRequest};
use yizhan_contract::{Money, PayerCode};

use super::Kept;

/// A commit whose reversal came first; it is not made any more.
pub const REVERSED_BEFORE: &str = "reversed_before";
/// A reversal of what another one has taken back.
pub const ALREADY_REVERSED: &str = "already_reversed";

/// One commit or reversal as it was first asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begun {
    pub id: Arc<str>,
    pub at: Timestamp,
    pub stay: Arc<str>,
    /// The commit it takes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reverses: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quote_id: Option<String>,
    #[serde(with = "by_payer")]
    pub amounts: Vec<(PayerCode, Money)>,
    /// As the payer made it ready to be sent; absent where nothing had to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prepared: Option<Prepared>,
}

impl Begun {
    pub fn commit(asked: &CommitRequest, at: Timestamp) -> Self {
        Self {
            id: Arc::clone(&asked.operation_id),
            at,
            stay: Arc::clone(&asked.stay),
            reverses: None,
            quote_id: asked.quote_id.clone(),
            amounts: asked.amounts.clone(),
            prepared: None,
        }
    }

    pub fn reversal(asked: &ReverseRequest, at: Timestamp) -> Self {
        Self {
            id: Arc::clone(&asked.operation_id),
            at,
            stay: Arc::clone(&asked.stay),
            reverses: Some(Arc::clone(&asked.original_operation_id)),
            quote_id: None,
            amounts: asked.amounts.clone(),
            prepared: None,
        }
    }

    /// The commit it is about: itself, or what it takes back.
    pub fn commit_id(&self) -> &Arc<str> {
        self.reverses.as_ref().unwrap_or(&self.id)
    }

    /// Whether both ask for the same. When and how ready they are is no part of it, nor the order of payers.
    pub fn is_same_as(&self, other: &Self) -> bool {
        let sorted = |begun: &Self| {
            let mut amounts = begun.amounts.clone();
            amounts.sort();
            amounts
        };
        (&self.stay, &self.reverses, &self.quote_id) == (&other.stay, &other.reverses, &other.quote_id)
            && sorted(self) == sorted(other)
    }
}

/// What came of an operation, for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    Done {
        #[serde(with = "by_payer")]
        amounts: Vec<(PayerCode, Money)>,
        reference: String,
    },
    Refused {
        code: String,
        message: String,
    },
}

impl Outcome {
    pub fn refused(code: &str, message: &str) -> Self {
        Self::Refused { code: code.to_owned(), message: message.to_owned() }
    }

    /// A reversal of what never moved anything.
    pub fn nothing_to_reverse(id: &str) -> Self {
        Self::Done { amounts: Vec::new(), reference: format!("nothing-{id}") }
    }

    pub fn performed(&self) -> Performed {
        match self.clone() {
            Self::Done { amounts, reference } => Performed::Committed { amounts, reference },
            Self::Refused { code, message } => Performed::Refused { code, message },
        }
    }

    pub fn status(&self) -> Status {
        match self.clone() {
            Self::Done { amounts, reference } => Status::Done { amounts, reference },
            Self::Refused { code, .. } => Status::Refused { code },
        }
    }

    /// Whether money moved.
    pub fn moved(&self) -> bool {
        matches!(self, Self::Done { amounts, .. } if !amounts.is_empty())
    }
}

/// A line of the book.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub enum Entry {
    Begun(Begun),
    Ended { id: Arc<str>, at: Timestamp, outcome: Outcome },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    pub begun: Begun,
    pub ended: Option<Outcome>,
}

#[derive(Debug, Default)]
pub struct Operations {
    by_id: HashMap<Arc<str>, Operation>,
    /// Of each commit, those that take it back, in the order they came.
    reversals: HashMap<Arc<str>, Vec<Arc<str>>>,
}

/// What is known of an operation that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known<'o> {
    Never,
    /// Asked for before, and this is what came of it.
    Ended(&'o Outcome),
    /// Asked for before; what came of it is not known.
    Open(&'o Begun),
    /// The id was used for something else.
    Other,
}

impl Operations {
    pub fn known(&self, asked: &Begun) -> Known<'_> {
        match self.by_id.get(&asked.id) {
            None => Known::Never,
            Some(operation) if !operation.begun.is_same_as(asked) => Known::Other,
            Some(Operation { ended: Some(outcome), .. }) => Known::Ended(outcome),
            Some(Operation { begun, .. }) => Known::Open(begun),
        }
    }

    pub fn get(&self, id: &str) -> Option<&Operation> {
        self.by_id.get(id)
    }

    /// The reversals of a commit.
    pub fn reversals(&self, commit: &str) -> impl Iterator<Item = &Operation> {
        let ids = self.reversals.get(commit).into_iter().flatten();
        ids.filter_map(|id| self.by_id.get(id))
    }

    /// Whether a commit that was never seen was taken back all the same.
    pub fn is_reversed_before(&self, commit: &str) -> bool {
        let is_done = |reversal: &Operation| matches!(reversal.ended, Some(Outcome::Done { .. }));
        !self.by_id.contains_key(commit) && self.reversals(commit).any(is_done)
    }

    /// What a commit comes to before anybody decides on it.
    pub fn foreseen_commit(&self, asked: &Begun) -> Option<Outcome> {
        self.is_reversed_before(&asked.id).then(|| {
            Outcome::refused(
                REVERSED_BEFORE,
                "已先行冲正，不再办理 | was reversed before it came, and is not made",
            )
        })
    }

    /// What a reversal comes to before anybody carries it out: nothing is to be taken back, or it was already.
    pub fn foreseen_reversal(&self, asked: &Begun) -> Option<Outcome> {
        let original = asked.reverses.as_deref()?;
        let is_commit = |operation: &Operation| operation.begun.reverses.is_none();
        match self.by_id.get(original) {
            None => return Some(Outcome::nothing_to_reverse(&asked.id)),
            Some(operation) if !is_commit(operation) => {
                return Some(Outcome::refused(
                    "not_a_commit",
                    "只能冲正支付 | only a commit can be reversed",
                ));
            }
            Some(Operation { ended: Some(Outcome::Refused { .. }), .. }) => {
                return Some(Outcome::nothing_to_reverse(&asked.id));
            }
            Some(_) => {}
        }
        let mut earlier = self.reversals(original).filter_map(|reversal| reversal.ended.as_ref());
        earlier.any(Outcome::moved).then(|| {
            Outcome::refused(ALREADY_REVERSED, "已冲正，不再重复 | was reversed already; nothing moves twice")
        })
    }
}

impl Kept for Operations {
    type Record = Entry;

    fn apply(&mut self, entry: &Entry) {
        match entry {
            Entry::Begun(begun) => {
                if let Some(original) = &begun.reverses {
                    self.reversals.entry(Arc::clone(original)).or_default().push(Arc::clone(&begun.id));
                }
                let operation = Operation { begun: begun.clone(), ended: None };
                self.by_id.insert(Arc::clone(&begun.id), operation);
            }
            Entry::Ended { id, outcome, .. } => {
                if let Some(operation) = self.by_id.get_mut(id) {
                    operation.ended = Some(outcome.clone());
                }
            }
        }
    }
}
