//! How an insurer writes amounts, days and instants, and its own codes for ours.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use serde::Deserialize;
use yizhan_contract::stay::CIVIL_OFFSET;
use yizhan_contract::{Money, Text};

use super::node::Leaf;

/// How amounts are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum AmountForm {
    /// `"155.07"`
    #[default]
    Yuan,
    /// `15507`
    Fen,
    /// `155.07`; in XML the same as `yuan`.
    Number,
}

/// Specifiers a day or an instant may be written with.
const SPECIFIERS: &[char] = &['Y', 'm', 'd', 'H', 'M', 'S'];

/// `%Y-%m-%d` and the like, known to be readable and writable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern(String);

impl Pattern {
    /// `2020-07-02`
    pub(super) fn iso() -> Self {
        Self("%Y-%m-%d".to_owned())
    }

    /// # Errors
    /// What is wrong with it.
    pub(super) fn read(text: &str, has_time: bool) -> Result<Self, Text> {
        let mut used = Vec::new();
        let mut rest = text.chars();
        while let Some(c) = rest.next() {
            if c == '%' {
                used.push(rest.next().unwrap_or('%'));
            }
        }
        let known = if has_time { SPECIFIERS } else { &SPECIFIERS[..3] };
        let listed = known.iter().map(|c| format!("%{c}")).collect::<Vec<_>>().join(" ");
        if used.iter().any(|c| !known.contains(c)) || !SPECIFIERS[..3].iter().all(|c| used.contains(c)) {
            return Err(Text::new(
                format!("“{text}”不可用：须含 %Y %m %d，且只用 {listed}"),
                format!("\"{text}\" will not do: it needs %Y %m %d, and no other than {listed}"),
            ));
        }
        Ok(Self(text.to_owned()))
    }

    pub(super) fn day(&self, day: Date) -> String {
        day.strftime(&self.0).to_string()
    }

    pub(super) fn instant(&self, at: Timestamp) -> String {
        civil(at).strftime(&self.0).to_string()
    }

    fn read_day(&self, text: &str) -> Option<Date> {
        Date::strptime(&self.0, text).ok()
    }

    fn read_instant(&self, text: &str) -> Option<Timestamp> {
        let civil = DateTime::strptime(&self.0, text).ok();
        // A day alone stands for its beginning.
        let civil =
            civil.or_else(|| Some(self.read_day(text)?.to_datetime(jiff::civil::Time::midnight())))?;
        CIVIL_OFFSET.to_timestamp(civil).ok()
    }
}

/// Wall clocks of insurers show Beijing time.
fn civil(at: Timestamp) -> DateTime {
    at.to_zoned_datetime(TimeZone::fixed(CIVIL_OFFSET)).datetime()
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum InstantForm {
    /// RFC 3339, with its offset.
    Rfc3339,
    UnixS,
    UnixMs,
    Civil(Pattern),
}

impl InstantForm {
    /// # Errors
    /// What is wrong with it.
    pub(super) fn read(text: &str) -> Result<Self, Text> {
        match text {
            "rfc3339" => Ok(Self::Rfc3339),
            "unix_s" => Ok(Self::UnixS),
            "unix_ms" => Ok(Self::UnixMs),
            pattern if pattern.contains('%') => Pattern::read(pattern, true).map(Self::Civil),
            _ => Err(Text::new(
                "须为 rfc3339、unix_s、unix_ms 或 %Y%m%d%H%M%S 之类的格式（北京时间）",
                "must be rfc3339, unix_s, unix_ms or a pattern such as %Y%m%d%H%M%S (Beijing time)",
            )),
        }
    }

    pub(super) fn is_number(&self) -> bool {
        matches!(self, Self::UnixS | Self::UnixMs)
    }

    pub(super) fn written(&self, at: Timestamp) -> String {
        match self {
            Self::Rfc3339 => at.to_string(),
            Self::UnixS => at.as_second().to_string(),
            Self::UnixMs => at.as_millisecond().to_string(),
            Self::Civil(pattern) => pattern.instant(at),
        }
    }

    fn read_instant(&self, text: &str) -> Option<Timestamp> {
        match self {
            Self::Rfc3339 => text.parse().ok(),
            Self::UnixS => Timestamp::from_second(text.parse().ok()?).ok(),
            Self::UnixMs => Timestamp::from_millisecond(text.parse().ok()?).ok(),
            Self::Civil(pattern) => pattern.read_instant(text),
        }
    }
}

/// An insurer's forms.
#[derive(Debug, Clone)]
pub(super) struct Forms {
    pub(super) amount: AmountForm,
    pub(super) date: Pattern,
    pub(super) instant: InstantForm,
}

impl Forms {
    /// Exactly an amount, or none: what is written in another form than agreed is not guessed at.
    pub(super) fn read_amount(&self, leaf: &Leaf) -> Option<Money> {
        match (self.amount, leaf) {
            (AmountForm::Yuan, Leaf::Text(text)) => text.parse().ok(),
            (AmountForm::Number, Leaf::Number(digits) | Leaf::Written(digits)) => digits.parse().ok(),
            (AmountForm::Yuan, Leaf::Written(text)) => text.parse().ok(),
            (AmountForm::Fen, Leaf::Number(digits) | Leaf::Written(digits) | Leaf::Text(digits)) => {
                fen(digits)
            }
            _ => None,
        }
    }

    pub(super) fn read_day(&self, leaf: &Leaf) -> Option<Date> {
        self.date.read_day(leaf.as_text()?)
    }

    pub(super) fn read_instant(&self, leaf: &Leaf) -> Option<Timestamp> {
        self.instant.read_instant(leaf.as_text()?)
    }
}

fn fen(digits: &str) -> Option<Money> {
    let size = digits.strip_prefix('-').unwrap_or(digits);
    if size.is_empty() || !size.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Money::from_fen(digits.parse().ok()?).within_limit().ok()
}

/// Tables of an insurer's codes: ours, then theirs; `*` stands for whatever is not listed.
pub(super) type Codes = BTreeMap<String, BTreeMap<String, String>>;

const ANY_OTHER: &str = "*";

pub(super) fn theirs<'c>(codes: &'c Codes, table: &str, ours: &str) -> Option<&'c str> {
    let table = codes.get(table)?;
    table.get(ours).or_else(|| table.get(ANY_OTHER)).map(String::as_str)
}

