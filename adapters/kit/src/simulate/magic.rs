//! Identity card numbers that decide how a simulated payer behaves, so that an outcome can be had for the asking. They
//! are valid (GB 11643) and nobody's: no region has the codes 9999xx.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};
use yizhan_contract::{IdNumber, Money, Text};

/// How a simulated payer behaves towards one person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Magic {
    Covered,
    TimesOut,
    Slow,
    Twice,
    RefusesQuote,
    RefusesCommit,
    WrongSum,
    LosesStatus,
    OneFenLeft,
    Capped,
    NotCovered,
    UnknownPerson,
    ReversalTimesOut,
}

impl Magic {
    /// In the order of their numbers, 999900 first.
    pub const ALL: [Self; 13] = [
        Self::Covered,
        Self::TimesOut,
        Self::Slow,
        Self::Twice,
        Self::RefusesQuote,
        Self::RefusesCommit,
        Self::WrongSum,
        Self::LosesStatus,
        Self::OneFenLeft,
        Self::Capped,
        Self::NotCovered,
        Self::UnknownPerson,
        Self::ReversalTimesOut,
    ];

    /// Which one a number stands for, if any.
    pub fn of(number: &IdNumber) -> Option<Self> {
        NUMBERS.iter().find(|(known, _)| known == number).map(|(_, magic)| *magic)
    }

    pub fn number(self) -> &'static IdNumber {
        // In the order of `ALL`, which is that of their declaration.
        &NUMBERS[self as usize].0
    }

    /// What the payer then does, for `--help` and the handbook.
    pub fn text(self) -> Text {
        let (zh, en) = match self {
            Self::Covered => ("正常参保，一切正常", "covered, and everything goes well"),
            Self::TimesOut => (
                "支付已入账，但首次应答不返回（超时）",
                "the commit is booked and its first answer never comes",
            ),
            Self::Slow => ("试算与支付均延迟 3 秒应答", "quotes and commits are answered after 3 seconds"),
            Self::Twice => ("当日账中同一业务出现两行", "the day's book has its commit twice"),
            Self::RefusesQuote => ("试算即被拒绝", "the quote is refused"),
            Self::RefusesCommit => ("试算正常，支付被拒绝", "the quote is given and its commit refused"),
            Self::WrongSum => (
                "支付应答比入账金额多 0.01；status 所答为实",
                "the commit is answered with 0.01 more than was booked; status tells the truth",
            ),
            Self::LosesStatus => (
                "支付无应答，且前三次 status 均暂不可用",
                "the commit is not answered, and status is unavailable three times",
            ),
            Self::OneFenLeft => ("年度限额仅余 0.01", "0.01 is left of the year's cap"),
            Self::Capped => ("年度限额为 1000.00", "the year's cap is 1000.00"),
            Self::NotCovered => ("当日不在保", "not covered"),
            Self::UnknownPerson => ("查无此人", "nobody knows the person"),
            Self::ReversalTimesOut => (
                "冲正已入账，但首次应答不返回（超时）",
                "the reversal is booked and its first answer never comes",
            ),
        };
        Text::new(zh, en)
    }

    /// What a payer pays this person in a year, whatever the policy says.
    pub fn annual_cap(self) -> Option<Money> {
        match self {
            Self::OneFenLeft => Some(Money::FEN),
            Self::Capped => Some(Money::from_fen(100_000)),
            _ => None,
        }
    }
}

static NUMBERS: LazyLock<Vec<(IdNumber, Magic)>> = LazyLock::new(|| {
    let number = |place: usize| {
        let digits = format!("9999{place:02}19560101001");
        // One of eleven fits.
        "0123456789X".chars().find_map(|check| format!("{digits}{check}").parse().ok())
    };
    let numbered = |(place, magic): (usize, &Magic)| number(place).map(|number| (number, *magic));
    Magic::ALL.iter().enumerate().filter_map(numbered).collect()
});

/// Every number with what it does, for `--help`.
pub fn listed() -> &'static [(IdNumber, Magic)] {
    &NUMBERS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_behaviour_has_a_number_of_its_own_and_nobodys() {
        assert_eq!(listed().len(), Magic::ALL.len());
        for (place, magic) in Magic::ALL.into_iter().enumerate() {
            let number = magic.number();
            assert_eq!((Magic::of(number), number.region()), (Some(magic), &*format!("9999{place:02}")));
        }
        assert_eq!(Magic::of(&"11010519491231002X".parse().unwrap()), None);
    }
}
