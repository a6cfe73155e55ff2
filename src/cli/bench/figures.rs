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
    pub(super) fn of(turns: impl IntoIterator<Item = u64>) -> Self {
        let mut sorted: Vec<u64> = turns.into_iter().collect();
        sorted.sort_unstable();
        let at = |place: usize| sorted.get(place).copied().unwrap_or_default();
        Self { median: at(sorted.len() / 2), low: at(0), high: at(sorted.len().saturating_sub(1)) }
    }

    pub(super) fn shown(self, shown: impl Fn(u64) -> String) -> String {
        if self.low == self.high {
            return shown(self.median);
        }
        format!("{} ({}–{})", shown(self.median), shown(self.low), shown(self.high))
    }
}

/// One turn of one kind of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Turn {
    pub(super) per_second: u64,
    pub(super) p50_us: u64,
    pub(super) p99_us: u64,
    pub(super) max_us: u64,
}

impl Turn {
    pub(super) fn new(per_second: u64, times: &Histogram<u64>) -> Self {
        let at = |quantile| times.value_at_quantile(quantile);
        Self { per_second, p50_us: at(0.5), p99_us: at(0.99), max_us: times.max() }
    }
}

/// One kind of work in all its turns.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Row {
    /// For machines.
    pub(super) name: String,
    pub(super) title: Text,
    pub(super) turns: Vec<Turn>,
}

impl Row {
    pub(super) fn spread(&self, of: impl Fn(&Turn) -> u64) -> Spread {
        Spread::of(self.turns.iter().map(of))
    }

    /// Turn by turn beside another row's, so that what the machine did in a turn counts for both.
    pub(super) fn beside(&self, other: &Self, of: impl Fn(&Turn, &Turn) -> u64) -> Spread {
        Spread::of(self.turns.iter().zip(&other.turns).map(|(own, others)| of(own, others)))
    }
}
