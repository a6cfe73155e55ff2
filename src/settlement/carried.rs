//! What is written of a stay whose outside payers are asked, decided inside the transaction. Pure.

use std::sync::Arc;

use jiff::Timestamp;
use yizhan_contract::step::PayerState;
use yizhan_contract::{Money, PayerCode};

use super::bill::{Bill, BillState, Reversal};
use super::decide::{Decision, LookAgain, answer, issued, moves};
use super::given::Given;
use super::message::Mode;
use super::outcome::{Outcome, Refused};
use super::price::{Priced, price};
use super::record::{Phase, Pricing, Settlement, StayRecord};
use super::refusals::{self, LinePlaces};
use super::saga::{Call, Course, Saga, Sent, Why};
use crate::refusal::Refusal;
use crate::store::{Changes, Hold, PersonFacts, Pot};

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
    /// The saga is over.
    Over { saga: Saga },
}

/// Tries after which a stay that waits for a payer is shown to a person.
const TRIES_ATTENTION: u32 = 5;

impl Decision {
    pub(super) fn carry(
        &self,
        record: StayRecord,
        carry: &Carry,
        owner: &PersonFacts,
    ) -> Result<Changes, LookAgain> {
        match carry {
            Carry::Priced { given, calls, hold } => self.priced(record, given, calls, hold, owner),
            Carry::Postponed { waits_for, hold } => Ok(self.postponed(record, waits_for, hold, owner)),
            Carry::Dropped { refusals } => Ok(self.dropped(record, refusals, owner)),
            Carry::Kept { saga, given, hold } => self.kept(record, saga, given.as_ref(), hold, owner),
            Carry::Over { saga } => Ok(self.over(record, saga, owner)),
        }
    }

    fn priced(
        &self,
        mut record: StayRecord,
        given: &Given,
        calls: &[Call],
        hold: &Hold,
        owner: &PersonFacts,
    ) -> Result<Changes, LookAgain> {
        let Some(pricing) = record.pricing.take() else { return Ok(answer(&issued(&record))) };
        if !self.lookups.fit(&record) {
            return Err(LookAgain);
        }
        let settlement = match self.settlement(&record, pricing.mode, given, owner) {
            Ok(settlement) => settlement?,
            Err(refusals) => return Ok(self.dropped(record, &refusals, owner)),
        };
        let share = settlement.bill.patient_share;
        let expected = pricing.expected_patient_share;
        let rose = expected.filter(|expected| *expected + self.tolerance(&settlement) < share);
        if pricing.mode == Mode::Quote || rose.is_some() {
            return self.quoted(record, rose, given, owner);
        }
        if !covers(calls, &settlement.bill, self) {
            return Err(LookAgain);
        }
        record.settlement = Some(settlement);
        if calls.is_empty() {
            return Ok(self.settled(record, owner));
        }
        let saga = Saga::new(calls.to_vec());
        record.phase = Phase::Committing;
        let reserved = record.settlement.as_ref().map(|settlement| moves(settlement, Pot::Reserved, 1));
        Ok(self.under_way(record, saga, hold, reserved.into_iter().collect(), owner))
    }

    fn settlement(
        &self,
        record: &StayRecord,
        mode: Mode,
        given: &Given,
        owner: &PersonFacts,
    ) -> Result<Result<Settlement, LookAgain>, Vec<Refusal>> {
        let priced = price(record, &self.ground(owner, record, given), mode, &LinePlaces::none())?;
        Ok(match priced {
            Priced::Bill(settlement) => Ok(*settlement),
            // What a payer was asked is not what it would be asked now.
            Priced::Ask(_) | Priced::Breach { .. } => Err(LookAgain),
        })
    }

    fn quoted(
        &self,
        mut record: StayRecord,
        rose: Option<Money>,
        given: &Given,
        owner: &PersonFacts,
    ) -> Result<Changes, LookAgain> {
        let quote = match self.settlement(&record, Mode::Quote, given, owner) {
            Ok(quote) => quote?,
            Err(refusals) => return Ok(self.dropped(record, &refusals, owner)),
        };
        let outcome = match rose {
            None => Outcome::Bill(Box::new(quote.bill.clone())),
            Some(expected) => Outcome::Refused(Refused {
                refusals: vec![refusals::quote_moved(false, expected, quote.bill.patient_share)],
                quote: Some(Box::new(quote.bill.clone())),
            }),
        };
        record.phase = Phase::Quoted;
        record.settlement = Some(quote);
        Ok(self.write(&record, owner, Vec::new(), &outcome))
    }

    /// The message was taken in and is kept; what became of it is the refusal.
    fn dropped(&self, mut record: StayRecord, refusals: &[Refusal], owner: &PersonFacts) -> Changes {
        record.pricing = None;
        let stay = Some(self.stay(&record, owner));
        Changes { stay, is_refused: false, ..answer(&Outcome::from(refusals.to_vec())) }
    }

    fn postponed(
        &self,
        mut record: StayRecord,
        waits_for: &Refusal,
        hold: &Hold,
        owner: &PersonFacts,
    ) -> Changes {
        let Some(pricing) = &mut record.pricing else { return answer(&issued(&record)) };
        pricing.tries = pricing.tries.saturating_add(1);
        pricing.waits_for = Some(waits_for.detail.clone());
        let needs_attention = TRIES_ATTENTION <= pricing.tries;
        let noted = self.noted(&record, 0, owner);
        let mut stay = self.stay(&record, owner);
        (stay.hold, stay.needs_attention) = (hold.clone(), needs_attention);
        Changes { stay: Some(stay), ..answer(&Outcome::Noted(Box::new(noted))) }
    }

