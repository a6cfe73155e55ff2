//! What an adapter is tried for: one file for each level, and one line for each trial.

mod l0_shape;
mod l1_coverage;
mod l1_function;
mod l1_refusals;
mod l1_visits;
mod l2_exactly_once;
mod l3_stress;
mod l4_resilience;
mod l5_logs;
mod l5_security;
mod l6_speed;
mod l7_pages;
mod l7_statement;

use std::future::Future;
use std::pin::Pin;

use yizhan_attestation::Level;

use super::bench::Bench;
use super::verdict::Verdict;
pub(super) use l6_speed::Loaded;

pub(super) type Checking<'b> = Pin<Box<dyn Future<Output = Verdict> + Send + 'b>>;

/// One property of an adapter.
pub(super) struct Trial {
    /// Level and number: it never changes its meaning.
    pub(super) id: &'static str,
    pub(super) zh: &'static str,
    pub(super) en: &'static str,
    /// The heading of `adapters/README.md` that asks for it.
    pub(super) clause: &'static str,
    /// Trials that show nothing where one of these has not passed.
    pub(super) after: &'static [&'static str],
    pub(super) check: for<'b> fn(&'b Bench) -> Checking<'b>,
}

impl Trial {
    pub(super) fn level(&self) -> Option<Level> {
        self.id.split('-').next().and_then(|level| level.parse().ok())
    }
}

/// In the order they are made: what others stand on comes first.
pub(super) fn all() -> impl Iterator<Item = &'static Trial> {
    let by_level = [
        l0_shape::TRIALS,
        l1_function::TRIALS,
        l7_statement::TRIALS,
        l2_exactly_once::TRIALS,
        l3_stress::TRIALS,
        l4_resilience::TRIALS,
        l5_security::TRIALS,
        l6_speed::TRIALS,
        l7_pages::TRIALS,
        l5_logs::TRIALS,
    ];
    by_level.into_iter().flatten()
}
