//! One settlement's dealings with outside payers: durable data, and the one pure function that moves it.
//!
//! A [`Saga`] is stored with its stay before anything is sent. [`step`](step()) takes it from event to event and
//! says what is to be done; it has no clock, no ids and no I/O of its own. Whatever happens to the gateway in
//! between, the saga read back from the store and the payers' own `status` are enough to go on.
//!
//! Reading order: this page (what is remembered), [`event`] (what can happen, what can be asked for), `step`
//! (what an event changes), `advance` (what is wanted then), `answered` (what an answer makes of an operation),
//! [`plan`] (in which order payers commit), [`attention`] (what a person is told), [`evidence`] (what is kept of it).

pub mod attention;
pub mod event;
pub mod evidence;
pub mod plan;

mod advance;
mod answered;
mod step;

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use yizhan_contract::instant::later;
use yizhan_contract::opaque::Opaque;
use yizhan_contract::payer::{Manifest, Prepared};
use yizhan_contract::stay::SettledElsewhere;
use yizhan_contract::{Money, PayerCode, Text};

pub use yizhan_contract::payer::COMMIT_DEADLINE;

pub use event::{Event, Expected, Held, Part, Wanted};
pub use evidence::Entry;
pub use step::{Stepped, step};

/// What moves sagas; the gateway's is [`step`](step()).
#[derive(Clone, Copy)]
pub struct Stepping(pub fn(Saga, Event, Timestamp) -> Stepped);

/// How long a gateway acts for a stay before it has to say again that it is alive.
pub const LEASE: SignedDuration = SignedDuration::from_secs(30);
/// A request leaves the gateway within this time of being wanted, or not at all: it is kept and sent under one lease.
pub const LEAVES_WITHIN: SignedDuration = SignedDuration::from_secs(45);
const _: () = assert!(LEASE.as_secs() + COMMIT_DEADLINE.as_secs() <= LEAVES_WITHIN.as_secs());
/// How far the clocks of gateways that share a store may be apart: a time that another one wrote down may be so much later
/// by ours.
pub const CLOCKS_APART_MAX: SignedDuration = SignedDuration::from_secs(10);
/// Code of a refusal that is the adapter's: its operation could not be made ready.
pub const NOT_PREPARED: &str = "not_prepared";
/// Code of a refusal that is a person's word: the payer was asked by other means.
pub const RESOLVED_AS_NOT_DONE: &str = "resolved_as_not_done";
/// Reasons kept of one call's answers that could not be used; the evidence has them all.
const UNUSABLE_KEPT_MAX: usize = 3;
/// An outcome that is unknown for longer needs a person to look; the gateway goes on asking.
pub const UNKNOWN_ATTENTION: SignedDuration = SignedDuration::from_mins(5);

/// Everything durable of one settlement's dealings with outside payers.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Saga {
    pub course: Course,
    /// In the order of the chain.
    pub calls: Vec<Call>,
    pub attention: Option<attention::Attention>,
    /// The gateway that drove it last; absent where it was begun before this was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driven_by: Option<Arc<str>>,
    /// Gateways with other clocks have written times of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub has_changed_hands: bool,
    /// What happened, oldest first.
    pub log: Vec<Entry>,
}

/// Where the whole is heading.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Course {
    /// Payers are asked to commit, wave by wave.
    Committing,
    /// A payer without a firm quote confirmed another amount: the payers after it are to be asked again.
    Requoting,
    /// Every payer committed, but for deferred ones that refused later.
    Committed,
    /// It is settled; a payer that was deferred is asked to commit its part. The others stand, whatever it answers.
    Delivering,
    /// What was committed is taken back: the settlement will not have happened.
    Undoing(Why),
    /// All of it is taken back.
    Undone(Why),
    /// A settled settlement is taken back.
    Reversing(Ordered),
    Reversed(Ordered),
}

