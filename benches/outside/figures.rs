//! Times in µs, told as milliseconds: quantiles of one turn, the median of several turns with their spread.

/// The time that so many of a hundred do not pass.
pub(crate) fn quantile(times: &[i64], hundredths: usize) -> i64 {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    sorted[(sorted.len() - 1) * hundredths / 100]
}

pub(crate) fn median(turns: &[i64]) -> i64 {
    quantile(turns, 50)
}

/// 1.234
pub(crate) fn milliseconds(us: i64) -> String {
    let sign = if us < 0 { "-" } else { "" };
    format!("{sign}{}.{:03}", us.abs() / 1_000, us.abs() % 1_000)
}

/// The median, the lowest and the highest.
pub(crate) fn spread(turns: &[i64]) -> String {
    let of = |hundredths| milliseconds(quantile(turns, hundredths));
    format!("{} ({} to {})", of(50), of(0), of(100))
}

pub(crate) fn verdict(is_met: bool) -> &'static str {
    if is_met { "met" } else { "MISSED" }
}
