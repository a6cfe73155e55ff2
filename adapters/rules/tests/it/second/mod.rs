//! A second adjudicator, written from SETTLEMENT alone. It reads the policy's TOML by itself, computes in
//! whole units of 10^-14 yuan, and shares no code with the crate under test.

mod assess;
mod findings;
mod person;

use std::collections::BTreeMap;

use toml::Value;
use yizhan_contract::stay::CauseKind;
use yizhan_contract::{Accumulators, Claim, Exact, Used};

pub(crate) use assess::{Assessed, Catalogue, Listed, assess};
use person::Person;

use crate::recompute::fractions::{FEN, YUAN, round, units};

/// A ratio of 1.
const WHOLE: i128 = 10_000;

fn parts(text: &str) -> i128 {
    units(text) * WHOLE / YUAN
}

fn share(amount: i128, ratio: i128) -> i128 {
    assert_eq!(amount * ratio % WHOLE, 0, "not exact");
    amount * ratio / WHOLE
}

/// What an outside payer says when it is asked.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Said {
    /// So many quarters of the most it may pay, to the fen below.
    Quarters(i64),
    Refuses,
    Defers,
}

/// Payers that are asked, by code.
pub(crate) type Outside = BTreeMap<String, Said>;

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Paid {
    pub(crate) payer: String,
    pub(crate) base: i128,
    pub(crate) paid: i128,
    pub(crate) reason: Option<&'static str>,
    /// What its accumulators gain: base and paid.
    pub(crate) gains: (i128, i128),
    /// In-scope and out-of-scope remainders it was asked with, and the most it may pay.
    pub(crate) asked: Option<[i128; 3]>,
}

pub(crate) struct Bill {
    pub(crate) payers: Vec<Paid>,
    pub(crate) share: i128,
    /// Codes of everything a person should look at, sorted.
    pub(crate) findings: Vec<&'static str>,
}

struct Stay<'a> {
    policy: &'a Value,
    claim: &'a Claim,
    used: &'a Accumulators,
    person: Person<'a>,
    outside: &'a Outside,
}

fn figure<'a>(table: &'a Value, key: &str) -> Option<&'a str> {
    let found = table.get(key)?;
    found.as_str().or_else(|| found.get("value")?.as_str()).filter(|text| *text != "none")
}

fn flag(table: &Value, key: &str) -> bool {
    table.get(key).and_then(Value::as_bool).unwrap_or(false)
}

fn words<'a>(table: &'a Value, key: &str) -> Option<Vec<&'a str>> {
    Some(table.get(key)?.as_array()?.iter().filter_map(Value::as_str).collect())
}

/// The bill of a stay: the payers' amounts, the patient's share, the findings. Else everything for which it must be
/// refused: `payer what`, or what is wrong with the stay.
pub(crate) fn adjudicate(
    policy: &Value,
    claim: &Claim,
    used: &Accumulators,
    outside: &Outside,
) -> Result<Bill, Vec<String>> {
    let person = Person::of(policy, claim, used);
    let stay = Stay { policy, claim, used, person, outside };
    let wrong = stay.wrong();
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let total = units(&claim.buckets.total.to_string());
    let mut left = (stay.in_scope(), total - stay.in_scope());
    let mut findings = Vec::new();
    let mut payers = Vec::new();
    for code in stay.order() {
        let entry = &policy["payers"][code];
        let before = left;
        let elsewhere = claim.settled_elsewhere.iter().find(|leg| leg.payer.as_str() == code);
        let line = match elsewhere {
            Some(leg) => {
                let paid = units(&leg.amount.to_string());
                if left.0 + left.1 < paid {
                    return Err(vec![format!("{code} more than left")]);
                }
                findings.extend(stay.passed_elsewhere(code, entry, paid));
                stay.elsewhere(code, entry, left, paid)
            }
            None => {
                let (line, is_capped) = stay.payer(code, entry, left);
                findings.extend(is_capped.then_some("cap_reached"));
                line
            }
        };
        match entry["base"].as_str().unwrap() {
            "out_of_scope" if elsewhere.is_none() => left.1 -= line.paid,
            _ => {
                let first = line.paid.min(left.0);
                left = (left.0 - first, left.1 - (line.paid - first));
            }
        }
        assert!(line.paid >= 0 && line.paid <= before.0 + before.1 && left.0 >= 0 && left.1 >= 0);
        payers.push(line);
    }
    let share = total - payers.iter().map(|line| line.paid).sum::<i128>();
    assert_eq!(share, left.0 + left.1);
    findings.extend(stay.of_the_whole(left.0, share));
    findings.sort_unstable();
    Ok(Bill { payers, share, findings })
}

