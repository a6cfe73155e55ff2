//! From a payer's entry as written to a rule that cannot be wrong.

use std::sync::Arc;

use yizhan_contract::claim::HospitalLevel;
use yizhan_contract::stay::{CauseKind, Referral};
use yizhan_contract::{Money, PayerCode, Ratio};

use crate::check::{Checking, NONE, PolicyNumber, text};
use crate::file::{RawBand, RawPayer, RawTerms, RawVariant, RawWhen};
use crate::policy::{
    AccumulatorKeeper, Band, BaseKind, Figure, Insurance, PayerRule, Standing, Terms, Variant, When,
};

/// SETTLEMENT §3: these never pay where a third party is liable (社会保险法 §30).
const NEVER_WITH_LIABLE_THIRD_PARTY: [&str; 3] = ["basic", "critical_illness", "medical_assistance"];

/// `None` only where a problem was reported that leaves nothing to build a rule from.
pub(crate) fn rule(
    checking: &mut Checking,
    key: &str,
    code: PayerCode,
    raw: &RawPayer,
    policy_clause: &Arc<str>,
) -> Option<PayerRule> {
    let clause = raw.clause.as_deref().map_or_else(|| policy_clause.clone(), Arc::from);
    let (Some(zh), Some(en)) = (&raw.zh, &raw.en) else {
        checking.problems.add(key, "缺少中文名或英文名（zh、en）", "needs both names: zh and en");
        return None;
    };
    let base = base(checking, key, raw.base.as_deref());
    let cumulative = raw.cumulative.unwrap_or(false);
    if cumulative && base != Some(BaseKind::Scope) {
        let key = format!("{key}.cumulative");
        checking.problems.add(&key, "累计计算只能用于 base = \"scope\"", "needs base = \"scope\"");
    }
    let pays_with_liable_third_party = raw.pays_with_liable_third_party.unwrap_or(false);
    if pays_with_liable_third_party && NEVER_WITH_LIABLE_THIRD_PARTY.contains(&code.as_str()) {
        checking.problems.breaks(
            &format!("{key}.pays_with_liable_third_party"),
            text("有第三人负担时该付款方不得支付", "this payer never pays where a third party is liable"),
            "社会保险法 §30",
        );
    }
    let terms = terms(checking, key, raw.terms(), &clause, None);
    let variants = raw.variants.iter().flatten().enumerate();
    let variants: Vec<Variant> = variants
        .map(|(index, raw)| {
            variant(checking, &format!("{key}.variants[{index}]"), raw, &clause, terms.as_ref())
        })
        .collect();
    let has_target = |terms: &Terms| terms.target.is_some();
    let states_target =
        terms.as_ref().is_some_and(has_target) || variants.iter().any(|v| has_target(&v.terms));
    if states_target && base != Some(BaseKind::Scope) {
        let key = format!("{key}.target");
        checking.problems.add(&key, "保障目标只能用于 base = \"scope\"", "needs base = \"scope\"");
    }
    Some(PayerRule {
        name: text(zh, en),
        note: raw.note.as_ref().map(|note| text(&note.zh, &note.en)),
        categories: raw.categories.as_ref().filter(|codes| !codes.is_empty()).map(|codes| code_list(codes)),
        cover: raw.cover.as_deref().filter(|cover| *cover != NONE).map(Arc::from),
        specified_accidents_only: raw.specified_accidents_only.unwrap_or(false),
        pays_with_liable_third_party,
        standing: standing(checking, key, raw.standing.as_deref()),
        accumulator: keeper(checking, key, raw.accumulator.as_deref()),
        items: items(checking, key, raw, base, &clause),
        base: base?,
        cumulative,
        insurance: insurance(checking, key, raw, &clause),
        terms: terms?,
        variants,
        code,
        clause,
    })
}

fn code_list(codes: &[String]) -> Vec<Arc<str>> {
    codes.iter().map(|code| code.as_str().into()).collect()
}

fn base(checking: &mut Checking, key: &str, word: Option<&str>) -> Option<BaseKind> {
    let key = format!("{key}.base");
    match word {
        Some("scope") => Some(BaseKind::Scope),
        Some("out_of_scope") => Some(BaseKind::OutOfScope),
        Some("patient") => Some(BaseKind::Patient),
        Some("items") => Some(BaseKind::Items),
        Some(other) => {
            checking.unknown_word(&key, other, &["scope", "out_of_scope", "patient", "items"]);
            None
        }
        None => {
            checking.problems.add(&key, "缺少计算基数", "is needed: scope, out_of_scope, patient or items");
            None
        }
    }
}

