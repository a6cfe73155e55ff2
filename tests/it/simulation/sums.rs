//! Sums of the year: those of what stands, and of what is in flight, under the caps.

use std::collections::BTreeMap;

use uuid::Uuid;
use yizhan::settlement::bill::BilledPayer;
use yizhan::settlement::record::{Moved, Phase, StayRecord};
use yizhan_contract::step::PayerState;
use yizhan_contract::{Accumulators, Exact, Money, PayerCode, Used};

use super::promises::{Held, Promises, YEAR};

/// By payer, without those of nothing; and how many admissions.
type Sums = (BTreeMap<PayerCode, Used>, u32);

impl Promises<'_> {
    /// Sums of the year are those of what stands, reservations those of what is in flight, both under the caps.
    pub(super) fn sums(&self) -> Held {
        for stay in self.look.stays.values() {
            as_billed(&stay.visit, &stay.record)?;
        }
        for (who, facts) in &self.look.people {
            let (mut settled, admissions) = self.moved(facts.person_id, &[Phase::Settled, Phase::Reversing]);
            for (_, payer, base, paid) in self.limits.openings.iter().filter(|(of, ..)| of == who) {
                add(&mut settled, payer.parse().unwrap(), base.parse().unwrap(), paid.parse().unwrap());
            }
            let opened = self.limits.admissions.get(who).copied().unwrap_or_default();
            let (used, stands) = (of_year(&facts.years), (something(settled), admissions + opened));
            if used != stands {
                return Err(format!("accumulators: {who} has {used:?}, what stands is {stands:?}"));
            }
            let (mut reserved, admissions) = self.moved(facts.person_id, &[Phase::Committing]);
            for moved in self.delivered(facts.person_id) {
                add(&mut reserved, moved.payer, moved.base, moved.paid);
            }
            let (kept, in_flight) = (of_year(&facts.reserved), (something(reserved), admissions));
            if kept != in_flight {
                return Err(format!("reservations: {who} has {kept:?}, in flight is {in_flight:?}"));
            }
            self.under_caps(who, &used.0, &kept.0)?;
        }
        Ok(())
    }

    fn under_caps(
        &self,
        who: &str,
        used: &BTreeMap<PayerCode, Used>,
        kept: &BTreeMap<PayerCode, Used>,
    ) -> Held {
        for (_, payer, cap) in self.limits.caps.iter().filter(|(of, ..)| *of == who) {
            let code: PayerCode = payer.parse().unwrap();
            let of =
                |sums: &BTreeMap<PayerCode, Used>| sums.get(&code).map(|used| used.paid).unwrap_or_default();
            let (used, kept, cap) = (of(used), of(kept), cap.parse::<Money>().unwrap());
            if cap < used + kept {
                return Err(format!(
                    "caps: {payer} paid {used} for {who} and has reserved {kept}, the cap is {cap}"
                ));
            }
        }
        Ok(())
    }

    /// What is set aside for payers that were left out and are asked now.
    fn delivered(&self, person: Uuid) -> Vec<Moved> {
        let stays = self.look.stays.values().filter(|stay| stay.person_id == person);
        let settlements = stays.filter_map(|stay| stay.record.settlement.as_ref());
        let reserved = settlements.filter_map(|settlement| settlement.deferred.as_ref());
        reserved.flat_map(|deferred| deferred.reserved.clone()).collect()
    }

    fn moved(&self, person: Uuid, phases: &[Phase]) -> Sums {
        let mut sums = BTreeMap::new();
        let mut admissions = 0;
        let stays = self.look.stays.values().filter(|stay| stay.person_id == person);
        for stay in stays.filter(|stay| phases.contains(&stay.record.phase)) {
            admissions += 1;
            for moved in stay.record.settlement.iter().flat_map(|settlement| &settlement.moves) {
                add(&mut sums, moved.payer.clone(), moved.base, moved.paid);
            }
        }
        (sums, admissions)
    }
}

fn add(sums: &mut BTreeMap<PayerCode, Used>, payer: PayerCode, base: Exact, paid: Money) {
    let used = sums.entry(payer).or_default();
    used.base = used.base.plus(base).unwrap();
    used.paid += paid;
}

fn something(mut sums: BTreeMap<PayerCode, Used>) -> BTreeMap<PayerCode, Used> {
    sums.retain(|_, used| !used.base.is_zero() || !used.paid.is_zero());
    sums
}

fn of_year(years: &BTreeMap<i16, Accumulators>) -> Sums {
    let Accumulators { admissions, payers } = years.get(&YEAR).cloned().unwrap_or_default();
    (something(payers), admissions)
}

/// The payer whose bases count over the year.
const CUMULATIVE: &str = "critical_illness";

/// What a standing settlement moved is what its bill says; the base of the cumulative payer whatever it paid.
fn as_billed(visit: &str, record: &StayRecord) -> Held {
    let Some(settlement) = record.settlement.as_ref().filter(|_| record.phase == Phase::Settled) else {
        return Ok(());
    };
    let counts = |line: &&BilledPayer| match line.state {
        PayerState::Committed | PayerState::Deferred => true,
        PayerState::Refused => line.payer.as_str() != CUMULATIVE,
        PayerState::NotApplicable => line.payer.as_str() == CUMULATIVE,
        _ => false,
    };
    for line in settlement.bill.payers.iter().filter(counts) {
        let moved = settlement.moves.iter().find(|moved| moved.payer == line.payer);
        let moved = moved.map(|moved| (moved.base, moved.paid)).unwrap_or_default();
        let base = if line.payer.as_str() == CUMULATIVE { line.base } else { Exact::ZERO };
        if moved != (base, line.paid) {
            let (payer, paid) = (&line.payer, line.paid);
            return Err(format!(
                "accumulators: {visit} moved {moved:?} for {payer}, its bill says {base} {paid}"
            ));
        }
    }
    Ok(())
}
