//! From a payer's entry as written to a rule that cannot be wrong.

use std::sync::Arc;

use yizhan_contract::{PayerCode, Ratio};

use crate::check_terms::{code_list, terms, variants};
use crate::check_value::{Checking, NONE, text};
use crate::file::RawPayer;
use crate::marked::RawFigure;
use crate::policy::{AccumulatorKeeper, BaseKind, Figure, Insurance, PayerRule, Standing, Terms, Variant};

/// SETTLEMENT §3: these never pay where a third party is liable (社会保险法 §30).
const NEVER_WITH_LIABLE_THIRD_PARTY: [&str; 3] = ["basic", "critical_illness", "medical_assistance"];
/// These pay whoever is liable, unless the policy says otherwise; every other payer only where it says so.
const PAYS_WITH_LIABLE_THIRD_PARTY: [&str; 2] = ["disaster", "accident"];

const STANDINGS: [(&str, Standing); 2] =
    [("statutory", Standing::Statutory), ("discretionary", Standing::Discretionary)];
const KEEPERS: [(&str, AccumulatorKeeper); 2] =
    [("gateway", AccumulatorKeeper::Gateway), ("payer", AccumulatorKeeper::Payer)];

/// `None` only where a problem was reported that leaves nothing to build a rule from.
pub(crate) fn rule(checking: &mut Checking, key: &str, code: PayerCode, raw: &RawPayer) -> Option<PayerRule> {
    let (Some(zh), Some(en)) = (&raw.zh, &raw.en) else {
        checking.problems.add(key, "缺少中文名或英文名（zh、en）", "needs both names: zh and en");
        return None;
    };
    let base = base(checking, key, raw.base.as_ref());
    let kind = base.as_ref().map(|base| base.value);
    let terms = terms(checking, key, raw.terms(), None);
    let variants = variants(checking, key, raw, terms.as_ref());
    let cumulative = checking.flag(&format!("{key}.cumulative"), raw.cumulative.as_ref(), false);
    scope_only(checking, key, kind, cumulative.value, states_target(terms.as_ref(), &variants));
    Some(PayerRule {
        name: text(zh, en),
        note: raw.note.as_ref().map(|note| text(&note.zh, &note.en)),
        categories: categories(checking, key, raw),
        cover: cover(checking, key, raw),
        specified_accidents_only: checking.flag(
            &format!("{key}.specified_accidents_only"),
            raw.specified_accidents_only.as_ref(),
            false,
        ),
        pays_with_liable_third_party: third_party(checking, key, &code, raw),
        standing: checking.word(
            &format!("{key}.standing"),
            raw.standing.as_ref(),
            (Standing::Statutory, &STANDINGS),
        ),
        accumulator: checking.word(
            &format!("{key}.accumulator"),
            raw.accumulator.as_ref(),
            (AccumulatorKeeper::Gateway, &KEEPERS),
        ),
        items: items(checking, key, raw, kind),
        base: base?,
        cumulative,
        insurance: insurance(checking, key, raw),
        terms: terms?,
        variants,
        code,
        clause: raw.clause.as_deref().unwrap_or_default().into(),
    })
}

/// An empty list takes an inherited one away.
fn categories(checking: &mut Checking, key: &str, raw: &RawPayer) -> Option<Figure<Vec<Arc<str>>>> {
    let stated = raw.categories.as_ref().filter(|codes| !codes.value.is_empty())?;
    Some(checking.marked(&format!("{key}.categories"), stated, |codes| code_list(codes)))
}

fn cover(checking: &mut Checking, key: &str, raw: &RawPayer) -> Option<Figure<Arc<str>>> {
    let stated = raw.cover.as_ref().filter(|cover| cover.value != NONE)?;
    Some(checking.marked(&format!("{key}.cover"), stated, |cover| Arc::from(cover.as_str())))
}

fn third_party(checking: &mut Checking, key: &str, code: &PayerCode, raw: &RawPayer) -> Figure<bool> {
    let key = format!("{key}.pays_with_liable_third_party");
    let pays_unasked = PAYS_WITH_LIABLE_THIRD_PARTY.contains(&code.as_str());
    let pays = checking.flag(&key, raw.pays_with_liable_third_party.as_ref(), pays_unasked);
    if pays.value && NEVER_WITH_LIABLE_THIRD_PARTY.contains(&code.as_str()) {
        checking.problems.breaks(
            &key,
            text("有第三人负担时该支付方不得支付", "this payer never pays where a third party is liable"),
            "社会保险法 §30",
        );
    }
    pays
}

fn states_target(terms: Option<&Terms>, variants: &[Variant]) -> bool {
    let of_variants = variants.iter().map(|variant| &variant.terms);
    terms.into_iter().chain(of_variants).any(|terms| terms.target.is_some())
}

/// Cumulative bands and a target are about the in-scope cost, and nothing else.
fn scope_only(
    checking: &mut Checking,
    key: &str,
    base: Option<BaseKind>,
    is_cumulative: bool,
    has_target: bool,
) {
    if base == Some(BaseKind::Scope) {
        return;
    }
    if is_cumulative {
        let key = format!("{key}.cumulative");
        checking.problems.add(&key, "累计计算只能用于 base = \"scope\"", "needs base = \"scope\"");
    }
    if has_target {
        let key = format!("{key}.target");
        checking.problems.add(&key, "保障目标只能用于 base = \"scope\"", "needs base = \"scope\"");
    }
}

fn base(checking: &mut Checking, key: &str, stated: Option<&RawFigure>) -> Option<Figure<BaseKind>> {
    let key = format!("{key}.base");
    let Some(stated) = stated else {
        checking.problems.add(&key, "缺少计算基数", "is needed: scope, out_of_scope, patient or items");
        return None;
    };
    let known = BaseKind::ALL.map(|kind| (kind.word(), Some(kind)));
    let base = checking.word(&key, Some(stated), (None, &known));
    Some(Figure { value: base.value?, mark: base.mark, clause: base.clause })
}

fn items(
    checking: &mut Checking,
    key: &str,
    raw: &RawPayer,
    base: Option<BaseKind>,
) -> Vec<(Arc<str>, Figure<Ratio>)> {
    let key = format!("{key}.items");
    let listed = raw.items.iter().flatten().filter(|(_, ratio)| ratio.value != NONE);
    let mut items = Vec::new();
    for (category, ratio) in listed {
        if let Some(figure) = checking.figure(&format!("{key}.{category}"), ratio) {
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

fn insurance(checking: &mut Checking, key: &str, raw: &RawPayer) -> Insurance {
    let key = |name: &str| format!("{key}.{name}");
    let mut figure = |name: &str, raw| checking.stated(&key(name), raw, None);
    let premium = figure("premium", raw.premium.as_ref());
    let death_benefit = figure("death_benefit", raw.death_benefit.as_ref());
    let disability_benefit = figure("disability_benefit", raw.disability_benefit.as_ref());
    Insurance {
        premium,
        death_benefit,
        disability_benefit,
        cover_from: checking.date(&key("cover_from"), raw.cover_from.as_ref()),
        cover_to: checking.date(&key("cover_to"), raw.cover_to.as_ref()),
    }
}
