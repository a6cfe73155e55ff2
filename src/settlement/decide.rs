//! What a step comes to: from what is known to what is written and answered. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;
use yizhan_contract::Money;
use yizhan_rules::{Item, PolicyShelf};

use super::asked::Asked;
use super::bill::{BillState, Reversal};
use super::findings;
use super::identity::{Identity, identify};
use super::lifecycle::{Received, Todo, receive};
use super::message::{Hospital, Message, Mode, Trigger};
use super::outcome::{Outcome, Refused};
use super::price::{Ground, price};
use super::record::{Phase, Settlement, StayRecord};
use super::refusals::{self, LinePlaces};
use super::verdict::{Verdict, answer, issued, moves, refused};
use crate::store::{Changes, Facts, PersonFacts, PersonRef, StayRef};

/// A quiet stay that could not be settled is tried again after this long: a policy may have been published.
const QUIET_RETRY_S: i64 = 3600;

/// Looked up before the step; the decision refuses to go on where it does not fit any more.
pub struct Lookups {
    pub on: Date,
    pub codes: Vec<String>,
    pub items: BTreeMap<String, Item>,
}

impl Lookups {
    /// Whether the stay, as it is now, is covered by what was looked up.
    fn fit(&self, record: &StayRecord) -> bool {
        let discharged = record.part.discharged.value().map(|moment| moment.date);
        discharged.is_none_or(|day| day == self.on)
            && record.part.lines.iter().all(|line| self.codes.binary_search(&line.code).is_ok())
    }
}

/// Everything one decision needs beside the stored facts.
pub struct Decision {
    pub asked: Asked,
    pub hospital: Arc<Hospital>,
    pub policies: Arc<PolicyShelf>,
    pub lookups: Lookups,
    pub at: Timestamp,
    pub stay_ref: StayRef,
    /// Of a message, as asked of the store.
    pub persons: Vec<PersonRef>,
    pub new_stay_id: Uuid,
    pub new_settlement_id: Uuid,
}

/// Looked-up data no longer fits: nothing is written, the caller looks again.
struct LookAgain;

impl Decision {
    /// `None`: look up again and come back.
    pub fn decide(&self, facts: Facts) -> Option<Verdict> {
        let stored = match facts.stay.as_ref().map(StayRecord::read) {
            Some(Ok(record)) => Some(record),
            None => None,
            Some(Err(_)) => return None,
        };
        let decided = match &self.asked {
            Asked::Message { message, mode } => self.message(message, *mode, stored, &facts),
            _ => self.at_desk(stored, facts.person.as_ref()),
        };
        let mut verdict = decided.ok()?;
        verdict.changes.answer = verdict.outcome.kept();
        verdict.changes.is_refused = verdict.outcome.is_refused();
        Some(verdict)
    }

    /// What is asked without a message: the stay and its owner are there, or there is nothing to do.
    fn at_desk(&self, stored: Option<StayRecord>, owner: Option<&PersonFacts>) -> Result<Verdict, LookAgain> {
        let (Some(record), Some(owner)) = (stored, owner) else {
            return Ok(answer(refused(refusals::no_such_stay())));
        };
        // A settlement that was reversed and replaced is not the one to act upon now.
        let current = record.settlement.as_ref().map(|settlement| settlement.id);
        if let StayRef::Settlement(id) = self.stay_ref
            && current != Some(id)
        {
            return Ok(answer(refused(refusals::replaced())));
        }
        match &self.asked {
            Asked::Message { .. } => Ok(answer(refused(refusals::no_such_stay()))),
            Asked::Commit { expected_patient_share } => self.commit(record, *expected_patient_share, owner),
            Asked::Reverse { reason, operator } => Ok(self.reverse(record, reason, operator, owner)),
            Asked::ChargesQuiet { mode, now } => self.charges_quiet(record, *mode, *now, owner),
        }
    }