/// The one of ours that stands for theirs.
pub(super) fn ours<'c>(codes: &'c Codes, table: &str, theirs: &str) -> Option<&'c str> {
    let mut found = codes.get(table)?.iter().filter(|(ours, code)| *code == theirs && *ours != ANY_OTHER);
    found.next().map(|(ours, _)| ours.as_str()).filter(|_| found.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forms(amount: AmountForm, date: &str, instant: &str) -> Forms {
        let (date, instant) = (Pattern::read(date, false).unwrap(), InstantForm::read(instant).unwrap());
        Forms { amount, date, instant }
    }

    fn number(text: &str) -> Leaf {
        Leaf::Number(text.to_owned())
    }

    fn text(text: &str) -> Leaf {
        Leaf::Text(text.to_owned())
    }

    #[test]
    fn amounts_are_read_in_the_agreed_form_alone() {
        use AmountForm::{Fen, Number, Yuan};
        for (form, leaf, amount) in [
            (Yuan, text("155.07"), Some("155.07")),
            (Yuan, text("155.7"), Some("155.70")),
            (Yuan, text("-1.00"), Some("-1.00")),
            (Yuan, number("155.07"), None),
            (Yuan, text("155.075"), None),
            (Yuan, text("1,155.07"), None),
            (Yuan, text(""), None),
            (Number, number("155.07"), Some("155.07")),
            (Number, number("155"), Some("155.00")),
            (Number, number("1e2"), None),
            (Number, number("155.075"), None),
            (Number, text("155.07"), None),
            (Number, Leaf::Written("155.07".into()), Some("155.07")),
            (Fen, number("15507"), Some("155.07")),
            (Fen, text("15507"), Some("155.07")),
            (Fen, number("-1"), Some("-0.01")),
            (Fen, number("155.07"), None),
            (Fen, number("155e2"), None),
            (Fen, text("+1"), None),
            (Fen, number("1000000000000"), None),
            (Fen, number("99999999999999999999999"), None),
            (Fen, Leaf::Flag(true), None),
            (Yuan, Leaf::Null, None),
        ] {
            let read = forms(form, "%Y-%m-%d", "rfc3339").read_amount(&leaf).map(|amount| amount.to_string());
            assert_eq!(read.as_deref(), amount, "{form:?} {leaf:?}");
        }
    }

    #[test]
    fn days_and_instants_are_written_and_read_alike() {
        let at: Timestamp = "2020-07-02T18:15:05Z".parse().unwrap();
        for (form, written) in [
            ("rfc3339", "2020-07-02T18:15:05Z"),
            ("unix_s", "1593713705"),
            ("unix_ms", "1593713705000"),
            ("%Y%m%d%H%M%S", "20200703021505"),
            ("%Y-%m-%d %H:%M:%S", "2020-07-03 02:15:05"),
            ("%Y年%m月%d日%H时%M分%S秒", "2020年07月03日02时15分05秒"),
        ] {
            let forms = forms(AmountForm::Yuan, "%Y%m%d", form);
            assert_eq!(forms.instant.written(at), written);
            assert_eq!(forms.read_instant(&text(written)), Some(at), "{form}");
            assert_eq!(forms.read_instant(&text("soon")), None, "{form}");
        }
        let forms = forms(AmountForm::Yuan, "%Y%m%d", "%Y%m%d");
        assert_eq!(forms.date.day(jiff::civil::date(2020, 7, 2)), "20200702");
        assert_eq!(forms.read_day(&text("20200230")), None);
        assert_eq!(forms.read_instant(&text("20200703")), Some("2020-07-02T16:00:00Z".parse().unwrap()));
    }

    #[test]
    fn patterns_that_lose_a_part_of_the_day_are_refused() {
        for (pattern, has_time) in
            [("%Y%m", false), ("%Y%m%d%H", false), ("%Y%m%d%Z", true), ("%y%m%d", true), ("%Y%m%d%", true)]
        {
            assert!(Pattern::read(pattern, has_time).is_err(), "{pattern}");
        }
        for form in ["", "iso", "unix"] {
            assert!(InstantForm::read(form).is_err(), "{form}");
        }
    }

    #[test]
    fn codes_go_both_ways_where_one_stands_for_one() {
        let table = [("male", "1"), ("female", "2"), ("other", "9"), ("unknown", "9"), ("*", "0")];
        let table = table.map(|(ours, theirs)| (ours.to_owned(), theirs.to_owned()));
        let codes = Codes::from([("sex".to_owned(), BTreeMap::from(table))]);
        assert_eq!(theirs(&codes, "sex", "female"), Some("2"));
        assert_eq!(theirs(&codes, "sex", "x"), Some("0"));
        assert_eq!(theirs(&codes, "other", "x"), None);
        assert_eq!(ours(&codes, "sex", "2"), Some("female"));
        assert_eq!(ours(&codes, "sex", "9"), None, "two stand for it");
        assert_eq!(ours(&codes, "sex", "0"), None, "the rest is none");
    }
}
