//! Who the patient is. Personal data cannot be printed by accident: see [`Personal`].

use std::cell::Cell;
use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::finding::Text;

thread_local! {
    static REVEALING: Cell<bool> = const { Cell::new(false) };
}

/// Runs `write` with personal data serialised in clear, for documents that are sealed or sent to the
/// one payer that needs them. Everywhere else [`Personal`] serialises masked.
pub fn revealing<R>(write: impl FnOnce() -> R) -> R {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            REVEALING.set(self.0);
        }
    }
    let _restore = Restore(REVEALING.replace(true));
    write()
}

/// How a personal value looks to those who need not know it.
pub trait Masked {
    fn masked(&self) -> String;
}

/// Personal data: `Debug`, `Display` and `Serialize` show it masked; [`Personal::reveal`] says at the
/// place of use that the value itself is wanted.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Deserialize)]
#[serde(transparent)]
pub struct Personal<T>(T);

impl<T> Personal<T> {
    pub fn new(value: T) -> Self {
        Self(value)
    }

    pub fn reveal(&self) -> &T {
        &self.0
    }
}

impl<T: Masked> fmt::Debug for Personal<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.masked())
    }
}

impl<T: Masked> fmt::Display for Personal<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.masked())
    }
}

impl<T: Masked + Serialize> Serialize for Personal<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if REVEALING.get() {
            self.0.serialize(serializer)
        } else {
            serializer.serialize_str(&self.0.masked())
        }
    }
}

impl Masked for String {
    /// First character, then one `*` for each further one.
    fn masked(&self) -> String {
        let mut characters = self.chars();
        characters.next().into_iter().chain(characters.map(|_| '*')).collect()
    }
}

/// Something about a person's health, such as a diagnosis: masked, not even its first character shows.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Health(String);

impl Health {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Masked for Health {
    fn masked(&self) -> String {
        "***".to_owned()
    }
}

impl From<String> for Personal<Health> {
    fn from(text: String) -> Self {
        Self(Health(text))
    }
}

impl Masked for Date {
    fn masked(&self) -> String {
        "****-**-**".to_owned()
    }
}

/// A resident identity card number (公民身份号码, GB 11643-1999), 18 characters, check digit verified.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdNumber([u8; 18]);

/// Why a text is no identity card number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdNumberError {
    #[error("has neither 18 nor 15 characters of the form of GB 11643")]
    Shape,
    #[error("holds a birth date that does not exist")]
    Birth,
    /// Which one would be right is not kept: it helps only who guesses numbers.
    #[error("has a wrong check character")]
    Check,
}

impl IdNumberError {
    /// For the desk, in both languages.
    pub fn text(self) -> Text {
        match self {
            Self::Shape => Text::new(
                "身份证号须为 18 位或 15 位（GB 11643）",
                "an identity card number has 18 or 15 characters (GB 11643)",
            ),
            Self::Birth => Text::new(
                "身份证号中的出生日期不存在",
                "the birth date in the identity card number does not exist",
            ),
            Self::Check => Text::new(
                "身份证号校验位不符（GB 11643）",
                "the check character of the identity card number is wrong (GB 11643)",
            ),
        }
    }
}

/// GB 11643-1999 §4: weights of the first 17 digits (ISO 7064 MOD 11-2).
const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
const CHECK_CHARACTERS: &[u8; 11] = b"10X98765432";

fn check_character(digits: &[u8]) -> u8 {
    let sum: u32 = digits.iter().zip(WEIGHTS).map(|(digit, weight)| u32::from(digit - b'0') * weight).sum();
    CHECK_CHARACTERS[(sum % 11) as usize]
}

impl IdNumber {
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Whether a text has the form of an identity card number, right or wrong.
    pub fn looks_like(text: &str) -> bool {
        let bytes = text.as_bytes();
        match bytes.len() {
            15 => bytes.iter().all(u8::is_ascii_digit),
            18 => {
                bytes[..17].iter().all(u8::is_ascii_digit) && matches!(bytes[17], b'0'..=b'9' | b'X' | b'x')
            }
            _ => false,
        }
    }

    pub fn birth(&self) -> Option<Date> {
        let number = |range: std::ops::Range<usize>| self.as_str()[range].parse::<i16>().ok();
        Date::new(number(6..10)?, number(10..12)? as i8, number(12..14)? as i8).ok()
    }

    /// The third order digit: odd for men, even for women.
    pub fn is_male(&self) -> bool {
        (self.0[16] - b'0') % 2 == 1
    }

    /// The six digits of the region that issued the card.
    pub fn region(&self) -> &str {
        &self.as_str()[..6]
    }
}

