//! Which findings a bill bears: SETTLEMENT §7, as far as they follow from policy, stay and year.

use toml::Value;

use super::{Stay, figure, parts, share, units};

impl Stay<'_> {
    /// What is said of an amount that was settled elsewhere.
    pub(super) fn passed_elsewhere(&self, code: &str, entry: &Value, paid: i128) -> Vec<&'static str> {
        if paid == 0 {
            return Vec::new();
        }
        let terms = self.terms(entry);
        let before = units(&self.used(code).paid.to_string());
        let passes = |key: &str, amount: i128| figure(&terms, key).is_some_and(|cap| units(cap) < amount);
        let passed = passes("annual_cap", before + paid) || passes("stay_cap", paid);
        let is_barred = self.person.barred(code, entry).is_some();
        let cap = passed.then_some("cap_passed_elsewhere");
        cap.into_iter().chain(is_barred.then_some("settled_elsewhere_differs")).collect()
    }

    /// What can only be said once everybody has paid.
    pub(super) fn of_the_whole(&self, in_scope_left: i128, patient_share: i128) -> Vec<&'static str> {
        let settings = &self.policy["settings"];
        let buckets = &self.claim.buckets;
        let before = self.person.categories_on(self.claim.admitted);
        let has_changed = before != self.person.categories_on(self.claim.discharged);
        let total = units(&buckets.total.to_string());
        let self_funded = units(&buckets.self_funded.to_string());
        let is_beyond_catalogue = figure(settings, "out_of_catalogue_limit")
            .is_some_and(|limit| share(total, parts(limit)) < self_funded);
        let attested_by = self.policy.get("attested_by").and_then(Value::as_str).unwrap_or_default();
        let told = [
            (!self.person.is_on_roster(), "not_on_roster"),
            (has_changed, "category_changed_during_stay"),
            (self.claim.third_party_liable, "third_party_liable"),
            (is_beyond_catalogue, "out_of_catalogue_share"),
            (patient_share == 0, "zero_patient_share"),
            (attested_by.is_empty(), "sample_policy"),
        ];
        let told = told.into_iter().filter(|(holds, _)| *holds).map(|(_, code)| code);
        told.chain(self.beside_the_target(in_scope_left)).collect()
    }

    /// For holders of the supplementary cover only, where the payer with the target covers them.
    fn beside_the_target(&self, in_scope_left: i128) -> Vec<&'static str> {
        let supplementary = self.policy["payers"].get("supplementary");
        if supplementary.is_none_or(|entry| self.person.lacks(entry).is_some()) {
            return Vec::new();
        }
        let in_scope = self.in_scope();
        let tolerance = parts(figure(&self.policy["settings"], "target_tolerance").unwrap_or("0.02"));
        let mut told = Vec::new();
        for code in self.order() {
            let entry = &self.policy["payers"][code];
            let terms = self.terms(entry);
            let Some(target) = figure(&terms, "target") else { continue };
            if in_scope == 0 || self.person.lacks(entry).is_some() {
                continue;
            }
            let (goal, slack) = (share(in_scope, parts(target)), share(in_scope, tolerance));
            match in_scope - in_scope_left {
                covered if goal + slack < covered => told.push("over_target"),
                covered if covered < goal - slack => told.push("below_target"),
                _ => {}
            }
        }
        told
    }
}
