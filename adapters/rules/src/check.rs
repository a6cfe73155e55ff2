//! From a file as written to a policy that cannot be wrong: header, settings and orders.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use jiff::civil::Date;
use yizhan_contract::stay::VisitClass;
use yizhan_contract::{Money, NumberError, PayerCode, Ratio, Text};

use crate::check_payer;
use crate::file::{PolicyFile, RawFigure, RawNamed};
use crate::policy::{Figure, IdentityOn, Mark, Named, PayerRule, Policy, Settings};
use crate::problem::{Problem, Problems};

/// The figure that takes an inherited one away.
pub(crate) const NONE: &str = "none";
/// Digits of a 统筹区 and of its prefixes: province, prefecture, county.
const REGION_DIGITS: [usize; 3] = [2, 4, 6];
const DEFAULT_MIN_PATIENT_SHARE: &str = "0.01";
const DEFAULT_SHARE_TOLERANCE: &str = "0.00";
const DEFAULT_TARGET_TOLERANCE: &str = "0.02";

/// What every part of a file is checked with: where problems go and which sources exist.
pub(crate) struct Checking {
    pub(crate) problems: Problems,
    pub(crate) sources: BTreeMap<Arc<str>, Arc<str>>,
}

/// Checks a file whose inheritance is already resolved.
pub(crate) fn check(raw: &PolicyFile, file: &str, label: Arc<str>) -> Result<Policy, Vec<Problem>> {
    let sources = raw.sources.iter().map(|(key, text)| (key.as_str().into(), text.as_str().into())).collect();
    let mut checking = Checking { problems: Problems::of(file), sources };
    let policy = checking.policy(raw, label);
    match policy {
        Some(policy) if checking.problems.found.is_empty() => Ok(policy),
        _ => Err(checking.problems.found),
    }
}

