//! Instants reckoned from others.

use jiff::{SignedDuration, Timestamp};

/// So much later; at the end of time, the last instant there is.
pub fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.saturating_add(by).unwrap_or(Timestamp::MAX)
}
