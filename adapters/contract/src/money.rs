//! Amounts, ratios and quantities, all exact.
//!
//! [`Money::round`] is the only place in the project where an amount is rounded.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Neg, Sub, SubAssign};
use std::str::FromStr;

use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Decimals of an amount: the fen.
pub const MONEY_DECIMALS: u32 = 2;
/// Decimals of a ratio (`numeric(5,4)` on the 医保 interface).
pub const RATIO_DECIMALS_MAX: u32 = 4;
/// Decimals of a quantity on a charge line.
pub const QUANTITY_DECIMALS_MAX: u32 = 4;
/// Decimals of a unit price or of a price ceiling.
pub const UNIT_PRICE_DECIMALS_MAX: u32 = 6;
/// Decimals kept of an accumulated base.
pub const BASE_DECIMALS_MAX: u32 = 10;
/// Decimals an intermediate value can reach: such a base times a ratio. Steps are read back whole.
pub const EXACT_DECIMALS_MAX: u32 = BASE_DECIMALS_MAX + RATIO_DECIMALS_MAX;
/// Largest amount, either sign, in fen: 9,999,999,999.99 yuan.
pub const MONEY_FEN_MAX: i64 = 999_999_999_999;
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

/// Reads sign, digits and point; no exponent, no thousands mark, no blank.
fn parse_decimal(text: &str, decimals_max: u32) -> Result<Decimal, NumberError> {
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

/// An amount in yuan, exact to the fen (`numeric(16,2)` on the 医保 interface), currency CNY.
///
/// Sums of amounts cannot overflow: the type holds 10^24 times the largest single amount.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Money(Decimal);

impl Money {
    pub const ZERO: Self = Self(Decimal::from_parts(0, 0, 0, false, MONEY_DECIMALS));
    /// 0.01 yuan.
    pub const FEN: Self = Self(Decimal::from_parts(1, 0, 0, false, MONEY_DECIMALS));

    /// The only rounding of the project: half away from zero, to the fen.
    pub fn round(exact: Exact) -> Self {
        let mut rounded =
            exact.0.round_dp_with_strategy(MONEY_DECIMALS, RoundingStrategy::MidpointAwayFromZero);
        rounded.rescale(MONEY_DECIMALS);
        Self(rounded)
    }

    pub fn from_fen(fen: i64) -> Self {
        Self(Decimal::new(fen, MONEY_DECIMALS))
    }

    /// The amount in fen; saturates at the ends of `i64`, which no checked amount reaches.
    pub fn fen(self) -> i64 {
        let mantissa = self.0.mantissa();
        i64::try_from(mantissa).unwrap_or(if mantissa < 0 { i64::MIN } else { i64::MAX })
    }

    pub fn exact(self) -> Exact {
        Exact(self.0)
    }

    pub fn is_zero(self) -> bool {
        self.0.is_zero()
    }

    pub fn is_negative(self) -> bool {
        self < Self::ZERO
    }

    pub fn is_positive(self) -> bool {
        self > Self::ZERO
    }

    #[must_use]
    pub fn abs(self) -> Self {
        Self(self.0.abs())
    }

    /// `self`, or 0.00 where `self` is negative.
    #[must_use]
    pub fn or_zero(self) -> Self {
        self.max(Self::ZERO)
    }

    /// Refuses an amount beyond 9,999,999,999.99 either way.
    pub fn within_limit(self) -> Result<Self, NumberError> {
        if self.0.mantissa().unsigned_abs() > MONEY_FEN_MAX.unsigned_abs().into() {
            return Err(NumberError::TooLarge);
        }
        Ok(self)
    }
}

impl FromStr for Money {
    type Err = NumberError;

    fn from_str(text: &str) -> Result<Self, NumberError> {
        let mut value = parse_decimal(text, MONEY_DECIMALS)?;
        value.rescale(MONEY_DECIMALS);
        Self(value).within_limit()
    }
}

impl Add for Money {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl Sub for Money {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl Neg for Money {
    type Output = Self;
    fn neg(self) -> Self {
        Self::ZERO - self
    }
}

impl AddAssign for Money {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl SubAssign for Money {
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}

impl Sum for Money {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:.2}", self.0))
    }
}

impl fmt::Debug for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2}", self.0)
    }
}

