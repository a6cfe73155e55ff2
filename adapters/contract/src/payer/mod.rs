//! The port an outside payer implements. A payer has three answers: yes, no, don't know.
//!
//! What is said here in types is said in [`crate::protocol`] in JSON: an insurer's service in any language
//! implements the same port over HTTPS.

mod manifest;
mod operation;
mod promises;
mod quote;
mod visit;
mod words;

use std::future::Future;
use std::pin::Pin;

use jiff::{SignedDuration, Timestamp, civil::Date};

pub use manifest::{COMMIT_P95_MS_MAX, Manifest, Need};
pub use operation::{
    Operation, OperationKind, Performed, PrepareError, Prepared, StatementLine, Status, Unavailable,
    by_payer, is_all_given_back,
};
pub use quote::{Ask, AskedLeg, Quote, QuoteAnswer, QuotedAmount};
pub use visit::{
    Cover, Coverage, CoverageQuestion, Memo, Person, Purpose, VisitEvent, VisitEventKind, Visited,
};
pub use words::cut;

/// Largest [`Prepared`], so that it can be stored with the intent.
pub const PREPARED_BYTES_MAX: usize = 64 * 1024;
/// Largest [`Memo`] and largest [`Quote::kept`].
pub const KEPT_BYTES_MAX: usize = 16 * 1024;
/// Characters of each reference, code and sentence a payer answers with; what is longer is cut off.
pub const PAYER_TEXT_CHARS_MAX: usize = 200;
/// Steps of one payer's quoted amount; a bill prints them all.
pub const QUOTED_STEPS_MAX: usize = 100;

/// How long a gateway waits, at most, to hear whether a person is covered: its quote, which says so too, has the rest.
pub const COVER_DEADLINE: SignedDuration = SignedDuration::from_millis(2_500);
/// How long it waits for a quote, together with the question about cover and what a payer is told of the visit before it;
/// and for what became of an operation.
pub const ASK_DEADLINE: SignedDuration = SignedDuration::from_secs(5);
/// How long it waits for the answer to a commit or a reversal.
pub const COMMIT_DEADLINE: SignedDuration = SignedDuration::from_secs(10);

pub type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// An outside payer. Object-safe; the host supplies clock, deadline and operation ids.
pub trait Payer: Send + Sync {
    fn manifest(&self) -> &Manifest;

    /// What an adapter whose manifest [`sees visits`](Manifest::sees_visits) is told before it is asked for a quote.
    /// The memo is the adapter's own state of the visit; the host keeps it sealed and hands it back.
    fn visit<'a>(&'a self, event: &'a VisitEvent, memo: Memo, deadline: Timestamp) -> Answer<'a, Visited> {
        let _ = (event, deadline);
        Box::pin(std::future::ready(Visited::Noted { memo }))
    }

    /// Whether a person is covered on a day: asked before the quote, which tells more of them, and not again while
    /// the answer holds. An adapter without such a question leaves it to the roster.
    fn coverage<'a>(&'a self, question: &'a CoverageQuestion, deadline: Timestamp) -> Answer<'a, Coverage> {
        let _ = (question, deadline);
        Box::pin(std::future::ready(Coverage::NotSaid))
    }

    fn quote<'a>(&'a self, ask: &'a Ask, deadline: Timestamp) -> Answer<'a, QuoteAnswer>;

    /// Pure: everything needed to send the operation, to ask about it and to undo it. The host stores it
    /// with the intent before anything is sent.
    ///
    /// # Errors
    /// Where the operation cannot be sent as it is, or would be longer than [`PREPARED_BYTES_MAX`].
    fn prepare(&self, operation: &Operation) -> Result<Prepared, PrepareError>;

    /// Sends a commit or a reversal. Anything but an explicit yes or no is [`Performed::Unknown`].
    fn perform<'a>(&'a self, prepared: &'a Prepared, deadline: Timestamp) -> Answer<'a, Performed>;

    /// Asks what became of an operation; changes nothing.
    fn status<'a>(&'a self, prepared: &'a Prepared, deadline: Timestamp) -> Answer<'a, Status>;

    /// The payer's own book of one day, for reconciliation.
    fn statement(
        &self,
        day: Date,
        deadline: Timestamp,
    ) -> Answer<'_, Result<Vec<StatementLine>, Unavailable>>;
}
