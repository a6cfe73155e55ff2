//! Every fen explained: the steps from a payer's base to the amount it pays.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::finding::Text;
use crate::money::{Exact, Money, Ratio};

/// Characters of a payer code.
pub const PAYER_CODE_CHARS_MAX: usize = 40;

/// A payer's code: `basic`, `critical_illness`, `medical_assistance`, `provider_waiver`,
/// `supplementary`, `disaster`, `accident`, or a local product the policy adds.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PayerCode(Arc<str>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is no payer code (1 to 40 of a-z, 0-9 and _)")]
pub struct PayerCodeError;

impl PayerCodeError {
    /// For the desk, in both languages.
    pub fn text(self) -> Text {
        Text::new("不是支付方代码（1 至 40 个 a-z、0-9 或 _）", self.to_string())
    }
}

impl PayerCode {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PayerCode {
    type Err = PayerCodeError;

    fn from_str(text: &str) -> Result<Self, PayerCodeError> {
        let known = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        if text.is_empty() || text.len() > PAYER_CODE_CHARS_MAX || !text.bytes().all(known) {
            return Err(PayerCodeError);
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for PayerCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for PayerCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for PayerCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for PayerCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|why| de::Error::custom(format_args!("{text:?} {why}")))
    }
}

/// In the order in which they are listed and applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepKind {
    Base,
    UpfrontShare,
    Deductible,
    Band,
    Target,
    StayCap,
    AnnualCap,
    Rounding,
    Remainder,
    MinShare,
}

/// One step, with the figures it used and the amount after it; the last `after` is what is paid.
///
/// Which figures a step carries: `base`: `items` where the base is made of items, `already` = bases of the
/// year before this stay where the payer's bands run over the year · `upfront_share`: `ratio` withheld ·
/// `deductible`: `amount`, and `already` as for `base` · `band`: `from` (absent: zero), `to` (absent: no
/// end), `part`, `ratio` as applied, `points` taken off it · `target`: `ratio`, `of` the in-scope total,
/// `already` covered of it, `amount` still open · `stay_cap`: `amount` · `annual_cap`: `amount`, `already`
/// paid this year · `remainder`: `amount` left · `min_share`: `amount` the patient keeps, `of` what was left.
///
/// With a bill's `amounts` and each payer's `base_kind` these figures are enough to recompute every `after`:
/// the base is the in-scope remainder (`scope`), the out-of-scope one, both (`patient`), or Σ ratio × amount
/// of `items`, at least 0 and at most both; `deductible` leaves the part of the base above it; the bands'
/// `after` adds up part × ratio; the rest are minima.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    pub what: StepKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Exact>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub already: Option<Exact>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<Exact>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Exact>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Exact>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<Exact>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ratio: Option<Ratio>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub points: Option<Ratio>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<StepItem>,
    pub after: Exact,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clause: Option<Arc<str>>,
}

/// One category of an `items` base: its lines' signed sum, and the ratio of it that counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepItem {
    pub category: Arc<str>,
    pub amount: Money,
    pub ratio: Ratio,
}

impl Step {
    pub fn new(what: StepKind, after: Exact) -> Self {
        Self {
            what,
            amount: None,
            already: None,
            of: None,
            from: None,
            to: None,
            part: None,
            ratio: None,
            points: None,
            items: Vec::new(),
            after,
            clause: None,
        }
    }
}

/// Why a payer pays 0.00: the first that applies, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    NotEntitled,
    CoverNotInForce,
    CauseNotCovered,
    ThirdPartyLiable,
    NothingLeft,
    BelowDeductible,
    TargetReached,
    CapReached,
    MinShare,
}

impl Reason {
    /// In words, Chinese and English.
    pub fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::NotEntitled => ("不属于保障对象", "Not entitled"),
            Self::CoverNotInForce => ("保险不在有效期", "Cover not in force"),
            Self::CauseNotCovered => ("就诊原因不在保障范围", "Cause not covered"),
            Self::ThirdPartyLiable => ("应由第三方承担", "A third party is liable"),
            Self::NothingLeft => ("已无可支付余额", "Nothing left to pay"),
            Self::BelowDeductible => ("未达到起付线", "Below the deductible"),
            Self::TargetReached => ("已达到保障目标", "Target already reached"),
            Self::CapReached => ("已达到封顶线", "Cap reached"),
            Self::MinShare => ("须保留个人最低自付", "The patient keeps a minimum share"),
        }
    }
}

/// Where a payer's part of a settlement stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PayerState {
    SettledElsewhere,
    Quoted,
    Committing,
    Committed,
    Unknown,
    Deferred,
    Refused,
    Reversing,
    Reversed,
    NotApplicable,
}

impl PayerState {
    /// In words, Chinese and English.
    pub fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::SettledElsewhere => ("已另行结算", "Settled elsewhere"),
            Self::Quoted => ("已试算", "Quoted"),
            Self::Committing => ("正在支付", "Committing"),
            Self::Committed => ("已支付", "Paid"),
            Self::Unknown => ("待支付方确认", "Being confirmed"),
            Self::Deferred => ("延后支付", "Deferred"),
            Self::Refused => ("支付方拒绝", "Refused"),
            Self::Reversing => ("正在撤销", "Reversing"),
            Self::Reversed => ("已撤销", "Reversed"),
            Self::NotApplicable => ("不支付", "Does not pay"),
        }
    }
}
