//! What payers that were left out answered later: the next version of the same settlement's bill, on which nothing
//! moves but their part. It is taken off the patient's share and given back. Pure.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use yizhan_contract::step::PayerState;
use yizhan_contract::{Finding, Money, PayerCode, Text};
use yizhan_rules::Adjudication;

use super::bill::{Bill, Unbalanced};
use super::decide::{Decided, Decision, Undecided};
use super::delivery::{Deferred, no_policy};
use super::effect::Effect;
use super::findings;
use super::given::{Answer, Given, has_lapsed};
use super::outcome::Outcome;
use super::price::{billed, moves, unusable};
use super::record::{Moved, Settlement, StayRecord};
use super::reserved::year_of;
use super::saga::{Call, Course, Saga, Sent};
use crate::store::{Hold, PersonFacts};

/// Pause before a payer that was left out is asked for the first time.
const FIRST_PAUSE: SignedDuration = SignedDuration::from_secs(2);
/// Pause before an answer that cannot be taken over is looked at again.
const STUCK_PAUSE: SignedDuration = SignedDuration::from_hours(1);

impl Decision {
    /// Payers that were left out are asked from now on.
    pub(super) fn owe_delivery(&self, record: &mut StayRecord) {
        if record.deferred().is_some() || record.is_delivering() {
            let due_at = self.at.saturating_add(FIRST_PAUSE).ok();
            record.hold = Hold { due_at, epoch: record.hold.epoch, held_by: None };
        }
    }

    pub(super) fn delivery_postponed(
        &self,
        mut record: StayRecord,
        waits_for: &Text,
        is_for_a_person: bool,
        hold: &Hold,
        owner: &PersonFacts,
    ) -> Decided {
        if record.is_delivering() {
            return Err(Undecided::LookAgain);
        }
        let settlement = record.settlement.as_mut();
        let deferred = settlement.and_then(|settlement| settlement.deferred.as_mut());
        let deferred = deferred.ok_or(Undecided::LookAgain)?;
        deferred.tries = deferred.tries.saturating_add(1);
        deferred.waits_for = Some(waits_for.clone());
        deferred.is_overdue = is_for_a_person || deferred.is_overdue_at(self.at);
        record.hold = hold.clone();
        self.note_beside_bill(record, Effect::default(), owner)
    }

    /// What payers that were left out answered: their part is durable before it is sent, and set aside. It holds only
    /// where the chain, walked again, comes to the same.
    pub(super) fn deliver(
        &self,
        mut record: StayRecord,
        given: &Given,
        call: Option<&Call>,
        hold: &Hold,
        owner: &PersonFacts,
    ) -> Decided {
        // Whoever brings this must not take it for written: it is seen anew first.
        if record.deferred().is_none() || record.is_delivering() || has_lapsed(given, self.at) {
            return Err(Undecided::LookAgain);
        }
        let mut settlement = record.settlement.clone().ok_or(Undecided::LookAgain)?;
        let now = year_of(owner, &record, settlement.bill.benefit_year);
        let as_of = |deferred: Deferred| deferred.as_of(&now, given.keys());
        let mut deferred = settlement.deferred.take().and_then(as_of).ok_or(Undecided::LookAgain)?;
        let policy = deferred.policy(&settlement.bill, &self.policies).ok_or(Undecided::LookAgain)?;
        let walked = deferred.walk(&policy, &settlement.bill, given).ok_or(Undecided::LookAgain)?;
        let is_answered = |payer: &PayerCode| {
            walked.payers.iter().any(|line| line.payer == *payer && line.state != PayerState::Deferred)
        };
        let is_covered = |(payer, amount): &(PayerCode, Money)| {
            walked.payers.iter().any(|line| line.payer == *payer && line.paid == *amount)
        };
        let legs = call.map(|call| call.legs.as_slice()).unwrap_or_default();
        if !given.keys().all(is_answered) || !legs.iter().all(is_covered) {
            return Err(Undecided::LookAgain);
        }
        let Some(call) = call else {
            settlement.deferred = Some(deferred);
            return self.delivered(record, &settlement, None, given, owner);
        };
        deferred.reserved = since(&settlement, &walked);
        deferred.also_paid = given.values().flat_map(|answer| answer.also_paid.iter().cloned()).collect();
        let effect = Effect::by_reserving_delivery(&settlement, &deferred.reserved, 1);
        settlement.deferred = Some(deferred);
        record.settlement = Some(settlement);
        let holder = Arc::clone(&self.leasing.holder);
        record.saga = Some(Saga::delivering(record.saga.take(), call.clone(), holder));
        record.hold = hold.clone();
        self.note_beside_bill(record, effect, owner)
    }

