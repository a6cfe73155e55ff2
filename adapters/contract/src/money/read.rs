//! Reading a number, and what all numbers have on every wire.

use rust_decimal::Decimal;

use crate::finding::Text;

/// Digits of the longest number that is read at all.
const NUMBER_CHARS_MAX: usize = 32;

/// Why a number could not be read, or could not be computed exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NumberError {
    #[error("is not a plain decimal number (digits, one optional sign, one optional point)")]
    NotANumber,
    #[error("has more than {0} decimals")]
    TooManyDecimals(u32),
    #[error("is larger than 9,999,999,999.99")]
    TooLarge,
    #[error("must not be negative")]
    Negative,
    #[error("must be between 0 and 1")]
    NotARatio,
    #[error("cannot be computed exactly within 28 digits")]
    Overflow,
}

impl NumberError {
    /// For the desk, in both languages.
    pub fn text(self) -> Text {
        let zh = match self {
            Self::NotANumber => "不是普通十进制数字（只含数字，可有一个正负号和一个小数点）".to_owned(),
            Self::TooManyDecimals(most) => format!("小数位超过 {most} 位"),
            Self::TooLarge => "超过 9,999,999,999.99".to_owned(),
            Self::Negative => "不得为负数".to_owned(),
            Self::NotARatio => "须在 0 与 1 之间".to_owned(),
            Self::Overflow => "无法精确计算".to_owned(),
        };
        Text::new(zh, self.to_string())
    }
}

/// Reads sign, digits and point; no exponent, no thousands mark, no blank.
pub(super) fn parse_decimal(text: &str, decimals_max: u32) -> Result<Decimal, NumberError> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let plain = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !plain(whole) || !plain(fraction) {
        return Err(NumberError::NotANumber);
    }
    let fraction = fraction.trim_end_matches('0');
    if fraction.len() > decimals_max as usize {
        return Err(NumberError::TooManyDecimals(decimals_max));
    }
    let whole = whole.trim_start_matches('0');
    if whole.len() + fraction.len() > NUMBER_CHARS_MAX - 4 {
        return Err(NumberError::TooLarge);
    }
    let mut mantissa: i128 = 0;
    for digit in whole.bytes().chain(fraction.bytes()) {
        mantissa = mantissa * 10 + i128::from(digit - b'0');
    }
    if text.starts_with('-') {
        mantissa = -mantissa;
    }
    Decimal::try_from_i128_with_scale(mantissa, fraction.len() as u32).map_err(|_| NumberError::TooLarge)
}

/// A number is text on every wire: JSON numbers lose decimals in many readers.
macro_rules! as_text {
    ($type:ident, $written:expr) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(&$written(self))
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;
                impl serde::de::Visitor<'_> for Text {
                    type Value = $type;
                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("a decimal number written as text, such as \"12.50\"")
                    }
                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$type, E> {
                        text.parse().map_err(|why| E::custom(format_args!("{text:?} {why}")))
                    }
                }
                deserializer.deserialize_str(Text)
            }
        }
    };
}

pub(super) use as_text;
