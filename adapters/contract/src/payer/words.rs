//! What a payer says in words: kept short and on one line, and shown in both languages of the desk.

use super::PAYER_TEXT_CHARS_MAX;
use crate::finding::Text;

/// Between the two languages of one line.
const BETWEEN: &str = " | ";

impl Text {
    /// Both languages in one line, `中文 | English`: as reasons travel where there is room for one sentence.
    pub fn line(&self) -> String {
        format!("{}{BETWEEN}{}", self.zh, self.en)
    }

    /// What such a line says. What a payer says in its own words has no other language: it is quoted in both.
    pub fn of_line(line: &str) -> Self {
        match halves(line) {
            Some((zh, en)) => Self::new(zh, en),
            None => Self::new(format!("“{line}”"), format!("“{line}”")),
        }
    }
}

/// A payer's words as they may stand on a bill and in a log: one line, and of each language no more than
/// [`PAYER_TEXT_CHARS_MAX`] characters.
pub fn cut(words: &mut String) {
    let cut = match halves(words) {
        Some((zh, en)) => Text::new(plain(zh), plain(en)).line(),
        None => plain(words),
    };
    if cut != *words {
        *words = cut;
    }
}

fn halves(line: &str) -> Option<(&str, &str)> {
    line.split_once(BETWEEN).filter(|(zh, _)| !zh.is_ascii())
}

fn plain(words: &str) -> String {
    words.chars().map(|c| if c.is_control() { ' ' } else { c }).take(PAYER_TEXT_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payers_words_stay_on_one_line() {
        let long = "保".repeat(PAYER_TEXT_CHARS_MAX + 7);
        let most = &long[..PAYER_TEXT_CHARS_MAX * "保".len()];
        for (words, expected) in [
            ("超过\r\n限额\u{1b}[31m", "超过  限额 [31m".to_owned()),
            ("plain", "plain".to_owned()),
            (&long, most.to_owned()),
            (&format!("{long} | no\nanswer"), format!("{most} | no answer")),
        ] {
            let mut words = words.to_owned();
            cut(&mut words);
            assert_eq!(words, expected);
        }
    }

    #[test]
    fn a_line_holds_both_languages_or_is_quoted() {
        for (line, zh, en) in [
            ("无应答 | no answer", "无应答", "no answer"),
            ("down", "“down”", "“down”"),
            ("a | b", "“a | b”", "“a | b”"),
            ("系统维护", "“系统维护”", "“系统维护”"),
        ] {
            assert_eq!(Text::of_line(line), Text::new(zh, en));
        }
        let text = Text::new("无应答", "no answer");
        assert_eq!(Text::of_line(&text.line()), text);
    }
}
