//! What amounts are made with: ratios, quantities, unit prices.

use std::fmt;
use std::str::FromStr;

use rust_decimal::Decimal;

use super::read::{NumberError, as_text, parse_decimal};
use super::{
    MONEY_DECIMALS, MONEY_FEN_MAX, QUANTITY_DECIMALS_MAX, RATIO_DECIMALS_MAX, UNIT_PRICE_DECIMALS_MAX,
};

/// A share between 0 and 1 with at most four decimals.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Ratio(pub(super) Decimal);

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
pub struct Quantity(pub(super) Decimal);

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
pub struct UnitPrice(pub(super) Decimal);

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
