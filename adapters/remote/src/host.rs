//! What is not deterministic, given by whoever holds the adapter.

use std::time::Duration;

use jiff::Timestamp;

/// Clocks and random numbers. The gateway gives its own; tests give theirs.
pub trait Host: Send + Sync {
    /// Deadlines are compared with it, and requests signed under it.
    fn now(&self) -> Timestamp;

    /// How long it is since some fixed moment, by a clock that nobody sets.
    fn steady(&self) -> Duration;

    /// Fills `bytes` with random numbers that nobody can guess.
    fn fill_random(&self, bytes: &mut [u8]);
}
