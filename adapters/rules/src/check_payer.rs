//! From a payer's entry as written to a rule that cannot be wrong.

use std::sync::Arc;

use yizhan_contract::{PayerCode, Ratio};

use crate::check::{Checking, NONE, text};
use crate::check_terms::{code_list, terms, variants};
use crate::file::RawPayer;
use crate::policy::{AccumulatorKeeper, BaseKind, Figure, Insurance, PayerRule, Standing, Terms, Variant};

/// SETTLEMENT §3: these never pay where a third party is liable (社会保险法 §30).
const NEVER_WITH_LIABLE_THIRD_PARTY: [&str; 3] = ["basic", "critical_illness", "medical_assistance"];
/// These pay whoever is liable, unless the policy says otherwise; every other payer only where it says so.
const PAYS_WITH_LIABLE_THIRD_PARTY: [&str; 2] = ["disaster", "accident"];

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
    let terms = terms(checking, key, raw.terms(), &clause, None);
    let variants = variants(checking, key, raw, &clause, terms.as_ref());
    scope_only(checking, key, raw, base, states_target(terms.as_ref(), &variants));
    Some(PayerRule {
        name: text(zh, en),
        note: raw.note.as_ref().map(|note| text(&note.zh, &note.en)),
        categories: raw.categories.as_ref().filter(|codes| !codes.is_empty()).map(|codes| code_list(codes)),
        cover: raw.cover.as_deref().filter(|cover| *cover != NONE).map(Arc::from),
        specified_accidents_only: raw.specified_accidents_only.unwrap_or(false),
        pays_with_liable_third_party: third_party(checking, key, &code, raw),
        standing: standing(checking, key, raw.standing.as_deref()),
        accumulator: keeper(checking, key, raw.accumulator.as_deref()),
        items: items(checking, key, raw, base, &clause),
        base: base?,
        cumulative: raw.cumulative.unwrap_or(false),
        insurance: insurance(checking, key, raw, &clause),
        terms: terms?,
        variants,
        code,
        clause,
    })
}

fn third_party(checking: &mut Checking, key: &str, code: &PayerCode, raw: &RawPayer) -> bool {
    let pays_unasked = PAYS_WITH_LIABLE_THIRD_PARTY.contains(&code.as_str());
    let pays = raw.pays_with_liable_third_party.unwrap_or(pays_unasked);
    if pays && NEVER_WITH_LIABLE_THIRD_PARTY.contains(&code.as_str()) {
        checking.problems.breaks(
            &format!("{key}.pays_with_liable_third_party"),
            text("有第三人负担时该付款方不得支付", "this payer never pays where a third party is liable"),
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
fn scope_only(checking: &mut Checking, key: &str, raw: &RawPayer, base: Option<BaseKind>, has_target: bool) {
    if base == Some(BaseKind::Scope) {
        return;
    }
    if raw.cumulative == Some(true) {
        let key = format!("{key}.cumulative");
        checking.problems.add(&key, "累计计算只能用于 base = \"scope\"", "needs base = \"scope\"");
    }
    if has_target {
        let key = format!("{key}.target");
        checking.problems.add(&key, "保障目标只能用于 base = \"scope\"", "needs base = \"scope\"");
    }
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
