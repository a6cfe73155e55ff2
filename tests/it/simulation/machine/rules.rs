//! What must hold after every step, whatever came before.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use yizhan::settlement::saga::{
    CLOCKS_APART_MAX, Call, Course, Event, Operation, Part, Saga, Sent, Stepped, Wanted, step,
};

use yizhan_contract::{Money, PayerCode};

use super::seconds;

/// A saga that is watched while it is stepped.
pub(in crate::simulation) struct Watched {
    pub(in crate::simulation) saga: Saga,
    /// As a gateway that starts now would read it.
    pub(in crate::simulation) durable: Saga,
    sent: BTreeMap<Arc<str>, u32>,
    /// The last call is of a payer that was left out: it may come to nothing.
    is_delivery: bool,
}

impl Watched {
    pub(in crate::simulation) fn new(saga: Saga) -> Self {
        let is_delivery = saga.is_delivering();
        Self { durable: saga.clone(), saga, sent: BTreeMap::new(), is_delivery }
    }

    /// One event; what is wanted, or which promise was broken.
    pub(in crate::simulation) fn step(&mut self, event: Event, at: Timestamp) -> Result<Vec<Wanted>, String> {
        let before = self.saga.clone();
        let Stepped { saga, wanted, is_to_be_kept } = step(self.saga.clone(), event.clone(), at);
        self.saga = saga;
        if is_to_be_kept {
            self.durable = self.saga.clone();
        }
        for want in &wanted {
            let checked = self.wanted(want, &before, &event, at);
            checked.map_err(|why| {
                format!(
                    "{why}\n  at {at} by {event:?}\n  wanted {want:?}\n  before {before:#?}\n  after {:#?}",
                    self.saga
                )
            })?;
        }
        self.is_attended(at)?;
        self.nobody_is_forgotten(&before)?;
        self.saga.calls.iter().try_for_each(all_is_given_back)?;
        Ok(wanted)
    }

    fn wanted(&mut self, want: &Wanted, before: &Saga, event: &Event, at: Timestamp) -> Result<(), String> {
        match want {
            Wanted::Send { call, part } => self.send(*call, *part, at),
            Wanted::Ask { call, part } => asked_in_time(before, event, *call, *part, at),
            Wanted::Prepare { call, part: Part::Undo } => {
                let apart = if before.has_changed_hands { CLOCKS_APART_MAX } else { SignedDuration::ZERO };
                undone_in_time(&before.calls[*call], &self.saga.calls[*call], apart, at)
            }
            Wanted::Wake { at: wake } if *wake <= at => Err(format!("woken at {wake}, which has passed")),
            Wanted::Finish => self.finish(),
            Wanted::Prepare { .. } | Wanted::Requote | Wanted::Wake { .. } => Ok(()),
        }
    }

    fn send(&mut self, nth: usize, part: Part, at: Timestamp) -> Result<(), String> {
        let call = &self.saga.calls[nth];
        let operation = call.operation(part).ok_or("nothing to send")?;
        let kept = self.durable.calls.iter().find_map(|call| of_id(call, &operation.id));
        let Some(kept) = kept else { return Err("an operation is sent that is not durable".to_owned()) };
        if kept.leaves_before < at {
            return Err("a request leaves later than what is durable says".to_owned());
        }
        let times = self.sent.entry(Arc::clone(&operation.id)).or_default();
        *times += 1;
        if part == Part::Undo {
            return Ok(());
        }
        if *times > 1 && !call.terms.commits_are_idempotent {
            return Err("a commit is sent twice to a payer that would do it twice".to_owned());
        }
        if !matches!(self.saga.course, Course::Committing | Course::Delivering) {
            return Err("a commit is sent while the settlement is not being committed".to_owned());
        }
        let is_outdated = |other: &Call| other.wave < call.wave && other.has_moved() && !other.is_advanced;
        if self.saga.calls.iter().any(is_outdated) {
            return Err("a commit is sent on a quote that rests upon another amount".to_owned());
        }
        let is_awaited = |other: &Call| other.wave < call.wave && !other.is_committed() && !other.is_advanced;
        if self.saga.calls.iter().any(is_awaited) {
            return Err("a commit is sent before those of earlier waves are confirmed".to_owned());
        }
        Ok(())
    }