/// Why a settlement under way is given up.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    Refused {
        payer: PayerCode,
        code: String,
        message: String,
    },
    /// The patient's share would rise beyond the policy's tolerance.
    ShareRose {
        from: Money,
        to: Money,
    },
    /// A payer whose quotes are firm committed another amount.
    Breach {
        payer: PayerCode,
        quoted: Money,
        committed: Money,
    },
    /// This one confirmed another amount than it quoted, and the payers after it cannot be asked again.
    NoQuote {
        payer: PayerCode,
        /// Absent where it was given up before this was kept.
        #[serde(default)]
        why: Option<Text>,
    },
}

/// On whose word a settlement is taken back.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Ordered {
    pub reason: String,
    pub operator: String,
    pub at: Timestamp,
    /// ADT^A13: the discharge itself is taken back with it.
    pub is_discharge_cancelled: bool,
}

/// One adapter's part: the payers it serves commit and are taken back together.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Call {
    pub adapter: Arc<str>,
    pub terms: Terms,
    /// Calls of a lower wave are committed before this one is sent.
    pub wave: u8,
    /// As quoted.
    pub legs: Vec<(PayerCode, Money)>,
    pub quote_id: Option<String>,
    /// What the adapter kept with the quote.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub kept: Opaque,
    /// What the quote says that payers later in the chain have paid: they are not asked, now or after an amount moved.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also_paid: Vec<SettledElsewhere>,
    pub commit: Operation,
    /// Takes `commit` back, or fences it off where nobody knows what became of it.
    pub undo: Option<Operation>,
    /// Commits that were fenced off and replaced: an answer to one of these is nobody's any more.
    pub tombstones: Vec<Arc<str>>,
    /// Where nobody knows in time whether it committed, its hospital advances its part and the settlement stands.
    #[serde(default, skip_serializing_if = "is_false")]
    pub is_advanced: bool,
    /// Since when nobody knows what the payer did, over every operation sent again, fenced off or taken over.
    /// Absent: it was not asked yet, or said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_doubt_since: Option<Timestamp>,
    /// Why answers about it could not be used: each reason once, the first few.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unusable: Vec<String>,
}

/// What the saga relies on of an adapter's manifest, as it was when the intent was recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Terms {
    pub quotes_are_firm: bool,
    pub commits_are_idempotent: bool,
    /// Absent: a commit can never be taken back.
    pub reverse_window_s: Option<u64>,
    pub not_found_settles_after_s: u64,
}

/// One commit or reversal under one id.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Operation {
    pub id: Arc<str>,
    pub prepared: Prepared,
    pub state: Sent,
    /// No request under this id leaves the gateway later than this.
    pub leaves_before: Timestamp,
}

/// What is known of an operation.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sent {
    /// Durable before it is sent; whether it was sent, only the gateway that meant to knows.
    Intended,
    /// Its answer is awaited. Read back from the store it means no more than `Intended`.
    Awaited,
    /// Nobody knows yet: the payer is asked.
    Unknown {
        since: Timestamp,
        asked: u32,
        ask_at: Timestamp,
        why: String,
    },
    Done {
        amounts: Vec<(PayerCode, Money)>,
        reference: String,
        at: Timestamp,
    },
    Refused {
        code: String,
        message: String,
    },
    /// A reversal reached the payer for it: whatever it was, it has no effect, now or later.
    Fenced,
    /// Was never sent and never will be.
    Dropped,
}

impl Saga {
    pub fn new(calls: Vec<Call>) -> Self {
        let (course, log) = (Course::Committing, Vec::new());
        Self { course, calls, attention: None, driven_by: None, has_changed_hands: false, log }
    }

    /// Recorded by the gateway that drives it from now on.
    pub fn begun(calls: Vec<Call>, by: Arc<str>) -> Self {
        Self { driven_by: Some(by), ..Self::new(calls) }
    }

