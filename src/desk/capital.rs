//! Amounts in capital numerals (人民币大写), which cannot be altered with one stroke of a pen.
//!
//! 会计基础工作规范 §52: 整 closes an amount that ends at 元 or 角, never one that ends at 分; several zeros in
//! a row are read as one 零.

use yizhan_contract::Money;

const DIGITS: [&str; 10] = ["零", "壹", "贰", "叁", "肆", "伍", "陆", "柒", "捌", "玖"];
/// Largest first; 亿 repeats, so any number of yuan can be written.
const UNITS: [(u64, &str); 5] = [(100_000_000, "亿"), (10_000, "万"), (1_000, "仟"), (100, "佰"), (10, "拾")];
const FEN_PER_YUAN: u64 = 100;

/// `123.45` → 壹佰贰拾叁元肆角伍分. Absent for an amount below zero, which no document of ours may bear.
pub fn capital(amount: Money) -> Option<String> {
    let fen = u64::try_from(amount.fen()).ok()?;
    let (yuan, jiao, fen) = (fen / FEN_PER_YUAN, digit(fen / 10), digit(fen));
    let mut text = String::new();
    if yuan > 0 || (jiao == 0 && fen == 0) {
        write_whole(yuan, &mut text);
        text.push('元');
    }
    if jiao > 0 {
        text += DIGITS[jiao];
        text.push('角');
    } else if yuan > 0 && fen > 0 {
        text.push('零');
    }
    if fen > 0 {
        text += DIGITS[fen];
        text.push('分');
    } else {
        text.push('整');
    }
    Some(text)
}

fn digit(number: u64) -> usize {
    usize::try_from(number % 10).unwrap_or_default()
}

/// A number is its part above the largest unit it reaches, that unit, and the rest; where the rest does
/// not reach the next decimal place, 零 stands for what is skipped.
fn write_whole(number: u64, text: &mut String) {
    let Some((unit, name)) = UNITS.into_iter().find(|(unit, _)| number >= *unit) else {
        *text += DIGITS[digit(number)];
        return;
    };
    write_whole(number / unit, text);
    *text += name;
    let rest = number % unit;
    if rest > 0 {
        if rest < unit / 10 {
            text.push('零');
        }
        write_whole(rest, text);
    }
}
