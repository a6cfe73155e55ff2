//! The transitions: `step(saga, event) → (saga, what is wanted)`. Pure. What an event changes is here, what is wanted then in
//! [`super::advance`].

use std::sync::Arc;

use jiff::Timestamp;
use yizhan_contract::Text;

use super::answered::Missing;
use super::event::{Event, Part, Resolution, Wanted};
use super::evidence::{self, resolved, retry_ordered};
use super::{Call, Course, NOT_PREPARED, Operation, Ordered, RESOLVED_AS_NOT_DONE, Saga, Sent, Why};
use crate::settlement::findings::{given_up, refused};

/// A saga after an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stepped {
    pub saga: Saga,
    /// In order; empty while answers are awaited.
    pub wanted: Vec<Wanted>,
    /// The saga must be durable before anything wanted is carried out.
    pub is_to_be_kept: bool,
}

/// One event. `at` is when it was seen. What a person orders of a saga under way is only taken down: nothing is wanted
/// of whoever hears it, and the gateway that takes the saga up acts upon it.
pub fn step(saga: Saga, event: Event, at: Timestamp) -> Stepped {
    let attention = saga.attention.clone();
    let is_order = match &event {
        Event::RetryOrdered { .. } | Event::Resolved { .. } => true,
        Event::ReverseOrdered(_) => saga.is_delivering(),
        _ => false,
    };
    let mut turn = Turn { saga, wanted: Vec::new(), is_to_be_kept: false, at };
    turn.take(event);
    if !is_order {
        turn.advance();
        turn.ask();
    }
    turn.saga.look_for_attention(at);
    turn.is_to_be_kept |= turn.saga.attention != attention;
    if !is_order {
        turn.wake();
    }
    Stepped { saga: turn.saga, wanted: turn.wanted, is_to_be_kept: turn.is_to_be_kept }
}

pub(super) struct Turn {
    pub(super) saga: Saga,
    pub(super) wanted: Vec<Wanted>,
    pub(super) is_to_be_kept: bool,
    pub(super) at: Timestamp,
}

impl Turn {
    fn take(&mut self, event: Event) {
        match event {
            Event::Begun | Event::Woken => {}
            Event::TakenOver { by, is_gone } => self.taken_over(by, is_gone),
            Event::Performed { operation, answer } => {
                let said = evidence::answered(&answer);
                if let Some((call, part)) = self.still_open(&operation, &said) {
                    self.saga.calls[call].performed(part, answer, self.at);
                    self.is_to_be_kept |= self.is_unknown(call, part);
                }
            }
            Event::Asked { operation, answer } => {
                let (said, apart) = (evidence::said(&answer), self.saga.apart());
                if let Some((call, part)) = self.unknown(&operation, &said)
                    && self.saga.calls[call].asked(part, answer, apart, self.at) == Missing::Believed
                {
                    self.missing(call, part);
                }
            }
            Event::Prepared { call, part, operation } => self.prepared(call, part, operation),
            Event::NotPrepared { call, part, why } => self.not_prepared(call, part, why),
            Event::Requoted { calls } => self.requoted(calls),
            Event::GivenUp(why) => self.give_up(why),
            Event::ReverseOrdered(ordered) => self.reverse(ordered),
            Event::RetryOrdered { operator, reason } => self.retry(&operator, &reason),
            Event::Resolved { operation, as_, operator, reason } => {
                self.resolved(&operation, as_, &operator, &reason);
            }
        }
    }

    /// Whoever takes up what it let go of itself knows the times that were written: they are of its own clock.
    fn taken_over(&mut self, by: Arc<str>, is_gone: bool) {
        let is_own = !self.saga.passes_to(by);
        let what = match is_own {
            true => Text::new("由本网关重新接手", "taken up again by the same gateway"),
            false => Text::new("由另一网关接手", "taken over from another gateway"),
        };
        self.saga.note(self.at, None, &what);
        self.is_to_be_kept |= !is_own;
        if self.saga.course == Course::Requoting {
            // Nobody is sent anything while it is, and nothing was under way when that was written.
            return self.wanted.push(Wanted::Requote);
        }
        // Who is gone is who held it last; whoever sent what is under way may be another.
        self.left_behind(is_gone && is_own);
    }

