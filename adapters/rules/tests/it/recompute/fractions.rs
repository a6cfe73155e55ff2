//! Exact amounts as whole units of 10^-14 yuan, apart from any crate of the project.

/// Units of one yuan; every product of the settlement rules has at most 14 decimals.
pub(crate) const YUAN: i128 = 100_000_000_000_000;
pub(crate) const FEN: i128 = YUAN / 100;

pub(crate) fn units(text: &str) -> i128 {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let fraction: i128 = format!("{fraction:0<14}").parse().unwrap();
    sign * (whole.parse::<i128>().unwrap() * YUAN + fraction)
}

/// Half away from zero, to the fen.
pub(crate) fn round(amount: i128) -> i128 {
    rounded_to(FEN, amount)
}

/// Half away from zero, to a whole number of `unit`.
pub(crate) fn rounded_to(unit: i128, amount: i128) -> i128 {
    amount.signum() * ((amount.abs() + unit / 2) / unit) * unit
}