    fn message(
        &self,
        message: &Message,
        mode: Mode,
        stored: Option<StayRecord>,
        facts: &Facts,
    ) -> Result<Verdict, LookAgain> {
        let Identity { person, joined, aliases } =
            match identify(facts, message, stored.as_ref(), &self.persons) {
                Ok(identity) => identity,
                Err(refusal) => return Ok(answer(refused(refusal))),
            };
        let mut verdict = match stored {
            None if message.trigger == Trigger::Merge => self.merged(message, &person),
            None if cancels(message) => self.nothing_to_cancel(message, &person),
            None if message.trigger == Trigger::CloseAccount => answer(refused(refusals::no_such_stay())),
            stored => {
                let record = stored.unwrap_or_else(|| StayRecord::open(self.new_stay_id, message));
                match receive(record, message, mode, self.at) {
                    Ok(received) => self.carry_out(received, &person, &LinePlaces::of(message))?,
                    Err(refusals) => answer(refusals.into()),
                }
            }
        };
        if !verdict.outcome.is_refused() && (!joined.is_empty() || !aliases.is_empty()) {
            verdict.changes.person_id = Some(person.person_id);
            verdict.changes.person_aliases = aliases;
            verdict.changes.joined = joined;
        }
        Ok(verdict)
    }

    /// Two numbers are one person from now on; no stay is spoken of.
    fn merged(&self, message: &Message, person: &PersonFacts) -> Verdict {
        let noted = self.noted_without_stay(message, person);
        let changes = Changes { person_id: Some(person.person_id), ..Changes::default() };
        Verdict { changes, outcome: Outcome::Noted(Box::new(noted)) }
    }

    fn nothing_to_cancel(&self, message: &Message, person: &PersonFacts) -> Verdict {
        let mut noted = self.noted_without_stay(message, person);
        noted.findings.push(findings::nothing_to_cancel());
        answer(Outcome::Noted(Box::new(noted)))
    }

    fn carry_out(
        &self,
        received: Received,
        person: &PersonFacts,
        places: &LinePlaces<'_>,
    ) -> Result<Verdict, LookAgain> {
        let Received { record, todo, absorbed } = received;
        match todo {
            Todo::Price(mode) => self.price(record, mode, person, places),
            Todo::SameBill => Ok(answer(issued(record))),
            Todo::Reverse => Ok(self.take_back(record, person, "ADT^A13".to_owned(), "HL7".to_owned())),
            Todo::Keep | Todo::Wait { .. } | Todo::Late => Ok(self.note(record, absorbed.repeated, person)),
        }
    }

    fn charges_quiet(
        &self,
        mut record: StayRecord,
        mode: Mode,
        now: Timestamp,
        person: &PersonFacts,
    ) -> Result<Verdict, LookAgain> {
        // A message came between the timer and this step: it decided what is waited for.
        if record.phase != Phase::AwaitingCharges || record.quiet_until.is_none_or(|until| now < until) {
            let noted = self.noted(&record, 0, person);
            return Ok(answer(Outcome::Noted(Box::new(noted))));
        }
        let mut verdict = self.price(record.clone(), mode, person, &LinePlaces::none())?;
        if verdict.outcome.is_refused() {
            record.quiet_until = self.at.checked_add(SignedDuration::from_secs(QUIET_RETRY_S)).ok();
            verdict.changes.stay = Some(self.stay(record, person).0);
        }
        Ok(verdict)
    }

    fn price(
        &self,
        mut record: StayRecord,
        mode: Mode,
        person: &PersonFacts,
        places: &LinePlaces<'_>,
    ) -> Result<Verdict, LookAgain> {
        if !self.lookups.fit(&record) {
            return Err(LookAgain);
        }
        let settlement = match price(&record, &self.ground(person), mode, places) {
            Ok(settlement) => settlement,
            Err(refusals) => return Ok(answer(refusals.into())),
        };
        let moves = (mode == Mode::Settle).then(|| moves(&settlement, 1));
        record.phase = match mode {
            Mode::Quote => Phase::Quoted,
            Mode::Settle => Phase::Settled,
        };
        record.settlement = Some(settlement);
        Ok(self.write(record, person, moves, Outcome::Bill))
    }

