//! What is written of a stay whose outside payers are asked, decided inside the transaction. Pure.

use std::sync::Arc;

use yizhan_contract::step::PayerState;
use yizhan_contract::{Finding, FindingCode, Money, PayerCode, Text};

use super::bill::{Bill, BillState};
use super::decide::{Decided, Decision, Undecided, Verdict};
use super::effect::Effect;
use super::findings;
use super::given::{Given, has_lapsed};
use super::message::Mode;
use super::outcome::Outcome;
use super::payers::Payers;
use super::price::{Priced, price};
use super::record::{Phase, Pricing, Settlement, StayRecord, names_of};
use super::refusals::{self, LinePlaces};
use super::saga::{Call, Course, Saga, Sent, Why, evidence};
use crate::refusal::Refusal;
use crate::store::{Hold, PersonFacts};

/// What the driver brings back from the payers.
#[derive(Debug, Clone)]
pub enum Carry {
    /// Every payer was asked: the quote is issued, or the intent recorded.
    Priced { given: Given, calls: Vec<Call>, hold: Hold },
    /// A payer that is needed cannot be asked now.
    Postponed { waits_for: Refusal, hold: Hold },
    /// The stay cannot be priced as it is.
    Dropped { refusals: Vec<Refusal> },
    /// The saga as it is now, with what it was priced from anew, if it was.
    Kept { saga: Saga, given: Option<Given>, hold: Hold },
    /// Payers that were left out have answered: what they commit is to be sent, or nothing is.
    Delivering { given: Given, call: Option<Box<Call>>, hold: Hold },
    /// A payer that was left out cannot be asked yet, or not before a person has acted.
    DeliveryPostponed { waits_for: Text, is_for_a_person: bool, hold: Hold },
    /// What a person orders of a stay of which nothing is sent to payers; `has_seen`: what the hospital bears is known.
    Ordered { note: Text, has_seen: bool, hold: Hold },
    /// Adapters have been told, as far as they answered, that the visit is over for them.
    CalledOff { hold: Hold },
    /// The saga is over, or nothing but payers whose part is advanced is waited for.
    Over { saga: Saga, given: Option<Given> },
}

impl Decision {
    pub(super) fn carry(&self, record: StayRecord, carry: &Carry, owner: &PersonFacts) -> Decided {
        match carry {
            Carry::Priced { given, calls, hold } => self.priced(record, given, calls, hold, owner),
            Carry::Postponed { waits_for, hold } => self.postponed(record, waits_for, hold, owner),
            Carry::Dropped { refusals } => self.dropped(record, refusals.clone(), owner),
            Carry::Kept { saga, given, hold } => self.kept(record, saga, given.as_ref(), hold, owner),
            Carry::Delivering { given, call, hold } => {
                self.deliver(record, given, call.as_deref(), hold, owner)
            }
            Carry::DeliveryPostponed { waits_for, is_for_a_person, hold } => {
                self.delivery_postponed(record, waits_for, *is_for_a_person, hold, owner)
            }
            Carry::Ordered { note, has_seen, hold } => {
                self.ordered_by_person(record, note, *has_seen, hold, owner)
            }
            Carry::CalledOff { hold } => self.called_off(record, hold, owner),
            Carry::Over { saga, .. } if record.is_delivering() && saga.is_delivering() => {
                // It was written, and its driver did not hear of it: who is advanced has not ended yet.
                Err(Undecided::LookAgain)
            }
            Carry::Over { saga, .. } if record.is_delivering() => self.delivery_over(record, saga, owner),
            Carry::Over { saga, given } => self.over(record, saga, given.as_ref(), owner),
        }
    }

