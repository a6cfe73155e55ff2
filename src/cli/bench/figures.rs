//! What was measured, turn by turn, and what is told of it: medians with their spread.

use hdrhistogram::Histogram;
use serde::Serialize;
use yizhan_contract::Text;

/// Median of several turns, with the lowest and the highest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub(super) struct Spread {
    pub(super) median: u64,
    pub(super) low: u64,
    pub(super) high: u64,
}

impl Spread {
    fn of(turns: &[u64]) -> Self {
        let mut sorted = turns.to_vec();
        sorted.sort_unstable();
        let at = |place: usize| sorted.get(place).copied().unwrap_or_default();
        Self { median: at(sorted.len() / 2), low: at(0), high: at(sorted.len().saturating_sub(1)) }
    }
}

/// One kind of work in all its turns.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) title: Text,
    pub(super) turns: usize,
    pub(super) per_second: Spread,
    pub(super) p50_us: Spread,
    pub(super) p99_us: Spread,
    pub(super) max_us: u64,
}

/// Collects the turns of one kind of work.
#[derive(Default)]
pub(super) struct Turns {
    rates: Vec<u64>,
    p50: Vec<u64>,
    p99: Vec<u64>,
    max: u64,
}

impl Turns {
    pub(super) fn add(&mut self, rate: u64, times: &Histogram<u64>) {
        self.rates.push(rate);
        self.p50.push(times.value_at_quantile(0.5));
        self.p99.push(times.value_at_quantile(0.99));
        self.max = self.max.max(times.max());
    }

    /// Absent where there was no turn.
    pub(super) fn row(&self, name: String, title: Text) -> Option<Row> {
        (!self.rates.is_empty()).then(|| Row {
            name,
            title,
            turns: self.rates.len(),
            per_second: Spread::of(&self.rates),
            p50_us: Spread::of(&self.p50),
            p99_us: Spread::of(&self.p99),
            max_us: self.max,
        })
    }
}
