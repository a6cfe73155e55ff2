//! A payer's steps in a clerk's language, with the figures each one used.

use yizhan_contract::step::StepItem;
use yizhan_contract::{Exact, Step, StepKind};

use super::figures::{grouped, percent, product};
use super::values::{charge_category, or_code};
use super::words::{Lang, Words, fill};

/// One step as a line: `起付线 300.00 → 10,700.00`, `分段 10,700.00 × 80% = 8,560.00`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub what: &'static str,
    /// The figures the step used; empty where the amount after it says all.
    pub figures: String,
    /// Between figures and amount; empty where there are no figures.
    pub sign: &'static str,
    pub after: String,
    pub clause: Option<String>,
}

impl std::fmt::Display for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let parts = [self.what, &self.figures, self.sign, &self.after];
        let written: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        f.write_str(&written.join(" "))
    }
}

pub fn line(step: &Step, lang: Lang) -> Line {
    let figures = figures(step, lang);
    let is_product = match step.what {
        StepKind::Base => true,
        StepKind::Band => product_of(step) == Some(step.after),
        _ => false,
    };
    let sign = match (figures.is_empty(), is_product) {
        (true, _) => "",
        (false, true) => "=",
        (false, false) => "→",
    };
    Line {
        what: name(step.what, lang.words()),
        figures,
        sign,
        after: grouped(step.after),
        clause: step.clause.as_deref().map(str::to_owned),
    }
}

fn name(kind: StepKind, words: &'static Words) -> &'static str {
    match kind {
        StepKind::Base => words.step_base,
        StepKind::UpfrontShare => words.step_upfront_share,
        StepKind::Deductible => words.step_deductible,
        StepKind::Band => words.step_band,
        StepKind::Target => words.step_target,
        StepKind::StayCap => words.step_stay_cap,
        StepKind::AnnualCap => words.step_annual_cap,
        StepKind::Rounding => words.step_rounding,
        StepKind::Remainder => words.step_remainder,
        StepKind::MinShare => words.step_min_share,
    }
}

fn figures(step: &Step, lang: Lang) -> String {
    let words = lang.words();
    let amount = step.amount.map(grouped).unwrap_or_default();
    match step.what {
        StepKind::Base => items(&step.items, lang),
        StepKind::UpfrontShare => step.ratio.map(percent).unwrap_or_default(),
        StepKind::Deductible => amount + &notes(words, &[(words.counted_this_year, step.already)]),
        StepKind::Band => band(step, words),
        StepKind::Target => target(step, words),
        StepKind::AnnualCap => amount + &notes(words, &[(words.paid_this_year, step.already)]),
        StepKind::StayCap | StepKind::Remainder => amount,
        StepKind::MinShare => amount + &notes(words, &[(words.was_left, step.of)]),
        StepKind::Rounding => String::new(),
    }
}

/// `（本年已支付 4,000.00）`; nothing where no figure is known.
fn notes(words: &'static Words, known: &[(&'static str, Option<Exact>)]) -> String {
    let known: Vec<_> = known
        .iter()
        .filter_map(|(text, figure)| Some(fill(text, &[("amount", &grouped((*figure)?))])))
        .collect();
    if known.is_empty() {
        return String::new();
    }
    fill(words.notes, &[("notes", &known.join(words.notes_between))])
}

/// `床位费 1,200.00 × 50% + 护理费 300.00 × 100%`
fn items(items: &[StepItem], lang: Lang) -> String {
    let write = |item: &StepItem| {
        let category = or_code(charge_category(&item.category), &item.category, lang);
        format!("{category} {} × {}", grouped(item.amount), percent(item.ratio))
    };
    items.iter().map(write).collect::<Vec<_>>().join(" + ")
}

/// `[10,000.00–50,000.00] 10,700.00 × 80%`, with its product where an earlier band already counts.
fn band(step: &Step, words: &'static Words) -> String {
    let (Some(part), Some(ratio)) = (step.part, step.ratio) else { return String::new() };
    let mut text = edges(step, words);
    text += &format!("{} × {}", grouped(part), percent(ratio));
    if let Some(points) = step.points.filter(|points| !points.is_zero()) {
        let off = fill(words.points_off, &[("points", &percent(points))]);
        text += &fill(words.notes, &[("notes", &off)]);
    }
    match product_of(step) {
        Some(product) if product != step.after => text + " = " + &grouped(product),
        _ => text,
    }
}

/// One endless band from zero has no edges to speak of.
fn edges(step: &Step, words: &'static Words) -> String {
    let from = step.from.unwrap_or_default();
    match step.to {
        Some(to) => fill(words.band_between, &[("from", &grouped(from)), ("to", &grouped(to))]),
        None if !from.is_zero() => fill(words.band_above, &[("from", &grouped(from))]),
        None => String::new(),
    }
}

fn product_of(step: &Step) -> Option<Exact> {
    product(step.part?, step.ratio?)
}

/// `11,000.00 × 90%（前面已支付 9,560.00，尚可支付 340.00）`
fn target(step: &Step, words: &'static Words) -> String {
    let goal = match (step.of, step.ratio) {
        (Some(of), Some(ratio)) => format!("{} × {}", grouped(of), percent(ratio)),
        (None, Some(ratio)) => percent(ratio),
        _ => String::new(),
    };
    goal + &notes(words, &[(words.paid_before, step.already), (words.still_open, step.amount)])
}
