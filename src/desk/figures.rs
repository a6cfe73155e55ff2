//! Numbers, dates and widths as people read them.

use std::fmt::Display;

use jiff::Timestamp;
use jiff::civil::Date;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};
use yizhan_contract::stay::CIVIL_OFFSET;
use yizhan_contract::{Exact, Money, Ratio};

/// `10700.00` → `10,700.00`.
pub fn grouped(number: impl Display) -> String {
    let text = number.to_string();
    let (sign, digits) = text.strip_prefix('-').map_or(("", text.as_str()), |digits| ("-", digits));
    let (whole, fraction) = digits.split_once('.').map_or((digits, None), |(w, f)| (w, Some(f)));
    let mut written = sign.to_owned();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            written.push(',');
        }
        written.push(digit);
    }
    if let Some(fraction) = fraction {
        written.push('.');
        written += fraction;
    }
    written
}

/// `0.8` → `80%`, `0.9335` → `93.35%`.
pub fn percent(ratio: Ratio) -> String {
    let hundred = Money::from_fen(100 * 100).exact();
    // A ratio has four decimals at most, so the product always fits.
    let percent = hundred.times(ratio).map_or_else(|_| ratio.to_string(), |exact| exact.to_string());
    let short = percent.trim_end_matches('0').trim_end_matches('.');
    format!("{short}%")
}

/// With two decimals always, for shares that stand below each other: `0.864` → `86.40%`.
pub fn coverage(share: Ratio) -> String {
    let hundred = Money::from_fen(100 * 100).exact();
    hundred.times(share).map_or_else(|_| percent(share), |exact| format!("{}%", exact.round()))
}

/// The product in full, or nothing where a decimal cannot hold it.
pub fn product(part: Exact, ratio: Ratio) -> Option<Exact> {
    part.times(ratio).ok()
}

/// An instant as the wall clock in Shanghai shows it, to the minute: `2020-07-02 10:30`.
pub fn shanghai(at: Timestamp) -> String {
    let civil = CIVIL_OFFSET.to_datetime(at);
    let time = civil.time();
    format!("{} {:02}:{:02}", civil.date(), time.hour(), time.minute())
}

/// The same to the second, for whoever looks for one among many.
pub fn shanghai_to_the_second(at: Timestamp) -> String {
    format!("{}:{:02}", shanghai(at), CIVIL_OFFSET.to_datetime(at).second())
}

/// Days in hospital as they are charged: the day of discharge does not count, and there is at least one.
pub fn days(admitted: Date, discharged: Date) -> i32 {
    admitted.until(discharged).map_or(1, |span| span.get_days()).max(1)
}

/// Columns a text takes in a terminal; a Chinese character takes two.
pub fn width(text: &str) -> usize {
    text.width()
}

/// The text in at most `columns` columns, with `…` where something was left out.
pub fn shortened(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut short = String::new();
    let mut used = 0;
    for character in text.chars() {
        used += character.width().unwrap_or_default();
        if used + 1 > columns {
            break;
        }
        short.push(character);
    }
    short + "…"
}

/// The text in lines of at most `columns` columns, broken at a blank where there is one.
pub fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for character in text.chars() {
        if width(&line) + character.width().unwrap_or_default() > columns && !line.is_empty() {
            let rest = match line.rsplit_once(' ') {
                Some((kept, rest)) if character != ' ' && !kept.is_empty() => {
                    let rest = rest.to_owned();
                    line.truncate(line.len() - rest.len() - 1);
                    rest
                }
                _ => String::new(),
            };
            lines.push(std::mem::replace(&mut line, rest));
        }
        if !(line.is_empty() && character == ' ') {
            line.push(character);
        }
    }
    lines.push(line);
    lines
}