/// An intermediate value: exact, never rounded, every operation checked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Exact(Decimal);

impl Exact {
    pub const ZERO: Self = Self(Decimal::ZERO);

    /// The sum; refused where the 28 digits of a decimal would not hold all of it.
    pub fn plus(self, other: Self) -> Result<Self, NumberError> {
        // A decimal keeps the sign and the scale of a zero: neither may show in a sum.
        if other.is_zero() {
            return Ok(if self.is_zero() { Self::ZERO } else { self });
        }
        if self.is_zero() {
            return Ok(other);
        }
        let sum = self.0.checked_add(other.0).ok_or(NumberError::Overflow)?;
        if sum.is_zero() {
            return Ok(Self::ZERO);
        }
        // Digits were lost exactly where the sum has fewer decimals than both parts need.
        let is_exact = |a: Decimal, b: Decimal| sum.scale() >= a.scale().max(b.scale());
        exact_if(is_exact(self.0, other.0) || is_exact(self.0.normalize(), other.0.normalize()), sum)
    }

    /// The difference; refused as in [`Exact::plus`].
    pub fn minus(self, other: Self) -> Result<Self, NumberError> {
        self.plus(Self(-other.0))
    }

    /// The product; refused where the 28 digits of a decimal would not hold all of it.
    pub fn times(self, factor: impl Into<Self>) -> Result<Self, NumberError> {
        let (a, b) = (self.0.normalize(), factor.into().0.normalize());
        if a.is_zero() || b.is_zero() {
            return Ok(Self::ZERO);
        }
        let product = a.checked_mul(b).ok_or(NumberError::Overflow)?;
        exact_if(product.scale() >= a.scale() + b.scale(), product)
    }

    #[must_use]
    pub fn or_zero(self) -> Self {
        self.max(Self::ZERO)
    }

    #[must_use]
    pub fn abs(self) -> Self {
        Self(self.0.abs())
    }

    #[must_use]
    pub fn negated(self) -> Self {
        Self(-self.0)
    }

    pub fn is_zero(self) -> bool {
        self.0.is_zero()
    }

    pub fn is_negative(self) -> bool {
        self < Self::ZERO
    }

    pub fn round(self) -> Money {
        Money::round(self)
    }

    /// Decimals needed to write the value out in full.
    pub fn decimals(self) -> u32 {
        self.0.normalize().scale()
    }

    /// `self / whole`, four decimals, half away from zero; a share for people to read, never an amount.
    pub fn share_of(self, whole: Self) -> Option<Ratio> {
        let share = self.0.checked_div(whole.0)?;
        let mut share =
            share.round_dp_with_strategy(RATIO_DECIMALS_MAX, RoundingStrategy::MidpointAwayFromZero);
        share.rescale(RATIO_DECIMALS_MAX);
        Some(Ratio(share))
    }
}

fn exact_if(is_exact: bool, value: Decimal) -> Result<Exact, NumberError> {
    if is_exact { Ok(Exact(value)) } else { Err(NumberError::Overflow) }
}

impl FromStr for Exact {
    type Err = NumberError;

    fn from_str(text: &str) -> Result<Self, NumberError> {
        parse_decimal(text, EXACT_DECIMALS_MAX).map(Self)
    }
}

impl From<Money> for Exact {
    fn from(amount: Money) -> Self {
        amount.exact()
    }
}

impl From<Ratio> for Exact {
    fn from(ratio: Ratio) -> Self {
        Self(ratio.0)
    }
}

impl From<Quantity> for Exact {
    fn from(quantity: Quantity) -> Self {
        Self(quantity.0)
    }
}

impl From<UnitPrice> for Exact {
    fn from(price: UnitPrice) -> Self {
        Self(price.0)
    }
}

impl fmt::Display for Exact {
    /// At least two decimals, no trailing zeros beyond them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = self.decimals().max(MONEY_DECIMALS) as usize;
        f.pad(&format!("{:.*}", decimals, self.0))
    }
}

