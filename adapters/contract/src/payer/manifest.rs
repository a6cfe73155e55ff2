//! What an adapter promises, so that the host can plan.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::{ASK_DEADLINE, COMMIT_DEADLINE, COVER_DEADLINE};
use crate::step::PayerCode;

/// What the host plans with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The adapter's program and its version, for journal and attestation.
    pub adapter: String,
    pub version: String,
    /// Consecutive in the chain.
    pub serves: Vec<PayerCode>,
    /// The committed amount is the quoted one.
    pub quotes_are_firm: bool,
    /// The same operation may be sent again.
    pub commits_are_idempotent: bool,
    /// How long a commit can be reversed; absent: never.
    pub reverse_window_s: Option<u64>,
    /// After this long a status `NotFound` may be trusted.
    pub not_found_settles_after_s: u64,
    /// A settlement may go on without this payer.
    pub optional: bool,
    /// A leg of 0.00 must be committed as well.
    pub commits_zero: bool,
    /// Requests the adapter works on at a time; more wait at the host.
    pub concurrency_max: u16,
    /// Absent: as fast as they come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_second_max: Option<u16>,
    /// What the adapter has to know of a person to do its work; it is told nothing else (数据最小化).
    #[serde(default)]
    pub needs: BTreeSet<Need>,
    /// It must be told of admission, charges and discharge before it can quote.
    #[serde(default)]
    pub sees_visits: bool,
    /// How long an answer about coverage may be relied on; absent: it is not asked, the roster decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coverage_valid_s: Option<u32>,
    /// 95 of 100 quotes, and 95 of 100 commits, are answered within this: more than 0, and no more than a gateway waits.
    pub quote_p95_ms: u32,
    pub commit_p95_ms: u32,
}

/// The longest `commit_p95_ms`: what a gateway waits for.
pub const COMMIT_P95_MS_MAX: u32 = in_ms(COMMIT_DEADLINE);

const fn in_ms(time: SignedDuration) -> u32 {
    time.as_secs() as u32 * 1_000 + time.subsec_millis().unsigned_abs()
}

impl Manifest {
    /// The longest `quote_p95_ms`: what a gateway waits for, where the question about cover may take its part of it first.
    pub fn quote_p95_ms_max(&self) -> u32 {
        in_ms(self.coverage_valid_s.map_or(ASK_DEADLINE, |_| ASK_DEADLINE - COVER_DEADLINE))
    }

    /// The cautious promises: nothing firm, nothing repeated, nothing taken back, nothing told of the person.
    pub fn cautious(adapter: &str, version: &str, serves: Vec<PayerCode>) -> Self {
        Self {
            adapter: adapter.to_owned(),
            version: version.to_owned(),
            serves,
            quotes_are_firm: false,
            commits_are_idempotent: false,
            reverse_window_s: None,
            not_found_settles_after_s: 60,
            optional: false,
            commits_zero: false,
            concurrency_max: 1,
            requests_per_second_max: None,
            needs: BTreeSet::new(),
            sees_visits: false,
            coverage_valid_s: None,
            quote_p95_ms: 2_000,
            commit_p95_ms: 5_000,
        }
    }
}

/// One fact about a person or a stay that an adapter may ask to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Need {
    IdNumber,
    Name,
    Birth,
    Sex,
    /// Insurance card number.
    Card,
    VisitNumber,
    Diagnoses,
    /// Every charge line; else the five totals alone.
    Lines,
    /// Categories and covers of the roster.
    Standing,
}
