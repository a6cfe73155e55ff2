//! From the total down to the patient's share, one bar per payer: integer geometry for an inline SVG.
//!
//! Each bar stands where the money it takes away stood, so the bars form a staircase; label and amount
//! stand beside every bar, and the share is hatched, so no reading depends on colour.

use super::figures::{grouped, shortened};
use super::words::{Lang, fill};
use crate::settlement::bill::Bill;

/// Units of the drawing; a label is 13 units high.
pub const WIDTH: i64 = 360;
const ROW_HEIGHT: i64 = 34;
const LABEL_BASELINE: i64 = 13;
const BAR_TOP: i64 = 18;
pub const BAR_HEIGHT: i64 = 11;
/// The narrowest bar that can still be seen on paper.
const BAR_WIDTH_MIN: i64 = 2;
/// Columns of a name beside its amount.
const LABEL_COLUMNS: usize = 32;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waterfall {
    pub height: i64,
    pub bars: Vec<Bar>,
    /// The drawing in words, for those who cannot see it.
    pub description: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bar {
    pub kind: BarKind,
    pub label: String,
    pub amount: String,
    pub x: i64,
    pub width: i64,
    pub baseline: i64,
    pub top: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BarKind {
    Total,
    Payer,
    Share,
}

impl BarKind {
    /// Class of the style sheet.
    pub fn class(self) -> &'static str {
        match self {
            Self::Total => "bar-total",
            Self::Payer => "bar-payer",
            Self::Share => "bar-share",
        }
    }
}

pub fn waterfall(bill: &Bill, lang: Lang) -> Waterfall {
    let words = lang.words();
    let total = bill.amounts.total.fen();
    let mut bars = vec![bar(0, BarKind::Total, words.total, (0, total), total)];
    let mut description = fill(words.waterfall_says, &[("total", &grouped(bill.amounts.total))]);
    let mut left = bill.amounts.total;
    for payer in &bill.payers {
        left -= payer.paid;
        let name = lang.of(&payer.name);
        let span = (left.fen(), payer.paid.fen());
        bars.push(bar(bars.len(), BarKind::Payer, name, span, total));
        let figures = [("payer", name), ("paid", &*grouped(payer.paid)), ("left", &*grouped(left))];
        description += &fill(words.waterfall_payer, &figures);
    }
    let share = (0, bill.patient_share.fen());
    bars.push(bar(bars.len(), BarKind::Share, words.share_bar, share, total));
    description += &fill(words.waterfall_share, &[("share", &grouped(bill.patient_share))]);
    Waterfall { height: i64::try_from(bars.len()).unwrap_or_default() * ROW_HEIGHT, bars, description }
}

/// `span` is where the bar begins and how long it is, in fen.
fn bar(row: usize, kind: BarKind, label: &str, span: (i64, i64), total: i64) -> Bar {
    let (from, length) = span;
    let top = i64::try_from(row).unwrap_or_default() * ROW_HEIGHT;
    let width = match length {
        0 => 0,
        _ => units(length, total).max(BAR_WIDTH_MIN),
    };
    let sign = if kind == BarKind::Payer && length > 0 { "−" } else { "" };
    Bar {
        kind,
        label: shortened(label, LABEL_COLUMNS),
        amount: format!("{sign}{}", grouped(yizhan_contract::Money::from_fen(length))),
        x: units(from, total).clamp(0, WIDTH - width),
        width,
        baseline: top + LABEL_BASELINE,
        top: top + BAR_TOP,
    }
}

/// Fen on the scale of the drawing; in 128 bits, where no product of two amounts overflows.
fn units(fen: i64, total: i64) -> i64 {
    let scaled = i128::from(fen) * i128::from(WIDTH) / i128::from(total.max(1));
    i64::try_from(scaled).unwrap_or(WIDTH)
}
