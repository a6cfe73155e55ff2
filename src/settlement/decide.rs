//! What a step comes to: from what is known to what is written and answered. Pure.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;
use uuid::Uuid;
use yizhan_contract::Money;
use yizhan_rules::{Item, PolicyShelf};

use super::bill::{BillState, Reversal};
use super::carried::Carry;
use super::delivery::Deferred;
use super::effect::Effect;
use super::findings;
use super::given::Given;
use super::identity::{Identity, identify};
use super::lifecycle::{Received, Todo, receive};
use super::message::{Hospital, Message, Mode, Trigger};
use super::outcome::{Outcome, Refused};
use super::payers::Payers;
use super::price::{Ground, Priced, price, share_tolerance};
use super::record::{Phase, Pricing, Settlement, StayRecord};
use super::refusals::{self, LinePlaces};
use super::reserved::reserved_by_others;
use super::saga::{Event, Ordered, step};
use super::shadow::Shadowed;
use super::visits::Visits;
use super::written::Issued;
use crate::store::{Changes, Facts, Hold, Lease, PersonFacts, PersonRef, StayRef, StoreError};

/// Why a settlement is taken back whose discharge its hospital cancels.
const DISCHARGE_CANCELLED: &str = "出院已取消 | the discharge is cancelled";

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
    /// What the driver brings back from outside payers.
    Carry(Arc<Carry>),
}

/// Looked up before the transaction; the decision refuses to go on where it does not fit any more.
pub struct Lookups {
    pub on: Date,
    pub codes: Vec<String>,
    pub items: BTreeMap<String, Item>,
}

impl Lookups {
    /// Whether the stay, as it is now, is covered by what was looked up.
    pub(super) fn fit(&self, record: &StayRecord) -> bool {
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
    pub new_outbox_id: Uuid,
    pub payers: Arc<Payers>,
    /// What the driver told adapters of the visit; written with the stay.
    pub visits: Visits,
    pub leasing: Leasing,
}

/// On whose behalf a stay is taken up where outside payers have to be asked.
#[derive(Debug, Clone)]
pub struct Leasing {
    pub holder: Arc<str>,
    pub until: Timestamp,
    /// The lease this decision is made under, where there is one.
    pub lease: Option<Lease>,
}

/// What is written, and what is answered once it is.
pub struct Verdict {
    pub changes: Changes,
    pub outcome: Outcome,
    /// The right to drive the stay on, where this decision took it.
    pub lease: Option<Lease>,
    /// What adapters are to be asked once it is written, to be compared.
    pub shadowed: Vec<Shadowed>,
}

/// What a step comes to, or why nothing is decided.
pub(super) type Decided = Result<Verdict, Undecided>;

/// Why a step is not decided; nothing of it is written.
#[derive(Debug)]
pub enum Undecided {
    /// What was looked up no longer fits, or the stay is not what it was taken for: look again and come back.
    LookAgain,
    /// What is stored cannot be read, or what is to be stored cannot be written.
    Failed(StoreError),
}

impl Undecided {
    /// A document of ours that cannot be written: a step that went on without it would store nothing and say that
    /// it had.
    pub(super) fn defect(why: impl fmt::Display) -> Self {
        Self::Failed(StoreError::Defect(why.to_string()))
    }
}

impl Decision {
    /// # Errors
    /// See [`Undecided`].
    pub fn decide(&self, facts: Facts) -> Decided {
        let stored = facts.stay.as_ref().map(StayRecord::read).transpose();
        let stored = stored.map_err(|why| Undecided::Failed(StoreError::Damaged(why.to_string())))?;
        // Whoever decides knows its hospital.
        let stored = stored.map(|record| StayRecord { no_profile_since: None, ..record });
        let before = stored.as_ref().and_then(Issued::of);
        let verdict = match &self.asked {
            Asked::Message { message, mode } => self.message(message, *mode, stored, &facts),
            _ => self.at_desk(stored, facts.person.as_ref()),
        };
        let mut verdict = verdict?.telling_what_is_new(before);
        verdict.changes.answer = verdict.outcome.kept().map_err(Undecided::defect)?;
        verdict.changes.is_refused = verdict.outcome.is_refused();
        Ok(verdict)
    }