    fn kept(
        &self,
        mut record: StayRecord,
        saga: &Saga,
        given: Option<&Given>,
        hold: &Hold,
        owner: &PersonFacts,
    ) -> Result<Changes, LookAgain> {
        let mut reserved = Vec::new();
        if let (Some(given), Some(before)) = (given, record.settlement.clone()) {
            let mut after = match self.settlement(&record, Mode::Settle, given, owner) {
                Ok(settlement) => settlement?,
                Err(_) => return Err(LookAgain),
            };
            (after.id, after.bill.settlement_id) = (before.id, before.id);
            (after.bill.version, after.bill.replaces) = (before.bill.version, before.bill.replaces);
            reserved = vec![moves(&before, Pot::Reserved, -1), moves(&after, Pot::Reserved, 1)];
            record.settlement = Some(after);
        }
        Ok(self.under_way(record, saga.clone(), hold, reserved, owner))
    }

    fn under_way(
        &self,
        mut record: StayRecord,
        saga: Saga,
        hold: &Hold,
        reserved: Vec<crate::store::AccumulatorMove>,
        owner: &PersonFacts,
    ) -> Changes {
        if let Some(settlement) = &mut record.settlement {
            settlement.bill.show(&saga);
        }
        let needs_attention = saga.attention.is_some();
        record.saga = Some(saga);
        let outcome = issued(&record);
        let mut changes = self.write(&record, owner, reserved, &outcome);
        if let Some(stay) = &mut changes.stay {
            (stay.hold, stay.needs_attention) = (hold.clone(), needs_attention);
        }
        changes
    }

    /// What the saga's end means for the stay.
    fn over(&self, mut record: StayRecord, saga: &Saga, owner: &PersonFacts) -> Changes {
        if !record.phase.is_under_way() {
            return answer(&issued(&record));
        }
        record.saga = Some(saga.clone());
        let Some(settlement) = &mut record.settlement else { return answer(&issued(&record)) };
        settlement.bill.show(saga);
        let release = moves(settlement, Pot::Reserved, -1);
        match &saga.course {
            Course::Committed => {
                let settled = self.settled(record, owner);
                Changes { accumulators: [vec![release], settled.accumulators].concat(), ..settled }
            }
            Course::Undone(why) => {
                record.phase = Phase::Reversed;
                record.settlement.as_mut().map(|settlement| settlement.bill.given_up(why, self.at));
                if let Why::ShareRose { from, .. } = why {
                    record.pricing = Some(Pricing::new(Mode::Quote, self.at, Some(*from)));
                }
                let outcome = refused_by(why);
                self.write(&record, owner, vec![release], &outcome)
            }
            Course::Reversed(ordered) => {
                record.phase = Phase::Reversed;
                let (reason, operator) = (ordered.reason.clone(), ordered.operator.clone());
                self.take_back(record, owner, Reversal { reason, operator, at: self.at })
            }
            Course::Committing | Course::Requoting | Course::Undoing(_) | Course::Reversing(_) => {
                answer(&issued(&record))
            }
        }
    }

    /// The settlement is what its bill says, from this transaction on.
    pub(super) fn settled(&self, mut record: StayRecord, owner: &PersonFacts) -> Changes {
        record.phase = Phase::Settled;
        let Some(settlement) = &mut record.settlement else { return answer(&issued(&record)) };
        settlement.bill.state = BillState::Settled;
        settlement.bill.issued_at = self.at;
        let moved = moves(settlement, Pot::Settled, 1);
        let outcome = issued(&record);
        self.write(&record, owner, vec![moved], &outcome)
    }
}

/// Whether the calls carry exactly what the bill says of outside payers.
fn covers(calls: &[Call], bill: &Bill, decision: &Decision) -> bool {
    let mut legs = calls.iter().flat_map(|call| call.legs.iter());
    let is_outside = |payer: &PayerCode| decision.payers.of(payer).is_some();
    let mut paying = bill.payers.iter().filter(|payer| {
        payer.state != PayerState::SettledElsewhere && payer.paid.is_positive() && is_outside(&payer.payer)
    });
    let paid = |payer: &PayerCode| calls.iter().flat_map(|call| &call.legs).find(|(code, _)| code == payer);
    paying.all(|line| paid(&line.payer).is_some_and(|(_, amount)| *amount == line.paid))
        && legs.all(|(code, amount)| {
            bill.payers.iter().any(|line| line.payer == *code && line.paid == *amount)
        })
}

/// What the desk is told of a settlement that was given up; everything that was committed is taken back.
pub(super) fn refused_by(why: &Why) -> Outcome {
    refusals::given_up(why).into()
}

impl Bill {
    /// Shows where each payer's part stands.
    fn show(&mut self, saga: &Saga) {
        let is_given_up = matches!(
            saga.course,
            Course::Undoing(_) | Course::Undone(_) | Course::Reversing(_) | Course::Reversed(_)
        );
        self.state = match (&saga.attention, &saga.course) {
            (Some(_), _) => BillState::NeedsAttention,
            (None, Course::Reversing(_) | Course::Undoing(_)) => BillState::Reversing,
            (None, Course::Committed) => BillState::Settled,
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
    }

    fn given_up(&mut self, why: &Why, at: Timestamp) {
        self.state = BillState::Refused;
        self.issued_at = at;
        self.findings.push(super::findings::given_up(why));
    }
}

/// A payer that is computed takes part when the others have.
fn of_rules(state: PayerState, course: &Course) -> PayerState {
    match (state, course) {
        (PayerState::SettledElsewhere | PayerState::NotApplicable | PayerState::Refused, _)
        | (PayerState::Deferred, _) => state,
        (_, Course::Committing | Course::Requoting) => PayerState::Committing,
        (_, Course::Committed | Course::Reversed(_)) => PayerState::Committed,
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
