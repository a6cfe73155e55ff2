//! What is asked of the payers: a stay's cost in buckets, the facts a policy decides on, and what the
//! year has used up.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::money::{Exact, Money};
use crate::person::RosterEntry;
use crate::stay::{CatalogueClass, Cause, Referral, SettledElsewhere, VisitClass};
use crate::step::PayerCode;

/// The five totals of a stay; `total` is the sum of the other four.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Buckets {
    /// medfee_sumamt
    pub total: Money,
    /// 全自费, fulamt_ownpay_amt
    pub self_funded: Money,
    /// 超限价, overlmt_selfpay
    pub over_limit: Money,
    /// 先行自付, preselfpay_amt
    pub upfront_copay: Money,
    /// 政策范围内费用, inscp_scp_amt
    pub in_scope: Money,
}

/// One charge line after its buckets were computed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimLine {
    pub id: Arc<str>,
    pub code: Arc<str>,
    pub category: Option<Arc<str>>,
    pub class: CatalogueClass,
    /// Signed: a credit is negative.
    pub amount: Money,
    pub self_funded: Money,
    pub over_limit: Money,
    pub upfront_copay: Money,
    pub in_scope: Money,
}

/// 一级, 二级, 三级.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub enum HospitalLevel {
    One,
    Two,
    Three,
}

impl From<HospitalLevel> for u8 {
    fn from(level: HospitalLevel) -> Self {
        match level {
            HospitalLevel::One => 1,
            HospitalLevel::Two => 2,
            HospitalLevel::Three => 3,
        }
    }
}

impl TryFrom<u8> for HospitalLevel {
    type Error = &'static str;

    fn try_from(level: u8) -> Result<Self, Self::Error> {
        match level {
            1 => Ok(Self::One),
            2 => Ok(Self::Two),
            3 => Ok(Self::Three),
            _ => Err("a hospital's level is 1, 2 or 3"),
        }
    }
}

/// Everything a policy may decide on. No name, no number: a payer learns no more than it needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    pub hospital_level: HospitalLevel,
    /// 统筹区 of the hospital, six digits.
    pub hospital_region: String,
    /// 统筹区 the person is insured in, six digits.
    pub insured_region: String,
    pub class: VisitClass,
    pub admitted: Date,
    pub discharged: Date,
    pub cause: Cause,
    pub third_party_liable: bool,
    pub referral: Referral,
    /// Absent: the person is not on the roster.
    pub roster: Option<RosterEntry>,
    pub buckets: Buckets,
    pub lines: Vec<ClaimLine>,
    pub settled_elsewhere: Vec<SettledElsewhere>,
}

impl Claim {
    /// 异地: the first four digits (the prefecture) differ.
    pub fn is_out_of_area(&self) -> bool {
        self.insured_region.get(..4) != self.hospital_region.get(..4)
    }
}

/// What one person has used of one benefit year.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Accumulators {
    /// Settled, not reversed admissions of the year; the next one's ordinal is this plus one.
    pub admissions: u32,
    pub payers: BTreeMap<PayerCode, Used>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Used {
    /// Sum of the bases the formula ran on, kept exactly.
    pub base: Exact,
    pub paid: Money,
}

impl Accumulators {
    pub fn of(&self, payer: &PayerCode) -> Used {
        self.payers.get(payer).copied().unwrap_or_default()
    }
}