    /// What somebody else meant to send may have been sent; one who is gone sends nothing more. What nobody knew of by then
    /// may be an earlier one's, who stood still and has it yet.
    fn left_behind(&mut self, is_gone: bool) {
        let at = self.at;
        for call in &mut self.saga.calls {
            for part in [Part::Undo, Part::Commit] {
                let is_its =
                    |operation: &&mut Operation| matches!(operation.state, Sent::Intended | Sent::Awaited);
                if let Some(operation) = call.operation_mut(part).filter(is_its).filter(|_| is_gone) {
                    operation.leaves_before = operation.leaves_before.min(at);
                }
                // Since when nobody knows must outlast gateways that die one after the other.
                self.is_to_be_kept |= call.taken_over(part, at);
            }
        }
    }

    /// A delivery that is under way ends with it; what whoever drives it has sent, nobody here knows.
    fn reverse(&mut self, ordered: Ordered) {
        match self.saga.course {
            Course::Committed => {}
            Course::Delivering => self.left_behind(false),
            _ => return,
        }
        self.saga.note(self.at, None, &Text::new("要求撤销结算", "it is ordered to be taken back"));
        self.saga.course = Course::Reversing(ordered);
        self.is_to_be_kept = true;
    }

    /// Finds the operation an answer belongs to, and writes the answer down. An answer to an operation that was
    /// replaced, or that a fence is about to settle, is evidence and nothing else.
    fn still_open(&mut self, id: &Arc<str>, said: &Text) -> Option<(usize, Part)> {
        let found = self.saga.found(id);
        let counts = found.is_some_and(|(call, part)| {
            let call = &self.saga.calls[call];
            let is_open =
                |operation: &Operation| matches!(operation.state, Sent::Awaited | Sent::Unknown { .. });
            let is_fenced_off = part == Part::Commit && call.undo.is_some();
            call.operation(part).is_some_and(is_open) && !is_fenced_off
        });
        let late = (!counts).then(|| evidence::too_late(said));
        self.saga.note(self.at, Some(id), late.as_ref().unwrap_or(said));
        found.filter(|_| counts)
    }

    /// The same for the answer to a question.
    fn unknown(&mut self, id: &Arc<str>, said: &Text) -> Option<(usize, Part)> {
        let (call, part) = self.still_open(id, said)?;
        self.is_unknown(call, part).then_some((call, part))
    }

    fn is_unknown(&self, call: usize, part: Part) -> bool {
        let operation = self.saga.calls[call].operation(part);
        operation.is_some_and(|operation| matches!(operation.state, Sent::Unknown { .. }))
    }

    /// The payer never saw the operation, and no request is on its way any more.
    fn missing(&mut self, nth: usize, part: Part) {
        let is_given_up = self.saga.is_given_up(nth);
        let is_its_turn = self.is_its_turn(nth);
        let call = &mut self.saga.calls[nth];
        let can_undo = call.terms.reverse_window_s.is_some();
        // Sent again at once under its id, it is done once at most. One that may be given up before its turn comes has to be
        // fenced off, where it can be.
        let is_to_be_sent = call.terms.commits_are_idempotent && (is_its_turn || !can_undo);
        match part {
            // A reversal may always be sent again: its original is taken back once at most.
            Part::Undo => {
                if let Some(undo) = &mut call.undo {
                    undo.state = Sent::Intended;
                }
            }
            Part::Commit if !is_given_up && is_to_be_sent => call.commit.state = Sent::Intended,
            Part::Commit if can_undo => self.wanted.push(Wanted::Prepare { call: nth, part: Part::Undo }),
            Part::Commit if is_given_up => call.commit.state = Sent::Dropped,
            // Neither sent again nor fenced: only a person can tell.
            Part::Commit => {}
        }
    }

    /// Whether every payer of an earlier wave is confirmed, as it was quoted.
    fn is_its_turn(&self, nth: usize) -> bool {
        let wave = self.saga.calls[nth].wave;
        let is_confirmed = |call: &Call| call.is_committed() && (call.is_advanced || !call.has_moved());
        self.saga.is_delivering()
            || self.saga.course == Course::Committing
                && self.saga.calls.iter().all(|call| wave <= call.wave || is_confirmed(call))
    }

    fn prepared(&mut self, nth: usize, part: Part, operation: Operation) {
        let is_committing = matches!(self.saga.course, Course::Committing | Course::Delivering);
        let Some(call) = self.saga.calls.get_mut(nth) else { return };
        match part {
            Part::Undo if call.is_to_be_undone() => call.undo = Some(operation),
            Part::Commit if is_committing && call.commit.state == Sent::Fenced => {
                let fenced = std::mem::replace(&mut call.commit, operation);
                call.tombstones.push(fenced.id);
                call.undo = None;
            }
            _ => return,
        }
        self.is_to_be_kept = true;
    }

