//! Payers at the end of a chain that could not be asked when the stay was settled: what they are asked later. Pure.
//!
//! They are asked, one adapter after the other, for what they would have been asked then: the same claim, base and
//! remainder, under the same policy and the caps as they are by then. What comes of it is in `delivered`.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use yizhan_contract::stay::SettledElsewhere;
use yizhan_contract::step::PayerState;
use yizhan_contract::{Accumulators, Claim, Money, PayerCode, Reason, Text};
use yizhan_rules::{AdjudicateError, Adjudication, Policy, PolicyShelf};

use super::bill::{Bill, BilledPayer};
use super::given::{Answer, Given, Walked, legs, walk};
use super::payers::{Adapter, Payers};
use super::price::ToAsk;
use super::record::{Moved, StayRecord, name_of};
use super::reserved::{YearUsed, year_of};
use crate::store::PersonFacts;

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
    /// The policy it was settled under, as it was read: the files may say something else by now.
    #[serde(default)]
    pub policy: Vec<(Arc<str>, Arc<str>)>,
    pub since: Timestamp,
    /// How many tries came to nothing, and why the last did.
    pub tries: u32,
    pub waits_for: Option<Text>,
    pub is_overdue: bool,
    /// Of the payer that is being asked to commit: what is set aside for it, and what it quoted for others.
    pub reserved: Vec<Moved>,
    pub also_paid: Vec<SettledElsewhere>,
    /// What the hospital bears in the place of payers before these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub borne: Vec<(PayerCode, Money)>,
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
    pub(super) fn new(
        claim: Claim,
        used: Accumulators,
        outside: &[PayerCode],
        policy: &Policy,
        since: Timestamp,
    ) -> Self {
        Self {
            claim,
            used,
            outside: outside.to_vec(),
            policy: policy.texts().to_vec(),
            since,
            tries: 0,
            waits_for: None,
            is_overdue: false,
            reserved: Vec::new(),
            also_paid: Vec::new(),
            borne: Vec::new(),
        }
    }

    /// For those that are still left out once one of them has answered.
    pub(super) fn of_the_rest(self, since: Timestamp) -> Self {
        let (tries, waits_for, is_overdue) = (0, None, false);
        Self { since, tries, waits_for, is_overdue, reserved: Vec::new(), also_paid: Vec::new(), ..self }
    }

    /// The policy the bill was made under; absent where neither its files nor its text are there any more.
    pub(super) fn policy(&self, bill: &Bill, policies: &PolicyShelf) -> Option<Arc<Policy>> {
        let configured = policies.labelled(&bill.policy).cloned();
        configured.or_else(|| {
            let texts = self.policy.iter().map(|(file, text)| (&**file, &**text));
            PolicyShelf::read(texts).ok()?.labelled(&bill.policy).cloned()
        })
    }

    /// Whether it could not be asked for so long that a person has to look.
    pub fn is_overdue_at(&self, at: Timestamp) -> bool {
        OVERDUE_AFTER <= at.duration_since(self.since)
    }

    /// With what the year has used up of these payers by now.
    pub(super) fn as_of<'p>(
        &self,
        now: &YearUsed,
        payers: impl IntoIterator<Item = &'p PayerCode>,
    ) -> Option<Self> {
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

    /// What the bill says of payers that were asked, as answers that stand; one that is left out still stays so. What the
    /// hospital bears in a payer's place is paid, for those behind it.
    fn answered(&self, bill: &Bill) -> Given {
        let borne = |payer: &PayerCode| self.borne.iter().find(|(code, _)| code == payer);
        let answer = |line: &BilledPayer| {
            let answer = match (line.state, borne(&line.payer)) {
                (PayerState::Refused, Some((_, amount))) => Answer::confirmed(*amount, "".into()),
                (PayerState::Refused, None) => Answer::refused(None),
                (PayerState::Deferred, _) => Answer::deferred(None),
                (PayerState::NotApplicable, _) if line.reason == Some(Reason::CoverNotInForce) => {
                    Answer::not_covered(None)
                }
                (PayerState::NotApplicable, _) => Answer::left_out(),
                _ => Answer::confirmed(line.paid, line.payer_reference.clone().unwrap_or_default()),
            };
            (line.payer.clone(), answer)
        };
        bill.payers.iter().map(answer).collect()
    }

    /// The whole chain, with these answers for payers that were left out; absent where they may not pay that.
    pub(super) fn walk(&self, policy: &Policy, bill: &Bill, answers: &Given) -> Option<Adjudication> {
        let mut given = self.answered(bill);
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
                let order = policy.order(claim.cause.kind).iter().map(|rule| rule.code.clone());
                let after =
                    order.skip_while(|code| legs.iter().all(|leg| leg.payer != *code)).skip(legs.len());
                let (after, name) = (after.collect(), name_of(Some(bill), &legs[0].payer));
                Ok(Some(ToAsk { claim: self.claim.clone(), name, legs, paid_before, after }))
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
    let Some(policy) = deferred.policy(bill, policies) else { return Some(Next::Stuck(no_policy(bill))) };
    let group = || bill.deferred().map(|line| &line.payer).filter(|payer| adapter.serves(payer));
    let now = year_of(owner, record, bill.benefit_year);
    let deferred = deferred.as_of(&now, group())?;
    let mut given = deferred.answered(bill);
    for payer in group() {
        given.remove(payer);
    }
    Some(match deferred.ask(&policy, bill, &given, adapter) {
        Ok(Some(to_ask)) => Next::Ask(adapter, Box::new(to_ask)),
        Ok(None) => Next::Nothing(first.payer.clone()),
        Err(why) => Next::Stuck(why.text(&policy)),
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
    let walked = deferred.walk(&*deferred.policy(bill, policies)?, bill, given)?;
    let lines = walked.payers.into_iter().filter(|line| given.contains_key(&line.payer));
    Some(lines.map(|line| (line.payer, line.paid)).collect())
}

fn not_configured(line: &BilledPayer) -> Text {
    Text::new(
        format!("未配置承办{}的适配器", line.name.zh),
        format!("no adapter that serves {} is configured", line.name.en),
    )
}

pub(super) fn no_policy(bill: &Bill) -> Text {
    Text::new(
        format!("结算所用政策 {} 已不在配置中，请放回该政策文件", bill.policy),
        format!(
            "policy {}, under which it was settled, is not configured any more: put its file back",
            bill.policy
        ),
    )
}
