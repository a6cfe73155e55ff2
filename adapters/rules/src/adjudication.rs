//! What the chain answers with, and why it may refuse.

use std::sync::Arc;

use jiff::civil::Date;
use serde::{Deserialize, Serialize, Serializer};
use yizhan_contract::step::PayerState;
use yizhan_contract::{
    Buckets, Exact, Finding, Money, NumberError, PayerCode, Ratio, Reason, Step, Text, Used,
};

use crate::policy::{BaseKind, Policy};

/// One payer's line of the bill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayerLine {
    pub payer: PayerCode,
    pub name: Text,
    /// `quoted` where it pays, `not_applicable` at 0.00, `settled_elsewhere`, or as the host answered.
    pub state: PayerState,
    /// What the base was made of and the payment taken off; with it the steps can be recomputed.
    pub base_kind: BaseKind,
    /// The base b in yuan, after the share withheld out of area; 0.00 where a condition does not hold.
    pub base: Exact,
    pub paid: Money,
    #[serde(rename = "payer_reference")]
    pub reference: Option<Arc<str>>,
    /// Present where `paid` is 0.00, except where a payer of its own accord answered 0.00.
    pub reason: Option<Reason>,
    /// Empty where no formula ran: a condition does not hold, or the payer settled or answered itself.
    pub steps: Vec<Step>,
    pub clause: Arc<str>,
}

/// How much the payers carry, for people to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    /// Of the in-scope total; absent where that is 0.
    #[serde(serialize_with = "four_decimals_or_null")]
    pub in_scope: Option<Ratio>,
    /// Of the total.
    #[serde(serialize_with = "four_decimals")]
    pub total: Ratio,
}

fn four_decimals<S: Serializer>(share: &Ratio, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{share:.4}"))
}

fn four_decimals_or_null<S: Serializer>(share: &Option<Ratio>, serializer: S) -> Result<S::Ok, S::Error> {
    match share {
        Some(share) => four_decimals(share, serializer),
        None => serializer.serialize_none(),
    }
}

/// A person category with its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Category {
    pub code: Arc<str>,
    pub name: Text,
}

/// The outcome of one chain: `buckets.total = paid_by_payers + patient_share`, always.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adjudication {
    /// Label of the policy.
    pub policy: Arc<str>,
    #[serde(rename = "amounts")]
    pub buckets: Buckets,
    /// In the order of the chain.
    pub payers: Vec<PayerLine>,
    pub paid_by_payers: Money,
    pub patient_share: Money,
    pub in_scope_left: Money,
    pub out_of_scope_left: Money,
    pub coverage: Coverage,
    pub category: Category,
    /// The day that decided entitlement, category and cover.
    pub category_on: Date,
    /// Calendar year of the discharge.
    pub benefit_year: i16,
    pub admission_ordinal: u32,
    pub findings: Vec<Finding>,
    /// What the accumulators of the benefit year gain when this is settled; payers that gain nothing are
    /// left out. `base` moves for cumulative payers only.
    pub moves: Vec<(PayerCode, Used)>,
}

impl Adjudication {
    /// Refuses where the sender's binding patient share is not ours.
    ///
    /// # Errors
    /// [`AdjudicateError::StatedShare`] with both figures.
    pub fn agrees_with(&self, stated_share: Option<Money>) -> Result<(), AdjudicateError> {
        match stated_share {
            Some(stated) if stated != self.patient_share => {
                Err(AdjudicateError::StatedShare { stated, ours: self.patient_share })
            }
            _ => Ok(()),
        }
    }
}

/// Why a claim cannot be adjudicated. The sender's side unless said otherwise; trying again with the same
/// claim changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AdjudicateError {
    #[error("settled elsewhere: {payer} {why}")]
    Elsewhere { payer: PayerCode, why: ElsewhereError },
    #[error("the patient's share is stated as {stated}, and comes out as {ours}")]
    StatedShare { stated: Money, ours: Money },
    #[error("total {total} is not positive, or not the sum of its four parts {parts}, or a part is negative")]
    Buckets { total: Money, parts: Money },
    #[error("{payer}: an amount {why}")]
    Number { payer: PayerCode, why: NumberError },
    #[error("the number of admissions {0}")]
    Admissions(NumberError),
    /// The adapter's side: a breach of contract, the quote is refused.
    #[error("{payer} answered {amount}, and may pay between 0.00 and {pay_at_most}")]
    AnswerOutOfBounds { payer: PayerCode, amount: Money, pay_at_most: Money },
    /// The host's side: no payer was asked, or payers are still to come.
    #[error("the chain was answered or ended out of turn")]
    OutOfTurn,
    /// Ours: the parts do not make the whole. Never seen; checked because money depends on it.
    #[error("total {total} is not what payers pay, {paid}, and what is left, {left}")]
    Unbalanced { total: Money, paid: Money, left: Money },
}

impl AdjudicateError {
    /// The same for the desk, in both languages, payers by their names in the policy.
    pub fn text(&self, policy: &Policy) -> Text {
        let named = |payer: &PayerCode| {
            let name = policy.payer(payer).map(|rule| rule.name.clone());
            name.unwrap_or_else(|| Text::new(payer.as_str(), payer.as_str()))
        };
        let zh = match self {
            Self::Elsewhere { payer, why } => {
                let Text { zh, en } = named(payer);
                let zh = format!("已在别处结算的{zh}{}", why.zh());
                return Text::new(zh, format!("{en}, settled elsewhere, {why}"));
            }
            Self::Number { payer, why } => {
                let Text { zh, en } = named(payer);
                let zh = format!("{zh}的金额超出可精确计算的范围");
                return Text::new(zh, format!("{en}: an amount {why}"));
            }
            Self::AnswerOutOfBounds { payer, amount, pay_at_most } => {
                let Text { zh, en } = named(payer);
                return Text::new(
                    format!("{zh}答复支付 {amount} 元，超出 0.00 至 {pay_at_most} 元，不予采用"),
                    format!("{en} answered {amount}, and may pay between 0.00 and {pay_at_most}"),
                );
            }
            Self::StatedShare { stated, ours } => {
                format!("报文个人负担 {stated} 元，按政策应为 {ours} 元，两者不符")
            }
            Self::Buckets { total, parts } => {
                format!("总费用 {total} 元须为正数，且等于各部分之和 {parts} 元，各部分不为负")
            }
            Self::Admissions(_) => "年内住院次数超出范围".to_owned(),
            Self::OutOfTurn => "支付方次序错误".to_owned(),
            Self::Unbalanced { total, paid, left } => {
                format!("总费用 {total} 元不等于各方支付 {paid} 元加个人负担 {left} 元")
            }
        };
        Text::new(zh, self.to_string())
    }
}

impl ElsewhereError {
    fn zh(self) -> String {
        match self {
            Self::MoreThanLeft { amount, left } => format!("为 {amount} 元，而轮到它时只剩 {left} 元"),
            Self::NoReference => "没有结算凭证号".to_owned(),
            Self::Negative(amount) => format!("为负数 {amount} 元"),
            Self::OutsideOrder => "不在本次住院的付款顺序中（或已轮过）".to_owned(),
            Self::Twice => "重复出现".to_owned(),
        }
    }
}

/// What is wrong with an amount settled through another system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ElsewhereError {
    #[error("states {amount}, and only {left} was left when its turn came")]
    MoreThanLeft { amount: Money, left: Money },
    #[error("has no reference")]
    NoReference,
    #[error("states the negative amount {0}")]
    Negative(Money),
    #[error("is not in the policy's order of payers for this stay, or its turn is over")]
    OutsideOrder,
    #[error("stands twice")]
    Twice,
}
