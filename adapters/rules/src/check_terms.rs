//! The terms of a payer and of its variants: deductible, bands, caps, and when a variant applies.

use std::sync::Arc;

use yizhan_contract::Money;
use yizhan_contract::claim::HospitalLevel;
use yizhan_contract::stay::{CauseKind, Referral};

use crate::check_value::{Checking, PolicyNumber};
use crate::file::{RawBand, RawPayer, RawTerms, RawVariant, RawWhen};
use crate::marked::RawFigure;
use crate::policy::{Band, Figure, Terms, Variant, When};

/// The terms a part of the file states, laid over `defaults`. `None`: no usable ratio or bands.
pub(crate) fn terms(
    checking: &mut Checking,
    key: &str,
    raw: RawTerms<'_>,
    defaults: Option<&Terms>,
) -> Option<Terms> {
    let bands = bands(checking, key, raw, defaults);
    let default = defaults.cloned().unwrap_or_else(unusable);
    let mut of = Stated { checking, key };
    let terms = Terms {
        deductible: of.figure("deductible", raw.deductible, default.deductible),
        bands: Vec::new(),
        target: of.figure("target", raw.target, default.target),
        stay_cap: of.figure("stay_cap", raw.stay_cap, default.stay_cap),
        annual_cap: of.figure("annual_cap", raw.annual_cap, default.annual_cap),
        upfront_share: of.figure("upfront_share", raw.upfront_share, default.upfront_share),
        ratio_points: of.figure("ratio_points", raw.ratio_points, default.ratio_points),
    };
    Some(Terms { bands: bands?, ..terms })
}

/// Reads the figures of one part of a file.
struct Stated<'c> {
    checking: &'c mut Checking,
    key: &'c str,
}

impl Stated<'_> {
    fn figure<T: PolicyNumber>(
        &mut self,
        name: &str,
        raw: Option<&RawFigure>,
        default: Option<Figure<T>>,
    ) -> Option<Figure<T>> {
        self.checking.stated(&format!("{}.{name}", self.key), raw, default.as_ref())
    }
}

/// Ratio and bands are one field: a plain ratio is one endless band.
fn bands(
    checking: &mut Checking,
    key: &str,
    raw: RawTerms<'_>,
    defaults: Option<&Terms>,
) -> Option<Vec<Band>> {
    match (raw.ratio, raw.bands) {
        (Some(_), Some(_)) => {
            checking.problems.add(key, "ratio 与 bands 只能写一个", "states both ratio and bands");
            None
        }
        (Some(ratio), None) => {
            let ratio = checking.figure(&format!("{key}.ratio"), ratio)?;
            Some(vec![Band { from: Money::ZERO, to: None, ratio }])
        }
        (None, Some(raw)) => graduated(checking, &format!("{key}.bands"), raw),
        (None, None) => {
            if defaults.is_none() && !key.contains(".variants[") {
                checking.problems.add(key, "缺少 ratio 或 bands", "needs ratio or bands");
            }
            defaults.map(|terms| terms.bands.clone())
        }
    }
}

fn graduated(checking: &mut Checking, key: &str, raw: &[RawBand]) -> Option<Vec<Band>> {
    let mut bands = Vec::with_capacity(raw.len());
    let mut from = Money::ZERO;
    for (index, band) in raw.iter().enumerate() {
        let key = format!("{key}[{index}]");
        let figure =
            RawFigure { value: band.ratio.clone(), mark: band.mark.clone(), clause: band.clause.clone() };
        let ratio = checking.figure(&key, &figure);
        let to = upper_edge(checking, &key, band, from, index + 1 == raw.len())?;
        bands.push(Band { from, to, ratio: ratio? });
        from = to.unwrap_or(from);
    }
    if bands.is_empty() {
        checking.problems.add(key, "至少要有一段", "needs at least one band");
        return None;
    }
    Some(bands)
}

/// Edges rise, and the last band, which has none, is endless. `None`: a problem was reported.
fn upper_edge(
    checking: &mut Checking,
    key: &str,
    band: &RawBand,
    from: Money,
    is_last: bool,
) -> Option<Option<Money>> {
    let problems = &mut checking.problems;
    let at = format!("{key}.to");
    match band.to.as_deref().map(|edge| (edge, Money::read(edge))) {
        None if is_last => return Some(None),
        None => problems.add(key, "只有最后一段可以没有上限", "only the last band may leave out `to`"),
        Some((edge, Err(why))) => {
            problems.add(&at, format!("{edge} 不是可用的金额"), format!("{edge:?} {why}"));
        }
        Some(_) if is_last => problems.add(key, "最后一段不能有上限", "the last band must have no `to`"),
        Some((_, Ok(edge))) if edge <= from => {
            problems.add(&at, "分段上限须逐段增大", "must be above the band before");
        }
        Some((_, Ok(edge))) => return Some(Some(edge)),
    }
    None
}

pub(crate) fn variants(
    checking: &mut Checking,
    key: &str,
    raw: &RawPayer,
    defaults: Option<&Terms>,
) -> Vec<Variant> {
    let variants = raw.variants.iter().flatten().enumerate();
    variants
        .map(|(index, raw)| variant(checking, &format!("{key}.variants[{index}]"), raw, defaults))
        .collect()
}

fn variant(checking: &mut Checking, key: &str, raw: &RawVariant, defaults: Option<&Terms>) -> Variant {
    let terms = terms(checking, key, raw.terms(), defaults);
    Variant {
        when: when(checking, &format!("{key}.when"), &raw.when),
        terms: terms.unwrap_or_else(unusable),
        clause: raw.clause.as_deref().unwrap_or_default().into(),
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

pub(crate) fn code_list(codes: &[String]) -> Vec<Arc<str>> {
    codes.iter().map(|code| code.as_str().into()).collect()
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
        mark: checking.mark(key, raw.mark.as_deref()),
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