    /// A commit that cannot be made ready is refused by its adapter; a reversal that cannot is refused as well, and
    /// somebody has to look.
    fn not_prepared(&mut self, nth: usize, part: Part, why: String) {
        let said = refused(NOT_PREPARED, &why);
        let Some(call) = self.saga.calls.get_mut(nth) else { return };
        let commit = Arc::clone(&call.commit.id);
        let refused = Sent::Refused { code: NOT_PREPARED.to_owned(), message: why };
        match part {
            Part::Commit if call.commit.state == Sent::Fenced => call.commit.state = refused,
            Part::Undo if call.is_to_be_undone() => {
                call.undo = Some(Operation { state: refused, ..call.commit.clone() });
            }
            _ => return,
        }
        self.saga.note(self.at, Some(&commit), &said);
        self.is_to_be_kept = true;
    }

    /// The confirmed amounts are what the chain goes on with; payers that were not sent to are replaced.
    fn requoted(&mut self, calls: Vec<Call>) {
        if self.saga.course != Course::Requoting {
            return;
        }
        self.saga.calls.retain(Call::is_committed);
        for call in &mut self.saga.calls {
            if let Sent::Done { amounts, .. } = &call.commit.state {
                call.legs.clone_from(amounts);
            }
        }
        self.saga.calls.extend(calls);
        self.saga.course = Course::Committing;
        self.is_to_be_kept = true;
    }

    pub(super) fn give_up(&mut self, why: Why) {
        if matches!(self.saga.course, Course::Committing | Course::Requoting) {
            self.saga.note(self.at, None, &given_up(&why, None).message);
            self.saga.course = Course::Undoing(why);
            self.is_to_be_kept = true;
        }
    }

    fn retry(&mut self, operator: &str, reason: &str) {
        self.saga.note(self.at, None, &retry_ordered(operator, reason));
        for call in &mut self.saga.calls {
            if call.undo.as_ref().is_some_and(|undo| matches!(undo.state, Sent::Refused { .. })) {
                call.undo = None;
            }
            for operation in call.undo.iter_mut().chain([&mut call.commit]) {
                if let Sent::Unknown { ask_at, .. } = &mut operation.state {
                    *ask_at = self.at;
                }
            }
        }
        self.is_to_be_kept = true;
    }

    fn resolved(&mut self, id: &Arc<str>, as_: Resolution, operator: &str, reason: &str) {
        let Some((nth, part)) = self.saga.found(id) else { return };
        let is_given_up = self.saga.is_given_up(nth);
        if !self.saga.is_in_doubt(nth, part) || self.saga.calls[nth].unlike(part, &as_).is_some() {
            return;
        }
        let said = resolved(&as_, operator, reason);
        let call = &mut self.saga.calls[nth];
        let Some(operation) = call.operation_mut(part) else { return };
        match (as_, part) {
            (
                Resolution::Done { amounts, reference } | Resolution::DoneOtherwise { amounts, reference },
                Part::Commit,
            ) => {
                operation.state = Sent::Done { amounts, reference, at: self.at };
                call.undo = None;
            }
            (
                Resolution::Done { amounts, reference } | Resolution::DoneOtherwise { amounts, reference },
                Part::Undo,
            ) => {
                operation.state = Sent::Done { amounts, reference, at: self.at };
                if !call.is_committed() {
                    call.commit.state = Sent::Fenced;
                }
            }
            (Resolution::NotDone, Part::Commit) if is_given_up => operation.state = Sent::Dropped,
            (Resolution::NotDone, Part::Commit) => {
                let code = RESOLVED_AS_NOT_DONE.to_owned();
                operation.state = Sent::Refused { code, message: reason.to_owned() };
            }
            (Resolution::NotDone, Part::Undo) => call.undo = None,
        }
        call.note_doubt();
        self.saga.note(self.at, Some(id), &said);
        self.is_to_be_kept = true;
    }
}

impl Call {
    fn is_to_be_undone(&self) -> bool {
        self.undo.is_none() && matches!(self.commit.state, Sent::Done { .. } | Sent::Unknown { .. })
    }
}
