//! Payers at the end of a chain that could not be asked when the stay was settled, and what becomes of them later.
//! Pure.
//!
//! They are asked, one adapter after the other, for what they would have been asked then: the same claim, base and
//! remainder, under the caps as they are by then. What comes of it is the next version of the same settlement's bill,
//! on which nothing moves but their part: it is taken off the patient's share and given back.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use yizhan_contract::stay::SettledElsewhere;
use yizhan_contract::step::PayerState;
use yizhan_contract::{Accumulators, Claim, Finding, Money, PayerCode, Text};
use yizhan_rules::{AdjudicateError, Adjudication, Policy, PolicyShelf};

use super::bill::{Bill, BilledPayer};
use super::decide::{Decision, LookAgain, Verdict};
use super::effect::Effect;
use super::findings;
use super::given::{Answer, Given, Walked, legs, walk};
use super::outcome::Outcome;
use super::payers::{Adapter, Payers};
use super::price::{ToAsk, billed, moves};
use super::record::{Moved, Settlement, StayRecord};
use super::reserved::{YearUsed, year_of};
use super::saga::{Call, Saga, Sent};
use crate::store::{Hold, PersonFacts};

/// Pause before a payer that was left out is asked for the first time.
const FIRST_PAUSE: SignedDuration = SignedDuration::from_secs(2);
/// A payer that could not be asked for so long is shown to a person; it is asked on, more slowly.
const OVERDUE_AFTER: SignedDuration = SignedDuration::from_hours(3 * 24);

/// What a stay was settled on while payers could not be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deferred {
    pub claim: Claim,
    /// Of the year: as at the settlement; for a payer that was asked since, as it was then.
    pub used: Accumulators,
    /// The payers that were asked and not computed.
    pub outside: Vec<PayerCode>,
    pub since: Timestamp,
    /// How many tries came to nothing, and why the last did.
    pub tries: u32,
    pub waits_for: Option<Text>,
    pub is_overdue: bool,
    /// Of the payer that is being asked to commit: what is set aside for it, and what it quoted for others.
    pub reserved: Vec<Moved>,
    pub also_paid: Vec<SettledElsewhere>,
}

/// What is to be done next for payers that were left out.
pub enum Next<'a> {
    Ask(&'a Adapter, Box<ToAsk>),
    /// Under the caps as they are by now, it may pay nothing and is not asked.
    Nothing(PayerCode),
    /// Nobody can be asked, for this reason.
    Stuck(Text),
}

impl Deferred {
    pub(super) fn new(claim: Claim, used: Accumulators, outside: Vec<PayerCode>, since: Timestamp) -> Self {
        Self {
            claim,
            used,
            outside,
            since,
            tries: 0,
            waits_for: None,
            is_overdue: false,
            reserved: Vec::new(),
            also_paid: Vec::new(),
        }
    }

    /// Whether it could not be asked for so long that a person has to look.
    pub fn is_overdue_at(&self, at: Timestamp) -> bool {
        OVERDUE_AFTER <= at.duration_since(self.since)
    }

    /// With what the year has used up of these payers by now.
    fn as_of<'p>(&self, now: &YearUsed, payers: impl IntoIterator<Item = &'p PayerCode>) -> Option<Self> {
        let now = now.both().ok()?;
        let mut deferred = self.clone();
        for payer in payers {
            deferred.used.payers.insert(payer.clone(), now.of(payer));
        }
        Some(deferred)
    }

    /// The claim with what is settled elsewhere by the bill: the message said so, or a payer's quote did.
    fn claim_by(&self, bill: &Bill) -> Claim {
        let lines = bill.payers.iter().filter(|line| line.state == PayerState::SettledElsewhere);
        let elsewhere = |line: &BilledPayer| SettledElsewhere {
            payer: line.payer.clone(),
            amount: line.paid,
            reference: line.payer_reference.as_deref().unwrap_or_default().to_owned(),
        };
        let settled_elsewhere = lines.map(elsewhere).chain(self.also_paid.iter().cloned()).collect();
        Claim { settled_elsewhere, ..self.claim.clone() }
    }

    /// The whole chain, with these answers for payers that were left out; absent where they may not pay that.
    fn walk(&self, policy: &Policy, bill: &Bill, answers: &Given) -> Option<Adjudication> {
        let mut given = answered(bill);
        given.extend(answers.iter().map(|(payer, answer)| (payer.clone(), answer.clone())));
        match walk(policy, &self.claim_by(bill), &self.used, &self.outside, &given) {
            Ok(Walked::Done(adjudication)) => Some(*adjudication),
            Ok(Walked::Ask { .. }) | Err(_) => None,
        }
    }

    fn ask(
        &self,
        policy: &Policy,
        bill: &Bill,
        given: &Given,
        adapter: &Adapter,
    ) -> Result<Option<ToAsk>, AdjudicateError> {
        let claim = self.claim_by(bill);
        match walk(policy, &claim, &self.used, &self.outside, given)? {
            Walked::Done(_) => Ok(None),
            Walked::Ask { leg, paid_before } => {
                let legs = legs(policy, &claim, &self.used, &self.outside, given, (adapter, leg))?;
                Ok(Some(ToAsk { claim: self.claim.clone(), legs, paid_before, after: Vec::new() }))
            }
        }
    }
}

