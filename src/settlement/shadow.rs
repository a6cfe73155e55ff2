//! Adapters whose answers are compared and never committed: what they are asked beside a settlement. Pure.

use std::sync::Arc;

use yizhan_contract::payer::{Ask, Manifest, Memo, QuotedAmount, VisitEvent};
use yizhan_contract::{Claim, Money, PayerCode};
use yizhan_rules::{Adjudication, Policy};

use super::given::{Given, Walked};
use super::payers::{Adapter, Payers};
use super::price::ToAsk;
use super::record::StayRecord;
use super::reserved::YearUsed;
use super::told;
use super::visits::Visited;

/// What an adapter is to be asked, and what the rules say of its payers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToCompare {
    pub adapter: Arc<str>,
    pub to_ask: ToAsk,
    pub by_rules: Vec<(PayerCode, Money)>,
}

/// The same as its adapter is told it.
#[derive(Debug, Clone)]
pub struct Shadowed {
    pub adapter: Arc<str>,
    /// What it knows of the visit from before.
    pub known: Visited,
    /// What it is told of the visit first, and that it was called off afterwards; empty where it does not see visits.
    pub visit: Vec<VisitEvent>,
    pub called_off: Option<VisitEvent>,
    pub ask: Ask,
    pub by_rules: Vec<(PayerCode, Money)>,
}

/// One payer of whom an adapter says something else than the rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Differs {
    pub payer: PayerCode,
    pub by_rules: Money,
    /// Absent: its quote does not speak of it.
    pub quoted: Option<Money>,
}

/// For each adapter that is only compared: what it would be asked here. Nothing where none of its payers has anything to
/// pay, or where the chain cannot be walked for it.
pub(super) fn to_compare(
    policy: &Policy,
    claim: &Claim,
    year: &YearUsed,
    payers: &Payers,
    given: &Given,
) -> Vec<ToCompare> {
    let walks = Walks { policy, claim, year, payers, given };
    payers.shadows().iter().filter_map(|adapter| walks.compared(adapter)).collect()
}

struct Walks<'a> {
    policy: &'a Policy,
    claim: &'a Claim,
    year: &'a YearUsed,
    payers: &'a Payers,
    given: &'a Given,
}

impl Walks<'_> {
    fn compared(&self, adapter: &Adapter) -> Option<ToCompare> {
        let is_its = |payer: &PayerCode| adapter.serves(payer);
        let others: Vec<PayerCode> =
            self.payers.served().iter().filter(|payer| !is_its(payer)).cloned().collect();
        let with_it: Vec<PayerCode> = others.iter().chain(&adapter.serves).cloned().collect();
        let given: Given = self
            .given
            .iter()
            .filter(|(payer, _)| !is_its(payer))
            .map(|(payer, answer)| (payer.clone(), answer.clone()))
            .collect();
        let Walked::Done(by_rules) = self.year.walk(self.policy, self.claim, &others, &given).ok()? else {
            return None;
        };
        let walked = self.year.walk(self.policy, self.claim, &with_it, &given).ok()?;
        let Walked::Ask { leg, paid_before } = walked else { return None };
        let legs = self.year.legs(self.policy, self.claim, &with_it, &given, (adapter, leg)).ok()?;
        let name = by_rules.payers.iter().find(|line| line.payer == legs[0].payer)?.name.clone();
        let by_rules = legs.iter().map(|leg| (leg.payer.clone(), paid(&by_rules, &leg.payer))).collect();
        let order = self.policy.order(self.claim.cause.kind).iter().map(|rule| rule.code.clone());
        let after = order.skip_while(|code| legs.iter().all(|leg| leg.payer != *code)).skip(legs.len());
        let (claim, after) = (self.claim.clone(), after.collect());
        let to_ask = ToAsk { claim, name, legs, paid_before, after };
        Some(ToCompare { adapter: Arc::clone(&adapter.name), to_ask, by_rules })
    }
}

fn paid(adjudication: &Adjudication, payer: &PayerCode) -> Money {
    let line = adjudication.payers.iter().find(|line| line.payer == *payer);
    line.map_or(Money::ZERO, |line| line.paid)
}

impl ToCompare {
    /// As the adapter is told it. It has seen the visit where it decided before; as it is told in the end that the visit is
    /// called off, the stay knows nothing of that any more, and tells it all where it decides again.
    pub(super) fn told(&self, record: &mut StayRecord, payers: &Payers) -> Option<Shadowed> {
        let adapter = payers.shadows().iter().find(|adapter| adapter.name == self.adapter)?;
        let stay = Arc::from(record.stay_id.to_string());
        let Manifest { needs, sees_visits, .. } = adapter.manifest();
        let (mut known, mut visit, mut called_off) = (Visited::default(), Vec::new(), None);
        if *sees_visits {
            known = record.visits.remove(&self.adapter).unwrap_or_default();
            visit = told::visit(Arc::clone(&stay), record, needs);
            called_off = told::called_off(Arc::clone(&stay), record, needs);
        }
        let ask = told::ask(stay, record, &self.to_ask, needs, Memo::default());
        let (adapter, by_rules) = (Arc::clone(&self.adapter), self.by_rules.clone());
        Some(Shadowed { adapter, known, visit, called_off, ask, by_rules })
    }
}

impl Shadowed {
    /// Where the adapter says something else; `quoted` empty: it pays nothing.
    pub fn differences(&self, quoted: &[QuotedAmount]) -> Vec<Differs> {
        let of = |payer: &PayerCode| quoted.iter().find(|one| one.payer == *payer).map(|one| one.amount);
        let differs = |(payer, by_rules): &(PayerCode, Money)| {
            let said = of(payer).or(quoted.is_empty().then_some(Money::ZERO));
            let (payer, by_rules) = (payer.clone(), *by_rules);
            (said != Some(by_rules)).then_some(Differs { payer, by_rules, quoted: said })
        };
        self.by_rules.iter().filter_map(differs).collect()
    }
}
