//! The goals of the design beside what was seen.

use serde::Serialize;
use yizhan_contract::Text;

use super::figures::Row;
use super::report::Memory;

const OVERHEAD_P50_US_MAX: u64 = 1_000;
const OVERHEAD_P99_US_MAX: u64 = 5_000;
/// Of bare one-row commits, in hundredths.
const AT_32_MIN: u64 = 50;
const AT_1_MIN: u64 = 30;
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
pub(super) fn goals(rows: &[Row], memory: &Memory) -> Vec<Goal> {
    let row = |name: &str| rows.iter().find(|row| row.name == name);
    let mut goals = Vec::new();
    if let (Some(bare), Some(open)) = (row("bare_1"), row("open")) {
        let overhead = |settled: u64, bare: u64| settled.saturating_sub(bare);
        goals.push(at_most(
            Text::new("恒定速率下高出一次裸提交 p50", "open loop above one bare commit, p50"),
            OVERHEAD_P50_US_MAX,
            overhead(open.p50_us.median, bare.p50_us.median),
            milliseconds,
        ));
        goals.push(at_most(
            Text::new("恒定速率下高出一次裸提交 p99", "open loop above one bare commit, p99"),
            OVERHEAD_P99_US_MAX,
            overhead(open.p99_us.median, bare.p99_us.median),
            milliseconds,
        ));
    }
    for (name, min, title) in [
        (
            "closed_32",
            AT_32_MIN,
            Text::new("32 客户端：结算 ÷ 裸提交", "settlements ÷ bare commits, 32 clients"),
        ),
        ("closed_1", AT_1_MIN, Text::new("1 客户端：结算 ÷ 裸提交", "settlements ÷ bare commits, 1 client")),
    ] {
        if let (Some(bare), Some(settled)) = (row("bare_1"), row(name)) {
            let seen = settled.per_second.median * 100 / bare.per_second.median.max(1);
            let (goal, shown) = (format!("≥ {}", hundredths(min)), hundredths(seen));
            goals.push(Goal { title, goal, seen: shown, is_met: seen >= min });
        }
    }
    memory_goals(&mut goals, memory);
    goals
}

fn memory_goals(goals: &mut Vec<Goal>, memory: &Memory) {
    if let Some(idle) = memory.idle_kib {
        goals.push(at_most(Text::new("空闲内存", "memory, idle"), IDLE_KIB_MAX, idle, mebibytes));
    }
    if let Some(most) = memory.minutes_kib.iter().max() {
        goals.push(at_most(
            Text::new("长时运行内存", "memory, long run"),
            LONG_RUN_KIB_MAX,
            *most,
            mebibytes,
        ));
    }
}

fn at_most(title: Text, most: u64, seen: u64, shown: fn(u64) -> String) -> Goal {
    Goal { title, goal: format!("≤ {}", shown(most)), seen: shown(seen), is_met: seen <= most }
}

/// 1.234 ms
pub(super) fn milliseconds(us: u64) -> String {
    format!("{}.{:03} ms", us / 1_000, us % 1_000)
}

/// 0.47
fn hundredths(value: u64) -> String {
    format!("{}.{:02}", value / 100, value % 100)
}

pub(super) fn mebibytes(kib: u64) -> String {
    format!("{} MiB", kib.div_ceil(1024))
}
