//! The least a policy of Shandong for 2020 must promise (SETTLEMENT §6; 鲁扶贫办字〔2020〕2号).

use jiff::civil::{Date, date};
use yizhan_contract::stay::CauseKind;
use yizhan_contract::{Money, Ratio, Text};

use crate::policy::{Figure, PayerRule, Policy, Terms};
use crate::problem::Problems;

const REGION: &str = "37";
const COVER_FROM: Date = date(2020, 1, 1);
const COVER_TO: Date = date(2020, 12, 31);
const SUPPLEMENTARY: &str = "supplementary";
const ACCIDENT: &str = "accident";
const SUPPLEMENTARY_PREMIUM_MIN_YUAN: i64 = 110;
const SUPPLEMENTARY_CAP_MIN_YUAN: i64 = 300_000;
const ACCIDENT_PREMIUM_MIN_YUAN: i64 = 10;
const ACCIDENT_BENEFIT_MIN_YUAN: i64 = 30_000;
const ACCIDENT_MEDICAL_MIN_YUAN: i64 = 5_000;
/// How near to 0.90 "90%左右" is: five points either way (the plan gives no figure).
const TARGET_MIN: &str = "0.85";
const TARGET_MAX: &str = "0.95";
const ROSTER_CATEGORIES: [&str; 2] = ["entitled_out_of_poverty", "immediate_assistance"];

const CLAUSE_COVERED: &str = "鲁扶贫办字〔2020〕2号 三、参保对象";
const CLAUSE_PERIOD: &str = "鲁扶贫办字〔2020〕2号 四、主要内容";
const CLAUSE_SUPPLEMENTARY: &str = "鲁扶贫办字〔2020〕2号 四（一）医疗商业补充保险";
const CLAUSE_ACCIDENT: &str = "鲁扶贫办字〔2020〕2号 四（二）意外伤害保险";

/// Reports every floor the policy breaks, except at what is told to be wrong already: a figure that does not read is
/// none that is too low. Policies of other provinces and years have none, and whose year does not read may be one.
pub(crate) fn check(policy: &Policy, problems: &mut Problems) {
    if problems.is_told("to") {
        return;
    }
    let mut broken = Problems::of(&policy.file);
    floors(policy, &mut broken);
    broken.found.retain(|floor| !problems.is_told(&floor.key));
    problems.found.append(&mut broken.found);
}

fn floors(policy: &Policy, problems: &mut Problems) {
    let in_force = policy.from <= COVER_TO && policy.to.is_none_or(|last| COVER_FROM <= last);
    if !policy.region.starts_with(REGION) || !in_force {
        return;
    }
    for cause in [CauseKind::Illness, CauseKind::Accident] {
        if find(policy, cause, SUPPLEMENTARY).is_none() {
            missing(problems, cause, SUPPLEMENTARY, CLAUSE_SUPPLEMENTARY);
        }
    }
    if let Some(rule) = policy.payers().find(|rule| rule.code.as_str() == SUPPLEMENTARY) {
        supplementary(rule, problems);
        line(rule, problems);
    }
    match find(policy, CauseKind::Accident, ACCIDENT) {
        Some(rule) => {
            accident(rule, problems);
            line(rule, problems);
        }
        None => missing(problems, CauseKind::Accident, ACCIDENT, CLAUSE_ACCIDENT),
    }
}

fn find<'a>(policy: &'a Policy, cause: CauseKind, code: &str) -> Option<&'a PayerRule> {
    policy.order(cause).iter().find(|rule| rule.code.as_str() == code).map(AsRef::as_ref)
}

fn missing(problems: &mut Problems, cause: CauseKind, code: &str, clause: &str) {
    let message = Text::new(format!("付款顺序中缺少 {code}"), format!("the order lacks {code}"));
    problems.breaks(&format!("orders.{cause}"), message, clause);
}

