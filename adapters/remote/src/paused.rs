//! The host of unit tests: tokio's clock, which tests hold still, and numbers that repeat.

use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::host::Host;

pub(crate) struct Paused {
    begun: Instant,
    drawn: AtomicU8,
}

/// What the clock says when a test begins.
pub(crate) const BEGINS: &str = "2020-07-02T02:15:00Z";

impl Paused {
    pub(crate) fn new() -> Self {
        Self { begun: Instant::now(), drawn: AtomicU8::new(0) }
    }
}

impl Host for Paused {
    fn now(&self) -> Timestamp {
        let passed = jiff::SignedDuration::try_from(self.steady()).unwrap();
        BEGINS.parse::<Timestamp>().unwrap().saturating_add(passed).unwrap()
    }

    fn steady(&self) -> Duration {
        self.begun.elapsed()
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        bytes.fill(self.drawn.fetch_add(1, Ordering::Relaxed));
    }
}
