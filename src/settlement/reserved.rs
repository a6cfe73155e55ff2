//! What a stay is priced against: what the year has used up, and what stays in flight have set aside of it.
//!
//! The finding `reserved_by_other_stay` follows one rule: a payer that would pay more if nothing were set aside is
//! named, with what it pays less. Where the other stay falls through, pricing this one again brings it back.

use std::collections::BTreeMap;

use yizhan_contract::{Accumulators, Claim, Finding, Used};
use yizhan_rules::{AdjudicateError, Adjudication, Policy, adjudicate};

use super::findings;

/// The sums of one year, side by side.
#[derive(Debug, Default)]
pub struct YearUsed {
    settled: Accumulators,
    /// By other stays.
    reserved: Accumulators,
}

impl YearUsed {
    pub fn of(
        settled: &BTreeMap<i16, Accumulators>,
        reserved: &BTreeMap<i16, Accumulators>,
        year: i16,
    ) -> Self {
        let of = |sums: &BTreeMap<i16, Accumulators>| sums.get(&year).cloned().unwrap_or_default();
        Self { settled: of(settled), reserved: of(reserved) }
    }

    /// Adjudicates with both, so that no cap is passed however the other stays end.
    pub fn adjudicate(&self, policy: &Policy, claim: &Claim) -> Result<Adjudication, AdjudicateError> {
        if self.reserved == Accumulators::default() {
            return adjudicate(policy, claim, &self.settled);
        }
        let mut outcome = adjudicate(policy, claim, &self.both()?)?;
        let without = adjudicate(policy, claim, &self.settled)?;
        outcome.findings.extend(paid_less(&outcome, &without));
        Ok(outcome)
    }

    fn both(&self) -> Result<Accumulators, AdjudicateError> {
        let mut both = self.settled.clone();
        both.admissions = both.admissions.saturating_add(self.reserved.admissions);
        for (payer, used) in &self.reserved.payers {
            let settled = both.of(payer);
            let number = |why| AdjudicateError::Number { payer: payer.clone(), why };
            let base = settled.base.plus(used.base).map_err(number)?;
            both.payers.insert(payer.clone(), Used { base, paid: settled.paid + used.paid });
        }
        Ok(both)
    }
}

fn paid_less(outcome: &Adjudication, without: &Adjudication) -> Vec<Finding> {
    let pairs = outcome.payers.iter().zip(&without.payers);
    let less = pairs.map(|(with, without)| (&with.name, without.paid - with.paid));
    less.filter(|(_, less)| less.is_positive())
        .map(|(name, less)| findings::reserved_by_other_stay(name, less))
        .collect()
}
