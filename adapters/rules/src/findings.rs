//! The sentences a person should read beside a bill, with their figures and the clause behind them.

use std::sync::Arc;

use yizhan_contract::{Finding, FindingCode, Money, Ratio, Reason, Text, counted};

use crate::formula::BindingCap;
use crate::policy::{Figure, IdentityOn, PayerRule};

const LIABILITY_CLAUSE: &str = "社会保险法 §30";
/// The funds pay what the catalogues list.
const CATALOGUE_CLAUSE: &str = "社会保险法 §28";

fn finding(code: FindingCode, zh: String, en: String, clause: Option<Arc<str>>) -> Finding {
    Finding { code, message: Text::new(zh, en), clause }
}

/// A ratio with two decimals to spare, for a sentence: `0.9335` as `93.35%`.
fn percent(share: Ratio) -> String {
    let digits = format!("{share:.4}").replace('.', "");
    let whole = digits.get(..digits.len() - 2).unwrap_or_default().trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    format!("{whole}.{}%", digits.get(digits.len() - 2..).unwrap_or_default())
}

pub(crate) fn sample_policy(label: &str) -> Finding {
    finding(
        FindingCode::SamplePolicy,
        format!("示例参数，非官方标准：政策 {label} 未经任何单位确认"),
        format!("sample figures, not official: nobody has attested policy {label}"),
        None,
    )
}

pub(crate) fn not_on_roster(covers_residents: &Figure<bool>) -> Finding {
    let (zh, en) = if covers_residents.value {
        (
            "患者不在保障对象名册，按普通居民结算",
            "the patient is not on the roster and is settled as an ordinary resident",
        )
    } else {
        (
            "患者不在保障对象名册，本政策不覆盖普通居民",
            "the patient is not on the roster, and the policy does not cover residents",
        )
    };
    let clause = Some(covers_residents.clause.clone());
    finding(FindingCode::NotOnRoster, zh.to_owned(), en.to_owned(), clause)
}

pub(crate) fn category_changed(
    before: &Text,
    after: &Text,
    used_on: impl ToString,
    identity_on: &Figure<IdentityOn>,
) -> Finding {
    let day = used_on.to_string();
    finding(
        FindingCode::CategoryChangedDuringStay,
        format!("住院期间人员类别由“{}”变为“{}”，按 {day} 的类别结算", before.zh, after.zh),
        format!(
            "the category changed during the stay from {} to {}; the one of {day} is used",
            before.en, after.en
        ),
        Some(identity_on.clause.clone()),
    )
}

/// `aside`: the payers that do not pay for this reason; perhaps none.
pub(crate) fn third_party_liable(aside: &[&Text]) -> Finding {
    let (zh, en) = if aside.is_empty() {
        ("本次费用有第三人负担责任".to_owned(), "a third party is liable".to_owned())
    } else {
        let names = |of: fn(&Text) -> &str, between: &str| {
            aside.iter().map(|name| of(name)).collect::<Vec<_>>().join(between)
        };
        (
            format!("应由第三人负担，因此不予支付的有：{}", names(|name| &name.zh, "、")),
            format!("a third party is liable; not paying for that reason: {}", names(|name| &name.en, ", ")),
        )
    };
    finding(FindingCode::ThirdPartyLiable, zh, en, Some(LIABILITY_CLAUSE.into()))
}

pub(crate) fn cap_reached(rule: &PayerRule, binding: &BindingCap, already: Money, paid: Money) -> Finding {
    let cap = binding.cap.value;
    let (zh, en) = if binding.is_annual {
        (
            format!("{}年度封顶 {cap} 元，此前已付 {already} 元，本次只能支付 {paid} 元", rule.name.zh),
            format!("{}: annual cap {cap}, paid before {already}, so this stay gets {paid}", rule.name.en),
        )
    } else {
        (
            format!("{}单次封顶 {cap} 元，本次支付 {paid} 元", rule.name.zh),
            format!("{}: cap per stay {cap}, so this stay gets {paid}", rule.name.en),
        )
    };
    finding(FindingCode::CapReached, zh, en, Some(binding.cap.clause.clone()))
}