impl fmt::Debug for Exact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A share between 0 and 1 with at most four decimals.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Ratio(Decimal);

impl Ratio {
    pub const ZERO: Self = Self(Decimal::ZERO);
    pub const ONE: Self = Self(Decimal::ONE);

    pub fn is_zero(self) -> bool {
        self.0.is_zero()
    }

    /// `1 - self`.
    #[must_use]
    pub fn complement(self) -> Self {
        Self(Decimal::ONE - self.0)
    }

    /// `self` less `points`, not below 0.
    #[must_use]
    pub fn less_points(self, points: Self) -> Self {
        Self((self.0 - points.0).max(Decimal::ZERO))
    }

    /// `self` and `points` more, not above 1.
    #[must_use]
    pub fn plus_points(self, points: Self) -> Self {
        Self((self.0 + points.0).min(Decimal::ONE))
    }
}

impl FromStr for Ratio {
    type Err = NumberError;

    fn from_str(text: &str) -> Result<Self, NumberError> {
        let value = parse_decimal(text, RATIO_DECIMALS_MAX)?;
        if value.is_sign_negative() && !value.is_zero() || value > Decimal::ONE {
            return Err(NumberError::NotARatio);
        }
        Ok(Self(value))
    }
}

/// How many of an item a line charges; negative on a credit. At most four decimals.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Quantity(Decimal);

impl Quantity {
    pub const ONE: Self = Self(Decimal::ONE);

    pub fn is_zero(self) -> bool {
        self.0.is_zero()
    }

    pub fn is_negative(self) -> bool {
        self.0 < Decimal::ZERO
    }

    #[must_use]
    pub fn abs(self) -> Self {
        Self(self.0.abs())
    }

    #[must_use]
    pub fn negated(self) -> Self {
        Self(-self.0)
    }
}

impl Default for Quantity {
    fn default() -> Self {
        Self::ONE
    }
}

impl FromStr for Quantity {
    type Err = NumberError;

    fn from_str(text: &str) -> Result<Self, NumberError> {
        let value = parse_decimal(text, QUANTITY_DECIMALS_MAX)?;
        if value.abs() > Decimal::new(MONEY_FEN_MAX, MONEY_DECIMALS) {
            return Err(NumberError::TooLarge);
        }
        Ok(Self(value))
    }
}

/// Yuan for one unit, or the most a fund accepts for one; at most six decimals, never negative.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct UnitPrice(Decimal);

impl FromStr for UnitPrice {
    type Err = NumberError;

    fn from_str(text: &str) -> Result<Self, NumberError> {
        let value = parse_decimal(text, UNIT_PRICE_DECIMALS_MAX)?;
        if value < Decimal::ZERO {
            return Err(NumberError::Negative);
        }
        if value > Decimal::new(MONEY_FEN_MAX, MONEY_DECIMALS) {
            return Err(NumberError::TooLarge);
        }
        Ok(Self(value))
    }
}

/// A number is text on every wire: JSON numbers lose decimals in many readers.
macro_rules! as_text {
    ($type:ident, $written:expr) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(&$written(self))
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;
                impl de::Visitor<'_> for Text {
                    type Value = $type;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("a decimal number written as text, such as \"12.50\"")
                    }
                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$type, E> {
                        text.parse().map_err(|why| E::custom(format_args!("{text:?} {why}")))
                    }
                }
                deserializer.deserialize_str(Text)
            }
        }
    };
}

as_text!(Money, |amount: &Money| *amount);
as_text!(Exact, |value: &Exact| *value);
as_text!(Ratio, |ratio: &Ratio| *ratio);
as_text!(Quantity, |quantity: &Quantity| *quantity);
as_text!(UnitPrice, |price: &UnitPrice| *price);

macro_rules! as_written {
    ($type:ident) => {
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0.normalize(), f)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

as_written!(Quantity);
as_written!(UnitPrice);

impl fmt::Display for Ratio {
    /// As the policy wrote it, without trailing zeros; `{:.4}` gives four decimals.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match f.precision() {
            Some(_) => fmt::Display::fmt(&self.0, f),
            None => fmt::Display::fmt(&self.0.normalize(), f),
        }
    }
}

