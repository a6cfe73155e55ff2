//! What a service answers, verb by verb, in the protocol's own types.

use jiff::Timestamp;
use jiff::civil::Date;
use yizhan_contract::payer::{Answer, Coverage, Manifest, Performed, QuoteAnswer, Status, Visited};
use yizhan_contract::protocol::{
    CommitRequest, CoverageRequest, QuoteRequest, ReverseRequest, Statement, StatusRequest, VisitRequest,
};

/// Why a request gets none of the answers of its verb. Nothing was done, except where it is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The operation id was used for other content.
    Conflict,
    /// Too much at once, or not now.
    Busy { retry_after_s: u32 },
    /// The service's own defect; what was done, if anything, is told by `status`.
    Failed,
    /// The connection ends without an answer.
    Silence,
}

pub type Replied<'a, T> = Answer<'a, Result<T, Refusal>>;

/// A service that answers for itself, with a book of its own. Requests are readable, in time, and asked at `at`.
pub trait Verbs: Send + Sync + 'static {
    fn manifest(&self) -> &Manifest;
    fn coverage<'a>(&'a self, asked: &'a CoverageRequest, at: Timestamp) -> Replied<'a, Coverage>;
    fn visit<'a>(&'a self, asked: &'a VisitRequest, at: Timestamp) -> Replied<'a, Visited>;
    fn quote<'a>(&'a self, asked: &'a QuoteRequest, at: Timestamp) -> Replied<'a, QuoteAnswer>;
    fn commit<'a>(&'a self, asked: &'a CommitRequest, at: Timestamp) -> Replied<'a, Performed>;
    fn reverse<'a>(&'a self, asked: &'a ReverseRequest, at: Timestamp) -> Replied<'a, Performed>;
    fn status<'a>(&'a self, asked: &'a StatusRequest, at: Timestamp) -> Replied<'a, Status>;
    /// One page; `after` is the `next` of the page before.
    fn statement<'a>(&'a self, day: Date, after: Option<&'a str>, at: Timestamp) -> Replied<'a, Statement>;
}
