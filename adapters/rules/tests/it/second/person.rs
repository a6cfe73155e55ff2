//! Who the person is, and what bars a payer: SETTLEMENT §3 "not payable" and §4.

use jiff::civil::Date;
use toml::Value;
use yizhan_contract::person::{Entitlement, EntitlementKind, RosterEntry};
use yizhan_contract::{Accumulators, Claim};

use super::{flag, words};

pub(super) struct Person<'a> {
    policy: &'a Value,
    claim: &'a Claim,
    used: &'a Accumulators,
    /// The day that decides.
    day: Date,
    roster: RosterEntry,
}

impl<'a> Person<'a> {
    pub(super) fn of(policy: &'a Value, claim: &'a Claim, used: &'a Accumulators) -> Self {
        let by_admission = policy["settings"].get("identity_on").and_then(Value::as_str) == Some("admission");
        let day = if by_admission { claim.admitted } else { claim.discharged };
        Self { policy, claim, used, day, roster: claim.roster.clone().unwrap_or_default() }
    }

    pub(super) fn is_on_roster(&self) -> bool {
        !self.roster.entitlements.is_empty()
    }

    /// Sorted; `resident` where the roster says nothing.
    pub(super) fn categories_on(&self, day: Date) -> Vec<&str> {
        let mut categories: Vec<&str> = self.roster.categories_on(day).collect();
        if categories.is_empty() {
            categories.push("resident");
        }
        categories.sort_unstable();
        categories.dedup();
        categories
    }

    fn is_one_of(&self, codes: &[&str]) -> bool {
        self.categories_on(self.day).iter().any(|own| codes.contains(own))
    }

    /// The first condition that does not hold.
    pub(super) fn barred(&self, code: &str, entry: &Value) -> Option<&'static str> {
        if let Some(reason) = self.lacks(entry) {
            return Some(reason);
        }
        if flag(entry, "specified_accidents_only") {
            let listed = self.policy["settings"]["specified_accidents"].as_array().unwrap();
            let kind = self.claim.cause.accident_type.as_deref();
            if !listed.iter().any(|accident| accident["code"].as_str() == kind) {
                return Some("cause_not_covered");
            }
        }
        self.gives_way_to_third_party(code, entry).then_some("third_party_liable")
    }

    /// What the payer asks of a person, whatever the stay.
    pub(super) fn lacks(&self, entry: &Value) -> Option<&'static str> {
        let covers_residents =
            self.policy["settings"].get("covers_residents").and_then(Value::as_bool).unwrap_or(true);
        if !self.is_on_roster() && !covers_residents {
            return Some("not_entitled");
        }
        if words(entry, "categories").is_some_and(|codes| !self.is_one_of(&codes)) {
            return Some("not_entitled");
        }
        let cover = entry.get("cover").and_then(Value::as_str)?;
        let is_it = |e: &&Entitlement| e.kind == EntitlementKind::Cover && e.code == cover;
        let mut held = self.roster.entitlements.iter().filter(is_it).peekable();
        if held.peek().is_none() {
            return Some("not_entitled");
        }
        (!held.any(|e| e.holds_on(self.day))).then_some("cover_not_in_force")
    }

    pub(super) fn gives_way_to_third_party(&self, code: &str, entry: &Value) -> bool {
        let pays_anyhow = entry.get("pays_with_liable_third_party").and_then(Value::as_bool);
        self.claim.third_party_liable && !pays_anyhow.unwrap_or(matches!(code, "disaster" | "accident"))
    }

    pub(super) fn is_out_of_area(&self) -> bool {
        self.claim.insured_region[..4] != self.claim.hospital_region[..4]
    }

    /// Whether a variant is this stay's.
    pub(super) fn matches(&self, when: &Value) -> bool {
        let ordinal = i64::from(self.used.admissions) + 1;
        let level = i64::from(u8::from(self.claim.hospital_level));
        let whole = |key: &str| when.get(key).and_then(Value::as_integer);
        words(when, "categories").is_none_or(|codes| self.is_one_of(&codes))
            && when
                .get("levels")
                .is_none_or(|levels| levels.as_array().unwrap().iter().any(|l| l.as_integer() == Some(level)))
            && whole("admission_from").is_none_or(|first| ordinal >= first)
            && whole("admission_to").is_none_or(|last| ordinal <= last)
            && when.get("out_of_area").is_none_or(|out| out.as_bool() == Some(self.is_out_of_area()))
            && words(when, "referral").is_none_or(|known| known.contains(&self.claim.referral.word()))
            && when.get("cause").is_none_or(|cause| cause.as_str() == Some(self.claim.cause.kind.word()))
    }
}
