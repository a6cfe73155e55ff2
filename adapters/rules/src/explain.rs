//! A policy in sentences, for the people who must vouch for it: every figure with its clause, mark and
//! source.

use std::fmt::{self, Display, Write};
use std::sync::Arc;

use yizhan_contract::Text;

use crate::policy::{
    AccumulatorKeeper, BaseKind, Figure, IdentityOn, Mark, Named, PayerRule, Policy, Standing, Terms, When,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    Zh,
    En,
}

/// The whole policy as text: header, settings, both orders, each payer's terms and variants, sources.
pub fn explain(policy: &Policy, language: Language) -> String {
    let mut page = Page { out: String::new(), language };
    // Writing to a String cannot fail.
    let _ = page.policy(policy);
    page.out
}

struct Page {
    out: String,
    language: Language,
}

impl Page {
    fn say<'t>(&self, zh: &'t str, en: &'t str) -> &'t str {
        match self.language {
            Language::Zh => zh,
            Language::En => en,
        }
    }

    fn text<'t>(&self, text: &'t Text) -> &'t str {
        self.say(&text.zh, &text.en)
    }

    fn policy(&mut self, policy: &Policy) -> fmt::Result {
        writeln!(self.out, "{}  {}", self.text(&policy.title), policy.label)?;
        let to = policy.to.map_or_else(|| self.say("无截止", "no end").to_owned(), |last| last.to_string());
        self.entry(("统筹区前缀", "Region prefix"), &policy.region)?;
        self.entry(
            ("有效期（含首末日）", "In force, both days included"),
            &format!("{} – {to}", policy.from),
        )?;
        if let Some(parent) = &policy.extends {
            self.entry(("未写明者依", "Where silent, as in"), parent)?;
        }
        if !policy.clause.is_empty() {
            self.entry(("依据", "Basis"), &policy.clause)?;
        }
        let attested: &str = match policy.attested_by.trim() {
            "" => self.say("无人确认：示例参数，非官方标准", "nobody: sample figures, not official"),
            name => name,
        };
        self.entry(("确认单位", "Attested by"), attested)?;
        self.settings(policy)?;
        self.order(("疾病付款顺序", "Order of payers, illness"), policy, &policy.illness)?;
        self.order(("意外付款顺序", "Order of payers, accident"), policy, &policy.accident)?;
        for rule in policy.payers() {
            self.payer(policy, rule)?;
        }
        self.sources(policy)
    }

    fn settings(&mut self, policy: &Policy) -> fmt::Result {
        let settings = &policy.settings;
        let day = match settings.identity_on {
            IdentityOn::Discharge => self.say("出院日", "discharge"),
            IdentityOn::Admission => self.say("入院日", "admission"),
        };
        self.entry(("身份认定日", "Day that decides identity"), day)?;
        self.entry(
            ("医疗年度", "Benefit year"),
            self.say("出院日所在自然年", "calendar year of the discharge"),
        )?;
        let residents =
            if settings.covers_residents { self.say("是", "yes") } else { self.say("否", "no") };
        self.entry(("名册外按普通居民结算", "People not on the roster settled as residents"), residents)?;
        self.figure(("个人最低自付（元）", "Least patient share, yuan"), Some(&settings.min_patient_share))?;
        self.figure(
            ("个人负担容许变动（元）", "Patient share may move by, yuan"),
            Some(&settings.share_tolerance),
        )?;
        self.figure(("保障目标容许偏差", "Target tolerance"), Some(&settings.target_tolerance))?;
        self.figure(
            ("目录外费用占比上限", "Limit of out-of-catalogue cost"),
            settings.out_of_catalogue_limit.as_ref(),
        )?;
        let classes: Vec<Text> = settings.visit_classes.iter().map(|class| class.text()).collect();
        let classes: Vec<&str> = classes.iter().map(|text| self.text(text)).collect();
        let classes = classes.join(self.say("、", ", "));
        self.entry(("结算的就诊类别", "Classes of visits settled"), &classes)?;
        self.named(("特定意外事故", "Specified accidents"), &settings.specified_accidents)?;
        self.named(("人员类别（按优先次序）", "Person categories, by precedence"), &policy.categories)
    }

    fn named(&mut self, label: (&str, &str), list: &[Named]) -> fmt::Result {
        for named in list {
            let value = format!("{} {}", named.code, self.text(&named.name));
            self.entry(label, &format!("{value}{}", self.origin(named.mark.as_ref(), &named.clause)))?;
        }
        Ok(())
    }

    fn order(&mut self, label: (&str, &str), policy: &Policy, order: &[Arc<PayerRule>]) -> fmt::Result {
        let names: Vec<&str> = order.iter().map(|rule| self.text(&rule.name)).collect();
        let clause = self.origin(None, &policy.order_clause);
        self.entry(label, &format!("{}{clause}", names.join(" → ")))
    }

    fn payer(&mut self, policy: &Policy, rule: &PayerRule) -> fmt::Result {
        writeln!(self.out, "\n{} ({})  [{}]", self.text(&rule.name), rule.code, rule.clause)?;
        let base = match rule.base {
            BaseKind::Scope => self.say("政策范围内余额", "in-scope remainder"),
            BaseKind::OutOfScope => self.say("政策范围外余额", "out-of-scope remainder"),
            BaseKind::Patient => self.say("患者负担余额", "all that is left to the patient"),
            BaseKind::Items => self.say("所列项目金额", "share of the listed items"),
        };
        self.entry(("计算基数", "Base"), base)?;
        for (category, ratio) in &rule.items {
            let figure = self.written(ratio);
            self.entry(("项目", "Item"), &format!("{category} {figure}"))?;
        }
        let standing = match rule.standing {
            Standing::Statutory => self.say("法定，不让位于最低自付", "statutory"),
            Standing::Discretionary => self.say("让位于最低自付", "gives way to the least patient share"),
        };
        self.entry(("性质", "Standing"), standing)?;
        if let Some(categories) = &rule.categories {
            self.entry(("限人员类别", "Only for categories"), &self.categories(policy, categories))?;
        }
        if let Some(cover) = &rule.cover {
            self.entry(("须持有保障", "Needs the cover"), cover)?;
        }
        for (holds, zh, en) in [
            (rule.specified_accidents_only, "仅限特定意外事故", "Specified accidents only"),
            (rule.pays_with_liable_third_party, "有第三人负担时仍支付", "Pays where a third party is liable"),
            (rule.cumulative, "按年度累计分段", "Bands run over the benefit year"),
            (
                rule.accumulator == AccumulatorKeeper::Payer,
                "年度累计以付款方为准",
                "The payer keeps the yearly sums",
            ),
        ] {
            if holds {
                self.entry((zh, en), self.say("是", "yes"))?;
            }
        }
        self.insurance(rule)?;
        self.terms(&rule.terms, None)?;
        for variant in &rule.variants {
            let when = self.when(policy, &variant.when);
            writeln!(self.out, "  {} {when}  [{}]", self.say("若", "where"), variant.clause)?;
            self.terms(&variant.terms, Some(&rule.terms))?;
        }
        if let Some(note) = &rule.note {
            self.entry(("说明", "Note"), self.text(note))?;
        }
        Ok(())
    }

    fn insurance(&mut self, rule: &PayerRule) -> fmt::Result {
        let promised = &rule.insurance;
        self.figure(("每人保费（元）", "Premium per person, yuan"), promised.premium.as_ref())?;
        self.figure(("身故保障（元）", "Death benefit, yuan"), promised.death_benefit.as_ref())?;
        self.figure(("伤残保障（元）", "Disability benefit, yuan"), promised.disability_benefit.as_ref())?;
        match (promised.cover_from, promised.cover_to) {
            (Some(from), Some(to)) => self.entry(("保障周期", "Cover"), &format!("{from} – {to}")),
            _ => Ok(()),
        }
    }

    /// A variant shows only what differs from `defaults`.
    fn terms(&mut self, terms: &Terms, defaults: Option<&Terms>) -> fmt::Result {
        self.term(("起付线（元）", "Deductible, yuan"), terms, defaults, |terms| &terms.deductible)?;
        if defaults.is_none_or(|defaults| defaults.bands != terms.bands) {
            for band in &terms.bands {
                let to = band
                    .to
                    .map_or_else(|| self.say("以上", "and above").to_owned(), |edge| format!("– {edge}"));
                let figure = self.written(&band.ratio);
                self.entry(("支付比例", "Ratio"), &format!("{} {to}: {figure}", band.from))?;
            }
        }
        self.term(("保障目标", "Target of the in-scope total"), terms, defaults, |terms| &terms.target)?;
        self.term(("单次封顶（元）", "Cap per stay, yuan"), terms, defaults, |terms| &terms.stay_cap)?;
        self.term(("年度封顶（元）", "Cap per year, yuan"), terms, defaults, |terms| {
            &terms.annual_cap
        })?;
        self.term(("异地先行自付", "Withheld out of area"), terms, defaults, |terms| {
            &terms.upfront_share
        })?;
        self.term(("异地降低比例", "Ratio points off out of area"), terms, defaults, |terms| {
            &terms.ratio_points
        })
    }

    fn term<T: Display + PartialEq>(
        &mut self,
        label: (&str, &str),
        terms: &Terms,
        defaults: Option<&Terms>,
        field: impl Fn(&Terms) -> &Option<Figure<T>>,
    ) -> fmt::Result {
        let own = field(terms);
        match defaults.map(&field) {
            Some(default) if default == own => Ok(()),
            Some(_) if own.is_none() => self.entry(label, self.say("无", "none")),
            _ => self.figure(label, own.as_ref()),
        }
    }

    fn categories(&self, policy: &Policy, codes: &[Arc<str>]) -> String {
        let names = codes.iter().map(|code| self.text(&policy.category_name(code)).to_owned());
        names.collect::<Vec<_>>().join(self.say("、", ", "))
    }

    fn when(&self, policy: &Policy, when: &When) -> String {
        let mut parts = Vec::new();
        if !when.categories.is_empty() {
            let names = self.categories(policy, &when.categories);
            parts.push(format!("{} {names}", self.say("类别", "category")));
        }
        if !when.levels.is_empty() {
            let levels: Vec<String> = when.levels.iter().map(|level| u8::from(*level).to_string()).collect();
            parts.push(format!("{} {}", self.say("医院级别", "hospital level"), levels.join("/")));
        }
        if when.admission_from.is_some() || when.admission_to.is_some() {
            let first = when.admission_from.unwrap_or(1);
            let last = when.admission_to.map_or_else(String::new, |last| last.to_string());
            parts.push(format!("{} {first}–{last}", self.say("年内住院次序", "admission of the year")));
        }
        match when.out_of_area {
            Some(true) => parts.push(self.say("异地", "out of area").to_owned()),
            Some(false) => parts.push(self.say("本地", "local").to_owned()),
            None => {}
        }
        if !when.referral.is_empty() {
            let words: Vec<&str> = when.referral.iter().map(|referral| referral.word()).collect();
            parts.push(format!("{} {}", self.say("转诊", "referral"), words.join("/")));
        }
        if let Some(cause) = when.cause {
            parts.push(format!("{} {cause}", self.say("原因", "cause")));
        }
        if parts.is_empty() {
            self.say("任何情形", "always").to_owned()
        } else {
            parts.join(self.say("；", "; "))
        }
    }

    fn sources(&mut self, policy: &Policy) -> fmt::Result {
        if policy.sources.is_empty() {
            return Ok(());
        }
        writeln!(self.out, "\n{}", self.say("来源", "Sources"))?;
        for (key, source) in &policy.sources {
            writeln!(self.out, "  {key}: {source}")?;
        }
        Ok(())
    }

    fn figure<T: Display>(&mut self, label: (&str, &str), figure: Option<&Figure<T>>) -> fmt::Result {
        let Some(figure) = figure else { return Ok(()) };
        let written = self.written(figure);
        self.entry(label, &written)
    }

    fn written<T: Display>(&self, figure: &Figure<T>) -> String {
        format!("{}{}", figure.value, self.origin(figure.mark.as_ref(), &figure.clause))
    }

    fn origin(&self, mark: Option<&Mark>, clause: &str) -> String {
        let mark = match mark {
            Some(Mark::Knowledge) => self.say("KNOWLEDGE 未核实", "KNOWLEDGE, unverified").to_owned(),
            Some(Mark::Assumed) => self.say("ASSUMED 设计假定", "ASSUMED, no authority").to_owned(),
            Some(mark) => mark.to_string(),
            None => String::new(),
        };
        match (mark.is_empty(), clause.is_empty()) {
            (true, true) => String::new(),
            (true, false) => format!("  [{clause}]"),
            (false, true) => format!("  [{mark}]"),
            (false, false) => format!("  [{clause}; {mark}]"),
        }
    }

    fn entry(&mut self, label: (&str, &str), value: &str) -> fmt::Result {
        let (label, colon) = match self.language {
            Language::Zh => (label.0, "："),
            Language::En => (label.1, ": "),
        };
        writeln!(self.out, "  {label}{colon}{value}")
    }
}
