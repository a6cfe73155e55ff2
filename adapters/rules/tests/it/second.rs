//! A second adjudicator, written from SETTLEMENT alone. It reads the policy's TOML by itself, computes in
//! whole units of 10^-14 yuan, and shares no code with the crate under test.

use std::collections::BTreeMap;

use toml::Value;
use yizhan_contract::person::EntitlementKind;
use yizhan_contract::stay::{CatalogueClass, CauseKind, Line};
use yizhan_contract::{Accumulators, Claim, Exact};

/// Units of one yuan; every product on that page has at most 14 decimals.
pub(crate) const YUAN: i128 = 100_000_000_000_000;
const FEN: i128 = YUAN / 100;
/// A ratio of 1.
const WHOLE: i128 = 10_000;

pub(crate) fn units(text: &str) -> i128 {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let fraction: i128 = format!("{fraction:0<14}").parse().unwrap();
    sign * (whole.parse::<i128>().unwrap() * YUAN + fraction)
}

fn parts(text: &str) -> i128 {
    units(text) * WHOLE / YUAN
}

fn share(amount: i128, ratio: i128) -> i128 {
    assert_eq!(amount * ratio % WHOLE, 0, "not exact");
    amount * ratio / WHOLE
}

/// Half away from zero, to the fen.
pub(crate) fn round(amount: i128) -> i128 {
    amount.signum() * ((amount.abs() + FEN / 2) / FEN) * FEN
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Paid {
    pub(crate) payer: String,
    pub(crate) base: i128,
    pub(crate) paid: i128,
    pub(crate) reason: Option<&'static str>,
    /// What its accumulators gain: base and paid.
    pub(crate) gains: (i128, i128),
}

struct Stay<'a> {
    policy: &'a Value,
    claim: &'a Claim,
    used: &'a Accumulators,
    categories: Vec<String>,
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

/// The payers' amounts and the patient's share.
pub(crate) fn adjudicate(policy: &Value, claim: &Claim, used: &Accumulators) -> (Vec<Paid>, i128) {
    let by_admission = policy["settings"].get("identity_on").and_then(Value::as_str) == Some("admission");
    let day = if by_admission { claim.admitted } else { claim.discharged };
    let roster = claim.roster.clone().unwrap_or_default();
    let mut categories: Vec<String> = roster.categories_on(day).map(str::to_owned).collect();
    if categories.is_empty() {
        categories.push("resident".to_owned());
    }
    let stay = Stay { policy, claim, used, categories };
    let total = units(&claim.buckets.total.to_string());
    let in_scope = units(&claim.buckets.in_scope.to_string());
    let mut left = (in_scope, total - in_scope);
    let order = match claim.cause.kind {
        CauseKind::Illness => "illness",
        CauseKind::Accident => "accident",
    };
    let mut payers = Vec::new();
    for code in words(&policy["orders"], order).unwrap() {
        let entry = &policy["payers"][code];
        let before = left;
        let elsewhere = claim.settled_elsewhere.iter().find(|leg| leg.payer.as_str() == code);
        let line = match elsewhere {
            Some(leg) => stay.elsewhere(code, entry, left, units(&leg.amount.to_string())),
            None => stay.payer(code, entry, left, day),
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
    (payers, share)
}

impl Stay<'_> {
    fn barred(&self, code: &str, entry: &Value, day: jiff::civil::Date) -> Option<&'static str> {
        let covers_residents =
            self.policy["settings"].get("covers_residents").and_then(Value::as_bool).unwrap_or(true);
        let entitlements =
            self.claim.roster.iter().flat_map(|roster| &roster.entitlements).collect::<Vec<_>>();
        if entitlements.is_empty() && !covers_residents {
            return Some("not_entitled");
        }
        if let Some(codes) = words(entry, "categories")
            && !codes.iter().any(|code| self.categories.iter().any(|own| own == code))
        {
            return Some("not_entitled");
        }
        if let Some(cover) = entry.get("cover").and_then(Value::as_str) {
            let held = |e: &&&yizhan_contract::person::Entitlement| {
                e.kind == EntitlementKind::Cover && e.code == cover
            };
            if !entitlements.iter().filter(held).any(|e| e.holds_on(day)) {
                let any = entitlements.iter().any(|e| held(&e));
                return Some(if any { "cover_not_in_force" } else { "not_entitled" });
            }
        }
        if flag(entry, "specified_accidents_only") {
            let listed = self.policy["settings"]["specified_accidents"].as_array().unwrap();
            let kind = self.claim.cause.accident_type.as_deref();
            if !listed.iter().any(|accident| accident["code"].as_str() == kind) {
                return Some("cause_not_covered");
            }
        }
        self.is_somebody_elses(code, entry).then_some("third_party_liable")
    }

    fn is_somebody_elses(&self, code: &str, entry: &Value) -> bool {
        let pays_anyhow = entry.get("pays_with_liable_third_party").and_then(Value::as_bool);
        self.claim.third_party_liable && !pays_anyhow.unwrap_or(matches!(code, "disaster" | "accident"))
    }

    fn matches(&self, when: &Value) -> bool {
        let ordinal = i64::from(self.used.admissions) + 1;
        let level = i64::from(u8::from(self.claim.hospital_level));
        let whole = |key: &str| when.get(key).and_then(Value::as_integer);
        words(when, "categories")
            .is_none_or(|codes| codes.iter().any(|code| self.categories.iter().any(|own| own == code)))
            && when
                .get("levels")
                .is_none_or(|levels| levels.as_array().unwrap().iter().any(|l| l.as_integer() == Some(level)))
            && whole("admission_from").is_none_or(|first| ordinal >= first)
            && whole("admission_to").is_none_or(|last| ordinal <= last)
            && when.get("out_of_area").is_none_or(|out| out.as_bool() == Some(self.out_of_area()))
            && words(when, "referral").is_none_or(|known| known.contains(&self.claim.referral.word()))
            && when.get("cause").is_none_or(|cause| cause.as_str() == Some(self.claim.cause.kind.word()))
    }

    fn out_of_area(&self) -> bool {
        self.claim.insured_region[..4] != self.claim.hospital_region[..4]
    }

    /// The entry with the first matching variant laid over it.
    fn terms(&self, entry: &Value) -> Value {
        let mut terms = entry.clone();
        let variants = entry.get("variants").and_then(Value::as_array).cloned().unwrap_or_default();
        let Some(variant) = variants.iter().find(|variant| self.matches(&variant["when"])) else {
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
        match figure(terms, "upfront_share").filter(|_| self.out_of_area()) {
            Some(withheld) => share(base, WHOLE - parts(withheld)),
            None => base,
        }
    }

    /// `F(y)` exactly as the page writes it.
    fn graduated(&self, terms: &Value, y: i128) -> i128 {
        let deductible = figure(terms, "deductible").map_or(0, units);
        let points = figure(terms, "ratio_points").filter(|_| self.out_of_area()).map_or(0, parts);
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

    fn payer(&self, code: &str, entry: &Value, left: (i128, i128), day: jiff::civil::Date) -> Paid {
        let none =
            |reason| Paid { payer: code.to_owned(), base: 0, paid: 0, reason: Some(reason), gains: (0, 0) };
        if let Some(reason) = self.barred(code, entry, day) {
            return none(reason);
        }
        let terms = self.terms(entry);
        let base = self.base(entry, &terms, left);
        let used = self.used.payers.iter().find(|(payer, _)| payer.as_str() == code).map(|(_, used)| *used);
        let used = used.unwrap_or_default();
        let is_cumulative = flag(entry, "cumulative");
        let raw = if is_cumulative {
            let before = units(&used.base.to_string());
            self.graduated(&terms, before + base) - self.graduated(&terms, before)
        } else {
            self.graduated(&terms, base)
        };
        let mut stages = vec![("nothing_left", base), ("below_deductible", raw)];
        let in_scope = units(&self.claim.buckets.in_scope.to_string());
        let target = figure(&terms, "target")
            .map_or(raw, |target| raw.min((share(in_scope, parts(target)) - (in_scope - left.0)).max(0)));
        stages.push(("target_reached", target));
        let paid_before = units(&used.paid.to_string());
        let mut capped = figure(&terms, "stay_cap").map_or(target, |cap| target.min(units(cap)));
        capped = figure(&terms, "annual_cap").map_or(capped, |cap| capped.min(units(cap) - paid_before));
        stages.push(("cap_reached", capped.max(0)));
        let remainder = match entry["base"].as_str().unwrap() {
            "scope" => left.0,
            "out_of_scope" => left.1,
            _ => left.0 + left.1,
        };
        let mut paid = round(capped.max(0)).min(remainder);
        if entry.get("standing").and_then(Value::as_str) == Some("discretionary") {
            let least = figure(&self.policy["settings"], "min_patient_share").map_or(FEN, units);
            paid = paid.min((left.0 + left.1 - least).max(0));
        }
        stages.push(("min_share", paid));
        let reason = stages.iter().find(|(_, amount)| round(*amount) == 0).map(|(reason, _)| *reason);
        let gains = (if is_cumulative { base } else { 0 }, paid);
        Paid { payer: code.to_owned(), base, paid, reason, gains }
    }

    fn elsewhere(&self, code: &str, entry: &Value, left: (i128, i128), paid: i128) -> Paid {
        let base = self.base(entry, &self.terms(entry), left);
        // 0.00 of a payer that a liable third party takes the place of is no settlement of its own.
        let counts = flag(entry, "cumulative") && (paid > 0 || !self.is_somebody_elses(code, entry));
        Paid {
            payer: code.to_owned(),
            base,
            paid,
            reason: None,
            gains: (if counts { base } else { 0 }, paid),
        }
    }
}

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

pub(crate) fn of(value: impl Into<Exact>) -> i128 {
    units(&value.into().to_string())
}