    /// Priced again on the facts of this step: what was quoted may have moved.
    fn commit(
        &self,
        mut record: StayRecord,
        expected: Money,
        person: &PersonFacts,
    ) -> Result<Verdict, LookAgain> {
        if record.phase == Phase::Settled {
            return Ok(answer(issued(record)));
        }
        let quote = record.settlement.as_ref().filter(|_| record.phase == Phase::Quoted);
        let Some(valid_until) = quote.map(|quote| quote.bill.valid_until) else {
            return Ok(answer(refused(refusals::not_quoted(record.phase))));
        };
        if !self.lookups.fit(&record) {
            return Err(LookAgain);
        }
        let none = LinePlaces::none();
        let ground = self.ground(person);
        let settled = match price(&record, &ground, Mode::Settle, &none) {
            Ok(settled) => settled,
            Err(refusals) => return Ok(answer(refusals.into())),
        };
        let is_expired = valid_until.is_some_and(|until| until < self.at);
        if is_expired || settled.bill.patient_share > expected + self.tolerance(&settled) {
            let again = match price(&record, &ground, Mode::Quote, &none) {
                Ok(again) => again,
                Err(refusals) => return Ok(answer(refusals.into())),
            };
            let refusals = vec![refusals::quote_moved(is_expired, expected, again.bill.patient_share)];
            record.settlement = Some(again);
            let refused = |quote| Outcome::Refused(Refused { refusals, quote: Some(quote) });
            return Ok(self.write(record, person, None, refused));
        }
        let moves = moves(&settled, 1);
        record.phase = Phase::Settled;
        record.settlement = Some(settled);
        Ok(self.write(record, person, Some(moves), Outcome::Bill))
    }

    fn tolerance(&self, settlement: &Settlement) -> Money {
        let policies = self.policies.policies();
        let policy = policies.iter().find(|policy| *policy.label() == settlement.bill.policy);
        policy.map_or(Money::ZERO, |policy| policy.settings().share_tolerance.value)
    }

    fn reverse(&self, mut record: StayRecord, reason: &str, operator: &str, person: &PersonFacts) -> Verdict {
        let state = record.settlement.as_ref().map(|settlement| settlement.bill.state);
        match (state, record.phase) {
            (Some(BillState::Reversed), _) => answer(issued(record)),
            (Some(_), Phase::Settled) => {
                record.phase = Phase::Reversed;
                self.take_back(record, person, reason.to_owned(), operator.to_owned())
            }
            (_, phase) => answer(refused(refusals::not_settled(phase))),
        }
    }

    /// Gives back exactly what the settlement moved; later stays are not priced again. Charges that came late
    /// belong to the stay from now on, and what closes it has to come again.
    fn take_back(
        &self,
        mut record: StayRecord,
        person: &PersonFacts,
        reason: String,
        operator: String,
    ) -> Verdict {
        let Some(mut settlement) = record.settlement.take() else {
            return answer(refused(refusals::no_such_stay()));
        };
        let moves = moves(&settlement, -1);
        settlement.bill = settlement.bill.reversed(Reversal { reason, operator, at: self.at });
        record.settlement = Some(settlement);
        record.part.lines.append(&mut record.late_lines);
        record.part.payments.append(&mut record.late_payments);
        record.is_closed = false;
        record.quiet_until = None;
        self.write(record, person, Some(moves), Outcome::Bill)
    }

    fn note(&self, record: StayRecord, repeated: usize, person: &PersonFacts) -> Verdict {
        let noted = self.noted(&record, repeated, person);
        let changes = Changes { stay: Some(self.stay(record, person).0), ..Changes::default() };
        Verdict { changes, outcome: Outcome::Noted(Box::new(noted)) }
    }

    fn ground<'a>(&'a self, person: &'a PersonFacts) -> Ground<'a> {
        Ground {
            hospital: &self.hospital,
            policies: &self.policies,
            items: &self.lookups.items,
            roster: person.roster.as_ref(),
            years: &person.years,
            at: self.at,
            new_id: self.new_settlement_id,
        }
    }
}

/// Where the stay is not known, what the message wants is so already.
fn cancels(message: &Message) -> bool {
    matches!(message.trigger, Trigger::CancelAdmit | Trigger::CancelDischarge)
}
