//! What lies between two amounts: exact, never rounded.

use std::fmt;
use std::str::FromStr;

use rust_decimal::{Decimal, RoundingStrategy};

use super::figures::{Quantity, Ratio, UnitPrice};
use super::read::{NumberError, as_text, parse_decimal};
use super::{EXACT_DECIMALS_MAX, MONEY_DECIMALS, Money, RATIO_DECIMALS_MAX};

/// An intermediate value: exact, never rounded, every operation checked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Exact(pub(super) Decimal);

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
    #[expect(clippy::disallowed_methods, reason = "for people to read, never an amount")]
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
    #[expect(clippy::disallowed_methods, reason = "the value has no more decimals than that")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = self.decimals().max(MONEY_DECIMALS);
        let mut value = self.0;
        value.rescale(decimals);
        super::write_decimal(f, value, decimals)
    }
}

impl fmt::Debug for Exact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

as_text!(Exact, |value: &Exact| *value);