/// `before`: what was paid of an annual cap before this stay; absent where it is the cap of one stay.
pub(crate) fn cap_passed_elsewhere(
    rule: &PayerRule,
    cap: &Figure<Money>,
    before: Option<Money>,
    paid: Money,
) -> Finding {
    let limit = cap.value;
    let Text { zh, en } = &rule.name;
    let (zh, en) = match before {
        Some(before) => (
            format!("{zh}在别处已结算 {paid} 元，连同此前 {before} 元，超过年度封顶 {limit} 元"),
            format!("{en}: {paid} settled elsewhere, with {before} before, passes the annual cap {limit}"),
        ),
        None => (
            format!("{zh}在别处已结算 {paid} 元，超过单次封顶 {limit} 元"),
            format!("{en}: {paid} settled elsewhere passes the cap per stay {limit}"),
        ),
    };
    finding(FindingCode::CapPassedElsewhere, zh, en, Some(cap.clause.clone()))
}

pub(crate) fn settled_elsewhere_differs(rule: &PayerRule, paid: Money, reason: Reason) -> Finding {
    let (zh, en) = match reason {
        Reason::NotEntitled => ("患者不符合享受条件", "the patient is not entitled"),
        Reason::CoverNotInForce => ("保障不在有效期", "the cover is not in force"),
        Reason::CauseNotCovered => ("该原因不在保障范围", "the cause is not covered"),
        _ => ("应由第三人负担", "a third party is liable"),
    };
    finding(
        FindingCode::SettledElsewhereDiffers,
        format!("{}在别处已结算 {paid} 元，但按本政策{zh}", rule.name.zh),
        format!("{}: {paid} settled elsewhere, but by this policy {en}", rule.name.en),
        Some(rule.clause.clone()),
    )
}

/// Where the in-scope coverage came out against the target.
pub(crate) fn target_missed(
    code: FindingCode,
    coverage: Ratio,
    target: &Figure<Ratio>,
    tolerance: Ratio,
) -> Finding {
    let (coverage, goal, tolerance) = (percent(coverage), percent(target.value), percent(tolerance));
    let (zh, en) = match code {
        FindingCode::OverTarget => ("过度保障", "over the target"),
        _ => ("保障不到位", "below the target"),
    };
    finding(
        code,
        format!("{zh}：政策范围内保障比例 {coverage}，目标 {goal}，允许偏差 {tolerance}"),
        format!("{en}: {coverage} of in-scope cost is covered, the target is {goal}, tolerance {tolerance}"),
        Some(target.clause.clone()),
    )
}

pub(crate) fn out_of_catalogue_share(self_funded: Money, total: Money, limit: &Figure<Ratio>) -> Finding {
    let share = self_funded.exact().share_of(total.exact()).map(percent).unwrap_or_default();
    let most = percent(limit.value);
    finding(
        FindingCode::OutOfCatalogueShare,
        format!("目录外费用 {self_funded} 元，占总费用 {total} 元的 {share}，超过 {most}"),
        format!("{self_funded} of {total} is outside the catalogue: {share}, the limit is {most}"),
        Some(limit.clause.clone()),
    )
}

pub(crate) fn zero_patient_share(min_patient_share: &Figure<Money>) -> Finding {
    let least = min_patient_share.value;
    finding(
        FindingCode::ZeroPatientShare,
        format!("个人负担为 0.00 元，低于最低自付 {least} 元；法定支付不追回"),
        format!("the patient pays 0.00, less than {least}; statutory payments are not clawed back"),
        Some(min_patient_share.clause.clone()),
    )
}

/// Codes named in the finding; the rest is counted.
const UNKNOWN_CODES_NAMED_MAX: usize = 5;

/// One finding for all unknown items: a bill has thousands of lines, a desk reads a few sentences.
pub(crate) fn unknown_items(codes: &[&str], lines: usize, amount: Money) -> Finding {
    let named = codes.get(..UNKNOWN_CODES_NAMED_MAX).unwrap_or(codes).join(", ");
    let (more_zh, more_en) =
        if codes.len() > UNKNOWN_CODES_NAMED_MAX { (" 等", " and others") } else { ("", "") };
    let items = codes.len();
    finding(
        FindingCode::UnknownItem,
        format!("{items} 个项目不在目录中（{named}{more_zh}），{lines} 行共 {amount} 元按丙类处理"),
        format!(
            "{} not in the catalogue ({named}{more_en}); taken as class C: {}, {amount}",
            counted(items, "item is", "items are"),
            counted(lines, "line", "lines"),
        ),
        Some(CATALOGUE_CLAUSE.into()),
    )
}
