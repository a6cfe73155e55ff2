//! Mistakes at the saga's function.

use std::sync::Arc;

use jiff::Timestamp;
use yizhan::settlement::saga::{Call, Course, Event, Part, Saga, Sent, Stepped, Wanted, step};
use yizhan_contract::payer::{Operation, Performed, Prepared, Status};

use super::{Mistake, Mutant};

impl Mutant {
    pub(crate) fn step(&self, mut saga: Saga, mut event: Event, at: Timestamp) -> Stepped {
        match self.mistake {
            Mistake::TakeOverAsOwn if matches!(event, Event::TakenOver { .. }) => event = Event::Begun,
            Mistake::DeliverTwice if matches!(event, Event::TakenOver { .. }) => {
                begin_delivery_anew(&mut saga)
            }
            Mistake::IgnoreDrift => ignore_drift(&saga, &mut event),
            Mistake::ForgetWhatElseIsPaid => saga.calls.iter_mut().for_each(|call| call.also_paid.clear()),
            Mistake::AdvanceAnywhere => advance_anywhere(&mut saga),
            Mistake::UnknownIsNo => unknown_is_no(&mut event),
            Mistake::BelieveAnyReversal => believe_any_reversal(&saga, &mut event),
            Mistake::PendingIsNo => pending_is_no(&mut event),
            Mistake::ReverseTheFirstOnly if matches!(saga.course, Course::Reversing(_)) => {
                forget_all_but_the_first(&mut saga);
            }
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
            Mistake::ForgetToWake => unwoken(stepped),
            _ => stepped,
        }
    }
}

/// Whatever was quoted firmly is advanced, whoever's hospital it is.
fn advance_anywhere(saga: &mut Saga) {
    let firm = saga.calls.iter_mut().filter(|call| call.terms.quotes_are_firm);
    firm.for_each(|call| call.is_advanced = true);
}

/// Silence is taken for a refusal.
fn unknown_is_no(event: &mut Event) {
    if let Event::Performed { answer, .. } = event
        && matches!(answer, Performed::Unknown { .. })
    {
        *answer = Performed::Refused { code: "no_answer".into(), message: "no answer".into() };
    }
}

/// A payer that has given something back has given all of it back.
fn believe_any_reversal(saga: &Saga, event: &mut Event) {
    let (Event::Performed { operation, answer: Performed::Committed { amounts, .. } }
    | Event::Asked { operation, answer: Status::Done { amounts, .. } }) = event
    else {
        return;
    };
    let is_it = |call: &&Call| call.undo.as_ref().is_some_and(|undo| undo.id == *operation);
    if let Some(call) = saga.calls.iter().find(is_it) {
        *amounts = call.to_take_back().to_vec();
    }
}

/// A payer that is still at it is taken at its word: it has not committed.
fn pending_is_no(event: &mut Event) {
    if let Event::Asked { answer, .. } = event
        && *answer == Status::Pending
    {
        *answer = Status::Refused { code: "pending".into() };
    }
}

fn forget_all_but_the_first(saga: &mut Saga) {
    for call in saga.calls.iter_mut().skip(1).filter(|call| call.undo.is_none()) {
        call.commit.state = Sent::Dropped;
    }
}

fn unwoken(mut stepped: Stepped) -> Stepped {
    stepped.wanted.retain(|wanted| !matches!(wanted, Wanted::Wake { .. }));
    stepped
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
pub(super) fn under(prepared: &Prepared, id: &Arc<str>) -> Prepared {
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
