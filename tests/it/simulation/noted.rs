//! What a step made of its stay, read off the changes it wants written.

use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;
use yizhan::settlement::record::{Phase, StayRecord};
use yizhan::settlement::saga::{Call, Course, Part, Saga, Sent};
use yizhan::store::{BillWrite, Changes, OutboxWrite, StoredStay};

/// Where a stay is, in the words of the coverage table.
pub(crate) fn word(record: &StayRecord) -> &'static str {
    if record.pricing.is_some() {
        return "waiting";
    }
    let course = record.saga.as_ref().map(|saga| &saga.course);
    match record.phase {
        Phase::Committing if matches!(course, Some(Course::Undoing(_))) => "undoing",
        Phase::Committing => "committing",
        Phase::Reversing => "reversing",
        Phase::Settled if record.is_delivering() && record.saga.as_ref().is_some_and(is_advanced) => {
            "advanced"
        }
        Phase::Settled if record.deferred().is_some() || record.is_delivering() => "delivering",
        Phase::Settled if record.borne().is_some() => "borne",
        Phase::Settled => "settled",
        Phase::Reversed => "reversed",
        Phase::Quoted => "quoted",
        Phase::AwaitingCharges => "awaiting",
        Phase::Open | Phase::Cancelled => "new",
    }
}

/// A payer whose part its hospital advances has not said yet what became of it, or not what its hospital advanced.
pub(crate) fn is_advanced(saga: &Saga) -> bool {
    let is_awaited = |call: &Call| match call.commit.state {
        Sent::Done { .. } => call.has_moved() && !call.is_clear(),
        Sent::Refused { .. } | Sent::Dropped => false,
        Sent::Intended | Sent::Awaited | Sent::Unknown { .. } | Sent::Fenced => true,
    };
    saga.advanced().any(is_awaited)
}

#[derive(Debug, Clone)]
pub(crate) struct Noted {
    /// What the stay is known by, its visit number first; absent where no stay is written.
    pub(crate) keys: Option<Vec<String>>,
    pub(crate) word: &'static str,
    pub(crate) changes_stay: bool,
    /// Operations that are durable from now on, and until when they may leave.
    pub(crate) operations: Vec<(Arc<str>, Timestamp)>,
    /// The ledger may have moved.
    pub(crate) is_booked: bool,
    /// A bill version as it is from now on.
    pub(crate) bill: Option<((Uuid, u32), Vec<u8>)>,
    /// What the hospital is to be told.
    pub(crate) outbox: Vec<OutboxWrite>,
}

impl Noted {
    /// Taken in, and nothing else.
    fn nothing() -> Self {
        Self {
            keys: None,
            word: "new",
            changes_stay: false,
            operations: Vec::new(),
            is_booked: false,
            bill: None,
            outbox: Vec::new(),
        }
    }

    /// `before`: the stay's newest bill as the step found it.
    pub(crate) fn of(changes: &Changes, before: Option<&Vec<u8>>) -> Self {
        let Some(written) = changes.stay.as_ref() else { return Self::nothing() };
        let bill = changes.bill.as_ref().map(|bill| bill.document.clone()).or_else(|| before.cloned());
        let (document, hold) = (written.document.clone(), written.hold.clone());
        let (stay_id, person_id) = (written.stay_id, written.person_id);
        let stored = StoredStay { stay_id, person_id, document, hold, bill };
        let Ok(record) = StayRecord::read(&stored) else { return Self::nothing() };
        let settlement = changes.bill.as_ref().map(|bill| bill.settlement_id.to_string());
        let keys = [written.visit_number.to_string(), written.stay_id.to_string()];
        let calls = record.saga.iter().flat_map(|saga| &saga.calls);
        let operations = calls.flat_map(|call| [Part::Commit, Part::Undo].map(|part| call.operation(part)));
        let operations = operations.flatten();
        let operations =
            operations.map(|operation| (Arc::clone(&operation.id), operation.leaves_before)).collect();
        let word = word(&record);
        let document = |bill: &BillWrite| ((bill.settlement_id, bill.version), bill.document.clone());
        Self {
            keys: Some(keys.into_iter().chain(settlement).collect()),
            word,
            changes_stay: true,
            operations,
            is_booked: !changes.postings.is_empty()
                || matches!(word, "settled" | "delivering" | "advanced" | "borne" | "reversed"),
            bill: changes.bill.as_ref().map(document),
            outbox: changes.outbox.clone(),
        }
    }

    /// Whether it does more than let a stay go as it stands.
    pub(crate) fn moves(&self, before: &str) -> bool {
        self.word != before || self.bill.is_some() || !self.outbox.is_empty()
    }
}