    /// A payer that was left out has committed, or holds no money and never will.
    pub(super) fn delivery_over(&self, record: StayRecord, saga: &Saga, owner: &PersonFacts) -> Decided {
        if let Some(decided) = self.advances_over(&record, saga, owner) {
            return decided;
        }
        let (Some(mut settlement), Some(call)) = (record.settlement.clone(), saga.calls.last()) else {
            return Err(Undecided::LookAgain);
        };
        let committed = |payer: &PayerCode| match &call.commit.state {
            Sent::Done { amounts, reference, .. } if !call.is_clear() => {
                let (_, amount) = amounts.iter().find(|(code, _)| code == payer)?;
                Some(Answer::confirmed(*amount, reference.as_str().into()))
            }
            _ => None,
        };
        let answer = |payer: &PayerCode| committed(payer).unwrap_or_else(|| Answer::refused(None));
        let given: Given = call.legs.iter().map(|(payer, _)| (payer.clone(), answer(payer))).collect();
        if call.is_clear() {
            settlement.deferred.iter_mut().for_each(|deferred| deferred.also_paid.clear());
        }
        self.delivered(record, &settlement, Some(saga), &given, owner)
    }

    /// The next version of the bill; where more payers were left out, they are asked next.
    fn delivered(
        &self,
        mut record: StayRecord,
        before: &Settlement,
        saga: Option<&Saga>,
        given: &Given,
        owner: &PersonFacts,
    ) -> Decided {
        let (mut after, effect) = match self.taken_over(before, given) {
            Ok(taken_over) => taken_over,
            Err(why) => return self.delivery_stuck(record, saga, why, owner),
        };
        match saga {
            Some(saga) => after.bill.name_unusable(saga),
            None => {
                let untold: Vec<Finding> = unusable(&after.bill, given).collect();
                after.bill.findings.extend(untold);
            }
        }
        record.settlement = Some(after);
        record.saga = saga.cloned().or(record.saga);
        self.owe_delivery(&mut record);
        self.write(record, owner, effect, Outcome::Bill)
    }

    /// The settlement with what the payers answered, or why that cannot be said of it.
    fn taken_over(&self, before: &Settlement, given: &Given) -> Result<(Settlement, Effect), Text> {
        let deferred = before.deferred.clone().ok_or_else(|| no_policy(&before.bill))?;
        let policy = deferred.policy(&before.bill, &self.policies);
        let policy = policy.ok_or_else(|| no_policy(&before.bill))?;
        let walked = deferred.walk(&policy, &before.bill, given).ok_or_else(not_payable)?;
        let release = Effect::by_reserving_delivery(before, &deferred.reserved, -1);
        let rest = deferred.of_the_rest(self.at);
        let told = rest.walk(&policy, &before.bill, &Given::new());
        let told = told.map(|walked| walked.findings).unwrap_or_default();
        let moved = since(before, &walked);
        let mut after = before.clone();
        after.bill.take_delivery(&walked, given, &told, self.at);
        after.bill.check().map_err(|why| unbalanced(&why))?;
        after.moves.extend(moved.iter().cloned());
        after.deferred = after.bill.deferred().next().is_some().then_some(rest);
        let effect = release.and(Effect::by_delivering(before, &after, &moved));
        Ok((after, effect))
    }

