//! What a stay is priced against: what the year has used up, and what stays in flight have set aside of it.
//!
//! The finding `reserved_by_other_stay` follows one rule: a payer that would pay more if nothing were set aside is
//! named, with what it pays less. Where the other stay falls through, pricing this one again brings it back.

use std::collections::BTreeMap;

use yizhan_contract::payer::AskedLeg;
use yizhan_contract::{Accumulators, Claim, Finding, PayerCode, Used};
use yizhan_rules::{AdjudicateError, Adjudication, Policy};

use super::findings;
use super::given::{Given, Walked, legs, walk};
use super::payers::Adapter;
use super::record::{Phase, StayRecord};
use crate::store::PersonFacts;

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

    /// Walks the chain with both, so that no cap is passed however the other stays end.
    ///
    /// # Errors
    /// As [`walk`].
    pub fn walk(
        &self,
        policy: &Policy,
        claim: &Claim,
        outside: &[PayerCode],
        given: &Given,
    ) -> Result<Walked, AdjudicateError> {
        let mut walked = walk(policy, claim, &self.both()?, outside, given)?;
        if let Walked::Done(outcome) = &mut walked
            && self.reserved != Accumulators::default()
            // Outside payers were asked about what is left beside the reservations: without an answer for the other
            // case there is nothing to compare.
            && let Ok(Walked::Done(without)) = walk(policy, claim, &self.settled, outside, given)
        {
            let less = paid_less(outcome, &without);
            outcome.findings.extend(less);
        }
        Ok(walked)
    }

    /// As [`legs`], with both.
    ///
    /// # Errors
    /// As [`walk`].
    pub fn legs(
        &self,
        policy: &Policy,
        claim: &Claim,
        outside: &[PayerCode],
        given: &Given,
        first: (&Adapter, AskedLeg),
    ) -> Result<Vec<AskedLeg>, AdjudicateError> {
        legs(policy, claim, &self.both()?, outside, given, first)
    }

    pub(super) fn both(&self) -> Result<Accumulators, AdjudicateError> {
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

/// What other stays of the person have set aside; a stay under way does not see its own part.
pub(super) fn reserved_by_others(person: &PersonFacts, record: &StayRecord) -> BTreeMap<i16, Accumulators> {
    let mut reserved = person.reserved.clone();
    let own = record.settlement.as_ref().filter(|_| record.phase == Phase::Committing);
    let Some(settlement) = own else { return reserved };
    let Some(year) = reserved.get_mut(&settlement.bill.benefit_year) else { return reserved };
    year.admissions = year.admissions.saturating_sub(1);
    for moved in &settlement.moves {
        if let Some(used) = year.payers.get_mut(&moved.payer) {
            used.paid -= moved.paid;
            used.base = used.base.plus(moved.base.negated()).unwrap_or(used.base);
        }
    }
    reserved
}

/// The sums of the settlement's year as a deferred payer meets them.
pub(super) fn year_of(person: &PersonFacts, record: &StayRecord, year: i16) -> YearUsed {
    YearUsed::of(&person.years, &reserved_by_others(person, record), year)
}

fn paid_less(outcome: &Adjudication, without: &Adjudication) -> Vec<Finding> {
    let pairs = outcome.payers.iter().zip(&without.payers);
    let less = pairs.map(|(with, without)| (&with.name, without.paid - with.paid));
    less.filter(|(_, less)| less.is_positive())
        .map(|(name, less)| findings::reserved_by_other_stay(name, less))
        .collect()
}
