//! A gateway with one mistake in it: each is one that somebody could make, at the saga's function, at the store or at
//! a payer.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use uuid::Uuid;
use yizhan::settlement::saga::{Call, Course, Event, Part, Saga, Sent, Stepped, Wanted, step};
use yizhan::store::{Account, AccumulatorMove, Changes, Done, Posting, PostingKind, Pot, Step};
use yizhan_contract::payer::{Operation, Performed, Prepared, Status};
use yizhan_contract::{Money, PayerCode};

use super::payer::Line;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mistake {
    SkipIntent,
    RetryUnderNewId,
    DropTheFence,
    IgnoreTombstones,
    CompensateUnknown,
    TrustNotFoundEarly,
    DoubleTheAccumulator,
    ReverseTheQuote,
    AcknowledgeBeforeDurable,
    StaleEpochWrites,
    KeepReservationOfRefused,
    IgnoreDrift,
    OneIdForTwoLegs,
    PostAtIntent,
    FinishTooEarly,
    TakeOverAsOwn,
    DeliverTwice,
}

pub(crate) const MISTAKES: [Mistake; 17] = [
    Mistake::SkipIntent,
    Mistake::RetryUnderNewId,
    Mistake::DropTheFence,
    Mistake::IgnoreTombstones,
    Mistake::CompensateUnknown,
    Mistake::TrustNotFoundEarly,
    Mistake::DoubleTheAccumulator,
    Mistake::ReverseTheQuote,
    Mistake::AcknowledgeBeforeDurable,
    Mistake::StaleEpochWrites,
    Mistake::KeepReservationOfRefused,
    Mistake::IgnoreDrift,
    Mistake::OneIdForTwoLegs,
    Mistake::PostAtIntent,
    Mistake::FinishTooEarly,
    Mistake::TakeOverAsOwn,
    Mistake::DeliverTwice,
];

impl Mistake {
    /// The cell that has to be come through for it to show, where that is a rare one.
    pub(crate) fn aim(self) -> Option<&'static str> {
        match self {
            Self::ReverseTheQuote => Some("requoting / quote / quotes / -"),
            Self::DeliverTwice => Some("delivering / commit / times_out_after / on_the_way"),
            _ => None,
        }
    }
}

pub(crate) struct Mutant {
    mistake: Mistake,
    /// What each settlement set aside first.
    quoted: Mutex<BTreeMap<Uuid, Vec<AccumulatorMove>>>,
    is_dropped: Mutex<bool>,
}

impl Mutant {
    pub(crate) fn of(mistake: Mistake) -> Arc<Self> {
        Arc::new(Self { mistake, quoted: Mutex::default(), is_dropped: Mutex::default() })
    }

    pub(crate) fn at_payers(&self, lines: &[Line]) {
        for line in lines {
            line.books.lock().unwrap().forgets_tombstones = self.mistake == Mistake::IgnoreTombstones;
        }
    }
}

/// At the saga's function.
impl Mutant {
    pub(crate) fn step(&self, mut saga: Saga, mut event: Event, at: Timestamp) -> Stepped {
        match self.mistake {
            Mistake::TakeOverAsOwn if matches!(event, Event::TakenOver { .. }) => event = Event::Begun,
            Mistake::DeliverTwice if matches!(event, Event::TakenOver { .. }) => {
                begin_delivery_anew(&mut saga)
            }
            Mistake::IgnoreDrift => ignore_drift(&saga, &mut event),
            Mistake::TrustNotFoundEarly if is_not_found(&event) => return trusted(saga, event, at),
            Mistake::FinishTooEarly if saga.course == Course::Committing => {
                let is_begun = saga.calls.iter().any(Call::is_committed);
                if is_begun {
                    saga.course = Course::Committed;
                }
            }
            _ => {}
        }
        let stepped = step(saga, event.clone(), at);
        match self.mistake {
            Mistake::SkipIntent => Stepped { is_to_be_kept: false, ..stepped },
            Mistake::RetryUnderNewId => retried(stepped, &event),
            Mistake::DropTheFence => unfenced(stepped),
            Mistake::CompensateUnknown => compensated(stepped, &event),
            _ => stepped,
        }
    }
}

