//! What a change of a settlement's state moves beside its documents: the year's sums and the ledger. Pure.

use yizhan_contract::Used;

use super::ledger::{self, Standing};
use super::record::{Moved, Settlement};
use crate::store::{AccumulatorMove, Posting, Pot};

#[derive(Debug, Default)]
pub(super) struct Effect {
    pub(super) accumulators: Vec<AccumulatorMove>,
    pub(super) postings: Vec<Posting>,
}

impl Effect {
    pub(super) fn by_settling(settlement: &Settlement) -> Self {
        let postings = ledger::postings(None, Some(standing(settlement)));
        Self { accumulators: vec![moves(settlement, Pot::Settled, 1)], postings }
    }

    /// Of the settlement as it stood.
    pub(super) fn by_taking_back(settlement: &Settlement) -> Self {
        let postings = ledger::postings(Some(standing(settlement)), None);
        Self { accumulators: vec![moves(settlement, Pot::Settled, -1)], postings }
    }
}

impl Effect {
    /// Sets aside what the settlement would use up, until its payers have answered.
    pub(super) fn by_reserving(settlement: &Settlement) -> Self {
        Self { accumulators: vec![moves(settlement, Pot::Reserved, 1)], postings: Vec::new() }
    }

    pub(super) fn by_releasing(settlement: &Settlement) -> Self {
        Self { accumulators: vec![moves(settlement, Pot::Reserved, -1)], postings: Vec::new() }
    }

    /// Sets aside what a deferred payer is about to commit; with `-1`, gives it free again.
    pub(super) fn by_reserving_delivery(settlement: &Settlement, reserved: &[Moved], sign: i32) -> Self {
        let moves = AccumulatorMove { admissions: 0, ..of_year(settlement, Pot::Reserved, reserved, sign) };
        Self { accumulators: vec![moves], postings: Vec::new() }
    }

    /// Of one bill after another of the same settlement, which stands all the while: `new` is what moved since.
    pub(super) fn by_delivering(before: &Settlement, after: &Settlement, new: &[Moved]) -> Self {
        let moves = AccumulatorMove { admissions: 0, ..of_year(after, Pot::Settled, new, 1) };
        let postings = ledger::postings(Some(standing(before)), Some(standing(after)));
        Self { accumulators: vec![moves], postings }
    }

    #[must_use]
    pub(super) fn and(mut self, other: Self) -> Self {
        self.accumulators.extend(other.accumulators);
        self.postings.extend(other.postings);
        self
    }
}

fn standing(settlement: &Settlement) -> Standing<'_> {
    Standing { bill: &settlement.bill, insured_region: &settlement.insured_region }
}

/// What the settlement adds to its year, or with `-1` takes back.
fn moves(settlement: &Settlement, pot: Pot, sign: i32) -> AccumulatorMove {
    of_year(settlement, pot, &settlement.moves, sign)
}

fn of_year(settlement: &Settlement, pot: Pot, moved: &[Moved], sign: i32) -> AccumulatorMove {
    let signed = |used: Used| {
        if sign < 0 { Used { base: used.base.negated(), paid: -used.paid } } else { used }
    };
    AccumulatorMove {
        pot,
        year: settlement.bill.benefit_year,
        admissions: sign,
        payers: moved
            .iter()
            .map(|moved| (moved.payer.clone(), signed(Used { base: moved.base, paid: moved.paid })))
            .collect(),
    }
}
