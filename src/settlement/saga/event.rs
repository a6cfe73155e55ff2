//! What can happen to a saga, and what it can ask for.

use std::sync::Arc;

use jiff::Timestamp;
use yizhan_contract::payer::{Performed, Status};
use yizhan_contract::{Money, PayerCode};

use super::{Call, Operation, Ordered, Why};

/// Which operation of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    Commit,
    Undo,
}

/// Something happened. Answers name the operation id they answer: one that is nobody's any more changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The intent is durable; go on.
    Begun,
    /// Somebody had the saga before: what they sent, nobody here knows. One that is gone sends nothing more.
    TakenOver {
        /// The gateway that drives it from now on.
        by: Arc<str>,
        is_gone: bool,
    },
    Performed {
        operation: Arc<str>,
        answer: Performed,
    },
    Asked {
        operation: Arc<str>,
        answer: Status,
    },
    /// Time has passed.
    Woken,
    /// An operation was made ready; it is durable before it is sent.
    Prepared {
        call: usize,
        part: Part,
        operation: Operation,
    },
    /// The adapter cannot make an operation ready.
    NotPrepared {
        call: usize,
        part: Part,
        why: String,
    },
    /// The payers after a confirmed one were asked again: their calls in the order of the chain.
    Requoted {
        calls: Vec<Call>,
    },
    /// They could not be, or the outcome is not acceptable.
    GivenUp(Why),
    /// A settled settlement is to be taken back.
    ReverseOrdered(Ordered),
    /// A person says: ask again now, send again what was refused.
    RetryOrdered {
        operator: String,
        reason: String,
    },
    /// A person knows what became of an operation.
    Resolved {
        operation: Arc<str>,
        as_: Resolution,
        operator: String,
        reason: String,
    },
}

/// What a person found out from the payer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolution {
    Done {
        amounts: Vec<(PayerCode, Money)>,
        reference: String,
    },
    /// It committed other amounts than its firm quote, and whoever says so means it: all will be taken back. Or it took
    /// back other amounts than were asked for, because it had committed those.
    DoneOtherwise {
        amounts: Vec<(PayerCode, Money)>,
        reference: String,
    },
    NotDone,
}

/// What a person has to name where what was said cannot be true of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// Each payer that was asked, with what it was asked for.
    pub amounts: Vec<(PayerCode, Money)>,
    pub to: Held,
}

/// What amounts are held to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// Whatever the payer confirms.
    Confirmed,
    /// Its firm quote; other amounts have to be meant.
    Quoted,
    /// All that it is known to have paid.
    Paid,
    /// What was asked back of a commit that nobody knows of; other amounts have to be meant.
    Asked,
}

/// Something is to be done, in this order, after the saga was made durable where [`super::Stepped`] says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// Make an operation with a new id ready: pure work of the adapter.
    Prepare {
        call: usize,
        part: Part,
    },
    Send {
        call: usize,
        part: Part,
    },
    Ask {
        call: usize,
        part: Part,
    },
    /// Ask the payers after the confirmed ones for new quotes.
    Requote,
    Wake {
        at: Timestamp,
    },
    /// Nothing more with payers: write what the course says.
    Finish,
}
