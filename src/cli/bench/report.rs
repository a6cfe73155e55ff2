//! What a run tells: one JSON document for machines, a table for people.

use std::fmt::Write as _;

use serde::Serialize;
use unicode_width::UnicodeWidthStr as _;
use yizhan_contract::Text;

use super::figures::Row;
use super::gate::Verdict;
use super::goals::{Goal, mebibytes, milliseconds};
use super::peak::Peak;

#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) conditions: Conditions,
    pub(super) verdict: Verdict,
    pub(super) rows: Vec<Row>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) peak: Option<Peak>,
    pub(super) goals: Vec<Goal>,
    pub(super) memory: Memory,
    /// The longest that hospitals waited for their letters once a turn had had its last answer; absent where they are
    /// told elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) told_after_us: Option<u64>,
    /// What a settlement takes in the store's file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) store_bytes_per_settlement: Option<u64>,
}

/// What figures depend on.
#[derive(Debug, Serialize)]
pub(super) struct Conditions {
    pub(super) gateway: String,
    pub(super) seed: u64,
    /// How long outside payers take for a quote or a commit; absent: none is asked.
    pub(super) payers_delay_ms: Option<u64>,
    pub(super) people_on_roster: u64,
    pub(super) seconds_a_turn: u64,
    pub(super) processors: usize,
    /// Of the machine when the run ended.
    pub(super) load_average: Option<String>,
    pub(super) is_optimised: bool,
}

/// KiB.
#[derive(Debug, Default, Serialize)]
pub(super) struct Memory {
    /// A gateway of our own lives in the process of its load.
    pub(super) is_shared_with_load: bool,
    pub(super) idle_kib: Option<u64>,
    pub(super) after_kib: Option<u64>,
    /// One sample a minute of a long run.
    pub(super) minutes_kib: Vec<u64>,
}

const TITLE_COLUMNS: usize = 72;

impl Report {
    pub(super) fn table(&self) -> String {
        let mut text = String::new();
        self.head(&mut text);
        self.figures(&mut text);
        for goal in &self.goals {
            goal.line(&mut text);
        }
        ending(&self.verdict, &mut text);
        text
    }

    fn head(&self, text: &mut String) {
        let Conditions { gateway, seed, people_on_roster, seconds_a_turn, processors, .. } = &self.conditions;
        let _ = writeln!(
            text,
            "网关 gateway {gateway} · 种子 seed {seed} · 名册 roster {people_on_roster} · 每轮 turn {seconds_a_turn} s · \
             处理器 processors {processors} · 负载 load average {}",
            self.conditions.load_average.as_deref().unwrap_or("?")
        );
        if !self.conditions.is_optimised {
            let _ = writeln!(text, "! 调试构建，数字没有意义 | debug build: the figures mean nothing");
        }
    }

    fn figures(&self, text: &mut String) {
        line(text, "\n中位数（最低–最高）| median (lowest–highest)", "每秒 per s · p50 · p99 · 最大 max");
        for row in &self.rows {
            let figures = format!(
                "{} · {} · {} · {}",
                row.spread(|turn| turn.per_second).shown(|count| count.to_string()),
                row.spread(|turn| turn.p50_us).shown(milliseconds),
                row.spread(|turn| turn.p99_us).shown(milliseconds),
                milliseconds(row.spread(|turn| turn.max_us).high)
            );
            line(text, &both(&row.title), &figures);
        }
        if let Some(peak) = &self.peak {
            line(text, "可持续的最高速率 | highest rate kept up", &format!("{}/s", peak.stays_per_second));
        }
        if let Some(us) = self.told_after_us {
            let title = "最后应答至回送完毕 | from the last answer until all hospitals are told";
            line(text, title, &format!("≤ {}", milliseconds(us)));
        }
        if let Some(bytes) = self.store_bytes_per_settlement {
            line(text, "每次结算占库 | a settlement in the store", &format!("{bytes} B"));
        }
        let shown = |kib: Option<u64>| kib.map_or_else(|| "?".to_owned(), mebibytes);
        let memory = format!("{} → {}", shown(self.memory.idle_kib), shown(self.memory.after_kib));
        let title = match self.memory.is_shared_with_load {
            true => "内存（含压测自身）| memory, the load's own included",
            false => "网关内存 | the gateway's memory",
        };
        line(text, title, &memory);
        if !self.memory.minutes_kib.is_empty() {
            let minutes: Vec<String> = self.memory.minutes_kib.iter().map(|kib| mebibytes(*kib)).collect();
            line(text, "每分钟内存 | memory by the minute", &minutes.join(", "));
        }
        text.push('\n');
    }
}

/// Whether the run counts, and why not.
pub(super) fn ending(verdict: &Verdict, text: &mut String) {
    let Verdict { is_valid, acknowledged, settled, told, total, caps_reached, faults_seen, faults } = verdict;
    if *is_valid {
        let _ = writeln!(
            text,
            "\n核对无误：{acknowledged} 条报文已应答，{settled} 次结算全部在库，合计 {total} 元，{caps_reached} 人次达到年度限额\n\
             accounted for: {acknowledged} messages acknowledged, {settled} settlements all in the store, {total} in total, \
             {caps_reached} annual caps reached"
        );
        if let Some(told) = told {
            let _ = writeln!(
                text,
                "医院收到 {told} 封回送，各对应一次结算 | hospitals were told {told} times, once of each settlement"
            );
        }
        return;
    }
    let _ = writeln!(
        text,
        "\n×× 本次压测作废：{settled} 次结算中有 {faults_seen} 处不符\n\
         ×× this run is void: {faults_seen} faults in {settled} settlements"
    );
    for fault in faults {
        let _ = writeln!(text, "  {} | {}", fault.zh, fault.en);
    }
}

pub(super) fn both(text: &Text) -> String {
    format!("{} | {}", text.zh, text.en)
}

pub(super) fn line(text: &mut String, title: &str, value: &str) {
    let columns = title.trim_start().width();
    let _ = writeln!(text, "{title}{}{value}", " ".repeat(TITLE_COLUMNS.saturating_sub(columns).max(2)));
}
