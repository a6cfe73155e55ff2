//! From a file as written to a policy that cannot be wrong: header, payers and orders.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use yizhan_contract::PayerCode;

use crate::check_payer;
use crate::check_value::{Checking, text};
use crate::file::PolicyFile;
use crate::marked::Marked;
use crate::policy::{Figure, Named, PayerRule, Policy};
use crate::problem::Problem;

/// Digits of a 统筹区 and of its prefixes: province, prefecture, county.
const REGION_DIGITS: [usize; 3] = [2, 4, 6];

type Payers = BTreeMap<PayerCode, Arc<PayerRule>>;

/// Checks a file whose inheritance is already resolved: everything it states bears its clause. With problems the policy
/// is what could be read of it, to look for more of them; it may not be used.
pub(crate) fn check(raw: &PolicyFile, file: &str, label: Arc<str>) -> (Option<Policy>, Vec<Problem>) {
    let mut checking = Checking::of(raw, file);
    let policy = checking.policy(raw, label);
    (policy, checking.problems.found)
}

impl Checking {
    fn policy(&mut self, raw: &PolicyFile, label: Arc<str>) -> Option<Policy> {
        if raw.name.is_empty() || raw.name.contains(['@', '#']) {
            self.problems.add("name", "名称不能为空，也不能含 @ 或 #", "must not be empty or hold @ or #");
        }
        let is_region =
            REGION_DIGITS.contains(&raw.region.len()) && raw.region.bytes().all(|b| b.is_ascii_digit());
        if !is_region {
            self.problems.add("region", "统筹区须为 2、4 或 6 位数字", "must be 2, 4 or 6 digits");
        }
        let from = self.date("from", Some(&raw.from));
        let to = self.date("to", raw.to.as_ref());
        if let (Some(first), Some(last)) = (from, to)
            && last < first
        {
            self.problems.add("to", "截止日早于生效日", "lies before `from`");
        }
        let categories = self.named("categories", raw.categories.as_deref().unwrap_or_default());
        let settings = self.settings(raw);
        let payers = self.payers(raw);
        self.known_categories(&categories, &payers);
        let illness = self.order("orders.illness", raw.orders.illness.as_ref(), &payers);
        let accident = self.order("orders.accident", raw.orders.accident.as_ref(), &payers);
        Some(Policy {
            label,
            file: self.problems.file.clone(),
            name: raw.name.as_str().into(),
            title: text(&raw.title.zh, &raw.title.en),
            region: raw.region.as_str().into(),
            from: from?,
            to,
            extends: raw.extends.as_deref().map(Arc::from),
            attested_by: raw.attested_by.as_str().into(),
            texts: Vec::new(),
            clause: self.clause.clone(),
            sources: self.sources.clone(),
            categories,
            settings,
            illness,
            accident,
        })
    }

    fn payers(&mut self, raw: &PolicyFile) -> Payers {
        let mut payers = BTreeMap::new();
        for (code, payer) in &raw.payers {
            let key = format!("payers.{code}");
            let Ok(parsed) = code.parse::<PayerCode>() else {
                self.problems.add(&key, "支付方代码只能用 a-z、0-9 和 _", "is no payer code (a-z, 0-9, _)");
                continue;
            };
            if let Some(rule) = check_payer::rule(self, &key, parsed.clone(), payer) {
                payers.insert(parsed, Arc::new(rule));
            }
        }
        let targets = payers.values().filter(|rule| {
            rule.terms.target.is_some() || rule.variants.iter().any(|variant| variant.terms.target.is_some())
        });
        if targets.count() > 1 {
            self.problems.add("payers", "只能有一个支付方设保障目标", "only one payer may state a target");
        }
        payers
    }

    /// A misspelt category would silently entitle nobody.
    fn known_categories(&mut self, known: &[Named], payers: &Payers) {
        for rule in payers.values() {
            let of_payer = rule.categories.iter().flat_map(|codes| &codes.value);
            let of_payer = of_payer.map(|code| (String::new(), code));
            let of_variants = rule.variants.iter().enumerate().flat_map(|(index, variant)| {
                variant.when.categories.iter().map(move |code| (format!(".variants[{index}].when"), code))
            });
            for (place, code) in of_payer.chain(of_variants) {
                if !known.iter().any(|category| category.code == *code) {
                    self.problems.add(
                        &format!("payers.{}{place}.categories", rule.code),
                        format!("[[categories]] 中没有 {code}"),
                        format!("[[categories]] has no {code}"),
                    );
                }
            }
        }
    }

    fn order(
        &mut self,
        key: &str,
        stated: Option<&Marked<Vec<String>>>,
        payers: &Payers,
    ) -> Figure<Vec<Arc<PayerRule>>> {
        let codes = stated.map(|order| order.value.as_slice()).unwrap_or_default();
        if codes.is_empty() {
            self.problems.add(key, "缺少付款顺序", "an order of payers is needed");
        }
        let mut seen = BTreeSet::new();
        let mut order = Vec::with_capacity(codes.len());
        for (index, code) in codes.iter().enumerate() {
            let key = format!("{key}[{index}]");
            if !seen.insert(code) {
                self.problems.add(&key, format!("{code} 重复出现"), format!("{code} stands twice"));
            }
            match code.parse().ok().and_then(|code: PayerCode| payers.get(&code)) {
                Some(rule) => order.push(rule.clone()),
                None => self.problems.add(
                    &key,
                    format!("没有（或写错了）支付方 {code}"),
                    format!("there is no valid payer {code}"),
                ),
            }
        }
        match stated {
            Some(stated) => self.marked(key, stated, |_| order),
            None => self.assumed(order),
        }
    }
}
