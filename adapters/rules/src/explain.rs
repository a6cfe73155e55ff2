//! A policy in sentences, for the people who must vouch for it: every figure with its clause, mark and
//! source.

use std::fmt::{self, Display, Write};
use std::sync::Arc;

use yizhan_contract::Text;

use crate::policy::{
    AccumulatorKeeper, BaseKind, Figure, IdentityOn, Mark, Named, PayerRule, Policy, Standing, Terms, Variant,
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
        self.order(("疾病付款顺序", "Order of payers, illness"), &policy.illness)?;
        self.order(("意外付款顺序", "Order of payers, accident"), &policy.accident)?;
        for rule in policy.payers() {
            self.payer(policy, rule)?;
        }
        self.sources(policy)
    }

    fn settings(&mut self, policy: &Policy) -> fmt::Result {
        let settings = &policy.settings;
        let day = match settings.identity_on.value {
            IdentityOn::Discharge => self.say("出院日", "discharge"),
            IdentityOn::Admission => self.say("入院日", "admission"),
        };
        self.stated(("身份认定日", "Day that decides identity"), day, &settings.identity_on)?;
        self.entry(
            ("医疗年度", "Benefit year"),
            self.say("出院日所在自然年", "calendar year of the discharge"),
        )?;
        let residents = &settings.covers_residents;
        let is = if residents.value { self.say("是", "yes") } else { self.say("否", "no") };
        self.stated(
            ("名册外按普通居民结算", "People not on the roster settled as residents"),
            is,
            residents,
        )?;
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
        let classes = self.listed(settings.visit_classes.value.iter().map(|class| class.text()));
        self.stated(("结算的就诊类别", "Classes of visits settled"), &classes, &settings.visit_classes)?;
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

    fn order(&mut self, label: (&str, &str), order: &Figure<Vec<Arc<PayerRule>>>) -> fmt::Result {
        let names: Vec<&str> = order.value.iter().map(|rule| self.text(&rule.name)).collect();
        let names = names.join(" → ");
        self.stated(label, &names, order)
    }

    fn payer(&mut self, policy: &Policy, rule: &PayerRule) -> fmt::Result {
        writeln!(self.out, "\n{} ({})  [{}]", self.text(&rule.name), rule.code, rule.clause)?;
        let base = match rule.base.value {
            BaseKind::Scope => self.say("政策范围内余额", "in-scope remainder"),
            BaseKind::OutOfScope => self.say("政策范围外余额", "out-of-scope remainder"),
            BaseKind::Patient => self.say("患者负担余额", "all that is left to the patient"),
            BaseKind::Items => self.say("所列项目金额", "share of the listed items"),
        };
        self.stated(("计算基数", "Base"), base, &rule.base)?;
        for (category, ratio) in &rule.items {
            let figure = self.written(ratio);
            self.entry(("项目", "Item"), &format!("{category} {figure}"))?;
        }
        let standing = match rule.standing.value {
            Standing::Statutory => self.say("法定，不让位于最低自付", "statutory"),
            Standing::Discretionary => self.say("让位于最低自付", "gives way to the least patient share"),
        };
        self.stated(("性质", "Standing"), standing, &rule.standing)?;
        if let Some(categories) = &rule.categories {
            let names = self.categories(policy, &categories.value);
            self.stated(("限人员类别", "Only for categories"), &names, categories)?;
        }
        if let Some(cover) = &rule.cover {
            let name = self.cover(policy, &cover.value);
            self.stated(("须持有保障", "Needs the cover"), &name, cover)?;
        }
        self.flags(rule)?;
        self.insurance(rule)?;
        self.terms(&rule.terms, None)?;
        for variant in &rule.variants {
            let when = self.when(policy, variant);
            writeln!(self.out, "  {} {when}", self.say("若", "where"))?;
            self.terms(&variant.terms, Some(&rule.terms))?;
        }
        if let Some(note) = &rule.note {
            self.entry(("说明", "Note"), self.text(note))?;
        }
        Ok(())
    }

    fn flags(&mut self, rule: &PayerRule) -> fmt::Result {
        for (flag, zh, en) in [
            (&rule.specified_accidents_only, "仅限特定意外事故", "Specified accidents only"),
            (
                &rule.pays_with_liable_third_party,
                "有第三人负担时仍支付",
                "Pays where a third party is liable",
            ),
            (&rule.cumulative, "按年度累计分段", "Bands run over the benefit year"),
        ] {
            if flag.value {
                self.stated((zh, en), self.say("是", "yes"), flag)?;
            }
        }
        let label = ("年度累计", "Yearly sums");
        match rule.accumulator.value {
            AccumulatorKeeper::Payer => {
                self.stated(label, self.say("以支付方为准", "kept by the payer"), &rule.accumulator)
            }
            AccumulatorKeeper::Gateway => Ok(()),
        }
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
        self.listed(codes.iter().map(|code| policy.category_name(code)))
    }

    fn listed(&self, names: impl Iterator<Item = Text>) -> String {
        let names: Vec<String> = names.map(|name| self.text(&name).to_owned()).collect();
        names.join(self.say("、", ", "))
    }

    /// A cover goes by the payer's code; one that no payer bears keeps its own.
    fn cover(&self, policy: &Policy, code: &str) -> String {
        let payer = policy.payers().find(|rule| rule.code.as_str() == code);
        payer.map_or(code, |rule| self.text(&rule.name)).to_owned()
    }

    fn when(&self, policy: &Policy, Variant { when, clause, .. }: &Variant) -> String {
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
            let words = self.listed(when.referral.iter().map(|referral| referral.text()));
            parts.push(format!("{} {words}", self.say("转诊", "referral")));
        }
        if let Some(cause) = when.cause {
            parts.push(format!("{} {}", self.say("原因", "cause"), self.text(&cause.text())));
        }
        let stays = if parts.is_empty() {
            self.say("任何情形", "always").to_owned()
        } else {
            parts.join(self.say("；", "; "))
        };
        format!("{stays}{}", self.origin(when.mark.as_ref(), clause))
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

    /// What is not a figure, in words.
    fn stated<T>(&mut self, label: (&str, &str), words: &str, stated: &Figure<T>) -> fmt::Result {
        let origin = self.origin(stated.mark.as_ref(), &stated.clause);
        self.entry(label, &format!("{words}{origin}"))
    }

    fn written<T: Display>(&self, figure: &Figure<T>) -> String {
        format!("{}{}", figure.value, self.origin(figure.mark.as_ref(), &figure.clause))
    }

    fn origin(&self, mark: Option<&Mark>, clause: &str) -> String {
        let mark = mark.map(|mark| self.text(&mark.text()).to_owned()).unwrap_or_default();
        match (mark.is_empty(), clause.is_empty()) {
            (true, true) => String::new(),
            (true, false) => format!("  [{clause}]"),
            (false, true) => format!("  [{mark}]"),
            (false, false) => format!("  [{clause}{}{mark}]", self.say("；", "; ")),
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
