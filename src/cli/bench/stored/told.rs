//! What a run over filled stores tells: how long a settlement takes in each, and what it touches there.

use std::collections::BTreeMap;

use serde::Serialize;
use yizhan_contract::Text;

use super::super::figures::{Row, Spread};
use super::super::gate::Verdict;
use super::super::goals::{Goal, hundredths, milliseconds};
use super::super::report::{both, ending, line};
use super::pages::{PagesOfOne, Statement};

/// p99 in the last store, in hundredths of the first one's.
const P99_SHARE_MAX: u64 = 120;
const STATEMENTS_SHOWN_MAX: usize = 24;
const STATEMENT_COLUMNS: usize = 60;
/// Of blocks: fewer are what one row more or less comes to.
const SAME_HUNDREDTHS: u64 = 50;

#[derive(Debug, Serialize)]
pub(in crate::cli::bench) struct Told {
    pub(in crate::cli::bench) is_valid: bool,
    stays_per_second: u64,
    seconds_a_turn: u64,
    processors: usize,
    load_average: Option<String>,
    is_optimised: bool,
    stores: Vec<StoreTold>,
    /// What the first and the last store have in common; of PostgreSQL.
    statements: Vec<StatementTold>,
    goals: Vec<Goal>,
}

/// One store, and what was seen there.
#[derive(Debug, Serialize)]
pub(super) struct StoreTold {
    pub(super) store: String,
    pub(super) stays: u64,
    pub(super) people: u64,
    pub(super) filled_per_second: u64,
    pub(super) bytes_per_settlement: u64,
    /// Levels by index, the leaves among them.
    pub(super) depths: BTreeMap<String, u64>,
    pub(super) row: Row,
    #[serde(skip)]
    pub(super) statements: Vec<Statement>,
    /// In hundredths; of a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) pages: Option<PagesOfOne>,
    pub(super) verdict: Verdict,
}

/// Hundredths of blocks one call touches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct StatementTold {
    text: String,
    calls: u64,
    first: u64,
    last: u64,
    /// Of the last, from the disk.
    from_disk: u64,
}

impl Told {
    pub(super) fn new(
        stores: Vec<StoreTold>,
        stays_per_second: u64,
        seconds_a_turn: u64,
        load_average: Option<String>,
    ) -> Self {
        let (statements, goals) = match &stores[..] {
            [first, .., last] => {
                let statements = in_both(&first.statements, &last.statements);
                let goals = goals(first, last, &statements);
                (statements, goals)
            }
            _ => Default::default(),
        };
        Self {
            is_valid: stores.iter().all(|store| store.verdict.is_valid),
            stays_per_second,
            seconds_a_turn,
            processors: std::thread::available_parallelism().map_or(0, usize::from),
            load_average,
            is_optimised: !cfg!(debug_assertions),
            stores,
            statements,
            goals,
        }
    }

    pub(in crate::cli::bench) fn table(&self) -> String {
        let mut text = String::new();
        if !self.is_optimised {
            text.push_str("! 调试构建，数字没有意义 | debug build: the figures mean nothing\n");
        }
        let Self { stays_per_second, seconds_a_turn, processors, .. } = self;
        let load = self.load_average.as_deref().unwrap_or("?");
        text.push_str(&format!(
            "恒定 at {stays_per_second}/s · 每轮 turn {seconds_a_turn} s · 处理器 processors {processors} · \
             负载 load average {load}\n"
        ));
        line(&mut text, "\n中位数（最低–最高）| median (lowest–highest)", "p50 · p99 · 最大 max");
        for store in &self.stores {
            store.figures(&mut text);
        }
        self.touched(&mut text);
        for goal in &self.goals {
            goal.line(&mut text);
        }
        self.stores.iter().for_each(|store| ending(&store.verdict, &mut text));
        text
    }

    fn touched(&self, text: &mut String) {
        if self.statements.is_empty() {
            return;
        }
        line(text, "\n每次执行的数据块 | blocks a call touches", "首库 first · 末库 last");
        for statement in self.statements.iter().take(STATEMENTS_SHOWN_MAX) {
            let shown: String = statement.text.chars().take(STATEMENT_COLUMNS).collect();
            line(text, &shown, &format!("{} · {}", hundredths(statement.first), hundredths(statement.last)));
        }
        text.push('\n');
    }
}