/// The first payer that is left out still, with those its adapter serves behind it.
pub fn next<'a>(
    record: &StayRecord,
    owner: &PersonFacts,
    policies: &PolicyShelf,
    payers: &'a Payers,
) -> Option<Next<'a>> {
    let (deferred, bill) = (record.deferred()?, &record.settlement.as_ref()?.bill);
    let first = bill.deferred().next()?;
    let Some(adapter) = payers.of(&first.payer) else { return Some(Next::Stuck(not_configured(first))) };
    let Some(policy) = policy_of(bill, policies) else { return Some(Next::Stuck(no_policy(bill))) };
    let group = || bill.deferred().map(|line| &line.payer).filter(|payer| adapter.serves(payer));
    let now = year_of(owner, record, bill.benefit_year);
    let deferred = deferred.as_of(&now, group())?;
    let mut given = answered(bill);
    for payer in group() {
        given.remove(payer);
    }
    Some(match deferred.ask(policy, bill, &given, adapter) {
        Ok(Some(to_ask)) => Next::Ask(adapter, Box::new(to_ask)),
        Ok(None) => Next::Nothing(first.payer.clone()),
        Err(why) => Next::Stuck(why.text(policy)),
    })
}

/// What payers that answered are to commit; absent where one of them may not pay what it says.
pub fn amounts(
    record: &StayRecord,
    owner: &PersonFacts,
    policies: &PolicyShelf,
    given: &Given,
) -> Option<Vec<(PayerCode, Money)>> {
    let (deferred, bill) = (record.deferred()?, &record.settlement.as_ref()?.bill);
    let deferred = deferred.as_of(&year_of(owner, record, bill.benefit_year), given.keys())?;
    let walked = deferred.walk(policy_of(bill, policies)?, bill, given)?;
    let lines = walked.payers.into_iter().filter(|line| given.contains_key(&line.payer));
    Some(lines.map(|line| (line.payer, line.paid)).collect())
}

/// What the bill says of payers that were asked, as answers that stand; one that is left out still stays so.
fn answered(bill: &Bill) -> Given {
    let answer = |line: &BilledPayer| {
        let answer = match line.state {
            PayerState::Refused => Answer::refused(None),
            PayerState::Deferred => Answer::deferred(None),
            _ => Answer::confirmed(line.paid, line.payer_reference.clone().unwrap_or_default()),
        };
        (line.payer.clone(), answer)
    };
    bill.payers.iter().map(answer).collect()
}

fn policy_of<'p>(bill: &Bill, policies: &'p PolicyShelf) -> Option<&'p Policy> {
    policies.policies().iter().find(|policy| *policy.label() == bill.policy).map(|policy| &**policy)
}

fn not_configured(line: &BilledPayer) -> Text {
    Text::new(
        format!("未配置承办 {} 的适配器", line.payer),
        format!("no adapter that serves {} is configured", line.payer),
    )
}

fn no_policy(bill: &Bill) -> Text {
    Text::new(
        format!("结算所用政策 {} 已不在配置中", bill.policy),
        format!("policy {}, under which it was settled, is not configured any more", bill.policy),
    )
}

impl Decision {
    /// Payers that were left out are asked from now on.
    pub(super) fn owe_delivery(&self, record: &mut StayRecord) {
        if record.deferred().is_some() {
            let due_at = self.at.saturating_add(FIRST_PAUSE).ok();
            record.hold = Hold { due_at, epoch: record.hold.epoch, held_by: None };
        }
    }

