//! The goals of the design beside what was seen.

use serde::Serialize;
use yizhan_contract::Text;

use super::figures::{Row, Spread};
use super::report::{Memory, both, line};

const OVERHEAD_P50_US_MAX: u64 = 1_000;
const OVERHEAD_P99_US_MAX: u64 = 5_000;
/// Of bare one-row commits, in hundredths.
const AT_32_MIN: u64 = 50;
const AT_1_MIN: u64 = 30;
/// Of what pgbench does on the same cluster with 8 clients.
const OF_OWN_STATEMENTS_MIN: u64 = 50;
const OF_PGBENCH_MIN: u64 = 25;
/// Above two bare commits, with outside payers, less what those took.
const OWN_TIME_US_MAX: u64 = 5_000;
const IDLE_KIB_MAX: u64 = 40 * 1024;
const LONG_RUN_KIB_MAX: u64 = 200 * 1024;

#[derive(Debug, Clone, Serialize)]
pub(super) struct Goal {
    pub(super) title: Text,
    pub(super) goal: String,
    pub(super) seen: String,
    pub(super) is_met: bool,
}

/// Those that this run says something about.
///
/// `is_at_half`: the open loop ran at half of the peak, which is what the goals above one bare commit are about.
pub(super) fn goals(rows: &[Row], memory: &Memory, is_at_half: bool) -> Vec<Goal> {
    [above_bare_commits(rows, is_at_half), ratios(rows), of_memory(memory)].concat()
}

fn row<'r>(rows: &'r [Row], name: &str) -> Option<&'r Row> {
    rows.iter().find(|row| row.name == name)
}

fn above_bare_commits(rows: &[Row], is_at_half: bool) -> Vec<Goal> {
    let row = |name| row(rows, name);
    let mut goals = Vec::new();
    if let (Some(bare), Some(own)) = (row("bare_1"), row("own_time")) {
        let p50 = own.beside(bare, |own, bare| own.p50_us.saturating_sub(2 * bare.p50_us));
        let title =
            Text::new("外部支付方之外高出两次裸提交 p50", "beside payers, above two bare commits, p50");
        goals.push(Goal::at_most(title, OWN_TIME_US_MAX, p50, milliseconds));
        let p99 = own.beside(bare, |own, bare| own.p99_us.saturating_sub(2 * bare.p99_us));
        let title =
            Text::new("外部支付方之外高出两次裸提交 p99", "beside payers, above two bare commits, p99");
        goals.push(Goal::at_most(title, OWN_TIME_US_MAX, p99, milliseconds));
    } else if let (true, Some(bare), Some(open)) = (is_at_half, row("bare_1"), row("open")) {
        let p50 = open.beside(bare, |open, bare| open.p50_us.saturating_sub(bare.p50_us));
        let title =
            Text::new("半峰速率下高出一次裸提交 p50", "at half of the peak, above one bare commit, p50");
        goals.push(Goal::at_most(title, OVERHEAD_P50_US_MAX, p50, milliseconds));
        let p99 = open.beside(bare, |open, bare| open.p99_us.saturating_sub(bare.p99_us));
        let title =
            Text::new("半峰速率下高出一次裸提交 p99", "at half of the peak, above one bare commit, p99");
        goals.push(Goal::at_most(title, OVERHEAD_P99_US_MAX, p99, milliseconds));
    }
    goals
}

/// Settlements beside what the machine can do.
fn ratios(rows: &[Row]) -> Vec<Goal> {
    let row = |name| row(rows, name);
    let mut goals = Vec::new();
    let is_file = row("pgbench_own_8").is_none();
    for (own, limit, min, title) in [
        (
            "closed_32",
            "bare_1",
            AT_32_MIN,
            Text::new("32 客户端：结算 ÷ 裸提交", "settlements ÷ bare commits"),
        ),
        ("closed_1", "bare_1", AT_1_MIN, Text::new("1 客户端：结算 ÷ 裸提交", "settlements ÷ bare commits")),
        (
            "closed_8",
            "pgbench_own_8",
            OF_OWN_STATEMENTS_MIN,
            Text::new("8 客户端：结算 ÷ 本网关语句", "settlements ÷ the gateway's statements"),
        ),
        (
            "closed_8",
            "pgbench_n_8",
            OF_PGBENCH_MIN,
            Text::new("8 客户端：结算 ÷ pgbench -N", "settlements ÷ pgbench -N"),
        ),
    ] {
        if limit == "bare_1" && !is_file {
            continue;
        }
        if let (Some(bare), Some(settled)) = (row(limit), row(own)) {
            let ratio = settled.beside(bare, |own, bare| own.per_second * 100 / bare.per_second.max(1));
            goals.push(Goal::at_least(title, min, ratio, hundredths));
        }
    }
    goals
}