    /// What a payer did is not on the bill, and does not come there by itself: it is kept in a saga that is not over,
    /// so that nothing is sent again, and a person has to look.
    fn delivery_stuck(
        &self,
        mut record: StayRecord,
        saga: Option<&Saga>,
        why: Text,
        owner: &PersonFacts,
    ) -> Decided {
        if let Some(saga) = saga {
            record.saga = Some(Saga { course: Course::Delivering, ..saga.clone() });
        }
        let settlement = record.settlement.as_mut();
        let deferred = settlement.and_then(|settlement| settlement.deferred.as_mut());
        let deferred = deferred.ok_or(Undecided::LookAgain)?;
        (deferred.waits_for, deferred.is_overdue) = (Some(why), true);
        let due_at = self.at.saturating_add(STUCK_PAUSE).ok();
        record.hold = Hold { due_at, epoch: record.hold.epoch, held_by: None };
        self.note_beside_bill(record, Effect::default(), owner)
    }

    /// The stay with what is remembered of its payers; the bill stands as issued.
    pub(super) fn note_beside_bill(
        &self,
        record: StayRecord,
        effect: Effect,
        owner: &PersonFacts,
    ) -> Decided {
        let bill = record.settlement.as_ref().map(|settlement| Box::new(settlement.bill.clone()));
        let mut verdict = self.note(record, 0, owner)?;
        verdict.changes.accumulators = effect.accumulators;
        verdict.outcome = bill.map_or(verdict.outcome, Outcome::Bill);
        Ok(verdict)
    }
}

/// What the walked chain moves in the year beyond what the settlement moved.
fn since(settlement: &Settlement, walked: &Adjudication) -> Vec<Moved> {
    let is_new = |moved: &Moved| settlement.moves.iter().all(|known| known.payer != moved.payer);
    moves(walked).into_iter().filter(is_new).collect()
}

fn not_payable() -> Text {
    Text::new(
        "支付方已确认的金额按结算所用政策无法计入，请核对该支付方的业务记录",
        "what the payer did does not fit the policy the stay was settled under; look into what it recorded",
    )
}

fn unbalanced(why: &Unbalanced) -> Text {
    Text::new(
        "补付后的结算单不平衡，已停止出具",
        format!("with what the payer did, the {why}; it is not issued"),
    )
}

impl Bill {
    /// The next version: lines of payers that were left out as the chain has them now. What was to be collected was
    /// collected by the version before, so what they pay is to be given back.
    fn take_delivery(&mut self, walked: &Adjudication, given: &Given, told: &[Finding], at: Timestamp) {
        let mut outdated = told.to_vec();
        let mut paid = Money::ZERO;
        for line in self.payers.iter_mut().filter(|line| line.state == PayerState::Deferred) {
            let Some(now) = walked.payers.iter().find(|now| now.payer == line.payer) else { continue };
            paid += now.paid;
            outdated.push(findings::deferred_payer(&line.name));
            *line = billed(now, true);
        }
        self.findings.retain(|finding| !outdated.contains(finding));
        self.findings.splice(0..0, walked.findings.iter().cloned());
        for line in self.payers.iter().filter(|line| given.contains_key(&line.payer)) {
            let granted = (line.state != PayerState::Refused).then_some(line.paid);
            self.findings.push(findings::delivered(&line.name, granted));
        }
        let left_out = self.payers.iter().filter(|line| line.state == PayerState::Deferred);
        self.findings.extend(left_out.map(|line| findings::deferred_payer(&line.name)));
        for line in self.payers.iter_mut().filter(|line| line.state == PayerState::Quoted) {
            line.state = PayerState::Committed;
        }
        self.version += 1;
        self.issued_at = at;
        self.paid_by_payers += paid;
        self.patient_share -= paid;
        self.to_refund += paid;
        self.coverage = walked.coverage;
    }
}
