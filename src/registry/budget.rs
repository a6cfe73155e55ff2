//! How much an adapter may fail, or be slow, before what stands in its place decides for new stays.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use yizhan_contract::Text;
use yizhan_rules::toml_file::Mistake;

/// Calls remembered at a time, whatever the window.
const CALLS_MAX: usize = 10_000;

/// `[budget]` as it is written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawBudget {
    window_s: u64,
    calls_min: u64,
    failed_percent_max: u64,
    slow_ms: u64,
    slow_percent_max: u64,
}

impl Default for RawBudget {
    fn default() -> Self {
        Self { window_s: 300, calls_min: 20, failed_percent_max: 20, slow_ms: 3_000, slow_percent_max: 50 }
    }
}

/// How much is too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Calls count for so long.
    pub window: Duration,
    /// Fewer calls say nothing.
    pub calls_min: usize,
    pub failed_percent_max: usize,
    /// A call that takes longer is slow.
    pub slow: Duration,
    pub slow_percent_max: usize,
}

impl RawBudget {
    pub(super) fn checked(&self, mistakes: &mut Vec<Mistake>) -> Limits {
        for (key, value, range) in [
            ("budget.window_s", self.window_s, 10..=86_400),
            ("budget.calls_min", self.calls_min, 1..=1_000),
            ("budget.failed_percent_max", self.failed_percent_max, 1..=100),
            ("budget.slow_ms", self.slow_ms, 10..=10_000),
            ("budget.slow_percent_max", self.slow_percent_max, 1..=100),
        ] {
            if !range.contains(&value) {
                let (from, to) = range.into_inner();
                let text = Text::new(
                    format!("{value} 超出范围，须为 {from} 至 {to}"),
                    format!("{value} is out of range; write {from} to {to}"),
                );
                mistakes.push(Mistake::at(key, text));
            }
        }
        let number = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
        Limits {
            window: Duration::from_secs(self.window_s),
            calls_min: number(self.calls_min),
            failed_percent_max: number(self.failed_percent_max),
            slow: Duration::from_millis(self.slow_ms),
            slow_percent_max: number(self.slow_percent_max),
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    at: Duration,
    has_failed: bool,
    is_slow: bool,
}

/// What one adapter's calls came to lately.
#[derive(Debug, Default)]
pub(super) struct Budget(Mutex<Lately>);

/// Counted as calls come and go: every call of every stay passes here, and none waits until thousands are gone through.
#[derive(Debug, Default)]
struct Lately {
    calls: VecDeque<Seen>,
    failed: usize,
    slow: usize,
}

impl Lately {
    fn comes(&mut self, call: Seen) {
        self.failed += usize::from(call.has_failed);
        self.slow += usize::from(call.is_slow);
        self.calls.push_back(call);
    }

    /// What is beyond the window, or beyond what is remembered, counts no more.
    fn slides(&mut self, window: Duration, now: Duration) {
        let is_over = |call: &Seen| call.at + window < now;
        while CALLS_MAX < self.calls.len() || self.calls.front().is_some_and(is_over) {
            let Some(call) = self.calls.pop_front() else { return };
            self.failed -= usize::from(call.has_failed);
            self.slow -= usize::from(call.is_slow);
        }
    }
}

impl Budget {
    /// Notes a call that ended `at` a moment of the steady clock; why the budget is used up, where it is.
    pub(super) fn note(
        &self,
        limits: &Limits,
        at: Duration,
        took: Duration,
        has_failed: bool,
    ) -> Option<Text> {
        let (all, failed, slow) = {
            let mut lately = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            lately.comes(Seen { at, has_failed, is_slow: limits.slow < took });
            lately.slides(limits.window, at);
            (lately.calls.len(), lately.failed, lately.slow)
        };
        if all < limits.calls_min {
            return None;
        }
        let window_s = limits.window.as_secs();
        if failed * 100 > all * limits.failed_percent_max {
            return Some(Text::new(
                format!("最近 {window_s} 秒内 {all} 次请求中有 {failed} 次没有得到可用的应答，已自动停用"),
                format!(
                    "{failed} of {all} calls of the last {window_s} s brought no answer that can be used, so it is not asked for now"
                ),
            ));
        }
        let slow_ms = limits.slow.as_millis();
        (slow * 100 > all * limits.slow_percent_max).then(|| {
            Text::new(
                format!("最近 {window_s} 秒内 {all} 次请求中有 {slow} 次超过 {slow_ms} 毫秒，已自动停用"),
                format!("{slow} of {all} calls of the last {window_s} s took longer than {slow_ms} ms, so it is not asked for now"),
            )
        })
    }

    /// What was seen before counts no more.
    pub(super) fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Lately::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: (u64, bool) = (10, false);
    const BAD: (u64, bool) = (10, true);
    const SLOW: (u64, bool) = (3_001, false);

    fn limits(window_s: u64) -> Limits {
        RawBudget { window_s, calls_min: 4, ..RawBudget::default() }.checked(&mut Vec::new())
    }

    /// What the last of a number of calls, one each second, comes to.
    fn noted(budget: &Budget, window_s: u64, calls: impl IntoIterator<Item = (u64, bool)>) -> Option<Text> {
        let (limits, mut last) = (limits(window_s), None);
        for (second, (took_ms, has_failed)) in (1..).zip(calls) {
            let (at, took) = (Duration::from_secs(second), Duration::from_millis(took_ms));
            last = budget.note(&limits, at, took, has_failed);
        }
        last
    }

    fn check(window_s: u64, calls: impl IntoIterator<Item = (u64, bool)>, expected: Option<&str>) {
        match (noted(&Budget::default(), window_s, calls), expected) {
            (Some(why), Some(expected)) => assert!(why.en.contains(expected), "{why:?}"),
            (last, expected) => assert_eq!(last, expected.map(|text| Text::new(text, text))),
        }
    }

    /// So many of one kind, then so many of another.
    fn then(first: ((u64, bool), usize), second: ((u64, bool), usize)) -> impl Iterator<Item = (u64, bool)> {
        let of = |(call, count)| std::iter::repeat_n(call, count);
        of(first).chain(of(second))
    }

    #[test]
    fn failures_and_slowness_have_a_budget_of_their_own() {
        check(10, [BAD, BAD, BAD], None);
        check(10, [BAD, BAD, BAD, GOOD], Some("3 of 4 calls of the last 10 s brought no answer"));
        check(10, [GOOD, GOOD, GOOD, GOOD, BAD], None);
        check(10, [GOOD, GOOD, GOOD, BAD, BAD], Some("2 of 5"));
        check(10, [SLOW, SLOW, GOOD, GOOD], None);
        check(10, [SLOW, SLOW, SLOW, GOOD], Some("3 of 4 calls of the last 10 s took longer than 3000 ms"));
        check(10, [(3_000, false); 8], None);
    }

    /// Eleven calls lie in ten seconds, both ends counted.
    #[test]
    fn windows_slide() {
        check(10, then((BAD, 3), (GOOD, 8)), Some("3 of 11"));
        check(10, then((BAD, 3), (GOOD, 9)), None);
        check(10, then((BAD, 20), (GOOD, 8)), Some("3 of 11"));
        check(10, then((BAD, 20), (GOOD, 9)), None);
        check(10, then((SLOW, 6), (GOOD, 5)), Some("6 of 11"));
        check(10, then((SLOW, 6), (GOOD, 6)), None);
        check(10, then((SLOW, 20), (GOOD, 6)), None);
        check(10, then((GOOD, 20), (BAD, 3)), Some("3 of 11"));
    }

    #[test]
    fn no_more_calls_are_remembered_than_may_be() {
        check(86_400, then((BAD, 2_001), (GOOD, 7_999)), Some("2001 of 10000"));
        check(86_400, then((BAD, 2_001), (GOOD, 8_000)), None);
    }

    #[test]
    fn what_is_forgotten_counts_no_more() {
        let budget = Budget::default();
        assert!(noted(&budget, 10, [BAD, BAD, SLOW, SLOW, SLOW]).is_some());
        budget.forget();
        assert_eq!(noted(&budget, 10, [GOOD, GOOD, GOOD, GOOD]), None);
    }
}
