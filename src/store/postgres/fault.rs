//! What goes wrong on a connection, and what may be concluded from it.

use std::time::Duration;

use deadpool_postgres::Object;
use tokio_postgres::Error;
use tokio_postgres::error::{Severity, SqlState};
use yizhan_contract::Text;

use super::super::StoreError;

/// Why an attempt at a step ended without a result.
#[derive(Debug)]
pub(super) enum Failed {
    /// Somebody else was faster: what was read is so no longer. Nothing was written.
    Conflict(Text),
    /// The connection ended. What was on its way, a COMMIT perhaps, may have taken place or not.
    Lost(String),
    /// The server stands still and the connection with it: what was on its way may take place yet.
    Silent { has_sent_commit: bool },
    /// Nothing was written.
    Store(StoreError),
}

/// Senders wait ten seconds or longer for their answers, and the server ends a statement of its own accord before
/// ([`super::open`]); nothing but its disk or its machine can make it be silent for so long.
const ANSWERS_WITHIN_MS: u64 = 8_000;

/// What the server answers; where it does not, its connection is [out of use](spent). It is not waited for without end: whoever waits holds a connection, and a sender.
pub(super) async fn in_time<T>(asking: impl Future<Output = Result<T, Error>>) -> Result<T, Failed> {
    let answer = tokio::time::timeout(Duration::from_millis(ANSWERS_WITHIN_MS), asking).await;
    answer.map_or(Err(Failed::Silent { has_sent_commit: false }), |answer| answer.map_err(Failed::from))
}

/// Closes a connection on which nothing was answered: the next one to use it would wait behind that.
pub(super) fn spent<T>(client: Object, outcome: Result<T, Failed>) -> Result<T, Failed> {
    if matches!(outcome, Err(Failed::Silent { .. })) {
        drop(Object::take(client));
    }
    outcome
}

impl Failed {
    pub(super) fn conflict(zh: &str, en: &str) -> Self {
        Self::Conflict(Text::new(zh, en))
    }

    /// What is said where it is not tried again, and nothing hangs on whether it took place.
    pub(super) fn given_up(self) -> StoreError {
        match self {
            Self::Conflict(what) => StoreError::Unavailable(what),
            Self::Lost(why) => StoreError::Unavailable(postgres_says(&why)),
            Self::Silent { has_sent_commit: true } => StoreError::InDoubt(no_answer()),
            Self::Silent { has_sent_commit: false } => StoreError::Unavailable(no_answer()),
            Self::Store(why) => why,
        }
    }
}

pub(super) fn postgres_says(why: &dyn std::fmt::Display) -> Text {
    StoreError::said_by("PostgreSQL", why)
}

pub(super) fn no_answer() -> Text {
    Text::new("PostgreSQL 没有应答", "PostgreSQL does not answer")
}

impl From<StoreError> for Failed {
    fn from(why: StoreError) -> Self {
        Self::Store(why)
    }
}

impl From<Error> for Failed {
    fn from(why: Error) -> Self {
        let Some(said) = why.as_db_error() else { return Self::Lost(why.to_string()) };
        if is_the_end(said.parsed_severity()) {
            return Self::Lost(said.message().to_owned());
        }
        match *said.code() {
            // A condition of ours did not hold (write.rs).
            SqlState::DIVISION_BY_ZERO => {
                Self::conflict("本步读取的内容已经变化", "what the step read has changed")
            }
            // A key that people race for was claimed by somebody else. Any other that is there already is ours: trying
            // again would find it there again.
            SqlState::UNIQUE_VIOLATION if said.table().is_some_and(is_raced_for) => {
                Self::conflict("本步读取的内容已经变化", "what the step read has changed")
            }
            SqlState::T_R_SERIALIZATION_FAILURE | SqlState::T_R_DEADLOCK_DETECTED => {
                Self::conflict("多个步骤互相等待", "steps waited for each other")
            }
            _ => Self::Store(broken(&why)),
        }
    }
}

/// Tables that find things across people; a shard's name begins with its table's.
fn is_raced_for(table: &str) -> bool {
    ["person_key", "message_claim", "stay_claim"].iter().any(|claimed| table.starts_with(claimed))
}

/// The server ends the connection with such an error, at whatever point it was.
fn is_the_end(severity: Option<Severity>) -> bool {
    matches!(severity, Some(Severity::Fatal | Severity::Panic))
}

/// A failure outside of a step, where nothing hangs on whether it took place.
pub(super) fn broken(why: &Error) -> StoreError {
    let Some(said) = why.as_db_error() else {
        // The connection itself: the driver's words are short, the reason is in the source.
        let source = std::error::Error::source(why).map(|source| format!(": {source}")).unwrap_or_default();
        return StoreError::Unavailable(postgres_says(&format!("{why}{source}")));
    };
    // Only the message: details may quote rows.
    let said_in_short = format!("{} ({})", said.message(), said.code().code());
    let text = postgres_says(&said_in_short);
    match said.code().code() {
        "XX001" | "XX002" => StoreError::Damaged(said_in_short),
        "42501" => StoreError::Unavailable(text),
        code if code.starts_with("42") => StoreError::Schema(text),
        code if code.starts_with("22") || code.starts_with("23") => StoreError::Defect(said_in_short),
        _ => StoreError::Unavailable(text),
    }
}