impl Checking {
    fn policy(&mut self, raw: &PolicyFile, label: Arc<str>) -> Option<Policy> {
        let clause: Arc<str> = raw.clause.as_deref().unwrap_or_default().into();
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
        let categories = self.named("categories", raw.categories.as_deref().unwrap_or_default(), &clause);
        let settings = self.settings(raw, &clause);
        let payers = self.payers(raw, &clause);
        self.known_categories(&categories, &payers);
        let illness = self.order("orders.illness", raw.orders.illness.as_deref(), &payers);
        let accident = self.order("orders.accident", raw.orders.accident.as_deref(), &payers);
        let order_clause = raw.orders.clause.as_deref().map_or_else(|| clause.clone(), Arc::from);
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
            clause,
            order_clause,
            sources: self.sources.clone(),
            categories,
            settings,
            illness,
            accident,
        })
    }

    fn settings(&mut self, raw: &PolicyFile, clause: &Arc<str>) -> Settings {
        let settings = &raw.settings;
        let identity_on = match settings.identity_on.as_deref() {
            None | Some("discharge") => IdentityOn::Discharge,
            Some("admission") => IdentityOn::Admission,
            Some(other) => {
                self.unknown_word("settings.identity_on", other, &["discharge", "admission"]);
                IdentityOn::Discharge
            }
        };
        if let Some(other) = settings.benefit_year.as_deref().filter(|year| *year != "calendar") {
            self.unknown_word("settings.benefit_year", other, &["calendar"]);
        }
        let min_patient_share = self.required(
            "settings.min_patient_share",
            settings.min_patient_share.as_ref(),
            clause,
            DEFAULT_MIN_PATIENT_SHARE,
        );
        if min_patient_share.value < Money::FEN {
            self.problems.add(
                "settings.min_patient_share",
                "个人最低自付额须不少于 0.01 元（杜绝零自付）",
                "must be at least 0.01 (no zero self-pay)",
            );
        }
        Settings {
            identity_on,
            covers_residents: settings.covers_residents.unwrap_or(true),
            min_patient_share,
            share_tolerance: self.required(
                "settings.share_tolerance",
                settings.share_tolerance.as_ref(),
                clause,
                DEFAULT_SHARE_TOLERANCE,
            ),
            target_tolerance: self.required(
                "settings.target_tolerance",
                settings.target_tolerance.as_ref(),
                clause,
                DEFAULT_TARGET_TOLERANCE,
            ),
            out_of_catalogue_limit: self.stated::<Ratio>(
                "settings.out_of_catalogue_limit",
                settings.out_of_catalogue_limit.as_ref(),
                clause,
                None,
            ),
            visit_classes: self.visit_classes(settings.visit_classes.as_deref()),
            specified_accidents: self.named(
                "settings.specified_accidents",
                settings.specified_accidents.as_deref().unwrap_or_default(),
                clause,
            ),
        }
    }

    /// Hospital stays, unless the policy says more.
    fn visit_classes(&mut self, words: Option<&[String]>) -> Vec<VisitClass> {
        let Some(words) = words else { return vec![VisitClass::Inpatient] };
        if words.is_empty() {
            self.problems.add("settings.visit_classes", "至少列出一类就诊", "names no class of visits");
        }
        let mut classes = Vec::new();
        for word in words {
            match VisitClass::from_word(word) {
                Some(class) => classes.push(class),
                None => self.unknown_word("settings.visit_classes", word, VisitClass::WORDS),
            }
        }
        classes
    }

    fn payers(&mut self, raw: &PolicyFile, clause: &Arc<str>) -> BTreeMap<PayerCode, Arc<PayerRule>> {
        let mut payers = BTreeMap::new();
        for (code, payer) in &raw.payers {
            let key = format!("payers.{code}");
            let Ok(parsed) = code.parse::<PayerCode>() else {
                self.problems.add(&key, "付款方代码只能用 a-z、0-9 和 _", "is no payer code (a-z, 0-9, _)");
                continue;
            };
            if let Some(rule) = check_payer::rule(self, &key, parsed.clone(), payer, clause) {
                payers.insert(parsed, Arc::new(rule));
            }
        }
        let targets = payers.values().filter(|rule| {
            rule.terms.target.is_some() || rule.variants.iter().any(|variant| variant.terms.target.is_some())
        });
        if targets.count() > 1 {
            self.problems.add("payers", "只能有一个付款方设保障目标", "only one payer may state a target");
        }
        payers
    }

    /// A misspelt category would silently entitle nobody.
    fn known_categories(&mut self, known: &[Named], payers: &BTreeMap<PayerCode, Arc<PayerRule>>) {
        for rule in payers.values() {
            let of_payer = rule.categories.iter().flatten().map(|code| (String::new(), code));
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
        codes: Option<&[String]>,
        payers: &BTreeMap<PayerCode, Arc<PayerRule>>,
    ) -> Vec<Arc<PayerRule>> {
        let codes = codes.unwrap_or_default();
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
                    format!("没有（或写错了）付款方 {code}"),
                    format!("there is no valid payer {code}"),
                ),
            }
        }
        order
    }

    pub(crate) fn named(&mut self, key: &str, raw: &[RawNamed], clause: &Arc<str>) -> Vec<Named> {
        let mut seen = BTreeSet::new();
        let mut named = Vec::with_capacity(raw.len());
        for (index, entry) in raw.iter().enumerate() {
            let key = format!("{key}[{index}]");
            if !seen.insert(entry.code.as_str()) {
                self.problems.add(
                    &key,
                    format!("{} 重复出现", entry.code),
                    format!("{} stands twice", entry.code),
                );
            }
            named.push(Named {
                code: entry.code.as_str().into(),
                name: text(&entry.zh, &entry.en),
                mark: self.mark(&key, entry.mark.as_deref()),
                clause: entry.clause.as_deref().map_or_else(|| clause.clone(), Arc::from),
            });
        }
        named
    }

    pub(crate) fn date(&mut self, key: &str, raw: Option<&String>) -> Option<Date> {
        let raw = raw?;
        match raw.parse() {
            Ok(date) => Some(date),
            Err(_) => {
                self.problems.add(
                    key,
                    format!("{raw} 不是日期（如 2020-01-01）"),
                    format!("{raw:?} is no date such as 2020-01-01"),
                );
                None
            }
        }
    }

    pub(crate) fn mark(&mut self, key: &str, raw: Option<&str>) -> Option<Mark> {
        let raw = raw?;
        match raw.split_once(' ') {
            Some(("SOURCE", source)) => match self.sources.get_key_value(source) {
                Some((source, _)) => return Some(Mark::Source(source.clone())),
                None => self.problems.add(
                    &format!("{key}.mark"),
                    format!("[sources] 中没有 {source}"),
                    format!("[sources] has no {source}"),
                ),
            },
            None if raw == "PLAN" => return Some(Mark::Plan),
            None if raw == "KNOWLEDGE" => return Some(Mark::Knowledge),
            None if raw == "ASSUMED" => return Some(Mark::Assumed),
            None if raw == "DERIVED" => return Some(Mark::Derived),
            _ => self.unknown_word(
                &format!("{key}.mark"),
                raw,
                &["SOURCE <key>", "PLAN", "KNOWLEDGE", "ASSUMED", "DERIVED"],
            ),
        }
        None
    }

    pub(crate) fn unknown_word(&mut self, key: &str, word: &str, known: &[&str]) {
        let known = known.join(", ");
        self.problems.add(
            key,
            format!("{word} 不可用，只能是：{known}"),
            format!("{word:?} is none of: {known}"),
        );
    }

    /// A figure as this part of the file states it: absent keeps `inherited`, `"none"` takes it away.
    pub(crate) fn stated<T: PolicyNumber>(
        &mut self,
        key: &str,
        raw: Option<&RawFigure>,
        clause: &Arc<str>,
        inherited: Option<&Figure<T>>,
    ) -> Option<Figure<T>> {
        match raw {
            None => inherited.cloned(),
            Some(raw) if raw.value == NONE => None,
            Some(raw) => self.figure(key, raw, clause),
        }
    }

    pub(crate) fn figure<T: PolicyNumber>(
        &mut self,
        key: &str,
        raw: &RawFigure,
        clause: &Arc<str>,
    ) -> Option<Figure<T>> {
        let mark = self.mark(key, raw.mark.as_deref());
        let clause = raw.clause.as_deref().map_or_else(|| clause.clone(), Arc::from);
        match T::read(&raw.value) {
            Ok(value) => Some(Figure { value, mark, clause }),
            Err(why) => {
                self.problems.add(
                    key,
                    format!("{} 不是可用的{}", raw.value, T::ZH),
                    format!("{:?} {why}", raw.value),
                );
                None
            }
        }
    }

    /// A setting that is never absent; one the file leaves out carries the mark ASSUMED.
    fn required<T: PolicyNumber + Default>(
        &mut self,
        key: &str,
        raw: Option<&RawFigure>,
        clause: &Arc<str>,
        default: &str,
    ) -> Figure<T> {
        let assumed = RawFigure { value: default.to_owned(), mark: Some("ASSUMED".to_owned()), clause: None };
        let figure = self.figure(key, raw.unwrap_or(&assumed), clause);
        figure.unwrap_or_else(|| Figure { value: T::default(), mark: None, clause: clause.clone() })
    }
}

pub(crate) fn text(zh: &str, en: &str) -> Text {
    Text::new(zh, en)
}

/// A number a policy may state; none of them is negative.
pub(crate) trait PolicyNumber: FromStr<Err = NumberError> + Clone + fmt::Display {
    const ZH: &'static str;

    fn read(text: &str) -> Result<Self, NumberError>;
}

impl PolicyNumber for Money {
    const ZH: &'static str = "金额（两位小数以内，不为负）";

    fn read(text: &str) -> Result<Self, NumberError> {
        let amount: Self = text.parse()?;
        if amount.is_negative() { Err(NumberError::Negative) } else { Ok(amount) }
    }
}

impl PolicyNumber for Ratio {
    const ZH: &'static str = "比例（0 到 1，四位小数以内）";

    fn read(text: &str) -> Result<Self, NumberError> {
        text.parse()
    }
}
