//! What an adapter is certified for, one level on top of the other.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use yizhan_contract::Text;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Level {
    L0,
    L1,
    L2,
    L3,
    L4,
    L5,
    L6,
    L7,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}：没有这个等级，可用 L0 至 L7 | {0}: there is no such level; there are L0 to L7")]
pub struct NoSuchLevel(String);

impl Level {
    pub const ALL: [Self; 8] =
        [Self::L0, Self::L1, Self::L2, Self::L3, Self::L4, Self::L5, Self::L6, Self::L7];

    pub fn text(self) -> Text {
        let (zh, en) = match self {
            Self::L0 => ("报文格式", "shape"),
            Self::L1 => ("基本功能", "function"),
            Self::L2 => ("恰好一次", "exactly once"),
            Self::L3 => ("同一人并发", "stress on one person"),
            Self::L4 => ("故障恢复", "resilience"),
            Self::L5 => ("安全", "security"),
            Self::L6 => ("速度", "speed"),
            Self::L7 => ("当日账", "statement"),
        };
        Text::new(zh, en)
    }

    /// This one and all below it.
    pub fn and_below(self) -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(move |level| *level <= self)
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl FromStr for Level {
    type Err = NoSuchLevel;

    fn from_str(text: &str) -> Result<Self, NoSuchLevel> {
        let named = |level: &Self| level.to_string().eq_ignore_ascii_case(text);
        Self::ALL.into_iter().find(named).ok_or_else(|| NoSuchLevel(text.to_owned()))
    }
}
