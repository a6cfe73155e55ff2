//! Amounts, ratios and quantities, all exact.
//!
//! [`Money::round`] is the only place in the project where an amount is rounded.

mod exact;
mod figures;
mod read;

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Neg, Sub, SubAssign};
use std::str::FromStr;

use rust_decimal::{Decimal, RoundingStrategy};

pub use exact::Exact;
pub use figures::{Quantity, Ratio, UnitPrice};
pub use read::NumberError;
use read::{as_text, parse_decimal};

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

/// An amount in yuan, exact to the fen (`numeric(16,2)` on the 医保 interface), currency CNY.
///
/// Sums of amounts cannot overflow: the type holds 10^16 times the largest single amount.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Money(Decimal);

impl Money {
    pub const ZERO: Self = Self(Decimal::from_parts(0, 0, 0, false, MONEY_DECIMALS));
    /// 0.01 yuan.
    pub const FEN: Self = Self(Decimal::from_parts(1, 0, 0, false, MONEY_DECIMALS));

    /// The only rounding of the project: half away from zero, to the fen.
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
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

    #[expect(clippy::disallowed_methods, reason = "what was parsed has no more decimals than that")]
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

/// Sign, point and the digits of the largest decimal there is, with zeros before and behind its point.
const DECIMAL_CHARS_MAX: usize = 64;

/// Writes a value whose scale is `decimals`, padded as `f` asks. Bills and requests are full of amounts: the digits are
/// put down one by one and handed over at once.
fn write_decimal(f: &mut fmt::Formatter<'_>, value: Decimal, decimals: u32) -> fmt::Result {
    let (mut text, mut from) = ([0; DECIMAL_CHARS_MAX], DECIMAL_CHARS_MAX);
    let point = DECIMAL_CHARS_MAX - decimals as usize - 1;
    let mut rest = value.mantissa().unsigned_abs();
    while rest > 0 || from >= point {
        from -= 1;
        if from == point {
            text[from] = b'.';
            continue;
        }
        // What fits one machine word is divided many times faster.
        let digit = match u64::try_from(rest) {
            Ok(small) => {
                rest = u128::from(small / 10);
                (small % 10) as u8
            }
            Err(_) => {
                let digit = (rest % 10) as u8;
                rest /= 10;
                digit
            }
        };
        text[from] = b'0' + digit;
    }
    if value.is_sign_negative() && !value.is_zero() {
        from -= 1;
        text[from] = b'-';
    }
    let text = std::str::from_utf8(&text[from..]).unwrap_or_default();
    if f.width().is_none() { f.write_str(text) } else { f.pad(text) }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_decimal(f, self.0, MONEY_DECIMALS)
    }
}

impl fmt::Debug for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

as_text!(Money, |amount: &Money| *amount);

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
    fn every_digit_is_written_once() {
        for written in [
            "0.00",
            "0.01",
            "0.10",
            "9.99",
            "10.00",
            "-0.01",
            "-10.50",
            "9999999999.99",
            "0.00000000000001",
            "99999999999999.99999999999999",
            "-79228162514264.33759354395",
            "18446744073709551615.01",
        ] {
            assert_eq!(written.parse::<Exact>().unwrap().to_string(), written);
        }
        assert_eq!(
            format!("[{:>9}|{:<8}|{:^8}]", money("-1.5"), money("0.07"), money("12")),
            "[    -1.50|0.07    | 12.00  ]"
        );
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