impl FromStr for IdNumber {
    type Err = IdNumberError;

    /// Accepts 18 characters, a lower-case `x`, and the 15 digits of cards issued before 1999.
    fn from_str(text: &str) -> Result<Self, IdNumberError> {
        if !Self::looks_like(text) {
            return Err(IdNumberError::Shape);
        }
        let mut number = [0; 18];
        if text.len() == 15 {
            number[..6].copy_from_slice(&text.as_bytes()[..6]);
            number[6..8].copy_from_slice(b"19");
            number[8..17].copy_from_slice(&text.as_bytes()[6..]);
            number[17] = check_character(&number[..17]);
        } else {
            number.copy_from_slice(text.to_ascii_uppercase().as_bytes());
        }
        let card = Self(number);
        if card.birth().is_none() {
            return Err(IdNumberError::Birth);
        }
        if card.0[17] != check_character(&card.0[..17]) {
            return Err(IdNumberError::Check);
        }
        Ok(card)
    }
}

impl Masked for IdNumber {
    /// First four and last four characters.
    fn masked(&self) -> String {
        let number = self.as_str();
        format!("{}**********{}", &number[..4], &number[14..])
    }
}

impl Serialize for IdNumber {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for IdNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// One line of the roster: a category the person belongs to, or a cover they hold, with its period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entitlement {
    pub kind: EntitlementKind,
    /// A category such as `entitled_out_of_poverty`, or the payer code of a cover such as `supplementary`.
    pub code: String,
    /// First day.
    pub from: Date,
    /// Last day, itself included; absent: no end.
    pub to: Option<Date>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntitlementKind {
    Category,
    Cover,
}

impl Entitlement {
    pub fn holds_on(&self, day: Date) -> bool {
        self.from <= day && self.to.is_none_or(|last| day <= last)
    }
}

/// What the roster says of one person.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RosterEntry {
    /// 统筹区 the person is insured in, six digits.
    pub region: Option<String>,
    pub entitlements: Vec<Entitlement>,
}

impl RosterEntry {
    fn on(&self, kind: EntitlementKind, day: Date) -> impl Iterator<Item = &str> {
        let of_kind = self.entitlements.iter().filter(move |entitlement| entitlement.kind == kind);
        of_kind
            .filter(move |entitlement| entitlement.holds_on(day))
            .map(|entitlement| entitlement.code.as_str())
    }

    pub fn categories_on(&self, day: Date) -> impl Iterator<Item = &str> {
        self.on(EntitlementKind::Category, day)
    }

    pub fn covers_on(&self, day: Date) -> impl Iterator<Item = &str> {
        self.on(EntitlementKind::Cover, day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn card_numbers_are_checked_and_old_ones_upgraded() {
        let read = |text: &str| text.parse::<IdNumber>().map(|card| card.as_str().to_owned());
        for (text, expected) in [
            ("11010519491231002X", Ok("11010519491231002X")),
            ("11010519491231002x", Ok("11010519491231002X")),
            ("110105491231002", Ok("11010519491231002X")),
            ("110105194912310021", Err(IdNumberError::Check)),
            ("110105194913310028", Err(IdNumberError::Birth)),
            ("1101051949123100", Err(IdNumberError::Shape)),
            ("1101051949123100２X", Err(IdNumberError::Shape)),
            ("", Err(IdNumberError::Shape)),
        ] {
            assert_eq!(read(text), expected.map(str::to_owned), "{text:?}");
        }
    }

    #[test]
    fn personal_data_is_masked_unless_revealed() {
        let card = Personal::new("11010519491231002X".parse::<IdNumber>().unwrap());
        let name = Personal::new("王小明".to_owned());
        assert_eq!(format!("{card:?} {name}"), "1101**********002X 王**");
        assert_eq!(serde_json::to_string(&card).unwrap(), "\"1101**********002X\"");
        assert_eq!(revealing(|| serde_json::to_string(&name).unwrap()), "\"王小明\"");
        assert_eq!(serde_json::to_string(&name).unwrap(), "\"王**\"");
        assert!(card.reveal().birth().is_some() && !card.reveal().is_male());
    }

    #[test]
    fn periods_hold_their_first_and_last_day() {
        let entry = Entitlement {
            kind: EntitlementKind::Category,
            code: "immediate_assistance".to_owned(),
            from: "2020-05-01".parse().unwrap(),
            to: Some("2020-12-31".parse().unwrap()),
        };
        for (day, holds) in
            [("2020-04-30", false), ("2020-05-01", true), ("2020-12-31", true), ("2021-01-01", false)]
        {
            assert_eq!(entry.holds_on(day.parse().unwrap()), holds, "{day}");
        }
    }
}