    fn priced(
        &self,
        mut record: StayRecord,
        given: &Given,
        calls: &[Call],
        hold: &Hold,
        owner: &PersonFacts,
    ) -> Decided {
        // Nothing is asked for any more: whoever brings this must not take it for written.
        let pricing = record.pricing.clone().ok_or(Undecided::LookAgain)?;
        // A quote that lapsed while others were asked is asked for anew.
        if !self.lookups.fit(&record) || has_lapsed(given, self.at) {
            return Err(Undecided::LookAgain);
        }
        let priced = |mode| self.settlement(&record, mode, given, owner);
        let settlement = match priced(pricing.mode) {
            Ok(settlement) => settlement?,
            Err(refusals) => return self.dropped(record, refusals, owner),
        };
        let expected = pricing.expected_patient_share;
        let has_risen =
            |expected: Money| expected + self.tolerance(&settlement) < settlement.bill.patient_share;
        let moved = expected.filter(|expected| pricing.is_expired || has_risen(*expected));
        match (pricing.mode, moved) {
            (_, Some(expected)) => {
                let quote = match priced(Mode::Quote) {
                    Ok(quote) => quote?,
                    Err(refusals) => return self.dropped(record, refusals, owner),
                };
                record.pricing = None;
                self.moved(record, quote, pricing.is_expired, expected, owner)
            }
            (Mode::Quote, None) => {
                record.pricing = None;
                record.price_as(settlement);
                self.quoted(record, owner)
            }
            (Mode::Settle, None) if !covers(calls, &settlement.bill, &self.payers) => {
                Err(Undecided::LookAgain)
            }
            (Mode::Settle, None) => {
                let agreed = expected.or(Some(settlement.bill.patient_share));
                record.pricing = None;
                record.price_as(Settlement { agreed, ..settlement });
                self.intended(record, calls, hold, owner)
            }
        }
    }

    /// From here the settlement survives any crash: what every payer will be sent is fixed, and what it may use up
    /// of the year is set aside.
    fn intended(&self, mut record: StayRecord, calls: &[Call], hold: &Hold, owner: &PersonFacts) -> Decided {
        if calls.is_empty() {
            // An earlier settlement's payers have nothing to do with this one.
            record.saga = None;
            return self.settled(record, owner);
        }
        record.phase = Phase::Committing;
        let effect = record.settlement.as_ref().map(Effect::by_reserving).unwrap_or_default();
        let saga = Saga::begun(calls.to_vec(), Arc::clone(&self.leasing.holder));
        self.under_way(record, saga, hold, effect, owner)
    }

    /// Durable before the stay is let go, to be tried at once.
    fn ordered_by_person(
        &self,
        mut record: StayRecord,
        note: &Text,
        has_seen: bool,
        hold: &Hold,
        owner: &PersonFacts,
    ) -> Decided {
        evidence::note(&mut record.orders, self.at, None, note);
        if let Some(borne) = record.settlement.as_mut().and_then(|settlement| settlement.borne.as_mut()) {
            borne.is_seen |= has_seen;
        }
        let is_to_be_tried = !has_seen;
        let mut verdict = self.note_beside_bill(record, Effect::default(), owner)?;
        if let Some(stay) = verdict.changes.stay.as_mut().filter(|_| is_to_be_tried) {
            stay.hold = hold.clone();
        }
        Ok(verdict)
    }

    fn settlement(
        &self,
        record: &StayRecord,
        mode: Mode,
        given: &Given,
        owner: &PersonFacts,
    ) -> Result<Result<Settlement, Undecided>, Vec<Refusal>> {
        let priced = price(record, &self.ground(owner, record, given), mode, &LinePlaces::none())?;
        Ok(match priced {
            Priced::Bill(settlement) => Ok(*settlement),
            // What a payer was asked is not what it would be asked now.
            Priced::Ask(_) | Priced::Breach(_) => Err(Undecided::LookAgain),
        })
    }

    /// The message was taken in and is kept; what became of it is the refusal. Whoever sent a stay to be settled may
    /// have been acknowledged before the payers were asked, so the refusal is kept and told. A quote, and a quote that
    /// is committed, somebody waits for.
    fn dropped(&self, mut record: StayRecord, refusals: Vec<Refusal>, owner: &PersonFacts) -> Decided {
        let pricing = record.pricing.take();
        let is_quiet = record.phase == Phase::AwaitingCharges && record.quiet_until.is_some();
        let is_sent_to_settle = pricing
            .is_some_and(|pricing| pricing.mode == Mode::Settle && pricing.expected_patient_share.is_none());
        let kept = match is_quiet || is_sent_to_settle {
            true => self.unpriced(record, refusals.clone(), 0, owner)?,
            false => self.note(record, 0, owner)?,
        };
        Ok(Verdict { outcome: refusals.into(), ..kept })
    }

    fn postponed(
        &self,
        mut record: StayRecord,
        waits_for: &Refusal,
        hold: &Hold,
        owner: &PersonFacts,
    ) -> Decided {
        let pricing = record.pricing.as_mut().ok_or(Undecided::LookAgain)?;
        pricing.tries = pricing.tries.saturating_add(1);
        pricing.waits_for = Some(waits_for.detail.clone());
        record.hold = hold.clone();
        self.note(record, 0, owner)
    }

