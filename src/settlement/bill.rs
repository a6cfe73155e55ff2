//! The consolidated bill: one document per version, stored as issued and never recomputed.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use yizhan_contract::money::EXACT_DECIMALS_MAX;
use yizhan_contract::person::Masked;
use yizhan_contract::stay::{CauseKind, Discharge};
use yizhan_contract::step::PayerState;
use yizhan_contract::{Buckets, Exact, Finding, Money, PayerCode, Reason, Step, Text};
use yizhan_rules::Category;
pub use yizhan_rules::{BaseKind, CategoryTotal, Coverage};

/// The same structure for a quote and a settlement; the names are those of `schemas/bill.schema.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bill {
    pub settlement_id: Uuid,
    /// Counts the bills of a stay; a settlement after a reversal goes on counting.
    pub version: u32,
    pub state: BillState,
    /// `shandong-2020@2020-01-01#3fa1c09be2d4`
    pub policy: Arc<str>,
    pub hospital: Arc<str>,
    pub visit_number: String,
    pub patient: BilledPatient,
    pub admitted: Date,
    pub discharged: Date,
    pub cause: CauseKind,
    pub amounts: Buckets,
    pub payers: Vec<BilledPayer>,
    pub paid_by_payers: Money,
    /// What payers leave: `amounts.total - paid_by_payers`.
    pub patient_share: Money,
    pub deposit: Money,
    pub to_collect: Money,
    pub to_refund: Money,
    pub coverage: Coverage,
    pub lines_by_category: Vec<CategoryTotal>,
    pub benefit_year: i16,
    pub admission_ordinal: u32,
    pub issued_at: Timestamp,
    /// The settlement this one replaces after its reversal.
    pub replaces: Option<Uuid>,
    /// Until when a quote may be committed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<Timestamp>,
    /// Why and by whom it was reversed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reversal: Option<Reversal>,
    pub findings: Vec<Finding>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BillState {
    AwaitingCharges,
    Quoted,
    Settling,
    Settled,
    Reversing,
    Reversed,
    NeedsAttention,
    Refused,
}

impl BillState {
    pub fn word(self) -> &'static str {
        match self {
            Self::AwaitingCharges => "awaiting_charges",
            Self::Quoted => "quoted",
            Self::Settling => "settling",
            Self::Settled => "settled",
            Self::Reversing => "reversing",
            Self::Reversed => "reversed",
            Self::NeedsAttention => "needs_attention",
            Self::Refused => "refused",
        }
    }

    /// The word a clerk reads.
    pub fn text(self) -> Text {
        match self {
            Self::AwaitingCharges => Text::new("等待费用", "Awaiting charges"),
            Self::Quoted => Text::new("已试算", "Quoted"),
            Self::Settling => Text::new("正在结算", "Settling"),
            Self::Settled => Text::new("已结算", "Settled"),
            Self::Reversing => Text::new("正在撤销", "Reversing"),
            Self::Reversed => Text::new("已撤销", "Reversed"),
            Self::NeedsAttention => Text::new("需人工处理", "Needs attention"),
            Self::Refused => Text::new("未受理", "Refused"),
        }
    }
}