    /// What is asked without a message: the stay and its owner are there, or there is nothing to do.
    fn at_desk(&self, stored: Option<StayRecord>, owner: Option<&PersonFacts>) -> Decided {
        let (Some(mut record), Some(owner)) = (stored, owner) else {
            return Ok(Verdict::refused(refusals::no_such_stay()));
        };
        record.visits.extend(self.visits.clone());
        // A settlement that was reversed and replaced is not the one to act upon now.
        let current = record.settlement.as_ref().map(|settlement| settlement.id);
        if let StayRef::Settlement(id) = self.stay_ref
            && current != Some(id)
        {
            return Ok(Verdict::refused(refusals::replaced(record.phase)));
        }
        match &self.asked {
            Asked::Message { .. } => Ok(Verdict::refused(refusals::no_such_stay())),
            Asked::Commit { expected_patient_share } => self.commit(record, *expected_patient_share, owner),
            Asked::Reverse { reason, operator } => {
                self.reverse(record, self.ordered(reason, operator, false), owner)
            }
            Asked::ChargesQuiet { mode, now } => self.charges_quiet(record, *mode, *now, owner),
            Asked::Carry(carry) => self.carry(record, carry, owner),
        }
    }

    fn message(&self, message: &Message, mode: Mode, stored: Option<StayRecord>, facts: &Facts) -> Decided {
        let Identity { person, joined, aliases } =
            match identify(facts, message, stored.as_ref(), &self.persons) {
                Ok(identity) => identity,
                Err(refusal) => return Ok(Verdict::refused(refusal)),
            };
        let mut verdict = match stored {
            None if message.trigger == Trigger::Merge => self.merged(message, &person),
            None if cancels(message) => self.nothing_to_cancel(message, &person),
            None if message.trigger == Trigger::CloseAccount => Verdict::refused(refusals::no_such_stay()),
            stored => {
                let record = stored.unwrap_or_else(|| StayRecord::open(self.new_stay_id, message));
                match receive(record, message, mode, self.at) {
                    Ok(received) => self.carry_out(received, &person, &LinePlaces::of(message))?,
                    Err(refusals) => Verdict::answer(refusals.into()),
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
        Verdict { changes, ..Verdict::answer(Outcome::Noted(Box::new(noted))) }
    }

    fn nothing_to_cancel(&self, message: &Message, person: &PersonFacts) -> Verdict {
        let mut noted = self.noted_without_stay(message, person);
        noted.findings.push(findings::nothing_to_cancel());
        Verdict::answer(Outcome::Noted(Box::new(noted)))
    }

    fn carry_out(&self, received: Received, person: &PersonFacts, places: &LinePlaces<'_>) -> Decided {
        let Received { record, todo, absorbed } = received;
        match todo {
            Todo::Price(mode) => self.price(record, mode, person, places),
            Todo::PriceAgain(mode) => self.price_again(record, mode, absorbed.repeated, person),
            Todo::SameBill => Ok(Verdict::issued(record)),
            Todo::Reverse { by } => {
                self.reverse(record, self.ordered(DISCHARGE_CANCELLED, &by, true), person)
            }
            Todo::Keep | Todo::Wait { .. } | Todo::Late | Todo::InHand => {
                self.note(record, absorbed.repeated, person)
            }
        }
    }

    pub(super) fn price(
        &self,
        mut record: StayRecord,
        mode: Mode,
        person: &PersonFacts,
        places: &LinePlaces<'_>,
    ) -> Decided {
        if !self.lookups.fit(&record) {
            return Err(Undecided::LookAgain);
        }
        let settlement = match price(&record, &self.ground(person, &record, &Given::new()), mode, places) {
            Ok(Priced::Bill(settlement)) => *settlement,
            Ok(Priced::Ask(_) | Priced::Breach(_)) => {
                return self.ask_payers(record, Pricing::new(mode, self.at, None), person);
            }
            Err(refusals) => return Ok(Verdict::answer(refusals.into())),
        };
        record.pricing = None;
        record.price_as(settlement);
        match mode {
            Mode::Quote => self.quoted(record, person),
            Mode::Settle => self.settled(record, person),
        }
    }

    /// Outside payers have to be asked first, which no transaction waits for: the stay is kept, and whoever takes it
    /// up asks them.
    fn ask_payers(&self, mut record: StayRecord, pricing: Pricing, person: &PersonFacts) -> Decided {
        record.pricing = Some(pricing);
        record.hold = self.hold(&record);
        let lease = Some(self.lease_of(&record, person));
        Ok(Verdict { lease, ..self.note(record, 0, person)? })
    }

    /// The stay is this gateway's from now on; under a lease of its own, it stays so.
    fn hold(&self, record: &StayRecord) -> Hold {
        let Leasing { holder, until, lease } = &self.leasing;
        let epoch = lease.map_or(record.hold.epoch + 1, |lease| lease.epoch);
        Hold { due_at: Some(*until), epoch, held_by: Some(Arc::clone(holder)) }
    }

    fn lease_of(&self, record: &StayRecord, person: &PersonFacts) -> Lease {
        Lease { stay_id: record.stay_id, person_id: person.person_id, epoch: record.hold.epoch }
    }

    /// Priced again inside the transaction: what was quoted may have moved.
    fn commit(&self, mut record: StayRecord, expected: Money, person: &PersonFacts) -> Decided {
        if let (Phase::Settled | Phase::Committing, Some(settlement)) = (record.phase, &record.settlement) {
            return Ok(committed_before(record.phase, settlement, expected));
        }
        let quote = record.settlement.as_ref().filter(|_| record.phase == Phase::Quoted);
        let Some(valid_until) = quote.map(|quote| quote.bill.valid_until) else {
            return Ok(Verdict::refused(refusals::not_quoted(record.phase)));
        };
        if !self.lookups.fit(&record) {
            return Err(Undecided::LookAgain);
        }
        let is_expired = valid_until.is_some_and(|until| until < self.at);
        let none = LinePlaces::none();
        let given = Given::new();
        let ground = self.ground(person, &record, &given);
        let settled = match price(&record, &ground, Mode::Settle, &none) {
            Ok(Priced::Bill(settled)) => *settled,
            Ok(Priced::Ask(_) | Priced::Breach(_)) => {
                let pricing = match is_expired {
                    true => Pricing::of_expired(self.at, expected),
                    false => Pricing::new(Mode::Settle, self.at, Some(expected)),
                };
                return self.ask_payers(record, pricing, person);
            }
            Err(refusals) => return Ok(Verdict::answer(refusals.into())),
        };
        if is_expired || settled.bill.patient_share > expected + self.tolerance(&settled) {
            let again = match price(&record, &ground, Mode::Quote, &none) {
                Ok(Priced::Bill(again)) => *again,
                Ok(Priced::Ask(_) | Priced::Breach(_)) => return Err(Undecided::LookAgain),
                Err(refusals) => return Ok(Verdict::answer(refusals.into())),
            };
            return self.moved(record, again, is_expired, expected, person);
        }
        record.price_as(Settlement { agreed: Some(expected), ..settled });
        self.settled(record, person)
    }

    /// The quote that somebody wanted to commit has moved: here is the new one, and no money moved.
    pub(super) fn moved(
        &self,
        mut record: StayRecord,
        again: Settlement,
        is_expired: bool,
        expected: Money,
        person: &PersonFacts,
    ) -> Decided {
        let refusals = vec![refusals::quote_moved(is_expired, expected, again.bill.patient_share)];
        record.phase = Phase::Quoted;
        record.price_as(again);
        let refused = |quote| Outcome::Refused(Refused { refusals, quote: Some(quote) });
        self.write(record, person, Effect::default(), refused)
    }

    pub(super) fn quoted(&self, mut record: StayRecord, person: &PersonFacts) -> Decided {
        record.phase = Phase::Quoted;
        self.write(record, person, Effect::default(), Outcome::Bill)
    }

    /// The settlement is what its bill says, from this transaction on.
    pub(super) fn settled(&self, mut record: StayRecord, person: &PersonFacts) -> Decided {
        record.phase = Phase::Settled;
        self.owe_delivery(&mut record);
        let effect = record.settlement.as_ref().map(Effect::by_settling).unwrap_or_default();
        self.write(record, person, effect, Outcome::Bill)
    }

    pub(super) fn tolerance(&self, settlement: &Settlement) -> Money {
        share_tolerance(&self.policies, settlement)
    }

    fn ordered(&self, reason: &str, operator: &str, is_discharge_cancelled: bool) -> Ordered {
        let (reason, operator) = (reason.to_owned(), operator.to_owned());
        Ordered { reason, operator, at: self.at, is_discharge_cancelled }
    }

    fn reverse(&self, mut record: StayRecord, ordered: Ordered, person: &PersonFacts) -> Decided {
        let state = record.settlement.as_ref().map(|settlement| settlement.bill.state);
        match (state, record.phase) {
            (Some(BillState::Reversed), _) => Ok(Verdict::issued(record)),
            (Some(_), Phase::Reversing) => Ok(Verdict::issued(record)),
            (Some(_), Phase::Committing) => Ok(Verdict::refused(refusals::being_settled(record.phase))),
            (Some(_), Phase::Settled) if record.is_committed_outside() => {
                self.begin_reversal(record, ordered, person)
            }
            (Some(_), Phase::Settled) => {
                record.phase = Phase::Reversed;
                self.take_back(record, person, &ordered)
            }
            (_, phase) => Ok(Verdict::refused(refusals::not_settled(phase))),
        }
    }

    /// Payers have to take their money back first. Where one of them cannot, nothing is begun.
    fn begin_reversal(&self, mut record: StayRecord, ordered: Ordered, person: &PersonFacts) -> Decided {
        let Some(saga) = record.saga.take() else { return Ok(Verdict::issued(record)) };
        if saga.is_irreversible_under_way() {
            return Ok(Verdict::refused(refusals::being_settled(record.phase)));
        }
        if let Some(call) = saga.not_reversible(self.at) {
            return Ok(Verdict::refused(refusals::not_reversible(&record.names_of(call.payers()))));
        }
        let saga = step(saga, Event::ReverseOrdered(ordered.clone()), self.at).saga;
        // No payer holds anything of it (what was advanced was refused): it is taken back by this very step.
        if saga.is_over() {
            (record.phase, record.saga) = (Phase::Reversed, Some(saga));
            return self.take_back(record, person, &ordered);
        }
        record.phase = Phase::Reversing;
        record.hold = self.hold(&record);
        if let Some(settlement) = &mut record.settlement {
            settlement.bill.version += 1;
            settlement.bill.show(&saga);
        }
        record.saga = Some(saga);
        let lease = Some(self.lease_of(&record, person));
        Ok(Verdict { lease, ..self.write(record, person, Effect::default(), Outcome::Bill)? })
    }

    /// Gives back exactly what the settlement moved; later stays are not priced again. Charges that came late
    /// belong to the stay from now on, and what closes it has to come again.
    pub(super) fn take_back(
        &self,
        mut record: StayRecord,
        person: &PersonFacts,
        ordered: &Ordered,
    ) -> Decided {
        let Some(mut settlement) = record.settlement.take() else {
            return Ok(Verdict::refused(refusals::no_such_stay()));
        };
        let deferred = settlement.deferred.take();
        let release =
            |deferred: &Deferred| Effect::by_reserving_delivery(&settlement, &deferred.reserved, -1);
        let release = deferred.as_ref().map(release).unwrap_or_default();
        let effect = Effect::by_taking_back(&settlement).and(release);
        let (reason, operator) = (ordered.reason.clone(), ordered.operator.clone());
        settlement.bill = settlement.bill.reversed(Reversal { reason, operator, at: self.at });
        record.settlement = Some(settlement);
        record.part.lines.append(&mut record.late_lines);
        record.part.payments.append(&mut record.late_payments);
        record.is_closed = false;
        record.quiet_until = None;
        if ordered.is_discharge_cancelled {
            record.cancel_discharge();
        }
        self.write(record, person, effect, Outcome::Bill)
    }

    pub(super) fn ground<'a>(
        &'a self,
        person: &'a PersonFacts,
        record: &StayRecord,
        given: &'a Given,
    ) -> Ground<'a> {
        Ground {
            hospital: &self.hospital,
            policies: &self.policies,
            items: &self.lookups.items,
            roster: person.roster.as_ref(),
            years: &person.years,
            reserved: reserved_by_others(person, record),
            at: self.at,
            new_id: self.new_settlement_id,
            payers: &self.payers,
            given,
        }
    }
}

/// Committed again: the bill, to whoever agreed to its share or to what it was committed for; to others what it says.
fn committed_before(phase: Phase, settlement: &Settlement, expected: Money) -> Verdict {
    let bill = Box::new(settlement.bill.clone());
    if expected == bill.patient_share || Some(expected) == settlement.agreed {
        return Verdict::answer(Outcome::Bill(bill));
    }
    let refusals = vec![refusals::settled_for_another_share(phase, expected, bill.patient_share)];
    Verdict::answer(Outcome::Refused(Refused { refusals, quote: Some(bill) }))
}

/// Where the stay is not known, what the message wants is so already.
fn cancels(message: &Message) -> bool {
    matches!(message.trigger, Trigger::CancelAdmit | Trigger::CancelDischarge)
}