    fn called_off(&self, mut record: StayRecord, hold: &Hold, owner: &PersonFacts) -> Decided {
        if !record.is_cancelled() && !record.is_settled_for_good() {
            return Err(Undecided::LookAgain);
        }
        record.hold = hold.clone();
        self.note(record, 0, owner)
    }

    fn kept(
        &self,
        mut record: StayRecord,
        saga: &Saga,
        given: Option<&Given>,
        hold: &Hold,
        owner: &PersonFacts,
    ) -> Decided {
        if record.is_delivering() {
            (record.saga, record.hold) = (Some(saga.clone()), hold.clone());
            return self.note_beside_bill(record, Effect::default(), owner);
        }
        // Nothing is sent on the strength of what is not written: it is seen anew first.
        if !record.phase.is_under_way() {
            return Err(Undecided::LookAgain);
        }
        let effect = self.priced_anew(&mut record, saga, given, owner)?;
        self.under_way(record, saga.clone(), hold, effect, owner)
    }

    /// The settlement with the amounts payers have confirmed, and those the others quoted after them.
    fn priced_anew(
        &self,
        record: &mut StayRecord,
        saga: &Saga,
        given: Option<&Given>,
        owner: &PersonFacts,
    ) -> Result<Effect, Undecided> {
        let (Some(given), Some(before)) = (given, record.settlement.clone()) else {
            return Ok(Effect::default());
        };
        if has_lapsed(given, self.at) {
            return Err(Undecided::LookAgain);
        }
        let mut after = match self.settlement(record, Mode::Settle, given, owner) {
            Ok(settlement) => settlement?,
            Err(_) => return Err(Undecided::LookAgain),
        };
        // The person's year moved meanwhile: a payer would not be asked for what it is to commit.
        if !covers(&saga.calls, &after.bill, &self.payers) {
            return Err(Undecided::LookAgain);
        }
        (after.id, after.bill.settlement_id) = (before.id, before.id);
        after.agreed = before.agreed;
        // It was compared when it was begun.
        after.compared.clear();
        after.bill.keep_unusable_of(&before.bill);
        (after.bill.version, after.bill.replaces) = (before.bill.version, before.bill.replaces);
        let effect = Effect::by_releasing(&before).and(Effect::by_reserving(&after));
        record.settlement = Some(after);
        Ok(effect)
    }

    fn under_way(
        &self,
        mut record: StayRecord,
        saga: Saga,
        hold: &Hold,
        effect: Effect,
        owner: &PersonFacts,
    ) -> Decided {
        if let Some(settlement) = &mut record.settlement {
            settlement.bill.show(&saga);
        }
        record.saga = Some(saga);
        record.hold = hold.clone();
        self.write(record, owner, effect, Outcome::Bill)
    }

    /// What the saga's end means for the stay.
    fn over(
        &self,
        mut record: StayRecord,
        saga: &Saga,
        given: Option<&Given>,
        owner: &PersonFacts,
    ) -> Decided {
        if !record.phase.is_under_way() {
            return Err(Undecided::LookAgain);
        }
        let anew = self.priced_anew(&mut record, saga, given, owner)?;
        record.saga = Some(saga.clone());
        let settlement =
            record.settlement.as_mut().ok_or_else(|| Undecided::defect("a saga without its settlement"))?;
        settlement.bill.show(saga);
        settlement.bill.issued_at = self.at;
        let release = anew.and(Effect::by_releasing(settlement));
        match &saga.course {
            Course::Committed | Course::Delivering => {
                settlement.bill.advance(saga);
                let settled = Effect::by_settling(settlement);
                record.phase = Phase::Settled;
                self.owe_delivery(&mut record);
                self.write(record, owner, release.and(settled), Outcome::Bill)
            }
            Course::Undone(why) => {
                settlement.bill.findings.push(findings::given_up(why, Some(&settlement.bill)));
                record.phase = Phase::Reversed;
                if let Why::ShareRose { from, .. } = why {
                    record.pricing = Some(Pricing::new(Mode::Quote, self.at, Some(*from)));
                }
                self.write(record, owner, release, |bill| refusals::given_up(why, Some(&bill)).into())
            }
            Course::Reversed(ordered) => {
                // The reversed bill takes the place of the one that said it was being reversed.
                settlement.bill.version -= 1;
                record.phase = Phase::Reversed;
                self.take_back(record, owner, ordered)
            }
            Course::Committing | Course::Requoting | Course::Undoing(_) | Course::Reversing(_) => {
                Err(Undecided::defect("a saga that is not over was said to be"))
            }
        }
    }
}