    fn finish(&self) -> Result<(), String> {
        let is_unquoted = |call: &Call| call.has_moved() && !call.is_advanced && !self.is_delivery;
        let stands = matches!(self.saga.course, Course::Committed | Course::Delivering);
        if stands && self.saga.calls.iter().any(is_unquoted) {
            return Err("settled with an amount that nobody has priced anew".to_owned());
        }
        let is_right = match self.saga.course {
            Course::Committed => {
                let may_be_clear = self.saga.calls.last().filter(|call| self.is_delivery && call.is_clear());
                let is_done = |call: &Call| {
                    let may_be_clear = may_be_clear == Some(call) || (call.is_advanced && call.is_clear());
                    call.is_committed() || may_be_clear
                };
                self.saga.calls.iter().all(is_done)
            }
            // Settled, but for what the hospital advances.
            Course::Delivering => {
                self.saga.calls.iter().all(|call| call.is_committed() || call.is_advanced)
                    && self.saga.calls.iter().any(|call| call.is_advanced)
            }
            Course::Undone(_) | Course::Reversed(_) => self.saga.calls.iter().all(Call::is_clear),
            _ => false,
        };
        if is_right { Ok(()) } else { Err("finished before the payers are".to_owned()) }
    }

    /// Whose commit may be under way, or was confirmed, keeps its place, or its fence does.
    fn nobody_is_forgotten(&self, before: &Saga) -> Result<(), String> {
        let is_kept = |commit: &Operation| {
            let is_of = |call: &Call| call.commit.id == commit.id || call.tombstones.contains(&commit.id);
            self.saga.calls.iter().any(is_of)
        };
        let may_have_paid = |operation: &Operation| {
            matches!(operation.state, Sent::Awaited | Sent::Unknown { .. } | Sent::Done { .. })
        };
        let mut commits = before.calls.iter().map(|call| &call.commit);
        match commits.find(|commit| may_have_paid(commit) && !is_kept(commit)) {
            Some(forgotten) => Err(format!("{forgotten:?} is nobody's any more")),
            None => Ok(()),
        }
    }

    /// What waits for a person says whose turn it is, what is known and what to do.
    fn is_attended(&self, at: Timestamp) -> Result<(), String> {
        let Some(attention) = &self.saga.attention else { return Ok(()) };
        let is_known = self.saga.calls.iter().any(|call| of_id(call, &attention.operation).is_some());
        let is_said = !attention.sentence(&yizhan_contract::Text::new("居民", "residents")).zh.is_empty()
            && !attention.next_step().zh.is_empty()
            && !attention.owner.text().zh.is_empty();
        if is_known && is_said && attention.since <= at && !self.saga.log.is_empty() {
            return Ok(());
        }
        Err(format!("attention without evidence: {attention:?}"))
    }
}

/// What is taken for taken back, its payer has given back: all that it committed; where nobody knows, what it was asked
/// for or nothing.
fn all_is_given_back(call: &Call) -> Result<(), String> {
    let Some(Sent::Done { amounts, .. }) = call.undo.as_ref().map(|undo| &undo.state) else { return Ok(()) };
    let owed = match &call.commit.state {
        Sent::Done { amounts, .. } => amounts,
        _ => &call.legs,
    };
    let by_payer = |amounts: &[(PayerCode, Money)]| amounts.iter().cloned().collect::<BTreeMap<_, _>>();
    let may_be_nothing = !call.is_committed();
    if (may_be_nothing && amounts.is_empty()) || by_payer(amounts) == by_payer(owed) {
        return Ok(());
    }
    Err(format!("{amounts:?} was given back of {owed:?}, and that is taken for all of it"))
}

pub(in crate::simulation) fn of_id<'c>(call: &'c Call, id: &str) -> Option<&'c Operation> {
    [Part::Commit, Part::Undo]
        .into_iter()
        .filter_map(|part| call.operation(part))
        .find(|operation| &*operation.id == id)
}

/// An unknown outcome is asked about when its pause is over, unless a person or a new gateway wants to know.
fn asked_in_time(before: &Saga, event: &Event, nth: usize, part: Part, at: Timestamp) -> Result<(), String> {
    if matches!(event, Event::TakenOver { .. } | Event::RetryOrdered { .. }) {
        return Ok(());
    }
    let operation = before.calls[nth].operation(part).ok_or("nothing to ask about")?;
    match &operation.state {
        Sent::Unknown { ask_at, .. } if *ask_at <= at => Ok(()),
        Sent::Awaited => Ok(()),
        other => Err(format!("asked about too early: {other:?}")),
    }
}

/// A commit is taken back when it is confirmed; one that nobody knows of, when it cannot arrive any more.
fn undone_in_time(before: &Call, after: &Call, apart: SignedDuration, at: Timestamp) -> Result<(), String> {
    let quiet = before.commit.leaves_before + seconds(before.terms.not_found_settles_after_s) + apart;
    match &after.commit.state {
        Sent::Done { .. } => Ok(()),
        Sent::Unknown { .. } if quiet <= at => Ok(()),
        other => Err(format!("undone while it is {other:?}")),
    }
}