fn supplementary(rule: &PayerRule, problems: &mut Problems) {
    let key = |name: &str| format!("payers.{SUPPLEMENTARY}.{name}");
    at_least(
        problems,
        &key("premium"),
        rule.insurance.premium.as_ref(),
        SUPPLEMENTARY_PREMIUM_MIN_YUAN,
        CLAUSE_SUPPLEMENTARY,
    );
    for (place, terms) in all_terms(rule) {
        // A stay may be all of a year: its cap undercuts the year's just as well.
        for (name, cap) in caps(terms) {
            let key = key(&format!("{place}{name}"));
            at_least(problems, &key, Some(cap), SUPPLEMENTARY_CAP_MIN_YUAN, CLAUSE_SUPPLEMENTARY);
        }
        if !terms.target.as_ref().is_some_and(|target| is_near_target(target.value)) {
            let stated =
                terms.target.as_ref().map_or_else(|| "—".to_owned(), |target| target.value.to_string());
            let message = Text::new(
                format!("保障目标应为政策范围内医疗总费用的 90% 左右（0.85–0.95），现为 {stated}"),
                format!("the target must be near 0.90 of the in-scope total (0.85 to 0.95); it is {stated}"),
            );
            problems.breaks(&key(&format!("{place}target")), message, CLAUSE_SUPPLEMENTARY);
        }
    }
}

fn is_near_target(target: Ratio) -> bool {
    TARGET_MIN.parse().is_ok_and(|least: Ratio| least <= target)
        && TARGET_MAX.parse().is_ok_and(|most: Ratio| target <= most)
}

fn accident(rule: &PayerRule, problems: &mut Problems) {
    let key = |name: &str| format!("payers.{ACCIDENT}.{name}");
    let promised = &rule.insurance;
    for (name, figure, least_yuan) in [
        ("premium", &promised.premium, ACCIDENT_PREMIUM_MIN_YUAN),
        ("death_benefit", &promised.death_benefit, ACCIDENT_BENEFIT_MIN_YUAN),
        ("disability_benefit", &promised.disability_benefit, ACCIDENT_BENEFIT_MIN_YUAN),
    ] {
        at_least(problems, &key(name), figure.as_ref(), least_yuan, CLAUSE_ACCIDENT);
    }
    for (place, terms) in all_terms(rule) {
        for (name, cap) in caps(terms) {
            let key = key(&format!("{place}{name}"));
            at_least(problems, &key, Some(cap), ACCIDENT_MEDICAL_MIN_YUAN, CLAUSE_ACCIDENT);
        }
    }
}

/// What both lines owe: the whole year, and both roster categories.
fn line(rule: &PayerRule, problems: &mut Problems) {
    let key = |name: &str| format!("payers.{}.{name}", rule.code);
    if rule.insurance.cover_from != Some(COVER_FROM) || rule.insurance.cover_to != Some(COVER_TO) {
        let message = Text::new(
            "保障周期应为 2020-01-01 至 2020-12-31（cover_from、cover_to）",
            "the cover must run from 2020-01-01 to 2020-12-31 (cover_from, cover_to)",
        );
        problems.breaks(&key("cover_from"), message, CLAUSE_PERIOD);
    }
    for category in ROSTER_CATEGORIES {
        if rule.categories.as_ref().is_some_and(|codes| !codes.value.iter().any(|code| **code == *category)) {
            let message = Text::new(
                format!("应覆盖两类保障对象，缺少 {category}"),
                format!("both roster categories must be covered; {category} is missing"),
            );
            problems.breaks(&key("categories"), message, CLAUSE_COVERED);
        }
    }
}

fn caps(terms: &Terms) -> impl Iterator<Item = (&'static str, &Figure<Money>)> {
    let caps = [("stay_cap", terms.stay_cap.as_ref()), ("annual_cap", terms.annual_cap.as_ref())];
    caps.into_iter().filter_map(|(name, cap)| Some((name, cap?)))
}

fn all_terms(rule: &PayerRule) -> impl Iterator<Item = (String, &Terms)> {
    let variants = rule.variants.iter().enumerate();
    std::iter::once((String::new(), &rule.terms))
        .chain(variants.map(|(index, variant)| (format!("variants[{index}]."), &variant.terms)))
}

fn at_least(
    problems: &mut Problems,
    key: &str,
    figure: Option<&Figure<Money>>,
    least_yuan: i64,
    clause: &str,
) {
    let least = Money::from_fen(least_yuan * 100);
    if figure.is_some_and(|figure| least <= figure.value) {
        return;
    }
    let stated = figure.map_or_else(|| "—".to_owned(), |figure| figure.value.to_string());
    let message = Text::new(
        format!("不得低于 {least} 元，现为 {stated}"),
        format!("must be at least {least}; it is {stated}"),
    );
    problems.breaks(key, message, clause);
}