fn is_not_found(event: &Event) -> bool {
    matches!(event, Event::Asked { answer: Status::NotFound, .. })
}

/// Whoever takes a delivery over delivers the deferred leg as if nobody had before.
fn begin_delivery_anew(saga: &mut Saga) {
    let is_delivering = saga.is_delivering();
    if let Some(call) = saga.calls.last_mut().filter(|call| is_delivering && !call.is_committed()) {
        call.commit.state = Sent::Fenced;
    }
}

/// What the payer says is taken for what was quoted.
fn ignore_drift(saga: &Saga, event: &mut Event) {
    let (Event::Performed { operation, answer: Performed::Committed { amounts, .. } }
    | Event::Asked { operation, answer: Status::Done { amounts, .. } }) = event
    else {
        return;
    };
    if let Some(call) = saga.calls.iter().find(|call| call.commit.id == *operation) {
        amounts.clone_from(&call.legs);
    }
}

/// A payer that does not know an operation is believed at once.
fn trusted(saga: Saga, event: Event, at: Timestamp) -> Stepped {
    let terms: Vec<_> = saga.calls.iter().map(|call| call.terms).collect();
    let mut saga = saga;
    for call in &mut saga.calls {
        call.terms.not_found_settles_after_s = 0;
        for operation in call.undo.iter_mut().chain([&mut call.commit]) {
            operation.leaves_before = operation.leaves_before.min(at);
        }
    }
    let mut stepped = step(saga, event, at);
    for (call, terms) in stepped.saga.calls.iter_mut().zip(terms) {
        call.terms = terms;
    }
    stepped
}

fn unknown_call(stepped: &Stepped, event: &Event) -> Option<usize> {
    let Event::Performed { operation, answer: Performed::Unknown { .. } } = event else { return None };
    let is_it =
        |call: &Call| call.commit.id == *operation && matches!(call.commit.state, Sent::Unknown { .. });
    stepped.saga.calls.iter().position(is_it)
}

/// An operation under another id, as an adapter would make it ready.
fn under(prepared: &Prepared, id: &Arc<str>) -> Prepared {
    let operation: Operation = serde_json::from_slice(&prepared.0).unwrap();
    serde_json::to_vec(&Operation { id: Arc::clone(id), ..operation }).unwrap().into()
}

fn retried(mut stepped: Stepped, event: &Event) -> Stepped {
    let Some(nth) = unknown_call(&stepped, event) else { return stepped };
    let commit = &mut stepped.saga.calls[nth].commit;
    commit.id = format!("{}+", commit.id).into();
    commit.prepared = under(&commit.prepared, &commit.id);
    commit.state = Sent::Awaited;
    stepped.wanted = vec![Wanted::Send { call: nth, part: Part::Commit }];
    stepped.is_to_be_kept = true;
    stepped
}

fn unfenced(mut stepped: Stepped) -> Stepped {
    for nth in 0..stepped.saga.calls.len() {
        let fence = Wanted::Prepare { call: nth, part: Part::Undo };
        let call = &mut stepped.saga.calls[nth];
        if matches!(call.commit.state, Sent::Unknown { .. }) && stepped.wanted.contains(&fence) {
            call.commit.state = Sent::Fenced;
            stepped.wanted.retain(|wanted| *wanted != fence);
            if stepped.saga.course == Course::Committing {
                stepped.wanted.push(Wanted::Prepare { call: nth, part: Part::Commit });
            }
        }
    }
    stepped
}

fn compensated(mut stepped: Stepped, event: &Event) -> Stepped {
    if let Some(nth) = unknown_call(&stepped, event) {
        stepped.wanted.push(Wanted::Prepare { call: nth, part: Part::Undo });
    }
    stepped
}

/// At the store.
impl Mutant {
    pub(crate) fn before(&self, step: &mut Step) {
        if self.mistake == Mistake::StaleEpochWrites {
            step.lease = None;
        }
    }