/// Whether the calls carry exactly what the bill says of outside payers.
fn covers(calls: &[Call], bill: &Bill, payers: &Payers) -> bool {
    let mut legs = calls.iter().flat_map(|call| call.legs.iter());
    let is_outside = |payer: &PayerCode| payers.of(payer).is_some();
    let mut paying = bill.payers.iter().filter(|payer| {
        payer.state != PayerState::SettledElsewhere && payer.paid.is_positive() && is_outside(&payer.payer)
    });
    let paid = |payer: &PayerCode| calls.iter().flat_map(|call| &call.legs).find(|(code, _)| code == payer);
    paying.all(|line| paid(&line.payer).is_some_and(|(_, amount)| *amount == line.paid))
        && legs
            .all(|(code, amount)| bill.payers.iter().any(|line| line.payer == *code && line.paid == *amount))
}

impl Bill {
    /// Shows where each payer's part stands.
    pub(super) fn show(&mut self, saga: &Saga) {
        let is_given_up = matches!(
            saga.course,
            Course::Undoing(_) | Course::Undone(_) | Course::Reversing(_) | Course::Reversed(_)
        );
        self.state = match (&saga.attention, &saga.course) {
            // What is advanced may need a person still: the bill stands without it.
            (_, Course::Committed | Course::Delivering) => BillState::Settled,
            (Some(_), _) => BillState::NeedsAttention,
            (None, Course::Reversing(_) | Course::Undoing(_)) => BillState::Reversing,
            (None, Course::Undone(_)) => BillState::Refused,
            (None, Course::Reversed(_)) => BillState::Settled,
            (None, Course::Committing | Course::Requoting) => BillState::Settling,
        };
        for line in &mut self.payers {
            let call = saga.calls.iter().find(|call| call.legs.iter().any(|(code, _)| *code == line.payer));
            match call {
                Some(call) => {
                    line.state = call.shown(is_given_up);
                    if let Some((_, reference)) = saga.committed(&line.payer) {
                        line.payer_reference = Some(Arc::from(reference));
                    }
                }
                None => line.state = of_rules(line.state, &saga.course),
            }
        }
        self.name_unusable(saga);
    }

    /// What could not be used stays told, whatever was answered since.
    fn keep_unusable_of(&mut self, before: &Self) {
        let unusable = before.findings.iter().filter(|one| one.code == FindingCode::PayerAnswerUnusable);
        let untold: Vec<Finding> = unusable.filter(|one| !self.findings.contains(one)).cloned().collect();
        self.findings.extend(untold);
    }

    /// Says what payers answered that could not be used, each reason once.
    pub(super) fn name_unusable(&mut self, saga: &Saga) {
        for call in &saga.calls {
            let names = names_of(Some(self), call.payers());
            for why in &call.unusable {
                let finding = findings::unusable_answer(&names, &Text::of_line(why));
                if !self.findings.contains(&finding) {
                    self.findings.push(finding);
                }
            }
        }
    }
}

/// A payer that is computed takes part when the others have.
fn of_rules(state: PayerState, course: &Course) -> PayerState {
    match (state, course) {
        (PayerState::SettledElsewhere | PayerState::NotApplicable | PayerState::Refused, _)
        | (PayerState::Deferred, _) => state,
        (_, Course::Committing | Course::Requoting) => PayerState::Committing,
        (_, Course::Committed | Course::Delivering | Course::Reversed(_)) => PayerState::Committed,
        (_, Course::Undoing(_) | Course::Reversing(_)) => PayerState::Reversing,
        (_, Course::Undone(_)) => PayerState::Reversed,
    }
}

impl Call {
    fn shown(&self, is_given_up: bool) -> PayerState {
        match (&self.commit.state, self.undo.as_ref().map(|undo| &undo.state)) {
            (_, Some(Sent::Done { .. })) if is_given_up => PayerState::Reversed,
            (Sent::Refused { .. }, _) => PayerState::Refused,
            (Sent::Fenced | Sent::Dropped, _) if is_given_up => PayerState::Reversed,
            (Sent::Unknown { .. }, _) => PayerState::Unknown,
            (_, Some(Sent::Unknown { .. } | Sent::Refused { .. })) => PayerState::Unknown,
            (_, Some(_)) if is_given_up => PayerState::Reversing,
            (Sent::Done { .. }, _) => PayerState::Committed,
            _ => PayerState::Committing,
        }
    }
}