    pub(super) fn delivery_postponed(
        &self,
        mut record: StayRecord,
        waits_for: &Text,
        hold: &Hold,
        owner: &PersonFacts,
    ) -> Verdict {
        if record.deferred().is_none() || record.is_delivering() {
            return Verdict::issued(record);
        }
        if let Some(deferred) = record.settlement.as_mut().and_then(|settlement| settlement.deferred.as_mut())
        {
            deferred.tries = deferred.tries.saturating_add(1);
            deferred.waits_for = Some(waits_for.clone());
            deferred.is_overdue = deferred.is_overdue_at(self.at);
        }
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
    ) -> Result<Verdict, LookAgain> {
        if record.deferred().is_none() || record.is_delivering() {
            return Ok(Verdict::issued(record));
        }
        let Some(mut settlement) = record.settlement.clone() else { return Ok(Verdict::issued(record)) };
        let now = year_of(owner, &record, settlement.bill.benefit_year);
        let as_of = |deferred: Deferred| deferred.as_of(&now, given.keys());
        let mut deferred = settlement.deferred.take().and_then(as_of).ok_or(LookAgain)?;
        let policy = policy_of(&settlement.bill, &self.policies).ok_or(LookAgain)?;
        let walked = deferred.walk(policy, &settlement.bill, given).ok_or(LookAgain)?;
        let is_answered = |payer: &PayerCode| {
            walked.payers.iter().any(|line| line.payer == *payer && line.state != PayerState::Deferred)
        };
        let is_covered = |(payer, amount): &(PayerCode, Money)| {
            walked.payers.iter().any(|line| line.payer == *payer && line.paid == *amount)
        };
        let legs = call.map(|call| call.legs.as_slice()).unwrap_or_default();
        if !given.keys().all(is_answered) || !legs.iter().all(is_covered) {
            return Err(LookAgain);
        }
        let Some(call) = call else {
            settlement.deferred = Some(deferred);
            return Ok(self.delivered(record, &settlement, given, owner));
        };
        deferred.reserved = since(&settlement, &walked);
        deferred.also_paid = given.values().flat_map(|answer| answer.also_paid.iter().cloned()).collect();
        let effect = Effect::by_reserving_delivery(&settlement, &deferred.reserved, 1);
        settlement.deferred = Some(deferred);
        record.settlement = Some(settlement);
        record.saga = Some(Saga::delivering(record.saga.take(), call.clone()));
        record.hold = hold.clone();
        Ok(self.note_beside_bill(record, effect, owner))
    }

    /// A payer that was left out has committed, or holds no money and never will.
    pub(super) fn delivery_over(&self, mut record: StayRecord, saga: &Saga, owner: &PersonFacts) -> Verdict {
        let (Some(mut settlement), Some(call)) = (record.settlement.clone(), saga.calls.last()) else {
            return Verdict::issued(record);
        };
        record.saga = Some(saga.clone());
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
        self.delivered(record, &settlement, &given, owner)
    }

    /// The next version of the bill; where more payers were left out, they are asked next.
    fn delivered(
        &self,
        mut record: StayRecord,
        before: &Settlement,
        given: &Given,
        owner: &PersonFacts,
    ) -> Verdict {
        let Some((mut deferred, policy)) =
            before.deferred.clone().zip(policy_of(&before.bill, &self.policies))
        else {
            return Verdict::issued(record);
        };
        // Only where the policy was replaced meanwhile: what the payer did stands in the saga until it is back.
        let Some(walked) = deferred.walk(policy, &before.bill, given) else { return Verdict::issued(record) };
        let release = Effect::by_reserving_delivery(before, &deferred.reserved, -1);
        deferred.also_paid.clear();
        let told = deferred.walk(policy, &before.bill, &Given::new());
        let told = told.map(|walked| walked.findings).unwrap_or_default();
        let moved = since(before, &walked);
        let mut after = before.clone();
        after.bill.take_delivery(&walked, given, &told, self.at);
        after.moves.extend(moved.iter().cloned());
        let is_left_out = after.bill.deferred().next().is_some();
        after.deferred =
            is_left_out.then(|| Deferred::new(deferred.claim, deferred.used, deferred.outside, self.at));
        let effect = release.and(Effect::by_delivering(before, &after, &moved));
        record.settlement = Some(after);
        self.owe_delivery(&mut record);
        self.write(record, owner, effect, Outcome::Bill)
    }

    /// The stay with what is remembered of its payers; the bill stands as issued.
    pub(super) fn note_beside_bill(
        &self,
        record: StayRecord,
        effect: Effect,
        owner: &PersonFacts,
    ) -> Verdict {
        let bill = record.settlement.as_ref().map(|settlement| Box::new(settlement.bill.clone()));
        let mut verdict = self.note(record, 0, owner);
        verdict.changes.accumulators = effect.accumulators;
        verdict.outcome = bill.map_or(verdict.outcome, Outcome::Bill);
        verdict
    }
}

/// What the walked chain moves in the year beyond what the settlement moved.
fn since(settlement: &Settlement, walked: &Adjudication) -> Vec<Moved> {
    let is_new = |moved: &Moved| settlement.moves.iter().all(|known| known.payer != moved.payer);
    moves(walked).into_iter().filter(is_new).collect()
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
