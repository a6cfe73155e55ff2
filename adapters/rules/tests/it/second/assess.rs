//! Charge lines to buckets, from SETTLEMENT §2.

use std::collections::BTreeMap;

use yizhan_contract::stay::{CatalogueClass, Line};

use super::{FEN, YUAN, parts, round, share, units};

/// Five sums in units: total, self-funded, over the limit, upfront, in scope. `None`: refused.
pub(crate) fn assess(lines: &[Line]) -> Option<[i128; 5]> {
    let text = |value: &dyn std::fmt::Display| units(&value.to_string());
    let product = |a: i128, b: i128| {
        // Quantities have 4 decimals and prices 6: scale both down before multiplying.
        (a / (YUAN / 10_000)) * (b / (YUAN / 1_000_000)) * (YUAN / 10_000_000_000)
    };
    let by_id: BTreeMap<&str, &Line> = lines.iter().map(|line| (line.id.as_str(), line)).collect();
    let (mut sums, mut credits) = ([0; 5], 0);
    for line in lines {
        let quantity = text(&line.quantity);
        let computed = line.unit_price.map(|price| product(quantity, text(&price)));
        let stated = line.amount.map(|amount| units(&amount.to_string()));
        let amount = stated.or(computed.map(round))?;
        let is_credit = line.credit || amount < 0;
        if let (Some(stated), Some(computed)) = (stated, computed) {
            let off = if is_credit { stated.abs() - computed.abs() } else { stated - computed };
            if off.abs() > quantity.abs().max(YUAN) / 100 {
                return None;
            }
        }
        let a = if is_credit { -amount.abs() } else { amount };
        credits += i128::from(a < 0);
        let terms = line.credit_of.as_deref().and_then(|id| by_id.get(id)).unwrap_or(&line);
        let (self_funded, over, upfront) = match terms.class {
            None | Some(CatalogueClass::C) => (a, 0, 0),
            Some(class) => {
                let over = match terms.ceiling {
                    Some(_) if quantity == 0 => return None,
                    Some(ceiling) => {
                        round(a.signum() * (a.abs() - product(quantity.abs(), text(&ceiling))).max(0))
                    }
                    None => 0,
                };
                let ratio = terms.upfront_ratio.filter(|_| class == CatalogueClass::B);
                let upfront = ratio.map_or(0, |ratio| round(share(a - over, parts(&ratio.to_string()))));
                (0, over, upfront)
            }
        };
        let split = [a, self_funded, over, upfront, a - self_funded - over - upfront];
        for (sum, part) in sums.iter_mut().zip(split) {
            *sum += part;
        }
    }
    if sums[0] <= 0 || sums[1..].iter().any(|bucket| *bucket < -FEN * credits) {
        return None;
    }
    for bucket in 1..4 {
        sums[4] += sums[bucket].min(0);
        sums[bucket] = sums[bucket].max(0);
    }
    for bucket in [3, 2, 1] {
        let given = (-sums[4]).max(0).min(sums[bucket]);
        sums[bucket] -= given;
        sums[4] += given;
    }
    Some(sums)
}