fn of_memory(memory: &Memory) -> Vec<Goal> {
    let mut goals = Vec::new();
    if let Some(idle) = memory.idle_kib {
        let title = Text::new("空闲内存", "memory, idle");
        goals.push(Goal::at_most(title, IDLE_KIB_MAX, Spread::of([idle]), mebibytes));
    }
    if let Some(most) = memory.minutes_kib.iter().max() {
        let title = Text::new("长时运行内存", "memory, long run");
        goals.push(Goal::at_most(title, LONG_RUN_KIB_MAX, Spread::of([*most]), mebibytes));
    }
    goals
}

impl Goal {
    pub(super) fn at_most(title: Text, most: u64, seen: Spread, shown: fn(u64) -> String) -> Self {
        let goal = format!("≤ {}", shown(most));
        Self { title, goal, seen: seen.shown(shown), is_met: seen.median <= most }
    }

    fn at_least(title: Text, least: u64, seen: Spread, shown: fn(u64) -> String) -> Self {
        let goal = format!("≥ {}", shown(least));
        Self { title, goal, seen: seen.shown(shown), is_met: seen.median >= least }
    }

    pub(super) fn line(&self, text: &mut String) {
        let sign = if self.is_met { "✓" } else { "×" };
        line(text, &format!("{sign} {}", both(&self.title)), &format!("{}  ({})", self.seen, self.goal));
    }
}

/// 1.234 ms
pub(super) fn milliseconds(us: u64) -> String {
    format!("{}.{:03} ms", us / 1_000, us % 1_000)
}

/// 0.47
pub(super) fn hundredths(value: u64) -> String {
    format!("{}.{:02}", value / 100, value % 100)
}

pub(super) fn mebibytes(kib: u64) -> String {
    format!("{} MiB", kib.div_ceil(1024))
}

#[cfg(test)]
mod tests {
    use super::super::figures::Turn;
    use super::*;

    fn row(name: &str, per_second: u64, us: u64) -> Row {
        let turn = Turn { per_second, p50_us: us, p99_us: us, max_us: us };
        Row { name: name.to_owned(), title: Text::new("项", "item"), turns: vec![turn] }
    }

    /// The goals' English titles, each with whether it is met.
    fn judged(rows: &[Row], is_at_half: bool) -> Vec<(String, bool)> {
        let memory =
            Memory { is_shared_with_load: true, idle_kib: None, after_kib: None, minutes_kib: Vec::new() };
        let goals = goals(rows, &memory, is_at_half);
        goals.into_iter().map(|goal| (goal.title.en.to_string(), goal.is_met)).collect()
    }

    #[test]
    fn what_is_meant_at_half_of_the_peak_is_judged_there_alone() {
        let rows = [row("bare_1", 1_000, 500), row("open", 100, 1_501)];
        assert_eq!(judged(&rows, false), []);
        let (p50, p99) = (
            "at half of the peak, above one bare commit, p50",
            "at half of the peak, above one bare commit, p99",
        );
        assert_eq!(judged(&rows, true), [(p50.to_owned(), false), (p99.to_owned(), true)]);
    }

    #[test]
    fn a_store_is_held_against_its_own_machine() {
        let file = [row("bare_1", 1_000, 1), row("closed_1", 300, 1), row("closed_32", 499, 1)];
        let met: Vec<bool> = judged(&file, false).into_iter().map(|(_, is_met)| is_met).collect();
        assert_eq!(met, [false, true]);
        let cluster = [
            row("bare_1", 1_000, 1),
            row("closed_1", 1, 1),
            row("closed_8", 50, 1),
            row("pgbench_own_8", 100, 1),
            row("pgbench_n_8", 201, 1),
        ];
        let met: Vec<bool> = judged(&cluster, false).into_iter().map(|(_, is_met)| is_met).collect();
        assert_eq!(met, [true, false]);
    }
}
