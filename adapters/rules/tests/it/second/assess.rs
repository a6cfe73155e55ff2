//! Charge lines to buckets, from SETTLEMENT §2.

use std::collections::BTreeMap;

use yizhan_contract::stay::{CatalogueClass, Line};
use yizhan_contract::{Ratio, UnitPrice};

use super::{FEN, YUAN, parts, round, share, units};

/// 9,999,999,999.99
const AMOUNT_MAX: i128 = 999_999_999_999 * FEN;

/// What the catalogue says of an item.
#[derive(Debug, Clone)]
pub(crate) struct Listed {
    pub(crate) class: CatalogueClass,
    pub(crate) category: Option<String>,
    pub(crate) upfront_ratio: Option<Ratio>,
    pub(crate) ceiling: Option<UnitPrice>,
}

pub(crate) type Catalogue = BTreeMap<String, Listed>;

/// Five sums, and each line's category and parts of them, in units: total, self-funded, over the limit, upfront, in
/// scope.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Assessed {
    pub(crate) sums: [i128; 5],
    pub(crate) lines: Vec<(Option<String>, [i128; 5])>,
    /// A code stands in neither message nor catalogue.
    pub(crate) has_unknown: bool,
}

/// What decides the buckets of a line.
struct Terms {
    class: Option<CatalogueClass>,
    category: Option<String>,
    ratio: i128,
    ceiling: Option<i128>,
}

fn text(value: impl std::fmt::Display) -> i128 {
    units(&value.to_string())
}

/// Quantities have 4 decimals and prices 6: both are scaled down before they are multiplied.
fn product(quantity: i128, price: i128) -> i128 {
    (quantity / (YUAN / 10_000)) * (price / (YUAN / 1_000_000)) * (YUAN / 10_000_000_000)
}

/// The message goes before the catalogue, field by field.
fn terms(line: &Line, catalogue: &Catalogue) -> Terms {
    let item = catalogue.get(&line.code);
    let listed = item.and_then(|item| item.category.as_deref());
    let ratio = line.upfront_ratio.or_else(|| item?.upfront_ratio);
    Terms {
        class: line.class.or_else(|| Some(item?.class)),
        category: line.category.as_deref().or(listed).map(str::to_owned),
        ratio: ratio.map_or(0, |ratio| parts(&ratio.to_string())),
        ceiling: line.ceiling.or_else(|| item?.ceiling).map(text),
    }
}

/// The amount with its sign, or that it must be refused.
fn amount(line: &Line) -> Option<i128> {
    let quantity = text(line.quantity);
    let computed = line.unit_price.map(|price| product(quantity, text(price)));
    let stated = line.amount.map(text);
    let amount = stated.or(computed.map(round))?;
    let is_credit = line.credit || amount < 0;
    let is_off = stated.zip(computed).is_some_and(|(stated, computed)| {
        let off = if is_credit { stated.abs() - computed.abs() } else { stated - computed };
        off.abs() > quantity.abs().max(YUAN) / 100
    });
    (!is_off && amount.abs() <= AMOUNT_MAX).then_some(if is_credit { -amount.abs() } else { amount })
}

/// Whether two lines have one id, or it cites a line though it charges, or a line that is a credit.
fn wrong_field(line: &Line, lines: &[Line]) -> Option<&'static str> {
    if lines.iter().filter(|other| other.id == line.id).count() > 1 {
        return Some("id");
    }
    let Some(own) = amount(line) else { return Some("amount") };
    let is_credit = |line: &Line, amount: i128| line.credit || amount < 0;
    let cited = line.credit_of.as_ref()?;
    let of_credit = lines.iter().filter(|other| other.id == *cited);
    let mut of_credit = of_credit.filter_map(|other| Some((other, amount(other)?)));
    let is_wrong = !is_credit(line, own) || of_credit.any(|(other, amount)| is_credit(other, amount));
    is_wrong.then_some("credit_of")
}

/// The whole, or everything for which it must be refused: `line field`, or the sum that is wrong.
pub(crate) fn assess(lines: &[Line], catalogue: &Catalogue) -> Result<Assessed, Vec<String>> {
    let wrong = lines.iter().filter_map(|line| Some(format!("{} {}", line.id, wrong_field(line, lines)?)));
    let mut wrong: Vec<String> = wrong.collect();
    let mut split = Vec::new();
    let mut has_unknown = false;
    for line in lines {
        let Some(amount) = amount(line) else { continue };
        let own = terms(line, catalogue);
        let cited = lines.iter().find(|other| line.credit_of.as_ref() == Some(&other.id));
        let terms = match cited.map(|cited| terms(cited, catalogue)) {
            Some(theirs) => Terms { category: own.category.or(theirs.category), ..theirs },
            None => own,
        };
        has_unknown |= terms.class.is_none();
        match buckets(amount, text(line.quantity), &terms) {
            Some(buckets) => split.push((terms.category, buckets)),
            None => wrong.push(format!("{} quantity", line.id)),
        }
    }
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let sums = summed(&split).map_err(|why| vec![why.to_owned()])?;
    Ok(Assessed { sums, lines: split, has_unknown })
}

/// Absent: a ceiling per unit, and no unit.
fn buckets(a: i128, quantity: i128, terms: &Terms) -> Option<[i128; 5]> {
    let class = terms.class.unwrap_or(CatalogueClass::C);
    if class == CatalogueClass::C {
        return Some([a, a, 0, 0, 0]);
    }
    let over = match terms.ceiling {
        Some(_) if quantity == 0 => return None,
        Some(ceiling) => round(a.signum() * (a.abs() - product(quantity.abs(), ceiling)).max(0)),
        None => 0,
    };
    let upfront = if class == CatalogueClass::B { round(share(a - over, terms.ratio)) } else { 0 };
    Some([a, 0, over, upfront, a - over - upfront])
}

fn summed(lines: &[(Option<String>, [i128; 5])]) -> Result<[i128; 5], &'static str> {
    let mut sums = [0; 5];
    for (_, buckets) in lines {
        sums.iter_mut().zip(buckets).for_each(|(sum, part)| *sum += part);
    }
    let credits = lines.iter().filter(|(_, buckets)| buckets[0] < 0).count() as i128;
    if sums[0] <= 0 {
        return Err("nothing");
    }
    if sums[0] > AMOUNT_MAX {
        return Err("too much");
    }
    if sums[1..].iter().any(|bucket| *bucket < -FEN * credits) {
        return Err("credits");
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
    Ok(sums)
}
