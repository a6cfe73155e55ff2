//! What a person has used up of a year, after a step.

use std::collections::{BTreeMap, BTreeSet};

use yizhan_contract::{Accumulators, Exact, PayerCode};

use super::person::damaged;
use super::{AccumulatorMove, Pot, StoreError};

/// The sums of a person while a step moves them.
pub(super) struct Sums {
    moved: BTreeMap<i16, Accumulators>,
    years: BTreeSet<i16>,
    used: BTreeSet<(i16, PayerCode)>,
}

/// The sums that a step changed, as they are after it.
#[derive(Default)]
pub(super) struct SumRows {
    pub(super) years: Vec<(i16, u32)>,
    pub(super) used: Vec<UsedRow>,
}

pub(super) struct UsedRow {
    pub(super) year: i16,
    pub(super) payer: PayerCode,
    pub(super) base: Exact,
    pub(super) paid_fen: i64,
}

impl Sums {
    pub(super) fn of(moved: BTreeMap<i16, Accumulators>) -> Self {
        Self { moved, years: BTreeSet::new(), used: BTreeSet::new() }
    }

    pub(super) fn add(&mut self, by: &AccumulatorMove) -> Result<(), StoreError> {
        let year = self.moved.entry(by.year).or_default();
        if by.admissions != 0 {
            year.admissions = year
                .admissions
                .checked_add_signed(by.admissions)
                .ok_or_else(|| StoreError::Defect("admissions below zero".to_owned()))?;
            self.years.insert(by.year);
        }
        for (payer, used) in &by.payers {
            if used.base == Exact::ZERO && used.paid.is_zero() {
                continue;
            }
            let sum = year.payers.entry(payer.clone()).or_default();
            sum.base = sum.base.plus(used.base).map_err(|why| damaged(&why.to_string()))?;
            sum.paid += used.paid;
            self.used.insert((by.year, payer.clone()));
        }
        Ok(())
    }

    /// All that another person used up.
    pub(super) fn join(&mut self, other: &BTreeMap<i16, Accumulators>) -> Result<(), StoreError> {
        for (year, moved) in other {
            let admissions = i32::try_from(moved.admissions)
                .map_err(|_| StoreError::Defect("too many admissions".to_owned()))?;
            let payers = moved.payers.iter().map(|(payer, used)| (payer.clone(), *used)).collect();
            // Which pot does not matter here: the caller has one of these for each.
            self.add(&AccumulatorMove { pot: Pot::Settled, year: *year, admissions, payers })?;
        }
        Ok(())
    }

    pub(super) fn rows(self) -> SumRows {
        let Self { moved, years, used } = self;
        let row = |(year, payer): (i16, PayerCode)| {
            let sum = moved.get(&year)?.of(&payer);
            Some(UsedRow { year, payer, base: sum.base, paid_fen: sum.paid.fen() })
        };
        let admissions = |year: i16| Some((year, moved.get(&year)?.admissions));
        SumRows {
            years: years.into_iter().filter_map(admissions).collect(),
            used: used.into_iter().filter_map(row).collect(),
        }
    }
}