/// Masked from the start: the bill holds no name and no number in clear.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BilledPatient {
    pub name: String,
    pub id_number: Option<String>,
    pub category: Option<Arc<str>>,
    /// As the policy calls it, for people; absent on bills that are older than it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category_name: Option<Text>,
    pub category_on: Date,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BilledPayer {
    pub payer: PayerCode,
    pub name: Text,
    pub state: PayerState,
    /// What the base was made of and the payment taken off.
    pub base_kind: BaseKind,
    pub base: Exact,
    pub paid: Money,
    pub payer_reference: Option<Arc<str>>,
    pub reason: Option<Reason>,
    /// Whose figure it is: the gateway's own rules, or the payer's answer.
    pub computed_by: ComputedBy,
    pub steps: Vec<Step>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ComputedBy {
    Gateway,
    Payer,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reversal {
    pub reason: String,
    pub operator: String,
    pub at: Timestamp,
}

/// A bill whose parts do not make the whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("bill does not balance: {0}")]
pub struct Unbalanced(&'static str);

impl Bill {
    /// Sets what follows from deposit and share.
    #[must_use]
    pub fn with_deposit(mut self, deposit: Money) -> Self {
        self.deposit = deposit;
        let open = self.patient_share - deposit;
        self.to_collect = open.or_zero();
        self.to_refund = (-open).or_zero();
        self
    }

    /// Parts equal the whole; asked when the bill is made and when it is read back.
    pub fn check(&self) -> Result<(), Unbalanced> {
        let amounts = &self.amounts;
        let buckets = amounts.self_funded + amounts.over_limit + amounts.upfront_copay + amounts.in_scope;
        let paid: Money = self.payers.iter().map(|payer| payer.paid).sum();
        let by_category: Money = self.lines_by_category.iter().map(|category| category.buckets.total).sum();
        let open = self.patient_share - self.deposit;
        for (holds, what) in [
            (buckets == amounts.total, "buckets do not make the total"),
            (paid == self.paid_by_payers, "payers do not make paid_by_payers"),
            (
                self.paid_by_payers + self.patient_share == amounts.total,
                "payers and patient do not make the total",
            ),
            (!self.patient_share.is_negative(), "the patient's share is negative"),
            (self.payers.iter().all(|payer| !payer.paid.is_negative()), "a payer pays less than nothing"),
            (self.payers.iter().all(BilledPayer::is_explained), "a payer's steps end with another amount"),
            (self.to_collect - self.to_refund == open, "deposit, collection and refund do not fit"),
            (by_category == amounts.total, "categories do not make the total"),
            (self.payers.iter().all(is_readable), "a figure has more decimals than can be read back"),
        ] {
            if !holds {
                return Err(Unbalanced(what));
            }
        }
        Ok(())
    }

    /// Payers that were left out for now.
    pub fn deferred(&self) -> impl Iterator<Item = &BilledPayer> {
        self.payers.iter().filter(|payer| payer.state == PayerState::Deferred)
    }

    /// The same bill taken back: every leg that was paid is reversed, and none is awaited any more.
    #[must_use]
    pub fn reversed(&self, reversal: Reversal) -> Self {
        let mut bill = self.clone();
        bill.version += 1;
        bill.state = BillState::Reversed;
        bill.issued_at = reversal.at;
        bill.reversal = Some(reversal);
        for payer in &mut bill.payers {
            if matches!(payer.state, PayerState::Committed | PayerState::Deferred) {
                payer.state = PayerState::Reversed;
            }
        }
        bill
    }
}

/// Whether the figures can be read again as they are written: what cannot be read settles nothing.
fn is_readable(payer: &BilledPayer) -> bool {
    let figures = |step: &Step| {
        let Step { amount, already, of, from, to, part, after, .. } = step;
        [*amount, *already, *of, *from, *to, *part, Some(*after)]
    };
    let figures = payer.steps.iter().flat_map(figures).flatten().chain([payer.base]);
    figures.map(Exact::decimals).all(|decimals| decimals <= EXACT_DECIMALS_MAX)
}

impl BilledPayer {
    /// The last step comes to what is paid; a payer that settled or answered itself may give no steps.
    fn is_explained(&self) -> bool {
        self.steps.last().is_none_or(|last| last.after == self.paid.exact())
    }
}

impl BilledPatient {
    /// The category in words; its code where an older bill knows no words.
    pub fn category_named(&self) -> Option<Text> {
        let code = || self.category.clone().map(|code| Text::new(Arc::clone(&code), code));
        self.category_name.clone().or_else(code)
    }

    pub fn masked(discharge: &Discharge, category: &Category, category_on: Date) -> Self {
        let patient = &discharge.patient;
        Self {
            name: patient.name.reveal().masked(),
            id_number: patient.id_number.as_ref().map(|number| number.reveal().masked()),
            category: Some(Arc::clone(&category.code)),
            category_name: Some(category.name.clone()),
            category_on,
        }
    }
}