    /// `word`: where the stay is after these changes.
    pub(crate) fn changes(&self, mut changes: Changes, word: &str, is_message: bool) -> Option<Changes> {
        let is_new =
            |bill: &yizhan::store::BillWrite| self.quoted.lock().unwrap().contains_key(&bill.settlement_id);
        match self.mistake {
            Mistake::AcknowledgeBeforeDurable if is_message => {
                *self.is_dropped.lock().unwrap() = true;
                return None;
            }
            Mistake::DoubleTheAccumulator => {
                let settled = |moved: &&AccumulatorMove| moved.pot == Pot::Settled;
                let again: Vec<_> = changes.accumulators.iter().filter(settled).cloned().collect();
                changes.accumulators.extend(again);
            }
            Mistake::KeepReservationOfRefused => {
                let is_refused = changes.bill.as_ref().is_some_and(|bill| bill.state == "refused");
                changes.accumulators.retain(|moved| !(is_refused && moved.pot == Pot::Reserved));
            }
            Mistake::ReverseTheQuote => self.reverse_the_quote(&mut changes),
            Mistake::PostAtIntent if word == "committing" => {
                let bill = changes.bill.as_ref().filter(|bill| !is_new(bill));
                let posted =
                    bill.map(|bill| (bill.settlement_id, posting(&bill.hospital, bill.patient_share)));
                if let Some((id, posting)) = posted {
                    changes.postings.push(posting);
                    self.quoted.lock().unwrap().insert(id, Vec::new());
                }
            }
            Mistake::OneIdForTwoLegs => one_id(&mut changes),
            _ => {}
        }
        Some(changes)
    }

    pub(crate) fn done(&self, done: Done) -> Done {
        let is_dropped = std::mem::take(&mut *self.is_dropped.lock().unwrap());
        if is_dropped && done == Done::Undecided { Done::Decided(Vec::new()) } else { done }
    }

    /// Remembers what was set aside first; gives that back, whatever was committed.
    fn reverse_the_quote(&self, changes: &mut Changes) {
        let Some(bill) = &changes.bill else { return };
        let mut quoted = self.quoted.lock().unwrap();
        for moved in &mut changes.accumulators {
            if moved.pot == Pot::Reserved && moved.admissions > 0 {
                quoted.entry(bill.settlement_id).or_insert_with(|| vec![moved.clone()]);
            }
            let first = quoted.get(&bill.settlement_id).and_then(|moves| moves.first());
            if let (Pot::Settled, true, Some(first)) = (moved.pot, moved.admissions < 0, first) {
                let paid = |payer: &PayerCode| first.payers.iter().find(|(code, _)| code == payer);
                for (payer, used) in &mut moved.payers {
                    used.paid = paid(payer).map_or(used.paid, |(_, quoted)| -quoted.paid);
                }
            }
        }
    }
}

fn posting(hospital: &Arc<str>, amount: Money) -> Posting {
    let credit = Account::Hospital(Arc::clone(hospital));
    Posting { kind: PostingKind::Settlement, debit: Account::Patient, credit, amount }
}

/// The second call of a new intent is given the id of the first.
fn one_id(changes: &mut Changes) {
    let Some(stay) = &mut changes.stay else { return };
    let mut document: serde_json::Value = serde_json::from_slice(&stay.document).unwrap();
    let Some(calls) = document.pointer_mut("/saga/calls").and_then(serde_json::Value::as_array_mut) else {
        return;
    };
    if calls.len() < 2 || calls[1]["commit"]["state"] != "intended" {
        return;
    }
    let id: Arc<str> = calls[0]["commit"]["id"].as_str().unwrap().into();
    let prepared: Prepared = serde_json::from_value(calls[1]["commit"]["prepared"].clone()).unwrap();
    calls[1]["commit"]["id"] = id.to_string().into();
    calls[1]["commit"]["prepared"] = serde_json::to_value(under(&prepared, &id)).unwrap();
    stay.document = serde_json::to_vec(&document).unwrap();
}
