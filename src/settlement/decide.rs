//! What happens inside the store's transaction: from what is known to what is written. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;
use yizhan_contract::stay::civil_date;
use yizhan_contract::{Money, Used};
use yizhan_rules::{Item, PolicyShelf};

use super::bill::{BillState, Reversal};
use super::findings;
use super::identity::{Identity, identify};
use super::lifecycle::{Received, Todo, receive};
use super::message::{Hospital, Message, Mode, Trigger};
use super::outcome::{Beneficiary, Noted, Outcome, Refused};
use super::price::{Ground, price};
use super::record::{Phase, Settlement, StayRecord};
use super::refusals::{self, LinePlaces};
use crate::refusal::Refusal;
use crate::store::{
    AccumulatorMove, BillWrite, Changes, Facts, LegWrite, PersonFacts, PersonRef, StayRef, StayWrite,
};

/// What is asked of a stay.
#[derive(Debug, Clone)]
pub enum Asked {
    Message {
        message: Arc<Message>,
        mode: Mode,
    },
    Commit {
        expected_patient_share: Money,
    },
    Reverse {
        reason: String,
        operator: String,
    },
    /// No charge has come for as long as the profile asks, as of `now`.
    ChargesQuiet {
        mode: Mode,
        now: Timestamp,
    },
}

/// A quiet stay that could not be settled is tried again after this long: a policy may have been published.
const QUIET_RETRY_S: i64 = 3600;