impl fmt::Debug for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn money(text: &str) -> Money {
        text.parse().unwrap()
    }

    #[test]
    fn amounts_are_read_exactly_or_refused() {
        for (text, expected) in [
            ("12.5", Ok("12.50")),
            ("+0012.500", Ok("12.50")),
            ("-0.01", Ok("-0.01")),
            (".5", Ok("0.50")),
            ("9999999999.99", Ok("9999999999.99")),
            ("10000000000.00", Err(NumberError::TooLarge)),
            ("0.005", Err(NumberError::TooManyDecimals(2))),
            ("", Err(NumberError::NotANumber)),
            (".", Err(NumberError::NotANumber)),
            ("-", Err(NumberError::NotANumber)),
            ("1e3", Err(NumberError::NotANumber)),
            ("1,000.00", Err(NumberError::NotANumber)),
            (" 1", Err(NumberError::NotANumber)),
            ("١", Err(NumberError::NotANumber)),
            ("99999999999999999999999999999999999999999", Err(NumberError::TooLarge)),
        ] {
            let read = text.parse::<Money>().map(|amount| amount.to_string());
            assert_eq!(read.as_deref(), expected.as_deref(), "{text:?}");
        }
    }

    #[test]
    fn half_a_fen_rounds_away_from_zero() {
        for (exact, rounded) in [
            ("18.137", "18.14"),
            ("155.0685", "155.07"),
            ("0.005", "0.01"),
            ("-0.005", "-0.01"),
            ("0.0049", "0.00"),
        ] {
            assert_eq!(exact.parse::<Exact>().unwrap().round().to_string(), rounded, "{exact}");
        }
    }

    #[test]
    fn a_product_that_would_lose_a_digit_is_refused() {
        let long: Exact = "9999999999.9999999999".parse().unwrap();
        assert_eq!(long.times(long), Err(NumberError::Overflow));
        let ratio: Ratio = "0.0001".parse().unwrap();
        assert_eq!(long.times(ratio).unwrap().to_string(), "999999.99999999999999");
    }

    #[test]
    fn a_zero_leaves_no_trace_in_a_sum() {
        let exact = |text: &str| text.parse::<Exact>().unwrap();
        let long_zero = exact("0.5000").minus(exact("0.5")).unwrap();
        for sum in [
            long_zero.plus(exact("1.5")),
            exact("1.5").minus(long_zero),
            exact("1.5").times(exact("0.0001")).and_then(|small| exact("1.5").plus(small.minus(small)?)),
        ] {
            assert_eq!(sum.unwrap().to_string(), "1.50");
        }
        for zero in [
            Exact::ZERO.minus(Exact::ZERO),
            Exact::ZERO.times(exact("-3")),
            Money::ZERO.exact().minus(Money::ZERO.exact()),
            exact("-0.00").plus(exact("-0")),
        ] {
            assert_eq!(zero.unwrap().to_string(), "0.00");
        }
        let credit = money("-1.50");
        for zero in
            [-Money::ZERO, -money("-0.00"), Money::ZERO - Money::ZERO, credit - credit, credit + money("1.5")]
        {
            assert_eq!(zero.to_string(), "0.00");
        }
        assert_eq!("-0.001".parse::<Exact>().unwrap().round().to_string(), "0.00");
        assert_eq!(money("-0").to_string(), "0.00");
    }

    #[test]
    fn numbers_survive_json_as_text() {
        let amount = money("-18.1");
        assert_eq!(serde_json::to_string(&amount).unwrap(), "\"-18.10\"");
        assert_eq!(serde_json::from_str::<Money>("\"-18.10\"").unwrap(), amount);
        let refused = serde_json::from_str::<Money>("18.10").unwrap_err().to_string();
        assert!(refused.contains("written as text"), "{refused}");
    }

    #[test]
    fn shares_have_four_decimals() {
        let share = money("10268").exact().share_of(money("11000").exact()).unwrap();
        assert_eq!(format!("{share:.4}"), "0.9335");
        assert_eq!(money("1").exact().share_of(Exact::ZERO), None);
    }
}