/// An amount under the limits of steps 3 to 6.
struct Limited {
    paid: i128,
    reason: Option<&'static str>,
    /// A cap was the binding minimum.
    is_capped: bool,
}

impl Stay<'_> {
    /// What no turn of a payer could make right.
    fn wrong(&self) -> Vec<String> {
        let buckets = &self.claim.buckets;
        let parts = [buckets.self_funded, buckets.over_limit, buckets.upfront_copay, buckets.in_scope];
        let parts = parts.map(|part| units(&part.to_string()));
        let is_whole = parts.iter().sum::<i128>() == units(&buckets.total.to_string());
        let mut wrong = Vec::new();
        if !is_whole || parts.iter().any(|part| *part < 0) || parts.iter().all(|part| *part == 0) {
            wrong.push("buckets".to_owned());
        }
        if self.used.admissions == u32::MAX {
            wrong.push("admissions".to_owned());
        }
        let legs = &self.claim.settled_elsewhere;
        for leg in legs {
            let code = leg.payer.as_str();
            for (holds, what) in [
                (leg.amount.to_string().starts_with('-'), "negative"),
                (leg.reference.trim().is_empty(), "no reference"),
                (!self.order().contains(&code), "outside the order"),
                (legs.iter().filter(|other| other.payer == leg.payer).count() > 1, "twice"),
            ] {
                wrong.extend(holds.then(|| format!("{code} {what}")));
            }
        }
        wrong
    }

    fn order(&self) -> Vec<&str> {
        let cause = match self.claim.cause.kind {
            CauseKind::Illness => "illness",
            CauseKind::Accident => "accident",
        };
        words(&self.policy["orders"], cause).unwrap()
    }

    fn in_scope(&self) -> i128 {
        units(&self.claim.buckets.in_scope.to_string())
    }

    fn used(&self, code: &str) -> Used {
        let found = self.used.payers.iter().find(|(payer, _)| payer.as_str() == code);
        found.map(|(_, used)| *used).unwrap_or_default()
    }

    /// The entry with the first matching variant laid over it.
    fn terms(&self, entry: &Value) -> Value {
        let mut terms = entry.clone();
        let variants = entry.get("variants").and_then(Value::as_array).cloned().unwrap_or_default();
        let Some(variant) = variants.iter().find(|variant| self.person.matches(&variant["when"])) else {
            return terms;
        };
        let table = terms.as_table_mut().unwrap();
        if variant.get("ratio").is_some() || variant.get("bands").is_some() {
            table.remove("ratio");
            table.remove("bands");
        }
        for (key, value) in variant.as_table().unwrap() {
            table.insert(key.clone(), value.clone());
        }
        terms
    }

    fn base(&self, entry: &Value, terms: &Value, left: (i128, i128)) -> i128 {
        let base = match entry["base"].as_str().unwrap() {
            "scope" => left.0,
            "out_of_scope" => left.1,
            "patient" => left.0 + left.1,
            _ => {
                let of_line = |line: &yizhan_contract::ClaimLine| {
                    let ratio = line.category.as_ref().and_then(|category| figure(&entry["items"], category));
                    ratio.map_or(0, |ratio| share(units(&line.amount.to_string()), parts(ratio)))
                };
                self.claim.lines.iter().map(of_line).sum::<i128>().clamp(0, left.0 + left.1)
            }
        };
        match figure(terms, "upfront_share").filter(|_| self.person.is_out_of_area()) {
            Some(withheld) => share(base, WHOLE - parts(withheld)),
            None => base,
        }
    }

    /// `F(y)` exactly as the page writes it.
    fn graduated(&self, terms: &Value, y: i128) -> i128 {
        let deductible = figure(terms, "deductible").map_or(0, units);
        let points = figure(terms, "ratio_points").filter(|_| self.person.is_out_of_area()).map_or(0, parts);
        let bands: Vec<(Option<i128>, i128)> = match terms.get("bands").and_then(Value::as_array) {
            Some(bands) => bands
                .iter()
                .map(|band| (figure(band, "to").map(units), parts(figure(band, "ratio").unwrap())))
                .collect(),
            None => vec![(None, parts(figure(terms, "ratio").unwrap()))],
        };
        let (mut sum, mut low) = (0, 0);
        for (to, ratio) in bands {
            let high = to.map_or(y, |edge| edge.min(y));
            sum += share((high - deductible.max(low)).max(0), (ratio - points).max(0));
            low = to.unwrap_or(low);
        }
        sum
    }

    fn payer(&self, code: &str, entry: &Value, left: (i128, i128)) -> (Paid, bool) {
        let line = |base, paid, reason, gains| Paid {
            payer: code.to_owned(),
            base,
            paid,
            reason,
            gains,
            asked: None,
        };
        if let Some(reason) = self.person.barred(code, entry) {
            return (line(0, 0, Some(reason), (0, 0)), false);
        }
        let terms = self.terms(entry);
        let base = self.base(entry, &terms, left);
        let is_cumulative = flag(entry, "cumulative");
        let moved = if is_cumulative { base } else { 0 };
        let Some(said) = self.outside.get(code) else {
            let raw = if is_cumulative {
                let before = units(&self.used(code).base.to_string());
                self.graduated(&terms, before + base) - self.graduated(&terms, before)
            } else {
                self.graduated(&terms, base)
            };
            let stages = vec![("nothing_left", base), ("below_deductible", raw)];
            let own = self.limited(code, entry, &terms, left, stages);
            return (line(base, own.paid, own.reason, (moved, own.paid)), own.is_capped);
        };
        let open = if base == 0 { 0 } else { remainder(entry, left) };
        let most = self.limited(code, entry, &terms, left, vec![("nothing_left", open)]);
        if most.paid == 0 {
            return (line(base, 0, most.reason, (moved, 0)), most.is_capped);
        }
        let asked = Some([left.0, left.1, most.paid]);
        let (paid, gains) = match said {
            Said::Quarters(quarters) => {
                let paid = most.paid / FEN * i128::from(*quarters) / 4 * FEN;
                (paid, (moved, paid))
            }
            Said::Refuses | Said::Defers => (0, (0, 0)),
        };
        let is_capped = most.is_capped && paid == most.paid;
        (Paid { asked, ..line(base, paid, None, gains) }, is_capped)
    }

    /// Steps 3 to 6 on the last of `stages`; the first stage that leaves nothing is the reason.
    fn limited(
        &self,
        code: &str,
        entry: &Value,
        terms: &Value,
        left: (i128, i128),
        mut stages: Vec<(&'static str, i128)>,
    ) -> Limited {
        let raw = stages.last().unwrap().1;
        let in_scope = self.in_scope();
        let target = figure(terms, "target")
            .map_or(raw, |target| raw.min((share(in_scope, parts(target)) - (in_scope - left.0)).max(0)));
        stages.push(("target_reached", target));
        let paid_before = units(&self.used(code).paid.to_string());
        let mut capped = figure(terms, "stay_cap").map_or(target, |cap| target.min(units(cap)));
        capped =
            figure(terms, "annual_cap").map_or(capped, |cap| capped.min((units(cap) - paid_before).max(0)));
        stages.push(("cap_reached", capped));
        let mut paid = round(capped).min(remainder(entry, left));
        let mut is_capped = capped < target;
        if entry.get("standing").and_then(Value::as_str) == Some("discretionary") {
            let least = figure(&self.policy["settings"], "min_patient_share").map_or(FEN, units);
            let most = (left.0 + left.1 - least).max(0);
            is_capped &= paid <= most;
            paid = paid.min(most);
        }
        stages.push(("min_share", paid));
        let reason = stages.iter().find(|(_, amount)| round(*amount) == 0).map(|(reason, _)| *reason);
        Limited { paid, reason, is_capped }
    }

    fn elsewhere(&self, code: &str, entry: &Value, left: (i128, i128), paid: i128) -> Paid {
        let base = self.base(entry, &self.terms(entry), left);
        // 0.00 of a payer that a liable third party takes the place of is no settlement of its own.
        let counts =
            flag(entry, "cumulative") && (paid > 0 || !self.person.gives_way_to_third_party(code, entry));
        let gains = (if counts { base } else { 0 }, paid);
        Paid { payer: code.to_owned(), base, paid, reason: None, gains, asked: None }
    }
}

/// What is left of what a payer's payments are taken off.
fn remainder(entry: &Value, left: (i128, i128)) -> i128 {
    match entry["base"].as_str().unwrap() {
        "scope" => left.0,
        "out_of_scope" => left.1,
        _ => left.0 + left.1,
    }
}

pub(crate) fn of(value: impl Into<Exact>) -> i128 {
    units(&value.into().to_string())
}