    /// From now on the times written of it are this gateway's; whether that is news. Who drove it in older documents,
    /// nobody knows.
    fn passes_to(&mut self, gateway: Arc<str>) -> bool {
        let is_news = self.driven_by.as_ref() != Some(&gateway);
        self.has_changed_hands |= is_news;
        self.driven_by = Some(gateway);
        is_news
    }

    /// How much later than it was written down a request may have left, by our clock.
    pub fn apart(&self) -> SignedDuration {
        if self.has_changed_hands { CLOCKS_APART_MAX } else { SignedDuration::ZERO }
    }

    /// Whether nothing is left to be done or asked.
    pub fn is_over(&self) -> bool {
        matches!(self.course, Course::Committed | Course::Undone(_) | Course::Reversed(_))
    }

    /// What a payer's confirmed commit says, where it said something.
    pub fn committed(&self, payer: &PayerCode) -> Option<(Money, &str)> {
        self.calls.iter().find_map(|call| match &call.commit.state {
            Sent::Done { amounts, reference, .. } => {
                let (_, amount) = amounts.iter().find(|(code, _)| code == payer)?;
                Some((*amount, reference.as_str()))
            }
            _ => None,
        })
    }

    /// The settlement stands while a deferred payer is asked to commit.
    pub fn is_delivering(&self) -> bool {
        self.course == Course::Delivering
    }

    /// Adds the part of a deferred payer to what stands, sent by this gateway.
    #[must_use]
    pub fn delivering(settled: Option<Self>, call: Call, by: Arc<str>) -> Self {
        let mut saga = settled.unwrap_or_else(|| Self::begun(Vec::new(), Arc::clone(&by)));
        saga.passes_to(by);
        saga.calls.push(call);
        saga.course = Course::Delivering;
        saga
    }

    /// An adapter that may have committed what it can never take back: whether it did is not known.
    pub fn is_irreversible_under_way(&self) -> bool {
        let is_open = |call: &Call| !call.is_committed() && !call.is_clear();
        self.calls.iter().any(|call| is_open(call) && call.terms.reverse_window_s.is_none())
    }

    /// Whether a call is to leave no money behind, whatever became of it.
    fn is_given_up(&self, nth: usize) -> bool {
        match self.course {
            Course::Undoing(_) | Course::Reversing(_) => true,
            Course::Delivering => self.calls.get(nth).is_some_and(Call::is_not_to_stand),
            _ => false,
        }
    }

    /// What becomes of a call that is advanced is its hospital's alone while nobody knows it; and once payers of later
    /// waves may have their part, for those may not be able to take it back, also where it refuses or breaks its word.
    fn is_hospitals(&self, nth: usize) -> bool {
        let Some(call) = self.calls.get(nth).filter(|call| call.is_advanced) else { return false };
        let is_unsent = |other: &Call| matches!(other.commit.state, Sent::Intended | Sent::Fenced);
        let is_begun = |other: &Call| call.wave < other.wave && !is_unsent(other);
        match call.commit.state {
            Sent::Unknown { .. } => true,
            Sent::Refused { .. } | Sent::Dropped => self.calls.iter().any(is_begun),
            Sent::Done { .. } => call.has_moved() && self.calls.iter().any(is_begun),
            Sent::Intended | Sent::Awaited | Sent::Fenced => false,
        }
    }

    /// The first call whose commit cannot be taken back, or not any more.
    pub fn not_reversible(&self, at: Timestamp) -> Option<&Call> {
        let is_kept = |call: &&Call| match (&call.commit.state, call.terms.reverse_window_s) {
            (Sent::Done { .. }, None) => true,
            (Sent::Done { at: done, .. }, Some(window_s)) => {
                let window = SignedDuration::from_secs(i64::try_from(window_s).unwrap_or(i64::MAX));
                done.saturating_add(window).is_ok_and(|end| end < at)
            }
            _ => false,
        };
        self.calls.iter().find(is_kept)
    }