impl StoreTold {
    fn figures(&self, text: &mut String) {
        let of = |value: fn(&super::Turn) -> u64| self.row.spread(value);
        let figures = format!(
            "{} · {} · {}",
            of(|turn| turn.p50_us).shown(milliseconds),
            of(|turn| turn.p99_us).shown(milliseconds),
            milliseconds(of(|turn| turn.max_us).high)
        );
        line(text, &both(&self.row.title), &figures);
        let Self { bytes_per_settlement, filled_per_second, people, .. } = self;
        let title = "  每次结算占库；填充速率；名册 | bytes a settlement; filled; roster";
        line(text, title, &format!("{bytes_per_settlement} B; {filled_per_second}/s; {people}"));
        let deepest = self.depths.values().max().copied().unwrap_or_default();
        line(text, "  最深索引 | deepest index", &format!("{deepest}"));
        if let Some(pages) = &self.pages {
            let shown = [pages.read, pages.from_disk, pages.written].map(hundredths).join(" · ");
            line(text, "  每次结算读页、其中来自磁盘、写页 | pages read, from disk, written", &shown);
        }
    }
}

/// By their text: the number that PostgreSQL gives a statement is another in each database.
fn in_both(first: &[Statement], last: &[Statement]) -> Vec<StatementTold> {
    let each = |count: u64, calls: u64| (count * 100).checked_div(calls).unwrap_or_default();
    let earlier: BTreeMap<&str, &Statement> =
        first.iter().map(|statement| (statement.text.as_str(), statement)).collect();
    let mut both: Vec<StatementTold> = last
        .iter()
        .filter_map(|last| {
            let first = earlier.get(last.text.as_str())?;
            Some(StatementTold {
                text: last.text.split_whitespace().collect::<Vec<_>>().join(" "),
                calls: last.calls,
                first: each(first.blocks, first.calls),
                last: each(last.blocks, last.calls),
                from_disk: each(last.from_disk, last.calls),
            })
        })
        .collect();
    both.sort_by_key(|statement| std::cmp::Reverse(statement.last));
    both
}

/// The last store beside the first.
fn goals(first: &StoreTold, last: &StoreTold, statements: &[StatementTold]) -> Vec<Goal> {
    let p99 = last.row.beside(&first.row, |last, first| share(last.p99_us, first.p99_us));
    let title = Text::new("p99：末库 ÷ 首库", "p99, last store ÷ first");
    let mut goals = vec![Goal::at_most(title, P99_SHARE_MAX, p99, hundredths)];
    let most = deeper(&first.depths, &last.depths);
    let grown: Vec<u64> = statements.iter().filter_map(StatementTold::grown).collect();
    if let Some(grown) = grown.into_iter().max() {
        let title = Text::new(
            "数据块增长最多的语句（上限为索引加深）",
            "the statement whose blocks grew most, against deeper indexes",
        );
        goals.push(Goal::at_most(title, most, Spread::of([grown]), hundredths));
    }
    if let (Some(first), Some(last)) = (first.pages, last.pages) {
        let title =
            Text::new("每次结算读页（上限为索引加深）", "pages a settlement reads, against deeper indexes");
        goals.push(Goal::at_most(title, most, Spread::of([share(last.read, first.read)]), hundredths));
    }
    goals
}

fn share(of: u64, whole: u64) -> u64 {
    of * 100 / whole.max(1)
}

/// The most that a look-up in any one index can have grown by, in hundredths: its levels and the row they lead to.
fn deeper(first: &BTreeMap<String, u64>, last: &BTreeMap<String, u64>) -> u64 {
    let grown = last.iter().filter_map(|(name, last)| Some(share(last + 1, first.get(name)? + 1)));
    grown.max().unwrap_or(100)
}

impl StatementTold {
    /// Absent where it is less than a page.
    fn grown(&self) -> Option<u64> {
        (self.last > self.first + SAME_HUNDREDTHS).then(|| share(self.last, self.first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(text: &str, calls: u64, blocks: u64) -> Statement {
        Statement { text: text.to_owned(), calls, blocks, from_disk: 0 }
    }

    #[test]
    fn statements_are_told_by_the_call_those_that_touch_most_first() {
        let first = [seen("SELECT\n  a", 4, 10), seen("SELECT b", 1, 9), seen("SELECT gone", 1, 1)];
        let last = [seen("SELECT\n  a", 2, 7), seen("SELECT b", 10, 91), seen("SELECT new", 1, 1)];
        let told = in_both(&first, &last);
        let told: Vec<_> =
            told.iter().map(|one| (one.text.as_str(), one.first, one.last, one.grown())).collect();
        assert_eq!(told, [("SELECT b", 900, 910, None), ("SELECT a", 250, 350, Some(140))]);
    }

    #[test]
    fn what_may_grow_is_what_the_indexes_grew_by() {
        let depths = |of: [(&str, u64); 2]| of.map(|(name, depth)| (name.to_owned(), depth)).into();
        let first = depths([("message_pkey", 2), ("person_pkey", 2)]);
        assert_eq!(deeper(&first, &first), 100);
        assert_eq!(deeper(&first, &depths([("message_pkey", 3), ("person_pkey", 2)])), 133);
    }
}