fn standing(checking: &mut Checking, key: &str, word: Option<&str>) -> Standing {
    match word {
        None | Some("statutory") => Standing::Statutory,
        Some("discretionary") => Standing::Discretionary,
        Some(other) => {
            checking.unknown_word(&format!("{key}.standing"), other, &["statutory", "discretionary"]);
            Standing::Statutory
        }
    }
}

fn keeper(checking: &mut Checking, key: &str, word: Option<&str>) -> AccumulatorKeeper {
    match word {
        None | Some("gateway") => AccumulatorKeeper::Gateway,
        Some("payer") => AccumulatorKeeper::Payer,
        Some(other) => {
            checking.unknown_word(&format!("{key}.accumulator"), other, &["gateway", "payer"]);
            AccumulatorKeeper::Gateway
        }
    }
}

fn items(
    checking: &mut Checking,
    key: &str,
    raw: &RawPayer,
    base: Option<BaseKind>,
    clause: &Arc<str>,
) -> Vec<(Arc<str>, Figure<Ratio>)> {
    let key = format!("{key}.items");
    let listed = raw.items.iter().flatten().filter(|(_, ratio)| ratio.value != NONE);
    let mut items = Vec::new();
    for (category, ratio) in listed {
        if let Some(figure) = checking.figure(&format!("{key}.{category}"), ratio, clause) {
            items.push((Arc::from(category.as_str()), figure));
        }
    }
    if (base == Some(BaseKind::Items)) != raw.items.as_ref().is_some_and(|items| !items.is_empty()) {
        checking.problems.add(
            &key,
            "base = \"items\" 与 items 须同时出现",
            "belongs to base = \"items\", and only there",
        );
    }
    items
}

fn insurance(checking: &mut Checking, key: &str, raw: &RawPayer, clause: &Arc<str>) -> Insurance {
    let premium = checking.stated(&format!("{key}.premium"), raw.premium.as_ref(), clause, None);
    let death_benefit =
        checking.stated(&format!("{key}.death_benefit"), raw.death_benefit.as_ref(), clause, None);
    let disability_benefit =
        checking.stated(&format!("{key}.disability_benefit"), raw.disability_benefit.as_ref(), clause, None);
    Insurance {
        premium,
        death_benefit,
        disability_benefit,
        cover_from: checking.date(&format!("{key}.cover_from"), raw.cover_from.as_ref()),
        cover_to: checking.date(&format!("{key}.cover_to"), raw.cover_to.as_ref()),
    }
}

/// The terms a part of the file states, laid over `defaults`. `None`: no usable ratio or bands.
fn terms(
    checking: &mut Checking,
    key: &str,
    raw: RawTerms<'_>,
    clause: &Arc<str>,
    defaults: Option<&Terms>,
) -> Option<Terms> {
    let bands = bands(checking, key, raw, clause, defaults);
    fn of<T: PolicyNumber>(
        checking: &mut Checking,
        (key, name): (&str, &str),
        raw: Option<&crate::file::RawFigure>,
        clause: &Arc<str>,
        default: Option<&Figure<T>>,
    ) -> Option<Figure<T>> {
        checking.stated(&format!("{key}.{name}"), raw, clause, default)
    }
    let default = |field: fn(&Terms) -> Option<&Figure<Money>>| defaults.and_then(field);
    let default_ratio = |field: fn(&Terms) -> Option<&Figure<Ratio>>| defaults.and_then(field);
    let terms = Terms {
        deductible: of(
            checking,
            (key, "deductible"),
            raw.deductible,
            clause,
            default(|t| t.deductible.as_ref()),
        ),
        bands: Vec::new(),
        target: of(checking, (key, "target"), raw.target, clause, default_ratio(|t| t.target.as_ref())),
        stay_cap: of(checking, (key, "stay_cap"), raw.stay_cap, clause, default(|t| t.stay_cap.as_ref())),
        annual_cap: of(
            checking,
            (key, "annual_cap"),
            raw.annual_cap,
            clause,
            default(|t| t.annual_cap.as_ref()),
        ),
        upfront_share: of(
            checking,
            (key, "upfront_share"),
            raw.upfront_share,
            clause,
            default_ratio(|t| t.upfront_share.as_ref()),
        ),
        ratio_points: of(
            checking,
            (key, "ratio_points"),
            raw.ratio_points,
            clause,
            default_ratio(|t| t.ratio_points.as_ref()),
        ),
    };
    Some(Terms { bands: bands?, ..terms })
}

