//! Who the person is for a policy, what keeps a payer from paying, and which terms apply.

use std::sync::Arc;

use jiff::civil::Date;
use yizhan_contract::person::EntitlementKind;
use yizhan_contract::stay::CauseKind;
use yizhan_contract::{Accumulators, Claim, NumberError, Reason, Text};

use crate::adjudication::Category;
use crate::policy::{IdentityOn, PayerRule, Policy, Terms, When};

/// The category of everybody who holds no other.
const RESIDENT: &str = "resident";

/// Whose cover the target of §7's findings belongs to.
const SUPPLEMENTARY: &str = "supplementary";

/// The facts of one stay that decide conditions and variants.
#[derive(Debug)]
pub(crate) struct Person<'a> {
    policy: &'a Policy,
    claim: &'a Claim,
    /// The day that decides entitlement, category and cover.
    pub(crate) on: Date,
    pub(crate) is_on_roster: bool,
    /// Never empty.
    categories: Vec<&'a str>,
    /// This admission's number in the benefit year, from 1.
    pub(crate) ordinal: u32,
    pub(crate) is_out_of_area: bool,
}

impl<'a> Person<'a> {
    pub(crate) fn read(
        policy: &'a Policy,
        claim: &'a Claim,
        accumulators: &Accumulators,
    ) -> Result<Self, NumberError> {
        let on = match policy.settings.identity_on.value {
            IdentityOn::Discharge => claim.discharged,
            IdentityOn::Admission => claim.admitted,
        };
        Ok(Self {
            policy,
            claim,
            on,
            // An entry that entitles to nothing, ever, says as much as none.
            is_on_roster: claim.roster.as_ref().is_some_and(|entry| !entry.entitlements.is_empty()),
            categories: categories(claim, on),
            ordinal: accumulators.admissions.checked_add(1).ok_or(NumberError::Overflow)?,
            is_out_of_area: claim.is_out_of_area(),
        })
    }

    /// The first condition that does not hold, in the order of [`Reason`].
    pub(crate) fn barred_from(&self, rule: &PayerRule) -> Option<Reason> {
        if !self.is_on_roster && !self.policy.settings.covers_residents.value || !self.has_category_for(rule)
        {
            return Some(Reason::NotEntitled);
        }
        if let Some(reason) = self.lacks_cover(rule) {
            return Some(reason);
        }
        if rule.specified_accidents_only.value && !self.is_specified_accident() {
            return Some(Reason::CauseNotCovered);
        }
        self.stands_aside(rule).then_some(Reason::ThirdPartyLiable)
    }

    /// A liable third party pays in this payer's place: it pays nothing and moves no accumulator.
    pub(crate) fn stands_aside(&self, rule: &PayerRule) -> bool {
        self.claim.third_party_liable && !rule.pays_with_liable_third_party.value
    }

    /// Whether the person holds what the payer asks of a person (not of the stay).
    pub(crate) fn holds(&self, rule: &PayerRule) -> bool {
        (self.is_on_roster || self.policy.settings.covers_residents.value)
            && self.has_category_for(rule)
            && self.lacks_cover(rule).is_none()
    }

    /// Whether the person is insured by the policy's `supplementary`, on whichever chain it stands.
    pub(crate) fn holds_supplementary_cover(&self) -> bool {
        self.policy.payers().any(|rule| rule.code.as_str() == SUPPLEMENTARY && self.holds(rule))
    }

    fn has_category_for(&self, rule: &PayerRule) -> bool {
        rule.categories.as_ref().is_none_or(|codes| self.is_any_of(&codes.value))
    }

    fn is_any_of(&self, codes: &[Arc<str>]) -> bool {
        codes.iter().any(|code| self.categories.contains(&&**code))
    }

    /// A cover held on another day is not in force; one never held entitles to nothing.
    fn lacks_cover(&self, rule: &PayerRule) -> Option<Reason> {
        let cover = &*rule.cover.as_ref()?.value;
        let entitlements = self.claim.roster.iter().flat_map(|entry| &entry.entitlements);
        let mut reason = Reason::NotEntitled;
        for held in entitlements.filter(|held| held.kind == EntitlementKind::Cover && held.code == cover) {
            if held.holds_on(self.on) {
                return None;
            }
            reason = Reason::CoverNotInForce;
        }
        Some(reason)
    }

    fn is_specified_accident(&self) -> bool {
        let kind = self.claim.cause.accident_type.as_deref();
        self.claim.cause.kind == CauseKind::Accident
            && kind.is_some_and(|kind| self.policy.lists_accident(kind))
    }

    /// The first variant that matches, in file order, else the payer's own terms.
    pub(crate) fn terms<'r>(&self, rule: &'r PayerRule) -> &'r Terms {
        let variant = rule.variants.iter().find(|variant| self.matches(&variant.when));
        variant.map_or(&rule.terms, |variant| &variant.terms)
    }

    fn matches(&self, when: &When) -> bool {
        (when.categories.is_empty() || self.is_any_of(&when.categories))
            && (when.levels.is_empty() || when.levels.contains(&self.claim.hospital_level))
            && when.admission_from.is_none_or(|first| first <= self.ordinal)
            && when.admission_to.is_none_or(|last| self.ordinal <= last)
            && when.out_of_area.is_none_or(|out| out == self.is_out_of_area)
            && (when.referral.is_empty() || when.referral.contains(&self.claim.referral))
            && when.cause.is_none_or(|cause| cause == self.claim.cause.kind)
    }

    /// Of several categories the one the policy lists first; one the policy does not know goes by its code.
    pub(crate) fn category(&self) -> Category {
        let known = self.policy.categories.iter().find(|known| self.categories.contains(&&*known.code));
        let code =
            known.map_or_else(|| self.categories.first().copied().unwrap_or(RESIDENT), |known| &known.code);
        Category { code: code.into(), name: self.policy.category_name(code) }
    }

    /// Categories on the days of admission and discharge, where they differ.
    pub(crate) fn category_change(&self) -> Option<(Text, Text)> {
        let sorted = |day| {
            let mut codes = categories(self.claim, day);
            codes.sort_unstable();
            codes.dedup();
            codes
        };
        let (before, after) = (sorted(self.claim.admitted), sorted(self.claim.discharged));
        (before != after).then(|| (self.named(&before), self.named(&after)))
    }

    fn named(&self, codes: &[&str]) -> Text {
        let names: Vec<Text> = codes.iter().map(|code| self.policy.category_name(code)).collect();
        let joined =
            |of: fn(&Text) -> &str, between: &str| names.iter().map(of).collect::<Vec<_>>().join(between);
        Text::new(joined(|name| &name.zh, "、"), joined(|name| &name.en, ", "))
    }
}

fn categories(claim: &Claim, on: Date) -> Vec<&str> {
    let mut categories: Vec<&str> = claim.roster.iter().flat_map(|entry| entry.categories_on(on)).collect();
    if categories.is_empty() {
        categories.push(RESIDENT);
    }
    categories
}
