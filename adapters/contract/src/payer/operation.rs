//! One commit or reversal, and the three answers to it.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::money::Money;
use crate::opaque::Opaque;
use crate::step::PayerCode;

/// One commit or reversal. The id is fixed and durable before the first attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    pub id: Arc<str>,
    pub stay: Arc<str>,
    pub kind: OperationKind,
    /// The quote that is committed, or whose commit is taken back.
    pub quote_id: Option<String>,
    /// As it came with the quote.
    #[serde(default)]
    pub kept: Opaque,
    /// What is committed or taken back, payer by payer.
    pub amounts: Vec<(PayerCode, Money)>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperationKind {
    Commit,
    /// Takes back the commit of this operation id, whether or not it ever reached the payer.
    Reverse {
        original: Arc<str>,
        /// The commit as it was made ready.
        prepared: Prepared,
    },
}

/// Everything needed to send an operation, as bytes the adapter alone reads; at most 64 KiB.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Prepared(pub Opaque);

impl From<Vec<u8>> for Prepared {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("operation cannot be prepared: {0}")]
pub struct PrepareError(pub String);

/// What a payer says to a commit or a reversal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Performed {
    /// A reversal of something that never arrived is done as well, with no amounts: the payer remembers it, and
    /// refuses the original should it come late.
    #[serde(rename = "done")]
    Committed {
        #[serde(with = "by_payer")]
        amounts: Vec<(PayerCode, Money)>,
        reference: String,
    },
    Refused {
        code: String,
        message: String,
    },
    /// Timeout, broken body, a sum that breaks the contract: ask [`status`](super::Payer::status), never guess.
    Unknown {
        #[serde(
            default,
            with = "in_seconds",
            skip_serializing_if = "Option::is_none",
            rename = "poll_after_s"
        )]
        poll_after: Option<SignedDuration>,
        why: String,
    },
}

/// Whether who answers a reversal with these amounts holds nothing any more of what was `asked` back: each payer gave back
/// exactly its part, in whatever order, or none had anything left to give. Anything else is a sum that breaks the contract.
pub fn is_all_given_back(amounts: &[(PayerCode, Money)], asked: &[(PayerCode, Money)]) -> bool {
    amounts.is_empty() || (amounts.len() == asked.len() && asked.iter().all(|part| amounts.contains(part)))
}

/// What became of an operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Status {
    Done {
        #[serde(with = "by_payer")]
        amounts: Vec<(PayerCode, Money)>,
        reference: String,
    },
    Refused {
        code: String,
    },
    NotFound,
    Pending,
    /// Asking itself failed.
    Unavailable(Unavailable),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("payer unavailable: {why}")]
pub struct Unavailable {
    pub why: String,
    #[serde(default, with = "in_seconds", skip_serializing_if = "Option::is_none", rename = "retry_after_s")]
    pub retry_after: Option<SignedDuration>,
}

/// One line of a payer's book.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatementLine {
    pub operation_id: String,
    pub reference: String,
    pub payer: PayerCode,
    /// Negative for a reversal.
    pub amount: Money,
    pub at: Timestamp,
}

/// `[{"payer": "supplementary", "amount": "155.07"}]`
pub mod by_payer {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::money::Money;
    use crate::step::PayerCode;

    #[derive(Serialize, Deserialize)]
    struct Part<P> {
        payer: P,
        amount: Money,
    }

    /// # Errors
    /// The serializer's.
    pub fn serialize<S: Serializer>(parts: &[(PayerCode, Money)], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(parts.iter().map(|(payer, amount)| Part { payer, amount: *amount }))
    }

    /// # Errors
    /// The deserializer's.
    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<(PayerCode, Money)>, D::Error> {
        let parts = Vec::<Part<PayerCode>>::deserialize(deserializer)?;
        Ok(parts.into_iter().map(|part| (part.payer, part.amount)).collect())
    }
}

/// Whole seconds, rounded up.
mod in_seconds {
    use jiff::SignedDuration;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[expect(clippy::ref_option, reason = "serde hands a reference to the field")]
    pub(super) fn serialize<S: Serializer>(
        duration: &Option<SignedDuration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let up = |duration: SignedDuration| duration.as_secs() + i64::from(duration.subsec_nanos() > 0);
        duration.map(up).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<SignedDuration>, D::Error> {
        let seconds = Option::<u32>::deserialize(deserializer)?;
        Ok(seconds.map(|seconds| SignedDuration::from_secs(i64::from(seconds))))
    }
}