/// Looked up before the transaction; the decision refuses to go on where it does not fit any more.
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
    pub fn decide(self, facts: Facts) -> Option<Changes> {
        let stored = match facts.stay.as_ref().map(|stay| StayRecord::read(&stay.document)) {
            Some(Ok(record)) => Some(record),
            None => None,
            Some(Err(_)) => return None,
        };
        let decided = match &self.asked {
            Asked::Message { message, mode } => self.message(message, *mode, stored, &facts),
            _ => self.at_desk(stored, facts.person.as_ref()),
        };
        decided.ok()
    }

    /// What is asked without a message: the stay and its owner are there, or there is nothing to do.
    fn at_desk(&self, stored: Option<StayRecord>, owner: Option<&PersonFacts>) -> Result<Changes, LookAgain> {
        let (Some(record), Some(owner)) = (stored, owner) else {
            return Ok(answer(&refused(refusals::no_such_stay())));
        };
        // A settlement that was reversed and replaced is not the one to act upon now.
        let current = record.settlement.as_ref().map(|settlement| settlement.id);
        if let StayRef::Settlement(id) = self.stay_ref
            && current != Some(id)
        {
            return Ok(answer(&refused(refusals::replaced())));
        }
        match &self.asked {
            Asked::Message { .. } => Ok(answer(&refused(refusals::no_such_stay()))),
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
    ) -> Result<Changes, LookAgain> {
        let Identity { person, joined, aliases } =
            match identify(facts, message, stored.as_ref(), &self.persons) {
                Ok(identity) => identity,
                Err(refusal) => return Ok(answer(&refused(refusal))),
            };
        let mut changes = match stored {
            None if message.trigger == Trigger::Merge => self.merged(message, &person),
            None if cancels(message) => self.nothing_to_cancel(message, &person),
            None if message.trigger == Trigger::CloseAccount => answer(&refused(refusals::no_such_stay())),
            stored => {
                let record = stored.unwrap_or_else(|| StayRecord::open(self.new_stay_id, message));
                match receive(record, message, mode, self.at) {
                    Ok(received) => self.carry_out(received, &person, &LinePlaces::of(message))?,
                    Err(refusals) => answer(&refusals.into()),
                }
            }
        };
        if !changes.is_refused && (!joined.is_empty() || !aliases.is_empty()) {
            changes.person_id = Some(person.person_id);
            changes.person_aliases = aliases;
            changes.joined = joined;
        }
        Ok(changes)
    }

    /// Two numbers are one person from now on; no stay is spoken of.
    fn merged(&self, message: &Message, person: &PersonFacts) -> Changes {
        let noted = self.noted_without_stay(message, person);
        Changes { person_id: Some(person.person_id), ..answer(&Outcome::Noted(Box::new(noted))) }
    }

    fn nothing_to_cancel(&self, message: &Message, person: &PersonFacts) -> Changes {
        let mut noted = self.noted_without_stay(message, person);
        noted.findings.push(findings::nothing_to_cancel());
        answer(&Outcome::Noted(Box::new(noted)))
    }

    fn carry_out(
        &self,
        received: Received,
        person: &PersonFacts,
        places: &LinePlaces<'_>,
    ) -> Result<Changes, LookAgain> {
        let Received { record, todo, absorbed } = received;
        match todo {
            Todo::Price(mode) => self.price(record, mode, person, places),
            Todo::SameBill => Ok(answer(&issued(&record))),
            Todo::Reverse => Ok(self.take_back(record, person, "ADT^A13".to_owned(), "HL7".to_owned())),
            Todo::Keep | Todo::Wait { .. } | Todo::Late => Ok(self.note(&record, absorbed.repeated, person)),
        }
    }

    fn charges_quiet(
        &self,
        mut record: StayRecord,
        mode: Mode,
        now: Timestamp,
        person: &PersonFacts,
    ) -> Result<Changes, LookAgain> {
        // A message came between the timer and this step: it decided what is waited for.
        if record.phase != Phase::AwaitingCharges || record.quiet_until.is_none_or(|until| now < until) {
            let noted = self.noted(&record, 0, person);
            return Ok(answer(&Outcome::Noted(Box::new(noted))));
        }
        let changes = self.price(record.clone(), mode, person, &LinePlaces::none())?;
        if !changes.is_refused {
            return Ok(changes);
        }
        record.quiet_until = self.at.checked_add(SignedDuration::from_secs(QUIET_RETRY_S)).ok();
        Ok(Changes { stay: Some(self.stay(&record, person)), ..changes })
    }

    fn price(
        &self,
        mut record: StayRecord,
        mode: Mode,
        person: &PersonFacts,
        places: &LinePlaces<'_>,
    ) -> Result<Changes, LookAgain> {
        if !self.lookups.fit(&record) {
            return Err(LookAgain);
        }
        let settlement = match price(&record, &self.ground(person), mode, places) {
            Ok(settlement) => settlement,
            Err(refusals) => return Ok(answer(&refusals.into())),
        };
        let moves = (mode == Mode::Settle).then(|| moves(&settlement, 1));
        record.phase = match mode {
            Mode::Quote => Phase::Quoted,
            Mode::Settle => Phase::Settled,
        };
        let outcome = Outcome::Bill(Box::new(settlement.bill.clone()));
        record.settlement = Some(settlement);
        Ok(self.write(&record, person, moves, &outcome))
    }

    /// Priced again inside the transaction: what was quoted may have moved.
    fn commit(
        &self,
        mut record: StayRecord,
        expected: Money,
        person: &PersonFacts,
    ) -> Result<Changes, LookAgain> {
        if record.phase == Phase::Settled {
            return Ok(answer(&issued(&record)));
        }
        let quote = record.settlement.as_ref().filter(|_| record.phase == Phase::Quoted);
        let Some(valid_until) = quote.map(|quote| quote.bill.valid_until) else {
            return Ok(answer(&refused(refusals::not_quoted(record.phase))));
        };
        if !self.lookups.fit(&record) {
            return Err(LookAgain);
        }
        let none = LinePlaces::none();
        let ground = self.ground(person);
        let settled = match price(&record, &ground, Mode::Settle, &none) {
            Ok(settled) => settled,
            Err(refusals) => return Ok(answer(&refusals.into())),
        };
        let is_expired = valid_until.is_some_and(|until| until < self.at);
        if is_expired || settled.bill.patient_share > expected + self.tolerance(&settled) {
            let again = match price(&record, &ground, Mode::Quote, &none) {
                Ok(again) => again,
                Err(refusals) => return Ok(answer(&refusals.into())),
            };
            let outcome = Outcome::Refused(Refused {
                refusals: vec![refusals::quote_moved(is_expired, expected, again.bill.patient_share)],
                quote: Some(Box::new(again.bill.clone())),
            });
            record.settlement = Some(again);
            return Ok(self.write(&record, person, None, &outcome));
        }
        let moves = moves(&settled, 1);
        let outcome = Outcome::Bill(Box::new(settled.bill.clone()));
        record.phase = Phase::Settled;
        record.settlement = Some(settled);
        Ok(self.write(&record, person, Some(moves), &outcome))
    }

    fn tolerance(&self, settlement: &Settlement) -> Money {
        let policies = self.policies.policies();
        let policy = policies.iter().find(|policy| *policy.label() == settlement.bill.policy);
        policy.map_or(Money::ZERO, |policy| policy.settings().share_tolerance.value)
    }

    fn reverse(&self, mut record: StayRecord, reason: &str, operator: &str, person: &PersonFacts) -> Changes {
        let state = record.settlement.as_ref().map(|settlement| settlement.bill.state);
        match (state, record.phase) {
            (Some(BillState::Reversed), _) => answer(&issued(&record)),
            (Some(_), Phase::Settled) => {
                record.phase = Phase::Reversed;
                self.take_back(record, person, reason.to_owned(), operator.to_owned())
            }
            (_, phase) => answer(&refused(refusals::not_settled(phase))),
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
    ) -> Changes {
        let Some(mut settlement) = record.settlement.take() else {
            return answer(&refused(refusals::no_such_stay()));
        };
        let moves = moves(&settlement, -1);
        settlement.bill = settlement.bill.reversed(Reversal { reason, operator, at: self.at });
        let outcome = Outcome::Bill(Box::new(settlement.bill.clone()));
        record.settlement = Some(settlement);
        record.part.lines.append(&mut record.late_lines);
        record.part.payments.append(&mut record.late_payments);
        record.is_closed = false;
        record.quiet_until = None;
        self.write(&record, person, Some(moves), &outcome)
    }

    fn note(&self, record: &StayRecord, repeated: usize, person: &PersonFacts) -> Changes {
        let noted = self.noted(record, repeated, person);
        let stay = Some(self.stay(record, person));
        Changes { stay, ..answer(&Outcome::Noted(Box::new(noted))) }
    }

    fn noted(&self, record: &StayRecord, repeated: usize, person: &PersonFacts) -> Noted {
        let on = record.part.discharged.value().or(record.part.admitted.value()).copied();
        let on = on.map_or_else(|| civil_date(self.at), |moment| moment.date);
        let is_settled = record.phase == Phase::Settled;
        let mut findings = record.findings.clone();
        if repeated > 0 {
            findings.push(findings::repeated_lines(repeated));
        }
        if is_settled && !record.late_lines.is_empty() {
            let total = record.late_lines.iter().filter_map(|line| line.signed_amount().ok()).sum();
            findings.push(findings::late_charges(record.late_lines.len(), total));
        }
        Noted {
            state: if is_settled { BillState::Settled } else { BillState::AwaitingCharges },
            hospital: Arc::clone(&self.hospital.code),
            visit_number: record.part.visit_number.clone(),
            lines: record.part.lines.len(),
            total: record.part.lines.iter().filter_map(|line| line.signed_amount().ok()).sum(),
            beneficiary: self.beneficiary(person, on),
            findings,
        }
    }

    fn noted_without_stay(&self, message: &Message, person: &PersonFacts) -> Noted {
        Noted {
            state: BillState::AwaitingCharges,
            hospital: Arc::clone(&self.hospital.code),
            visit_number: message.part.visit_number.clone(),
            lines: 0,
            total: Money::ZERO,
            beneficiary: self.beneficiary(person, civil_date(self.at)),
            findings: message.findings.clone(),
        }
    }

    fn beneficiary(&self, person: &PersonFacts, on: Date) -> Beneficiary {
        Beneficiary::of(person.roster.as_ref(), &self.hospital.region, on, &self.policies)
    }

    /// The stay with its newest bill.
    fn write(
        &self,
        record: &StayRecord,
        person: &PersonFacts,
        moves: Option<AccumulatorMove>,
        outcome: &Outcome,
    ) -> Changes {
        Changes {
            stay: Some(self.stay(record, person)),
            bill: record.settlement.as_ref().map(|settlement| self.bill(record, settlement)),
            accumulators: moves.into_iter().collect(),
            ..answer(outcome)
        }
    }

    fn stay(&self, record: &StayRecord, person: &PersonFacts) -> StayWrite {
        StayWrite {
            stay_id: record.stay_id,
            person_id: person.person_id,
            hospital: Arc::clone(&self.hospital.code),
            visit_number: Arc::from(record.part.visit_number.as_str()),
            admitted: record.part.admitted.value().map(|moment| moment.date),
            document: record.document(),
            due_at: record.quiet_until.filter(|_| record.phase == Phase::AwaitingCharges),
        }
    }

    fn bill(&self, record: &StayRecord, settlement: &Settlement) -> BillWrite {
        let bill = &settlement.bill;
        let leg = |payer: &super::bill::BilledPayer| LegWrite {
            payer: payer.payer.clone(),
            state: payer.state,
            paid: payer.paid,
        };
        BillWrite {
            settlement_id: settlement.id,
            stay_id: record.stay_id,
            version: bill.version,
            hospital: Arc::clone(&self.hospital.code),
            state: bill.state.word(),
            day: civil_date(self.at),
            total: bill.amounts.total,
            patient_share: bill.patient_share,
            legs: bill.payers.iter().map(leg).collect(),
            document: serde_json::to_vec(bill).unwrap_or_default(),
        }
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

/// What the settlement adds to its year, or with `-1` takes back.
fn moves(settlement: &Settlement, sign: i32) -> AccumulatorMove {
    let signed = |used: Used| {
        if sign < 0 { Used { base: used.base.negated(), paid: -used.paid } } else { used }
    };
    AccumulatorMove {
        year: settlement.bill.benefit_year,
        admissions: sign,
        payers: settlement
            .moves
            .iter()
            .map(|moved| (moved.payer.clone(), signed(Used { base: moved.base, paid: moved.paid })))
            .collect(),
    }
}

fn serialise(outcome: &Outcome) -> Vec<u8> {
    serde_json::to_vec(outcome).unwrap_or_default()
}

/// Answered, nothing else written.
fn answer(outcome: &Outcome) -> Changes {
    let is_refused = matches!(outcome, Outcome::Refused(_));
    Changes { answer: serialise(outcome), is_refused, ..Changes::default() }
}

/// The newest bill, as issued.
fn issued(record: &StayRecord) -> Outcome {
    match &record.settlement {
        Some(settlement) => Outcome::Bill(Box::new(settlement.bill.clone())),
        None => refused(refusals::no_such_stay()),
    }
}

fn refused(refusal: Refusal) -> Outcome {
    Outcome::from(refusal)
}
