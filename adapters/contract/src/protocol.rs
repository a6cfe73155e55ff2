//! The port in JSON over HTTPS: what a gateway sends an insurer's service, and what it takes as an answer.
//!
//! | verb | request | answer |
//! |---|---|---|
//! | `GET /v1/describe` | | [`Description`] |
//! | `POST /v1/coverage` | [`CoverageRequest`] | [`Coverage`](crate::payer::Coverage) |
//! | `POST /v1/visit` | [`VisitRequest`] | [`Visited`](crate::payer::Visited) |
//! | `POST /v1/quote` | [`QuoteRequest`] | [`QuoteAnswer`](crate::payer::QuoteAnswer) |
//! | `POST /v1/commit` | [`CommitRequest`] | [`Performed`](crate::payer::Performed) |
//! | `POST /v1/reverse` | [`ReverseRequest`] | [`Performed`](crate::payer::Performed) |
//! | `POST /v1/status` | [`StatusRequest`] | [`Status`](crate::payer::Status) |
//! | `GET /v1/statement?day=…&after=…` | | [`Statement`] |
//!
//! An answer is 200 and one of the kinds its type lists, told apart by `answer`. Whatever else comes back of a commit
//! or a reversal (another status, another kind, a body that cannot be read, nothing in time) means that nobody knows
//! what was done, and the gateway asks `status`. Members neither side knows are ignored. `schemas/adapter.openapi.json`
//! has an example of every message.
//!
//! Personal data stands in bodies alone, and only what the service's [`Manifest`] needs. A request that
//! comes after its `deadline` must not be begun: it is answered with 400 and the type [`DEADLINE_PASSED`].

use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::money::Money;
use crate::payer::{Ask, CoverageQuestion, Manifest, Memo, Purpose, StatementLine, VisitEvent, by_payer};
use crate::step::PayerCode;

/// Largest body of an answer; the rest of a longer one is not read.
pub const ANSWER_BYTES_MAX: usize = 1024 * 1024;
/// Largest body of a request.
pub const REQUEST_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Lines of one page of a statement.
pub const STATEMENT_LINES_MAX: usize = 1_000;

/// Types of the problem documents (RFC 9457) a service refuses a request with.
pub const MALFORMED: &str = "malformed";
pub const DEADLINE_PASSED: &str = "deadline_passed";
/// The operation id was used for other content: 409.
pub const OPERATION_CONFLICT: &str = "operation_conflict";
pub const TOO_LARGE: &str = "too_large";
pub const UNKNOWN_VERB: &str = "unknown_verb";
pub const METHOD_NOT_ALLOWED: &str = "method_not_allowed";
pub const UNSUPPORTED_MEDIA_TYPE: &str = "unsupported_media_type";
/// Nothing was done; to be sent again after `Retry-After`.
pub const BUSY: &str = "busy";
/// The service's own defect; what was done, if anything, is told by `status`.
pub const FAILED: &str = "failed";

/// The version of the protocol a message is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Version {
    #[default]
    #[serde(rename = "1")]
    One,
}

/// What a service says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    pub protocol: Version,
    pub manifest: Manifest,
}

/// What every request says first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    pub protocol: Version,
    /// What the data may be used for, and nothing else.
    pub purpose: Purpose,
    /// The gateway does not wait longer, and the service does not begin later.
    pub deadline: Timestamp,
}

impl Head {
    pub fn until(deadline: Timestamp) -> Self {
        Self { protocol: Version::One, purpose: Purpose::Settlement, deadline }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoverageRequest {
    pub head: Head,
    pub question: CoverageQuestion,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VisitRequest {
    pub head: Head,
    pub event: VisitEvent,
    /// As the last answer about this stay gave it.
    #[serde(default, skip_serializing_if = "Memo::is_empty")]
    pub memo: Memo,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuoteRequest {
    pub head: Head,
    pub ask: Ask,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitRequest {
    pub head: Head,
    /// The same whenever this commit is sent again.
    pub operation_id: Arc<str>,
    pub stay: Arc<str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quote_id: Option<String>,
    /// What is to be committed. A payer with firm quotes commits exactly this.
    #[serde(with = "by_payer")]
    pub amounts: Vec<(PayerCode, Money)>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReverseRequest {
    pub head: Head,
    pub operation_id: Arc<str>,
    /// The commit that is taken back, whether or not it ever arrived.
    pub original_operation_id: Arc<str>,
    pub stay: Arc<str>,
    /// What the commit was for.
    #[serde(with = "by_payer")]
    pub amounts: Vec<(PayerCode, Money)>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusRequest {
    pub head: Head,
    pub operation_id: Arc<str>,
}

/// A page of the book of one day (Asia/Shanghai), in the order in which the lines were written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    pub day: Date,
    pub lines: Vec<StatementLine>,
    /// Asked for as `after`, it brings the next page; absent: this is the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}