/// Ratio and bands are one field: a plain ratio is one endless band.
fn bands(
    checking: &mut Checking,
    key: &str,
    raw: RawTerms<'_>,
    clause: &Arc<str>,
    defaults: Option<&Terms>,
) -> Option<Vec<Band>> {
    match (raw.ratio, raw.bands) {
        (Some(_), Some(_)) => {
            checking.problems.add(key, "ratio 与 bands 只能写一个", "states both ratio and bands");
            None
        }
        (Some(ratio), None) => {
            let ratio = checking.figure(&format!("{key}.ratio"), ratio, clause)?;
            Some(vec![Band { from: Money::ZERO, to: None, ratio }])
        }
        (None, Some(raw)) => graduated(checking, &format!("{key}.bands"), raw, clause),
        (None, None) => {
            if defaults.is_none() && !key.contains(".variants[") {
                checking.problems.add(key, "缺少 ratio 或 bands", "needs ratio or bands");
            }
            defaults.map(|terms| terms.bands.clone())
        }
    }
}

fn graduated(checking: &mut Checking, key: &str, raw: &[RawBand], clause: &Arc<str>) -> Option<Vec<Band>> {
    let mut bands = Vec::with_capacity(raw.len());
    let mut from = Money::ZERO;
    for (index, band) in raw.iter().enumerate() {
        let key = format!("{key}[{index}]");
        let figure = crate::file::RawFigure {
            value: band.ratio.clone(),
            mark: band.mark.clone(),
            clause: band.clause.clone(),
        };
        let ratio = checking.figure(&key, &figure, clause);
        let to = match &band.to {
            None => None,
            Some(edge) => match Money::read(edge) {
                Ok(edge) => Some(edge),
                Err(why) => {
                    let key = format!("{key}.to");
                    checking.problems.add(&key, format!("{edge} 不是可用的金额"), format!("{edge:?} {why}"));
                    return None;
                }
            },
        };
        let is_last = index + 1 == raw.len();
        match to {
            Some(_) if is_last => {
                checking.problems.add(&key, "最后一段不能有上限", "the last band must have no `to`");
                return None;
            }
            None if !is_last => {
                checking.problems.add(
                    &key,
                    "只有最后一段可以没有上限",
                    "only the last band may leave out `to`",
                );
                return None;
            }
            Some(edge) if edge <= from => {
                let key = format!("{key}.to");
                checking.problems.add(&key, "分段上限须逐段增大", "must be above the band before");
                return None;
            }
            _ => {}
        }
        bands.push(Band { from, to, ratio: ratio? });
        from = to.unwrap_or(from);
    }
    if bands.is_empty() {
        checking.problems.add(key, "至少要有一段", "needs at least one band");
        return None;
    }
    Some(bands)
}

fn variant(
    checking: &mut Checking,
    key: &str,
    raw: &RawVariant,
    clause: &Arc<str>,
    defaults: Option<&Terms>,
) -> Variant {
    let clause = raw.clause.as_deref().map_or_else(|| clause.clone(), Arc::from);
    let terms = terms(checking, key, raw.terms(), &clause, defaults);
    Variant {
        when: when(checking, &format!("{key}.when"), &raw.when),
        terms: terms.unwrap_or_else(unusable),
        clause,
    }
}

/// Stands in for terms whose problem is already reported; such a policy is never handed out.
fn unusable() -> Terms {
    Terms {
        deductible: None,
        bands: Vec::new(),
        target: None,
        stay_cap: None,
        annual_cap: None,
        upfront_share: None,
        ratio_points: None,
    }
}

fn when(checking: &mut Checking, key: &str, raw: &RawWhen) -> When {
    let mut levels = Vec::new();
    for level in raw.levels.iter().flatten() {
        match HospitalLevel::try_from(*level) {
            Ok(level) => levels.push(level),
            Err(_) => checking.unknown_word(&format!("{key}.levels"), &level.to_string(), &["1", "2", "3"]),
        }
    }
    let mut referral = Vec::new();
    for word in raw.referral.iter().flatten() {
        match Referral::from_word(word) {
            Some(known) => referral.push(known),
            None => checking.unknown_word(&format!("{key}.referral"), word, Referral::WORDS),
        }
    }
    let cause = raw.cause.as_deref().and_then(|word| {
        let known = CauseKind::from_word(word);
        if known.is_none() {
            checking.unknown_word(&format!("{key}.cause"), word, CauseKind::WORDS);
        }
        known
    });
    let categories = code_list(raw.categories.as_deref().unwrap_or_default());
    let when = When {
        categories,
        levels,
        admission_from: raw.admission_from,
        admission_to: raw.admission_to,
        out_of_area: raw.out_of_area,
        referral,
        cause,
    };
    if let (Some(first), Some(last)) = (when.admission_from, when.admission_to)
        && last < first
    {
        checking.problems.add(
            &format!("{key}.admission_to"),
            "小于 admission_from",
            "is below admission_from",
        );
    }
    when
}
