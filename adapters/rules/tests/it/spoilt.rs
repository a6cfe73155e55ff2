//! Random stays of which some must be refused, each for one thing that was done to it.

use proptest::prelude::*;
use proptest::sample::Index;
use yizhan_contract::stay::{Line, SettledElsewhere};
use yizhan_contract::{Accumulators, Claim, Money};

use crate::strategies::{PAYERS, lines, stay};

/// Most are left as they are.
const OF: u32 = 20;

fn leg(payer: &str, amount: Money, reference: &str) -> SettledElsewhere {
    SettledElsewhere { payer: payer.parse().unwrap(), amount, reference: reference.to_owned() }
}

fn spoil_stay(claim: &mut Claim, used: &mut Accumulators, what: u32, at: Index) {
    let first = leg(PAYERS[0], Money::ZERO, "R1");
    let own = PAYERS[at.index(PAYERS.len())];
    let buckets = &mut claim.buckets;
    match what {
        0 => buckets.upfront_copay += Money::FEN,
        1 => {
            buckets.in_scope += buckets.over_limit + Money::FEN;
            buckets.over_limit = -Money::FEN;
        }
        2 => used.admissions = u32::MAX,
        3 => claim.settled_elsewhere = vec![first.clone(), first],
        4 => claim.settled_elsewhere.push(leg(own, Money::ZERO, " ")),
        5 => claim.settled_elsewhere.push(leg(own, -Money::FEN, "R2")),
        6 => claim.settled_elsewhere.push(leg("nobody", Money::FEN, "R2")),
        7 => claim.settled_elsewhere = vec![leg(PAYERS[0], buckets.total + Money::FEN, "R2")],
        _ => {}
    }
}

/// A stay, and what the year has used up.
pub(crate) fn any_stay() -> impl Strategy<Value = (Claim, Accumulators)> {
    (stay(), 0..OF, any::<Index>()).prop_map(|((mut claim, mut used), what, at)| {
        spoil_stay(&mut claim, &mut used, what, at);
        (claim, used)
    })
}

fn spoil_lines(lines: &mut Vec<Line>, what: u32, at: Index) {
    let count = lines.len();
    let line = &mut lines[at.index(count)];
    match what {
        0 => (line.amount, line.unit_price) = (None, None),
        1 => line.amount = Some(Money::from_fen(1_000_000_000_000)),
        // Alone it is not too much, together with another it is.
        2 => (line.amount, line.unit_price) = (Some(Money::from_fen(999_999_999_999)), None),
        3 => line.credit_of = Some("0".to_owned()),
        4 => line.credit_of = Some("of last month".to_owned()),
        5 => line.amount = line.amount.map(std::ops::Neg::neg),
        6 => {
            let again = line.clone();
            lines.push(again);
        }
        7 => lines.clear(),
        _ => {}
    }
}

pub(crate) fn any_lines() -> impl Strategy<Value = Vec<Line>> {
    (lines(), 0..OF, any::<Index>()).prop_map(|(mut lines, what, at)| {
        spoil_lines(&mut lines, what, at);
        lines
    })
}
