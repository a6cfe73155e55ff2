//! What is not deterministic, given by whoever holds the adapter.

use std::time::Duration;

use jiff::Timestamp;

use crate::wire::Ended;

/// Clocks and random numbers, and who hears what calls come to. The gateway gives its own; tests give theirs.
pub trait Host: Send + Sync {
    /// Deadlines are compared with it, and requests signed under it.
    fn now(&self) -> Timestamp;

    /// How long it is since some fixed moment, by a clock that nobody sets.
    fn steady(&self) -> Duration;

    /// Fills `bytes` with random numbers that nobody can guess.
    fn fill_random(&self, bytes: &mut [u8]);

    /// A call has ended. Told at once and by whoever waits for its answer, so it must not take long.
    fn ended(&self, call: Ended<'_>) {
        let _ = call;
    }
}