    /// Where an operation is; a reversal that could not be made ready carries the id of its commit.
    fn found(&self, id: &str) -> Option<(usize, Part)> {
        self.calls.iter().enumerate().find_map(|(nth, call)| {
            let is_undo = call.undo.as_ref().is_some_and(|undo| *undo.id == *id);
            match () {
                () if is_undo => Some((nth, Part::Undo)),
                () if *call.commit.id == *id => Some((nth, Part::Commit)),
                () => None,
            }
        })
    }

    /// Calls whose part the hospital advances while nobody knows whether their payers committed.
    pub fn advanced(&self) -> impl Iterator<Item = &Call> {
        self.calls.iter().filter(|call| call.is_advanced)
    }

    /// Without what is needed to send anything: it is over, and kept for whoever wants to know.
    #[must_use]
    pub fn as_evidence(mut self) -> Self {
        for call in &mut self.calls {
            for operation in call.undo.iter_mut().chain([&mut call.commit]) {
                operation.prepared = Prepared::from(Vec::new());
            }
            call.kept = Opaque::default();
        }
        self
    }

    fn note(&mut self, at: Timestamp, operation: Option<&Arc<str>>, what: &Text) {
        evidence::note(&mut self.log, at, operation, what);
    }
}

impl Call {
    /// Whether this adapter holds no money of the settlement, now or later.
    pub fn is_clear(&self) -> bool {
        let is_taken_back = self.undo.as_ref().is_some_and(|undo| matches!(undo.state, Sent::Done { .. }));
        is_taken_back || matches!(self.commit.state, Sent::Refused { .. } | Sent::Fenced | Sent::Dropped)
    }

    pub fn payers(&self) -> impl Iterator<Item = &PayerCode> {
        self.legs.iter().map(|(payer, _)| payer)
    }

    pub fn is_committed(&self) -> bool {
        matches!(self.commit.state, Sent::Done { .. })
    }

    /// It committed more than it quoted, which may have no room under its caps, or not what its hospital has advanced.
    fn is_not_to_stand(&self) -> bool {
        self.is_above_quote() || (self.is_advanced && self.has_moved())
    }

    fn note_unusable(&mut self, why: &str) {
        if self.unusable.len() < UNUSABLE_KEPT_MAX && self.unusable.iter().all(|known| known != why) {
            self.unusable.push(why.to_owned());
        }
    }

    fn is_above_quote(&self) -> bool {
        let quoted = |payer: &PayerCode| self.legs.iter().find(|(code, _)| code == payer);
        match &self.commit.state {
            Sent::Done { amounts, .. } => amounts
                .iter()
                .any(|(payer, amount)| quoted(payer).is_none_or(|(_, quoted)| *quoted < *amount)),
            _ => false,
        }
    }

    pub fn operation(&self, part: Part) -> Option<&Operation> {
        match part {
            Part::Commit => Some(&self.commit),
            Part::Undo => self.undo.as_ref(),
        }
    }

    fn operation_mut(&mut self, part: Part) -> Option<&mut Operation> {
        match part {
            Part::Commit => Some(&mut self.commit),
            Part::Undo => self.undo.as_mut(),
        }
    }
}

impl Operation {
    /// Fixed and about to be durable.
    pub fn intended(id: Arc<str>, prepared: Prepared, at: Timestamp) -> Self {
        Self { id, prepared, state: Sent::Intended, leaves_before: leaves_before(at) }
    }
}

impl Terms {
    pub fn of(manifest: &Manifest) -> Self {
        Self {
            quotes_are_firm: manifest.quotes_are_firm,
            commits_are_idempotent: manifest.commits_are_idempotent,
            reverse_window_s: manifest.reverse_window_s,
            not_found_settles_after_s: manifest.not_found_settles_after_s,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference to the field")]
fn is_false(flag: &bool) -> bool {
    !*flag
}

fn is_empty(kept: &Opaque) -> bool {
    kept.is_empty()
}

fn leaves_before(at: Timestamp) -> Timestamp {
    later(at, LEAVES_WITHIN)
}
