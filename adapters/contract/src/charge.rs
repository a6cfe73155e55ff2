//! What a charge line charges (SETTLEMENT §2): the one place that compares a stated amount with quantity ×
//! unit price and gives a credit its sign.

use crate::finding::Text;
use crate::money::{Exact, Money, NumberError, Quantity};
use crate::stay::Line;

/// Why a line charges no one amount; always the sender's side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChargeError {
    #[error("neither an amount nor a unit price is given")]
    NoAmount,
    /// By more than `0.01 · max(1, |quantity|)`.
    #[error("states {stated}, but quantity times unit price is {computed}")]
    AmountDiffers { stated: Money, computed: Exact },
    #[error(transparent)]
    Number(#[from] NumberError),
}

impl ChargeError {
    /// For the desk, in both languages.
    pub fn text(self) -> Text {
        let zh = match self {
            Self::NoAmount => "既无金额也无单价".to_owned(),
            Self::AmountDiffers { stated, computed } => {
                format!("金额 {stated} 元与数量乘单价 {computed} 元不符")
            }
            Self::Number(why) => return why.text(),
        };
        Text::new(zh, self.to_string())
    }
}

impl Line {
    /// The amount with its sign: as stated, else quantity × unit price to the fen; a credit (退费) is
    /// negative whatever sign it was sent with.
    pub fn signed_amount(&self) -> Result<Money, ChargeError> {
        let computed = self.unit_price.map(|price| Exact::from(self.quantity).times(price)).transpose()?;
        let amount = match (self.amount, computed) {
            (None, None) => return Err(ChargeError::NoAmount),
            (None, Some(computed)) => computed.round().within_limit()?,
            (Some(stated), None) => stated.within_limit()?,
            (Some(stated), Some(computed)) => self.compared(stated.within_limit()?, computed)?,
        };
        Ok(if self.credit { -amount.abs() } else { amount })
    }

    /// The stated amount, if it is near enough to what was computed.
    fn compared(&self, stated: Money, computed: Exact) -> Result<Money, ChargeError> {
        // A credit's sign stands on amount, quantity or neither; what is compared is its size.
        let is_credit = self.credit || stated.is_negative();
        let (size, of) =
            if is_credit { (stated.abs().exact(), computed.abs()) } else { (stated.exact(), computed) };
        let units = Exact::from(self.quantity.abs().max(Quantity::ONE));
        if units.times(Money::FEN)? < size.minus(of)?.abs() {
            return Err(ChargeError::AmountDiffers { stated, computed });
        }
        Ok(stated)
    }
}
