//! How a test ends when it does not simply pass.

use std::sync::Arc;

use yizhan_contract::Text;

use super::exchange::Exchange;

/// Why a test stopped.
#[derive(Debug)]
pub(super) enum Stop {
    Failed(Failure),
    /// It could not be tried; the level is not reached.
    NotRun(Text),
    /// It asks for what this adapter does not promise, as its manifest or the test data say.
    NotApplicable(Text),
}

#[derive(Debug)]
pub(super) struct Failure {
    pub(super) expected: Text,
    pub(super) came: Text,
    pub(super) exchange: Option<Arc<Exchange>>,
}

/// `Ok`: passed.
pub(super) type Verdict = Result<(), Stop>;

pub(super) fn not_run<T>(zh: impl Into<Arc<str>>, en: impl Into<Arc<str>>) -> Result<T, Stop> {
    Err(Stop::NotRun(Text::new(zh, en)))
}

pub(super) fn not_applicable<T>(zh: &str, en: &str) -> Result<T, Stop> {
    Err(Stop::NotApplicable(Text::new(zh, en)))
}

/// A failure that no single answer shows.
pub(super) fn failed<T>(expected: Text, came: Text, exchange: Option<&Arc<Exchange>>) -> Result<T, Stop> {
    Err(Stop::Failed(Failure { expected, came, exchange: exchange.cloned() }))
}
